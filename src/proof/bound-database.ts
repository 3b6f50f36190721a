/**
 * The real unit of work over the proof's one connection: contracts and resolvers run as always, with the settings and the login they
 * would have, and nothing they do is ever committed. Commands and statements become savepoints.
 */
import { PrismaPg } from '@prisma/adapter-pg'
import type { QueryResult } from 'pg'
import type { Caller } from '../kernel/scope.ts'
import { readConfirmed, type ConfirmedRead } from '../platform/db/confirm.ts'
import { addConfirmed, type ConfirmedAdd } from '../platform/db/confirmed-add.ts'
import { faultOf } from '../platform/db/errors.ts'
import { PrismaClient } from '../platform/db/generated/client.ts'
import type { Prelude, Statement } from '../platform/db/group-query.ts'
import type { Login } from '../platform/db/logins.ts'
import { Database, loginsFor, settingsOf } from '../platform/db/database.ts'
import { Gate } from '../platform/db/gate.ts'
import { OneRows } from '../platform/db/one-row.ts'
import { OperationPool, ReadOperation } from '../platform/db/operation.ts'
import { ReadLane } from '../platform/db/read-lane.ts'
import { settingsPrelude } from '../platform/db/settings.ts'
import { Standing } from '../platform/db/standing.ts'
import { Unit, type Transactions, type Tx } from '../platform/db/unit.ts'
import { Work } from '../platform/db/work.ts'
import { WritePool } from '../platform/db/write-pool.ts'
import type { RolledBackGround } from './ground.ts'

/** A lane whose statements all travel on the proof's connection, as one login. */
class BoundLane extends ReadLane {
  readonly #ground: RolledBackGround
  readonly #as: Login | 'owner'

  constructor(ground: RolledBackGround, as: Login | 'owner') {
    super('postgres://nowhere.invalid', { connections: 0, queue: 0, connectTimeoutMs: 1, statements: { named: false, limit: 1 } })
    this.#ground = ground
    this.#as = as
  }

  override run(preludes: readonly Prelude[], statement: Statement): Promise<QueryResult> {
    return this.#ground.alone(async () => {
      const own = ['savepoint statement', this.#ground.become(this.#as)].map((text) => ({ text, values: [] }))
      try {
        return await this.#ground.send(own, preludes, statement)
      } catch (error) {
        this.#ground.later('rollback to statement')
        throw error
      } finally {
        this.#ground.later('release statement')
      }
    })
  }
}

/** A pool for the questions asked before a tenant is known. */
class BoundPool extends WritePool {
  readonly #ground: RolledBackGround
  readonly #as: Login

  constructor(ground: RolledBackGround, as: Login) {
    super('postgres://nowhere.invalid', { connections: 1, waiting: 1, connectTimeoutMs: 1, statements: { named: false, limit: 1 } })
    this.#ground = ground
    this.#as = as
  }

  override async bare<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> {
    const none = { tenantId: '', membershipId: null, role: null, providerOrgId: null }
    const outcome = await this.#ground.run(this.#as, none, text, values, true)
    if (!outcome.ok) throw new Error(outcome.message)
    return outcome.rows as Row[]
  }
}

export class BoundDatabase extends Database {
  override readonly gate: Gate
  readonly #ground: RolledBackGround
  readonly #prisma = new PrismaClient({ adapter: new PrismaPg(new OperationPool()) })
  readonly #lanes = new Map<string, BoundLane>()
  #savepoints = 0

  constructor(ground: RolledBackGround) {
    super({ url: 'postgres://nowhere.invalid', loginSecret: 'unused: no connection is ever opened', preparedStatements: false })
    this.#ground = ground
    this.gate = new Gate((login) => new BoundPool(ground, login))
  }

  override unit(caller: Caller): Unit {
    const standing = new Standing(settingsOf(caller))
    return new Unit({ caller, standing, signal: null, transactions: this.#transactions, ...loginsFor(caller) })
  }

  /** Runs Prisma as the owner, whom no policy binds: to look for rows, never to prove anything. */
  asOwner<T>(tenantId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
    const standing = new Standing({ tenantId, membershipId: null, role: null, providerOrgId: null })
    return this.#run('owner', standing, async (open) => work(await open.open()))
  }

  /** Runs `work` and undoes whatever it did. */
  trial<T>(work: () => Promise<T>): Promise<T> {
    return this.#within(work, () => 'undo')
  }

  /** Runs `work` behind a savepoint, and then lets it stand or undoes it. */
  async #within<T>(work: () => Promise<T>, verdict: (failed: boolean) => 'keep' | 'undo'): Promise<T> {
    // As many names as stand at once, so that the statements are the same again and again.
    const name = `depth_${++this.#savepoints}`
    const leave = async (failed: boolean) => {
      await this.#ground.alone(async () => {
        if (verdict(failed) === 'undo') this.#ground.later(`rollback to ${name}`)
        this.#ground.later(`release ${name}`)
      })
      this.#savepoints--
    }
    await this.#ground.alone(async () => this.#ground.later(`savepoint ${name}`))
    try {
      const result = await work()
      await leave(false)
      return result
    } catch (error) {
      await leave(true)
      throw error
    }
  }

  readonly #transactions: Transactions = {
    known: this.#prisma,
    oneRows: new OneRows(this.storedModels),
    read: (unit, login, work) => this.#run(login, unit.standing, work),
    write: (unit, { login }, work) =>
      this.#inCommand(() =>
        this.#run(login, unit.standing, (open) =>
          work(open, async (last) => {
            for (const statement of last) await this.#add(unit, login, statement)
          }),
        ),
      ),
    add: (unit, login, statement) => this.#inCommand(() => this.#add(unit, login, statement)),
    unheard: () => new Set(),
  }

  /** A savepoint stands for the command's transaction. */
  #inCommand<T>(work: () => Promise<T>): Promise<T> {
    return this.#within(work, (failed) => (failed ? 'undo' : 'keep'))
  }

  async #add({ caller }: Unit, login: Login, statement: Prelude): Promise<void> {
    await this.#bound(login).run([settingsPrelude(settingsOf(caller))], { ...statement, rowMode: 'array' })
  }

  #run<T>(as: Login | 'owner', standing: Standing, work: (open: Work) => Promise<T>): Promise<T> {
    const operation = new ReadOperation(this.#bound(as), standing, null)
    return new Work(this.#prisma, operation, { openMs: 30_000, waitMs: 5_000 }).run(work).catch((error: unknown) => {
      throw faultOf(error)
    })
  }

  override readConfirmed(read: ConfirmedRead): Promise<string | null> {
    return readConfirmed(this.#bound(loginsFor(read.caller).readLogin), settingsOf(read.caller), read)
  }

  override addConfirmed<Row extends object>(add: ConfirmedAdd): Promise<readonly Row[] | null> {
    const lane = this.#bound(loginsFor(add.caller).writeLogin)
    return addConfirmed((preludes, statement) => lane.run(preludes, statement), add)
  }

  #bound(as: Login | 'owner'): BoundLane {
    let lane = this.#lanes.get(as)
    if (!lane) this.#lanes.set(as, (lane = new BoundLane(this.#ground, as)))
    return lane
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#prisma.$disconnect()
  }
}
