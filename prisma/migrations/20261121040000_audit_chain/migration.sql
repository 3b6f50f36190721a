-- The audit trail proves itself: every line gets its place in its tenant's hash chain, and both lie in monthly partitions.
-- See infra/decisions/0016-a-trail-that-proves-itself.md.

-- 1. The order of sealing. A transaction's number orders lines by when they could first be seen; the epoch goes up when a restored
-- database counts transactions anew (audit.begin_epoch), so that the order never runs backwards. Stable, not immutable: a plan that
-- took the value in is made again when the function is replaced.
create function audit.epoch() returns int language sql stable parallel safe as $$ select 1 $$;

-- 2. The trail again, partitioned by month (UTC). Partitions are made by audit.keep_months.
alter table audit.event rename to event_landed;
alter table audit.event_landed rename constraint event_pkey to event_landed_pkey;
alter index audit.event_tenant_id_at_idx rename to event_landed_at_idx;
alter index audit.event_tenant_id_subject_id_at_idx rename to event_landed_subject_idx;

create table audit.event (
  tenant_id uuid not null,
  id uuid not null,
  at timestamptz(6) not null default clock_timestamp(),
  actor_kind text not null,
  actor_id uuid,
  plane text,
  action text not null,
  resource text not null,
  resource_id uuid,
  subject_id uuid,
  outcome text not null,
  purpose text,
  request_id text not null,
  session_id uuid,
  sign_in_method text,
  source_address text,
  user_agent text,
  detail jsonb not null default '{}',
  epoch int not null default audit.epoch(),
  xid xid8 not null default pg_current_xact_id(),
  constraint event_pkey primary key (tenant_id, id, at)
) partition by range (at);
create index event_tenant_id_at_id_idx on audit.event (tenant_id, at, id);
create index event_tenant_id_subject_id_at_idx on audit.event (tenant_id, subject_id, at);
create index event_epoch_xid_id_idx on audit.event (epoch, xid, id);

-- A link is a line's place in the chain of its tenant. `at` is the line's, so that both lie in partitions of the same month.
create table audit.link (
  tenant_id uuid not null,
  seq bigint not null,
  at timestamptz(6) not null,
  event_id uuid not null,
  epoch int not null,
  xid xid8 not null,
  prev_hash bytea not null,
  row_hash bytea not null,
  constraint link_pkey primary key (tenant_id, seq, at),
  constraint link_seq_from_one check (seq > 0),
  constraint link_hashes check (octet_length(prev_hash) = 32 and octet_length(row_hash) = 32)
) partition by range (at);
create index link_epoch_xid_event_id_idx on audit.link (epoch, xid, event_id);

-- What was signed and put outside. The copies in the sink are what counts; these rows say up to where there are any.
create table audit.checkpoint (
  tenant_id uuid not null,
  seq bigint not null,
  at timestamptz(6) not null default clock_timestamp(),
  row_hash bytea not null,
  key_id text not null,
  signature bytea not null,
  constraint checkpoint_pkey primary key (tenant_id, seq)
);

-- The keys that sign checkpoints; they belong to no tenant, and their private parts are sealed under the platform's key.
create table audit.checkpoint_key (
  key_id text not null,
  public_key text not null,
  private_key text not null,
  created_at timestamptz(6) not null default current_timestamp,
  constraint checkpoint_key_pkey primary key (key_id),
  constraint checkpoint_private_key_sealed check (private_key like 'v1|%')
);

-- 3. Walls of a table of the trail: Row Level Security, the tenant policy, the refusal of every change. Partitions are granted to
-- nobody, and get the same walls: whoever were granted one by mistake would still be inside a tenant.
create function audit.wall(target regclass) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format(
    'create policy tenant on %s using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
    'with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', target);
  execute format(
    'create trigger append_only before update or delete or truncate on %s for each statement execute function audit.refuse_change()', target);
end $$;

-- One month of both tables. Made beside and then attached: attaching does not stop those who are writing.
create function audit.add_month(first timestamptz) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  month constant timestamp := date_trunc('month', first at time zone 'UTC');
  parent text;
  part text;
begin
  foreach parent in array array['event', 'link'] loop
    part := parent || to_char(month, '_YYYY_MM');
    if to_regclass('audit.' || part) is null then
      execute format('create table audit.%I (like audit.%I including all)', part, parent);
      perform audit.wall(('audit.' || part)::regclass);
      execute format('alter table audit.%I attach partition audit.%I for values from (%L) to (%L)', parent, part,
        month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC');
    end if;
  end loop;
end $$;

-- The months from `oldest` (the month before this one unless told) until `ahead` months from now.
create function audit.keep_months(ahead int, oldest timestamptz default null) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  month timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('maristan audit months'));
  for month in
    select generate_series(date_trunc('month', coalesce(oldest, now() - interval '1 month') at time zone 'UTC'),
      date_trunc('month', now() at time zone 'UTC') + make_interval(months => ahead), interval '1 month') at time zone 'UTC'
  loop
    perform audit.add_month(month);
  end loop;
end $$;

-- From here on every line comes after whatever is sealed, whatever its transaction's number.
create function audit.begin_epoch(number int) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if number > audit.epoch() then
    execute format('create or replace function audit.epoch() returns int language sql stable parallel safe as %L', 'select ' || number);
  end if;
end $$;

-- 4. What landed before moves over, whole or not at all. Its order is that of its time; epoch 0 comes before everything new.
lock table audit.event_landed in access exclusive mode;
alter table audit.event_landed no force row level security;
do $$
declare
  moved bigint;
begin
  perform audit.keep_months(0, (select min(at) from audit.event_landed));
  insert into audit.event (tenant_id, id, at, actor_kind, actor_id, plane, action, resource, resource_id, subject_id, outcome, purpose,
    request_id, session_id, sign_in_method, source_address, user_agent, detail, epoch, xid)
  select tenant_id, id, at, actor_kind, actor_id, plane, action, resource, resource_id, subject_id, outcome, purpose,
    request_id, session_id, sign_in_method, source_address, user_agent, detail, 0, (row_number() over (order by at, id))::text::xid8
  from audit.event_landed;
  get diagnostics moved = row_count;
  if moved <> (select count(*) from audit.event_landed) then
    raise exception 'Not every line of the audit trail was moved.';
  end if;
end $$;
drop table audit.event_landed;

select audit.wall('audit.event');
select audit.wall('audit.link');
select audit.wall('audit.checkpoint');
alter table audit.checkpoint_key enable row level security;
alter table audit.checkpoint_key force row level security;
create policy platform on audit.checkpoint_key to maristan_auth using (true) with check (true);
create trigger append_only before update or delete or truncate on audit.checkpoint_key
  for each statement execute function audit.refuse_change();

create policy actor on audit.event as restrictive for select to maristan_consumer_read
  using (subject_id in (select gate.my_recipients()));
create policy actor_role on audit.event as restrictive for select to maristan_console_read, maristan_integrator_read
  using (current_setting('app.role', true) in ('tenant_admin', 'compliance_officer'));
-- Nobody dates or numbers a line otherwise than the database does: not into the past, and not where the sealer has been already.
-- A minute of grace, for clocks that are set while a transaction runs.
create policy own_line on audit.event as restrictive for insert
  with check (xid = pg_current_xact_id() and epoch = audit.epoch()
    and at between transaction_timestamp() - interval '1 minute' and clock_timestamp() + interval '1 minute');

-- 5. A line as the text that is hashed: a JSON array of its columns' texts. The verifier writes the same text from an export.
create function audit.canonical(e audit.event) returns text language sql stable parallel safe as $$
  select json_build_array(e.tenant_id, e.id, e.epoch::text, e.xid::text,
    to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), e.actor_kind, e.actor_id, e.plane, e.action, e.resource,
    e.resource_id, e.subject_id, e.outcome, e.purpose, e.request_id, e.session_id, e.sign_in_method, e.source_address, e.user_agent,
    e.detail::text)::text
$$;

-- Writes links, tenant by tenant, as the worker and inside each tenant's own walls. `begins[i]` is the place in the lists where the
-- tenant's links begin, `seqs[i]` the number of the first; the hashes are joined, 32 bytes each.
create function audit.append_links(tenants uuid[], begins int[], seqs bigint[], ats timestamptz[], ids uuid[], epochs int[], xids xid8[],
    prevs bytea, hashes bytea)
  returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  k int;
begin
  for k in 1 .. cardinality(tenants) loop
    perform set_config('app.tenant_id', tenants[k]::text, true);
    insert into audit.link (tenant_id, seq, at, event_id, epoch, xid, prev_hash, row_hash)
    select tenants[k], seqs[k] + i - begins[k], ats[i], ids[i], epochs[i], xids[i],
      substring(prevs from 32 * i - 31 for 32), substring(hashes from 32 * i - 31 for 32)
    from generate_series(begins[k], coalesce(begins[k + 1] - 1, cardinality(ids))) i;
  end loop;
end $$;

-- 6. What the sealer asks across tenants: ids, numbers and hashes, never a line.
grant usage on schema audit to maristan_gate;
grant execute on function audit.epoch(), audit.canonical(audit.event) to maristan_gate;
grant select (tenant_id, id, at, actor_kind, actor_id, plane, action, resource, resource_id, subject_id, outcome, purpose, request_id,
  session_id, sign_in_method, source_address, user_agent, detail, epoch, xid) on audit.event to maristan_gate;
grant select (tenant_id, seq, at, event_id, epoch, xid, row_hash) on audit.link to maristan_gate;
grant select (tenant_id, seq, at) on audit.checkpoint to maristan_gate;
create policy gate on audit.event for select to maristan_gate using (true);
create policy gate on audit.link for select to maristan_gate using (true);
create policy gate on audit.checkpoint for select to maristan_gate using (true);

-- Where sealing stands, and whether the order still holds: `ahead` says that the last link was numbered by a transaction that is
-- yet to come, as after a restore that nobody followed by `maristan migrate`.
create function gate.seal_cursor()
  returns table (epoch int, xid xid8, event_id uuid, ahead boolean)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select l.epoch, l.xid, l.event_id,
      l.epoch > audit.epoch() or (l.epoch = audit.epoch() and l.xid >= pg_snapshot_xmax(pg_current_snapshot()))
    from audit.link l order by l.epoch desc, l.xid desc, l.event_id desc limit 1
  $$;

-- The oldest transaction of this database that may still be running. Transactions are counted for all databases of a cluster
-- together, and one that works for hours in another of them must not hold sealing up. One that is not found among the locks has
-- just begun or just ended: it counts as ours.
create function gate.seal_floor()
  returns xid8
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  as $$
    with seen as materialized (select pg_current_snapshot() as snapshot),
    elsewhere as materialized (
      select l.transactionid as xid from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted
        and a.datid <> (select d.oid from pg_database d where d.datname = current_database()))
    select coalesce(
      (select min(x) from seen, pg_snapshot_xip(snapshot) x where x::xid not in (select e.xid from elsewhere e)),
      pg_snapshot_xmax(snapshot)) from seen
  $$;

-- At most 4096 lines after the cursor, in order. Only of transactions before which none is still running, so that one that commits
-- late is never passed by: below `floor`, or below the oldest of the whole cluster where none is given.
create function gate.unsealed(after_epoch int, after_xid xid8, after_id uuid, floor xid8)
  returns table (tenant_id uuid, id uuid, at timestamptz, epoch int, xid xid8, digest bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select e.tenant_id, e.id, e.at, e.epoch, e.xid, sha256(convert_to(audit.canonical(e), 'UTF8'))
    from audit.event e
    where (e.epoch, e.xid, e.id) > (after_epoch, after_xid, after_id)
      and (e.epoch < audit.epoch() or e.xid < coalesce(floor, pg_snapshot_xmin(pg_current_snapshot())))
    order by e.epoch, e.xid, e.id limit 4096
  $$;

create function gate.chain_heads(tenants uuid[])
  returns table (tenant_id uuid, seq bigint, row_hash bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select t.id, h.seq, h.row_hash
    from unnest(tenants) t (id)
    cross join lateral (select l.seq, l.row_hash from audit.link l where l.tenant_id = t.id order by l.seq desc limit 1) h
  $$;

-- How many seconds the oldest line has waited for its link (endlessly, where the order is lost), and the months still ahead.
create function gate.seal_state()
  returns table (lag_seconds double precision, months_ahead int)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    with stands as (select coalesce(c.epoch, -1) as epoch, coalesce(c.xid, '0'::xid8) as xid,
        coalesce(c.event_id, '00000000-0000-0000-0000-000000000000'::uuid) as id, coalesce(c.ahead, false) as ahead
      from (select 1) one left join gate.seal_cursor() c on true)
    select
      case when (select ahead from stands) then 'Infinity' else coalesce((select greatest(0, extract(epoch from clock_timestamp() - e.at)) from audit.event e, stands s
        where (e.epoch, e.xid, e.id) > (s.epoch, s.xid, s.id) order by e.epoch, e.xid, e.id limit 1), 0)::double precision end,
      (select count(*)::int - 1 from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'audit.event'::regclass and c.relname >= to_char(now() at time zone 'UTC', '"event_"YYYY_MM'))
  $$;

-- Tenants, and the building itself (no tenant), whose chain has grown since its last checkpoint: its head and that checkpoint's number.
create function gate.checkpoints_due()
  returns table (tenant_id uuid, seq bigint, row_hash bytea, anchored bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select t.tenant_id, h.seq, h.row_hash, coalesce(c.seq, 0)
    from (select x.tenant_id from tenancy.tenant x union all select '00000000-0000-0000-0000-000000000000') t
    cross join lateral (select l.seq, l.row_hash from audit.link l where l.tenant_id = t.tenant_id order by l.seq desc limit 1) h
    left join lateral (select k.seq from audit.checkpoint k where k.tenant_id = t.tenant_id order by k.seq desc limit 1) c on true
    where h.seq > coalesce(c.seq, 0)
    order by t.tenant_id
  $$;

do $$
declare
  f regprocedure;
begin
  grant create on schema gate to maristan_gate;
  grant maristan_gate to current_user;
  foreach f in array array['gate.seal_cursor()', 'gate.seal_floor()', 'gate.unsealed(int, xid8, uuid, xid8)', 'gate.chain_heads(uuid[])', 'gate.seal_state()',
      'gate.checkpoints_due()']::regprocedure[] loop
    execute format('revoke all on function %s from public', f);
    execute format('alter function %s owner to maristan_gate', f);
    execute format('grant execute on function %s to maristan_worker', f);
  end loop;
  revoke create on schema gate from maristan_gate;
  revoke maristan_gate from current_user;
end $$;

-- 7. Grants.
revoke all on function audit.epoch(), audit.canonical(audit.event), audit.wall(regclass), audit.add_month(timestamptz),
  audit.keep_months(int, timestamptz), audit.begin_epoch(int),
  audit.append_links(uuid[], int[], bigint[], timestamptz[], uuid[], int[], xid8[], bytea, bytea) from public;
grant insert on audit.event to
  maristan_console, maristan_clinician, maristan_consumer, maristan_courier, maristan_seller, maristan_integrator,
  maristan_auth, maristan_worker, maristan_operator;
grant execute on function audit.epoch() to
  maristan_console, maristan_clinician, maristan_consumer, maristan_courier, maristan_seller, maristan_integrator,
  maristan_auth, maristan_worker, maristan_operator;
grant select on audit.event to maristan_console_read, maristan_consumer_read, maristan_integrator_read;
grant select on audit.event, audit.link to maristan_worker, maristan_operator;
grant insert on audit.link to maristan_worker;
grant select, insert on audit.checkpoint to maristan_worker;
grant select on audit.checkpoint to maristan_operator;
grant select, insert on audit.checkpoint_key to maristan_auth;
grant execute on function audit.append_links(uuid[], int[], bigint[], timestamptz[], uuid[], int[], xid8[], bytea, bytea) to maristan_worker;
grant execute on function audit.canonical(audit.event) to maristan_worker, maristan_operator;
