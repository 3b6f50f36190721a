/**
 * Delivers what the outbox holds, after its commit and at least once: every event in a command of its own, together with
 * the mark that it was handled. A handler that fails holds up its aggregate only, and after eight tries not even that.
 */
import type { Registry } from 'prom-client'
import { Fault } from '../../kernel/fault.ts'
import type { DeliveredEvent } from '../../kernel/event.ts'
import type { Database } from '../db/database.ts'
import { sqlStateOf } from '../db/errors.ts'
import { urlFor, workerLogin } from '../db/logins.ts'
import type { Unit } from '../db/unit.ts'
import type { Log } from '../http/log.ts'
import { systemCaller, within } from '../jobs/system.ts'
import type { AnyModule, Built, EventHandler } from '../module.ts'
import { createOutboxMetrics, type OutboxMetrics } from './metrics.ts'
import { unhandledEvents } from './declared.ts'
import { dueEvents, listParked, lockEvent, markFailed, markProcessed, skipUnhandled, type ParkedEvent, type StoredEvent } from './store.ts'
import { Wake } from './wake.ts'

export interface OutboxOptions {
  readonly database: Database
  /** Host, port and database, and the secret of the logins: for the connection that listens. */
  readonly databaseUrl: string
  readonly loginSecret: string
  readonly modules: readonly AnyModule[]
  /** What each module built, by its name. */
  readonly made: Readonly<Record<string, Built>>
  readonly log: Log
  readonly registry: Registry
  /** The longest an event waits when its notification was lost, in milliseconds; one second unless told. */
  readonly pollMs?: number
}

export interface Outbox {
  /** Begins to deliver. */
  start(): void
  /** Finishes the events in hand, within 20 seconds. */
  stop(): Promise<void>
  /** A tenant's given-up events, the latest first, at most 100. */
  parkedEvents(tenantId: string): Promise<ParkedEvent[]>
}

interface Handler {
  readonly module: string
  handle(unit: Unit, event: DeliveredEvent): Promise<void>
}

/** Tenants served at the same time by one process, and the most events of a tenant before the next one's turn. */
const lanes = 4
const turn = 100
const tenantsARound = 100
/** Below the database's own limits on a transaction, so that a handler that hangs is our failure to report. */
const handlerTimeoutMs = 10_000
const drainMs = 20_000

const jobName = 'outbox'

export function createOutbox(options: OutboxOptions): Outbox {
  const { database, log } = options
  const handlers = handlersOf(options.modules, options.made)
  const unhandled = unhandledEvents(options.modules)
  database.leaveUnheard(unhandled)
  const metrics: OutboxMetrics = createOutboxMetrics(options.registry, () => database.gate.outboxState())
  const wake = new Wake({
    url: urlFor(workerLogin, options.databaseUrl, options.loginSecret),
    channel: 'maristan_outbox',
    pollMs: options.pollMs ?? 1_000,
  })
  let stopping = false
  let running: Promise<void> | null = null

  const open = (tenantId: string, requestId: string) => database.unit(systemCaller(tenantId, jobName, requestId))

  /** Bookkeeping of the queue itself: no tenant's data changes, so it leaves no audit row. */
  const bookkeeping = <T>(tenantId: string, work: (unit: Unit) => Promise<T>): Promise<T> => {
    const unit = open(tenantId, `${jobName}-${tenantId}`)
    return unit.read(() => work(unit))
  }

  /** Delivers one event under the id of the request that published it. @returns false when somebody else has it. */
  async function deliver(tenantId: string, { id, requestId }: { id: string; requestId: string }): Promise<boolean> {
    let taken: StoredEvent | null = null
    const unit = open(tenantId, requestId)
    try {
      await unit.command(async () => {
        taken = await lockEvent(unit.db, id)
        if (!taken) throw notOurs
        await handle(unit, taken)
        await markProcessed(unit.db, id)
      })
      metrics.handled('handled')
      return true
    } catch (error) {
      if (error === notOurs) return false
      if (!taken) throw error
      await fail(tenantId, taken, error)
      return true
    }
  }

  async function handle(unit: Unit, event: StoredEvent): Promise<void> {
    const known = handlers.get(event.name)
    if (!known) throw new Undeclared()
    const delivered: DeliveredEvent = {
      eventId: event.id,
      name: event.name,
      tenantId: unit.tenantId,
      actorId: event.actorId,
      requestId: event.requestId,
      at: event.at,
      payload: event.payload,
    }
    unit.record({
      action: 'event.handled',
      resource: 'OutboxEvent',
      resourceId: event.id,
      outcome: 'done',
      detail: { event: event.name, modules: known.map((one) => one.module) },
    })
    for (const handler of known) await within(handlerTimeoutMs, handler.handle(unit, delivered))
  }

  async function fail(tenantId: string, event: StoredEvent, error: unknown): Promise<void> {
    const { parked } = await bookkeeping(tenantId, (unit) => markFailed(unit.db, event.id, codeOf(error)))
    metrics.handled(parked ? 'parked' : 'failed')
    const record = { eventId: event.id, tenantId, requestId: event.requestId, attempt: event.attempts + 1, error }
    if (parked) log.error('outbox.parked', record)
    else log.warn('outbox.failed', record)
  }

  async function serve(tenantId: string): Promise<number> {
    let count = 0
    try {
      const { skipped, due } = await bookkeeping(tenantId, async (unit) => ({
        skipped: unhandled.length > 0 ? await skipUnhandled(unit.db, unhandled, 1_000) : 0,
        due: await dueEvents(unit.db, turn),
      }))
      count += skipped
      for (const event of due) {
        if (stopping) break
        if (await deliver(tenantId, event)) count++
      }
    } catch (error) {
      // The database, not a handler: this tenant is asked for again at the next look.
      log.warn('outbox.interrupted', { tenantId, error })
    }
    return count
  }

  async function round(): Promise<number> {
    const waiting = await database.gate.tenantsWithDueEvents(tenantsARound)
    let count = 0
    const lane = async () => {
      for (let tenantId = waiting.shift(); tenantId !== undefined && !stopping; tenantId = waiting.shift()) count += await serve(tenantId)
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    return count
  }

  async function run(): Promise<void> {
    while (!stopping) {
      const count = await round().catch((error: unknown) => {
        log.warn('outbox.interrupted', { error })
        return 0
      })
      if (count === 0) await wake.wait()
    }
  }

  return {
    start() {
      if (running) throw new Error('The outbox is already delivering.')
      void wake.listen()
      running = run()
    },
    async stop() {
      stopping = true
      await wake.close()
      if (!running) return
      await within(drainMs, running).catch((error: unknown) => log.error('outbox.undrained', { error }))
    },
    parkedEvents: (tenantId) => bookkeeping(tenantId, (unit) => listParked(unit.db, 100)),
  }
}

/** Rolls the command back that found the event in other hands. */
const notOurs = new Error('The event is in other hands.')

class Undeclared extends Error {
  readonly code = 'EVENT_UNDECLARED'
}

function handlersOf(modules: readonly AnyModule[], made: Readonly<Record<string, Built>>): ReadonlyMap<string, readonly Handler[]> {
  const handlers = new Map<string, Handler[]>()
  for (const module of modules) {
    for (const one of module.handles as readonly EventHandler<Built>[]) {
      const list = handlers.get(one.event) ?? []
      list.push({ module: module.name, handle: (unit, event) => one.handle(made[module.name]!, unit.scope, event) })
      handlers.set(one.event, list)
    }
  }
  return handlers
}

/** What may be stored of a failure: a code or a class, never a message. */
function codeOf(error: unknown): string {
  if (error instanceof Fault || error instanceof Undeclared) return error.code
  const state = sqlStateOf(error)
  if (state) return `SQLSTATE ${state}`
  return error instanceof Error && /^[A-Za-z]\w{0,63}$/.test(error.name) ? error.name : 'Error'
}
