-- What lists read holds their order as well: the first five of a person's thousands are found, not sorted out of all of them.
create index consent_tenant_id_recipient_id_id_idx on care.consent (tenant_id, recipient_id, id);
drop index care.consent_tenant_id_recipient_id_idx;
create index disclosure_grant_tenant_id_recipient_id_id_idx on care.disclosure_grant (tenant_id, recipient_id, id);
drop index care.disclosure_grant_tenant_id_recipient_id_idx;
-- Beside those that find a pair of parties.
create index edge_tenant_id_from_party_id_id_idx on care.edge (tenant_id, from_party_id, id);
create index edge_tenant_id_to_party_id_id_idx on care.edge (tenant_id, to_party_id, id);
