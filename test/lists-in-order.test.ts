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
/** What is asked for, and one more where the page says whether there is one. */
const mostRows = 6
/** Of the forty consents that a person has on average. */
const fewestExpected = 10

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
  // Two have thousands, two hundred have four each: what the planner expects of somebody is few. The other's come first in the table's own
  // order: whoever walks that passes all of them.
  await owner.query(`
    -- Rows that fit each other are laid without checking each reference: that is what takes the time.
    set session_replication_role = replica;
    insert into care.recipient (tenant_id, id, phi) select '${cedar.id}', ('ffffffff-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'v1|none'
      from generate_series(1, 200) n;
    insert into care.party (tenant_id, id, kind, phi, recipient_id)
      select tenant_id, id, 'RECIPIENT', 'v1|none', id from care.recipient where id > 'ffffffff-0000-0000-0000-000000000000';
    insert into care.party (tenant_id, id, kind, phi)
      select '${cedar.id}', ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'FAMILY', 'v1|none' from generate_series(1, ${thousands}) n;
    create temporary table pair as
      select ('00000000-0000-7000-8001-' || lpad((row_number() over (order by r.recipient_id desc))::text, 12, '0'))::uuid as id, r.tenant_id, f.id as family,
        r.id as party, r.recipient_id as recipient
      from care.party f, care.party r
      where f.kind = 'FAMILY' and r.kind = 'RECIPIENT'
        and (r.recipient_id < 'ffffffff-0000-0000-0000-000000000000' or f.id <= '00000000-0000-7000-8000-000000000004')
      -- As they come in the course of years: nobody's lie together.
      order by md5(f.id::text || r.id::text);
    insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set)
      select tenant_id, id, recipient, family, 'TREATMENT', array['phone'] from pair;
    insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, capabilities)
      select tenant_id, id, family, party, 'RELATIVE', array['VIEW'] from pair;
    insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, capabilities)
      select tenant_id, gen_random_uuid(), party, family, 'RELATIVE', array['VIEW'] from pair;
    reset session_replication_role;
    analyze care.recipient, care.party, care.consent, care.edge`)
  const { rows } = await owner.query<{ id: string }>('select id from care.recipient order by id limit 1')
  recipient = rows[0]!.id
})
afterAll(async () => {
  await owner.end()
  await house.close()
})

interface PlanNode {
  readonly 'Relation Name'?: string
  readonly 'Plan Rows': number
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly PlanNode[]
}

/** How many rows of a table the statement of a compiled read looked at, and how many the planner expected. @param before what is done to the tables first, and undone again. */
async function lookedAt({ text, values }: ConfirmedRead, table: string, before = 'select'): Promise<{ rows: number; expected: number }> {
  const { membershipId } = cedar.member.care_coordinator
  try {
    await owner.query('begin')
    await owner.query(before)
    await owner.query('set local role maristan_console_read; set local plan_cache_mode = force_generic_plan')
    await owner.query(
      `select set_config('app.tenant_id', $1, true), set_config('app.membership_id', $2, true), set_config('app.role', 'care_coordinator', true)`,
      [cedar.id, membershipId],
    )
    await owner.query(`prepare asked as ${text}`)
    // As the server's own plans are: made once, without looking at the values.
    const literals = values.map((value) => (value === null ? 'null' : `'${value}'`))
    const { rows } = await owner.query<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(`explain (analyze, timing off, format json) execute asked(${literals.join(', ')})`)
    const nodes = (one: PlanNode): readonly PlanNode[] => [one, ...(one.Plans ?? []).flatMap(nodes)]
    const scans = nodes(rows[0]!['QUERY PLAN'][0]!.Plan).filter((one) => one['Relation Name'] === table)
    return {
      rows: scans.reduce((sum, one) => sum + (one['Actual Rows'] + (one['Rows Removed by Filter'] ?? 0)) * one['Actual Loops'], 0),
      expected: Math.max(...scans.map((one) => one['Plan Rows'])),
    }
  } finally {
    await owner.query('rollback')
    await owner.query('deallocate all')
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

const consents = 'consents(first: 5) { edges { node { purpose } } pageInfo { hasNextPage } }'
const of = (fields: string) => `query ($id: ID!) { recipient(id: $id) { ${fields} } }`

test.each([
  ['consents', 'consent', 'consent_tenant_id_recipient_id_id_idx', consents],
  ['those who help', 'edge', 'edge_tenant_id_to_party_id_id_idx', 'party { incoming(first: 5) { edges { node { relation } } } }'],
  ['those who are helped', 'edge', 'edge_tenant_id_from_party_id_id_idx', 'party { outgoing(first: 5) { edges { node { relation } } } }'],
])('five of thousands of %s are found, and without the index sorted out of all', async (_, table, index, fields) => {
  const read = await readOf(of(fields))
  expect((await lookedAt(read, table)).rows).toBeLessThanOrEqual(mostRows)
  expect((await lookedAt(read, table, `drop index care.${index}`)).rows).toBeGreaterThanOrEqual(thousands)
})

test('the planner knows that the policy on the role hides nothing from whom it lets in: who expects one row sorts thousands', async () => {
  const read = await readOf(of(consents))
  expect((await lookedAt(read, 'consent')).expected).toBeGreaterThanOrEqual(fewestExpected)
  const asBefore = "alter policy actor on care.consent using (current_setting('app.role', true) in ('care_coordinator', 'compliance_officer'))"
  expect((await lookedAt(read, 'consent', asBefore)).expected).toBeLessThan(fewestExpected)
})
