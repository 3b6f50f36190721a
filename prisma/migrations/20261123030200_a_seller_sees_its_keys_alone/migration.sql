-- A seller unwraps the keys of whom a live grant discloses to it, and sees no other wrapped key: not those of the tenant's other people, and
-- not even the data key while nothing is disclosed. Of those it sees what unwrapping takes, column by column.
revoke select on vault.tenant_key, vault.subject_key from maristan_seller_read;
grant select (tenant_id, version, wrapped, kek_id) on vault.tenant_key to maristan_seller_read;
grant select (tenant_id, subject_id, tenant_key_version, wrapped, state, seals) on vault.subject_key to maristan_seller_read;
create policy actor_disclosed on vault.subject_key as restrictive to maristan_seller_read
  using (subject_id in (select d.recipient_id from gate.my_disclosures(null) d));
create policy actor_disclosed on vault.tenant_key as restrictive to maristan_seller_read
  using (exists (select from gate.my_disclosures(null)));
