-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "saml";

-- CreateEnum
CREATE TYPE "saml"."connection_state" AS ENUM ('DRAFT', 'CONFIGURED', 'TESTED', 'ACTIVE', 'ENFORCED', 'ROTATING', 'DISABLED');

-- AlterTable
ALTER TABLE "identity"."session" ADD COLUMN     "second_factor_at" TIMESTAMPTZ(6);

-- CreateTable
CREATE TABLE "identity"."sign_on_rule" (
    "tenant_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "sign_on_rule_pkey" PRIMARY KEY ("tenant_id","connection_id")
);

-- CreateTable
CREATE TABLE "saml"."connection" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "vendor" TEXT NOT NULL DEFAULT 'generic',
    "state" "saml"."connection_state" NOT NULL DEFAULT 'DRAFT',
    "is_enforced" BOOLEAN NOT NULL DEFAULT false,
    "entity_id" TEXT,
    "sso_url" TEXT,
    "sso_binding" TEXT,
    "slo_url" TEXT,
    "slo_binding" TEXT,
    "slo_response_url" TEXT,
    "metadata_url" TEXT,
    "metadata_vouched" BOOLEAN NOT NULL DEFAULT false,
    "metadata_etag" TEXT,
    "metadata_read_at" TIMESTAMPTZ(6),
    "metadata_problem" TEXT,
    "allow_unsolicited" BOOLEAN NOT NULL DEFAULT false,
    "jit_allowed" BOOLEAN NOT NULL DEFAULT false,
    "jit_role" TEXT,
    "email_attribute" TEXT,
    "id_attribute" TEXT,
    "directory_id" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "connection_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "saml"."certificate" (
    "tenant_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "pem" TEXT NOT NULL,
    "not_before" TIMESTAMPTZ(6) NOT NULL,
    "not_after" TIMESTAMPTZ(6) NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'ACTIVE',
    "last_used_at" TIMESTAMPTZ(6),
    "warned_days" INTEGER,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "certificate_pkey" PRIMARY KEY ("tenant_id","connection_id","fingerprint")
);

-- CreateTable
CREATE TABLE "saml"."domain" (
    "tenant_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "domain" TEXT NOT NULL,
    "challenge" TEXT NOT NULL,
    "proven_at" TIMESTAMPTZ(6),
    "proven_by" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "domain_pkey" PRIMARY KEY ("tenant_id","connection_id","domain")
);

-- CreateTable
CREATE TABLE "saml"."rule" (
    "tenant_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "position" INTEGER NOT NULL,
    "attribute" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "authorised_by" UUID,

    CONSTRAINT "rule_pkey" PRIMARY KEY ("tenant_id","connection_id","position")
);

-- CreateTable
CREATE TABLE "saml"."key" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "use" TEXT NOT NULL,
    "certificate" TEXT NOT NULL,
    "private_key" TEXT NOT NULL,
    "active_from" TIMESTAMPTZ(6) NOT NULL,
    "not_after" TIMESTAMPTZ(6) NOT NULL,
    "retire_at" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "key_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "saml"."request" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "purpose" TEXT NOT NULL,
    "plane" TEXT,
    "return_to" TEXT NOT NULL DEFAULT '/',
    "browser_hash" TEXT NOT NULL,
    "session_id" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "answered_at" TIMESTAMPTZ(6),

    CONSTRAINT "request_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "saml"."outcome" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "request_id" UUID,
    "return_to" TEXT NOT NULL DEFAULT '/',
    "ticket_hash" TEXT NOT NULL,
    "browser_hash" TEXT NOT NULL,
    "assertion" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "used_at" TIMESTAMPTZ(6),

    CONSTRAINT "outcome_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "saml"."replay" (
    "tenant_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "assertion_id" TEXT NOT NULL,
    "not_on_or_after" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "replay_pkey" PRIMARY KEY ("tenant_id","connection_id","assertion_id")
);

-- CreateTable
CREATE TABLE "saml"."attempt" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "connection_id" UUID,
    "purpose" TEXT NOT NULL,
    "result" TEXT NOT NULL,
    "reason" TEXT,
    "detail" TEXT,
    "role" TEXT,
    "membership_id" UUID,
    "shown" JSONB,
    "request_id" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "attempt_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "saml"."session" (
    "tenant_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "membership_id" UUID NOT NULL,
    "role" TEXT NOT NULL,
    "name_id" TEXT NOT NULL,
    "name_id_format" TEXT NOT NULL,
    "session_index" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "session_pkey" PRIMARY KEY ("tenant_id","session_id")
);

-- CreateTable
CREATE TABLE "saml"."setup" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "link_hash" TEXT NOT NULL,
    "browser_hash" TEXT,
    "opened_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "created_by" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "revoked_at" TIMESTAMPTZ(6),

    CONSTRAINT "setup_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "saml"."recovery" (
    "tenant_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "code_hash" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "stored_at" TIMESTAMPTZ(6),
    "used_at" TIMESTAMPTZ(6),

    CONSTRAINT "recovery_pkey" PRIMARY KEY ("tenant_id","connection_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "connection_tenant_id_entity_id_key" ON "saml"."connection"("tenant_id", "entity_id");

-- CreateIndex
CREATE INDEX "request_tenant_id_expires_at_idx" ON "saml"."request"("tenant_id", "expires_at");

-- CreateIndex
CREATE INDEX "outcome_tenant_id_expires_at_idx" ON "saml"."outcome"("tenant_id", "expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "outcome_tenant_id_ticket_hash_key" ON "saml"."outcome"("tenant_id", "ticket_hash");

-- CreateIndex
CREATE INDEX "replay_tenant_id_not_on_or_after_idx" ON "saml"."replay"("tenant_id", "not_on_or_after");

-- CreateIndex
CREATE INDEX "attempt_tenant_id_connection_id_created_at_idx" ON "saml"."attempt"("tenant_id", "connection_id", "created_at");

-- CreateIndex
CREATE INDEX "session_tenant_id_connection_id_name_id_idx" ON "saml"."session"("tenant_id", "connection_id", "name_id");

-- CreateIndex
CREATE UNIQUE INDEX "setup_tenant_id_link_hash_key" ON "saml"."setup"("tenant_id", "link_hash");

-- AddForeignKey
ALTER TABLE "saml"."certificate" ADD CONSTRAINT "certificate_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "saml"."domain" ADD CONSTRAINT "domain_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "saml"."rule" ADD CONSTRAINT "rule_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "saml"."request" ADD CONSTRAINT "request_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "saml"."outcome" ADD CONSTRAINT "outcome_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "saml"."replay" ADD CONSTRAINT "replay_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "saml"."attempt" ADD CONSTRAINT "attempt_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "saml"."session" ADD CONSTRAINT "session_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "saml"."setup" ADD CONSTRAINT "setup_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "saml"."recovery" ADD CONSTRAINT "recovery_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "saml"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- 1. Row Level Security.
do $$
declare
  t record;
begin
  for t in
    select n.nspname as space, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and (n.nspname = 'saml' or (n.nspname = 'identity' and c.relname = 'sign_on_rule'))
  loop
    execute format('alter table %I.%I enable row level security', t.space, t.name);
    execute format('alter table %I.%I force row level security', t.space, t.name);
    execute format(
      'create policy tenant on %I.%I using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
      'with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t.space, t.name);
  end loop;
end $$;

-- 2. Grants. The login that signs people in does the work; keys, requests, outcomes and links are its alone. The console's
-- administrators look at connections and attempts; the worker reads metadata anew; a person learns the name she signed in by.
grant usage on schema saml to maristan_auth, maristan_auth_read, maristan_worker, maristan_console, maristan_console_read,
  maristan_clinician_read, maristan_courier_read;
grant select, insert, update on saml.connection, saml.certificate, saml.domain, saml.rule, saml.key, saml.request, saml.outcome,
  saml.attempt, saml.session, saml.setup, saml.recovery to maristan_auth;
grant select, insert on saml.replay to maristan_auth;
grant delete on saml.certificate, saml.domain, saml.rule, saml.request, saml.outcome, saml.replay, saml.attempt, saml.recovery to maristan_auth;
grant select on saml.connection, saml.certificate, saml.domain, saml.rule, saml.key, saml.request, saml.outcome, saml.attempt,
  saml.session, saml.setup, saml.recovery to maristan_auth_read;
grant select on saml.connection, saml.certificate, saml.domain, saml.rule, saml.attempt to maristan_console, maristan_console_read;
grant select on saml.connection, saml.certificate to maristan_worker;
grant update on saml.connection, saml.certificate to maristan_worker;
grant insert on saml.certificate to maristan_worker;
grant select on saml.session to maristan_console_read, maristan_clinician_read, maristan_courier_read;
grant select, insert on identity.sign_on_rule to maristan_auth;
grant delete on identity.sign_on_rule to maristan_auth;

-- 3. Actor policies.
create policy actor on saml.connection as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'tenant_admin');
create policy actor on saml.certificate as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'tenant_admin');
create policy actor on saml.domain as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'tenant_admin');
create policy actor on saml.rule as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'tenant_admin');
create policy actor on saml.attempt as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'tenant_admin');
create policy actor on saml.session as restrictive to maristan_console_read, maristan_clinician_read, maristan_courier_read
  using (membership_id = nullif(current_setting('app.membership_id', true), '')::uuid);

-- 4. What a value must look like, whoever writes it.
alter table saml.key add constraint key_sealed check (private_key like 'v1|%');
alter table saml.key add constraint key_use check (use in ('SIGNING', 'ENCRYPTION'));
alter table saml.outcome add constraint outcome_sealed check (assertion like 'v1|%');
alter table saml.certificate add constraint certificate_state check (state in ('ACTIVE', 'STAGED', 'RETIRED'));
alter table saml.request add constraint request_purpose check (purpose in ('LOGIN', 'TEST', 'STEP_UP', 'LOGOUT'));
alter table saml.request add constraint request_return check (return_to ~ '^/' and return_to !~ '^/[/\\]');
alter table saml.outcome add constraint outcome_return check (return_to ~ '^/' and return_to !~ '^/[/\\]');
alter table saml.rule add constraint rule_role
  check (role in ('care_coordinator', 'clinician', 'caregiver')
    or (role in ('tenant_admin', 'compliance_officer') and authorised_by is not null));
-- Nobody becomes an administrator for want of a rule.
alter table saml.connection add constraint connection_jit_role check (jit_role in ('care_coordinator', 'clinician', 'caregiver'));
alter table saml.connection add constraint connection_enforced check (not is_enforced or state in ('ENFORCED', 'ROTATING'));
-- A connection that signs people in knows with whom.
alter table saml.connection add constraint connection_known check (state in ('DRAFT', 'DISABLED') or entity_id is not null);
