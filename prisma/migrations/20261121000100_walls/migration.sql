-- The walls of the building: logins, Row Level Security, grants, the pre-tenant functions, and what may never change.
-- Every tenant table has one permissive policy `tenant`; tables with personal data have restrictive `actor` policies too.

-- 1. Logins. Their passwords are set by `maristan migrate`; until then nobody can use them.
do $$
declare
  plane text;
  login text;
begin
  foreach plane in array array['console', 'clinician', 'consumer', 'courier', 'seller', 'integrator'] loop
    foreach login in array array['maristan_' || plane, 'maristan_' || plane || '_read'] loop
      if not exists (select from pg_roles where rolname = login) then
        execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit', login);
      end if;
    end loop;
  end loop;
  foreach login in array array['maristan_auth', 'maristan_auth_read', 'maristan_worker', 'maristan_operator'] loop
    if not exists (select from pg_roles where rolname = login) then
      execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit', login);
    end if;
  end loop;
  -- Owner of the pre-tenant functions: nobody can sign in as it.
  if not exists (select from pg_roles where rolname = 'maristan_gate') then
    create role maristan_gate nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit;
  end if;
end $$;

-- Short queries only: bounded time, UTC (the driver adapter needs it), one generic plan, names always qualified.
do $$
declare
  login text;
begin
  for login in select rolname from pg_roles where rolname like 'maristan\_%' and rolcanlogin and rolname <> current_user and rolname <> 'maristan_owner' loop
    execute format('alter role %I set statement_timeout = ''10s''', login);
    execute format('alter role %I set lock_timeout = ''5s''', login);
    execute format('alter role %I set idle_in_transaction_session_timeout = ''15s''', login);
    execute format('alter role %I set timezone = ''UTC''', login);
    execute format('alter role %I set plan_cache_mode = ''force_generic_plan''', login);
    execute format('alter role %I set search_path = ''pg_catalog''', login);
    if login like '%\_read' then
      execute format('alter role %I set default_transaction_read_only = on', login);
    end if;
  end loop;
end $$;

-- 2. Nothing is granted to everybody.
revoke all on schema public from public;
create schema gate;
revoke all on schema gate from public;

-- 3. Row Level Security on every table that has a tenant: no tenant set, no rows.
do $$
declare
  t record;
begin
  for t in
    select n.nspname as space, c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname in ('tenancy', 'identity', 'vault', 'care', 'audit', 'outbox')
  loop
    execute format('alter table %I.%I enable row level security', t.space, t.name);
    execute format('alter table %I.%I force row level security', t.space, t.name);
    if t.name not in ('signing_key', 'platform_key') then
      execute format(
        'create policy tenant on %I.%I using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
        'with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t.space, t.name);
    end if;
  end loop;
end $$;

-- The platform's own keys belong to no tenant: only the login that signs people in sees them.
create policy platform on identity.signing_key to maristan_auth, maristan_auth_read using (true) with check (true);
create policy platform on vault.platform_key to maristan_auth using (true) with check (true);

-- 4. The pre-tenant functions, and the ones that tell a policy whom the caller may reach. Their owner has no power but these
-- column grants; the tenant policy binds it too, except where a policy below names it.
grant usage on schema tenancy, outbox, care to maristan_gate;
grant select (tenant_id, slug, status) on tenancy.tenant to maristan_gate;
create policy gate on tenancy.tenant for select to maristan_gate using (true);
grant select (tenant_id, available_at, processed_at, parked_at) on outbox.event to maristan_gate;
create policy gate on outbox.event for select to maristan_gate using (true);
grant select (tenant_id, id, membership_id, recipient_id) on care.party to maristan_gate;
grant select (tenant_id, from_party_id, to_party_id, legal_guardian, valid_from, valid_to) on care.edge to maristan_gate;

create function gate.tenant_by_slug(wanted text)
  returns table (tenant_id uuid, slug text, status text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select t.tenant_id, t.slug, t.status::text from tenancy.tenant t where t.slug = wanted $$;

create function gate.tenant_by_id(wanted uuid)
  returns table (tenant_id uuid, slug text, status text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select t.tenant_id, t.slug, t.status::text from tenancy.tenant t where t.tenant_id = wanted $$;

create function gate.tenants()
  returns table (tenant_id uuid, slug text, status text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select t.tenant_id, t.slug, t.status::text from tenancy.tenant t order by t.slug $$;

create function gate.tenants_with_due_events(most int)
  returns setof uuid
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select e.tenant_id from outbox.event e
    where e.processed_at is null and e.parked_at is null and e.available_at <= now()
    group by e.tenant_id order by min(e.available_at) limit least(most, 1000)
  $$;

-- Tenants whose jobs run, a page at a time.
create function gate.active_tenants(after uuid, most int)
  returns setof uuid
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select t.tenant_id from tenancy.tenant t
    where t.status::text = 'ACTIVE' and (after is null or t.tenant_id > after)
    order by t.tenant_id limit least(most, 1000)
  $$;

-- How far delivery is behind, over the whole building: two numbers and no tenant.
create function gate.outbox_state()
  returns table (lag_seconds double precision, parked bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select
      (select coalesce(extract(epoch from now() - min(e.available_at)), 0)::double precision from outbox.event e
        where e.processed_at is null and e.parked_at is null and e.available_at <= now()),
      (select count(*) from outbox.event e where e.parked_at is not null)
  $$;

-- Recipients the caller may reach. On the consumer plane: the one I am, or legally represent. Elsewhere: those with whom one
-- live, direct edge connects me. `session_user` is the login itself, so no setting can widen it.
create function gate.my_recipients()
  returns setof uuid
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    me constant uuid := nullif(current_setting('app.membership_id', true), '')::uuid;
    guardians_only constant boolean := session_user like 'maristan\_consumer%' or session_user = 'maristan_auth';
  begin
    return query
      select p.recipient_id from care.party p
      where p.tenant_id = tenant and p.membership_id = me and p.recipient_id is not null
      union
      select r.recipient_id
      from care.party mine
      join care.edge e on e.tenant_id = mine.tenant_id and e.from_party_id = mine.id
      join care.party r on r.tenant_id = e.tenant_id and r.id = e.to_party_id
      where mine.tenant_id = tenant and mine.membership_id = me and r.recipient_id is not null
        and e.valid_from <= now() and (e.valid_to is null or e.valid_to > now())
        and (e.legal_guardian or not guardians_only);
  end $$;

-- Whether the caller may invite somebody on a recipient's behalf: a coordinator for any of the tenant, everybody else for those
-- whom they are or legally represent.
create function gate.may_invite_for(wanted uuid)
  returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  begin
    if current_setting('app.role', true) = 'care_coordinator' then
      return exists (select from care.party p where p.tenant_id = tenant and p.recipient_id = wanted);
    end if;
    return exists (select from gate.my_recipients() mine where mine = wanted);
  end $$;

-- Parties in the care networks of those recipients: everyone from whom live edges lead to one of them.
create function gate.my_parties()
  returns setof uuid
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  begin
    return query
      with recursive network (party) as (
        select p.id from care.party p
        where p.tenant_id = tenant and p.recipient_id in (select gate.my_recipients())
        union
        select e.from_party_id from network join care.edge e on e.tenant_id = tenant and e.to_party_id = network.party
        where e.valid_from <= now() and (e.valid_to is null or e.valid_to > now())
      )
      select party from network;
  end $$;

revoke all on all functions in schema gate from public;
grant usage, create on schema gate to maristan_gate;
grant maristan_gate to current_user;
do $$
declare
  f record;
begin
  for f in select p.oid::regprocedure as signature from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'gate' loop
    execute format('alter function %s owner to maristan_gate', f.signature);
  end loop;
end $$;
revoke create on schema gate from maristan_gate;
revoke maristan_gate from current_user;

grant usage on schema gate to maristan_auth, maristan_worker, maristan_operator,
  maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read;
grant execute on function gate.tenant_by_slug(text), gate.tenant_by_id(uuid) to maristan_auth, maristan_operator;
grant execute on function gate.may_invite_for(uuid) to maristan_auth;
grant execute on function gate.tenants() to maristan_operator;
grant execute on function gate.tenants_with_due_events(int), gate.active_tenants(uuid, int), gate.outbox_state() to maristan_worker;
grant execute on function gate.my_recipients(), gate.my_parties() to
  maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read;

-- 5. Grants, module by module. What is not here does not exist for a login.
grant usage on schema tenancy, identity to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read, maristan_seller, maristan_seller_read, maristan_integrator, maristan_integrator_read,
  maristan_auth, maristan_auth_read, maristan_worker, maristan_operator;
grant select on tenancy.tenant to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read, maristan_seller, maristan_seller_read, maristan_integrator, maristan_integrator_read,
  maristan_auth, maristan_auth_read, maristan_worker, maristan_operator;
grant update on tenancy.tenant to maristan_console, maristan_integrator, maristan_operator;
grant insert on tenancy.tenant to maristan_operator;

grant select on identity.identity, identity.membership to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read, maristan_seller, maristan_seller_read, maristan_integrator, maristan_integrator_read;
grant select on identity.session to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read, maristan_seller, maristan_seller_read;
grant select on identity.invitation to
  maristan_console, maristan_console_read, maristan_seller, maristan_seller_read, maristan_consumer, maristan_consumer_read,
  maristan_integrator, maristan_integrator_read;
grant select on identity.api_token to maristan_console, maristan_console_read, maristan_integrator, maristan_integrator_read;
grant select, insert, update on identity.identity, identity.membership, identity.invitation to maristan_auth, maristan_operator;
grant select, insert, update on identity.credential, identity.totp_device, identity.recovery_code, identity.session,
  identity.one_time_token, identity.api_token, identity.throttle_count, identity.signing_key to maristan_auth;
grant delete on identity.totp_device, identity.recovery_code, identity.throttle_count, identity.one_time_token, identity.signing_key
  to maristan_auth;
grant select on identity.identity, identity.membership, identity.session, identity.invitation, identity.api_token,
  identity.signing_key to maristan_auth_read;
-- The operator sets a first password and never reads one.
grant insert on identity.credential to maristan_operator;
grant select, insert on identity.api_token to maristan_operator;
-- Whether a tenant's first administrator has ever signed in: from then on the operator waits for the tenant's approval.
grant select (tenant_id, id, membership_id) on identity.session to maristan_operator;

grant usage on schema vault to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read, maristan_auth, maristan_worker, maristan_operator;
grant select on vault.tenant_key, vault.subject_key to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read;
grant select, insert on vault.tenant_key to maristan_operator;
grant insert on vault.subject_key to maristan_console, maristan_clinician, maristan_consumer;
grant select, insert on vault.platform_key to maristan_auth;

grant usage on schema care to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read;
grant select on care.recipient, care.party, care.edge, care.consent to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
  maristan_courier, maristan_courier_read;
grant insert, update on care.recipient, care.consent to maristan_console, maristan_consumer;
grant update on care.recipient to maristan_clinician, maristan_courier;
grant insert, update on care.party, care.edge to maristan_console, maristan_clinician, maristan_consumer;

grant usage on schema audit, outbox to
  maristan_console, maristan_clinician, maristan_consumer, maristan_courier, maristan_seller, maristan_integrator,
  maristan_auth, maristan_worker, maristan_operator;
grant insert on audit.event, outbox.event to
  maristan_console, maristan_clinician, maristan_consumer, maristan_courier, maristan_seller, maristan_integrator,
  maristan_auth, maristan_worker, maristan_operator;
grant usage on schema audit to maristan_console_read, maristan_consumer_read, maristan_integrator_read;
grant select on audit.event to maristan_console_read, maristan_consumer_read, maristan_integrator_read;
grant select, update, delete on outbox.event to maristan_worker;

-- Readiness tells whether every migration is applied.
do $$ begin
  if to_regclass('public._prisma_migrations') is not null then
    grant usage on schema public to maristan_auth;
    grant select on public._prisma_migrations to maristan_auth;
  end if;
end $$;

-- 6. Actor policies: personal data, narrowed to whom the caller may see, whatever SQL the plane's login sends.
create policy actor on care.recipient as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) in ('care_coordinator', 'compliance_officer'));
create policy actor on care.party as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) in ('care_coordinator', 'compliance_officer'));
create policy actor on care.edge as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) in ('care_coordinator', 'compliance_officer'));
create policy actor on care.consent as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) in ('care_coordinator', 'compliance_officer'));

create policy actor_network on care.recipient as restrictive
  to maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read
  using (id in (select gate.my_recipients())
    or created_by = nullif(current_setting('app.membership_id', true), '')::uuid);
create policy actor_network on care.party as restrictive
  to maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read
  using (membership_id = nullif(current_setting('app.membership_id', true), '')::uuid
    or created_by = nullif(current_setting('app.membership_id', true), '')::uuid
    or id in (select gate.my_parties()));
create policy actor_network on care.edge as restrictive
  to maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read
  using (to_party_id in (select gate.my_parties()));
create policy actor_network on care.consent as restrictive
  to maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read
  using (recipient_id in (select gate.my_recipients()));

-- Nobody creates an edge that grants something to themselves.
create policy not_to_myself on care.edge as restrictive for insert
  to maristan_console, maristan_clinician, maristan_consumer, maristan_courier
  with check (not exists (select from care.party p
    where p.tenant_id = edge.tenant_id and p.id = edge.from_party_id
      and p.membership_id = nullif(current_setting('app.membership_id', true), '')::uuid));

-- Without the tenant-wide roles of the console, one links others only to recipients whom one reaches.
create policy to_my_recipient on care.edge as restrictive for insert to maristan_clinician, maristan_consumer, maristan_courier
  with check (exists (select from care.party p
    where p.tenant_id = edge.tenant_id and p.id = edge.to_party_id and p.recipient_id in (select gate.my_recipients())));

create policy actor on identity.membership as restrictive
  to maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read
  using (id = nullif(current_setting('app.membership_id', true), '')::uuid);
create policy actor_org on identity.membership as restrictive to maristan_seller, maristan_seller_read
  using (id = nullif(current_setting('app.membership_id', true), '')::uuid
    or provider_org_id = nullif(current_setting('app.provider_org_id', true), '')::uuid);
-- The memberships that the caller sees decide which people it sees.
create policy actor on identity.identity as restrictive
  to maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read,
    maristan_seller, maristan_seller_read
  using (id in (select m.identity_id from identity.membership m));
create policy actor on identity.session as restrictive
  to maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read,
    maristan_courier, maristan_courier_read, maristan_seller, maristan_seller_read
  using (membership_id = nullif(current_setting('app.membership_id', true), '')::uuid);
create policy actor on identity.invitation as restrictive to maristan_consumer, maristan_consumer_read
  using (invited_by = nullif(current_setting('app.membership_id', true), '')::uuid);
create policy actor_org on identity.invitation as restrictive to maristan_seller, maristan_seller_read
  using (provider_org_id = nullif(current_setting('app.provider_org_id', true), '')::uuid);

create policy actor on audit.event as restrictive for select to maristan_consumer_read
  using (subject_id in (select gate.my_recipients()));
create policy actor_role on audit.event as restrictive for select to maristan_console_read, maristan_integrator_read
  using (current_setting('app.role', true) in ('tenant_admin', 'compliance_officer'));

-- 7. The audit trail is written once. Grants say so; the trigger says so to the owner too.
create function audit.refuse_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'The audit trail is append-only: % is refused.', tg_op using errcode = 'insufficient_privilege';
end $$;
revoke all on function audit.refuse_change() from public;
create trigger append_only before update or delete or truncate on audit.event
  for each statement execute function audit.refuse_change();

-- 8. What a value must look like, whoever writes it.
alter table care.recipient add constraint recipient_phi_sealed check (phi like 'v1|%');
alter table care.party add constraint party_phi_sealed check (phi like 'v1|%');
alter table care.party add constraint party_recipient_kind check ((kind = 'RECIPIENT') = (recipient_id is not null));
alter table care.recipient add constraint recipient_birth_year check (birth_year between 1850 and 2200);
alter table care.recipient add constraint recipient_area check (area_geohash5 ~ '^[0-9b-hjkmnp-z]{5}$');
alter table care.edge add constraint edge_not_to_itself check (from_party_id <> to_party_id);
-- An edge that ends before it begins was never live: an empty period.
alter table care.edge add constraint edge_period check (valid_to is null or valid_to >= valid_from);
-- The policies let every live edge show the record, so every edge says VIEW.
alter table care.edge add constraint edge_capabilities
  check (capabilities <@ array['VIEW', 'PHI', 'EDIT', 'MANAGE'] and 'VIEW' = any(capabilities));
-- A member is at most one recipient.
create unique index party_recipient_member_key on care.party (tenant_id, membership_id) where recipient_id is not null;
-- What an edge grants never changes: it is ended, sooner than it said, and another is made.
create function care.refuse_more() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if to_jsonb(new) - array['valid_to', 'updated_at', 'version'] <> to_jsonb(old) - array['valid_to', 'updated_at', 'version']
    or new.valid_to is null or new.valid_to > coalesce(old.valid_to, 'infinity') then
    raise exception 'An edge is only ever ended.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function care.refuse_more() from public;
create trigger only_ends before update on care.edge for each row execute function care.refuse_more();
-- Which member and which recipient a party is never changes: whoever could change it would take over what its edges grant.
create function care.refuse_other() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if to_jsonb(new) - array['phi', 'updated_at', 'version'] <> to_jsonb(old) - array['phi', 'updated_at', 'version'] then
    raise exception 'A party stays who it is.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function care.refuse_other() from public;
create trigger stays_itself before update on care.party for each row execute function care.refuse_other();
alter table identity.totp_device add constraint totp_secret_sealed check (secret like 'v1|%');
alter table identity.totp_device add constraint totp_pending_sealed check (pending_secret like 'v1|%');
alter table identity.signing_key add constraint signing_key_sealed check (private_jwk like 'v1|%');
alter table identity.identity add constraint identity_email_form check (email = lower(email) and length(email) between 3 and 320);
alter table identity.membership add constraint membership_plane
  check (plane in ('console', 'clinician', 'consumer', 'courier', 'seller'));
alter table tenancy.tenant add constraint tenant_slug_form check (slug ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$');

-- One membership a person, role and organisation, an absent organisation included. An ended one stays as history.
drop index identity.membership_identity_role_org_key;
create unique index membership_identity_role_org_key on identity.membership (tenant_id, identity_id, role, provider_org_id)
  nulls not distinct where status <> 'ENDED';
-- What is still to be delivered, in order.
create index event_due_idx on outbox.event (available_at, tenant_id) where processed_at is null and parked_at is null;
create index event_order_idx on outbox.event (tenant_id, aggregate_id, at, id) where processed_at is null and parked_at is null;
create index event_parked_idx on outbox.event (tenant_id, parked_at) where parked_at is not null;
create index event_processed_idx on outbox.event (tenant_id, processed_at) where processed_at is not null;
