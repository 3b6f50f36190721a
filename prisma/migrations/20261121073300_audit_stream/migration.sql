-- Streaming a tenant's trail to its own SIEM: where to, how far, and how it goes. See infra/decisions/0025-what-leaves-the-ledger.md.
create table audit.stream (
  tenant_id uuid not null,
  url text not null,
  credentials text not null,
  authorities text,
  vouched boolean not null default false,
  cursor bigint not null default 0,
  failures integer not null default 0,
  problem text,
  next_at timestamptz(6) not null default current_timestamp,
  sent_at timestamptz(6),
  configured_by uuid,
  configured_at timestamptz(6) not null default current_timestamp,
  version integer not null default 1,
  constraint stream_pkey primary key (tenant_id),
  constraint stream_https check (url like 'https://%' and length(url) <= 2048),
  constraint stream_credentials_sealed check (credentials like 'v1|%'),
  constraint stream_cursor check (cursor >= 0 and failures >= 0)
);
alter table audit.stream enable row level security;
alter table audit.stream force row level security;
create policy tenant on audit.stream using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- The officer says where to, the operator vouches for a private address or stops it, the worker sends.
grant select, insert, update, delete on audit.stream to maristan_console;
grant select on audit.stream to maristan_console_read;
grant select, update on audit.stream to maristan_worker, maristan_operator;
create policy officer on audit.stream as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'compliance_officer');

-- The officer sees how far behind the receiver is: the head of the chain is a read.
grant select on audit.link to maristan_console_read;
drop policy officer on audit.link;
create policy officer on audit.link as restrictive for select to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'compliance_officer');

-- Tenants whose chain has grown beyond what their receiver has taken, and whose time has come.
grant select (tenant_id, cursor, next_at, failures) on audit.stream to maristan_gate;
create policy gate on audit.stream for select to maristan_gate using (true);
grant maristan_gate to current_user;
grant create on schema gate to maristan_gate;
create function gate.streams_due(most int)
  returns setof uuid
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select s.tenant_id from audit.stream s
    where s.next_at <= now() and exists (select from audit.link l where l.tenant_id = s.tenant_id and l.seq > s.cursor)
    order by s.next_at limit least(most, 1000)
  $$;
-- Two numbers over the whole building: streams, and those that have failed so often that somebody must look.
create function gate.stream_state(alarm int)
  returns table (streams int, failing int)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select count(*)::int, (count(*) filter (where s.failures >= alarm))::int from audit.stream s $$;
alter function gate.streams_due(int) owner to maristan_gate;
alter function gate.stream_state(int) owner to maristan_gate;
revoke all on function gate.streams_due(int), gate.stream_state(int) from public;
revoke create on schema gate from maristan_gate;
revoke maristan_gate from current_user;
grant execute on function gate.streams_due(int), gate.stream_state(int) to maristan_worker;
