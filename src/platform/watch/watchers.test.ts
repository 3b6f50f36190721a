/** Watches on a real Postgres: what rings them, what does not, and what they leave behind. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { newId } from '../../kernel/id.ts'
import type { Caller } from '../../kernel/scope.ts'
import { Database } from '../db/database.ts'
import { urlFor, workerLogin } from '../db/logins.ts'
import { systemCaller } from '../jobs/system.ts'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'
import { Watchers, type Tick } from './watchers.ts'

let at: TestDatabase
let database: Database
beforeAll(async () => {
  at = await freshDatabase()
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
})
afterAll(async () => {
  await database.close()
  await at.drop()
})

const tenantId = newId()
const member = (sessionId = newId()): Caller => ({
  ...systemCaller(tenantId, 'watch', 'watch'),
  plane: 'console',
  actor: { kind: 'member', membershipId: newId(), identityId: newId(), role: 'tenant_admin', sessionId, via: 'password', providerOrgId: null },
})
const watchersWith = (checkMs = 600_000) =>
  new Watchers({ url: urlFor(workerLogin, at.ownerUrl, loginSecret()), topicOf: database.topicOf, checkMs, pauseMs: 0 })

/** A command that says of these records that they changed. */
function change(ids: readonly string[], { tenant = tenantId, outcome = 'done' as 'done' | 'denied', subjectId = null as string | null } = {}) {
  const unit = database.unit(systemCaller(tenant, 'watch', 'watch'))
  return unit.command(async () => {
    for (const resourceId of ids) unit.record({ action: 'bed.made', resource: 'Bed', resourceId, subjectId, outcome })
  })
}

/** A watch whose connection listens: its first tick, and the one that says that it hears from now on, are behind it. */
async function begun(watchers: Watchers, ids: readonly string[], caller = member()) {
  const end = new AbortController()
  const ticks = watchers.watch({ caller, ids, signal: end.signal })
  expect((await ticks.next()).value).toBe('changed')
  while (watchers.count === 1 && (await ticks.next()).value !== 'changed');
  return { next: async (): Promise<Tick | void> => (await ticks.next()).value, end: () => (end.abort(), ticks.next()) }
}
const listening = async () =>
  (await at.owner("select pid from pg_stat_activity where application_name = 'maristan listen' and datname = current_database()")) as { pid: number }[]

test('a change of the record, of whom it is about, of the session or the membership rings; many changes ring once', async () => {
  const watchers = watchersWith()
  const recipient = newId()
  const caller = member()
  const watch = await begun(watchers, [recipient], caller)
  const { sessionId, membershipId } = caller.actor as Extract<Caller['actor'], { kind: 'member' }>
  for (const id of [recipient, sessionId, membershipId]) {
    const next = watch.next()
    await change([id])
    expect(await next).toBe('changed')
  }
  const about = watch.next()
  await change([newId()], { subjectId: recipient })
  expect(await about).toBe('changed')

  for (let n = 0; n < 3; n++) await change([recipient])
  const other = await begun(watchers, [newId()])
  expect(await watch.next()).toBe('changed')
  await other.end()
  expect((await watch.end()).done).toBe(true)
})

test('another tenant’s change under the same id, a refusal, and what was rolled back ring nobody', async () => {
  const watchers = watchersWith()
  const recipient = newId()
  const watch = await begun(watchers, [recipient])
  const ticks: (Tick | void)[] = []
  const first = watch.next().then((tick) => void ticks.push(tick))
  await change([recipient], { tenant: newId() })
  await change([recipient], { outcome: 'denied' })
  const unit = database.unit(systemCaller(tenantId, 'watch', 'watch'))
  const undone = unit.command(async () => {
    unit.record({ action: 'bed.made', resource: 'Bed', resourceId: recipient, outcome: 'done' })
    throw new Error('after all')
  })
  await expect(undone).rejects.toThrow('after all')
  // Notifications arrive in the order of their commits: once this one is heard, the others would have been.
  const witness = newId()
  const other = await begun(watchers, [witness])
  const heard = other.next()
  await change([witness])
  expect(await heard).toBe('changed')
  expect(ticks).toEqual([])
  await change([recipient])
  await first
  expect(ticks).toEqual(['changed'])
  await other.end()
  await watch.end()
})

test('a command that changed more than can be told one by one rings every watch of its tenant, and no other tenant’s', async () => {
  const watchers = watchersWith()
  const mine = await begun(watchers, [newId()])
  const rung = mine.next()
  await change(Array.from({ length: 201 }, () => newId()))
  expect(await rung).toBe('changed')
  await mine.end()
})

test('silence becomes a check; a listener that was cut off comes back and everybody looks again', async () => {
  const quiet = watchersWith(20)
  const checked = await begun(quiet, [newId()])
  expect(await checked.next()).toBe('check')
  await checked.end()

  const watchers = watchersWith()
  const watch = await begun(watchers, [newId()])
  const again = watch.next()
  await at.owner('select pg_terminate_backend($1)', [(await listening())[0]!.pid])
  expect(await again).toBe('changed')
  await watch.end()
})

test('one session holds twenty watches and no more; another session is not in its way; the last to leave ends the connection', async () => {
  const watchers = watchersWith()
  const caller = member()
  const held = [await begun(watchers, [newId()], caller)]
  while (held.length < 20) held.push(await begun(watchers, [newId()], caller))
  const refused = watchers.watch({ caller, ids: [], signal: new AbortController().signal })
  await expect(refused.next()).rejects.toMatchObject({ code: 'TOO_MANY_SUBSCRIPTIONS' })
  held.push(await begun(watchers, [newId()]))
  await held[0]!.end()
  held[0] = await begun(watchers, [newId()], caller)
  expect(watchers.count).toBe(21)
  await vi.waitUntil(async () => (await listening()).length === 1, { timeout: 20_000, interval: 25 })
  for (const watch of held) await watch.end()
  expect(watchers.count).toBe(0)
  await vi.waitUntil(async () => (await listening()).length === 0, { timeout: 20_000, interval: 25 })
})

test('what is notified names neither tenant nor record', async () => {
  const recipient = newId()
  const topic = database.topicOf(tenantId, recipient)
  expect(topic).toMatch(/^[\w-]{22}$/)
  expect(database.topicOf(newId(), recipient)).not.toBe(topic)
  const elsewhere = new Database({ url: at.ownerUrl, loginSecret: `${loginSecret()} of another installation`, preparedStatements: true })
  expect(elsewhere.topicOf(tenantId, recipient)).not.toBe(topic)
  await elsewhere.close()
})
