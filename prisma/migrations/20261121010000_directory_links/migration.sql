-- Directories (SCIM, SAML): which memberships a connection may touch, and a database login that can do that and nothing else.

create type identity.directory_source as enum ('SCIM', 'SAML');
create type identity.link_origin as enum ('PROVISIONED', 'LINKED');

create table identity.directory_link (
  tenant_id uuid not null,
  connection_id uuid not null,
  membership_id uuid not null,
  source identity.directory_source not null,
  origin identity.link_origin not null,
  external_id text,
  cut_at timestamptz(6),
  created_at timestamptz(6) not null default current_timestamp,
  constraint directory_link_pkey primary key (tenant_id, connection_id, membership_id),
  constraint directory_link_tenant_id_membership_id_fkey foreign key (tenant_id, membership_id)
    references identity.membership (tenant_id, id) on delete restrict on update cascade
);
create unique index directory_link_tenant_id_connection_id_external_id_key
  on identity.directory_link (tenant_id, connection_id, external_id);
create index directory_link_tenant_id_membership_id_idx on identity.directory_link (tenant_id, membership_id);

alter table identity.api_token add column flagged_at timestamptz(6);

-- What a cut looks up, whatever the tenant's size.
create index membership_identity_idx on identity.membership (tenant_id, identity_id);
create index api_token_creator_idx on identity.api_token (tenant_id, created_by) where created_by is not null;

-- 1. The logins of directories. Their passwords are set by `maristan migrate`.
do $$
declare
  login text;
begin
  foreach login in array array['maristan_directory', 'maristan_directory_read'] loop
    if not exists (select from pg_roles where rolname = login) then
      execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit', login);
    end if;
    execute format('alter role %I set statement_timeout = ''10s''', login);
    execute format('alter role %I set lock_timeout = ''5s''', login);
    execute format('alter role %I set idle_in_transaction_session_timeout = ''15s''', login);
    execute format('alter role %I set timezone = ''UTC''', login);
    execute format('alter role %I set plan_cache_mode = ''force_generic_plan''', login);
    execute format('alter role %I set search_path = ''pg_catalog''', login);
  end loop;
  alter role maristan_directory_read set default_transaction_read_only = on;
end $$;

-- 2. Row Level Security.
alter table identity.directory_link enable row level security;
alter table identity.directory_link force row level security;
create policy tenant on identity.directory_link
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
-- A directory never reaches the consumer's and the seller's plane, whatever SQL it sends.
create policy directory_planes on identity.membership as restrictive to maristan_directory, maristan_directory_read
  using (plane in ('console', 'clinician', 'courier')) with check (plane in ('console', 'clinician', 'courier'));
create policy directory_planes on identity.session as restrictive to maristan_directory, maristan_directory_read
  using (plane in ('console', 'clinician', 'courier')) with check (plane in ('console', 'clinician', 'courier'));

-- 3. Grants. Of sessions, tokens and letters a directory sees when they end and ends them; never what signs anybody in.
grant usage on schema tenancy, identity to maristan_directory, maristan_directory_read;
grant select on tenancy.tenant to maristan_directory, maristan_directory_read;
grant select on identity.identity, identity.membership, identity.directory_link to maristan_directory, maristan_directory_read;
grant insert on identity.identity to maristan_directory;
grant insert, update on identity.membership, identity.directory_link to maristan_directory;
grant select (tenant_id, id, membership_id, plane, expires_at, revoked_at) on identity.session to maristan_directory;
grant update (revoked_at, revoked_reason) on identity.session to maristan_directory;
grant select (tenant_id, id, created_by, revoked_at, expires_at, flagged_at), update (flagged_at)
  on identity.api_token to maristan_directory;
grant select (tenant_id, id, email, role, provider_org_id, state, version), update (state, version, updated_at)
  on identity.invitation to maristan_directory;
grant usage on schema audit, outbox to maristan_directory;
grant insert on audit.event, outbox.event to maristan_directory;

-- The login that signs people in links, and provisions whom a SAML assertion brings; the console and the operator look.
grant select, insert, update on identity.directory_link to maristan_auth;
grant select on identity.directory_link to maristan_auth_read, maristan_console, maristan_console_read, maristan_operator;
