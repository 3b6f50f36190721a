/**
 * What one unit of work sends its statements through while it is open: SQL at once, and the generated client, whose transaction begins
 * only when it is first asked for. Both are one and the same transaction.
 */
import type { Prisma, PrismaClient } from './generated/client.ts'
import type { Prelude } from './group-query.ts'
import { startingWith, type Operation } from './operation.ts'
import { rowTypes, wireValue } from './sql-values.ts'

export type Tx = Prisma.TransactionClient

/** How long a unit of work may stay open, and how long it may wait for the client's transaction. */
export interface WorkLimits {
  readonly openMs: number
  readonly waitMs: number
}

export class Work {
  readonly #client: PrismaClient
  readonly #operation: Operation
  readonly #limits: WorkLimits
  #tx: Tx | null = null
  #opening: Promise<Tx> | null = null
  /** Lets the client's transaction come to its end. */
  #finish: { resolve(): void; reject(error: unknown): void } | null = null
  #finished: Promise<void> = Promise.resolve()

  constructor(client: PrismaClient, operation: Operation, limits: WorkLimits) {
    this.#client = client
    this.#operation = operation
    this.#limits = limits
  }

  /** The generated client's transaction, if it has begun. */
  get tx(): Tx | null {
    return this.#tx
  }

  /** Begins the generated client's transaction. */
  open(): Promise<Tx> {
    return (this.#opening ??= this.#open())
  }

  #open(): Promise<Tx> {
    const { openMs, waitMs } = this.#limits
    const finish = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<Tx>()
    this.#finish = finish
    const inTransaction = (tx: Tx) => {
      opened.resolve((this.#tx = tx))
      return finish.promise
    }
    this.#finished = startingWith(this.#operation, () =>
      this.#client.$transaction(inTransaction, { timeout: openMs, maxWait: waitMs }),
    )
    this.#finished.catch(opened.reject)
    // Whoever asked hears of it; nobody else has to.
    finish.promise.catch(() => {})
    return opened.promise
  }

  /** Rows in the types that the generated client answers raw statements in. */
  async rows<Row>(text: string, values: readonly unknown[]): Promise<Row[]> {
    return (await this.#send(text, values)).rows as Row[]
  }

  /** @returns how many rows were changed. */
  async change(text: string, values: readonly unknown[]): Promise<number> {
    return (await this.#send(text, values)).rowCount ?? 0
  }

  /** Sends a statement along with the next one, or with the end. */
  later(statement: Prelude): void {
    this.#operation.later(statement)
  }

  #send(text: string, values: readonly unknown[]) {
    return this.#operation.query({ text, values: values.map(wireValue), types: rowTypes })
  }

  /** Runs what it is open for, and ends: with a commit, unless that fails. */
  async run<T>(work: (open: this) => Promise<T>): Promise<T> {
    // Where neither the client nor a statement's own limit would end it: nothing is sent, but the work goes on.
    const timer = setTimeout(() => this.#operation.expire(), this.#limits.openMs)
    try {
      const result = await work(this)
      if (this.#finish) {
        this.#finish.resolve()
        await this.#finished
      }
      await this.#operation.close('COMMIT')
      return result
    } catch (error) {
      if (this.#finish) {
        this.#finish.reject(error)
        await this.#finished.catch(() => {})
      }
      // A connection that cannot even roll back is closed; what went wrong first is what is told.
      await this.#operation.close('ROLLBACK').catch(() => {})
      throw error
    } finally {
      clearTimeout(timer)
    }
  }
}
