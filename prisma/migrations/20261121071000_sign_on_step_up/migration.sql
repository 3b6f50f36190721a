-- A step-up sign-in is good for one deed; a second factor outlasts the choice of a membership; a connection counts its administrators
-- anew each time it is switched on, and a directory of administrators is an administrator's to name; test sign-ins may be begun by a link.
ALTER TABLE "identity"."session" ADD COLUMN     "step_up_at" TIMESTAMPTZ(6);
ALTER TABLE "identity"."one_time_token" ADD COLUMN     "second_factor_at" TIMESTAMPTZ(6);
ALTER TABLE "saml"."connection" ADD COLUMN     "activated_at" TIMESTAMPTZ(6),
ADD COLUMN     "directory_authorised_by" UUID;

alter table saml.connection add constraint connection_directory check (directory_authorised_by is null or directory_id is not null);
alter table saml.request drop constraint request_purpose;
alter table saml.request add constraint request_purpose check (purpose in ('LOGIN', 'TEST', 'TEST_LINK', 'STEP_UP', 'LOGOUT'));

-- The operator's work on a connection runs on the login that signs people in: whether the tenant approves is asked there.
grant select on tenancy.operator_approval to maristan_auth;
