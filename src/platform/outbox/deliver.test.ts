/** Delivery after the commit: at least once, in an aggregate's order, and whatever dies in between. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Registry } from 'prom-client'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { newId } from '../../kernel/id.ts'
import { event, type EventType } from '../../kernel/event.ts'
import { z } from 'zod'
import { Database } from '../db/database.ts'
import { createLog } from '../http/log.ts'
import { systemCaller } from '../jobs/system.ts'
import { startChild } from '../../../test/kit/child.ts'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'
import { bedEmptied, bedMade, layScratch, seenIn, wardModule } from '../../../test/kit/ward.ts'
import type { Scope } from '../../kernel/scope.ts'
import { createOutbox, type Outbox } from './deliver.ts'
import { purgeJob } from './purge.ts'
import { markFailed, maxAttempts } from './store.ts'

let at: TestDatabase
let database: Database
let running: Outbox[]
const tenantId = newId()
const lines: string[] = []
const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } })

beforeEach(async () => {
  at = await freshDatabase()
  await layScratch(at)
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
  running = []
})
afterEach(async () => {
  await Promise.all(running.map((outbox) => outbox.stop()))
  await database.close()
  await at.drop()
})

function outboxOf(
  before?: (event: { n: number }, scope: Scope) => void | Promise<void>,
  { who = 'one', pollMs = 100, registry = new Registry() }: { who?: string; pollMs?: number; registry?: Registry } = {},
): Outbox {
  const outbox = createOutbox({
    database,
    databaseUrl: at.ownerUrl,
    loginSecret: loginSecret(),
    log,
    registry,
    pollMs,
    modules: [wardModule(who, before)],
    made: { ward: { contract: {} } },
  })
  running.push(outbox)
  return outbox
}

/** A command that publishes, as any mutation does. */
function publish(
  events: readonly [aggregateId: string, n: number][],
  options: { tenant?: string; type?: EventType<string, { n: number }>; fails?: boolean } = {},
) {
  const { tenant = tenantId, type = bedMade, fails = false } = options
  const unit = database.unit({ ...systemCaller(tenant, 'test', 'the-request') })
  return unit.command(async () => {
    unit.record({ action: 'bed.made', resource: 'Bed', outcome: 'done' })
    for (const [aggregateId, n] of events) unit.publish(type, aggregateId, { n })
    if (fails) throw new Error('after publishing')
  })
}

const numbers = async () => (await seenIn(at)).map((seen) => seen.n)
const waiting = async () =>
  Number((await at.owner<{ n: string }>('select count(*) as n from outbox.event where processed_at is null and parked_at is null'))[0]!.n)
const drained = () => vi.waitUntil(async () => (await waiting()) === 0, { timeout: 20_000, interval: 25 })
const retryNow = () => at.owner('update outbox.event set available_at = clock_timestamp() where processed_at is null and parked_at is null')

test('what a command published is handled once after its commit, under its own request; what it took back never', async () => {
  await expect(publish([[newId(), 1]], { fails: true })).rejects.toThrow('after publishing')
  await publish([[newId(), 2]])
  outboxOf().start()
  await drained()
  expect(await numbers()).toEqual([2])
  const [trace] = await at.owner("select request_id, actor_kind, detail from audit.event where action = 'event.handled'")
  expect(trace).toMatchObject({ request_id: 'the-request', actor_kind: 'system', detail: { event: 'ward.bed.made', modules: ['ward'] } })
})

test('a declared event that nobody handles is set aside; an undeclared one fails where it shows', async () => {
  const foreign = event('ward.bed.lost', z.object({ n: z.int() }))
  await publish([[newId(), 1]], { type: bedEmptied })
  await publish([[newId(), 2]], { type: foreign })
  outboxOf().start()
  const failed = () => at.owner('select from outbox.event where last_error is not null')
  await vi.waitUntil(async () => (await failed()).length === 1 && (await waiting()) === 1, { timeout: 20_000 })
  expect(await at.owner('select name, last_error, processed_at is not null as done from outbox.event order by name')).toEqual([
    { name: 'ward.bed.emptied', last_error: null, done: true },
    { name: 'ward.bed.lost', last_error: 'EVENT_UNDECLARED', done: false },
  ])
})

test('a failing event holds up its own aggregate only, and leaves nothing of its failed tries', async () => {
  const [bed, other] = [newId(), newId()]
  let mended = false
  let failures = 0
  await publish([[bed, 1], [bed, 2], [other, 3], [other, 4]])
  outboxOf(({ n }) => {
    if (n === 1 && !mended) throw (failures++, new Error('not yet'))
  }).start()
  await vi.waitUntil(async () => (await numbers()).length === 2 && failures > 0, { timeout: 20_000 })
  expect(await numbers()).toEqual([3, 4])
  mended = true
  await vi.waitUntil(async () => (await retryNow(), (await waiting()) === 0), { timeout: 20_000, interval: 50 })
  expect(await numbers()).toEqual([3, 4, 1, 2])
})

test('after eight tries an event is parked, is seen, says no more than a code, and lets the next of its aggregate pass', async () => {
  const registry = new Registry()
  const bed = newId()
  let tries = 0
  await publish([[bed, 1], [bed, 2]])
  const outbox = outboxOf(
    ({ n }) => {
      if (n === 1) throw (tries++, new RangeError('a name that must not be stored'))
    },
    { registry },
  )
  outbox.start()
  await vi.waitUntil(async () => (await retryNow(), (await waiting()) === 0), { timeout: 20_000, interval: 25 })
  expect(tries).toBe(maxAttempts)
  expect(await numbers()).toEqual([2])
  const parked = await outbox.parkedEvents(tenantId)
  expect(parked).toMatchObject([{ name: 'ward.bed.made', aggregateId: bed, attempts: maxAttempts, lastError: 'RangeError' }])
  expect(await outbox.parkedEvents(newId())).toEqual([])
  const text = await registry.metrics()
  expect(text).toContain('outbox_parked_events 1')
  expect(text).toContain('outbox_lag_seconds 0')
  expect(text).toContain('outbox_events_total{outcome="parked"} 1')
  expect(text).toContain('outbox_events_total{outcome="handled"} 1')
  expect(lines.join('')).not.toContain('must not be stored')
  expect(JSON.stringify(await at.owner('select * from outbox.event'))).not.toContain('must not be stored')
})

test('pauses between tries grow fourfold', async () => {
  await publish([[newId(), 1]])
  const [{ id }] = (await at.owner<{ id: string }>('select id from outbox.event')) as [{ id: string }]
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const unit = database.unit(systemCaller(tenantId, 'test', 'pauses'))
    const { parked, pause } = await unit.read(async () => {
      const failed = await markFailed(unit.db, id, 'TEST')
      const [row] = await unit.db.$queryRaw<{ pause: number }[]>`
        select extract(epoch from available_at - now())::float8 as pause from outbox.event`
      return { ...failed, pause: row!.pause }
    })
    expect(pause).toBeGreaterThanOrEqual(4 ** attempt)
    expect(pause).toBeLessThan(4 ** (attempt + 1))
    expect(parked).toBe(attempt === maxAttempts - 1)
  }
})

test('a notification wakes delivery long before the next look, also after the listening connection was cut', async () => {
  outboxOf(undefined, { pollMs: 600_000 }).start()
  await publish([[newId(), 1]])
  await drained()
  const connections = "from pg_stat_activity where application_name = 'maristan listen' and datname = current_database()"
  const listening = () => at.owner(`select pid ${connections} and state = 'idle'`)
  await vi.waitUntil(async () => (await listening()).length === 1, { timeout: 20_000 })
  const [{ pid }] = (await listening()) as [{ pid: number }]
  await at.owner(`select pg_terminate_backend(pid) ${connections}`)
  await vi.waitUntil(async () => (await at.owner(`select ${connections} and pid = $1`, [pid])).length === 0, { timeout: 20_000 })
  await publish([[newId(), 2]])
  await drained()
  expect(await numbers()).toEqual([1, 2])
})

test('two processes share the work: every event once, each aggregate in its order', async () => {
  const beds = Array.from({ length: 12 }, () => newId())
  const tenants = [tenantId, newId(), newId()]
  for (const tenant of tenants) {
    for (let n = 0; n < 6; n++) await publish(beds.map((bed, k): [string, number] => [bed, k * 100 + n]), { tenant })
  }
  const child = await startChild('test/kit/outbox-process.ts', { DB_URL: at.ownerUrl, DB_SECRET: loginSecret(), WHO: 'two' })
  await once(createInterface({ input: child.process.stdout! }), 'line')
  outboxOf().start()
  await drained()
  await child.end('SIGTERM')
  const seen = await seenIn(at)
  expect(seen.map((one) => one.who)).toContain('two')
  expect(seen).toHaveLength(beds.length * 6 * tenants.length)
  expect(new Set(seen.map((one) => one.eventId)).size).toBe(seen.length)
  for (const tenant of tenants) {
    for (const k of beds.keys()) {
      const own = seen.filter((one) => one.tenantId === tenant && Math.floor(one.n / 100) === k).map((one) => one.n % 100)
      expect(own).toEqual([0, 1, 2, 3, 4, 5])
    }
  }
})

test('a process killed while it handles an event leaves no half of it; another one handles it whole', async () => {
  const child = await startChild('test/kit/outbox-process.ts', { DB_URL: at.ownerUrl, DB_SECRET: loginSecret(), WHO: 'dead', HANGS: '1' })
  const handling = once(createInterface({ input: child.process.stdout! }), 'line')
  await publish([[newId(), 1]])
  await handling
  expect(await seenIn(at)).toEqual([])
  outboxOf(undefined, { who: 'heir' }).start()
  await child.end('SIGKILL')
  await drained()
  expect(await seenIn(at)).toMatchObject([{ n: 1, who: 'heir' }])
})

test('stopping finishes the event in hand and begins no other', async () => {
  const bed = newId()
  let release = () => {}
  let entered = () => {}
  const inHand = new Promise<void>((resolve) => (entered = resolve))
  await publish([[bed, 1], [bed, 2]])
  const outbox = outboxOf(() => {
    entered()
    return new Promise<void>((resolve) => (release = resolve))
  })
  outbox.start()
  await inHand
  let ended = false
  const stopped = outbox.stop().then(() => (ended = true))
  expect(await waiting()).toBe(2)
  expect(ended).toBe(false)
  release()
  await stopped
  expect(await numbers()).toEqual([1])
  expect(await waiting()).toBe(1)
})

test('delivered events go after seven days with a trace of it; younger, waiting and parked ones stay', async () => {
  await publish([[newId(), 1], [newId(), 2], [newId(), 3], [newId(), 4]])
  const age = (n: number, sql: string) => at.owner(`update outbox.event set ${sql} where payload ->> 'n' = $1`, [String(n)])
  await age(1, "processed_at = now() - interval '7 days 1 minute'")
  await age(2, "processed_at = now() - interval '6 days 23 hours'")
  await age(3, "parked_at = now() - interval '30 days'")
  const { run } = purgeJob(database)
  await run(newId(), 'purge-elsewhere', new AbortController().signal)
  expect(await at.owner('select from outbox.event')).toHaveLength(4)
  await run(tenantId, 'purge', new AbortController().signal)
  const left = await at.owner<{ n: string }>("select payload ->> 'n' as n from outbox.event order by 1")
  expect(left.map((row) => row.n)).toEqual(['2', '3', '4'])
  expect(await at.owner("select detail from audit.event where action = 'outbox.purged'")).toEqual([{ detail: { count: 1 } }])
})
