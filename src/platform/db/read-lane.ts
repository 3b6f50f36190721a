/**
 * The shared, pipelined connections of one read login. Statements of many requests travel together; each is a Sync group
 * that carries its own tenant, so nothing of one is in force for another.
 */
import pg from 'pg'
import type { QueryResult } from 'pg'
import { overloaded } from '../../kernel/fault.ts'
import { GroupQuery, isStalePlan, StatementCache, type Prelude, type Statement } from './group-query.ts'

export interface LaneLimits {
  readonly connections: number
  /** Statements in flight on one connection; beyond all of them the lane answers OVERLOADED. */
  readonly queue: number
  readonly connectTimeoutMs: number
  readonly statements: { readonly named: boolean; readonly limit: number }
}

interface Lane {
  readonly client: pg.Client
  readonly cache: StatementCache
  inFlight: number
}

export class ReadLane {
  readonly #url: string
  readonly #limits: LaneLimits
  /** One slot a connection; a slot whose connection broke is empty until the next statement opens it again. */
  readonly #slots: (Promise<Lane> | null)[]
  readonly #open = new Map<Promise<Lane>, Lane>()
  #turn = 0

  constructor(url: string, limits: LaneLimits) {
    this.#url = url
    this.#limits = limits
    this.#slots = Array.from({ length: limits.connections }, () => null)
  }

  /** Runs one statement after its prelude, in one group. Repeats it once if only its preparation was stale. */
  async run(prelude: Prelude, statement: Statement): Promise<QueryResult> {
    try {
      return await this.#once(prelude, statement)
    } catch (error) {
      if (!isStalePlan(error)) throw error
      return this.#once(prelude, statement)
    }
  }

  async #once(prelude: Prelude, statement: Statement): Promise<QueryResult> {
    const lane = await this.#pick()
    // Counted here, not when it was picked: a burst of one tick picks the same lane before anyone is counted.
    if (lane.inFlight >= this.#limits.queue) throw overloaded()
    lane.inFlight++
    try {
      return await new Promise<QueryResult>((resolve, reject) => {
        lane.client.query(
          new GroupQuery([prelude], statement, lane.cache, (error, result) => (error ? reject(error) : resolve(result!))) as never,
        )
      })
    } finally {
      lane.inFlight--
    }
  }

  /** The idlest open connection, or a closed slot while the open ones are busy. */
  async #pick(): Promise<Lane> {
    let best: Lane | undefined
    for (const lane of this.#open.values()) if (!best || lane.inFlight < best.inFlight) best = lane
    const empty = this.#slots.indexOf(null)
    if (empty >= 0 && (!best || best.inFlight > 0)) {
      this.#slots[empty] = this.#connect(empty)
    }
    if (best) return best
    const pending = this.#slots.filter((slot) => slot !== null)
    return pending[this.#turn++ % pending.length]!
  }

  #connect(slot: number): Promise<Lane> {
    const client = new pg.Client({
      connectionString: this.#url,
      connectionTimeoutMillis: this.#limits.connectTimeoutMs,
      keepAlive: true,
      pipeline: true,
      application_name: 'maristan',
    } as pg.ClientConfig)
    const opening: Promise<Lane> = client.connect().then(() => {
      const lane = { client, cache: new StatementCache(this.#limits.statements), inFlight: 0 }
      this.#open.set(opening, lane)
      return lane
    })
    const forget = () => {
      this.#open.delete(opening)
      if (this.#slots[slot] === opening) this.#slots[slot] = null
    }
    client.on('error', forget)
    client.on('end', forget)
    opening.catch(forget)
    return opening
  }

  async close(): Promise<void> {
    const slots = this.#slots.splice(0)
    await Promise.all(slots.map((slot) => slot?.then((lane) => lane.client.end()).catch(() => {})))
  }
}
