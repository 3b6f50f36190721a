/** Compiled reads over HTTP: the same bytes as the ordinary path's, and a session that has ended, or a role that was taken, ends them at once. */
import { afterAll, beforeAll, beforeEach, expect, test, vi, type MockInstance } from 'vitest'
import { freshHouse, type TestHouse, type TestTenant } from './kit/house.ts'
import { newId } from '../src/kernel/id.ts'
import type { Caller } from '../src/kernel/scope.ts'
import { confirmationOf } from '../src/modules/identity/repo-sessions.ts'
import { encodeGlobalId } from '../src/platform/graphql/global-id.ts'

let house: TestHouse
let cedar: TestTenant
let other: TestTenant
let bearer: string
let compiled: MockInstance
const question = { query: '{ recipients(first: 3) { edges { cursor node { id state createdAt } } pageInfo { hasNextPage endCursor } } }' }

/** How many answers were compiled; a session alone is confirmed the same way. */
const pages = (): number => compiled.mock.calls.filter(([read]) => (read as { text: string }).text !== "select 'yes'").length

const send = (headers: Record<string, string>, body: object = question) =>
  fetch(`${house.url}/graphql/console`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })

/** Asks until the answer is compiled: the first two look at the session and plan. */
async function warm(): Promise<void> {
  for (let k = 0; k < 3; k++) await (await send({ authorization: `Bearer ${bearer}` })).text()
  compiled.mockClear()
}

beforeAll(async () => {
  house = await freshHouse()
  ;[cedar, other] = [await house.tenant(), await house.tenant()]
  const recipient = 'mutation ($input: CreateRecipientInput!) { createRecipient(input: $input) { __typename } }'
  const coordinator = await house.signIn(cedar, 'care_coordinator')
  for (let k = 0; k < 4; k++) await house.ask({ plane: 'console', bearer: coordinator }, recipient, { input: { givenName: `G${k}` } })
})
beforeEach(async () => {
  bearer = await house.signIn(cedar, 'care_coordinator')
  compiled = vi.spyOn(house.database, 'readConfirmed')
})
afterAll(() => house.close())

const codeOf = async (reply: Response): Promise<string | undefined> =>
  ((await reply.json()) as { errors?: { extensions: { code: string } }[] }).errors?.[0]?.extensions.code
const sessionId = () => (JSON.parse(Buffer.from(bearer.split('.')[1]!, 'base64url').toString()) as { sid: string }).sid

test('the ordinary and the compiled answer are the same bytes under the same headers', async () => {
  for (const accept of ['application/json', '*/*']) {
    const ordinary = await send({ authorization: `Bearer ${bearer}`, accept }, { ...question, operationName: null })
    const text = await ordinary.text()
    expect(pages()).toBe(0)
    await warm()
    const fast = await send({ authorization: `Bearer ${bearer}`, accept })
    expect(pages()).toBe(1)
    expect(await fast.text()).toBe(text)
    expect(fast.status).toBe(ordinary.status)
    const kept = (headers: Headers) => [...headers].filter(([name]) => !['date', 'x-request-id', 'content-length', 'transfer-encoding'].includes(name))
    expect(kept(fast.headers)).toEqual(kept(ordinary.headers))
    compiled.mockClear()
  }
})

test.each([
  ['was revoked', 'update identity.session set revoked_at = now() where tenant_id = $1 and id = $2'],
  ['was idle too long', "update identity.session set rotated_at = now() - interval '1 day' where tenant_id = $1 and id = $2"],
  ['is over', "update identity.session set expires_at = now() - interval '1 second' where tenant_id = $1 and id = $2"],
])('a session that %s is refused at the next call', async (_, change) => {
  await warm()
  expect((await send({ authorization: `Bearer ${bearer}` })).status).toBe(200)
  await house.at.owner(change, [cedar.id, sessionId()])
  const reply = await send({ authorization: `Bearer ${bearer}` })
  expect(pages()).toBe(2)
  expect(reply.status).toBe(401)
  expect(await codeOf(reply)).toBe('SESSION_ENDED')
})

test('whoever is otherwise in any respect than was remembered is not confirmed', async () => {
  const { membershipId } = cedar.member.care_coordinator
  const identityOf = async (membership: string) =>
    (await house.at.owner<{ id: string }>('select identity_id as id from identity.membership where tenant_id = $1 and id = $2', [cedar.id, membership]))[0]!.id
  const identityId = await identityOf(membershipId)
  const nowMs = Date.now()
  const member = { sessionId: sessionId(), membershipId, identityId, role: 'care_coordinator', plane: 'console', via: 'password', providerOrgId: null } as const
  const remembered = { tenantId: cedar.id, nowMs, idleSinceMs: nowMs - 60_000 }
  const caller: Caller = {
    tenantId: cedar.id,
    plane: 'console',
    actor: { kind: 'member', ...member },
    permissions: new Set(),
    purpose: 'OPERATIONS',
    requestId: 'remembered',
    sourceAddress: null,
    userAgent: null,
  }
  const answer = (of: Partial<typeof remembered>, to: object) => {
    const confirmedBy = confirmationOf({ ...remembered, ...of, member: { ...member, ...to } })
    return house.database.readConfirmed({ caller, confirmedBy, text: "select current_setting('app.tenant_id')", values: [], signal: null })
  }
  expect(await answer({}, {})).toBe(cedar.id)
  for (const [of, to] of [
    [{ tenantId: other.id }, {}],
    [{ nowMs: nowMs + 365 * 86_400_000 }, {}],
    [{ idleSinceMs: nowMs + 60_000 }, {}],
    [{}, { sessionId: newId() }],
    [{}, { membershipId: cedar.member.tenant_admin.membershipId }],
    [{}, { identityId: await identityOf(cedar.member.tenant_admin.membershipId) }],
    [{}, { role: 'tenant_admin' }],
    [{}, { plane: 'clinician' }],
    [{}, { via: 'saml' }],
    [{}, { providerOrgId: newId() }],
  ] as const) {
    expect(await answer(of, to), JSON.stringify([of, to])).toBeNull()
  }
  expect(await answer({}, {})).toBe(cedar.id)
})

test('a role that was taken away is gone at the next call, and so is a suspended member', async () => {
  await warm()
  const { membershipId } = cedar.member.care_coordinator
  const change = (set: string) => house.at.owner(`update identity.membership set ${set} where tenant_id = $1 and id = $2`, [cedar.id, membershipId])
  try {
    await change("role = 'tenant_admin'")
    expect(await codeOf(await send({ authorization: `Bearer ${bearer}` }))).toBe('FORBIDDEN')
    await change("role = 'care_coordinator', status = 'SUSPENDED'")
    expect(await codeOf(await send({ authorization: `Bearer ${bearer}` }))).toBe('SESSION_ENDED')
  } finally {
    await change("role = 'care_coordinator', status = 'ACTIVE'")
  }
  expect((await send({ authorization: `Bearer ${bearer}` })).status).toBe(200)
})

test('a change is confirmed along with its first statement: it is done for whom the database knows now, or not at all', async () => {
  const grant = 'mutation ($input: GrantConsentInput!) { grantConsent(input: $input) { __typename ... on Consent { version } } }'
  const [asked] = await house.at.owner<{ recipient: string; party: string }>(
    'select r.id as recipient, p.id as party from care.recipient r join care.party p on p.recipient_id = r.id where r.tenant_id = $1 limit 1',
    [cedar.id],
  )
  const input = {
    recipientId: encodeGlobalId('CareRecipient', asked!.recipient),
    granteeId: encodeGlobalId('CareParty', asked!.party),
    purpose: 'TREATMENT',
    fieldSet: ['phone'],
  }
  const change = () => send({ authorization: `Bearer ${bearer}` }, { query: grant, variables: { input } })
  const trail = () =>
    house.at.owner<{ consents: number; lines: number; events: number }>(
      `select (select count(*)::int from care.consent where tenant_id = $1) as consents,
         (select count(*)::int from audit.event where tenant_id = $1 and action = 'consent.granted') as lines,
         (select count(*)::int from outbox.event where tenant_id = $1 and name = 'care.consent.changed') as events`,
      [cedar.id],
    )
  await warm()
  const doors = vi.spyOn(house.database, 'unit')
  for (let k = 0; k < 3; k++) expect(((await (await change()).json()) as { data: unknown }).data).toEqual({ grantConsent: { __typename: 'Consent', version: 1 } })
  expect(doors.mock.calls.at(-1)![2]).not.toBeNull()
  doors.mockRestore()
  expect(await trail()).toEqual([{ consents: 3, lines: 3, events: 3 }])
  const { membershipId } = cedar.member.care_coordinator
  const become = (set: string) => house.at.owner(`update identity.membership set ${set} where tenant_id = $1 and id = $2`, [cedar.id, membershipId])
  try {
    await become("role = 'compliance_officer'")
    const refused = (await (await change()).json()) as { errors?: { extensions: { code: string } }[]; data?: unknown }
    expect(JSON.stringify(refused)).toContain('DeniedFault')
    await become("role = 'care_coordinator'")
    await house.at.owner('update identity.session set revoked_at = now() where tenant_id = $1 and id = $2', [cedar.id, sessionId()])
    expect(await codeOf(await change())).toBe('SESSION_ENDED')
  } finally {
    await become("role = 'care_coordinator'")
  }
  expect(await trail()).toEqual([{ consents: 3, lines: 3, events: 3 }])
})

test("a remembered bearer opens no other tenant's door, no other plane, and none with a changed letter", async () => {
  await warm()
  const authorization = `Bearer ${bearer}`
  expect(await codeOf(await send({ authorization, 'x-maristan-tenant': other.slug }))).toBe('WRONG_HOST')
  const elsewhere = await fetch(`${house.url}/graphql/clinician`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization },
    body: JSON.stringify(question),
  })
  expect(await codeOf(elsewhere)).toBe('TOKEN_WRONG_PLANE')
  const [head, body, signature] = bearer.split('.')
  const bent = `${signature!.startsWith('A') ? 'B' : 'A'}${signature!.slice(1)}`
  expect(await codeOf(await send({ authorization: `Bearer ${head}.${body}.${bent}` }))).toBe('TOKEN_INVALID')
  expect(pages()).toBe(0)
  expect((await send({ authorization, 'x-maristan-tenant': cedar.slug })).status).toBe(200)
  expect(pages()).toBe(1)
})

test('a row that is not there is the same error as ever, and an ordinary one', async () => {
  const query = 'query ($id: ID!) { recipient(id: $id) { id } }'
  const ask = (id: string) => send({ authorization: `Bearer ${bearer}` }, { query, variables: { id } })
  for (let k = 0; k < 3; k++) expect(await codeOf(await ask(encodeGlobalId('CareRecipient', other.id)))).toBe('NOT_FOUND')
})
