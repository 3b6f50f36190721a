/**
 * A write login's connections, and the one transaction at a time that each of them carries: it begins with the tenant's settings and the
 * first statement in one round trip, and ends with the platform's own rows and the commit in another.
 */
import pg from 'pg'
import type { PoolClient, QueryResult } from 'pg'
import { overloaded, timedOut } from '../../kernel/fault.ts'
import { cancelWork } from './cancel.ts'
import { faultOf } from './errors.ts'
import { GroupQuery, StatementCache, type Prelude, type Statement } from './group-query.ts'
import { settingsPrelude, type Settings } from './settings.ts'
import { NotConfirmed, type Standing } from './standing.ts'

/** Connections of one write login, each pinned to one transaction at a time. */
export class WritePool {
  readonly #pool: pg.Pool
  readonly #maxWaiting: number
  readonly #statements: { readonly named: boolean; readonly limit: number }
  readonly #caches = new WeakMap<PoolClient, StatementCache>()

  constructor(
    url: string,
    limits: { connections: number; waiting: number; connectTimeoutMs: number; statements: { named: boolean; limit: number } },
  ) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max: limits.connections,
      connectionTimeoutMillis: limits.connectTimeoutMs,
      idleTimeoutMillis: 60_000,
      keepAlive: true,
      application_name: 'maristan',
    })
    this.#maxWaiting = limits.waiting
    this.#statements = limits.statements
    // An idle connection that breaks is dropped by the pool; the next transaction opens another.
    this.#pool.on('error', () => {})
    // The pool listens to idle connections only. One that breaks at work fails its statement; unheard it would end the process, too.
    this.#pool.on('connect', (client) => client.on('error', () => {}))
  }

  async take(): Promise<PoolClient> {
    if (this.#pool.waitingCount >= this.#maxWaiting) throw overloaded()
    try {
      return await this.#pool.connect()
    } catch (error) {
      if ((error as Error).message === 'timeout exceeded when trying to connect') throw overloaded()
      throw error
    }
  }

  cacheOf(client: PoolClient): StatementCache {
    let cache = this.#caches.get(client)
    if (!cache) this.#caches.set(client, (cache = new StatementCache(this.#statements)))
    return cache
  }

  /** A statement outside any tenant: only for the pre-tenant functions. */
  async bare<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> {
    if (this.#pool.waitingCount >= this.#maxWaiting) throw overloaded()
    try {
      return (await this.#pool.query<Row>(text, [...values])).rows
    } catch (error) {
      throw faultOf(error)
    }
  }

  close(): Promise<void> {
    return this.#pool.end()
  }
}

/** What Prisma's Postgres adapter believes to be a client checked out of a pool, once a transaction. */
export interface TransactionConnection {
  query(statement: Statement): Promise<QueryResult>
  on(event: string, listener: (error: Error) => void): unknown
  removeListener(event: string, listener: (error: Error) => void): unknown
  release(error?: unknown): void
}

export const nothing: QueryResult = { command: '', rowCount: 0, oid: 0, fields: [], rows: [] }

/** A real transaction on a pinned connection: BEGIN, the settings and the first statement travel as one group, and so does its end. */
export class WriteTransaction implements TransactionConnection {
  readonly #pool: WritePool
  readonly #standing: Standing
  readonly #signal: AbortSignal | null
  /** What travels with the next statement. */
  readonly #waiting: Prelude[] = []
  #begin = 'BEGIN'
  #opening: Promise<PoolClient> | null = null
  #client: PoolClient | null = null
  #ended: 'COMMIT' | 'ROLLBACK' | null = null
  #listeners: ((error: Error) => void)[] = []
  #broken: unknown

  constructor(pool: WritePool, standing: Standing, signal: AbortSignal | null) {
    this.#pool = pool
    this.#standing = standing
    this.#signal = signal
  }

  async query(statement: Statement): Promise<QueryResult> {
    const { text } = statement
    if (text === 'BEGIN') return nothing
    if (text.startsWith('SET TRANSACTION ISOLATION LEVEL ')) {
      this.#begin = `BEGIN ISOLATION LEVEL ${text.slice('SET TRANSACTION ISOLATION LEVEL '.length)}`
      return nothing
    }
    if (text === 'COMMIT' || text === 'ROLLBACK') return this.#end(text)
    if (this.#ended !== null) throw timedOut.is(this.#broken) ? timedOut() : new Error('A statement was sent after the end of its transaction.')
    return this.#led((preludes) => this.#send(preludes, statement))
  }

  /** Runs the last statements and commits, all in one round trip. Whoever opened the transaction may say COMMIT once more. */
  async commit(last: readonly Prelude[]): Promise<void> {
    if (this.#ended !== null) throw timedOut()
    // Who asks is known before anything is committed.
    if (!this.#opening && !this.#standing.isConfirmed) await this.query({ text: 'select 1', values: [] })
    await this.#led((preludes) => this.#conclude([...preludes, ...last], 'COMMIT'))
  }

  /** Sends a statement along with the next one, or with the commit. */
  later(statement: Prelude): void {
    this.#waiting.push(statement)
  }

  /** Ends it for good if it has not ended, and gives the connection back. */
  async close(command: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    try {
      await this.#end(command)
    } finally {
      this.release()
    }
  }

  /** Its time is over: whatever was not committed never is, and the connection is closed. */
  expire(): void {
    if (this.#ended !== null) return
    this.#ended = 'ROLLBACK'
    this.#broken = timedOut()
    this.release()
  }

  /** Sends with what has to come before. Takes a connection for the first statement; others of the same moment come after that one. */
  async #led<T>(send: (preludes: readonly Prelude[]) => Promise<T>): Promise<T> {
    if (this.#signal?.aborted) throw timedOut()
    const isFirst = this.#opening === null
    const client = await (this.#opening ??= this.#pool.take())
    if (this.#ended !== null) {
      if (isFirst) client.release()
      throw timedOut()
    }
    if (isFirst) {
      this.#client = client
      for (const listener of this.#listeners) client.on('error', listener)
      return this.#standing.lead((settings) => send([{ text: this.#begin, values: [] }, ...settings, ...this.#waiting.splice(0)]))
    }
    const answer = await send(this.#waiting.splice(0))
    if (this.#standing.isRefuted) throw new NotConfirmed()
    return answer
  }

  #send(preludes: readonly Prelude[], statement: Statement): Promise<QueryResult> {
    const client = this.#client!
    const signal = this.#signal
    // Nobody waits any longer. A cancel request may come late, so the connection must not meet anybody else's statement.
    const abort = () => {
      this.#broken = timedOut()
      cancelWork(client)
    }
    signal?.addEventListener('abort', abort, { once: true })
    return send(client, preludes, statement, this.#pool.cacheOf(client)).finally(() => signal?.removeEventListener('abort', abort))
  }

  async #end(command: 'COMMIT' | 'ROLLBACK'): Promise<QueryResult> {
    if (this.#ended === 'ROLLBACK' && command === 'COMMIT') throw timedOut()
    if (!this.#client || this.#ended !== null) return nothing
    return this.#conclude([], command)
  }

  async #conclude(last: readonly Prelude[], command: 'COMMIT' | 'ROLLBACK'): Promise<QueryResult> {
    try {
      const result = await (last.length > 0 ? this.#send(last, { text: command, values: [] }) : this.#client!.query(command))
      // Postgres answers COMMIT of a failed transaction with ROLLBACK: never report that as done.
      if (result.command !== command) throw new Error(`The transaction was rolled back instead of committed.`)
      this.#ended = command
      return result
    } catch (error) {
      // A connection that did not end its transaction must not meet another tenant.
      this.#broken = error
      throw error
    }
  }

  on(event: string, listener: (error: Error) => void): void {
    if (event === 'error') this.#listeners.push(listener)
  }

  removeListener(event: string, listener: (error: Error) => void): void {
    this.#client?.removeListener(event, listener)
    this.#listeners = this.#listeners.filter((one) => one !== listener)
  }

  release(error?: unknown): void {
    this.#ended ??= 'ROLLBACK'
    this.#client?.release((error ?? this.#broken) as Error | undefined)
    this.#client = null
  }
}

function send(client: PoolClient, preludes: readonly Prelude[], statement: Statement, cache: StatementCache): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    client.query(new GroupQuery(preludes, statement, cache, (error, result) => (error ? reject(error) : resolve(result!))) as never)
  })
}

/** One statement as a transaction of its own, which a group is, in one round trip. @throws errors of the driver; nothing was added then. */
export async function addAtOnce(pool: WritePool, settings: Settings, statement: Prelude, signal: AbortSignal | null): Promise<void> {
  if (signal?.aborted) throw timedOut()
  const client = await pool.take()
  try {
    await send(client, [settingsPrelude(settings)], statement, pool.cacheOf(client))
    client.release()
  } catch (error) {
    client.release(error as Error)
    throw error
  }
}
