-- Legal holds, and a tenant's custody. See infra/decisions/0024-custody.md.
create schema custody;
revoke all on schema custody from public;

create type custody.hold_basis as enum ('LITIGATION', 'INVESTIGATION', 'REGULATOR');
create type custody.offboarding_state as enum ('WAITING', 'CLOSED', 'EXPORTED', 'SHREDDING', 'SWEPT', 'DONE', 'CANCELLED');
alter type tenancy.tenant_status add value 'LEFT';

create table custody.legal_hold (
  tenant_id uuid not null,
  id uuid not null,
  -- Null: the whole tenant.
  recipient_id uuid,
  basis custody.hold_basis not null,
  -- A file number, never a sentence: who is meant stands in the recipient's id.
  reference text not null,
  placed_by uuid not null,
  placed_at timestamptz(6) not null default current_timestamp,
  lifted_by uuid,
  lifted_at timestamptz(6),
  constraint legal_hold_pkey primary key (tenant_id, id),
  constraint legal_hold_reference check (reference ~ '^[A-Za-z0-9][A-Za-z0-9 ./_-]{0,63}$'),
  constraint legal_hold_lifted check ((lifted_at is null) = (lifted_by is null))
);
create index legal_hold_tenant_id_recipient_id_idx on custody.legal_hold (tenant_id, recipient_id);

create table custody.offboarding (
  tenant_id uuid not null,
  id uuid not null,
  state custody.offboarding_state not null default 'WAITING',
  reason text not null,
  -- X25519, PEM: what the export is sealed to. It comes with the request, so that nobody else chooses it.
  export_key text not null,
  asked_by uuid not null,
  asked_at timestamptz(6) not null default current_timestamp,
  due_at timestamptz(6) not null,
  closed_by text,
  closed_at timestamptz(6),
  ended_by text,
  ended_at timestamptz(6),
  -- What was done so far: names, counts and digests.
  facts jsonb not null default '{}',
  -- Signed; the last thing that is written.
  certificate text,
  constraint offboarding_pkey primary key (tenant_id, id),
  constraint offboarding_waits check (due_at >= asked_at)
);
create unique index offboarding_one_at_a_time_key on custody.offboarding (tenant_id) where state not in ('DONE', 'CANCELLED');

do $$
declare
  t text;
begin
  foreach t in array array['legal_hold', 'offboarding'] loop
    execute format('alter table custody.%I enable row level security', t);
    execute format('alter table custody.%I force row level security', t);
    execute format(
      'create policy tenant on custody.%I using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
      'with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t);
  end loop;
end $$;

grant usage on schema custody to maristan_console, maristan_console_read, maristan_auth, maristan_operator, maristan_worker;
grant select on custody.legal_hold, custody.offboarding to maristan_console, maristan_console_read, maristan_auth, maristan_operator, maristan_worker;
grant insert on custody.legal_hold to maristan_console;
grant update (lifted_by, lifted_at) on custody.legal_hold to maristan_console;
-- Asking is one transaction with the check of the second factor, on the login that checks it; the console can only take it back.
grant insert on custody.offboarding to maristan_auth;
grant update (state, ended_by, ended_at) on custody.offboarding to maristan_console;
grant update on custody.offboarding to maristan_operator;

create policy actor on custody.legal_hold as restrictive for select to maristan_console, maristan_console_read
  using (current_setting('app.role', true) in ('tenant_admin', 'compliance_officer'));
create policy actor_places on custody.legal_hold as restrictive for insert to maristan_console
  with check (current_setting('app.role', true) = 'compliance_officer'
    and placed_by = nullif(current_setting('app.membership_id', true), '')::uuid);
create policy actor_lifts on custody.legal_hold as restrictive for update to maristan_console
  using (current_setting('app.role', true) = 'compliance_officer');
create policy actor on custody.offboarding as restrictive for select to maristan_console, maristan_console_read
  using (current_setting('app.role', true) in ('tenant_admin', 'compliance_officer', 'care_coordinator'));
create policy actor_asks on custody.offboarding as restrictive for insert to maristan_auth
  with check (asked_by = nullif(current_setting('app.membership_id', true), '')::uuid);
create policy actor_cancels on custody.offboarding as restrictive for update to maristan_console
  using (current_setting('app.role', true) = 'tenant_admin' and state = 'WAITING') with check (state = 'CANCELLED');

-- A hold is only ever lifted, once; an offboarding only moves on, not before its time, and not past a hold.
create function custody.only_lifted() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.lifted_at is not null or to_jsonb(new) - array['lifted_by', 'lifted_at'] <> to_jsonb(old) - array['lifted_by', 'lifted_at'] then
    raise exception 'A legal hold is only ever lifted.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger only_lifted before update on custody.legal_hold for each row execute function custody.only_lifted();

create function custody.moves_on() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  asked constant text[] := array['tenant_id', 'id', 'reason', 'export_key', 'asked_by', 'asked_at', 'due_at'];
begin
  if new is not distinct from old then
    return new;
  end if;
  if (select jsonb_object_agg(key, value) from jsonb_each(to_jsonb(new)) where key = any(asked))
      <> (select jsonb_object_agg(key, value) from jsonb_each(to_jsonb(old)) where key = any(asked))
    or (old.state, new.state) not in (('WAITING', 'CLOSED'), ('CLOSED', 'EXPORTED'), ('EXPORTED', 'SHREDDING'), ('SHREDDING', 'SWEPT'),
      ('SWEPT', 'DONE'), ('WAITING', 'CANCELLED'), ('CLOSED', 'CANCELLED'), ('EXPORTED', 'CANCELLED')) then
    raise exception 'An offboarding only moves on, step by step.' using errcode = 'insufficient_privilege';
  end if;
  if new.state = 'CLOSED' and now() < old.due_at then
    raise exception 'The waiting period is not over.' using errcode = 'insufficient_privilege';
  end if;
  if new.state in ('CLOSED', 'EXPORTED', 'SHREDDING')
    and exists (select from custody.legal_hold h where h.tenant_id = new.tenant_id and h.lifted_at is null) then
    raise exception 'A legal hold is in force.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger moves_on before update on custody.offboarding for each row execute function custody.moves_on();
revoke all on function custody.only_lifted(), custody.moves_on() from public;

-- A tenant that left does not come back.
create function tenancy.refuse_return() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.status::text = 'LEFT' then
    raise exception 'A tenant that left stays away.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function tenancy.refuse_return() from public;
create trigger stays_away before update on tenancy.tenant for each row execute function tenancy.refuse_return();

-- The certificate of a person's erasure, signed once the chain holds the erasure itself.
alter table vault.erasure_certificate add column document text;
grant update on vault.erasure_certificate to maristan_worker;
create function vault.only_signed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.document is not null or to_jsonb(new) - 'document' <> to_jsonb(old) - 'document' then
    raise exception 'A certificate is signed once and never changed.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function vault.only_signed() from public;
create trigger only_signed before update on vault.erasure_certificate for each row execute function vault.only_signed();

-- No key of a held person is destroyed, by whatever statement. Placing a hold and destroying a key take turns.
-- Whether there is such a recipient: whoever holds a record need not see it.
grant usage on schema gate to maristan_console;
grant execute on function gate.recipient_exists(uuid) to maristan_console;

create function custody.take_turns() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('maristan hold ' || new.tenant_id, 0));
  return new;
end $$;
create trigger take_turns before insert on custody.legal_hold for each row execute function custody.take_turns();

create function vault.refuse_held() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('maristan hold ' || new.tenant_id, 0));
  -- Whoever may change the row sees the holds of its tenant.
  if exists (select from custody.legal_hold h
    where h.tenant_id = new.tenant_id and h.lifted_at is null and (h.recipient_id is null or h.recipient_id = new.subject_id)) then
    raise exception 'A legal hold is in force.' using errcode = 'ML001';
  end if;
  return new;
end $$;
create trigger held before update on vault.subject_key for each row
  when (new.state = 'DESTROYED' and old.state <> 'DESTROYED') execute function vault.refuse_held();
revoke all on function custody.take_turns(), vault.refuse_held() from public;
