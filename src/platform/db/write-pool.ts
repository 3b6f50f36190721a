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
  readonly #settings: Settings
  readonly #signal: AbortSignal | null
  #begin = 'BEGIN'
  #client: PoolClient | null = null
  #ended: 'COMMIT' | 'ROLLBACK' | null = null
  #listeners: ((error: Error) => void)[] = []
  #broken: unknown

  constructor(pool: WritePool, settings: Settings, signal: AbortSignal | null) {
    this.#pool = pool
    this.#settings = settings
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
    if (this.#ended !== null) throw new Error('A statement was sent after the end of its transaction.')
    return this.#send(await this.#first(), statement)
  }

  /** Runs the last statements and commits, all in one round trip. Whoever opened the transaction may say COMMIT once more. */
  async commit(last: readonly Prelude[]): Promise<void> {
    if (this.#ended !== null) throw timedOut()
    await this.#conclude([...(await this.#first()), ...last], 'COMMIT')
  }

  /** What has to come before the next statement. Takes a connection for the first one. */
  async #first(): Promise<readonly Prelude[]> {
    if (this.#signal?.aborted) throw timedOut()
    if (this.#client) return []
    this.#client = await this.#pool.take()
    for (const listener of this.#listeners) this.#client.on('error', listener)
    return [{ text: this.#begin, values: [] }, settingsPrelude(this.#settings)]
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
    if (!this.#client || this.#ended === 'COMMIT') return nothing
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
