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
  /** Statements in hand on one connection; when all of them carry as many, the lane answers OVERLOADED. */
  readonly queue: number
  readonly connectTimeoutMs: number
  readonly statements: { readonly named: boolean; readonly limit: number }
}

interface Connected {
  readonly client: pg.Client
  readonly cache: StatementCache
}

interface Slot {
  /** Null until the first statement, and again once the connection broke: the next statement opens another. */
  opening: Promise<Connected> | null
  /** Statements given to it and not answered, counted from the moment they are: a burst of one tick spreads over all slots. */
  load: number
}

export class ReadLane {
  readonly #url: string
  readonly #limits: LaneLimits
  readonly #slots: Slot[]

  constructor(url: string, limits: LaneLimits) {
    this.#url = url
    this.#limits = limits
    this.#slots = Array.from({ length: limits.connections }, () => ({ opening: null, load: 0 }))
  }

  /**
   * Runs one statement after its preludes, in one group. Repeats it if only its preparation was stale: once for each connection, for each
   * remembers by itself.
   */
  async run(preludes: readonly Prelude[], statement: Statement): Promise<QueryResult> {
    for (let repeats = this.#slots.length; ; repeats--) {
      try {
        return await this.#once(preludes, statement)
      } catch (error) {
        if (repeats === 0 || !isStalePlan(error)) throw error
      }
    }
  }

  async #once(preludes: readonly Prelude[], statement: Statement): Promise<QueryResult> {
    const slot = this.#leastLoaded()
    slot.load++
    try {
      const { client, cache } = await (slot.opening ??= this.#connect(slot))
      return await new Promise<QueryResult>((resolve, reject) => {
        client.query(new GroupQuery(preludes, statement, cache, (error, result) => (error ? reject(error) : resolve(result!))) as never)
      })
    } finally {
      slot.load--
    }
  }

  #leastLoaded(): Slot {
    let best = this.#slots[0]
    for (const slot of this.#slots) if (slot.load < best!.load) best = slot
    if (!best || best.load >= this.#limits.queue) throw overloaded()
    return best
  }

  #connect(slot: Slot): Promise<Connected> {
    const client = new pg.Client({
      connectionString: this.#url,
      connectionTimeoutMillis: this.#limits.connectTimeoutMs,
      keepAlive: true,
      pipeline: true,
      application_name: 'maristan',
    } as pg.ClientConfig)
    const opening = client.connect().then(() => ({ client, cache: new StatementCache(this.#limits.statements) }))
    const forget = () => {
      if (slot.opening === opening) slot.opening = null
    }
    client.on('error', forget)
    client.on('end', forget)
    opening.catch(forget)
    return opening
  }

  async close(): Promise<void> {
    const slots = this.#slots.splice(0)
    await Promise.all(slots.map(({ opening }) => opening?.then(({ client }) => client.end()).catch(() => {})))
  }
}
