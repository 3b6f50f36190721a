-- SCIM (RFC 7643, RFC 7644): connections with their tokens, what directories sent, which groups mean which role, what was cut, and the
-- flight recorder. What a directory sends is about staff; the tenant's administrators see it, and the directory's own login.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "scim";

-- CreateEnum
CREATE TYPE "scim"."rule_match" AS ENUM ('DISPLAY_NAME', 'EXTERNAL_ID');

-- CreateTable
CREATE TABLE "scim"."connection" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "mass_change_at" INTEGER NOT NULL DEFAULT 20,
    "flagged_at" TIMESTAMPTZ(6),
    "flagged_changes" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "connection_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "scim"."token" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(6),
    "last_used_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "token_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "scim"."user" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "user_name" TEXT NOT NULL,
    "user_name_key" TEXT NOT NULL,
    "external_id" TEXT,
    "active" BOOLEAN NOT NULL,
    "membership_id" UUID,
    "standing" TEXT NOT NULL DEFAULT 'NEW',
    "attributes" JSONB NOT NULL,
    "search" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "user_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "scim"."user_value" (
    "tenant_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "path" TEXT NOT NULL,
    "key" TEXT NOT NULL,

    CONSTRAINT "user_value_pkey" PRIMARY KEY ("tenant_id","connection_id","path","key","user_id")
);

-- CreateTable
CREATE TABLE "scim"."group" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "display_name" TEXT NOT NULL,
    "display_name_key" TEXT NOT NULL,
    "external_id" TEXT,
    "attributes" JSONB NOT NULL,
    "search" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "group_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "scim"."group_member" (
    "tenant_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "group_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,

    CONSTRAINT "group_member_pkey" PRIMARY KEY ("tenant_id","group_id","user_id")
);

-- CreateTable
CREATE TABLE "scim"."role_rule" (
    "tenant_id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "position" INTEGER NOT NULL,
    "match" "scim"."rule_match" NOT NULL,
    "value" TEXT NOT NULL,
    "value_key" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "authorised_by" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "role_rule_pkey" PRIMARY KEY ("tenant_id","connection_id","position")
);

-- CreateTable
CREATE TABLE "scim"."receipt" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "user_name" TEXT NOT NULL,
    "membership_id" UUID NOT NULL,
    "cause" TEXT NOT NULL,
    "sessions" INTEGER NOT NULL,
    "invitations" INTEGER NOT NULL,
    "flagged_tokens" INTEGER NOT NULL,
    "was_last_admin" BOOLEAN NOT NULL,
    "request_id" TEXT NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "receipt_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "scim"."exchange" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "connection_id" UUID NOT NULL,
    "token_id" UUID NOT NULL,
    "request_id" TEXT NOT NULL,
    "method" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "query" TEXT NOT NULL DEFAULT '',
    "status" INTEGER NOT NULL,
    "scim_type" TEXT,
    "duration_ms" DOUBLE PRECISION NOT NULL,
    "body" JSONB,
    "detail" TEXT,
    "at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "exchange_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "connection_tenant_id_name_key" ON "scim"."connection"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "token_tenant_id_connection_id_idx" ON "scim"."token"("tenant_id", "connection_id");

-- CreateIndex
CREATE UNIQUE INDEX "token_tenant_id_hash_key" ON "scim"."token"("tenant_id", "hash");

-- CreateIndex
CREATE UNIQUE INDEX "user_tenant_id_connection_id_id_key" ON "scim"."user"("tenant_id", "connection_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "user_tenant_id_connection_id_user_name_key_key" ON "scim"."user"("tenant_id", "connection_id", "user_name_key");

-- CreateIndex
CREATE UNIQUE INDEX "user_tenant_id_connection_id_external_id_key" ON "scim"."user"("tenant_id", "connection_id", "external_id");

-- CreateIndex
CREATE UNIQUE INDEX "user_tenant_id_connection_id_membership_id_key" ON "scim"."user"("tenant_id", "connection_id", "membership_id");

-- CreateIndex
CREATE INDEX "user_value_tenant_id_connection_id_user_id_idx" ON "scim"."user_value"("tenant_id", "connection_id", "user_id");

-- CreateIndex
CREATE INDEX "group_tenant_id_connection_id_display_name_key_idx" ON "scim"."group"("tenant_id", "connection_id", "display_name_key");

-- CreateIndex
CREATE INDEX "group_tenant_id_connection_id_external_id_idx" ON "scim"."group"("tenant_id", "connection_id", "external_id");

-- CreateIndex
CREATE UNIQUE INDEX "group_tenant_id_connection_id_id_key" ON "scim"."group"("tenant_id", "connection_id", "id");

-- CreateIndex
CREATE INDEX "group_member_tenant_id_user_id_group_id_idx" ON "scim"."group_member"("tenant_id", "user_id", "group_id");

-- CreateIndex
CREATE INDEX "receipt_tenant_id_connection_id_at_idx" ON "scim"."receipt"("tenant_id", "connection_id", "at");

-- CreateIndex
CREATE INDEX "exchange_tenant_id_connection_id_id_idx" ON "scim"."exchange"("tenant_id", "connection_id", "id");

-- AddForeignKey
ALTER TABLE "scim"."token" ADD CONSTRAINT "token_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "scim"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "scim"."user" ADD CONSTRAINT "user_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "scim"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "scim"."user_value" ADD CONSTRAINT "user_value_tenant_id_connection_id_user_id_fkey" FOREIGN KEY ("tenant_id", "connection_id", "user_id") REFERENCES "scim"."user"("tenant_id", "connection_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "scim"."group" ADD CONSTRAINT "group_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "scim"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "scim"."group_member" ADD CONSTRAINT "group_member_tenant_id_connection_id_group_id_fkey" FOREIGN KEY ("tenant_id", "connection_id", "group_id") REFERENCES "scim"."group"("tenant_id", "connection_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "scim"."group_member" ADD CONSTRAINT "group_member_tenant_id_connection_id_user_id_fkey" FOREIGN KEY ("tenant_id", "connection_id", "user_id") REFERENCES "scim"."user"("tenant_id", "connection_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "scim"."role_rule" ADD CONSTRAINT "role_rule_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "scim"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "scim"."receipt" ADD CONSTRAINT "receipt_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "scim"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "scim"."exchange" ADD CONSTRAINT "exchange_tenant_id_connection_id_fkey" FOREIGN KEY ("tenant_id", "connection_id") REFERENCES "scim"."connection"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Keys are compared and ordered by code point: they are folded already.
ALTER TABLE "scim"."user" ALTER COLUMN "user_name_key" TYPE text COLLATE "C", ALTER COLUMN "external_id" TYPE text COLLATE "C";
ALTER TABLE "scim"."group" ALTER COLUMN "display_name_key" TYPE text COLLATE "C", ALTER COLUMN "external_id" TYPE text COLLATE "C";
ALTER TABLE "scim"."user_value" ALTER COLUMN "path" TYPE text COLLATE "C", ALTER COLUMN "key" TYPE text COLLATE "C";
ALTER TABLE "scim"."role_rule" ALTER COLUMN "value_key" TYPE text COLLATE "C";

ALTER TABLE "scim"."role_rule" ADD CONSTRAINT "role_rule_role"
  CHECK (role in ('tenant_admin', 'compliance_officer', 'care_coordinator', 'clinician', 'caregiver'));
-- An administrator with a second factor decides on these.
ALTER TABLE "scim"."role_rule" ADD CONSTRAINT "role_rule_authorised"
  CHECK (role not in ('tenant_admin', 'compliance_officer') or authorised_by is not null);
ALTER TABLE "scim"."connection" ADD CONSTRAINT "connection_mass_change" CHECK (mass_change_at between 1 and 100000);

-- Row Level Security.
do $$
declare
  t record;
begin
  for t in select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname = 'scim' loop
    execute format('alter table scim.%I enable row level security', t.name);
    execute format('alter table scim.%I force row level security', t.name);
    execute format(
      'create policy tenant on scim.%I using (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
      'with check (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', t.name);
    execute format(
      'create policy actor on scim.%I as restrictive to maristan_console, maristan_console_read '
      'using (current_setting(''app.role'', true) = ''tenant_admin'')', t.name);
  end loop;
end $$;

-- Grants. A directory's login never sees a token's hash: tokens are looked up where credentials are.
grant usage on schema scim to maristan_directory, maristan_directory_read, maristan_auth, maristan_auth_read, maristan_console,
  maristan_console_read, maristan_operator;
grant select on scim.connection, scim."user", scim.user_value, scim."group", scim.group_member, scim.role_rule, scim.receipt, scim.exchange
  to maristan_directory, maristan_directory_read, maristan_console, maristan_console_read;
grant insert, update, delete on scim."user", scim.user_value, scim."group", scim.group_member to maristan_directory;
grant update on scim.connection to maristan_directory;
grant insert on scim.receipt to maristan_directory;
grant insert, delete on scim.exchange to maristan_directory;
grant select (tenant_id, id, last_used_at), update (last_used_at) on scim.token to maristan_directory;

-- Credentials and rules are written where it can be seen how somebody signed in; rules are applied there at once.
grant select on scim.connection, scim.token to maristan_auth_read;
grant select, insert, update on scim.connection, scim.token to maristan_auth;
grant select, insert, delete on scim.role_rule to maristan_auth;
grant select, update on scim."user" to maristan_auth;
grant select on scim."group", scim.group_member to maristan_auth;
grant select, insert on scim.receipt to maristan_auth;
grant select on scim.token to maristan_console, maristan_console_read;

-- The operator makes a first connection and its token, and reads the flight recorder.
grant select, insert on scim.connection, scim.token to maristan_operator;
grant select on scim.exchange to maristan_operator;
