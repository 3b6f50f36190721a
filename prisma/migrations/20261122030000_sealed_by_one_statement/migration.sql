-- A pass of the sealer is one statement: lines no longer travel to the server and back to get their links. Who sees what stays as it was:
-- the worker calls functions of the gate that answer ids, numbers and hashes, and every link is written inside its tenant's walls.
-- See infra/decisions/0032-a-pass-is-one-statement.md.

-- Hash of link `seq`: SHA-256 of the hash before, the number as 64 bits big-endian, and the line's digest. `first` stands in for the hash
-- before where the aggregate begins.
create function audit.next_hash(prev bytea, first bytea, seq bigint, digest bytea) returns bytea
  language plpgsql immutable parallel safe as $$
begin
  return pg_catalog.sha256(coalesce(prev, first) || pg_catalog.int8send(seq) || digest);
end $$;

create aggregate audit.chained(first bytea, seq bigint, digest bytea) (sfunc = audit.next_hash, stype = bytea);

-- Links what can be linked, at most 4096 lines, and answers how many; null while another process seals. Volatile: every statement in it
-- sees what was committed before it began, so what is read after the lock is what the holder before left. Lines are found by the index, from
-- the cursor on, whatever the statistics of a young or a grown table say: a plan that reads a month of lines in every pass, or all that wait
-- to take the first 4096, would be kept. And planned once: planning over all months took longer than a pass.
create function audit.seal_pass() returns int language plpgsql volatile set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
  stands record;
  floor xid8;
  linked int;
begin
  if not pg_try_advisory_xact_lock(hashtext('maristan audit sealer')) then
    return null;
  end if;
  select c.epoch, c.xid, c.event_id, c.ahead into stands from gate.seal_cursor() c;
  if stands.ahead then
    raise exception 'The audit trail was restored from another database.' using errcode = 'ML002';
  end if;
  loop
    -- The tenant is set row by row, as the rows come: the policy on audit.link is asked of every one, and refuses any that is not its tenant's.
    insert into audit.link (tenant_id, seq, at, event_id, epoch, xid, prev_hash, row_hash)
    with line as materialized (
      select u.tenant_id, u.id, u.at, u.epoch, u.xid, u.digest
      from gate.unsealed(coalesce(stands.epoch, -1), coalesce(stands.xid, '0'), coalesce(stands.event_id, '00000000-0000-0000-0000-000000000000'), floor) u
    ), head as materialized (
      select h.tenant_id, h.seq, h.row_hash from gate.chain_heads((select array_agg(distinct l.tenant_id) from line l)) h
    ), placed as (
      select l.tenant_id, l.id, l.at, l.epoch, l.xid, l.digest, coalesce(h.seq, 0) + row_number() over chain as seq,
        coalesce(h.row_hash, sha256(convert_to('maristan audit chain 1 ' || l.tenant_id, 'UTF8'))) as first
      from line l left join head h on h.tenant_id = l.tenant_id
      window chain as (partition by l.tenant_id order by l.epoch, l.xid, l.id)
    ), hashed as (
      select p.*, audit.chained(p.first, p.seq, p.digest) over (partition by p.tenant_id order by p.epoch, p.xid, p.id) as hash from placed p
    )
    select set_config('app.tenant_id', h.tenant_id::text, true)::uuid, h.seq, h.at, h.id, h.epoch, h.xid,
      lag(h.hash, 1, h.first) over (partition by h.tenant_id order by h.epoch, h.xid, h.id), h.hash
    from hashed h;
    get diagnostics linked = row_count;
    if linked > 0 or floor is not null then
      return linked;
    end if;
    -- Nothing, or held up by a transaction of another database of the cluster: asking which costs more, so it is asked last.
    floor := gate.seal_floor();
  end loop;
end $$;

revoke all on function audit.next_hash(bytea, bytea, bigint, bytea), audit.chained(bytea, bigint, bytea), audit.seal_pass() from public;
grant execute on function audit.next_hash(bytea, bytea, bigint, bytea), audit.chained(bytea, bigint, bytea), audit.seal_pass() to maristan_worker;
drop function audit.append_links(uuid[], int[], bigint[], timestamptz[], uuid[], int[], xid8[], bytea, bytea);
