/** RFC 7644 §3.4.2.2: generated filters over generated users find in Postgres what the oracle finds by hand. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { scimTables, type ScimTables } from '../kit/scim-tables.ts'
import { readUser } from '../../src/modules/federation/scim/schema/read-user.ts'
import { enterprise, holds, write, type Tree } from './filter-oracle.ts'

/** Few letters and every sign that some language of patterns knows, so that matches and near misses are common. */
const text = fc.string({ unit: fc.constantFrom('a', 'A', 'b', 'é', 'É', '%', '_', '\\', "'", '"', '.', '*', ' ', '😀'), maxLength: 3 })
const kind = fc.constantFrom('work', 'home', 'Work')
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })

const entry = fc.record({ value: maybe(text), type: maybe(kind), primary: maybe(fc.constant(false)) }, { requiredKeys: [] })
const user = fc.record({
  externalId: maybe(text),
  title: maybe(text),
  active: fc.boolean(),
  profileUrl: maybe(text),
  name: maybe(fc.record({ givenName: maybe(text), familyName: maybe(text) })),
  emails: fc.array(entry, { maxLength: 3 }),
  phoneNumbers: fc.array(entry, { maxLength: 2 }),
  addresses: fc.array(fc.record({ locality: maybe(text), type: maybe(kind) }), { maxLength: 2 }),
  [enterprise]: maybe(fc.record({ department: maybe(text), manager: maybe(fc.record({ value: text })) })),
})

const words = ['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'] as const
const compared = (paths: readonly string[]): fc.Arbitrary<Tree> =>
  fc.oneof(
    fc.record({ op: fc.constantFrom(...words), path: fc.constantFrom(...paths), value: text }),
    fc.record({ op: fc.constantFrom('eq' as const, 'ne' as const), path: fc.constantFrom(...paths), value: fc.constant(null) }),
    fc.record({ op: fc.constant('pr' as const), path: fc.constantFrom(...paths) }),
  )
const inside = compared(['value', 'type'])
const valueFilter: fc.Arbitrary<Tree> = fc.oneof(
  inside,
  fc.record({ op: fc.constantFrom('and' as const, 'or' as const), left: inside, right: inside }),
  fc.record({ op: fc.constant('not' as const), of: inside }),
)
const leaf: fc.Arbitrary<Tree> = fc.oneof(
  { weight: 4, arbitrary: compared(['userName', 'externalId', 'title', 'profileUrl', 'name.givenName', 'name.familyName']) },
  {
    weight: 4,
    arbitrary: compared(['emails', 'emails.value', 'emails.type', 'phoneNumbers.value', 'addresses.locality', 'addresses.type']),
  },
  { weight: 1, arbitrary: compared([`${enterprise}:department`, `${enterprise}:manager.value`]) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constantFrom('eq' as const, 'ne' as const), path: fc.constant('active'), value: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('pr' as const), path: fc.constantFrom('name', 'emails', 'addresses', 'active') }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('within' as const), path: fc.constantFrom('emails', 'phoneNumbers'), of: valueFilter }),
  },
)
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.record({ op: fc.constantFrom('and' as const, 'or' as const), left: tie('tree'), right: tie('tree') }),
    fc.record({ op: fc.constant('not' as const), of: tie('tree') }),
  ),
}))

let ground: ScimTables
const seen = new Map<string, Record<string, unknown>>()

beforeAll(async () => {
  ground = await scimTables()
  const bodies = fc.sample(user, { numRuns: 80, seed: 7643 }).map((one, index) => ({
    ...one,
    // A connection knows a name of the directory once.
    ...(one.externalId === undefined ? {} : { externalId: `${one.externalId}${index}` }),
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    userName: `${'aAbB%_'[index % 6]}${index}`,
  }))
  const columns = bodies.map((body) => readUser(JSON.parse(JSON.stringify(body))))
  const ids = await ground.addUsers(columns)
  ids.forEach((id, index) => seen.set(id, columns[index]!.attributes as Record<string, unknown>))
})
afterAll(() => ground.close())

test('a filter finds in the database exactly the users it holds for', async () => {
  let found = 0
  await fc.assert(
    fc.asyncProperty(tree, async (one) => {
      const expected = [...seen].filter(([, resource]) => holds(one, resource)).map(([id]) => id)
      const ids = await ground.find(write(one))
      found += ids.length
      expect(ids).toEqual(expected.sort())
    }),
    { numRuns: 400, seed: 7644 },
  )
  // Filters that find nothing prove nothing.
  expect(found).toBeGreaterThan(3_000)
})
