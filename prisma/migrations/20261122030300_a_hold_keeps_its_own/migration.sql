-- A legal hold keeps the months of its own tenant; every other tenant's go after their time. A month is still removed as a whole: what is held is
-- laid into a new partition before the old one goes, in one transaction, as it is.
grant maristan_gate to current_user;
grant create on schema gate to maristan_gate;
drop function gate.hold_in_force();
create function gate.held_tenants()
  returns setof uuid
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select distinct h.tenant_id from custody.legal_hold h where h.lifted_at is null $$;
alter function gate.held_tenants() owner to maristan_gate;
-- The months there are, the oldest first.
drop function gate.oldest_month();
create function gate.months()
  returns setof timestamptz
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select to_date(right(c.relname, 7), 'YYYY_MM')::timestamp at time zone 'UTC'
    from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'audit.event'::regclass order by 1
  $$;
alter function gate.months() owner to maristan_gate;
revoke all on function gate.held_tenants(), gate.months() from public;
revoke create on schema gate from maristan_gate;
revoke maristan_gate from current_user;
grant execute on function gate.held_tenants(), gate.months() to maristan_worker;

-- Six years are law here, whatever a server is told: a younger month is not dropped. Links and lines go together; those of `held` stay.
drop function audit.drop_month(timestamptz);
create function audit.drop_month(first timestamptz, held uuid[]) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  month constant timestamp := date_trunc('month', first at time zone 'UTC');
  parent text;
  part text;
begin
  if (month + interval '1 month' + interval '6 years') at time zone 'UTC' > now() then
    raise exception 'A month of the audit trail is kept for six years.' using errcode = 'insufficient_privilege';
  end if;
  foreach parent in array array['event', 'link'] loop
    part := parent || to_char(month, '_YYYY_MM');
    if cardinality(held) = 0 then
      execute format('drop table audit.%I', part);
    else
      execute format('alter table audit.%I detach partition audit.%I', parent, part);
      execute format('alter table audit.%I rename to %I', part, part || '_whole');
      execute format('alter table audit.%I no force row level security', part || '_whole');
      execute format('create table audit.%I (like audit.%I including all)', part, parent);
      execute format('insert into audit.%I select * from audit.%I where tenant_id = any($1)', part, part || '_whole') using held;
      perform audit.wall(('audit.' || part)::regclass);
      execute format('alter table audit.%I attach partition audit.%I for values from (%L) to (%L)', parent, part,
        month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC');
      execute format('drop table audit.%I', part || '_whole');
    end if;
  end loop;
end $$;
revoke all on function audit.drop_month(timestamptz, uuid[]) from public;
