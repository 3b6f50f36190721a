-- What the nightly retention job needs, on the worker's login: to see when a row ended, and to let it go. No secret, no address, no name.
grant select (tenant_id, id, membership_id, created_at, rotated_at, expires_at, revoked_at) on identity.session to maristan_worker;
grant delete on identity.session to maristan_worker;
grant select (tenant_id, id, expires_at, used_at) on identity.one_time_token to maristan_worker;
grant delete on identity.one_time_token to maristan_worker;
grant select (tenant_id, key, member, bucket, expires_at) on identity.throttle_count to maristan_worker;
grant delete on identity.throttle_count to maristan_worker;
grant select (tenant_id, id, state, expires_at, version) on identity.invitation to maristan_worker;
grant update (state, updated_at, version) on identity.invitation to maristan_worker;

-- The job has no business with a row that could still let somebody in, whatever SQL it sends. A session that was not used for a day ended
-- for want of use long before.
create policy only_ended on identity.session as restrictive for delete to maristan_worker
  using (revoked_at is not null or expires_at < now() or rotated_at < now() - interval '1 day');
create policy only_spent on identity.one_time_token as restrictive for delete to maristan_worker
  using (used_at is not null or expires_at < now());
create policy only_expired on identity.invitation as restrictive for update to maristan_worker
  using (expires_at <= now()) with check (state = 'EXPIRED');
