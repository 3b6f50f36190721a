-- Tables, keys and indexes of every module, as the schema engine derives them from prisma/schema.
-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "audit";

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "care";

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "identity";

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "outbox";

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "tenancy";

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "vault";

-- CreateEnum
CREATE TYPE "care"."recipient_state" AS ENUM ('ACTIVE', 'ARCHIVED');

-- CreateEnum
CREATE TYPE "care"."party_kind" AS ENUM ('RECIPIENT', 'FAMILY', 'CAREGIVER', 'CLINICIAN', 'ORG');

-- CreateEnum
CREATE TYPE "care"."consent_state" AS ENUM ('REQUESTED', 'GRANTED', 'WITHDRAWN', 'EXPIRED');

-- CreateEnum
CREATE TYPE "identity"."identity_status" AS ENUM ('ACTIVE', 'DISABLED');

-- CreateEnum
CREATE TYPE "identity"."membership_status" AS ENUM ('PENDING', 'ACTIVE', 'SUSPENDED', 'ENDED');

-- CreateEnum
CREATE TYPE "identity"."invitation_state" AS ENUM ('CREATED', 'SENT', 'SEEN', 'ACCEPTED', 'EXPIRED', 'REVOKED');

-- CreateEnum
CREATE TYPE "identity"."token_purpose" AS ENUM ('SECOND_FACTOR', 'MEMBERSHIP_CHOICE', 'PASSWORD_RESET');

-- CreateEnum
CREATE TYPE "tenancy"."tenant_kind" AS ENUM ('AGENCY', 'CLINIC', 'HOSPITAL');

-- CreateEnum
CREATE TYPE "tenancy"."tenant_status" AS ENUM ('ACTIVE', 'SUSPENDED');

-- CreateEnum
CREATE TYPE "vault"."key_state" AS ENUM ('ACTIVE', 'RETIRED', 'DESTROYED');

-- CreateTable
CREATE TABLE "audit"."event" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "actor_kind" TEXT NOT NULL,
    "actor_id" UUID,
    "plane" TEXT,
    "action" TEXT NOT NULL,
    "resource" TEXT NOT NULL,
    "resource_id" UUID,
    "subject_id" UUID,
    "outcome" TEXT NOT NULL,
    "purpose" TEXT,
    "request_id" TEXT NOT NULL,
    "session_id" UUID,
    "sign_in_method" TEXT,
    "source_address" TEXT,
    "user_agent" TEXT,
    "detail" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "event_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "care"."recipient" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "phi" TEXT NOT NULL,
    "birth_year" INTEGER,
    "area_geohash5" TEXT,
    "preferred_locale" TEXT NOT NULL DEFAULT 'en',
    "state" "care"."recipient_state" NOT NULL DEFAULT 'ACTIVE',
    "created_by" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "recipient_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "care"."party" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "kind" "care"."party_kind" NOT NULL,
    "phi" TEXT NOT NULL,
    "membership_id" UUID,
    "recipient_id" UUID,
    "created_by" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "party_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "care"."edge" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "from_party_id" UUID NOT NULL,
    "to_party_id" UUID NOT NULL,
    "relation" TEXT NOT NULL,
    "capabilities" TEXT[],
    "legal_guardian" BOOLEAN NOT NULL DEFAULT false,
    "valid_from" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "valid_to" TIMESTAMPTZ(6),
    "created_by" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "edge_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "care"."consent" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "recipient_id" UUID NOT NULL,
    "grantee_id" UUID NOT NULL,
    "purpose" TEXT NOT NULL,
    "field_set" TEXT[],
    "state" "care"."consent_state" NOT NULL DEFAULT 'GRANTED',
    "valid_to" TIMESTAMPTZ(6),
    "created_by" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "consent_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "identity"."identity" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "locale" TEXT NOT NULL DEFAULT 'en',
    "status" "identity"."identity_status" NOT NULL DEFAULT 'ACTIVE',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "identity_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "identity"."credential" (
    "tenant_id" UUID NOT NULL,
    "identity_id" UUID NOT NULL,
    "password_hash" TEXT NOT NULL,
    "changed_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "credential_pkey" PRIMARY KEY ("tenant_id","identity_id")
);

-- CreateTable
CREATE TABLE "identity"."totp_device" (
    "tenant_id" UUID NOT NULL,
    "identity_id" UUID NOT NULL,
    "secret" TEXT NOT NULL,
    "pending_secret" TEXT,
    "confirmed_at" TIMESTAMPTZ(6),
    "last_step" BIGINT NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "totp_device_pkey" PRIMARY KEY ("tenant_id","identity_id")
);

-- CreateTable
CREATE TABLE "identity"."recovery_code" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "identity_id" UUID NOT NULL,
    "code_hash" TEXT NOT NULL,
    "used_at" TIMESTAMPTZ(6),

    CONSTRAINT "recovery_code_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "identity"."membership" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "identity_id" UUID NOT NULL,
    "plane" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "provider_org_id" UUID,
    "status" "identity"."membership_status" NOT NULL DEFAULT 'PENDING',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "membership_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "identity"."session" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "membership_id" UUID NOT NULL,
    "plane" TEXT NOT NULL,
    "via" TEXT NOT NULL,
    "refresh_hash" TEXT NOT NULL,
    "previous_hash" TEXT,
    "rotated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "revoked_at" TIMESTAMPTZ(6),
    "revoked_reason" TEXT,
    "source_address" TEXT,
    "user_agent" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "session_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "identity"."invitation" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "plane" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "provider_org_id" UUID,
    "recipient_id" UUID,
    "locale" TEXT NOT NULL DEFAULT 'en',
    "token_hash" TEXT NOT NULL,
    "state" "identity"."invitation_state" NOT NULL DEFAULT 'CREATED',
    "invited_by" UUID,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "invitation_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "identity"."one_time_token" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "identity_id" UUID NOT NULL,
    "purpose" "identity"."token_purpose" NOT NULL,
    "plane" TEXT,
    "hash" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "used_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "one_time_token_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "identity"."api_token" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "permissions" TEXT[],
    "created_by" UUID,
    "last_used_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "api_token_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "identity"."throttle_count" (
    "tenant_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "member" TEXT NOT NULL DEFAULT '',
    "bucket" TIMESTAMPTZ(6) NOT NULL,
    "count" INTEGER NOT NULL DEFAULT 0,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "throttle_count_pkey" PRIMARY KEY ("tenant_id","key","member","bucket")
);

-- CreateTable
CREATE TABLE "identity"."signing_key" (
    "kid" TEXT NOT NULL,
    "plane" TEXT NOT NULL,
    "public_jwk" JSONB NOT NULL,
    "private_jwk" TEXT NOT NULL,
    "not_before" TIMESTAMPTZ(6) NOT NULL,
    "retire_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "signing_key_pkey" PRIMARY KEY ("kid")
);

-- CreateTable
CREATE TABLE "outbox"."event" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "aggregate_id" UUID NOT NULL,
    "payload" JSONB NOT NULL,
    "actor_id" UUID,
    "request_id" TEXT NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "available_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "processed_at" TIMESTAMPTZ(6),
    "parked_at" TIMESTAMPTZ(6),
    "last_error" TEXT,

    CONSTRAINT "event_pkey" PRIMARY KEY ("tenant_id","id")
);

-- CreateTable
CREATE TABLE "tenancy"."tenant" (
    "tenant_id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "legal_name" TEXT NOT NULL,
    "kind" "tenancy"."tenant_kind" NOT NULL DEFAULT 'AGENCY',
    "status" "tenancy"."tenant_status" NOT NULL DEFAULT 'ACTIVE',
    "default_locale" TEXT NOT NULL DEFAULT 'en',
    "timezone" TEXT NOT NULL DEFAULT 'UTC',
    "currency" TEXT NOT NULL DEFAULT 'USD',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "tenant_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "vault"."tenant_key" (
    "tenant_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "wrapped" TEXT NOT NULL,
    "kek_id" TEXT NOT NULL,
    "state" "vault"."key_state" NOT NULL DEFAULT 'ACTIVE',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tenant_key_pkey" PRIMARY KEY ("tenant_id","version")
);

-- CreateTable
CREATE TABLE "vault"."subject_key" (
    "tenant_id" UUID NOT NULL,
    "subject_id" UUID NOT NULL,
    "tenant_key_version" INTEGER NOT NULL,
    "wrapped" TEXT NOT NULL,
    "state" "vault"."key_state" NOT NULL DEFAULT 'ACTIVE',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "subject_key_pkey" PRIMARY KEY ("tenant_id","subject_id")
);

-- CreateTable
CREATE TABLE "vault"."platform_key" (
    "version" INTEGER NOT NULL,
    "wrapped" TEXT NOT NULL,
    "kek_id" TEXT NOT NULL,
    "state" "vault"."key_state" NOT NULL DEFAULT 'ACTIVE',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "platform_key_pkey" PRIMARY KEY ("version")
);

-- CreateIndex
CREATE INDEX "event_tenant_id_at_idx" ON "audit"."event"("tenant_id", "at");

-- CreateIndex
CREATE INDEX "event_tenant_id_subject_id_at_idx" ON "audit"."event"("tenant_id", "subject_id", "at");

-- CreateIndex
CREATE INDEX "party_tenant_id_membership_id_idx" ON "care"."party"("tenant_id", "membership_id");

-- CreateIndex
CREATE UNIQUE INDEX "party_tenant_id_recipient_id_key" ON "care"."party"("tenant_id", "recipient_id");

-- CreateIndex
CREATE INDEX "edge_tenant_id_from_party_id_to_party_id_idx" ON "care"."edge"("tenant_id", "from_party_id", "to_party_id");

-- CreateIndex
CREATE INDEX "edge_tenant_id_to_party_id_from_party_id_idx" ON "care"."edge"("tenant_id", "to_party_id", "from_party_id");

-- CreateIndex
CREATE INDEX "consent_tenant_id_recipient_id_idx" ON "care"."consent"("tenant_id", "recipient_id");

-- CreateIndex
CREATE UNIQUE INDEX "identity_tenant_id_email_key" ON "identity"."identity"("tenant_id", "email");

-- CreateIndex
CREATE INDEX "recovery_code_tenant_id_identity_id_idx" ON "identity"."recovery_code"("tenant_id", "identity_id");

-- CreateIndex
CREATE UNIQUE INDEX "membership_identity_role_org_key" ON "identity"."membership"("tenant_id", "identity_id", "role", "provider_org_id");

-- CreateIndex
CREATE INDEX "session_tenant_id_membership_id_idx" ON "identity"."session"("tenant_id", "membership_id");

-- CreateIndex
CREATE UNIQUE INDEX "invitation_tenant_id_token_hash_key" ON "identity"."invitation"("tenant_id", "token_hash");

-- CreateIndex
CREATE INDEX "one_time_token_tenant_id_identity_id_idx" ON "identity"."one_time_token"("tenant_id", "identity_id");

-- CreateIndex
CREATE UNIQUE INDEX "one_time_token_tenant_id_hash_key" ON "identity"."one_time_token"("tenant_id", "hash");

-- CreateIndex
CREATE UNIQUE INDEX "api_token_tenant_id_hash_key" ON "identity"."api_token"("tenant_id", "hash");

-- CreateIndex
CREATE INDEX "throttle_count_expires_at_idx" ON "identity"."throttle_count"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "tenant_slug_key" ON "tenancy"."tenant"("slug");

-- AddForeignKey
ALTER TABLE "care"."party" ADD CONSTRAINT "party_tenant_id_recipient_id_fkey" FOREIGN KEY ("tenant_id", "recipient_id") REFERENCES "care"."recipient"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "care"."edge" ADD CONSTRAINT "edge_tenant_id_from_party_id_fkey" FOREIGN KEY ("tenant_id", "from_party_id") REFERENCES "care"."party"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "care"."edge" ADD CONSTRAINT "edge_tenant_id_to_party_id_fkey" FOREIGN KEY ("tenant_id", "to_party_id") REFERENCES "care"."party"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "care"."consent" ADD CONSTRAINT "consent_tenant_id_recipient_id_fkey" FOREIGN KEY ("tenant_id", "recipient_id") REFERENCES "care"."recipient"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "care"."consent" ADD CONSTRAINT "consent_tenant_id_grantee_id_fkey" FOREIGN KEY ("tenant_id", "grantee_id") REFERENCES "care"."party"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "identity"."credential" ADD CONSTRAINT "credential_tenant_id_identity_id_fkey" FOREIGN KEY ("tenant_id", "identity_id") REFERENCES "identity"."identity"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "identity"."totp_device" ADD CONSTRAINT "totp_device_tenant_id_identity_id_fkey" FOREIGN KEY ("tenant_id", "identity_id") REFERENCES "identity"."identity"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "identity"."recovery_code" ADD CONSTRAINT "recovery_code_tenant_id_identity_id_fkey" FOREIGN KEY ("tenant_id", "identity_id") REFERENCES "identity"."identity"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "identity"."membership" ADD CONSTRAINT "membership_tenant_id_identity_id_fkey" FOREIGN KEY ("tenant_id", "identity_id") REFERENCES "identity"."identity"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "identity"."session" ADD CONSTRAINT "session_tenant_id_membership_id_fkey" FOREIGN KEY ("tenant_id", "membership_id") REFERENCES "identity"."membership"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "identity"."one_time_token" ADD CONSTRAINT "one_time_token_tenant_id_identity_id_fkey" FOREIGN KEY ("tenant_id", "identity_id") REFERENCES "identity"."identity"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "identity"."api_token" ADD CONSTRAINT "api_token_tenant_id_created_by_fkey" FOREIGN KEY ("tenant_id", "created_by") REFERENCES "identity"."membership"("tenant_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "vault"."subject_key" ADD CONSTRAINT "subject_key_tenant_id_tenant_key_version_fkey" FOREIGN KEY ("tenant_id", "tenant_key_version") REFERENCES "vault"."tenant_key"("tenant_id", "version") ON DELETE RESTRICT ON UPDATE CASCADE;
