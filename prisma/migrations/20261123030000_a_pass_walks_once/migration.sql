-- A pass goes through its lines once: numbers and hashes are computed in one walk instead of three windows over one another, a quarter of what
-- a pass took. What it links, in which order, and who sees what stay as they were. See infra/decisions/0035-where-the-trail-pays.md.

-- Links what can be linked, at most 4096 lines, and answers how many; null while another process seals. Volatile: every statement in it
-- sees what was committed before it began, so what is read after the lock is what the holder before left. Lines are found by the index, from
-- the cursor on, whatever the statistics of a young or a grown table say: a plan that reads a month of lines in every pass, or all that wait
-- to take the first 4096, would be kept. And planned once: planning over all months took longer than a pass.
create or replace function audit.seal_pass() returns int language plpgsql volatile set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
  stands record;
  floor xid8;
  line record;
  linked int;
  tenant uuid;
  number bigint;
  hash bytea;
  tenants uuid[];
  numbers bigint[];
  ats timestamptz[];
  ids uuid[];
  epochs int[];
  xids xid8[];
  prevs bytea[];
  hashes bytea[];
begin
  if not pg_try_advisory_xact_lock(hashtext('maristan audit sealer')) then
    return null;
  end if;
  select c.epoch, c.xid, c.event_id, c.ahead into stands from gate.seal_cursor() c;
  if stands.ahead then
    raise exception 'The audit trail was restored from another database.' using errcode = 'ML002';
  end if;
  loop
    linked := 0;
    for line in
      with waiting as materialized (
        select u.tenant_id, u.id, u.at, u.epoch, u.xid, u.digest
        from gate.unsealed(coalesce(stands.epoch, -1), coalesce(stands.xid, '0'),
          coalesce(stands.event_id, '00000000-0000-0000-0000-000000000000'), floor) u
      ), head as materialized (
        select h.tenant_id, h.seq, h.row_hash from gate.chain_heads((select array_agg(distinct w.tenant_id) from waiting w)) h
      )
      select w.*, h.seq, h.row_hash from waiting w left join head h on h.tenant_id = w.tenant_id
      order by w.tenant_id, w.epoch, w.xid, w.id
    loop
      if line.tenant_id is distinct from tenant then
        tenant := line.tenant_id;
        number := coalesce(line.seq, 0);
        hash := coalesce(line.row_hash, sha256(convert_to('maristan audit chain 1 ' || tenant, 'UTF8')));
      end if;
      linked := linked + 1;
      number := number + 1;
      tenants[linked] := tenant;
      numbers[linked] := number;
      ats[linked] := line.at;
      ids[linked] := line.id;
      epochs[linked] := line.epoch;
      xids[linked] := line.xid;
      prevs[linked] := hash;
      -- Of the hash before, the number as 64 bits big-endian, and the line's digest.
      hash := sha256(hash || int8send(number) || line.digest);
      hashes[linked] := hash;
    end loop;
    if linked > 0 then
      -- The tenant is set row by row, as the rows come: the policy on audit.link is asked of every one, and refuses any that is not its tenant's.
      insert into audit.link (tenant_id, seq, at, event_id, epoch, xid, prev_hash, row_hash)
      select set_config('app.tenant_id', tenants[i]::text, true)::uuid, numbers[i], ats[i], ids[i], epochs[i], xids[i], prevs[i], hashes[i]
      from generate_series(1, linked) i;
      return linked;
    end if;
    if floor is not null then
      return 0;
    end if;
    -- Nothing, or held up by a transaction of another database of the cluster: asking which costs more, so it is asked last.
    floor := gate.seal_floor();
  end loop;
end $$;

drop aggregate audit.chained(bytea, bigint, bytea);
drop function audit.next_hash(bytea, bytea, bigint, bytea);
