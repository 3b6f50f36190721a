-- Keys that turn: data keys that a tenant may wrap with a key of its own, rotation in batches, and erasure for good.

create type vault.run_state as enum ('RUNNING', 'DONE');
create type vault.lookup_key_state as enum ('BUILDING', 'ACTIVE', 'DESTROYED');

alter table vault.tenant_key
  alter column wrapped drop not null,
  add column own_kek boolean not null default false,
  add column destroyed_at timestamptz(6),
  add column opened_at timestamptz(6),
  add column dark_since timestamptz(6),
  add column trouble text,
  -- What refers to a data key refers to this column: while anything does, the key cannot be marked destroyed.
  add column live_version integer generated always as (case when state = 'DESTROYED' then null else version end) stored;
create unique index tenant_key_tenant_id_live_version_key on vault.tenant_key (tenant_id, live_version);
create unique index tenant_key_active_key on vault.tenant_key (tenant_id) where state = 'ACTIVE';
update vault.tenant_key set wrapped = null, destroyed_at = now() where state = 'DESTROYED';
alter table vault.tenant_key add constraint tenant_key_whole check ((state = 'DESTROYED') = (wrapped is null));

alter table vault.subject_key
  drop constraint subject_key_tenant_id_tenant_key_version_fkey,
  alter column tenant_key_version drop not null,
  alter column wrapped drop not null,
  add column destroyed_at timestamptz(6);
update vault.subject_key set wrapped = null, tenant_key_version = null, destroyed_at = now() where state = 'DESTROYED';
alter table vault.subject_key
  add constraint subject_key_whole
    check (state <> 'RETIRED' and (state = 'DESTROYED') = (wrapped is null) and (state = 'DESTROYED') = (tenant_key_version is null)),
  add constraint subject_key_tenant_id_tenant_key_version_fkey foreign key (tenant_id, tenant_key_version)
    references vault.tenant_key (tenant_id, live_version) on delete restrict on update restrict;
create index subject_key_tenant_id_tenant_key_version_subject_id_idx on vault.subject_key (tenant_id, tenant_key_version, subject_id);

create table vault.lookup_key (
  tenant_id uuid not null,
  generation integer not null,
  tenant_key_version integer,
  wrapped text,
  state vault.lookup_key_state not null default 'BUILDING',
  created_at timestamptz(6) not null default current_timestamp,
  destroyed_at timestamptz(6),
  constraint lookup_key_pkey primary key (tenant_id, generation),
  constraint lookup_key_whole check ((state = 'DESTROYED') = (wrapped is null) and (state = 'DESTROYED') = (tenant_key_version is null)),
  constraint lookup_key_tenant_id_tenant_key_version_fkey foreign key (tenant_id, tenant_key_version)
    references vault.tenant_key (tenant_id, live_version) on delete restrict on update restrict
);
-- One generation answers, and one at most is being built beside it.
create unique index lookup_key_active_key on vault.lookup_key (tenant_id) where state = 'ACTIVE';
create unique index lookup_key_building_key on vault.lookup_key (tenant_id) where state = 'BUILDING';

create table vault.reencryption_run (
  tenant_id uuid not null,
  id uuid not null,
  table_name text not null,
  from_version integer not null,
  to_version integer not null,
  cursor uuid,
  done integer not null default 0,
  state vault.run_state not null default 'RUNNING',
  created_at timestamptz(6) not null default current_timestamp,
  finished_at timestamptz(6),
  constraint reencryption_run_pkey primary key (tenant_id, id)
);
create unique index reencryption_run_running_key on vault.reencryption_run (tenant_id, table_name) where state = 'RUNNING';

create table vault.erasure_certificate (
  tenant_id uuid not null,
  id uuid not null,
  subject_id uuid not null,
  key_ids text[],
  erased_by text not null,
  erased_at timestamptz(6) not null default current_timestamp,
  backups_until timestamptz(6),
  constraint erasure_certificate_pkey primary key (tenant_id, id)
);
create index erasure_certificate_tenant_id_subject_id_idx on vault.erasure_certificate (tenant_id, subject_id);

do $$
declare
  t text;
begin
  foreach t in array array['lookup_key', 'reencryption_run', 'erasure_certificate'] loop
    execute format('alter table vault.%I enable row level security', t);
    execute format('alter table vault.%I force row level security', t);
    execute format(
      'create policy tenant on vault.%I using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
      'with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);
  end loop;
end $$;

-- Keys turn, are watched and are destroyed in the background; nobody's plane changes one.
grant select, insert, update on vault.tenant_key, vault.lookup_key, vault.reencryption_run to maristan_worker;
grant select, update on vault.subject_key to maristan_worker;
grant select, insert on vault.erasure_certificate to maristan_worker;
grant select on vault.lookup_key to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read;
grant select on vault.reencryption_run to maristan_console_read;

-- What is destroyed stays destroyed, and whose key it is never changes.
create function vault.refuse_revival() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.state = 'DESTROYED' then
    raise exception 'A destroyed key stays destroyed.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function vault.refuse_revival() from public;
create trigger stays_destroyed before update on vault.tenant_key for each row execute function vault.refuse_revival();
create trigger stays_destroyed before update on vault.subject_key for each row execute function vault.refuse_revival();
create trigger stays_destroyed before update on vault.lookup_key for each row execute function vault.refuse_revival();
