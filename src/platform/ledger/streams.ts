/**
 * Sends the audit trails of tenants to their receivers: a look every few seconds at what is due, a few tenants at a time, one batch after
 * the other. A receiver that hangs holds up nobody but its own trail; sealing knows nothing of it. Several processes may look: a row that
 * one of them took is left alone by the others until its time is over.
 */
import pg from 'pg'
import type { Scope } from '../../kernel/scope.ts'
import { newId } from '../../kernel/id.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Database } from '../db/database.ts'
import { urlFor, workerLogin } from '../db/logins.ts'
import type { Log } from '../http/log.ts'
import { systemCaller, within } from '../jobs/system.ts'

export interface StreamRow {
  readonly url: string
  readonly credentials: string
  readonly authorities: string | null
  readonly vouched: boolean
  readonly cursor: number
  readonly failures: number
  readonly version: number
}

export interface OutgoingBatch {
  readonly text: string
  readonly from: number
  readonly through: number
  readonly more: boolean
  /** Opened. */
  readonly credentials: string
}

/** What the module that owns streams does with one. */
export interface StreamSender {
  readonly alarmAfter: number
  waitMs(failures: number): number
  next(scope: Scope, row: StreamRow): Promise<OutgoingBatch | null>
  /** @returns what went wrong; null when the receiver took it. @throws EGRESS_REFUSED */
  send(tenantId: string, row: StreamRow, batch: OutgoingBatch): Promise<string | null>
  alarm(scope: Scope, failures: number): void
}

export interface StreamsOptions {
  readonly database: Database
  readonly databaseUrl: string
  readonly loginSecret: string
  readonly sender: StreamSender
  readonly log: Log
}

export interface Streams {
  start(): void
  /** Sends what is due now. @returns how many lines were taken. */
  sendDue(): Promise<number>
  stop(): Promise<void>
}

const lookMs = 5_000
const drainMs = 20_000
const tenantsALook = 200
const atATime = 4
/** Batches of one tenant in one look: then the others have their turn. */
const batchesATurn = 20
/** A row that was taken is nobody else's for so long: longer than a batch may take. */
const leaseSeconds = 60

export function createStreams({ database, databaseUrl, loginSecret, sender, log }: StreamsOptions): Streams {
  let timer: NodeJS.Timeout | null = null
  let running: Promise<number> | null = null
  let stopping = false

  /** A statement inside one tenant's walls. Not a command: a line a batch would be the next batch. */
  async function inTenant<Row extends object>(client: pg.Client, tenantId: string, text: string, values: unknown[]): Promise<Row[]> {
    await client.query('begin')
    try {
      await client.query("select set_config('app.tenant_id', $1, true)", [tenantId])
      const { rows } = await client.query<Row>(text, [tenantId, ...values])
      await client.query('commit')
      return rows
    } catch (error) {
      await client.query('rollback').catch(() => {})
      throw error
    }
  }

  const take = async (client: pg.Client, tenantId: string): Promise<StreamRow | null> => {
    const [row] = await inTenant<StreamRow & { readonly cursor: string | number }>(
      client,
      tenantId,
      `update audit.stream s set next_at = now() + make_interval(secs => $2) where s.tenant_id = $1 and s.next_at <= now()
       returning url, credentials, authorities, vouched, cursor, failures, version`,
      [leaseSeconds],
    )
    return row ? { ...row, cursor: Number(row.cursor) } : null
  }

  const taken = (client: pg.Client, tenantId: string, row: StreamRow, through: number, again: boolean) =>
    inTenant(
      client,
      tenantId,
      `update audit.stream set cursor = $3, failures = 0, problem = null, sent_at = now(),
         next_at = now() + make_interval(secs => case when $4 then ${leaseSeconds} else 0 end)
       where tenant_id = $1 and version = $2`,
      [row.version, through, again],
    )

  async function failed(client: pg.Client, tenantId: string, row: StreamRow, problem: string): Promise<void> {
    const failures = row.failures + 1
    await inTenant(
      client,
      tenantId,
      `update audit.stream set failures = $3, problem = $4, next_at = now() + make_interval(secs => $5) where tenant_id = $1 and version = $2`,
      [row.version, failures, problem.slice(0, 300), sender.waitMs(failures) / 1000],
    )
    if (failures !== sender.alarmAfter) return
    log.error('audit.stream_failing', { tenantId })
    await database.unit(systemCaller(tenantId, 'ledger.streams', newId())).command(async (scope) => sender.alarm(scope, failures))
  }

  /** One tenant's turn. @returns lines taken */
  async function turn(client: pg.Client, tenantId: string): Promise<number> {
    let row = await take(client, tenantId)
    let lines = 0
    for (let batches = 0; row !== null && batches < batchesATurn && !stopping; batches++) {
      const unit = database.unit(systemCaller(tenantId, 'ledger.streams', newId()))
      const at: StreamRow = row
      try {
        const batch = await unit.read(() => sender.next(unit.scope, at))
        const problem = batch && (await sender.send(tenantId, at, batch))
        if (typeof problem === 'string') {
          await failed(client, tenantId, row, problem)
          return lines
        }
        const more: boolean = batch !== null && batch.more && batches + 1 < batchesATurn && !stopping
        await taken(client, tenantId, row, batch?.through ?? row.cursor, more)
        lines += batch ? batch.through - row.cursor : 0
        row = more ? { ...row, cursor: batch!.through, failures: 0 } : null
      } catch (error) {
        // What an egress or the keys refuse is the stream's own trouble; anything else is ours, and waits like it.
        await failed(client, tenantId, at, error instanceof Fault ? error.message : 'it could not be sent; the server has the reason')
        if (!(error instanceof Fault)) log.error('audit.stream_failed', { tenantId, error })
        return lines
      }
    }
    return lines
  }

  async function sendDue(): Promise<number> {
    const due = await database.gate.streamsDue(tenantsALook)
    if (due.length === 0) return 0
    const lanes = Array.from({ length: Math.min(atATime, due.length) }, async () => {
      const client = new pg.Client({
        connectionString: urlFor(workerLogin, databaseUrl, loginSecret),
        connectionTimeoutMillis: 5_000,
        application_name: 'maristan streams',
      })
      client.on('error', () => {})
      await client.connect()
      let lines = 0
      try {
        for (let tenantId = due.pop(); tenantId !== undefined && !stopping; tenantId = due.pop()) lines += await turn(client, tenantId)
      } finally {
        await client.end().catch(() => {})
      }
      return lines
    })
    return (await Promise.all(lanes)).reduce((sum, one) => sum + one, 0)
  }

  const look = (): Promise<number> => {
    running ??= sendDue().finally(() => (running = null))
    return running.catch((error: unknown) => {
      log.error('audit.streams_failed', { error })
      return 0
    })
  }
  const later = (): void => {
    timer = setTimeout(() => void look().then(() => (timer === null ? undefined : later())), lookMs)
    timer.unref()
  }

  return {
    start: later,
    sendDue,
    async stop() {
      stopping = true
      if (timer !== null) clearTimeout(timer)
      timer = null
      if (running) await within(drainMs, running).catch((error: unknown) => log.error('audit.streams_undrained', { error }))
    },
  }
}
