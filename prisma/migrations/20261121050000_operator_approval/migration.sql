-- The tenant's leave for the operator, given and withdrawn by an administrator.
-- CreateTable
CREATE TABLE "tenancy"."operator_approval" (
    "tenant_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "reason" TEXT NOT NULL,
    "granted_by" UUID NOT NULL,
    "granted_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "withdrawn_by" UUID,
    "withdrawn_at" TIMESTAMPTZ(6),

    CONSTRAINT "operator_approval_pkey" PRIMARY KEY ("tenant_id","id")
);

alter table tenancy.operator_approval enable row level security;
alter table tenancy.operator_approval force row level security;
create policy tenant on tenancy.operator_approval
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- The operator reads it and can neither give nor prolong it; the console withdraws and changes nothing else of it.
grant select on tenancy.operator_approval to maristan_console, maristan_console_read, maristan_operator;
grant insert on tenancy.operator_approval to maristan_console;
grant update (withdrawn_by, withdrawn_at) on tenancy.operator_approval to maristan_console;
create policy actor_role on tenancy.operator_approval as restrictive for insert to maristan_console
  with check (current_setting('app.role', true) = 'tenant_admin'
    and granted_by = nullif(current_setting('app.membership_id', true), '')::uuid);
create policy actor_role_update on tenancy.operator_approval as restrictive for update to maristan_console
  using (current_setting('app.role', true) = 'tenant_admin');

alter table tenancy.operator_approval add constraint operator_approval_period
  check (expires_at > granted_at and expires_at <= granted_at + interval '72 hours');
alter table tenancy.operator_approval add constraint operator_approval_reason check (length(reason) between 1 and 500);
alter table tenancy.operator_approval add constraint operator_approval_withdrawn
  check ((withdrawn_by is null) = (withdrawn_at is null));
