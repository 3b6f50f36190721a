/**
 * The limit: node:http and one pipelined statement a request, written by hand for each case, which answers the JSON itself. It checks the
 * token and has the policies; it has no schema, no limits, no log, no metrics.
 */
import { createServer } from 'node:http'
import { ReadLane } from '../../../../src/platform/db/read-lane.ts'
import { announce, callerOf } from './caller.mjs'
import { liveMember } from './queries.mjs'

const limits = { connections: 2, queue: 512, connectTimeoutMs: 5_000, statements: { named: true, limit: 100 } }
const reading = new ReadLane(process.env.READ_URL, limits)
// A commit waits for the disk, and whatever follows it on its connection waits with it.
const writing = new ReadLane(process.env.WRITE_URL, { ...limits, connections: 16 })
const settings = `select set_config('app.tenant_id', $1, true), set_config('app.membership_id', $2, true), set_config('app.role', $3, true),
  set_config('app.provider_org_id', '', true)`

const recipient = `'id', r.id, 'state', r.state, 'preferredLocale', r.preferred_locale, 'areaGeohash5', r.area_geohash5,
  'birthYear', r.birth_year, 'createdAt', r.created_at, 'version', r.version`
const cases = {
  byId: {
    text: `select json_build_object(${recipient})::text as answer from care.recipient r where r.tenant_id = $1::uuid and r.id = $2::uuid`,
    values: ({ tenantId }, { id }) => [tenantId, id],
  },
  list: {
    text: `select coalesce(json_agg(json_build_object(${recipient}, 'consents', c.list) order by r.id), '[]')::text as answer
      from (select * from care.recipient r where r.tenant_id = $1::uuid order by r.id limit $2::int) r
      cross join lateral (
        select coalesce(json_agg(json_build_object('id', c.id, 'purpose', c.purpose, 'fieldSet', c.field_set, 'validTo', c.valid_to,
          'version', c.version) order by c.id), '[]') as list
        from (select * from care.consent c where c.tenant_id = $1::uuid and c.recipient_id = r.id order by c.id limit $3::int) c
      ) c`,
    values: ({ tenantId }, { first, children }) => [tenantId, first, children],
  },
  deep: {
    text: `select json_build_object('id', r.id, 'party', (
        select json_build_object('id', p.id, 'kind', p.kind, 'incoming', (
          select coalesce(json_agg(json_build_object('id', e.id, 'relation', e.relation, 'from', (
            select json_build_object('id', f.id, 'kind', f.kind, 'outgoing', (
              select coalesce(json_agg(json_build_object('id', o.id, 'relation', o.relation, 'to', (
                select json_build_object('id', t.id, 'kind', t.kind) from care.party t where t.tenant_id = $1::uuid and t.id = o.to_party_id
              )) order by o.id), '[]')
              from (select * from care.edge o where o.tenant_id = $1::uuid and o.from_party_id = f.id order by o.id limit $3::int) o
            )) from care.party f where f.tenant_id = $1::uuid and f.id = e.from_party_id
          )) order by e.id), '[]')
          from (select * from care.edge e where e.tenant_id = $1::uuid and e.to_party_id = p.id order by e.id limit $3::int) e
        )) from care.party p where p.tenant_id = $1::uuid and p.recipient_id = r.id limit 1
      ))::text as answer from care.recipient r where r.tenant_id = $1::uuid and r.id = $2::uuid`,
    values: ({ tenantId }, { id, children }) => [tenantId, id, children],
  },
  mutation: {
    writes: true,
    text: `with made as (
        insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set, created_by)
        select $1::uuid, gen_random_uuid(), r.id, p.id, 'TREATMENT', array['phone'], $4::uuid
        from care.recipient r, care.party p, (${liveMember.replace('$2', '$4')}) live
        where live.role = $5 and r.tenant_id = $1::uuid and r.id = $2::uuid and r.state = 'ACTIVE' and p.tenant_id = $1::uuid and p.id = $3::uuid
        returning *
      ), trail as (
        insert into audit.event (tenant_id, id, actor_kind, actor_id, plane, action, resource, resource_id, subject_id, outcome, purpose,
          request_id, detail)
        select $1::uuid, gen_random_uuid(), 'member', $4::uuid, 'console', 'consent.granted', 'Consent', id, recipient_id, 'done',
          'OPERATIONS', 'bench', '{}' from made
      ), told as (
        insert into outbox.event (tenant_id, id, name, aggregate_id, payload, actor_id, request_id)
        select $1::uuid, gen_random_uuid(), 'care.consent.changed', id, jsonb_build_object('consentId', id, 'state', 'GRANTED'), $4::uuid, 'bench'
        from made
      )
      select json_build_object('purpose', purpose, 'fieldSet', field_set, 'validTo', valid_to, 'version', version)::text from made`,
    values: ({ tenantId, membershipId, role }, { recipientId, granteeId }) => [tenantId, recipientId, granteeId, membershipId, role],
  },
}

function bodyOf(request) {
  return new Promise((resolve, reject) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())))
    request.on('error', reject)
  })
}

async function answer(request, response) {
  const caller = await callerOf(request.headers.authorization)
  const { name, variables } = await bodyOf(request)
  const { text, values, writes } = cases[name]
  const lane = writes ? writing : reading
  const { tenantId, membershipId, role } = caller
  const { rows } = await lane.run([{ text: settings, values: [tenantId, membershipId, role] }], { text, values: values(caller, variables), rowMode: 'array' })
  const json = `{"data":${rows[0]?.[0] ?? 'null'}}`
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) })
  response.end(json)
}

announce(
  createServer((request, response) => {
    answer(request, response).catch((error) => {
      response.writeHead(500).end(String(error))
    })
  }),
)
