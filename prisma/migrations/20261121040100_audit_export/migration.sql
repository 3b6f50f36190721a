-- The compliance officer exports the trail and has its chain verified: commands of the console, which leave their own lines.
grant select on audit.event, audit.link to maristan_console;
grant execute on function audit.canonical(audit.event) to maristan_console;
create policy officer on audit.event as restrictive for select to maristan_console
  using (current_setting('app.role', true) = 'compliance_officer');
create policy officer on audit.link as restrictive for select to maristan_console
  using (current_setting('app.role', true) = 'compliance_officer');

-- Every chain is anchored, also one whose tenant is no more: the chains themselves say whose they are, one step an owner.
do $$
begin
  grant create on schema gate to maristan_gate;
  grant maristan_gate to current_user;
end $$;
create or replace function gate.checkpoints_due()
  returns table (tenant_id uuid, seq bigint, row_hash bytea, anchored bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    with recursive owner (id) as (
      (select l.tenant_id from audit.link l order by l.tenant_id limit 1)
      union all
      select (select l.tenant_id from audit.link l where l.tenant_id > owner.id order by l.tenant_id limit 1) from owner where owner.id is not null
    )
    select owner.id, h.seq, h.row_hash, coalesce(c.seq, 0)
    from owner
    cross join lateral (select l.seq, l.row_hash from audit.link l where l.tenant_id = owner.id order by l.seq desc limit 1) h
    left join lateral (select k.seq from audit.checkpoint k where k.tenant_id = owner.id order by k.seq desc limit 1) c on true
    where owner.id is not null and h.seq > coalesce(c.seq, 0)
  $$;
do $$
begin
  revoke create on schema gate from maristan_gate;
  revoke maristan_gate from current_user;
end $$;

-- Whoever writes beside the trail writes in it: logins that came after the walls, and before the trail was laid anew.
do $$
declare
  login text;
begin
  for login in
    select distinct r.rolname from pg_class c, aclexplode(c.relacl) g join pg_roles r on r.oid = g.grantee
    where c.oid = 'outbox.event'::regclass and g.privilege_type = 'INSERT' and g.grantee <> c.relowner
  loop
    execute format('grant insert on audit.event to %I', login);
    execute format('grant execute on function audit.epoch() to %I', login);
  end loop;
end $$;
