-- What subscriptions wait for: which ids of these tenants the audit trail names as changed, by transactions that were not yet visible in
-- a snapshot taken before; and the snapshot to ask with the next time. No change is passed by, however late it commits, and none is told
-- twice. A line about reading changed nothing. Beyond 1,000 ids the rest is not counted: whoever asks takes everything as changed.
create function gate.changes(since pg_snapshot, tenants uuid[])
  returns table (snapshot text, tenant_id uuid, id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select pg_current_snapshot()::text, c.tenant_id, c.id
    from (select 1) one
    left join (
      select distinct e.tenant_id, named.id
      from audit.event e cross join lateral (values (e.resource_id), (e.subject_id)) named (id)
      where e.epoch = audit.epoch() and e.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(e.xid, since)
        and e.tenant_id = any (tenants) and e.outcome = 'done' and e.action !~ '(read|found)$' and named.id is not null
      limit 1001
    ) c on true
  $$;

revoke all on function gate.changes(pg_snapshot, uuid[]) from public;
alter function gate.changes(pg_snapshot, uuid[]) owner to maristan_gate;
grant execute on function gate.changes(pg_snapshot, uuid[]) to maristan_worker;
