/**
 * Subscriptions over HTTP: each stream shows what its own caller may see, at the moment of each answer, and ends when that right does. Of
 * two tenants that change in one tick each hears its own.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../src/kernel/id.ts'
import type { Care } from '../src/modules/care/contract.ts'
import { createLog } from '../src/platform/http/log.ts'
import { freshHouse, type Asking, type TestHouse, type TestTenant } from './kit/house.ts'
import { subscribe, type Stream } from './kit/stream.ts'
import { everything, gid, planter, rawId, type Person } from './matrix/world.ts'

interface Changes {
  recipientChanges: { id: string; areaGeohash5: string | null; givenName?: string | null } | null
}
interface Viewer {
  viewerChanges: { email: string; permissions: string[] }
}

let house: TestHouse
let cedar: TestTenant
let zaytuna: TestTenant
const plants = new Map<string, ReturnType<typeof planter>>()
const tokens = new Map<string, string>()

beforeAll(async () => {
  house = await freshHouse()
  for (const tenant of [(cedar = await house.tenant()), (zaytuna = await house.tenant())]) {
    plants.set(tenant.id, planter(house, tenant))
    for (const role of ['care_coordinator', 'clinician'] as const) tokens.set(`${role} ${tenant.id}`, await house.signIn(tenant, role))
  }
})
afterAll(() => house.close())

const coordinatorOf = (tenant: TestTenant): Asking => ({ plane: 'console', bearer: tokens.get(`care_coordinator ${tenant.id}`)! })
const clinicianOf = (tenant: TestTenant): Asking => ({ plane: 'clinician', bearer: tokens.get(`clinician ${tenant.id}`)! })
const changes = 'subscription ($id: ID!) { recipientChanges(id: $id) { id areaGeohash5 } }'
const watch = (asking: Asking, { id }: Pick<Person, 'id'>, document = changes): Promise<Stream<Changes>> =>
  subscribe<Changes>(house, asking, document, { id })

const care = () => house.composed.made['care']!.contract as Care
/** Writes an area into the record, as the tenant's coordinator. */
async function move(tenant: TestTenant, { id }: Person, areaGeohash5: string): Promise<void> {
  const [row] = await house.at.owner<{ version: number }>('select version from care.recipient where tenant_id = $1 and id = $2', [tenant.id, rawId(id)])
  await house.database
    .unit({ ...tenant.member.care_coordinator.caller, requestId: newId() })
    .command((scope) => care().updateRecipient(scope, { id: rawId(id), version: row!.version, areaGeohash5 }))
}
const areaIn = async (stream: Stream<Changes>) => (await stream.next())!.data!.recipientChanges!.areaGeohash5

test('the answer comes at once, and again after each change that shows in it', async () => {
  const person = await plants.get(cedar.id)!.person()
  const stream = await watch(coordinatorOf(cedar), person)
  expect(stream.status).toBe(200)
  expect((await stream.next())!.data!.recipientChanges!.id).toBe(person.id)
  // A change of what was not asked for brings nothing: the next answer is the one after it.
  await plants.get(cedar.id)!.consent(person, await plants.get(cedar.id)!.party('CLINICIAN'))
  await move(cedar, person, 'sv8wr')
  expect(await areaIn(stream)).toBe('sv8wr')
  await move(cedar, person, 'sv8wt')
  expect(await areaIn(stream)).toBe('sv8wt')
  stream.leave()
})

test('in one tick: tenants that change under one id, thirty streams, and everybody hears their own', async () => {
  const here = await plants.get(cedar.id)!.person()
  const there = await plants.get(zaytuna.id)!.person()
  // The other tenant's record under the very same id.
  await house.at.owner('set session_replication_role = replica; ' + `update care.recipient set id = '${rawId(here.id)}' where id = '${rawId(there.id)}'`)
  const of = (n: number) => (n % 2 === 0 ? cedar : zaytuna)
  const streams = await Promise.all(Array.from({ length: 30 }, (_, n) => watch(coordinatorOf(of(n)), here)))
  expect(await Promise.all(streams.map(areaIn))).toEqual(streams.map(() => null))
  await Promise.all([move(cedar, here, 'sv8wr'), move(zaytuna, here, 'sv8wt')])
  expect(await Promise.all(streams.map(areaIn))).toEqual(streams.map((_, n) => (n % 2 === 0 ? 'sv8wr' : 'sv8wt')))
  for (const stream of streams) stream.leave()
})

test('another tenant’s record is nobody’s, and both end the stream', async () => {
  const foreign = await plants.get(zaytuna.id)!.person()
  for (const id of [foreign.id, gid('CareRecipient', newId())]) {
    const stream = await watch(coordinatorOf(cedar), { id })
    const answer = (await stream.next())!
    expect([answer.data, answer.errors[0]!.extensions.code]).toEqual([{ recipientChanges: null }, 'NOT_FOUND'])
    expect(await stream.next()).toBeNull()
  }
})

test('whoever leaves the network is told that there is nothing any more, and hears of no later change', async () => {
  const plant = plants.get(cedar.id)!
  const [person, carer] = [await plant.person(), await plant.party('CLINICIAN', cedar.member.clinician.membershipId)]
  const link = await plant.link(carer, person.partyId, everything)
  const stream = await watch(clinicianOf(cedar), person)
  expect((await stream.next())!.data!.recipientChanges!.id).toBe(person.id)
  await house.database
    .unit({ ...cedar.member.care_coordinator.caller, requestId: newId() })
    .command((scope) => care().endLink(scope, { id: rawId(link) }))
  expect((await stream.next())!.errors[0]!.extensions.code).toBe('NOT_FOUND')
  expect(await stream.next()).toBeNull()
})

test('every answer that opens protected fields is in the audit trail before it leaves', async () => {
  const person = await plants.get(cedar.id)!.person()
  const stream = await watch(coordinatorOf(cedar), person, 'subscription ($id: ID!) { recipientChanges(id: $id) { id areaGeohash5 givenName } }')
  const reads = async () =>
    Number((await house.at.owner<{ n: string }>("select count(*) as n from audit.event where action = 'phi.read' and subject_id = $1", [rawId(person.id)]))[0]!.n)
  expect((await stream.next())!.data!.recipientChanges!.givenName).toBe('أمل')
  const first = await reads()
  expect(first).toBeGreaterThan(0)
  await move(cedar, person, 'sv8wr')
  expect(await areaIn(stream)).toBe('sv8wr')
  expect(await reads()).toBeGreaterThan(first)
  stream.leave()
})

test('a session that ends takes its streams along, and says so; the member’s other session goes on', async () => {
  const { plane } = cedar.member.family
  const [mine, other] = [await house.signIn(cedar, 'family'), await house.signIn(cedar, 'family')]
  const document = 'subscription { viewerChanges { email permissions } }'
  const stream = await subscribe<Viewer>(house, { plane, bearer: mine }, document)
  const staying = await subscribe<Viewer>(house, { plane, bearer: other }, document)
  expect((await stream.next())!.data!.viewerChanges.email).toBe(cedar.member.family.email)
  expect((await staying.next())!.data!.viewerChanges.email).toBe(cedar.member.family.email)
  const revoked = await house.ask<{ revokeOtherSessions: { count: number } }>(
    { plane, bearer: other },
    'mutation { revokeOtherSessions { ... on RevokedSessions { count } } }',
  )
  expect(revoked.errors).toEqual([])
  const last = (await stream.next())!
  expect([last.data, last.errors[0]!.extensions.code]).toEqual([null, 'SESSION_ENDED'])
  expect(await stream.next()).toBeNull()
  expect((await house.ask({ plane, bearer: other }, '{ viewer { email } }')).errors).toEqual([])
  staying.leave()
})

test('nobody subscribes without a sign-in, without the permission, to two things at once, or by an answer that cannot stream', async () => {
  const person = await plants.get(cedar.id)!.person()
  const codeOf = async (asking: Asking, document: string) => {
    const stream = await subscribe(house, asking, document, { id: person.id })
    return (await stream.next())?.errors[0]?.extensions.code
  }
  expect(await codeOf({ plane: 'console', tenant: cedar.slug }, changes)).toBe('UNAUTHENTICATED')
  expect(await codeOf({ plane: 'console', bearer: await house.signIn(cedar, 'tenant_admin') }, changes)).toBe('FORBIDDEN')
  expect(await codeOf({ plane: 'console', bearer: await house.signIn(cedar, 'compliance_officer') }, changes)).toBeUndefined()
  expect(await codeOf(coordinatorOf(cedar), 'subscription ($id: ID!) { recipientChanges(id: $id) { id } viewerChanges { email } }')).toBe('GRAPHQL_VALIDATION_FAILED')
  const plain = await fetch(`${house.url}/graphql/console`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${coordinatorOf(cedar).bearer}` },
    body: JSON.stringify({ query: changes, variables: { id: person.id } }),
  })
  expect(plain.status).toBe(406)
})

test('a client that goes away is no failure; a server that stops completes its streams, so that clients go elsewhere at once', async () => {
  const lines: string[] = []
  const leaving = await freshHouse({}, createLog({ level: 'warn', destination: { write: (line) => void lines.push(line) } }))
  const tenant = await leaving.tenant()
  const bearer = await leaving.signIn(tenant, 'caregiver')
  const stream = await subscribe<Viewer>(leaving, { plane: 'courier', bearer }, 'subscription { viewerChanges { email } }')
  expect((await stream.next())!.data!.viewerChanges.email).toBe(tenant.member.caregiver.email)
  const gone = await subscribe<Viewer>(leaving, { plane: 'courier', bearer }, 'subscription { viewerChanges { email } }')
  await gone.next()
  gone.leave()
  const closed = leaving.close()
  expect(await stream.next()).toBeNull()
  await closed
  expect(lines).toEqual([])
})
