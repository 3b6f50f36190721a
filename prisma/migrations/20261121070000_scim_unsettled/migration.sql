-- What a directory's change of thousands leaves to do: access is cut in the change's own transaction, the rest is settled from here.

create table scim.unsettled (
  tenant_id uuid not null,
  id uuid not null,
  connection_id uuid not null,
  at timestamptz(6) not null,
  user_ids uuid[] not null,
  membership_ids uuid[] not null,
  constraint unsettled_pkey primary key (tenant_id, id),
  constraint unsettled_tenant_id_connection_id_fkey foreign key (tenant_id, connection_id)
    references scim.connection (tenant_id, id) on delete restrict on update cascade
);
create index unsettled_tenant_id_connection_id_idx on scim.unsettled (tenant_id, connection_id);

alter table scim.unsettled enable row level security;
alter table scim.unsettled force row level security;
create policy tenant on scim.unsettled
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy actor on scim.unsettled as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) = 'tenant_admin');

-- Written by whoever settles: a directory, and an administrator who changes rules. Settled on the directory's login; the worker looks
-- whether there is anything to do, the console how much is left.
grant select, insert, delete on scim.unsettled to maristan_directory;
grant select, insert on scim.unsettled to maristan_auth;
grant usage on schema scim to maristan_worker;
grant select on scim.unsettled to maristan_worker, maristan_console, maristan_console_read, maristan_directory_read;
