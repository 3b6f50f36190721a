/**
 * One Sync group of Postgres' extended protocol: the tenant's settings and one statement, so that the settings hold for
 * exactly that statement (outside a transaction the group is a transaction of its own) in one round trip.
 */
import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import pg from 'pg'
import type { FieldDef, QueryResult } from 'pg'
import pgUtils from 'pg/lib/utils.js'
import { NotConfirmed } from './standing.ts'

/** A statement to run before the asked one, in the same group. */
export interface Prelude {
  readonly text: string
  readonly values: readonly unknown[]
  /** What the last column of its row must be; whatever the group answers otherwise, it fails with NotConfirmed. */
  readonly proof?: string
}

/** What the driver adapter hands over for one statement. */
export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
  readonly rowMode?: 'array'
  readonly types?: pg.CustomTypesConfig
}

interface Prepared {
  readonly name: string
  /** Known after the first run; Describe is skipped from then on. */
  fields?: FieldDef[]
}

// The parts of pg's connection that a query of our own needs.
interface Wire {
  stream: { readonly writable: boolean; write(chunk: Uint8Array): boolean }
  parse(statement: { name: string; text: string; types: [] }): void
  bind(portal: { portal: ''; statement: string; values: readonly unknown[] }): void
  describe(target: { type: 'P'; name: '' }): void
  execute(portal: { portal: '' }): void
  close(target: { type: 'S'; name: string }): void
  sync(): void
}

interface BaseQuery {
  callback: (error: Error | null, result?: QueryResult) => void
  _result: { addFields(fields: FieldDef[]): void }
  _accumulateRows: boolean
  handleRowDescription(message: { fields: FieldDef[] }): void
  handleDataRow(message: object): void
  handleCommandComplete(message: unknown, connection: Wire): void
  handleError(error: Error, connection: Wire): void
  handleReadyForQuery(connection: Wire): void
}
const Query = pg.Query as unknown as new (config: object, values: undefined, callback: BaseQuery['callback']) => BaseQuery

/**
 * The prepared statements of one connection. Names are never reused; past the bound the least recently used statement
 * is closed. With `named` off (a transaction-mode pooler without prepared-statement support) nothing is remembered.
 */
export class StatementCache {
  readonly #statements: LRUCache<string, Prepared>
  readonly named: boolean
  #sequence = 0
  /** Drawn for each connection: behind a pooler another client's name must be unknown here, never another statement. */
  readonly #own = randomBytes(8).toString('hex')
  /** Names to close with the next group. */
  readonly #doomed: string[] = []

  constructor(options: { named: boolean; limit: number }) {
    this.named = options.named
    this.#statements = new LRUCache({ max: options.limit, dispose: ({ name }) => void this.#doomed.push(name) })
  }

  find(text: string): Prepared | undefined {
    return this.#statements.get(text)
  }

  make(text: string): Prepared {
    if (!this.named) return { name: '' }
    const made = { name: `m${++this.#sequence}_${this.#own}` }
    this.#statements.set(text, made)
    return made
  }

  evict(text: string): void {
    this.#statements.delete(text)
  }

  takeDoomed(): string[] {
    return this.#doomed.splice(0)
  }
}

/** Values as the protocol takes them: text, bytes or null. */
const prepared = (values: readonly unknown[]) => values.map((value) => (typeof value === 'string' ? value : pgUtils.prepareValue(value)))

export class GroupQuery extends Query {
  readonly #preludes: readonly Prelude[]
  readonly #preludeValues: readonly (readonly unknown[])[]
  readonly #statement: Statement
  /** Mapped before anything is sent: a value that cannot be mapped must not leave half a group on a shared wire. */
  readonly #values: readonly unknown[]
  readonly #cache: StatementCache
  /** Statements this group parses: forgotten again if the group fails. */
  readonly #fresh: string[] = []
  #prepared: Prepared = { name: '' }
  /** How many preludes have not completed yet. */
  #preludesLeft: number
  /** How many proofs have not come. */
  #proofsLeft = 0

  constructor(preludes: readonly Prelude[], statement: Statement, cache: StatementCache, done: BaseQuery['callback']) {
    super({ text: statement.text, rowMode: statement.rowMode, types: statement.types }, undefined, (error, result) =>
      // Whose asker was not confirmed sees no rows, and a statement may fail for that alone.
      this.#proofsLeft > 0 && (!error || this.#preludesLeft === 0) ? done(new NotConfirmed()) : done(error, result),
    )
    this.#preludes = preludes
    this.#preludeValues = preludes.map(({ values }) => prepared(values))
    this.#preludesLeft = preludes.length
    for (const { proof } of preludes) if (proof !== undefined) this.#proofsLeft++
    this.#statement = statement
    this.#values = prepared(statement.values)
    this.#cache = cache
  }

  /** How many preludes are over: an error that comes then is the next one's, or the statement's own. */
  get preludesDone(): number {
    return this.#preludes.length - this.#preludesLeft
  }

  submit(wire: Wire): null {
    // The group leaves as one buffer: twenty small ones cost the system several times as much.
    const { stream } = wire
    const messages: Uint8Array[] = []
    wire.stream = { writable: true, write: (message) => messages.push(message) > 0 }
    try {
      for (const name of this.#cache.takeDoomed()) wire.close({ type: 'S', name })
      for (const [at, { text }] of this.#preludes.entries()) {
        wire.bind({ portal: '', statement: this.#prepare(wire, text).name, values: this.#preludeValues[at]! })
        wire.execute({ portal: '' })
      }
      this.#prepared = this.#prepare(wire, this.#statement.text)
      wire.bind({ portal: '', statement: this.#prepared.name, values: this.#values })
      if (this.#prepared.fields) {
        this._result.addFields(this.#prepared.fields)
        this._accumulateRows = true
      } else {
        wire.describe({ type: 'P', name: '' })
      }
      wire.execute({ portal: '' })
    } finally {
      wire.sync()
      wire.stream = stream
      if (stream.writable) stream.write(Buffer.concat(messages))
    }
    return null
  }

  #prepare(wire: Wire, text: string): Prepared {
    const known = this.#cache.find(text)
    if (known) return known
    const made = this.#cache.make(text)
    wire.parse({ name: made.name, text, types: [] })
    this.#fresh.push(text)
    return made
  }

  override handleRowDescription(message: { fields: FieldDef[] }): void {
    this.#prepared.fields = message.fields
    super.handleRowDescription(message)
  }

  override handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    if (this.#preludesLeft === 0) return super.handleDataRow(message)
    const { proof } = this.#preludes[this.#preludes.length - this.#preludesLeft]!
    if (proof !== undefined && message.fields.at(-1) === proof) this.#proofsLeft--
  }

  override handleCommandComplete(message: unknown, wire: Wire): void {
    if (this.#preludesLeft > 0) this.#preludesLeft--
    else super.handleCommandComplete(message, wire)
  }

  override handleError(error: Error & { code?: string }, wire: Wire): void {
    for (const text of this.#fresh) this.#cache.evict(text)
    if (isStalePlan(error)) this.#cache.evict(this.#statement.text)
    // The server does not say whose name it did not know: behind a pooler it may be a prelude's.
    if (isForgotten(error)) for (const { text } of this.#preludes) this.#cache.evict(text)
    super.handleError(error, wire)
  }
}

/**
 * True when the statement failed only because of its preparation: its result's shape changed (0A000, after DDL), or the
 * server does not know its name (26000). Repeating it is safe where nothing ran before it.
 */
export function isStalePlan(error: unknown): boolean {
  const { code, routine } = (error ?? {}) as { code?: string; routine?: string }
  return isForgotten(error) || (code === '0A000' && routine === 'RevalidateCachedQuery')
}

/** The server does not know a prepared statement of this name. */
function isForgotten(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === '26000'
}
