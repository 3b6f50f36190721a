/** The short way of a plain question against the server library's own: the same status, the same headers, the same bytes, errors included. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Documents } from '../src/platform/graphql/documents.ts'
import { encodeGlobalId } from '../src/platform/graphql/global-id.ts'
import { freshHouse, password, type TestHouse, type TestTenant } from './kit/house.ts'

let house: TestHouse
let cedar: TestTenant
const bearers: Record<string, string> = {}
let recipientId: string
let nameless: string

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  for (const role of ['care_coordinator', 'tenant_admin'] as const) bearers[role] = await house.signIn(cedar, role)
  const create = 'mutation ($input: CreateRecipientInput!) { createRecipient(input: $input) { ... on CareRecipient { id } } }'
  const made = async (givenName: string) => {
    const asking = { plane: 'console', bearer: bearers['care_coordinator']! } as const
    const { data } = await house.ask<{ createRecipient: { id: string } }>(asking, create, { input: { givenName } })
    return data!.createRecipient.id
  }
  recipientId = await made('Layla')
  nameless = await made('Sealed for another')
  // An envelope that does not open: an error at one field among others that answer.
  const sealed = "update care.recipient set phi = (select phi from care.recipient where tenant_id = $1 and id = $2) where tenant_id = $1 and id = $3"
  await house.at.owner(sealed, [cedar.id, bare(recipientId), bare(nameless)])
})
afterAll(() => house.close())

const bare = (id: string): string => Buffer.from(id, 'base64url').toString().split(':').at(-1)!

interface Question {
  readonly query: string
  readonly variables?: Record<string, unknown>
}

const send = (headers: Record<string, string>, body: object) =>
  fetch(`${house.url}/graphql/console`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })

const changing = ['date', 'x-request-id', 'content-length', 'transfer-encoding']
async function whole(reply: Response) {
  const id = reply.headers.get('x-request-id')!
  const headers = [...reply.headers].filter(([name]) => !changing.includes(name)).sort(([one], [other]) => (one < other ? -1 : 1))
  return { status: reply.status, headers, text: (await reply.text()).replaceAll(id, 'the request id') }
}

/** Asks both ways. A document that was never seen goes the library's way too, so it is shown first. */
async function bothWays(question: Question, headers: Record<string, string>) {
  const plan = vi.spyOn(house.database, 'readConfirmed').mockImplementation(async () => null)
  try {
    const theirs = await whole(await send(headers, { ...question, operationName: null }))
    for (let k = 0; k < 2; k++) await (await send(headers, question)).text()
    const find = vi.spyOn(Documents.prototype, 'find')
    const ours = await whole(await send(headers, question))
    const isKnown = find.mock.results.at(-1)!.value !== null
    find.mockRestore()
    return { theirs, ours, isKnown }
  } finally {
    plan.mockRestore()
  }
}

const oneOf = (fields: string) => `query ($id: ID!) { recipient(id: $id) { ${fields} } }`
const change = `mutation ($input: UpdateRecipientInput!) { updateRecipient(input: $input) { __typename ... on CareRecipient { preferredLocale }
  ... on Fault { code message } } }`

const questions: Record<string, () => Question> = {
  'a page with sealed fields': () => ({ query: '{ recipients(first: 5) { edges { cursor node { id state createdAt phone } } pageInfo { endCursor } } }' }),
  'a record with its protected fields': () => ({ query: oneOf('id givenName phone @include(if: true)'), variables: { id: recipientId } }),
  'an error at a field beside others': () => ({ query: oneOf('id state givenName'), variables: { id: nameless } }),
  'a record that is not there': () => ({ query: oneOf('id givenName'), variables: { id: encodeGlobalId('CareRecipient', cedar.id) } }),
  'an id of another type': () => ({ query: oneOf('id givenName'), variables: { id: encodeGlobalId('CareParty', cedar.id) } }),
  'a typed failure of a mutation': () => ({ query: change, variables: { input: { id: recipientId, version: 99, preferredLocale: 'ar' } } }),
  'an input that the command refuses': () => ({ query: change, variables: { input: { id: recipientId, version: 99, preferredLocale: 'x'.repeat(99) } } }),
  'a variable of the wrong type': () => ({ query: change, variables: { input: { id: recipientId, version: 'one' } } }),
  'a variable that is missing': () => ({ query: oneOf('id givenName'), variables: {} }),
  'several root fields': () => ({ query: '{ a: recipients(first: 1) { edges { node { givenName } } } b: recipients(first: 2) { edges { node { id } } } }' }),
  'a document that is not valid': () => ({ query: '{ recipients(first: 5) { edges { nod { id } } } }' }),
  'a document that costs too much': () => ({
    query: '{ recipients(first: 100) { edges { node { consents(first: 100) { edges { node { recipient { consents(first: 100) { edges { node { id } } } } } } } } } } }',
  }),
}

test.each(Object.keys(questions))('%s', async (name) => {
  const question = questions[name]!()
  for (const accept of ['application/json', '*/*']) {
    const { theirs, ours, isKnown } = await bothWays(question, { authorization: `Bearer ${bearers['care_coordinator']}`, accept })
    expect(ours).toEqual(theirs)
    expect(isKnown).toBe(!name.startsWith('a document that'))
  }
})

test('a field that the caller may not read', async () => {
  const { theirs, ours } = await bothWays({ query: oneOf('id givenName'), variables: { id: recipientId } }, { authorization: `Bearer ${bearers['tenant_admin']}` })
  expect(ours).toEqual(theirs)
  expect(ours.text).toContain('FORBIDDEN')
})

test('a caller who is refused as a whole, and one without a tenant', async () => {
  for (const headers of [{ authorization: 'Bearer not.a.token' }, { 'x-maristan-tenant': 'nobody-here' }] as Record<string, string>[]) {
    const { theirs, ours } = await bothWays({ query: '{ recipients(first: 1) { edges { node { phone } } } }' }, headers)
    expect(ours).toEqual(theirs)
    expect(ours.status).toBeGreaterThanOrEqual(400)
  }
})

test('a mistake of ours is hidden the same way, and answers nothing', async () => {
  const authorization = `Bearer ${bearers['care_coordinator']}`
  await house.at.owner('revoke insert on audit.event from maristan_console')
  try {
    const { theirs, ours } = await bothWays({ query: oneOf('givenName'), variables: { id: recipientId } }, { authorization })
    expect(ours).toEqual(theirs)
    expect(ours).toMatchObject({ status: 500, text: expect.stringContaining('INTERNAL') as string })
    expect(ours.text).not.toContain('Layla')
  } finally {
    await house.at.owner('grant insert on audit.event to maristan_console')
  }
})

test('a sign-in sets its cookie once, whichever way it came', async () => {
  const query = `mutation ($i: SignInInput!) { signIn(input: $i) { __typename ... on SignedIn { membership { role } } } }`
  const variables = { i: { email: cedar.member.care_coordinator.email, password, transport: 'COOKIE' } }
  const { theirs, ours } = await bothWays({ query, variables }, { 'x-maristan-tenant': cedar.slug })
  const cookiesIn = ({ headers }: typeof ours) => headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value.split('=')[0])
  expect(ours.text).toBe(theirs.text)
  expect(cookiesIn(ours)).toEqual(cookiesIn(theirs))
  expect(cookiesIn(ours)).toHaveLength(1)
})

test('a mutation is executed once, and its audit row is there', async () => {
  const authorization = `Bearer ${bearers['care_coordinator']}`
  const query = 'mutation ($input: CreatePartyInput!) { createParty(input: $input) { __typename } }'
  const rows = async () => Number((await house.at.owner<{ n: string }>("select count(*) as n from audit.event where tenant_id = $1 and action = 'party.created'", [cedar.id]))[0]!.n)
  const before = await rows()
  for (let k = 1; k <= 4; k++) {
    const reply = await send({ authorization }, { query, variables: { input: { kind: 'FAMILY', name: `N${k}` } } })
    expect(await reply.json()).toEqual({ data: { createParty: { __typename: 'CareParty' } } })
    expect(await rows()).toBe(before + k)
  }
})
