-- A directory's own login asks whether the token that it came with still holds, in the transaction of the change that it brings. It sees
-- when tokens end and whose they are, and never a hash: which token a request showed is found out where credentials are.
grant select (connection_id, expires_at, revoked_at) on scim.token to maristan_directory;
