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
import { settingsPrelude, type Settings } from './settings.ts'
import { nothing, WriteTransaction, type TransactionConnection } from './write-pool.ts'

interface ReadOperation {
  readonly lane: ReadLane
  readonly settings: Settings
  readonly signal: AbortSignal | null
}

/** Reads on a shared lane, or the one real transaction that the operation is. */
export type Operation = ReadOperation | WriteTransaction

const starting = new AsyncLocalStorage<Operation>()

/** Runs `start`, inside which Prisma opens exactly one transaction, for this operation. */
export function startingWith<T>(operation: Operation, start: () => Promise<T>): Promise<T> {
  return starting.run(operation, start)
}

/** A virtual transaction: every statement is a group of its own on the shared lane; begin and commit cost nothing. */
class ReadConnection implements TransactionConnection {
  readonly #operation: ReadOperation
  readonly #preludes: readonly Prelude[]

  constructor(operation: ReadOperation) {
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
    const connection = operation instanceof WriteTransaction ? operation : new ReadConnection(operation)
    return Promise.resolve(connection as never)
  }

  override query(): never {
    throw new Error('A statement was sent outside any transaction: there is no tenant.')
  }
}
