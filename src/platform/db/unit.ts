/**
 * The unit of work: one virtual read transaction for an operation's reads and, inside it, one real transaction a command.
 * It is the only database anyone in that operation holds.
 */
import type { AuditEntry } from '../../kernel/audit-entry.ts'
import type { EventType } from '../../kernel/event.ts'
import type { Caller, Scope, UnitOfWork } from '../../kernel/scope.ts'
import type { Prisma } from './generated/client.ts'
import type { Prelude } from './group-query.ts'
import { auditStatement, outboxStatements, type PublishedEvent } from './intake.ts'
import type { Login } from './logins.ts'

export type Tx = Prisma.TransactionClient
export type ModelName = Prisma.ModelName

/** A client narrowed to the named models: other tables and raw SQL do not exist on it, by type and at run time. */
export type Only<Models extends ModelName> = Pick<Tx, Uncapitalize<Models>>

/** Opens transactions; given to a unit by the database. */
export interface Transactions {
  read<T>(unit: Unit, login: Login, work: (tx: Tx) => Promise<T>): Promise<T>
  /** @param work must call `commit` last: it sends the given statements and the transaction's end in one round trip. */
  write<T>(unit: Unit, login: Login, work: (tx: Tx, commit: (last: readonly Prelude[]) => Promise<void>) => Promise<T>): Promise<T>
  /** A transaction of one statement, in one round trip. */
  add(unit: Unit, login: Login, statement: Prelude): Promise<void>
  /** Events that nobody handles. */
  unheard(): ReadonlySet<string>
}

export interface UnitOptions {
  readonly caller: Caller
  readonly transactions: Transactions
  readonly readLogin: Login
  readonly writeLogin: Login
  /** Aborted when the client goes away or time is up: no further statement is sent. */
  readonly signal: AbortSignal | null
}

interface Command {
  readonly tx: Tx
  readonly audit: AuditEntry[]
  readonly events: PublishedEvent[]
}

export class Unit implements UnitOfWork {
  readonly tenantId: string
  readonly caller: Caller
  readonly signal: AbortSignal | null
  readonly #options: UnitOptions
  #reading: Tx | null = null
  #command: Command | null = null
  #readAudit: AuditEntry[] = []

  /**
   * One permanent object that looks the current transaction up at every call: plugin-prisma caches a context's client,
   * and a second transaction of the same operation would otherwise meet the first one's corpse.
   */
  readonly db: Tx = new Proxy({} as Tx, {
    get: (_, key) => Reflect.get(this.#tx, key),
    has: (_, key) => key in this.#tx,
  })

  constructor(options: UnitOptions) {
    this.#options = options
    this.caller = options.caller
    this.tenantId = options.caller.tenantId
    this.signal = options.signal
  }

  get #tx(): Tx {
    const tx = this.#command?.tx ?? this.#reading
    if (!tx) throw new Error('No unit of work is open.')
    return tx
  }

  get scope(): Scope {
    return { ...this.caller, unit: this }
  }

  /** Opens the operation's reads around `work`. The PHI reads it recorded are committed before it resolves. */
  async read<T>(work: () => Promise<T>): Promise<T> {
    if (this.#reading) throw new Error('This unit of work is already open.')
    const result = await this.#options.transactions.read(this, this.#options.readLogin, async (tx) => {
      this.#reading = tx
      try {
        return await work()
      } finally {
        this.#reading = null
      }
    })
    await this.flushReads()
    return result
  }

  /** Commits the audit rows of the reads so far. Their answer must not leave before this resolves. */
  async flushReads(): Promise<void> {
    const entries = this.#readAudit
    if (entries.length === 0) return
    this.#readAudit = []
    await this.#options.transactions.add(this, this.#options.writeLogin, auditStatement(this.caller, entries))
  }

  /**
   * Runs a command: one transaction with its audit and outbox rows, all or nothing. One at a time; a command that leaves
   * no audit row is refused, because a change without a trace must not happen.
   */
  async command<T>(work: (scope: Scope) => Promise<T>, login: Login = this.#options.writeLogin): Promise<T> {
    if (this.#command) throw new Error('A command is already open in this unit of work.')
    const { transactions } = this.#options
    return transactions.write(this, login, async (tx, commit) => {
      const command: Command = { tx, audit: [], events: [] }
      this.#command = command
      try {
        const result = await work(this.scope)
        await commit([auditStatement(this.caller, command.audit), ...outboxStatements(this.caller, command.events, transactions.unheard())])
        return result
      } finally {
        this.#command = null
      }
    })
  }

  record(entry: AuditEntry): void {
    if (this.#command) this.#command.audit.push(entry)
    else this.#readAudit.push(entry)
  }

  publish<Payload>(type: EventType<string, Payload>, aggregateId: string, payload: Payload): void {
    if (!this.#command) throw new Error(`Event ${type.name} was published outside a command.`)
    this.#command.events.push({ type, aggregateId, payload: type.payload.parse(payload) })
  }

  /** The models of one module, nothing else; `$`-methods and other tables are not there. */
  only<const Models extends ModelName>(models: readonly Models[]): Only<Models> {
    const narrowed = {}
    for (const model of models) {
      const key = delegateOf(model)
      Object.defineProperty(narrowed, key, { get: () => Reflect.get(this.#tx, key), enumerable: true })
    }
    return Object.freeze(narrowed) as Only<Models>
  }
}

const delegateOf = (model: ModelName): string => model.charAt(0).toLowerCase() + model.slice(1)

/** The unit behind a scope. Scopes are made by this module only. */
export function unitOf(scope: Pick<Scope, 'unit'>): Unit {
  if (!(scope.unit instanceof Unit)) throw new Error('This scope was not opened by the database.')
  return scope.unit
}
