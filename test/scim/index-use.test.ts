/**
 * Equality and pages by cursor stay flat: under Row Level Security, as a login that owns nothing and with the server's own generic plans,
 * what a directory matches by reads a handful of pages. There are 12,000 users, and statistics that say a million: the planner chooses as
 * it would there. Pages are counted instead of time: they do not depend on the machine.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ResourceName } from '../../src/modules/federation/scim/engine.ts'
import { compileFilter } from '../../src/modules/federation/scim/filter/compile.ts'
import { Prisma } from '../../src/platform/db/generated/client.ts'
import { pageOf } from '../../src/modules/federation/scim/repo-users.ts'
import { numbered, scimTables, type ScimTables } from '../kit/scim-tables.ts'

const users = 12_000
/** Four levels of btree, the row, and the value's row: with room for a page split or two. */
const mostPages = 24

let ground: ScimTables
const id = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`
const groupId = id(999_999_999)

beforeAll(async () => {
  ground = await scimTables()
  const { tenantId, connectionId } = ground
  const uuid = `('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid`
  const mine = `'${tenantId}'::uuid, '${connectionId}'::uuid`
  // Rows that fit each other are laid without checking each reference: that is what takes the time.
  await ground.at.owner(`
    set session_replication_role = replica;
    insert into scim."user" (tenant_id, connection_id, id, user_name, user_name_key, external_id, active, attributes, search)
      select ${mine}, ${uuid}, 'user' || n, 'user' || n, 'ext' || n, true, '{}',
        jsonb_build_object('userName', 'user' || n, 'emails',
          jsonb_build_array(jsonb_build_object('value', 'user' || n || '@x.test', 'type', 'work')))
      from generate_series(1, ${users}) n;
    insert into scim.user_value (tenant_id, connection_id, user_id, path, key)
      select ${mine}, ${uuid}, 'emails.value', 'user' || n || '@x.test' from generate_series(1, ${users}) n;
    insert into scim."group" (tenant_id, connection_id, id, display_name, display_name_key, attributes, search)
      values (${mine}, '${groupId}', 'All', 'all', '{}', '{}');
    insert into scim.group_member (tenant_id, connection_id, group_id, user_id)
      select ${mine}, '${groupId}', ${uuid} from generate_series(1, 6000) n;
    analyze scim."user", scim.user_value, scim."group", scim.group_member;
    update pg_class set reltuples = 1000000 where oid in ('scim."user"'::regclass, 'scim.user_value'::regclass)`)
})
afterAll(() => ground.close())

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly 'Actual Rows': number
  readonly 'Plan Rows': number
  readonly Plans?: readonly Plan[]
}

interface Explained {
  readonly pages: number
  readonly rows: number
  readonly scanned: readonly string[]
  /** What the planner believes. */
  readonly expected: number
}

async function explainText(text: string, values: readonly unknown[]): Promise<Explained> {
  const literals = values.map((value) => (typeof value === 'number' ? String(value) : `'${String(value).replaceAll("'", "''")}'`))
  await ground.ask(`prepare asked as ${text}`)
  const [row] = await ground.ask<{ 'QUERY PLAN': readonly { readonly Plan: Plan }[] }>(
    `explain (analyze, buffers, timing off, format json) execute asked(${literals.join(', ')})`,
  )
  await ground.ask('deallocate asked')
  const plan = row!['QUERY PLAN'][0]!.Plan
  const nodes = (one: Plan): readonly Plan[] => [one, ...(one.Plans ?? []).flatMap(nodes)]
  const scanned = nodes(plan).filter((one) => one['Node Type'] === 'Seq Scan' && one['Relation Name'] !== 'group')
  return {
    pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
    rows: plan['Actual Rows'],
    expected: plan['Plan Rows'],
    scanned: scanned.map((one) => one['Relation Name']!),
  }
}

function explain(filter: string, resource: ResourceName): Promise<Explained> {
  const { text, values } = numbered(compileFilter(filter, resource, ground), [ground.tenantId, ground.connectionId])
  return explainText(
    `select r.id from scim."${resource.toLowerCase()}" r where r.tenant_id = $1::uuid and r.connection_id = $2::uuid and ${text}`,
    values,
  )
}

test.each<readonly [resource: ResourceName, filter: string]>([
  ['User', 'userName eq "User11321"'],
  ['User', 'externalId eq "ext11321"'],
  ['User', `id eq "${id(11_321)}"`],
  ['User', 'emails eq "user11321@x.test"'],
  ['User', 'emails.value eq "USER11321@x.test"'],
  ['User', 'emails[type eq "work"].value eq "user11321@x.test"'],
  ['User', 'emails[type eq "work" and value eq "user11321@x.test"]'],
  ['User', 'active eq true and emails eq "user11321@x.test"'],
  ['User', 'userName eq "user11321" and not (title pr)'],
  ['Group', `members eq "${id(4_321)}"`],
  ['Group', `id eq "${groupId}" and members eq "${id(4_321)}"`],
  ['Group', `id eq "${groupId}" and members[value eq "${id(4_321)}"]`],
])('%s by %s reads a handful of pages through an index', async (resource, filter) => {
  const { pages, rows, scanned } = await explain(filter, resource)
  expect({ rows, scanned }).toEqual({ rows: 1, scanned: [] })
  expect(pages).toBeLessThanOrEqual(mostPages)
})

test('a page by cursor reads its own rows, wherever in the directory it begins', async () => {
  const { tenantId, connectionId } = ground
  const from = Prisma.sql`from scim."user" r where r.tenant_id = ${tenantId}::uuid and r.connection_id = ${connectionId}::uuid`
  const page = { where: null, sort: null, descending: false, offset: 0, limit: 101 }
  for (const after of [id(1), id(6_000), id(11_800)]) {
    const { text, values } = pageOf({ ...page, after }, Prisma.sql`r.id, r.attributes`, from)
    const { pages, rows, scanned } = await explainText(text, values)
    expect({ rows, scanned }).toEqual({ rows: 101, scanned: [] })
    expect(pages).toBeLessThanOrEqual(mostPages)
  }
  const { text, values } = pageOf({ ...page, after: null, offset: 11_800 }, Prisma.sql`r.id, r.attributes`, from)
  expect((await explainText(text, values)).pages).toBeGreaterThan(5 * mostPages)
})

test('the planner believes in a million users', async () => {
  const { expected } = await explainText('select r.id from scim."user" r where r.active = $1::boolean', ['true'])
  expect(expected).toBeGreaterThan(400_000)
})

test('beside them, a search for a part of a name does read the whole connection: the count of pages tells the two apart', async () => {
  const { pages } = await explain('userName co "11321"', 'User')
  expect(pages).toBeGreaterThan(10 * mostPages)
})

test('the login that asks owns nothing and steps over no wall', async () => {
  const [me] = await ground.ask<{ rolsuper: boolean; rolbypassrls: boolean; owned: string }>(
    `select r.rolsuper, r.rolbypassrls, (select count(*) from pg_class c where c.relowner = r.oid) as owned
     from pg_roles r where r.rolname = current_user`,
  )
  expect(me).toEqual({ rolsuper: false, rolbypassrls: false, owned: '0' })
})
