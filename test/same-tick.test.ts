/**
 * Prisma merges equal reads of one tick across callers. Here two tenants hold rows under the SAME ids and ask for them, and for each
 * other's, in one tick: everyone must get their own, always.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../src/kernel/id.ts'
import type { Caller } from '../src/kernel/scope.ts'
import { Database } from '../src/platform/db/database.ts'
import { freshDatabase, loginSecret, type TestDatabase } from './kit/postgres.ts'

let at: TestDatabase
let database: Database
const tenants = [newId(), newId()] as const
const shared = newId()
const onlyOf = [newId(), newId()] as const

const member = (tenantId: string): Caller => ({
  tenantId,
  plane: 'console',
  actor: { kind: 'member', membershipId: newId(), identityId: newId(), role: 'tenant_admin', sessionId: newId(), via: 'password', providerOrgId: null },
  permissions: new Set(),
  purpose: null,
  requestId: 'same-tick',
  sourceAddress: null,
  userAgent: null,
})

beforeAll(async () => {
  at = await freshDatabase()
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
  for (const [k, tenantId] of tenants.entries()) {
    for (const id of [shared, onlyOf[k]!]) {
      await at.owner('insert into identity.identity (tenant_id, id, email) values ($1, $2, $3)', [tenantId, id, `${id.slice(-6)}@tenant${k}.test`])
    }
  }
})
afterAll(async () => {
  await database.close()
  await at.drop()
})

const emailOf = (tenantId: string, id: string) => {
  const unit = database.unit(member(tenantId))
  return unit.read(async () => {
    const found = await unit.db.identity.findUnique({ where: { tenantId_id: { tenantId, id } }, select: { email: true } })
    return found?.email ?? null
  })
}

test('an id that both tenants have answers each with its own row, forty at once', async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => emailOf(tenants[i % 2]!, shared)))
  answers.forEach((email, i) => expect(email).toBe(`${shared.slice(-6)}@tenant${i % 2}.test`))
})

test('a crossed tenant key finds nothing, whoever else asks for it in the same tick', async () => {
  const ask = (mine: number, theirs: number) => {
    const unit = database.unit(member(tenants[mine]!))
    return unit.read(() => unit.db.identity.findUnique({ where: { tenantId_id: { tenantId: tenants[theirs]!, id: onlyOf[theirs]! } } }))
  }
  const answers = await Promise.all([ask(0, 0), ask(1, 0), ask(0, 1), ask(1, 1), ask(1, 0), ask(0, 0)])
  expect(answers.map((row) => row?.id ?? null)).toEqual([onlyOf[0], null, null, onlyOf[1], null, onlyOf[0]])
})

test('lists of one tick stay apart', async () => {
  const list = (k: number) => {
    const unit = database.unit(member(tenants[k]!))
    return unit.read(() => unit.db.identity.findMany({ orderBy: { id: 'asc' } }))
  }
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => list(i % 2)))
  answers.forEach((rows, i) => {
    expect(rows).toHaveLength(2)
    for (const row of rows) expect(row.tenantId).toBe(tenants[i % 2])
  })
})

test('a failing statement among hundreds leaves every other answer its own', async () => {
  const broken = database.unit(member(tenants[0]))
  const failing = broken.read(() => broken.db.$queryRaw`select 1 / (select 0)`).catch((error: Error) => error)
  const answers = await Promise.all(Array.from({ length: 600 }, (_, i) => emailOf(tenants[i % 2]!, shared)))
  expect(await failing).toBeInstanceOf(Error)
  answers.forEach((email, i) => expect(email).toBe(`${shared.slice(-6)}@tenant${i % 2}.test`))
})

test('a statement outside a unit of work is refused', async () => {
  const unit = database.unit(member(tenants[0]))
  expect(() => unit.db.identity).toThrow('No unit of work is open.')
  expect(() => unit.only(['Identity']).identity).toThrow('No unit of work is open.')
})

test('the settings end with the statement: the next one on the same connection has no tenant', async () => {
  await emailOf(tenants[0], shared)
  const unit = database.unit({ ...member(tenants[0]), tenantId: '00000000-0000-0000-0000-000000000000' })
  expect(await unit.read(() => unit.db.identity.count())).toBe(0)
})
