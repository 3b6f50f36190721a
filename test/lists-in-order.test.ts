/**
 * The first few of thousands: a list inside a record reads as many rows as it shows, because its index holds the list's order. What is
 * explained is the very statement that the server sends for the document, under its login and policies. Rows are counted, not time.
 */
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { encodeGlobalId } from '../src/platform/graphql/global-id.ts'
import { freshHouse, type TestHouse, type TestTenant } from './kit/house.ts'
import type { ConfirmedRead } from '../src/platform/db/confirm.ts'

const thousands = 4_000
/** What is asked for, one more, and the rows that its parents and their names are. */
const mostRows = 20

let house: TestHouse
let cedar: TestTenant
let owner: pg.Client
let recipient: string

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  const bearer = await house.signIn(cedar, 'care_coordinator')
  for (const givenName of ['Salma', 'Nour']) {
    const made = await house.ask<{ createRecipient: { __typename: string } }>(
      { plane: 'console', bearer },
      'mutation ($input: CreateRecipientInput!) { createRecipient(input: $input) { __typename } }',
      { input: { givenName } },
    )
    expect(made.data?.createRecipient.__typename).toBe('CareRecipient')
  }
  owner = new pg.Client({ connectionString: house.at.ownerUrl })
  await owner.connect()
  // Of two people, and the other's come first in the table's own order: whoever walks that passes all of them.
  await owner.query(`
    insert into care.party (tenant_id, id, kind, phi)
      select '${cedar.id}', ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'FAMILY', 'v1|none' from generate_series(1, ${thousands}) n;
    insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set)
      select p.tenant_id, ('00000000-0000-7000-8001-' || lpad((row_number() over (order by r.id desc))::text, 12, '0'))::uuid, r.id, p.id, 'TREATMENT', array['phone']
      from care.recipient r, care.party p where p.kind = 'FAMILY';
    insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, capabilities)
      select f.tenant_id, gen_random_uuid(), f.id, r.id, 'RELATIVE', array['VIEW'] from care.party f, care.party r
      where f.kind = 'FAMILY' and r.kind = 'RECIPIENT';
    insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, capabilities)
      select f.tenant_id, gen_random_uuid(), r.id, f.id, 'RELATIVE', array['VIEW'] from care.party f, care.party r
      where f.kind = 'FAMILY' and r.kind = 'RECIPIENT';
    analyze care.party, care.consent, care.edge`)
  const { rows } = await owner.query<{ id: string }>('select id from care.recipient order by id limit 1')
  recipient = rows[0]!.id
})
afterAll(async () => {
  await owner.end()
  await house.close()
})

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly PlanNode[]
}

/** How many rows of tables the statement of a compiled read looked at. @param before what is done to the tables first, and undone again. */
async function rowsLookedAt({ text, values }: ConfirmedRead, before = 'select'): Promise<number> {
  const { membershipId } = cedar.member.care_coordinator
  try {
    await owner.query('begin')
    await owner.query(before)
    await owner.query('set local role maristan_console_read; set local plan_cache_mode = force_generic_plan')
    await owner.query(
      `select set_config('app.tenant_id', $1, true), set_config('app.membership_id', $2, true), set_config('app.role', 'care_coordinator', true)`,
      [cedar.id, membershipId],
    )
    const { rows } = await owner.query<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(`explain (analyze, timing off, format json) ${text}`, [...values])
    const nodes = (one: PlanNode): readonly PlanNode[] => [one, ...(one.Plans ?? []).flatMap(nodes)]
    return nodes(rows[0]!['QUERY PLAN'][0]!.Plan)
      .filter((one) => one['Node Type'].endsWith('Scan') && !['Subquery Scan', 'CTE Scan', 'Function Scan'].includes(one['Node Type']))
      .reduce((sum, one) => sum + (one['Actual Rows'] + (one['Rows Removed by Filter'] ?? 0)) * one['Actual Loops'], 0)
  } finally {
    await owner.query('rollback')
  }
}

/** The compiled read that answers a document. */
async function readOf(query: string): Promise<ConfirmedRead> {
  const bearer = await house.signIn(cedar, 'care_coordinator')
  const compiled = vi.spyOn(house.database, 'readConfirmed')
  try {
    for (let k = 0; k < 4; k++) {
      const reply = await fetch(`${house.url}/graphql/console`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer}` },
        body: JSON.stringify({ query, variables: { id: encodeGlobalId('CareRecipient', recipient) } }),
      })
      const text = await reply.text()
      expect(text.match(/"node"/g)).toHaveLength(5)
    }
    return compiled.mock.calls.map(([read]) => read).findLast(({ text }) => text !== "select 'yes'")!
  } finally {
    compiled.mockRestore()
  }
}

test.each([
  ['consents', 'consent_tenant_id_recipient_id_id_idx', 'consents(first: 5) { edges { node { purpose } } pageInfo { hasNextPage } }'],
  ['those who help', 'edge_tenant_id_to_party_id_id_idx', 'party { incoming(first: 5) { edges { node { relation } } } }'],
  ['those who are helped', 'edge_tenant_id_from_party_id_id_idx', 'party { outgoing(first: 5) { edges { node { relation } } } }'],
])('five of thousands of %s are found, and without the index sorted out of all', async (_, index, fields) => {
  const read = await readOf(`query ($id: ID!) { recipient(id: $id) { ${fields} } }`)
  expect(await rowsLookedAt(read)).toBeLessThanOrEqual(mostRows)
  expect(await rowsLookedAt(read, `drop index care.${index}`)).toBeGreaterThanOrEqual(thousands)
})
