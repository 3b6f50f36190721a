/**
 * The walls between tenants, tried by raw SQL on real connections of the real logins. What is attacked is read from pg_catalog; beside
 * every refusal stands the same statement as the rightful owner, which succeeds.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noTenant } from '../src/kernel/scope.ts'
import { newId } from '../src/kernel/id.ts'
import { logins, type Login } from '../src/platform/db/logins.ts'
import { insertOf, Plot, type Row } from '../src/proof/planting.ts'
import { TableAttacks } from '../src/proof/table-attacks.ts'
import { readTables, type Table } from '../src/proof/tables.ts'
import { freshDatabase, loginSecret, type TestDatabase } from './kit/postgres.ts'
import { RealGround } from './kit/real-ground.ts'

let at: TestDatabase
let ground: RealGround
let tables: Table[]
let mine: Plot
let theirs: Plot

beforeAll(async () => {
  at = await freshDatabase()
  ground = new RealGround(at.ownerUrl, loginSecret())
  tables = await readTables(await ground.client('owner'))
  mine = new Plot(ground, tables)
  theirs = new Plot(ground, tables)
  await mine.fill()
  await theirs.fill()
})
afterAll(async () => {
  await ground.close()
  await at.drop()
})

const table = (name: string): Table => tables.find((one) => one.name === name)!
const ask = (as: Login | 'owner', plot: Plot | null, text: string, values: unknown[] = [], role = '') =>
  ground.run(as, plot?.settings(role) ?? { tenantId: '', membershipId: '', role, providerOrgId: '' }, text, values, false)

/** What a statement answered, without the words. */
const said = (outcome: Awaited<ReturnType<typeof ask>>) => (outcome.ok ? `${outcome.count} rows` : outcome.state)

describe('every table, verb and login', () => {
  test('a synthetic row stands in every table of both tenants', () => {
    expect([...mine.failures, ...theirs.failures]).toEqual([])
    expect([...mine.rows.keys()].sort()).toEqual(tables.map(({ name }) => name).sort())
  })

  test('nobody reaches a row of another tenant, or any row without a tenant, by a right that its owner can use', async () => {
    const attacks = new TableAttacks(ground, tables, mine, theirs)
    for (const one of tables) await attacks.attack(one)
    expect(attacks.findings.leaks).toEqual([])
    expect(attacks.findings.unproven).toEqual([])
    const rights = tables.flatMap(({ grants }) => [...grants.values()].flatMap((verbs) => [...verbs])).length
    expect(attacks.findings.attacks).toBeGreaterThanOrEqual(rights * 2)
    expect(attacks.findings.controls).toBeGreaterThanOrEqual(rights)
  }, 120_000)

  test('without a tenant every login sees nothing in every table it may read, all rows together', async () => {
    for (const one of tables) {
      for (const [login, verbs] of one.grants) {
        if (!verbs.has('SELECT')) continue
        expect(said(await ask(login, null, `select 1 from ${one.name}`)), `${login} on ${one.name}`).toBe('0 rows')
        const foreign = await ask(login, mine, `select 1 from ${one.name} where tenant_id <> $1`, [mine.tenantId], 'care_coordinator')
        expect(said(foreign), `${login} on ${one.name}`).toBe('0 rows')
      }
    }
  })

  test('what is not granted is refused', async () => {
    for (const one of tables) {
      for (const login of logins) {
        if (one.grants.get(login)?.has('SELECT') || (one.name === 'identity.session' && login === 'maristan_operator')) continue
        expect(said(await ask(login, mine, `select * from ${one.name}`)), `${login} on ${one.name}`).toBe('42501')
      }
    }
  })
})

describe('keys and references do not answer for another tenant', () => {
  test('a value that another tenant has taken is free here, in every unique key of every table', async () => {
    for (const one of tables) {
      const row = theirs.rows.get(one.name)!
      const copy = (tenantId: string): Row => ({
        ...row,
        tenant_id: tenantId,
        ...(one.name === 'tenancy.tenant' ? { slug: `x${newId()}` } : {}),
      })
      const insert = async (values: Row) => {
        const { text, values: given } = insertOf(one, values)
        return said(await ask('owner', mine, text, given))
      }
      // Copied in the database: a moment that has passed through JavaScript has lost its microseconds, and with them a key.
      const columns = one.columns.map(({ name }) => name).join(', ')
      const again = `insert into ${one.name} (${columns}) select ${columns} from ${one.name} where tenant_id = $1`
      expect(said(await ask('owner', mine, again, [theirs.tenantId])), `${one.name}: its own tenant sees the collision`).toBe('23505')
      expect(await insert(copy(newId())), one.name).not.toBe('23505')
    }
  })

  test('the slug is the one name that is unique in the building', async () => {
    const row = { ...theirs.rows.get('tenancy.tenant')!, tenant_id: newId() }
    const { text, values } = insertOf(table('tenancy.tenant'), row)
    expect(said(await ask('owner', mine, text, values))).toBe('23505')
  })

  test('ON CONFLICT answers the same for a value that another tenant has taken and for a free one', async () => {
    const take = (plot: Plot, email: unknown) =>
      ask(
        'maristan_auth',
        plot,
        `insert into identity.identity (tenant_id, id, email) values ($1, $2, $3)
        on conflict (tenant_id, email) do update set locale = 'ar' returning 1`,
        [plot.tenantId, newId(), email],
      )
    const taken = theirs.rows.get('identity.identity')!['email']
    expect(said(await take(mine, taken))).toBe('1 rows')
    expect(said(await take(mine, 'free@house.test'))).toBe('1 rows')
    const count = 'select count(*)::int as many from identity.identity where email = $1'
    const seen = await ask('maristan_auth', theirs, count, [taken])
    expect(seen.ok && seen.rows[0]!['many']).toBe(1)
    const nothing = (plot: Plot) =>
      ask('maristan_auth', plot, `insert into identity.identity (tenant_id, id, email) values ($1, $2, $3) on conflict do nothing`, [
        plot.tenantId,
        newId(),
        taken,
      ])
    expect([said(await nothing(mine)), said(await nothing(theirs))]).toEqual(['1 rows', '0 rows'])
  })

  test("a predicate that would fail on another tenant's row is never evaluated on it", async () => {
    await at.owner('update care.recipient set birth_year = 1931 where tenant_id = $1', [theirs.tenantId])
    const probe = (plot: Plot) =>
      ask('maristan_console_read', plot, 'select id from care.recipient where 1 / (birth_year - 1931) > 0', [], 'care_coordinator')
    expect(said(await probe(theirs))).toBe('22012')
    expect(said(await probe(mine))).toBe('0 rows')
    const cast = (tenantId: string) =>
      ground.run(
        'maristan_console_read',
        { ...theirs.settings('care_coordinator'), tenantId },
        'select id from care.party where phi::int > 0',
        [],
        false,
      )
    expect(said(await cast(theirs.tenantId))).toBe('22P02')
    expect(said(await cast(newId()))).toBe('0 rows')
    expect(said(await cast(''))).toBe('0 rows')
  })

  test("the planner's statistics show no login a value of any tenant's rows", async () => {
    await at.owner('analyze')
    const question = `select 1 from pg_catalog.pg_stats where schemaname || '.' || tablename in (${tables.map(({ name }) => `'${name}'`).join(', ')})`
    const owner = await ask('owner', null, question)
    expect(owner.ok && owner.count).toBeGreaterThan(20)
    for (const login of logins) {
      expect(said(await ask(login, mine, question)), login).toBe('0 rows')
    }
  })
})

describe('the context', () => {
  const emails = 'select 1 from identity.identity'

  test('is the empty text once it ended, which is no tenant and no error', async () => {
    const client = await ground.client('maristan_console_read')
    await client.query(`begin; select set_config('app.tenant_id', '${mine.tenantId}', true); commit`)
    const { rows } = await client.query<{ left: string }>(`select current_setting('app.tenant_id', true) as left`)
    expect(rows[0]!.left).toBe('')
    expect((await client.query(emails)).rowCount).toBe(0)
    expect(said(await ask('maristan_console_read', mine, emails))).toMatch(/^[1-9]\d* rows$/)
  })

  test("of a tenant that does not exist sees nothing, and a text that is no tenant is an error, never somebody's rows", async () => {
    const as = (tenantId: string) => ground.run('maristan_console_read', { ...mine.settings(), tenantId }, emails, [], false)
    expect(said(await as(noTenant))).toBe('0 rows')
    for (const text of [
      'x',
      ' ',
      `${mine.tenantId} or true`,
      `${theirs.tenantId}' or 'a'='a`,
      '%',
      `{${mine.tenantId},${theirs.tenantId}}`,
    ]) {
      expect(said(await as(text)), text).toBe('22P02')
    }
  })

  test("a member's id of another tenant opens nothing here", async () => {
    for (const login of ['maristan_clinician_read', 'maristan_consumer_read', 'maristan_courier_read'] as const) {
      const seen = (membershipId: string | null) =>
        ground.run(
          login,
          { ...mine.settings(), membershipId, providerOrgId: null },
          'select 1 from gate.my_recipients() union all select 1 from gate.my_parties()',
          [],
          false,
        )
      expect(said(await seen(mine.me)), login).toMatch(/^[1-9]\d* rows$/)
      expect(said(await seen(theirs.me)), login).toBe('0 rows')
    }
  })
})
