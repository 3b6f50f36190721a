/** The database as the building sees it: units of work for a caller, and the few questions asked before a tenant is known. */
import { PrismaPg } from '@prisma/adapter-pg'
import { Bag } from '../../kernel/bag.ts'
import type { Caller } from '../../kernel/scope.ts'
import { readConfirmed, type ConfirmedRead } from './confirm.ts'
import { addConfirmed, sendOver, type ConfirmedAdd } from './confirmed-add.ts'
import { faultOf } from './errors.ts'
import { PrismaClient } from './generated/client.ts'
import { Gate } from './gate.ts'
import {
  authLogin,
  authReadLogin,
  directoryLogin,
  directoryReadLogin,
  operatorLogin,
  readLoginOf,
  urlFor,
  workerLogin,
  writeLoginOf,
  type Login,
} from './logins.ts'
import { OneRows } from './one-row.ts'
import { OperationPool, ReadOperation, type Operation } from './operation.ts'
import { ReadLane } from './read-lane.ts'
import type { Settings } from './settings.ts'
import type { StoredModels } from './stored-models.ts'
import { Standing, type ConfirmedBy } from './standing.ts'
import { Unit, type Transactions } from './unit.ts'
import { Work } from './work.ts'
import { addAtOnce, WritePool, WriteTransaction } from './write-pool.ts'

export interface DatabaseOptions {
  /** Host, port and database; user and password in it are replaced by each login's. */
  readonly url: string
  readonly loginSecret: string
  /** False behind a transaction-mode pooler that does not carry prepared statements (pgbouncer before 1.21). */
  readonly preparedStatements: boolean
  readonly readConnections?: number
  readonly writeConnections?: number
}

const connectTimeoutMs = 5_000
/** How long a unit of work may stay open. */
const openMs = 15_000
/** A directory, and rules about it, may move tens of thousands of people, and what that cuts must be cut at once. */
const longOpenMs = 60_000

export class Database {
  readonly #options: DatabaseOptions
  readonly #prisma: PrismaClient
  readonly #lanes = new Map<Login, ReadLane>()
  readonly #pools = new Map<Login, WritePool>()
  readonly gate: Gate
  /** Every unit of work that has begun and not ended. */
  readonly #open = new Bag<Promise<unknown>>()
  #written: () => void = () => {}
  #unheard: ReadonlySet<string> = new Set()

  constructor(options: DatabaseOptions) {
    this.#options = options
    this.#prisma = new PrismaClient({ adapter: new PrismaPg(new OperationPool()) })
    this.gate = new Gate((login) => this.#pool(login))
    this.#transactions = {
      known: this.#prisma,
      oneRows: new OneRows(this.storedModels),
      read: (unit, login, work) => this.#run(openMs, this.#reading(unit, login), work),
      write: async (unit, { login, isLong }, work) => {
        const transaction = this.#writing(unit, login)
        const mostMs = isLong || login === directoryLogin ? longOpenMs : openMs
        const written = await this.#run(mostMs, transaction, (open) => work(open, (last) => transaction.commit(last)))
        this.#written()
        return written
      },
      add: async (unit, login, statement) => {
        const { caller, signal } = unit
        await this.#begun(() => addAtOnce(this.#pool(login), settingsOf(caller), statement, signal))
        this.#written()
      },
      unheard: () => this.#unheard,
    }
  }

  /** Calls `listener` after every commit of a write, whose audit rows wait to be sealed. One listener. */
  onWrite(listener: () => void): void {
    this.#written = listener
  }

  /** Names the events that nobody handles: publishing one need not wake whoever delivers. Until told, every event does. */
  leaveUnheard(names: readonly string[]): void {
    this.#unheard = new Set(names)
  }

  /**
   * A unit of work for a caller. Reads and writes go through the logins of the caller's plane.
   * @param confirmedBy where the caller is only remembered: how the database says that it still is who it was.
   */
  unit(caller: Caller, signal: AbortSignal | null = null, confirmedBy: ConfirmedBy | null = null): Unit {
    const { readLogin, writeLogin } = loginsFor(caller)
    const standing = new Standing(settingsOf(caller), confirmedBy)
    return new Unit({ caller, standing, signal, readLogin, writeLogin, transactions: this.#transactions })
  }

  /** One read on the caller's read login, its asker confirmed in the same round trip; null when that failed. */
  readConfirmed(read: ConfirmedRead): Promise<string | null> {
    return readConfirmed(this.#lane(loginsFor(read.caller).readLogin), settingsOf(read.caller), read)
  }

  /** One statement of a directory's on its write login, confirmed in the same round trip; null when that failed, and nothing changed. */
  async addConfirmed<Row extends object>(add: ConfirmedAdd): Promise<readonly Row[] | null> {
    const rows = await this.#begun(() => addConfirmed<Row>(sendOver(this.#pool(loginsFor(add.caller).writeLogin)), add))
    this.#written()
    return rows
  }

  /** What the generated client knows of tables and columns. */
  get storedModels(): StoredModels {
    return (this.#prisma as unknown as { _runtimeDataModel: StoredModels })._runtimeDataModel
  }

  readonly #transactions: Transactions

  /** A login without a pipelined lane of its own (jobs, operator) reads on its write pool. */
  #reading(unit: Unit, login: Login): Operation {
    if (!login.endsWith('_read')) return this.#writing(unit, login)
    return new ReadOperation(this.#lane(login), unit.standing, unit.signal)
  }

  #writing(unit: Unit, login: Login): WriteTransaction {
    return new WriteTransaction(this.#pool(login), unit.standing, unit.signal)
  }

  #run<T>(mostMs: number, operation: Operation, work: (open: Work) => Promise<T>): Promise<T> {
    const limits = { openMs: mostMs, waitMs: connectTimeoutMs }
    return this.#begun(() => new Work(this.#prisma, operation, limits).run(work))
  }

  async #begun<T>(begin: () => Promise<T>): Promise<T> {
    const work = begin()
    const leave = this.#open.add(work)
    try {
      return await work
    } catch (error) {
      throw faultOf(error)
    } finally {
      leave()
    }
  }

  #lane(login: Login): ReadLane {
    let lane = this.#lanes.get(login)
    if (!lane) {
      lane = new ReadLane(this.#url(login), {
        connections: this.#options.readConnections ?? 2,
        queue: 512,
        connectTimeoutMs,
        statements: this.#statements,
      })
      this.#lanes.set(login, lane)
    }
    return lane
  }

  #pool(login: Login): WritePool {
    let pool = this.#pools.get(login)
    if (!pool) {
      pool = new WritePool(this.#url(login), {
        connections: this.#options.writeConnections ?? 8,
        waiting: 256,
        connectTimeoutMs,
        statements: this.#statements,
      })
      this.#pools.set(login, pool)
    }
    return pool
  }

  get #statements() {
    return { named: this.#options.preparedStatements, limit: 1_000 }
  }

  #url(login: Login): string {
    return urlFor(login, this.#options.url, this.#options.loginSecret)
  }

  /** Lets what has begun come to its end (it has a time limit) and closes every connection. */
  async close(): Promise<void> {
    // Disconnecting under an open transaction would leave its connection checked out, and the pool waiting for it.
    while (this.#open.size > 0) await Promise.allSettled(this.#open)
    await this.#prisma.$disconnect()
    await Promise.all([...this.#lanes.values(), ...this.#pools.values()].map((one) => one.close()))
  }
}

/** The logins that a caller's reads and commands go through. */
export function loginsFor(caller: Caller): { readLogin: Login; writeLogin: Login } {
  switch (caller.actor.kind) {
    case 'system':
      return { readLogin: workerLogin, writeLogin: workerLogin }
    case 'operator':
      return { readLogin: operatorLogin, writeLogin: operatorLogin }
    case 'directory':
      return { readLogin: directoryReadLogin, writeLogin: directoryLogin }
    case 'anonymous':
      return { readLogin: authReadLogin, writeLogin: authLogin }
    case 'member':
    case 'integration':
      if (!caller.plane) throw new Error('A signed-in caller has no plane.')
      return { readLogin: readLoginOf(caller.plane), writeLogin: writeLoginOf(caller.plane) }
  }
}

/** What the policies are told about a caller. */
export function settingsOf(caller: Caller): Settings {
  const { actor, tenantId } = caller
  if (actor.kind === 'member') {
    return { tenantId, membershipId: actor.membershipId, role: actor.role, providerOrgId: actor.providerOrgId }
  }
  return { tenantId, membershipId: null, role: actor.kind === 'integration' ? actor.role : null, providerOrgId: null }
}
