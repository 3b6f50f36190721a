-- Disclosure grants (scope letter G): a member of a seller reads the protected fields that a live grant names and a live consent covers.
-- See infra/decisions/0025-what-leaves-the-ledger.md.
create table care.disclosure_grant (
  tenant_id uuid not null,
  id uuid not null,
  recipient_id uuid not null,
  membership_id uuid not null,
  order_id uuid,
  fields text[] not null,
  expires_at timestamptz(6) not null,
  revoked_at timestamptz(6),
  created_by uuid,
  created_at timestamptz(6) not null default current_timestamp,
  updated_at timestamptz(6) not null default current_timestamp,
  version integer not null default 1,
  constraint disclosure_grant_pkey primary key (tenant_id, id),
  constraint disclosure_grant_tenant_id_recipient_id_fkey foreign key (tenant_id, recipient_id)
    references care.recipient (tenant_id, id) on delete restrict on update cascade,
  constraint disclosure_grant_fields check (fields <> '{}' and fields <@
    array['givenName', 'familyName', 'birthDate', 'sex', 'mrn', 'nationalId', 'phone', 'address']),
  constraint disclosure_grant_to_another check (created_by is null or created_by <> membership_id)
);
create index disclosure_grant_tenant_id_recipient_id_idx on care.disclosure_grant (tenant_id, recipient_id);
create index disclosure_grant_tenant_id_membership_id_expires_at_idx on care.disclosure_grant (tenant_id, membership_id, expires_at);

alter table care.disclosure_grant enable row level security;
alter table care.disclosure_grant force row level security;
create policy tenant on care.disclosure_grant using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- A grant is closed once, and never anything else.
create function care.refuse_wider() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if to_jsonb(new) - array['revoked_at', 'updated_at', 'version'] <> to_jsonb(old) - array['revoked_at', 'updated_at', 'version']
    or (old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at) then
    raise exception 'A disclosure is only ever closed.' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function care.refuse_wider() from public;
create trigger only_closes before update on care.disclosure_grant for each row execute function care.refuse_wider();

grant select, insert, update on care.disclosure_grant to maristan_console, maristan_consumer;
grant select on care.disclosure_grant to maristan_console_read, maristan_consumer_read;
create policy actor on care.disclosure_grant as restrictive to maristan_console, maristan_console_read
  using (current_setting('app.role', true) in ('care_coordinator', 'compliance_officer'));
create policy actor_network on care.disclosure_grant as restrictive to maristan_consumer, maristan_consumer_read
  using (recipient_id in (select gate.my_recipients()));

-- What is disclosed to the caller now: of each live grant the fields that a live consent to the same person covers, for the purpose
-- asked for (any, where none is). By the database's clock: a consent that was withdrawn or has lapsed narrows the very next read.
grant select (tenant_id, id, recipient_id, membership_id, order_id, fields, expires_at, revoked_at) on care.disclosure_grant to maristan_gate;
grant select (tenant_id, recipient_id, grantee_id, purpose, field_set, state, valid_to) on care.consent to maristan_gate;
grant maristan_gate to current_user;
grant create on schema gate to maristan_gate;
create function gate.my_disclosures(wanted text)
  returns table (grant_id uuid, recipient_id uuid, order_id uuid, expires_at timestamptz, fields text[])
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    me constant uuid := nullif(current_setting('app.membership_id', true), '')::uuid;
  begin
    return query
      select g.id, g.recipient_id, g.order_id, g.expires_at::timestamptz, cut.fields
      from care.disclosure_grant g
      cross join lateral (
        select array_agg(f.one order by f.place) as fields from unnest(g.fields) with ordinality f (one, place)
        where exists (
          select from care.consent c join care.party p on p.tenant_id = c.tenant_id and p.id = c.grantee_id
          where c.tenant_id = tenant and c.recipient_id = g.recipient_id and p.membership_id = me and c.state::text = 'GRANTED'
            and (c.valid_to is null or c.valid_to > now()) and (wanted is null or c.purpose = wanted) and f.one = any(c.field_set))
      ) cut
      where g.tenant_id = tenant and g.membership_id = me and g.revoked_at is null and g.expires_at > now() and cut.fields is not null;
  end $$;
alter function gate.my_disclosures(text) owner to maristan_gate;
revoke all on function gate.my_disclosures(text) from public;
revoke create on schema gate from maristan_gate;
revoke maristan_gate from current_user;
grant usage on schema gate to maristan_seller_read;
grant execute on function gate.my_disclosures(text) to maristan_seller_read;

-- Of a recipient, the envelope alone, until the grant ends, whatever SQL the plane's login sends; and wrapped keys, as every plane that opens
-- envelopes has them: they open nothing without the key that wraps them.
grant usage on schema care, vault to maristan_seller_read;
grant select (tenant_id, id, phi) on care.recipient to maristan_seller_read;
create policy actor_disclosed on care.recipient as restrictive to maristan_seller_read
  using (id in (select d.recipient_id from gate.my_disclosures(null) d));
grant select on vault.tenant_key, vault.subject_key to maristan_seller_read;
