/** The sealer over a real database: every committed line gets its one place, whoever commits late and however many seal. */
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { newId } from '../../kernel/id.ts'
import { Database } from '../db/database.ts'
import { urlFor, workerLogin } from '../db/logins.ts'
import { provision, refuseLostOrder, withClient } from '../db/provision.ts'
import { createLog } from '../http/log.ts'
import { systemCaller } from '../jobs/system.ts'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'
import { genesis, linkHash } from '../../../verifier/maristan-audit-verify.mjs'
import { monthsJob } from './months.ts'
import { createSealer, sealerPaceMs, type Sealer } from './sealer.ts'

let at: TestDatabase
let database: Database
const running: Sealer[] = []
const log = createLog({ level: 'silent' })

beforeAll(async () => {
  at = await freshDatabase()
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((sealer) => sealer.stop()))
  // Whatever a test left is sealed: the next one counts from nothing.
  await sealerOf().sealAll()
})
afterAll(async () => {
  await database.close()
  await at.drop()
})

function sealerOf(): Sealer {
  const sealer = createSealer({ databaseUrl: at.ownerUrl, loginSecret: loginSecret(), log })
  running.push(sealer)
  return sealer
}

/** Leaves lines the way every command does. */
async function leave(tenantId: string, count = 1): Promise<void> {
  await database.unit(systemCaller(tenantId, 'suite', `request-${newId()}`)).command(async (scope) => {
    for (let n = 0; n < count; n++) scope.unit.record({ action: 'test.done', resource: 'Tenant', outcome: 'done', detail: { n } })
  })
}

interface Link {
  seq: number
  event_id: string
  prev_hash: Buffer
  row_hash: Buffer
  digest: Buffer
}

const linksOf = (tenantId: string) =>
  at.owner<Link>(
    `select seq::int, event_id, prev_hash, row_hash, sha256(convert_to(audit.canonical(e), 'UTF8')) as digest
     from audit.link l join audit.event e on e.tenant_id = l.tenant_id and e.id = l.event_id
     where l.tenant_id = $1 order by seq`,
    [tenantId],
  )

function expectChain(tenantId: string, links: readonly Link[]): void {
  let prev = genesis(tenantId)
  for (const [i, link] of links.entries()) {
    expect(link.seq).toBe(i + 1)
    expect(link.prev_hash.equals(prev), `link ${link.seq}`).toBe(true)
    expect(link.row_hash.equals(linkHash(prev, link.seq, link.digest)), `link ${link.seq}`).toBe(true)
    prev = link.row_hash
  }
  expect(new Set(links.map(({ event_id }) => event_id)).size).toBe(links.length)
}

const unlinked = async () => (await at.owner<{ n: number }>(`select count(*)::int as n from audit.event e
  where not exists (select from audit.link l where l.tenant_id = e.tenant_id and l.event_id = e.id)`))[0]!.n

test('every line of every tenant gets its place in its own tenant’s chain, in order and without a gap', async () => {
  const [one, two] = [newId(), newId()]
  const sealer = sealerOf()
  await leave(one, 3)
  await leave(two, 2)
  expect(await sealer.sealAll()).toBe(5)
  await leave(one, 2)
  expect(await sealer.sealAll()).toBe(2)
  expect(await sealer.sealAll()).toBe(0)
  for (const [tenantId, count] of [[one, 5], [two, 2]] as const) {
    const links = await linksOf(tenantId)
    expect(links).toHaveLength(count)
    expectChain(tenantId, links)
  }
})

test('a line whose transaction commits late is never passed by, though later ones are there already', async () => {
  const tenantId = newId()
  const late = new pg.Client({ connectionString: urlFor(workerLogin, at.ownerUrl, loginSecret()) })
  await late.connect()
  await late.query("begin; select set_config('app.tenant_id', '" + tenantId + "', true)")
  await late.query(
    `insert into audit.event (tenant_id, id, actor_kind, action, resource, outcome, request_id)
     values ($1, $2, 'system', 'test.late', 'Tenant', 'done', 'late')`,
    [tenantId, newId()],
  )
  await leave(tenantId)
  const sealer = sealerOf()
  // Held back by the one that still runs: sealing it now would pass the other by.
  expect(await sealer.sealAll()).toBe(0)
  expect((await database.gate.sealState()).lagSeconds).toBeGreaterThan(0)
  await late.query('commit')
  await late.end()
  expect(await sealer.sealAll()).toBe(2)
  expectChain(tenantId, await linksOf(tenantId))
  expect(await unlinked()).toBe(0)
  expect((await database.gate.sealState()).lagSeconds).toBe(0)
})

test('a transaction that works in another database of the cluster holds nothing up', async () => {
  const tenantId = newId()
  const other = await freshDatabase()
  const busy = new pg.Client({ connectionString: other.ownerUrl })
  await busy.connect()
  await busy.query('begin; select pg_current_xact_id()')
  await leave(tenantId, 2)
  expect(await sealerOf().sealAll()).toBe(2)
  await busy.query('commit')
  await busy.end()
  await other.drop()
})

test('two that seal at once make one chain, while eight write', async () => {
  const tenants = Array.from({ length: 3 }, newId)
  const sealers = [sealerOf(), sealerOf()]
  for (const sealer of sealers) sealer.start()
  database.onWrite(() => sealers[0]!.ring())
  await Promise.all(Array.from({ length: 8 }, async (_, k) => {
    for (let n = 0; n < 25; n++) await leave(tenants[(k + n) % 3]!)
  }))
  await vi.waitUntil(async () => (await unlinked()) === 0, { timeout: 20_000, interval: 20 })
  let total = 0
  for (const tenantId of tenants) {
    const links = await linksOf(tenantId)
    expectChain(tenantId, links)
    total += links.length
  }
  expect(total).toBe(200)
})

test('a ring has what was written sealed within thirty milliseconds and a pass, however long it is to the next look', async () => {
  expect(sealerPaceMs).toEqual({ gather: 30, look: 1_000 })
  const tenantId = newId()
  const sealer = createSealer({ databaseUrl: at.ownerUrl, loginSecret: loginSecret(), log, paceMs: { ...sealerPaceMs, look: 3_600_000 } })
  running.push(sealer)
  await leave(tenantId)
  sealer.start()
  await vi.waitUntil(async () => (await unlinked()) === 0, { timeout: 8_000, interval: 5 })
  for (const many of [2, 3]) {
    await leave(tenantId)
    sealer.ring()
    await vi.waitUntil(async () => (await unlinked()) === 0, { timeout: 8_000, interval: 5 })
    expect(await linksOf(tenantId)).toHaveLength(many)
  }
})

test('no login numbers or dates a line itself; the worker’s own line stands', async () => {
  const tenantId = newId()
  const insert = (columns: string, values: string) =>
    withClient(urlFor(workerLogin, at.ownerUrl, loginSecret()), async (client) => {
      await client.query("select set_config('app.tenant_id', $1, false)", [tenantId])
      await client.query(
        `insert into audit.event (tenant_id, id, actor_kind, action, resource, outcome, request_id${columns})
         values ($1, $2, 'system', 'test.own', 'Tenant', 'done', 'own'${values})`,
        [tenantId, newId()],
      )
    })
  await insert('', '')
  for (const [column, value] of [['xid', "'3'::xid8"], ['epoch', '0'], ['at', "now() - interval '1 day'"], ['at', "now() + interval '1 day'"]]) {
    await expect(insert(`, ${column}`, `, ${value}`), `${column} = ${value}`).rejects.toMatchObject({ code: '42501' })
  }
})

test('a line fits no month that was never made, and the change with it does not happen', async () => {
  const tenantId = newId()
  await leave(tenantId)
  const months = await at.owner<{ name: string; bound: string }>(
    `select inhrelid::regclass::text as name, pg_get_expr(c.relpartbound, c.oid) as bound
     from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = 'audit.event'::regclass`,
  )
  for (const { name } of months) await at.owner(`alter table audit.event detach partition ${name}`)
  await expect(leave(tenantId)).rejects.toThrow()
  for (const { name, bound } of months) await at.owner(`alter table audit.event attach partition ${name} ${bound}`)
  await leave(tenantId)
})

test('months are kept ahead by a job of the owner; without one, the job fails while there is still time', async () => {
  const { monthsAhead } = await database.gate.sealState()
  expect(monthsAhead).toBe(12)
  const run = (ownerUrl: string | null) => monthsJob({ database, ownerUrl }).run(newId(), 'job-1', new AbortController().signal)
  await run(null)
  const ahead = await at.owner<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit.event'::regclass order by 1 desc limit 11`,
  )
  for (const { name } of ahead) await at.owner(`drop table ${name}; drop table ${name.replace('event', 'link')}`)
  await expect(run(null)).rejects.toThrow('maristan migrate')
  await run(at.ownerUrl)
  expect((await database.gate.sealState()).monthsAhead).toBe(12)
  // A new month has the walls of the others, and is granted to nobody.
  const walls = await at.owner<{ n: number }>(
    `select count(*)::int as n from pg_class c where c.relispartition and c.relkind = 'r' and c.relnamespace = 'audit'::regnamespace
       and not (c.relrowsecurity and c.relforcerowsecurity and c.relacl is null
         and exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'append_only'))`,
  )
  expect(walls).toEqual([{ n: 0 }])
})

test('a trail restored from a database that had counted further is not sealed in the wrong order; the next migration begins an epoch', async () => {
  const tenantId = newId()
  const sealer = sealerOf()
  await leave(tenantId, 2)
  await sealer.sealAll()
  // As a restored database looks: its last line was numbered by a transaction that this one has yet to begin.
  const client = new pg.Client({ connectionString: at.ownerUrl })
  await client.connect()
  await client.query('set session_replication_role = replica')
  await client.query("update audit.event set xid = '9000000000' where xid = (select max(xid) from audit.event)")
  await client.query(`update audit.link set xid = '9000000000' where tenant_id = '${tenantId}' and seq = 2`)
  await client.end()
  await expect(sealer.sealAll()).rejects.toMatchObject({ code: 'SEALING_ORDER_LOST' })
  await expect(refuseLostOrder(at.ownerUrl, loginSecret())).rejects.toThrow('maristan migrate')
  expect((await database.gate.sealState()).lagSeconds).toBe(Infinity)
  await provision({ ownerUrl: at.ownerUrl, loginSecret: loginSecret() })
  await refuseLostOrder(at.ownerUrl, loginSecret())
  await leave(tenantId)
  expect(await sealer.sealAll()).toBe(1)
  expect((await at.owner<{ epoch: number }>('select max(epoch) as epoch from audit.link'))[0]).toEqual({ epoch: 2 })
})
