-- An emergency names the person by the number on her wristband: found by its blind index, by the login that has just taken a fresh second
-- factor and by no other. It answers ids, whether the tenant is found by that number at all, and no value.
grant select on vault.lookup_key to maristan_auth;
grant select (tenant_id, party_id, field, generation, token) on care.blind_index to maristan_gate;
grant select (tenant_id, field, state) on care.lookup_field to maristan_gate;
grant maristan_gate to current_user;
grant create on schema gate to maristan_gate;
create function gate.found_by_mrn(wanted_generation int, tokens text[])
  returns table (is_on boolean, recipient_id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    with tenant as (select nullif(current_setting('app.tenant_id', true), '')::uuid as id)
    select exists (select from care.lookup_field f, tenant where f.tenant_id = tenant.id and f.field = 'mrn' and f.state::text = 'ON'), found.recipient_id
    from (select 1) one left join (
      select p.recipient_id from tenant
      join care.blind_index b on b.tenant_id = tenant.id and b.field = 'mrn' and b.generation = wanted_generation and b.token = any(tokens)
      join care.party p on p.tenant_id = b.tenant_id and p.id = b.party_id and p.recipient_id is not null
      limit 2) found on true
  $$;
alter function gate.found_by_mrn(int, text[]) owner to maristan_gate;
revoke all on function gate.found_by_mrn(int, text[]) from public;
revoke create on schema gate from maristan_gate;
revoke maristan_gate from current_user;
grant execute on function gate.found_by_mrn(int, text[]) to maristan_auth;
