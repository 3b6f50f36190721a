-- Backups and exports that this building wrote: what a certificate of destroyed keys says can still be opened, and until when. A row belongs
-- to the building (no tenant), so that it neither leaves with a tenant nor comes back with one. Written by the owner's connection that wrote
-- the file, read by the operator; never changed.
create table custody.backup (
  tenant_id uuid not null,
  id uuid not null,
  about_tenant uuid,
  made_at timestamptz(6) not null,
  keep_until timestamptz(6),
  opened_by text not null,
  sha256 text not null,
  bytes bigint not null,
  file text not null,
  constraint backup_pkey primary key (tenant_id, id)
);
alter table custody.backup enable row level security;
alter table custody.backup force row level security;
create policy tenant on custody.backup using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select on custody.backup to maristan_operator;
