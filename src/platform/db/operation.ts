/**
 * How a tenant's statements reach Postgres. Prisma merges equal reads of one tick across requests, so tenant context is
 * bound to a transaction object and never looked up when a query runs: the asynchronous context is read in one place,
 * when a transaction starts, and a statement outside a transaction is refused.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import pg from 'pg'
import type { PoolClient, QueryResult } from 'pg'
import { timedOut } from '../../kernel/fault.ts'
import type { Prelude, Statement } from './group-query.ts'
import type { ReadLane } from './read-lane.ts'
import type { Standing } from './standing.ts'
import { nothing, type TransactionConnection, type WriteTransaction } from './write-pool.ts'

/** Statements on a shared lane, one by one, until its time is over. */
export class ReadOperation implements TransactionConnection {
  readonly #lane: ReadLane
  readonly #standing: Standing
  readonly #signal: AbortSignal | null
  readonly #waiting: Prelude[] = []
  #isOver = false

  constructor(lane: ReadLane, standing: Standing, signal: AbortSignal | null) {
    this.#lane = lane
    this.#standing = standing
    this.#signal = signal
  }

  /** A virtual transaction: every statement is a group of its own; begin and commit cost nothing. */
  async query(statement: Statement): Promise<QueryResult> {
    if (isTransactionControl(statement.text)) return nothing
    if (this.#isOver || this.#signal?.aborted) throw timedOut()
    const waiting = this.#waiting.splice(0)
    return this.#standing.lead((preludes) => this.#lane.run([...preludes, ...waiting], statement))
  }

  later(statement: Prelude): void {
    this.#waiting.push(statement)
  }

  /** No statement is sent any more. */
  expire(): void {
    this.#isOver = true
  }

  async close(command: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    if (command === 'COMMIT' && this.#waiting.length > 0) await this.query({ text: 'select 1', values: [] })
    this.#isOver = true
  }

  on(): void {}
  removeListener(): void {}
  release(): void {}
}

/** Reads on a shared lane, or the one real transaction that the operation is. */
export type Operation = ReadOperation | WriteTransaction

const starting = new AsyncLocalStorage<Operation>()

/** Runs `start`, inside which Prisma opens exactly one transaction, for this operation. */
export function startingWith<T>(operation: Operation, start: () => Promise<T>): Promise<T> {
  return starting.run(operation, start)
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
    return Promise.resolve(operation as never)
  }

  override query(): never {
    throw new Error('A statement was sent outside any transaction: there is no tenant.')
  }
}
