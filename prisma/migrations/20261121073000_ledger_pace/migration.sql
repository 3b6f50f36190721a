-- How far sealing is behind is asked by readiness and by every scrape: one step into the index, however long the trail has become. It was
-- a walk over the whole of it, because the place to look from came out of a join. See infra/decisions/0025-what-leaves-the-ledger.md.

do $$
begin
  grant create on schema gate to maristan_gate;
  grant maristan_gate to current_user;
end $$;

create or replace function gate.seal_state()
  returns table (lag_seconds double precision, months_ahead int)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    at_epoch int;
    at_xid xid8;
    at_id uuid;
    is_ahead boolean;
    oldest timestamptz;
  begin
    select c.epoch, c.xid, c.event_id, c.ahead into at_epoch, at_xid, at_id, is_ahead from gate.seal_cursor() c;
    select e.at into oldest from audit.event e
      where (e.epoch, e.xid, e.id) > (coalesce(at_epoch, -1), coalesce(at_xid, '0'), coalesce(at_id, '00000000-0000-0000-0000-000000000000'))
      order by e.epoch, e.xid, e.id limit 1;
    lag_seconds := case when is_ahead then 'Infinity'::double precision
      else coalesce(greatest(0, extract(epoch from clock_timestamp() - oldest)), 0)::double precision end;
    select count(*)::int - 1 into months_ahead from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'audit.event'::regclass and c.relname >= to_char(now() at time zone 'UTC', '"event_"YYYY_MM');
    return next;
  end $$;

do $$
begin
  revoke create on schema gate from maristan_gate;
  revoke maristan_gate from current_user;
end $$;
