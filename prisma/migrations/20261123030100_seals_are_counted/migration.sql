-- How often a key has sealed: AES-GCM with random nonces bears 2^32 seals a key (NIST SP 800-38D §8.3). Counted by draws of whoever seals, some
-- 4096 at a time, so that a count costs next to nothing; refused at 2^30. See infra/decisions/0035-where-the-trail-pays.md.
alter table vault.tenant_key add column seals integer not null default 0;
alter table vault.subject_key add column seals integer not null default 0;

-- Whoever seals counts, and can do nothing else to a key's row: a count that goes back would give away what it is for.
create function vault.refuse_fewer() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.seals < old.seals then
    raise exception 'What a key has sealed is counted upwards.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function vault.refuse_fewer() from public;
create trigger counts_upwards before update of seals on vault.tenant_key for each row execute function vault.refuse_fewer();
create trigger counts_upwards before update of seals on vault.subject_key for each row execute function vault.refuse_fewer();

-- Every login that writes and reads wrapped keys; the worker has it already.
grant update (seals) on vault.tenant_key, vault.subject_key to
  maristan_console, maristan_clinician, maristan_consumer, maristan_courier, maristan_auth;
