/**
 * The unit of work: one virtual read transaction for an operation's reads and, inside it, one real transaction a command.
 * It is the only database anyone in that operation holds.
 */
import type { AuditEntry } from '../../kernel/audit-entry.ts'
import type { EventType } from '../../kernel/event.ts'
import type { Caller, Scope, UnitOfWork } from '../../kernel/scope.ts'
import type { Prisma } from './generated/client.ts'
import { clientFacade, sqlStatement } from './client-facade.ts'
import type { Prelude } from './group-query.ts'
import { auditStatement, outboxStatements, type PublishedEvent } from './intake.ts'
import type { Login } from './logins.ts'
import type { OneRows } from './one-row.ts'
import type { Standing } from './standing.ts'
import type { Tx, Work } from './work.ts'

export type { Tx }
export type ModelName = Prisma.ModelName

/** A client narrowed to the named models: other tables and raw SQL do not exist on it, by type and at run time. */
export type Only<Models extends ModelName> = Pick<Tx, Uncapitalize<Models>>

/** Raw SQL, as the modules have it that declare it. */
export type RawSql = Pick<Tx, '$queryRaw' | '$executeRaw'> & {
  /** A change whose answer nobody waits for: it travels with the next statement of the command, or with its commit, and undoes it when refused. */
  $executeLater(parts: TemplateStringsArray, ...values: readonly unknown[]): void
}

/** Opens transactions; given to a unit by the database. */
/** Where a command writes. */
export interface Write {
  readonly login: Login
  /** May stay open for a minute: thousands of people are changed at once. */
  readonly isLong: boolean
}

export interface Transactions {
  read<T>(unit: Unit, login: Login, work: (open: Work) => Promise<T>): Promise<T>
  /** @param work must call `commit` last: it sends the given statements and the transaction's end in one round trip. */
  write<T>(unit: Unit, write: Write, work: (open: Work, commit: (last: readonly Prelude[]) => Promise<void>) => Promise<T>): Promise<T>
  /** A transaction of one statement, in one round trip. */
  add(unit: Unit, login: Login, statement: Prelude): Promise<void>
  /** Events that nobody handles. */
  unheard(): ReadonlySet<string>
  /** The models of the generated client, which is never asked itself. */
  readonly known: object
  readonly oneRows: OneRows
}

export interface UnitOptions {
  readonly caller: Caller
  /** The caller, as the database is told and may have to confirm. */
  readonly standing: Standing
  readonly transactions: Transactions
  readonly readLogin: Login
  readonly writeLogin: Login
  /** Aborted when the client goes away or time is up: no further statement is sent. */
  readonly signal: AbortSignal | null
}

interface Command {
  readonly open: Work
  readonly audit: AuditEntry[]
  readonly events: PublishedEvent[]
}

export class Unit implements UnitOfWork {
  readonly tenantId: string
  readonly caller: Caller
  readonly signal: AbortSignal | null
  readonly #options: UnitOptions
  #reading: Work | null = null
  #command: Command | null = null
  #readAudit: AuditEntry[] = []

  /**
   * One permanent object: plugin-prisma caches a context's client, and a second transaction of the same operation would otherwise meet
   * the first one's corpse.
   */
  readonly db: Tx
  readonly #narrowed = new Map<readonly ModelName[], object>()

  constructor(options: UnitOptions) {
    this.#options = options
    this.caller = options.caller
    this.tenantId = options.caller.tenantId
    this.signal = options.signal
    const { known, oneRows } = options.transactions
    this.db = clientFacade({ work: () => this.#open, known, oneRows })
  }

  /** Asks the database who the caller is, unless it has said so. @throws NotConfirmed */
  async confirm(): Promise<void> {
    if (this.standing.isConfirmed) return
    await this.#options.transactions.read(this, this.#options.readLogin, (open) => open.rows('select 1', []))
  }

  get #open(): Work {
    const open = this.#command?.open ?? this.#reading
    if (!open) throw new Error('No unit of work is open.')
    return open
  }

  /** How the database has answered so far whether the caller is who was expected. */
  get standing(): Standing {
    return this.#options.standing
  }

  get scope(): Scope {
    return { ...this.caller, unit: this }
  }

  /** Opens the operation's reads around `work`. The PHI reads it recorded are committed before it resolves. */
  async read<T>(work: () => Promise<T>): Promise<T> {
    if (this.#reading) throw new Error('This unit of work is already open.')
    const result = await this.#options.transactions.read(this, this.#options.readLogin, async (open) => {
      this.#reading = open
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
    await this.confirm()
    await this.#options.transactions.add(this, this.#options.writeLogin, auditStatement(this.caller, entries))
  }

  /**
   * Runs a command: one transaction with its audit and outbox rows, all or nothing. One at a time; a command that leaves
   * no audit row is refused, because a change without a trace must not happen.
   * @param options.confirmsLate the command does nothing before its first statement that cannot be undone, so that who asks is confirmed along
   * with it.
   * @param options.isLong the command may be about thousands of people, and stays open for up to a minute then
   */
  async command<T>(
    work: (scope: Scope) => Promise<T>,
    login: Login = this.#options.writeLogin,
    { confirmsLate = false, isLong = false }: { readonly confirmsLate?: boolean; readonly isLong?: boolean } = {},
  ): Promise<T> {
    if (this.#command) throw new Error('A command is already open in this unit of work.')
    const { transactions } = this.#options
    if (!confirmsLate || login !== this.#options.writeLogin) await this.confirm()
    return transactions.write(this, { login, isLong }, async (open, commit) => {
      const command: Command = { open, audit: [], events: [] }
      this.#command = command
      try {
        const result = await work(this.scope)
        const { audit, events } = command
        await commit([auditStatement(this.caller, audit), ...outboxStatements(this.caller, events, transactions.unheard())])
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

  /** Raw SQL in the open transaction. */
  get sql(): RawSql {
    const { db } = this
    return {
      $queryRaw: db.$queryRaw,
      $executeRaw: db.$executeRaw,
      $executeLater: (parts, ...values) => {
        if (!this.#command) throw new Error('A statement that nobody waits for belongs into a command.')
        this.#command.open.later(sqlStatement(parts, values))
      },
    }
  }

  /** The models of one module, nothing else; `$`-methods and other tables are not there. */
  only<const Models extends ModelName>(models: readonly Models[]): Only<Models> {
    let narrowed = this.#narrowed.get(models)
    if (!narrowed) {
      narrowed = {}
      for (const model of models) {
        const key = delegateOf(model)
        Object.defineProperty(narrowed, key, { get: () => Reflect.get(this.db, key), enumerable: true })
      }
      this.#narrowed.set(models, Object.freeze(narrowed))
    }
    return narrowed as Only<Models>
  }
}

const delegateOf = (model: ModelName): string => model.charAt(0).toLowerCase() + model.slice(1)

/** The unit behind a scope. Scopes are made by this module only. */
export function unitOf(scope: Pick<Scope, 'unit'>): Unit {
  if (!(scope.unit instanceof Unit)) throw new Error('This scope was not opened by the database.')
  return scope.unit
}
