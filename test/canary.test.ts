/** Health data planted in every sealed place, read, refused, looked up and exported: nothing of it stands anywhere in the clear. */
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { newId } from '../src/kernel/id.ts'
import type { Scope } from '../src/kernel/scope.ts'
import type { Care } from '../src/modules/care/contract.ts'
import type { Vault } from '../src/modules/vault/contract.ts'
import { voucherOf } from '../src/operator/commands-archive.ts'
import { operatorCaller } from '../src/operator/operator-scope.ts'
import { exportTenant } from '../src/operator/tenant-archive.ts'
import { withClient } from '../src/platform/db/provision.ts'
import { workerLogin } from '../src/platform/db/logins.ts'
import { encodeGlobalId } from '../src/platform/graphql/global-id.ts'
import { createLog } from '../src/platform/http/log.ts'
import { enrol } from './kit/authenticator.ts'
import { dumpOf, filesIn, foundIn } from './kit/canaries.ts'
import { freshHouse, type TestHouse, type TestTenant } from './kit/house.ts'

/** One of each kind of health data; none of them is a word that anything else would hold. */
const sealed = {
  givenName: 'Zanzibarqx', familyName: 'القناريةقس', birthDate: '1941-03-27', mrn: 'MRNQX7341', nationalId: 'NIDQX83412',
  phone: '+962797341734', address: 'Qxquayside 7341',
}
const words = [...Object.values(sealed), 'Partyqx Aunt', '+962797341999', 'Reasonqx unconscious', 'Commentqx approved', 'Editqx text', '797341734']

let house: TestHouse
let cedar: TestTenant
const logged: string[] = []
const answers: string[] = []
const bearers = new Map<string, string>()

const ask = async (role: keyof TestTenant['member'], query: string, variables: object = {}) => {
  const { plane } = cedar.member[role]
  const reply = await house.ask<any>({ plane, bearer: bearers.get(role)!, headers: { 'x-maristan-purpose': 'TREATMENT' } }, query, variables as never)
  answers.push(JSON.stringify(reply.errors))
  return reply
}
const operate = <T>(work: (scope: Scope) => Promise<T>): Promise<T> => house.database.unit(operatorCaller(cedar.id)).command(work, workerLogin)

beforeAll(async () => {
  house = await freshHouse({ LOG_LEVEL: 'debug' }, createLog({ level: 'debug', destination: { write: (line) => void logged.push(line) } }))
  cedar = await house.tenant('cedar')
  for (const role of ['care_coordinator', 'clinician', 'compliance_officer', 'tenant_admin', 'family'] as const) {
    bearers.set(role, await house.signIn(cedar, role))
  }
  const create = 'mutation ($input: CreateRecipientInput!) { createRecipient(input: $input) { __typename ... on CareRecipient { id } ... on Fault { code } } }'
  const id = (await ask('care_coordinator', create, { input: sealed })).data.createRecipient.id as string
  const { data } = await ask('care_coordinator', 'mutation ($input: CreatePartyInput!) { createParty(input: $input) { __typename } }', {
    input: { kind: 'FAMILY', name: 'Partyqx Aunt', phone: '+962797341999' },
  })
  expect(data.createParty.__typename).toBe('CareParty')

  // Read, by whoever may and by whoever may not.
  const fields = Object.keys(sealed).join(' ')
  const read = await ask('care_coordinator', `query ($id: ID!) { recipient(id: $id) { ${fields} } }`, { id })
  expect(read.data.recipient).toEqual(sealed)
  for (const role of ['clinician', 'family', 'compliance_officer'] as const) await ask(role, `query ($id: ID!) { recipient(id: $id) { ${fields} } }`, { id })

  // Refused: too long, of a wrong kind, in the wrong place, in a broken request.
  const version = 99
  const change = 'mutation ($input: UpdatePhiInput!) { updatePhi(input: $input) { __typename ... on Fault { code message } } }'
  await ask('care_coordinator', change, { input: { id, version, givenName: `${sealed.givenName} ${'x'.repeat(900)}` } })
  await ask('care_coordinator', change, { input: { id, version, birthDate: `${sealed.birthDate}T${sealed.mrn}` } })
  await ask('care_coordinator', change, { input: { id, version: sealed.mrn, givenName: sealed.givenName } })
  await ask('clinician', change, { input: { id, version: 1, address: sealed.address } })
  await ask('care_coordinator', `{ recipients(first: "${sealed.mrn}") { __typename } }`)
  await ask('care_coordinator', `{ recipient(id: "${sealed.mrn}") { nope } }`)
  await ask('care_coordinator', `{ recipients(first: 5, after: "${sealed.nationalId}") { edges { node { id } } } }`)
  await fetch(`${house.url}/graphql/console?q=${encodeURIComponent(sealed.familyName)}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: `{"query": "${sealed.address}`,
  })
  await fetch(`${house.url}/${sealed.mrn}/${sealed.phone}`)

  // Looked up by what is protected.
  const care = house.composed.made['care']!.contract as Care
  await operate((scope) => care.measureLeakage(scope, {}))
  await operate((scope) => care.switchOnLookup(scope, { fields: ['mrn', 'nationalId', 'phone', 'name'] }))
  await operate((scope) => care.indexBatch(scope, { size: 100 }))
  await operate((scope) => (house.composed.made['vault']!.contract as Vault).turnLookupGeneration(scope, {}))
  await house.at.owner("update care.lookup_field set state = 'ON'")
  const find = (given: object) =>
    ask('care_coordinator', 'query ($lookup: RecipientLookup) { recipients(first: 5, lookup: $lookup) { edges { node { mrn } } } }', { lookup: given })
  expect((await find({ mrn: sealed.mrn })).data?.recipients.edges).toEqual([{ node: { mrn: sealed.mrn } }])
  for (const given of [{ phone: sealed.phone }, { name: sealed.familyName }, { nationalId: `${sealed.nationalId}0` }]) await find(given)

  // An emergency with its reason, reviewed with a comment and other words.
  const code = await enrol(house, cedar.member.clinician.caller)
  const open = 'mutation ($input: OpenBreakGlassInput!) { openBreakGlass(input: $input) { __typename ... on BreakGlassGrant { id reviewItemId } ... on Fault { code } } }'
  const input = { recipientId: id, reason: 'Reasonqx unconscious', minutes: 5 }
  await ask('clinician', open, { input: { ...input, code: '000000' } })
  const grant = await ask('clinician', open, { input: { ...input, code: await code() } })
  expect(grant.data.openBreakGlass.__typename).toBe('BreakGlassGrant')
  await ask('clinician', `{ emergencyRecord(grantId: "${grant.data.openBreakGlass.id}") { givenName mrn } }`)
  const item = grant.data.openBreakGlass.reviewItemId as string
  await ask('compliance_officer', 'mutation ($id: ID!) { claimReview(id: $id) { __typename ... on Fault { code } } }', { id: item })
  const decide = 'mutation ($input: DecideReviewInput!) { decideReview(input: $input) { __typename ... on Fault { code } } }'
  const verdict = { id: item, verdict: 'EDIT', comment: 'Commentqx approved', edits: 'Editqx text' }
  expect((await ask('compliance_officer', decide, { input: verdict })).data.decideReview.__typename).toBe('ReviewItem')

  const keys = house.composed.made['vault']!.contract as Vault
  await house.database.unit(cedar.member.care_coordinator.caller).command(async (scope) => {
    await keys.createSubjects(scope, { subjectIds: Array.from({ length: 1_000 }, () => newId()) })
    scope.unit.record({ action: 'test.subjects', resource: 'SubjectKey', outcome: 'done' })
  })

  // The trail read and exported, and the tenant itself.
  await ask('compliance_officer', '{ auditEvents(first: 50) { edges { node { action detail { name value } } } } }')
  await ask('compliance_officer', 'mutation { exportAudit(input: {}) { __typename } }')
  await ask('tenant_admin', `query ($id: ID!) { node(id: $id) { id } }`, { id: encodeGlobalId('CareRecipient', newId()) })
  const { publicKey } = generateKeyPairSync('x25519')
  await exportTenant({
    ownerUrl: house.at.ownerUrl, file: join(house.dataDir, 'cedar.archive'), tenantId: cedar.id, slug: 'cedar', recipient: publicKey,
    voucher: voucherOf({ house: house.composed, foundation: { database: house.database } as never }), progress: () => {},
  })
}, 60_000)
afterAll(() => house.close())

test('check 77: no row of any table of any schema holds any of it, in any writing; a row that does is found', async () => {
  const look = async () => [...(await dumpOf(house.at.ownerUrl))].flatMap(([table, text]) => foundIn(text, words).map((found) => `${table}: ${found}`))
  expect(await look()).toEqual([])
  // The control, once in each writing and in tables that nothing of ours guards.
  const [word, arabic] = [sealed.givenName, sealed.familyName]
  await house.at.owner('create table public.control (plain text, bytes bytea, encoded text)')
  await house.at.owner('insert into public.control values ($1, $2, $3)', [
    `x${word.toUpperCase()}y`, Buffer.from(`ab${arabic}`), Buffer.from(`12${sealed.mrn}3`).toString('base64'),
  ])
  await house.at.owner("update outbox.event set payload = jsonb_build_object('note', $1::text) where id = (select id from outbox.event limit 1)", [sealed.phone])
  expect(await look()).toEqual(expect.arrayContaining([
    `public.control: ${word} (plain)`,
    `public.control: ${arabic} (hex)`,
    expect.stringMatching(/^public\.control: MRNQX7341 \(base64/),
    `outbox.event: ${sealed.phone} (plain)`,
  ]))
})

test('every line of the trail that tells of protected fields says for which purpose', async () => {
  const lines = await house.at.owner<{ action: string; purposes: (string | null)[] }>(
    `select action, array_agg(distinct purpose) as purposes from audit.event
     where tenant_id = $1 and (action like 'phi.%' or action like 'break_glass.%') group by 1 order by 1`, [cedar.id],
  )
  expect(lines.map(({ action }) => action)).toEqual(['break_glass.opened', 'break_glass.read', 'break_glass.refused', 'phi.found', 'phi.read'])
  for (const { action, purposes } of lines) expect(purposes, action).toEqual(['TREATMENT'])
})

test('check 72: no nonce was used twice by anything that is sealed or wrapped, in any table', async () => {
  const nonces: string[] = []
  for (const [table, text] of await dumpOf(house.at.ownerUrl)) {
    if (table === 'pg_catalog.pg_stats') continue
    for (const [, nonce] of text.matchAll(/\bv1\|(?:\d+\|)?([\w-]{16})\|[\w-]*\|[\w-]{22}/g)) nonces.push(nonce!)
  }
  // Keys of a thousand people, wrapped by one data key, are among them.
  expect(nonces.length).toBeGreaterThan(1_000)
  expect(new Set(nonces).size).toBe(nonces.length)
})

test('check 77: no log line, metric, letter, file of the server or error holds any of it; a line that does is found', async () => {
  expect(logged.length).toBeGreaterThan(20)
  expect(foundIn(logged.join('\n'), words)).toEqual([])
  expect(answers.filter((answer) => foundIn(answer, words).length > 0)).toEqual([])
  const metrics = await (await fetch(`${house.url}/metrics`)).text()
  expect(metrics).toContain('# HELP')
  expect(foundIn(metrics, words)).toEqual([])
  const files = filesIn(house.dataDir)
  expect([...files.keys()]).toContain('cedar.archive')
  for (const [name, text] of files) expect(foundIn(text, words), name).toEqual([])
  expect(foundIn(`${logged.join('\n')} ${sealed.mrn.toLowerCase()}`, words)).toContain(`${sealed.mrn} (plain)`)
})

test('check 77: Postgres\' own log holds none of it, though it logs who fails', async () => {
  const log = process.env['TEST_DATABASE_LOG']
  // Another Postgres' log is its owner's.
  if (log === undefined) return expect(process.env['TEST_OWNER_URL']).toBeDefined()
  const marker = newId()
  const stranger = new URL(house.at.ownerUrl)
  stranger.username = marker
  await expect(withClient(stranger.href, async () => undefined)).rejects.toThrow()
  await expect(house.at.owner(`select '${sealed.mrn}'::int`)).rejects.toThrow(sealed.mrn)
  await vi.waitFor(() => expect(readFileSync(log, 'utf8')).toContain(marker), 10_000)
  expect(foundIn(readFileSync(log, 'utf8'), words)).toEqual([])
})
