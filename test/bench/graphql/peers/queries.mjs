/** The SQL that the hand-written sides send. Policies add the tenant; it is named as well, for the index. */
const recipientColumns = `r.id, r.state, r.preferred_locale as "preferredLocale", r.area_geohash5 as "areaGeohash5",
  r.birth_year as "birthYear", r.created_at as "createdAt", r.version`

export const recipientById = `select ${recipientColumns} from care.recipient r where r.tenant_id = $1::uuid and r.id = $2::uuid`

export const recipients = `select ${recipientColumns} from care.recipient r where r.tenant_id = $1::uuid order by r.id limit $2::int`

/** A number of consents for each of several recipients. */
export const consentsOf = `
  select c.id, c.recipient_id as "recipientId", c.purpose, c.field_set as "fieldSet", c.valid_to as "validTo", c.version
  from unnest($2::uuid[]) as wanted(id)
  cross join lateral (
    select * from care.consent c where c.tenant_id = $1::uuid and c.recipient_id = wanted.id order by c.id limit $3::int
  ) c`

export const partiesOfRecipients = `
  select distinct on (p.recipient_id) p.id, p.kind, p.recipient_id as "recipientId"
  from care.party p where p.tenant_id = $1::uuid and p.recipient_id = any($2::uuid[])`

export const parties = `select p.id, p.kind from care.party p where p.tenant_id = $1::uuid and p.id = any($2::uuid[])`

const edgesOf = (side) => `
  select e.id, e.${side} as "ownerId", e.relation, e.from_party_id as "fromId", e.to_party_id as "toId"
  from unnest($2::uuid[]) as wanted(id)
  cross join lateral (
    select * from care.edge e where e.tenant_id = $1::uuid and e.${side} = wanted.id order by e.id limit $3::int
  ) e`

export const incoming = edgesOf('to_party_id')
export const outgoing = edgesOf('from_party_id')

export const existing = `
  select (select r.state from care.recipient r where r.tenant_id = $1::uuid and r.id = $2::uuid) as state,
    (select p.id from care.party p where p.tenant_id = $1::uuid and p.id = $3::uuid) as grantee`

export const addConsent = `
  insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set, created_by)
  values ($1::uuid, gen_random_uuid(), $2::uuid, $3::uuid, 'TREATMENT', array['phone'], $4::uuid)
  returning id, purpose, field_set as "fieldSet", valid_to as "validTo", version`

/** The member as a session of hers that has not ended says: its role now, or no row. */
export const liveMember = `
  select m.role from identity.session s
  join identity.membership m on m.tenant_id = s.tenant_id and m.id = s.membership_id
  join identity.identity i on i.tenant_id = m.tenant_id and i.id = m.identity_id
  where s.tenant_id = $1::uuid and s.membership_id = $2::uuid and s.plane = 'console' and m.plane = s.plane and s.revoked_at is null
    and s.expires_at > now() and m.status = 'ACTIVE' and i.status = 'ACTIVE' limit 1`

export const auditConsent = `
  insert into audit.event (tenant_id, id, actor_kind, actor_id, plane, action, resource, resource_id, subject_id, outcome, purpose,
    request_id, detail)
  values ($1::uuid, gen_random_uuid(), 'member', $2::uuid, 'console', 'consent.granted', 'Consent', $3::uuid, $4::uuid, 'done',
    'OPERATIONS', 'bench', '{}')`

export const publishConsent = `
  insert into outbox.event (tenant_id, id, name, aggregate_id, payload, actor_id, request_id)
  values ($1::uuid, gen_random_uuid(), 'care.consent.changed', $3::uuid,
    jsonb_build_object('consentId', $3::uuid, 'state', 'GRANTED'), $2::uuid, 'bench')`

/** A page with its protected records and the keys that open them, each wrapped by its tenant's. */
export const sealedPage = `
  select ${recipientColumns}, r.phi, k.wrapped, k.tenant_key_version as "keyVersion"
  from care.recipient r join vault.subject_key k on k.tenant_id = r.tenant_id and k.subject_id = r.id
  where r.tenant_id = $1::uuid order by r.id limit $2::int`

export const keysOf = `
  select k.subject_id as id, k.wrapped, k.tenant_key_version as "keyVersion"
  from vault.subject_key k where k.tenant_id = $1::uuid and k.subject_id = any($2::uuid[])`

/** One row for each record that was opened. */
export const auditReads = `
  insert into audit.event (tenant_id, id, actor_kind, actor_id, plane, action, resource, resource_id, subject_id, outcome, purpose,
    request_id, detail)
  select $1::uuid, gen_random_uuid(), 'member', $2::uuid, 'console', 'phi.read', 'CareRecipient', r, r, 'done', 'OPERATIONS', 'bench',
    '{"fields":["givenName","familyName","phone"]}'
  from unnest($3::uuid[]) r`

/** Who signs in: the stored hash, and the one membership of the console. */
export const account = `
  select i.id, c.password_hash as "passwordHash", m.id as "membershipId", m.role
  from identity.identity i
  join identity.credential c on c.tenant_id = i.tenant_id and c.identity_id = i.id
  join identity.membership m on m.tenant_id = i.tenant_id and m.identity_id = i.id
  where i.tenant_id = $1::uuid and i.email = $2 and i.status = 'ACTIVE' and m.status = 'ACTIVE' and m.plane = 'console'`

export const addSession = `
  insert into identity.session (tenant_id, id, membership_id, plane, via, refresh_hash, expires_at)
  values ($1::uuid, $2::uuid, $3::uuid, 'console', 'password', $4, now() + interval '12 hours')`

export const auditSignIn = `
  insert into audit.event (tenant_id, id, actor_kind, actor_id, plane, action, resource, resource_id, outcome, request_id, session_id,
    sign_in_method, detail)
  values ($1::uuid, gen_random_uuid(), 'member', $2::uuid, 'console', 'signin.succeeded', 'Session', $3::uuid, 'done', 'bench', $3::uuid,
    'password', '{"transport":"BEARER"}')`
