/** Watches on a real Postgres: what rings them, what does not, and what they leave behind. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'
import { newId } from '../../kernel/id.ts'
import type { Caller } from '../../kernel/scope.ts'
import { Database } from '../db/database.ts'
import type { Changes } from '../db/gate.ts'
import { createLog } from '../http/log.ts'
import { systemCaller } from '../jobs/system.ts'
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
/** @param looks told of every look that came back */
const watchersWith = ({ checkMs = 600_000, looks }: { checkMs?: number; looks?: (seen: Changes) => void } = {}) =>
  new Watchers({
    changes: async (since, tenants) => {
      const seen = await database.gate.changes(since, tenants)
      looks?.(seen)
      return seen
    },
    log: createLog({ level: 'silent' }),
    lookMs: 5,
    checkMs,
  })

interface Line {
  readonly tenant?: string
  readonly action?: string
  readonly outcome?: 'done' | 'denied'
  readonly subjectId?: string
}
/** A command that says of these records that they changed. */
function change(ids: readonly string[], { tenant = tenantId, action = 'bed.made', outcome = 'done', subjectId }: Line = {}) {
  const unit = database.unit(systemCaller(tenant, 'watch', 'watch'))
  return unit.command(async () => {
    for (const resourceId of ids) unit.record({ action, resource: 'Bed', resourceId, outcome, ...(subjectId ? { subjectId } : {}) })
  })
}

/** A watch that has ticked for the first time. */
async function begun(watchers: Watchers, ids: readonly string[], caller = member()) {
  const end = new AbortController()
  const ticks = watchers.watch({ caller, ids, signal: end.signal })
  expect((await ticks.next()).value).toBe('changed')
  return { next: async (): Promise<Tick | void> => (await ticks.next()).value, end: () => (end.abort(), ticks.next()) }
}

test('a change of the record, of whom it is about, of the session or the membership rings; what came before does not', async () => {
  const recipient = newId()
  await change([recipient])
  const caller = member()
  const watchers = watchersWith({ checkMs: 50 })
  const watch = await begun(watchers, [recipient], caller)
  expect(await watch.next()).toBe('check')
  const rung = async () => {
    for (;;) if ((await watch.next()) === 'changed') return
  }
  const { sessionId, membershipId } = caller.actor as Extract<Caller['actor'], { kind: 'member' }>
  for (const id of [recipient, sessionId, membershipId]) {
    await change([id])
    await rung()
  }
  await change([newId()], { subjectId: recipient })
  await rung()
  expect((await watch.end()).done).toBe(true)
})

test('another tenant’s change under the same id, a reading, a refusal, and what was rolled back ring nobody', async () => {
  const watchers = watchersWith()
  const [recipient, witness] = [newId(), newId()]
  const watch = await begun(watchers, [recipient])
  const other = await begun(watchers, [witness])
  const ticks: (Tick | void)[] = []
  const first = watch.next().then((tick) => void ticks.push(tick))
  await change([recipient], { tenant: newId() })
  await change([recipient], { action: 'phi.read' })
  await change([recipient], { outcome: 'denied' })
  const unit = database.unit(systemCaller(tenantId, 'watch', 'watch'))
  const undone = unit.command(async () => {
    unit.record({ action: 'bed.made', resource: 'Bed', resourceId: recipient, outcome: 'done' })
    throw new Error('after all')
  })
  await expect(undone).rejects.toThrow('after all')
  // A look that shows this one has shown whatever was committed before.
  const heard = other.next()
  await change([witness])
  expect(await heard).toBe('changed')
  expect(ticks).toEqual([])
  await change([recipient])
  await first
  expect(ticks).toEqual(['changed'])
  await Promise.all([other.end(), watch.end()])
})

test('a change that commits late, after younger ones were told, is told too, and nothing twice', async () => {
  const told: string[] = []
  const watchers = watchersWith({ looks: ({ changed }) => told.push(...changed.map(({ id }) => id)) })
  const [late, early] = [newId(), newId()]
  const [slow, quick] = [await begun(watchers, [late]), await begun(watchers, [early])]
  const [hold, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const unit = database.unit(systemCaller(tenantId, 'watch', 'watch'))
  const command = unit.command(async () => {
    // It has its number, and with it its place before those that follow.
    await unit.db.$queryRaw`select pg_current_xact_id()::text`
    unit.record({ action: 'bed.made', resource: 'Bed', resourceId: late, outcome: 'done' })
    held.resolve()
    await hold.promise
  })
  await held.promise
  await change([early])
  expect(await quick.next()).toBe('changed')
  hold.resolve()
  await command
  expect(await slow.next()).toBe('changed')
  await change([early])
  expect(await quick.next()).toBe('changed')
  expect(told.filter((id) => id === late || id === early)).toEqual([early, late, early])
  await Promise.all([slow.end(), quick.end()])
})

test('more changes at once than are told apart ring every watch', async () => {
  const watchers = watchersWith()
  const watch = await begun(watchers, [newId()])
  await change(Array.from({ length: 1_001 }, () => newId()))
  expect(await watch.next()).toBe('changed')
  await watch.end()
})

test('a look that fails is made again from where it began', async () => {
  let broken = false
  const failed = Promise.withResolvers<void>()
  const watchers = new Watchers({
    changes: (since, tenants) => {
      if (!broken) return database.gate.changes(since, tenants)
      failed.resolve()
      return Promise.reject(new Error('no answer'))
    },
    log: createLog({ level: 'silent' }),
    lookMs: 5,
  })
  const recipient = newId()
  const watch = await begun(watchers, [recipient])
  broken = true
  await failed.promise
  await change([recipient])
  broken = false
  expect(await watch.next()).toBe('changed')
  await watch.end()
})

test('one session holds twenty watches and no more; another session is not in its way; looking ends with the last of them', async () => {
  let begins = 0
  const watchers = new Watchers({
    changes: (since, tenants) => {
      if (since === null) begins++
      return database.gate.changes(since, tenants)
    },
    log: createLog({ level: 'silent' }),
    lookMs: 5,
  })
  const caller = member()
  const held = await Promise.all(Array.from({ length: 20 }, () => begun(watchers, [newId()], caller)))
  const refused = watchers.watch({ caller, ids: [], signal: new AbortController().signal })
  await expect(refused.next()).rejects.toMatchObject({ code: 'TOO_MANY_SUBSCRIPTIONS' })
  held.push(await begun(watchers, [newId()]))
  await held[0]!.end()
  held[0] = await begun(watchers, [newId()], caller)
  for (const watch of held) await watch.end()
  await vi.waitUntil(async () => {
    const next = await begun(watchers, [newId()], caller)
    await next.end()
    return begins > 1
  })
})
