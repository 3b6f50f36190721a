-- Months of the trail whose retention is over are removed whole, after they were sealed, anchored, and their end signed.
create table audit.retired (
  tenant_id uuid not null,
  seq bigint not null,
  row_hash bytea not null,
  before timestamptz(6) not null,
  at timestamptz(6) not null default clock_timestamp(),
  key_id text not null,
  signature bytea not null,
  constraint retired_pkey primary key (tenant_id, seq),
  constraint retired_hash check (octet_length(row_hash) = 32)
);
select audit.wall('audit.retired');
grant select, insert on audit.retired to maristan_worker;
grant select on audit.retired to maristan_console, maristan_console_read, maristan_operator;
create policy officer on audit.retired as restrictive for select to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'compliance_officer');

grant select (tenant_id, seq, row_hash) on audit.retired to maristan_gate;
create policy gate on audit.retired for select to maristan_gate using (true);

-- Six years are law here, whatever a server is told: a younger month is not dropped. Links and lines go together.
create function audit.drop_month(first timestamptz) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  month constant timestamp := date_trunc('month', first at time zone 'UTC');
begin
  if (month + interval '1 month' + interval '6 years') at time zone 'UTC' > now() then
    raise exception 'A month of the audit trail is kept for six years.' using errcode = 'insufficient_privilege';
  end if;
  execute format('drop table audit.%I', 'event' || to_char(month, '_YYYY_MM'));
  execute format('drop table audit.%I', 'link' || to_char(month, '_YYYY_MM'));
end $$;
revoke all on function audit.drop_month(timestamptz) from public;

grant maristan_gate to current_user;
grant create on schema gate to maristan_gate;
-- The oldest month there is.
create function gate.oldest_month()
  returns timestamptz
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select min(to_date(right(c.relname, 7), 'YYYY_MM'))::timestamp at time zone 'UTC'
    from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'audit.event'::regclass
  $$;
-- Of every tenant with lines in a month: its last link there, whether it is anchored, and how many of its lines have no link.
create function gate.retirement(first timestamptz, ends timestamptz)
  returns table (tenant_id uuid, seq bigint, row_hash bytea, anchored boolean, unsealed bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    with lines as (
      select e.tenant_id, count(*) as n from audit.event e where e.at >= first and e.at < ends group by e.tenant_id),
    links as (
      select l.tenant_id, max(l.seq) as seq, count(*) as n from audit.link l where l.at >= first and l.at < ends group by l.tenant_id)
    select coalesce(lines.tenant_id, links.tenant_id), links.seq,
      (select l.row_hash from audit.link l where l.tenant_id = links.tenant_id and l.seq = links.seq and l.at >= first and l.at < ends),
      exists (select from audit.checkpoint c where c.tenant_id = links.tenant_id and c.seq >= links.seq),
      coalesce(lines.n, 0) - coalesce(links.n, 0)
    from lines full join links on links.tenant_id = lines.tenant_id
  $$;
-- A chain whose every month was removed still goes on where it ended.
create or replace function gate.chain_heads(tenants uuid[])
  returns table (tenant_id uuid, seq bigint, row_hash bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select t.id, h.seq, h.row_hash
    from unnest(tenants) t (id)
    cross join lateral (
      (select l.seq, l.row_hash from audit.link l where l.tenant_id = t.id order by l.seq desc limit 1)
      union all
      (select r.seq, r.row_hash from audit.retired r where r.tenant_id = t.id order by r.seq desc limit 1)
      order by 1 desc limit 1) h
  $$;
alter function gate.oldest_month() owner to maristan_gate;
alter function gate.retirement(timestamptz, timestamptz) owner to maristan_gate;
revoke all on function gate.oldest_month(), gate.retirement(timestamptz, timestamptz) from public;
revoke create on schema gate from maristan_gate;
revoke maristan_gate from current_user;
grant execute on function gate.oldest_month(), gate.retirement(timestamptz, timestamptz) to maristan_worker;
