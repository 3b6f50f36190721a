-- Lookup on sealed data: keyed hashes beside the parties, computed under the tenant's lookup key.

create type care.lookup_state as enum ('MEASURED', 'BUILDING', 'ON');
create type care.index_phase as enum ('BUILDING', 'VERIFYING', 'DONE');

create table care.blind_index (
  tenant_id uuid not null,
  party_id uuid not null,
  field text not null,
  generation integer not null,
  token text not null,
  constraint blind_index_pkey primary key (tenant_id, field, generation, token, party_id),
  constraint blind_index_field check (field in ('mrn', 'nationalId', 'phone', 'name')),
  constraint blind_index_tenant_id_party_id_fkey foreign key (tenant_id, party_id)
    references care.party (tenant_id, id) on delete restrict on update restrict
);
create index blind_index_tenant_id_party_id_idx on care.blind_index (tenant_id, party_id);

create table care.lookup_field (
  tenant_id uuid not null,
  field text not null,
  state care.lookup_state not null default 'MEASURED',
  records integer not null,
  filled integer not null,
  distinct_values integer not null,
  top_count integer not null,
  measured_at timestamptz(6) not null default current_timestamp,
  constraint lookup_field_pkey primary key (tenant_id, field),
  constraint lookup_field_field check (field in ('mrn', 'nationalId', 'phone', 'name'))
);

create table care.index_run (
  tenant_id uuid not null,
  id uuid not null,
  phase care.index_phase not null default 'BUILDING',
  cursor uuid,
  done integer not null default 0,
  mended integer not null default 0,
  created_at timestamptz(6) not null default current_timestamp,
  finished_at timestamptz(6),
  constraint index_run_pkey primary key (tenant_id, id)
);
create unique index index_run_running_key on care.index_run (tenant_id) where phase <> 'DONE';

do $$
declare
  t text;
begin
  foreach t in array array['blind_index', 'lookup_field', 'index_run'] loop
    execute format('alter table care.%I enable row level security', t);
    execute format('alter table care.%I force row level security', t);
    execute format(
      'create policy tenant on care.%I using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
      'with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);
  end loop;
end $$;

grant select, insert, delete on care.blind_index to maristan_console, maristan_clinician, maristan_consumer, maristan_courier;
grant select on care.blind_index to maristan_console_read, maristan_clinician_read, maristan_consumer_read, maristan_courier_read;
grant select on care.lookup_field to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read;

-- Indexes are measured, built and verified in the background, which opens every record for it; erasure happens there too.
grant usage on schema care to maristan_worker;
grant select, update on care.recipient, care.party to maristan_worker;
grant select, insert, delete on care.blind_index to maristan_worker;
grant select, insert, update on care.lookup_field, care.index_run to maristan_worker;

-- An index row says something of a sealed value: it is seen by those who see the party, on the console by those who open its values.
create policy actor on care.blind_index as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'care_coordinator');
create policy actor_network on care.blind_index as restrictive
  to maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read
  using (party_id in (select p.id from care.party p));
