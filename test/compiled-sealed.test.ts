/**
 * Sealed fields in compiled reads against the ordinary path: random documents over protected records, some of which do not open or are not
 * the caller's to open. The same bytes, and the same rows in the audit trail; where a field fails, no answer and no row.
 */
import fc from 'fast-check'
import { graphql } from 'graphql'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Caller, Plane } from '../src/kernel/scope.ts'
import { CompiledReads } from '../src/platform/graphql/compiled/reads.ts'
import { readTables } from '../src/platform/graphql/compiled/tables.ts'
import { createContext } from '../src/platform/graphql/context.ts'
import { Documents } from '../src/platform/graphql/documents.ts'
import { careHouse, gid, planting, type CareHouse } from './kit/care.ts'
import { randomDocument, type RandomDocument } from './kit/documents.ts'

let house: CareHouse
let tenantId: string
let watcher: pg.Client
const callers: Caller[] = []
const ids: string[] = []
const mistakes: unknown[] = []
const ways = new Map<Plane, { documents: Documents; reads: CompiledReads }>()

const contextOf = (caller: Caller) =>
  createContext({ unit: house.database.unit(caller), plane: caller.plane!, locale: 'en', answer: { setCookie() {} } })

const confirmed = ({ actor }: Caller) => {
  const role = actor.kind === 'member' ? actor.role : ''
  return { text: 'select $1', values: [role], proof: role }
}

async function compiled(caller: Caller, { query, variables }: RandomDocument): Promise<string | null> {
  const plane = caller.plane!
  const schema = house.composed.schemas.plane[plane]
  let way = ways.get(plane)
  if (!way) {
    const documents = new Documents({ schema, limits: { development: false, guessable: [] }, keptFrom: 1 })
    const reads = new CompiledReads({
      schema,
      tables: readTables(house.database.storedModels),
      read: (read) => house.database.readConfirmed(read),
      open: contextOf,
      failed: (error) => void mistakes.push(error),
    })
    ways.set(plane, (way = { documents, reads }))
  }
  const known = way.documents.find(query)
  const coerced = known?.coerce(variables)
  if (!known || !coerced) return null
  return way.reads.answer(known, coerced, { caller, confirmedBy: confirmed(caller) }, new AbortController().signal)
}

async function ordinary(caller: Caller, { query, variables }: RandomDocument): Promise<{ text: string; failed: boolean }> {
  const contextValue = contextOf(caller)
  const schema = house.composed.schemas.plane[caller.plane!]
  const result = await contextValue.unit.read(() => graphql({ schema, source: query, contextValue, variableValues: variables }))
  return { text: JSON.stringify(result), failed: result.errors !== undefined }
}

/** The audit rows that `work` leaves, and the names of fields in each, in one order; without what each row draws anew. */
async function withTrail<T>(work: () => Promise<T>): Promise<{ done: T; trail: unknown[] }> {
  const { rows: newest } = await watcher.query<{ last: string | null }>('select max(id::text) as last from audit.event where tenant_id = $1', [tenantId])
  const done = await work()
  const { rows } = await watcher.query<{ detail: { fields?: string[] } }>(
    `select actor_kind, actor_id, plane, action, resource, resource_id, subject_id, outcome, purpose, detail from audit.event
     where tenant_id = $1 and id::text > $2 order by id`,
    [tenantId, newest[0]?.last ?? ''],
  )
  for (const { detail } of rows) detail.fields?.sort()
  const trail = rows.map((row) => JSON.stringify(row)).sort()
  return { done, trail: trail.map((row) => JSON.parse(row) as unknown) }
}

beforeAll(async () => {
  house = await careHouse()
  watcher = new pg.Client({ connectionString: house.at.ownerUrl })
  await watcher.connect()
  tenantId = await house.tenant()
  const plant = planting(house, tenantId)
  const [clinician, family] = [house.member(tenantId, 'clinician'), house.member(tenantId, 'family')]
  const [doctor, aunt] = [await plant.party('CLINICIAN', clinician), await plant.party('FAMILY', family)]
  const texts = ['"quoted" \\ \\u0001', 'حدّاد', '👩‍⚕️ <b>', "'; --", '{"a":1}', 'é', 'x|y|z', 'plain']
  for (const [k, familyName] of texts.entries()) {
    const more = k % 2 === 0 ? { phone: '+44 7700 900123', birthDate: '1941-03-27', address: familyName } : {}
    const { id, partyId } = await plant.recipient({ givenName: `G${k}`, familyName, ...more })
    ids.push(gid('CareRecipient', id))
    if (k < 5) await plant.link(doctor, partyId, k < 3 ? ['PHI'] : ['VIEW'])
    if (k < 2) await plant.link(aunt, partyId, ['PHI'])
    const phiOfFirst = '(select phi from care.recipient where tenant_id = $1 order by id limit 1)'
    if (k === 6) await house.at.owner(`update care.recipient set phi = ${phiOfFirst} where tenant_id = $1 and id = $2`, [tenantId, id])
    if (k === 7) await house.at.owner("update vault.subject_key set state = 'DESTROYED', wrapped = null, tenant_key_version = null, destroyed_at = now() where tenant_id = $1 and subject_id = $2", [tenantId, id])
  }
  callers.push(plant.coordinator, house.member(tenantId, 'compliance_officer'), clinician, family)
})
afterAll(async () => {
  await watcher.end()
  await house.close()
})

const open = (page: number) => ({ query: `{ recipients(first: ${page}) { edges { node { id givenName b: familyName state phone } } } }`, variables: {} })

test('forty at once of two tenants, on both paths: what opens is everybody’s own', async () => {
  const other = planting(house, await house.tenant())
  for (let k = 0; k < 6; k++) await other.recipient({ givenName: `Other ${k}` })
  const both = [callers[0]!, other.coordinator] as const
  const alone = [(await ordinary(both[0], open(6))).text, (await ordinary(both[1], open(6))).text] as const
  expect(alone.map((text) => [text.includes('"G0"'), text.includes('"Other 0"')])).toEqual([[true, false], [false, true]])
  for (const way of [compiled, async (...asked: Parameters<typeof ordinary>) => (await ordinary(...asked)).text]) {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, k) => way(both[k % 2]!, open(6))))
    answers.forEach((answer, k) => expect(answer).toBe(alone[k % 2]))
  }
})

test('a page of protected records is compiled: the same bytes, the same audit rows', async () => {
  const fast = await withTrail(() => compiled(callers[0]!, open(6)))
  const slow = await withTrail(() => ordinary(callers[0]!, open(6)))
  expect(fast.done).toBe(slow.done.text)
  expect(fast.done).toContain('حدّاد')
  expect(fast.trail).toEqual(slow.trail)
  expect(fast.trail).toHaveLength(6)
  expect(fast.trail[0]).toMatchObject({ action: 'phi.read', outcome: 'done', detail: { fields: ['familyName', 'givenName', 'phone'] } })
})

const one = (k: number) => ({ query: 'query ($id: ID!) { recipient(id: $id) { phone } }', variables: { id: ids[k]! } })

test('where a record does not open there is no compiled answer and no audit row of it', async () => {
  expect(await compiled(callers[0]!, one(5))).toContain('"phone":null')
  // A page that holds an envelope beside its copy, the copy alone, and an erased person.
  for (const document of [open(7), one(6), one(7)]) {
    const { done, trail } = await withTrail(() => compiled(callers[0]!, document))
    expect(done).toBeNull()
    expect(trail).toEqual([])
  }
})

test('an envelope that was moved to another row does not open there, even beside the row from which it was taken', async () => {
  const { done, trail } = await withTrail(() => ordinary(callers[0]!, open(7)))
  const { data, errors } = JSON.parse(done.text) as { data: { recipients: { edges: { node: { givenName: string | null } }[] } }; errors: unknown[] }
  expect(data.recipients.edges.map(({ node }) => node.givenName)).toEqual(['G0', 'G1', 'G2', 'G3', 'G4', 'G5', null])
  expect(errors).toHaveLength(3)
  expect(trail).toHaveLength(7)
})

test('nothing sealed is opened for a caller whom the database does not confirm', async () => {
  const { done, trail } = await withTrail(async () => {
    const known = ways.get('console')!.documents.find(open(6).query)!
    const expected = { caller: callers[0]!, confirmedBy: { ...confirmed(callers[0]!), proof: 'somebody else' } }
    return ways.get('console')!.reads.answer(known, {}, expected, new AbortController().signal)
  })
  expect(done).toBeNull()
  expect(trail).toEqual([])
})

test('random documents answer the same bytes with the same trail, or leave everything to the ordinary path', async () => {
  const counts = { answered: 0, opened: 0, failed: 0, left: 0 }
  const documents = [...new Set(callers.map(({ plane }) => plane!))].map((plane) =>
    randomDocument({
      schema: house.composed.schemas.plane[plane],
      roots: ['recipient', 'recipients'],
      // What no plan holds would leave nothing to compare, and what leads back makes documents large.
      isLeft: (type, field) => (type === 'Consent' && field === 'recipient') || field === 'sex' || field === 'live' || field === 'name' || type === 'CareParty' || (type === 'Consent' && field === 'state'),
      ids: ids.slice(0, 6),
    }).map((document) => ({ plane, document })),
  )
  const surely = (page: number) => ({ plane: 'console' as const, document: open(page) })
  await fc.assert(
    fc.asyncProperty(fc.oneof(...documents), async ({ plane, document }) => {
      for (const caller of callers.filter((one) => one.plane === plane)) {
        const fast = await withTrail(() => compiled(caller, document))
        const slow = await withTrail(() => ordinary(caller, document))
        if (fast.done === null) {
          counts[slow.done.failed ? 'failed' : 'left']++
          expect(fast.trail).toEqual([])
          continue
        }
        counts.answered++
        counts.opened += fast.trail.length
        expect(fast.done).toBe(slow.done.text)
        expect(fast.trail).toEqual(slow.trail)
      }
    }),
    // Two documents that surely are compiled and open something come first: what is asserted below does not hang on luck.
    { numRuns: 15, endOnFailure: true, examples: [[surely(3)], [surely(5)]] },
  )
  expect(mistakes).toEqual([])
  // Otherwise this test would hold nothing against anything.
  expect(counts.answered).toBeGreaterThan(2)
  expect(counts.opened).toBeGreaterThan(2)
})
