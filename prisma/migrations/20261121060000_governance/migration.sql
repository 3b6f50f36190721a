-- The review queue (hitl) and emergency access (emergency), with their walls.
create schema hitl;
create schema emergency;
revoke all on schema hitl, emergency from public;

create type hitl.review_risk as enum ('LOW', 'MEDIUM', 'HIGH');
create type hitl.review_state as enum ('PENDING', 'CLAIMED', 'ESCALATED', 'APPROVED', 'REJECTED', 'EDITED', 'EXPIRED', 'EXECUTED', 'STALE');
create type hitl.review_verdict as enum ('APPROVE', 'REJECT', 'EDIT');

create table hitl.review_item (
  tenant_id uuid not null,
  id uuid not null,
  kind text not null,
  subject_type text not null,
  subject_id uuid not null,
  recipient_id uuid not null,
  subject_digest text not null,
  risk hitl.review_risk not null,
  state hitl.review_state not null default 'PENDING',
  claimed_by uuid,
  claim_expires_at timestamptz(6),
  requested_by uuid,
  sla_at timestamptz(6) not null,
  expires_at timestamptz(6),
  quorum integer not null default 1,
  created_at timestamptz(6) not null default current_timestamp,
  updated_at timestamptz(6) not null default current_timestamp,
  version integer not null default 1,
  constraint review_item_pkey primary key (tenant_id, id),
  constraint review_item_quorum check (quorum between 1 and 5),
  -- Whoever asked never decides, not even by taking the item up.
  constraint review_item_other_person check (claimed_by is null or requested_by is null or claimed_by <> requested_by)
);
create unique index review_item_tenant_id_kind_subject_id_key on hitl.review_item (tenant_id, kind, subject_id);
create index review_item_tenant_id_state_sla_at_idx on hitl.review_item (tenant_id, state, sla_at);

create table hitl.review_decision (
  tenant_id uuid not null,
  id uuid not null,
  item_id uuid not null,
  reviewer_id uuid not null,
  verdict hitl.review_verdict not null,
  phi text not null,
  created_at timestamptz(6) not null default current_timestamp,
  constraint review_decision_pkey primary key (tenant_id, id),
  constraint review_decision_phi_sealed check (phi like 'v1|%'),
  constraint review_decision_tenant_id_item_id_fkey foreign key (tenant_id, item_id)
    references hitl.review_item (tenant_id, id) on delete restrict on update cascade
);
create unique index review_decision_tenant_id_item_id_reviewer_id_key on hitl.review_decision (tenant_id, item_id, reviewer_id);

create table emergency.break_glass_grant (
  tenant_id uuid not null,
  id uuid not null,
  recipient_id uuid not null,
  membership_id uuid not null,
  phi text not null,
  created_at timestamptz(6) not null default current_timestamp,
  expires_at timestamptz(6) not null,
  ended_at timestamptz(6),
  review_item_id uuid not null,
  constraint break_glass_grant_pkey primary key (tenant_id, id),
  constraint break_glass_grant_phi_sealed check (phi like 'v1|%'),
  constraint break_glass_grant_an_hour_at_most check (expires_at >= created_at and expires_at <= created_at + interval '60 minutes'),
  constraint break_glass_grant_ended check (ended_at is null or ended_at between created_at and expires_at)
);
create index break_glass_grant_tenant_id_membership_id_expires_at_idx on emergency.break_glass_grant (tenant_id, membership_id, expires_at);
create index break_glass_grant_tenant_id_recipient_id_idx on emergency.break_glass_grant (tenant_id, recipient_id);

do $$
declare
  t text;
begin
  foreach t in array array['hitl.review_item', 'hitl.review_decision', 'emergency.break_glass_grant'] loop
    execute format('alter table %s enable row level security', t);
    execute format('alter table %s force row level security', t);
    execute format(
      'create policy tenant on %s using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
      'with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);
  end loop;
end $$;

grant usage on schema hitl to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_auth, maristan_worker;
grant select on hitl.review_item, hitl.review_decision to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read;
grant update on hitl.review_item to maristan_console, maristan_clinician, maristan_worker;
grant select on hitl.review_item to maristan_worker;
grant insert on hitl.review_decision to maristan_console, maristan_clinician;
-- Emergency access and its review are made together with the check of the second factor, by the login that checks it and no other:
-- what a plane's own login sends can never open a record to itself.
grant select, insert on hitl.review_item to maristan_auth;
grant usage on schema emergency to
  maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read, maristan_auth;
grant select on emergency.break_glass_grant to maristan_console, maristan_console_read, maristan_clinician, maristan_clinician_read;
grant update on emergency.break_glass_grant to maristan_console, maristan_clinician;
grant select, insert on emergency.break_glass_grant to maristan_auth;
-- What the reason is sealed with.
grant select on vault.tenant_key, vault.subject_key to maristan_auth;

create policy actor on hitl.review_item as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) in ('compliance_officer', 'care_coordinator'));
create policy actor_network on hitl.review_item as restrictive to maristan_clinician, maristan_clinician_read
  using (recipient_id in (select gate.my_recipients()) or requested_by = nullif(current_setting('app.membership_id', true), '')::uuid);
create policy actor on hitl.review_decision as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) in ('compliance_officer', 'care_coordinator'));
-- The items that the caller sees decide which verdicts it sees.
create policy actor_network on hitl.review_decision as restrictive to maristan_clinician, maristan_clinician_read
  using (item_id in (select i.id from hitl.review_item i));
create policy own_verdict on hitl.review_decision as restrictive for insert to maristan_console, maristan_clinician
  with check (reviewer_id = nullif(current_setting('app.membership_id', true), '')::uuid);
create policy actor on emergency.break_glass_grant as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'compliance_officer');
create policy actor_own on emergency.break_glass_grant as restrictive to maristan_clinician, maristan_clinician_read
  using (membership_id = nullif(current_setting('app.membership_id', true), '')::uuid);

-- A grant is only ever ended, sooner than it said, by whoever holds it.
create function emergency.refuse_more() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if to_jsonb(new) - 'ended_at' <> to_jsonb(old) - 'ended_at'
    or (old.ended_at is not null and new.ended_at is distinct from old.ended_at) then
    raise exception 'Emergency access is only ever ended.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function emergency.refuse_more() from public;
create trigger only_ends before update on emergency.break_glass_grant for each row execute function emergency.refuse_more();

-- What is asked for never changes, and a verdict is final; an item only moves on.
create function hitl.refuse_other() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if to_jsonb(new) - array['state', 'claimed_by', 'claim_expires_at', 'updated_at', 'version']
      <> to_jsonb(old) - array['state', 'claimed_by', 'claim_expires_at', 'updated_at', 'version']
    or old.state in ('REJECTED', 'EXPIRED', 'EXECUTED', 'STALE') then
    raise exception 'A review only moves on, and a closed one not at all.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function hitl.refuse_other() from public;
create trigger moves_on before update on hitl.review_item for each row execute function hitl.refuse_other();

-- Recipients whose record an emergency opens to the caller now.
grant usage on schema emergency to maristan_gate;
grant select (tenant_id, recipient_id, membership_id, expires_at, ended_at) on emergency.break_glass_grant to maristan_gate;
grant maristan_gate to current_user;
grant create on schema gate to maristan_gate;
create function gate.my_emergencies()
  returns setof uuid
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    return query
      select g.recipient_id from emergency.break_glass_grant g
      where g.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and g.membership_id = nullif(current_setting('app.membership_id', true), '')::uuid
        and g.ended_at is null and g.expires_at > now();
  end $$;
alter function gate.my_emergencies() owner to maristan_gate;

-- As before, and on the clinician plane also those whom an emergency opens.
create or replace function gate.my_recipients()
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
        and (e.legal_guardian or not guardians_only)
      union
      select emergency from gate.my_emergencies() emergency where session_user like 'maristan\_clinician%';
  end $$;

-- Whether there is such a recipient in the caller's tenant: what an emergency opens has to exist, though the caller cannot see it yet.
create function gate.recipient_exists(wanted uuid)
  returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select exists (select from care.party p
      where p.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid and p.recipient_id = wanted)
  $$;
alter function gate.recipient_exists(uuid) owner to maristan_gate;
revoke all on function gate.my_emergencies(), gate.recipient_exists(uuid) from public;
revoke create on schema gate from maristan_gate;
revoke maristan_gate from current_user;
grant execute on function gate.recipient_exists(uuid) to maristan_auth;
grant execute on function gate.my_emergencies() to
  maristan_clinician, maristan_clinician_read, maristan_consumer, maristan_consumer_read, maristan_courier, maristan_courier_read;

-- Whoever has to review is told: the worker finds their addresses, and which emergency an overdue review is about.
grant usage on schema emergency to maristan_worker;
grant select on emergency.break_glass_grant to maristan_worker;
grant select on identity.identity, identity.membership to maristan_worker;
