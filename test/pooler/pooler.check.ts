/**
 * Behind a pooler that hands one server connection from client to client after every transaction: no tenant travels with it,
 * whatever a client leaves on it, and what such a pooler cannot carry fails closed or is not depended on.
 */
import pg from 'pg'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, beforeEach, afterEach, expect, test, vi } from 'vitest'
import type { Fault } from '../../src/kernel/fault.ts'
import { newId } from '../../src/kernel/id.ts'
import type { Caller } from '../../src/kernel/scope.ts'
import { Database } from '../../src/platform/db/database.ts'
import { sqlStateOf } from '../../src/platform/db/errors.ts'
import { urlFor, workerLogin, type Login } from '../../src/platform/db/logins.ts'
import { createLog } from '../../src/platform/http/log.ts'
import { systemCaller } from '../../src/platform/jobs/system.ts'
import { createOutbox } from '../../src/platform/outbox/deliver.ts'
import { Wake } from '../../src/platform/outbox/wake.ts'
import { freshDatabase, loginSecret, type TestDatabase } from '../kit/postgres.ts'
import { bedMade, layScratch, seenIn, wardModule } from '../kit/ward.ts'
import { startPgbouncer, type Pgbouncer } from './pgbouncer.ts'

let at: TestDatabase
let pooler: Pgbouncer
let database: Database
const tenants = [newId(), newId()] as const
const nobodys = newId()
/** Under the same id in both tenants: only the tenant tells the rows apart. */
const shared = newId()
const emails = tenants.map((_, k) => `shared@tenant${k}.test`)

const member = (tenantId: string): Caller => ({
  tenantId,
  plane: 'console',
  actor: {
    kind: 'member',
    membershipId: newId(),
    identityId: newId(),
    role: 'tenant_admin',
    sessionId: newId(),
    via: 'password',
    providerOrgId: null,
  },
  permissions: new Set(),
  purpose: null,
  requestId: 'pooler',
  sourceAddress: null,
  userAgent: null,
})

beforeAll(async () => {
  at = await freshDatabase()
  await layScratch(at)
  for (const [k, tenantId] of tenants.entries()) {
    await at.owner('insert into identity.identity (tenant_id, id, email) values ($1, $2, $3)', [tenantId, shared, emails[k]])
  }
  pooler = await startPgbouncer(at.ownerUrl, loginSecret())
})
afterAll(async () => {
  await pooler?.stop()
  await at.drop()
})
beforeEach(async () => {
  await pooler.reconnect()
  database = open()
})
afterEach(() => database.close())

const open = (preparedStatements = false) => new Database({ url: pooler.urlOf(at.name), loginSecret: loginSecret(), preparedStatements })

/** What one caller sees: every address in sight, the tenant in force and the server connection it was asked on. */
async function look(from: Database, tenantId: string) {
  const unit = from.unit(member(tenantId))
  return unit.read(async () => ({
    emails: (await unit.db.identity.findMany({ select: { email: true } })).map((row) => row.email),
    ...(await inForce(unit.db)),
  }))
}

async function inForce(db: { $queryRawUnsafe<T>(sql: string): Promise<T> }) {
  const [row] = await db.$queryRawUnsafe<{ tenant: string; role: string; pid: number }[]>(
    `select current_setting('app.tenant_id', true) as tenant, current_setting('app.role', true) as role, pg_backend_pid() as pid`,
  )
  return row!
}

/** A command that leaves one audit row under `mark`. */
function leave(from: Database, tenantId: string, mark: string) {
  const unit = from.unit(member(tenantId))
  return unit.command(async () => {
    unit.record({ action: 'pooler.mark', resource: 'Mark', resourceId: mark, outcome: 'done' })
    return { emails: (await unit.db.identity.findMany({ select: { email: true } })).map((row) => row.email), ...(await inForce(unit.db)) }
  })
}

/** A client that keeps to no rule of ours, on the same server connection. */
async function raw<T>(login: Login, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: urlFor(login, pooler.urlOf(at.name), loginSecret()) })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const settings = ['app.tenant_id', 'app.membership_id', 'app.role', 'app.provider_org_id'] as const
const selectSettings = `select ${settings.map((name, i) => `current_setting('${name}', true) as s${i}`).join(', ')}`
const settingsNow = async (client: pg.Client): Promise<(string | null)[]> => {
  const { rows } = await client.query<(string | null)[]>({ text: selectSettings, rowMode: 'array' })
  return rows[0]!
}

/** Session-level settings of a tenant, left behind on the server connection by a client that goes away. */
async function bleed(login: Login, tenantId: string): Promise<void> {
  const values = [tenantId, newId(), 'care_coordinator', newId()]
  await raw(login, async (client) => {
    for (const [i, name] of settings.entries()) await client.query(`set ${name} = ${pg.escapeLiteral(values[i]!)}`)
  })
}

test('two tenants on one server connection, hundreds of reads and commands and a failing one at once: each has only its own', async () => {
  const marks = tenants.map(() => new Set<string>())
  const broken = database.unit(member(tenants[0]))
  const failing = broken.read(() => broken.db.$queryRaw`select 1 / (select 0)`).catch((error: unknown) => error)
  const answers = await Promise.all(
    Array.from({ length: 600 }, async (_, i) => {
      const k = i % 2
      if (i % 3 > 0) return { k, kind: 'read', ...(await look(database, tenants[k]!)) }
      const mark = newId()
      marks[k]!.add(mark)
      return { k, kind: 'command', ...(await leave(database, tenants[k]!, mark)) }
    }),
  )
  expect(sqlStateOf(await failing)).toBe('22012')
  for (const { k, emails: seen, tenant, role } of answers) {
    expect({ seen, tenant, role }).toEqual({ seen: [emails[k]], tenant: tenants[k], role: 'tenant_admin' })
  }
  for (const kind of ['read', 'command']) {
    expect(new Set(answers.filter((one) => one.kind === kind).map((one) => one.pid)).size).toBe(1)
  }
  for (const [k, tenantId] of tenants.entries()) {
    const sql = "select resource_id as mark from audit.event where action = 'pooler.mark' and tenant_id = $1"
    const rows = await at.owner<{ mark: string }>(sql, [tenantId])
    expect(new Set(rows.map((row) => row.mark))).toEqual(marks[k])
    expect(rows).toHaveLength(100)
  }
})

test.each([
  ['maristan_console', 'a command', (k: number) => leave(database, tenants[k]!, newId())],
  ['maristan_console_read', 'a read', (k: number) => look(database, tenants[k]!)],
] as const)('%s: after %s nothing of its tenant is left on the server connection', async (login, _, use) => {
  const { pid } = await use(0)
  await raw(login, async (client) => {
    expect((await client.query('select pg_backend_pid() as pid')).rows).toEqual([{ pid }])
    expect(await settingsNow(client)).toEqual(['', '', '', ''])
    expect((await client.query('select from identity.identity')).rowCount).toBe(0)
  })
})

const consoleLogins = ['maristan_console', 'maristan_console_read'] as const

test.each(consoleLogins)('a tenant that a client SETs on the session of %s reaches nobody else', async (login) => {
  await bleed(login, tenants[0])
  // The danger is real: the pooler hands the settings on to a stranger who sets none of their own.
  const stranger = await raw(login, async (client) => ({
    now: await settingsNow(client),
    rows: (await client.query('select from identity.identity')).rowCount,
  }))
  expect(stranger).toMatchObject({ now: [tenants[0], expect.any(String), 'care_coordinator', expect.any(String)], rows: 1 })
  const use = (tenantId: string) => (login === 'maristan_console' ? leave(database, tenantId, newId()) : look(database, tenantId))
  expect(await use(tenants[1])).toMatchObject({ emails: [emails[1]], tenant: tenants[1], role: 'tenant_admin' })
  expect(await use(nobodys)).toMatchObject({ emails: [], tenant: nobodys, role: 'tenant_admin' })
})

test('a caller without a role, membership or organisation does not inherit those of a bled session', async () => {
  await bleed(workerLogin, tenants[0])
  const unit = database.unit(systemCaller(tenants[1], 'pooler', 'pooler'))
  expect(await unit.read(() => unit.db.$queryRawUnsafe(selectSettings))).toEqual([{ s0: tenants[1], s1: '', s2: '', s3: '' }])
})

test('reads with prepared statements heal through a pooler that carries none: each sees its own, whoever was there before', async () => {
  const [one, other] = [open(true), open(true)]
  const see = async (from: Database, k: 0 | 1) => expect(await look(from, tenants[k])).toMatchObject({ emails: [emails[k]], tenant: tenants[k] })
  try {
    await see(one, 0)
    await see(other, 1)
    // The names that both remember are unknown from here on, those of the settings before the statement as well.
    for (let round = 0; round < 3; round++) {
      await pooler.reconnect()
      await see(other, 1)
      await see(one, 0)
      await see(one, 1)
      await Promise.all(Array.from({ length: 8 }, (_, k) => see(k % 2 ? one : other, (k % 2) as 0 | 1)))
    }
  } finally {
    await Promise.all([one.close(), other.close()])
  }
})

test('commands with prepared statements through a pooler that carries none: refused by name or right, never a row of another', async () => {
  const [one, other] = [open(true), open(true)]
  const errors: unknown[] = []
  const tryAs = async (from: Database, k: 0 | 1) => {
    const seen = await leave(from, tenants[k], newId()).catch((error: unknown) => void errors.push(error))
    if (seen) expect(seen).toMatchObject({ emails: [emails[k]], tenant: tenants[k] })
  }
  try {
    await tryAs(one, 0)
    await tryAs(other, 1)
    await pooler.reconnect()
    await tryAs(other, 1)
    await tryAs(one, 0)
    await tryAs(one, 1)
  } finally {
    await Promise.all([one.close(), other.close()])
  }
  expect(errors).not.toEqual([])
  for (const error of errors) expect(error).toMatchObject({ code: 'STATEMENTS_FORGOTTEN', message: expect.stringContaining('DATABASE_PREPARED_STATEMENTS=0') })
  // Without them the same server connection serves at once.
  expect(await look(database, tenants[0])).toMatchObject({ emails: [emails[0]] })
})

test.each(['read', 'command'] as const)('a prepared name of one client never runs the statement of another: a %s', async (kind) => {
  const [one, other] = [open(true), open(true)]
  const ask = (from: Database, sql: string): Promise<unknown> => {
    const unit = from.unit(member(tenants[0]))
    if (kind === 'read') return unit.read(() => unit.db.$queryRawUnsafe(sql))
    return unit.command(async () => {
      unit.record({ action: 'pooler.ask', resource: 'Mark', outcome: 'done' })
      return unit.db.$queryRawUnsafe(sql)
    })
  }
  try {
    expect(await ask(one, "select 'one' as answer")).toEqual([{ answer: 'one' }])
    await pooler.reconnect()
    expect(await ask(other, "select 'other' as answer")).toEqual([{ answer: 'other' }])
    const again = await ask(one, "select 'one' as answer").catch((error: Fault) => error.code)
    expect(again).toEqual(kind === 'read' ? [{ answer: 'one' }] : 'STATEMENTS_FORGOTTEN')
  } finally {
    await Promise.all([one.close(), other.close()])
  }
})

test('a subscription made through the pooler stays with the server connection, and its notification goes to a stranger', async () => {
  const heard: string[] = []
  await raw(workerLogin, async (listener) => {
    listener.on('notification', () => heard.push('listener'))
    await listener.query('listen maristan_outbox')
    await raw(workerLogin, async (stranger) => {
      stranger.on('notification', () => heard.push('stranger'))
      expect((await stranger.query('select pg_listening_channels() as channel')).rows).toEqual([{ channel: 'maristan_outbox' }])
      await stranger.query('notify maristan_outbox')
    })
  })
  expect(heard).toEqual(['stranger'])
})

test.each([
  ['through the pooler the poll alone', () => pooler.urlOf(at.name), 1_000],
  ['with a direct connection of its own the notification', () => at.ownerUrl, 600_000],
] as const)('events are delivered while every command goes through the pooler: %s wakes the loop', async (_, databaseUrl, pollMs) => {
  const before = (await seenIn(at)).length
  const outbox = createOutbox({
    database,
    databaseUrl: databaseUrl(),
    loginSecret: loginSecret(),
    log: createLog({ level: 'silent' }),
    registry: new Registry(),
    pollMs,
    modules: [wardModule('pooler')],
    made: { ward: { contract: {} } },
  })
  outbox.start()
  try {
    for (const n of [1, 2]) {
      const unit = database.unit(systemCaller(tenants[n - 1]!, 'pooler', 'pooler'))
      await unit.command(async () => {
        unit.record({ action: 'bed.made', resource: 'Bed', outcome: 'done' })
        unit.publish(bedMade, newId(), { n })
      })
      await vi.waitUntil(async () => (await seenIn(at)).length === before + n, { timeout: 20_000, interval: 25 })
    }
  } finally {
    await outbox.stop()
  }
  const seen = (await seenIn(at)).slice(before)
  expect(seen.map(({ n, tenantId }) => [n, tenantId])).toEqual([[1, tenants[0]], [2, tenants[1]]])
})

test('a listener that the pooler cuts off waits for its poll and is not the end of the process', async () => {
  const wake = new Wake({ url: urlFor(workerLogin, pooler.urlOf(at.name), loginSecret()), channel: 'maristan_outbox', pollMs: 50 })
  await wake.listen()
  await pooler.reconnect()
  for (let i = 0; i < 3; i++) await wake.wait()
  await wake.close()
})
