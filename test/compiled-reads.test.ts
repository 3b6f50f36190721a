/**
 * Compiled reads against the ordinary path: random documents over random rows, byte for byte. Where the ordinary path ends in an error, a
 * compiled read has no answer; and it never answers a caller whom the database does not confirm.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { graphql } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../src/kernel/id.ts'
import type { Caller, Plane } from '../src/kernel/scope.ts'
import { CompiledReads, type Expected } from '../src/platform/graphql/compiled/reads.ts'
import { readTables } from '../src/platform/graphql/compiled/tables.ts'
import { createContext } from '../src/platform/graphql/context.ts'
import { Documents } from '../src/platform/graphql/documents.ts'
import { careHouse, gid, membershipOf, type CareHouse } from './kit/care.ts'
import { randomDocument, type RandomDocument } from './kit/documents.ts'

let house: CareHouse
const callers: Caller[] = []
const ids: string[] = []
const mistakes: unknown[] = []
const readers = new Map<Plane, { documents: Documents; reads: CompiledReads }>()

/** A confirmation that says yes. */
const confirmed = ({ actor }: Caller) => {
  const role = actor.kind === 'member' ? actor.role : ''
  return { text: 'select $1', values: [role], proof: role }
}

const readsOf = (plane: Plane) => {
  const schema = house.composed.schemas.plane[plane]
  const made = readers.get(plane) ?? {
    documents: new Documents({ schema, limits: { development: false, guessable: [] }, keptFrom: 1 }),
    reads: new CompiledReads({
      schema,
      tables: readTables(house.database.storedModels),
      read: (read) => house.database.readConfirmed(read),
      open: (caller, signal) => createContext({ unit: house.database.unit(caller, signal), plane, locale: 'en', answer: { setCookie() {} } }),
      failed: (error) => void mistakes.push(error),
    }),
  }
  readers.set(plane, made)
  return made
}

const answer = async (caller: Caller, { query, variables }: RandomDocument, expected: Expected): Promise<string | null> => {
  const { documents, reads } = readsOf(caller.plane!)
  const known = documents.find(query)
  const coerced = known?.coerce(variables)
  return known && coerced ? reads.answer(known, coerced, expected, new AbortController().signal) : null
}

const compiled = (caller: Caller, asked: RandomDocument): Promise<string | null> =>
  answer(caller, asked, { caller, confirmedBy: confirmed(caller) })

async function ordinary(caller: Caller, { query, variables }: RandomDocument): Promise<{ text: string; failed: boolean }> {
  const unit = house.database.unit(caller)
  const contextValue = createContext({ unit, plane: caller.plane!, locale: 'en', answer: { setCookie() {} } })
  const schema = house.composed.schemas.plane[caller.plane!]
  const result = await unit.read(() => graphql({ schema, source: query, contextValue, variableValues: variables }))
  return { text: JSON.stringify(result), failed: result.errors !== undefined }
}

/** Texts that an encoder gets wrong first. */
const hardText = fc.oneof(
  fc.constantFrom('', '"', '\\', '\\"', '\b\f\n\r\t', '\u0001\u001f', '\u007f\u0080', '\u2028\u2029', '</script>', 'é', 'حدّاد', '👩‍⚕️', "'; --", '$1', '{}', 'null'),
  fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !text.includes('\0') && text.isWellFormed()),
)
const hardMoment = fc.constantFrom(
  '2026-11-21T13:20:09.545678Z',
  '2026-11-21T13:20:09.999999Z',
  '2026-11-21T13:20:09Z',
  '1969-12-31T23:59:59.999999Z',
  '0001-01-01T00:00:00Z',
  '1850-06-01T00:00:00.0005Z',
  '9999-12-31T23:59:59.999Z',
)
const oddMoment = fc.constantFrom('0044-03-15T00:00:00Z BC', '12026-01-01T00:00:00Z', 'infinity', '-infinity')

async function plant(tenantId: string, mostlyPlain: boolean, seed: number): Promise<void> {
  const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number) => fc.sample(arbitrary, { numRuns: count, seed })
  const rows = sample(
    fc.record({
      locale: hardText,
      year: fc.option(fc.integer({ min: 1850, max: 2200 })),
      area: fc.option(fc.constantFrom('gcpvj', 'sv9jc')),
      state: fc.constantFrom('ACTIVE', 'ARCHIVED'),
      at: mostlyPlain ? hardMoment : fc.oneof(hardMoment, oddMoment),
      version: fc.integer({ min: -2147483648, max: 2147483647 }),
      consents: fc.array(
        fc.record({
          purpose: hardText,
          fields: fc.array(hardText, { maxLength: 3 }),
          until: fc.option(mostlyPlain ? hardMoment : fc.oneof(hardMoment, oddMoment)),
        }),
        { maxLength: 4 },
      ),
    }),
    7,
  )
  const parties: string[] = []
  for (const row of rows) {
    const [id, partyId] = [newId(), newId()]
    ids.push(gid('CareRecipient', id))
    parties.push(partyId)
    await house.at.owner(
      `insert into care.recipient (tenant_id, id, phi, birth_year, area_geohash5, preferred_locale, state, created_at, version)
       values ($1, $2, 'v1|none', $3, $4, $5, $6, $7, $8)`,
      [tenantId, id, row.year, row.area, row.locale, row.state, row.at, row.version],
    )
    await house.at.owner(`insert into care.party (tenant_id, id, kind, phi, recipient_id) values ($1, $2, 'RECIPIENT', 'v1|none', $3)`, [tenantId, partyId, id])
    for (const { purpose, fields, until } of row.consents) {
      await house.at.owner(
        'insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set, valid_to) values ($1, $2, $3, $4, $5, $6, $7)',
        [tenantId, newId(), id, parties[0], purpose, fields, until],
      )
    }
  }
  for (const [at, from] of parties.entries()) {
    for (const to of parties.filter((_, k) => (k + at) % 3 === 1 && k !== at)) {
      await house.at.owner(
        `insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, capabilities, legal_guardian, valid_to)
         values ($1, $2, $3, $4, $5, array['VIEW'], $6, $7)`,
        [tenantId, newId(), from, to, rows[at]!.locale || 'OTHER', at % 2 === 0, at % 3 === 0 ? '2999-01-01' : null],
      )
    }
  }
}

/** A clinician who reaches one recipient, and a relative who represents one. */
async function plantMember(tenantId: string, role: 'clinician' | 'family'): Promise<Caller> {
  const caller = house.member(tenantId, role)
  const partyId = newId()
  const [target] = await house.at.owner<{ id: string }>("select id from care.party where tenant_id = $1 and kind = 'RECIPIENT' order by id limit 1", [tenantId])
  await house.at.owner(`insert into care.party (tenant_id, id, kind, phi, membership_id) values ($1, $2, 'FAMILY', 'v1|none', $3)`, [
    tenantId,
    partyId,
    membershipOf(caller),
  ])
  await house.at.owner(
    `insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, capabilities, legal_guardian)
     values ($1, $2, $3, $4, 'CHILD', array['VIEW'], true)`,
    [tenantId, newId(), partyId, target!.id],
  )
  return caller
}

beforeAll(async () => {
  house = await careHouse()
  for (const [k, mostlyPlain] of [true, false].entries()) {
    const tenantId = await house.tenant()
    await plant(tenantId, mostlyPlain, 11 + k)
    callers.push(house.member(tenantId, 'care_coordinator'), house.member(tenantId, 'compliance_officer'))
    callers.push(await plantMember(tenantId, 'clinician'), await plantMember(tenantId, 'family'))
  }
  // Names nothing, and names another kind.
  ids.push(gid('CareRecipient', newId()), gid('CareParty', newId()), 'rubbish')
})
afterAll(() => house.close())

const sealed = new Set(['givenName', 'familyName', 'birthDate', 'sex', 'mrn', 'nationalId', 'phone', 'address', 'name'])

describe('a compiled read', () => {
  const page = { query: '{ recipients(first: 5) { edges { node { id preferredLocale consents(first: 2) { edges { node { purpose } } } } } } }', variables: {} }

  test('answers what the ordinary path answers, byte for byte, and nothing where that fails', async () => {
    const counts = { answered: 0, failed: 0, left: 0 }
    const planes = [...new Set(callers.map(({ plane }) => plane!))]
    const documents = planes.map((plane) =>
      randomDocument({
        schema: house.composed.schemas.plane[plane],
        roots: ['recipient', 'recipients', 'recipients', 'recipients'],
        isLeft: (type, field) => sealed.has(field) || field === 'live' || (type === 'Consent' && field === 'state'),
        ids,
      }).map((document) => ({ plane, document })),
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof(...documents), async ({ plane, document }) => {
        for (const caller of callers.filter((one) => one.plane === plane).slice(0, 4)) {
          const [fast, slow] = await Promise.all([compiled(caller, document), ordinary(caller, document)])
          if (fast === null) counts[slow.failed ? 'failed' : 'left']++
          else {
            counts.answered++
            expect(fast).toBe(slow.text)
            expect(slow.failed).toBe(false)
          }
        }
      }),
      // One that surely is compiled comes first: what is asserted below does not hang on luck.
      { numRuns: 50, endOnFailure: true, examples: [[{ plane: 'console', document: page }]] },
    )
    expect(mistakes).toEqual([])
    // Otherwise this test would hold nothing against anything.
    expect(counts.answered).toBeGreaterThan(0)
    expect(counts.failed).toBeGreaterThan(0)
  })

  const [ours, theirs] = [0, 4]

  test('keeps callers of one tick apart: each has its own tenant, asked two hundred at once', async () => {
    const expected = await Promise.all([ours, theirs].map((at) => compiled(callers[at]!, page)))
    expect(expected[0]).not.toBe(expected[1])
    const answers = await Promise.all(Array.from({ length: 200 }, (_, k) => compiled(callers[k % 2 === 0 ? ours : theirs]!, page)))
    answers.forEach((answer, k) => expect(answer).toBe(expected[k % 2]))
  })

  test("finds nothing under another tenant's id, whoever asks for it in the same tick", async () => {
    const query = 'query ($id: ID!) { recipient(id: $id) { id preferredLocale } }'
    const [first, second] = [ids[0]!, ids[7]!]
    const ask = (at: number, id: string) => compiled(callers[at]!, { query, variables: { id } })
    const answers = await Promise.all([ask(ours, first), ask(theirs, first), ask(ours, second), ask(theirs, second), ask(theirs, first)])
    expect(answers.map((answer) => answer !== null)).toEqual([true, false, false, true, false])
  })

  test('sees nothing where the database does not confirm who asks, nor where it confirms somebody else', async () => {
    const caller = callers[ours]!
    const answerTo = (text: string, proof: string) =>
      answer(caller, page, { caller, confirmedBy: { text, values: [], proof } })
    expect(await answerTo("select 'yes'", 'yes')).toContain('"node"')
    expect(await answerTo("select 'yes'", 'somebody else')).toBeNull()
    expect(await answerTo("select 'yes' where false", 'yes')).toBeNull()
    expect(await answerTo("select set_config('app.tenant_id', '', true)", 'yes')).toBeNull()
    // Were the proof believed, there would still be no tenant and so no rows.
    expect(await answerTo("select set_config('app.tenant_id', '', true), 'yes'", 'yes')).toBe('{"data":{"recipients":{"edges":[]}}}')
  })

  test('has no answer for a caller without the permission of every field', async () => {
    const coordinator = callers[ours]!
    const without = (name: string): Caller => ({ ...coordinator, permissions: new Set([...coordinator.permissions].filter((one) => one !== name)) })
    const party = { query: `query ($id: ID!) { recipient(id: $id) { party { kind } } }`, variables: { id: ids[0]! } }
    expect(await compiled(coordinator, party)).toContain('RECIPIENT')
    expect(await compiled(without('network:read'), party)).toBeNull()
    expect(await compiled(without('recipient:read'), page)).toBeNull()
  })

  test.each([
    ['a protected field', '{ recipients { edges { node { givenName } } } }'],
    ['a field with a resolver of its own', '{ recipients { edges { node { consents { edges { node { state } } } } } } }'],
    ['what reads nothing of anybody', '{ __typename kind: __typename }'],
    ['a mutation', 'mutation { signOut { __typename } }'],
    ['an unmarked root field', '{ tenant { slug } }'],
    ['a directive', '{ recipients { edges { node { id @include(if: true) } } } }'],
    ['a condition on an interface', '{ recipients { edges { node { ... on Node { id } } } } }'],
    ['two operations', 'query a { recipients { edges { cursor } } } query b { recipients { edges { cursor } } }'],
    ['introspection', '{ __schema { queryType { name } } recipients { edges { cursor } } }'],
    ['an invalid document', '{ recipients { nothing } }'],
    ['a document beyond the limits', `{ recipients { edges { node { ${'a'.repeat(9_000)} } } } }`],
    ['a page from somewhere', '{ recipients(first: 2, after: "AZqq") { edges { cursor } } }'],
    ['what costs too much', '{ recipients(first: 100) { edges { node { consents(first: 100) { edges { node { id } } } } } } }'],
  ])('leaves %s to the ordinary path', async (_, query) => {
    expect(await compiled(callers[ours]!, { query, variables: {} })).toBeNull()
  })

  test('has no answer for a list with a null in it; beyond the page it does not look, where the ordinary path looks and fails', async () => {
    const caller = callers[ours]!
    const [id, partyId] = [newId(), newId()]
    await house.at.owner("insert into care.recipient (tenant_id, id, phi) values ($1, $2, 'v1|none')", [caller.tenantId, id])
    await house.at.owner("insert into care.party (tenant_id, id, kind, phi) values ($1, $2, 'FAMILY', 'v1|none')", [caller.tenantId, partyId])
    for (const fields of [['one'], ['two', null]]) {
      await house.at.owner(
        "insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set) values ($1, $2, $3, $4, 'x', $5)",
        [caller.tenantId, newId(), id, partyId, fields],
      )
    }
    const query = 'query ($id: ID!, $first: Int) { recipient(id: $id) { consents(first: $first) { edges { node { fieldSet } } } } }'
    const asked = (first: number) => ({ query, variables: { id: gid('CareRecipient', id), first } })
    expect(await compiled(caller, asked(2))).toBeNull()
    expect((await ordinary(caller, asked(2))).failed).toBe(true)
    expect(await compiled(caller, asked(1))).toBe('{"data":{"recipient":{"consents":{"edges":[{"node":{"fieldSet":["one"]}}]}}}}')
    expect((await ordinary(caller, asked(1))).failed).toBe(true)
  })

  test('leaves a wrong value of a variable to the ordinary path', async () => {
    const query = 'query ($first: Int) { recipients(first: $first) { edges { cursor } } }'
    const ask = (variables: Record<string, unknown>) => compiled(callers[ours]!, { query, variables })
    expect(await ask({ first: 2 })).toContain('cursor')
    for (const first of ['2', 2.5, {}, [], 1e30, true]) expect(await ask({ first })).toBeNull()
    expect(await ask({ first: -1 })).toBe('{"data":{"recipients":{"edges":[]}}}')
  })
})

/** What the planner takes for granted of the schema's files. */
test('every relation of two fields to a model with the usual key leads to that key', () => {
  const folder = join(import.meta.dirname, '../prisma/schema')
  const text = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8')).join('\n')
  const models = new Map([...text.matchAll(/^model (\w+) \{([^]*?)^\}/gm)].map(([, name, body]) => [name!, body!] as const))
  const keyOf = (model: string) => /@@id\(\[([^\]]*)\]\)/.exec(models.get(model)!)?.[1]
  let found = 0
  for (const body of models.values()) {
    for (const [, target, references] of body.matchAll(/^\s+\w+\s+(\w+)\??\s+@relation\([^)]*references: \[([^\]]*)\]/gm)) {
      const key = keyOf(target!)
      if (key !== 'tenantId, id' || references!.split(',').length !== 2) continue
      found++
      expect(references).toBe(key)
    }
  }
  expect(found).toBeGreaterThan(10)
})
