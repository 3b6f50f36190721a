/**
 * How a tenant's statements reach Postgres. Prisma merges equal reads of one tick across requests, so tenant context is
 * bound to a transaction object and never looked up when a query runs: the asynchronous context is read in one place,
 * when a transaction starts, and a statement outside a transaction is refused.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import pg from 'pg'
import type { PoolClient, QueryResult } from 'pg'
import { overloaded, timedOut } from '../../kernel/fault.ts'
import { cancelWork } from './cancel.ts'
import { faultOf } from './errors.ts'
import { GroupQuery, StatementCache, type Prelude, type Statement } from './group-query.ts'
import type { ReadLane } from './read-lane.ts'

/** What the policies of Row Level Security compare with; all of it ends with the transaction. */
export interface Settings {
  readonly tenantId: string
  readonly membershipId: string | null
  readonly role: string | null
  readonly providerOrgId: string | null
}

export type Operation =
  | { readonly kind: 'read'; readonly lane: ReadLane; readonly settings: Settings; readonly signal: AbortSignal | null }
  | { readonly kind: 'write'; readonly pool: WritePool; readonly settings: Settings; readonly signal: AbortSignal | null }

const starting = new AsyncLocalStorage<Operation>()

/** Runs `start`, inside which Prisma opens exactly one transaction, for this operation. */
export function startingWith<T>(operation: Operation, start: () => Promise<T>): Promise<T> {
  return starting.run(operation, start)
}

const setSettings = `select set_config('app.tenant_id',$1,true),set_config('app.membership_id',$2,true),\
set_config('app.role',$3,true),set_config('app.provider_org_id',$4,true)`

export function settingsPrelude(settings: Settings): Prelude {
  const { tenantId, membershipId, role, providerOrgId } = settings
  return { text: setSettings, values: [tenantId, membershipId ?? '', role ?? '', providerOrgId ?? ''] }
}

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
interface TransactionConnection {
  query(statement: Statement): Promise<QueryResult>
  on(event: string, listener: (error: Error) => void): unknown
  removeListener(event: string, listener: (error: Error) => void): unknown
  release(error?: unknown): void
}

const nothing: QueryResult = { command: '', rowCount: 0, oid: 0, fields: [], rows: [] }

/** A virtual transaction: every statement is a group of its own on the shared lane; begin and commit cost nothing. */
class ReadConnection implements TransactionConnection {
  readonly #operation: Extract<Operation, { kind: 'read' }>
  readonly #preludes: readonly Prelude[]

  constructor(operation: Extract<Operation, { kind: 'read' }>) {
    this.#operation = operation
    this.#preludes = [settingsPrelude(operation.settings)]
  }

  async query(statement: Statement): Promise<QueryResult> {
    if (isTransactionControl(statement.text)) return nothing
    if (this.#operation.signal?.aborted) throw timedOut()
    return this.#operation.lane.run(this.#preludes, statement)
  }

  on(): void {}
  removeListener(): void {}
  release(): void {}
}

/** A real transaction on a pinned connection: BEGIN, the settings and the first statement travel as one group. */
class WriteConnection implements TransactionConnection {
  readonly #operation: Extract<Operation, { kind: 'write' }>
  #begin = 'BEGIN'
  #client: PoolClient | null = null
  #listeners: ((error: Error) => void)[] = []
  #broken: unknown

  constructor(operation: Extract<Operation, { kind: 'write' }>) {
    this.#operation = operation
  }

  async query(statement: Statement): Promise<QueryResult> {
    const { text } = statement
    if (text === 'BEGIN') return nothing
    if (text.startsWith('SET TRANSACTION ISOLATION LEVEL ')) {
      this.#begin = `BEGIN ISOLATION LEVEL ${text.slice('SET TRANSACTION ISOLATION LEVEL '.length)}`
      return nothing
    }
    if (text === 'COMMIT' || text === 'ROLLBACK') return this.#end(text)
    if (this.#operation.signal?.aborted) throw timedOut()
    if (this.#client) return this.#send([], statement)
    this.#client = await this.#operation.pool.take()
    for (const listener of this.#listeners) this.#client.on('error', listener)
    return this.#send([{ text: this.#begin, values: [] }, settingsPrelude(this.#operation.settings)], statement)
  }

  #send(preludes: readonly Prelude[], statement: Statement): Promise<QueryResult> {
    const client = this.#client!
    const { pool, signal } = this.#operation
    const cache = pool.cacheOf(client)
    // Nobody waits any longer. A cancel request may come late, so the connection must not meet anybody else's statement.
    const abort = () => {
      this.#broken = timedOut()
      cancelWork(client)
    }
    signal?.addEventListener('abort', abort, { once: true })
    return new Promise<QueryResult>((resolve, reject) => {
      client.query(new GroupQuery(preludes, statement, cache, (error, result) => (error ? reject(error) : resolve(result!))) as never)
    }).finally(() => signal?.removeEventListener('abort', abort))
  }

  async #end(command: 'COMMIT' | 'ROLLBACK'): Promise<QueryResult> {
    if (!this.#client) return nothing
    try {
      const result = await this.#client.query(command)
      // Postgres answers COMMIT of a failed transaction with ROLLBACK: never report that as done.
      if (result.command !== command) throw new Error(`The transaction was rolled back instead of committed.`)
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

const isTransactionControl = (text: string): boolean =>
  text === 'BEGIN' || text === 'COMMIT' || text === 'ROLLBACK' || /^(SET TRANSACTION|SAVEPOINT|RELEASE|ROLLBACK TO) /.test(text)

/**
 * The pool that Prisma's adapter is given. Checking a connection out starts a transaction of the operation in whose
 * asynchronous context that happens; anything else is refused.
 */
export class OperationPool extends pg.Pool {
  override connect(): Promise<PoolClient>
  override connect(callback: never): void
  override connect(): Promise<PoolClient> {
    const operation = starting.getStore()
    if (!operation) return Promise.reject(new Error('A transaction was started outside any unit of work: there is no tenant.'))
    const connection = operation.kind === 'read' ? new ReadConnection(operation) : new WriteConnection(operation)
    return Promise.resolve(connection as never)
  }

  override query(): never {
    throw new Error('A statement was sent outside any transaction: there is no tenant.')
  }
}
