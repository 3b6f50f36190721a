-- The retention job runs on the login that signs people in, which deletes spent tokens and counters already: one more right there, and
-- none of these tables for the worker. What it may read whole, the proof of isolation can attack.
drop policy only_ended on identity.session;
drop policy only_spent on identity.one_time_token;
drop policy only_expired on identity.invitation;
revoke select (tenant_id, id, membership_id, created_at, rotated_at, expires_at, revoked_at) on identity.session from maristan_worker;
revoke select (tenant_id, id, expires_at, used_at) on identity.one_time_token from maristan_worker;
revoke select (tenant_id, key, member, bucket, expires_at) on identity.throttle_count from maristan_worker;
revoke select (tenant_id, id, state, expires_at, version) on identity.invitation from maristan_worker;
revoke update (state, updated_at, version) on identity.invitation from maristan_worker;
revoke delete on identity.session, identity.one_time_token, identity.throttle_count from maristan_worker;

grant delete on identity.session to maristan_auth;
