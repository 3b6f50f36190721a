/**
 * The ground a proof stands on: the owner's connection with one transaction that is never committed, in which it acts as any of the
 * server's logins. Rows of the throw-away tenants exist only here, so a login's own connection could not see them to attack them.
 */
import pg from 'pg'
import { GroupQuery, StatementCache, type Prelude, type Statement } from '../platform/db/group-query.ts'
import { logins, type Login } from '../platform/db/logins.ts'
import { settingsPrelude, type Settings } from '../platform/db/settings.ts'

/** The ground itself gave way: nothing that an attack met. */
export class ProofBroken extends Error {}

export type Outcome =
  | { readonly ok: true; readonly count: number; readonly rows: readonly Readonly<Record<string, unknown>>[] }
  | { readonly ok: false; readonly state: string; readonly constraint: string | null; readonly message: string }

export interface Ground {
  /** Runs one statement as a login or as the owner, under these settings. Without `keep` its effects are undone. */
  run(as: Login | 'owner', settings: Settings, text: string, values: readonly unknown[], keep: boolean): Promise<Outcome>
}

export function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof pg.DatabaseError)) throw error
  return { ok: false, state: error.code ?? '?', constraint: error.constraint ?? null, message: error.message }
}

export const successOf = (result: pg.QueryResult): Outcome => ({ ok: true, count: result.rowCount ?? 0, rows: result.rows })

export class RolledBackGround implements Ground {
  readonly client: pg.Client
  /** A superuser becomes the login itself; another owner can only take its role, which policies and grants bind just the same. */
  readonly #superuser: boolean
  /** Keeps the plans of what is asked again and again. */
  readonly #statements = new StatementCache({ named: true, limit: 500 })
  #before: string[] = []
  #broken: ProofBroken | null = null
  #last: Promise<unknown> = Promise.resolve()

  private constructor(client: pg.Client, superuser: boolean) {
    this.client = client
    this.#superuser = superuser
  }

  /** @throws when the connection may act as no login: it has to be the owner's, the one that migrates. */
  static async open(ownerUrl: string): Promise<RolledBackGround> {
    const client = new pg.Client({ connectionString: ownerUrl, connectionTimeoutMillis: 10_000, application_name: 'maristan proof' })
    await client.connect()
    try {
      const { rows } = await client.query<{ superuser: boolean }>('select rolsuper as superuser from pg_roles where rolname = current_user')
      const superuser = rows[0]!.superuser
      await client.query("begin; set local lock_timeout = '3s'; set local statement_timeout = '20s'; set local timezone = 'UTC'")
      if (!superuser) {
        for (const login of logins) await client.query(`grant ${pg.escapeIdentifier(login)} to current_user`)
      }
      return new RolledBackGround(client, superuser)
    } catch (error) {
      await client.end()
      throw error
    }
  }

  /** Text that makes the connection act as `as` until the savepoint or the transaction ends. */
  become(as: Login | 'owner'): string {
    if (this.#superuser) return `set local session authorization ${as === 'owner' ? 'default' : pg.escapeIdentifier(as)}`
    return `set local role ${as === 'owner' ? 'none' : pg.escapeIdentifier(as)}`
  }

  /** One piece of work at a time: a savepoint of another's must not end ours. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }

  /** Goes before the next statement and travels with it: nobody waits for its answer. To be called by who has the turn. */
  later(...texts: readonly string[]): void {
    this.#before.push(...texts)
  }

  /**
   * Runs one statement, and before it what was left for later, the ground's own statements and the preludes, in one round trip. To be called
   * by who has the turn.
   * @throws ProofBroken when the ground's own failed, now or before: whatever is refused from then on is refused for no wall's sake
   */
  async send(own: readonly Prelude[], preludes: readonly Prelude[], statement: Statement): Promise<pg.QueryResult> {
    if (this.#broken) throw this.#broken
    const ours = [...this.#before.splice(0).map((text) => ({ text, values: [] })), ...own]
    return new Promise((resolve, reject) => {
      const group = new GroupQuery([...ours, ...preludes], statement, this.#statements, (error, result) => {
        if (error && group.preludesDone < ours.length) this.#broken = new ProofBroken(error.message)
        if (error) reject(this.#broken ?? error)
        else resolve(result!)
      })
      this.client.query(group as never)
    })
  }

  run(as: Login | 'owner', settings: Settings, text: string, values: readonly unknown[], keep: boolean): Promise<Outcome> {
    return this.alone(async () => {
      const own = ['savepoint attempt', this.become(as)].map((one) => ({ text: one, values: [] }))
      const outcome = await this.send([...own, settingsPrelude(settings)], [], { text, values }).then(successOf, outcomeOf)
      if (!keep || !outcome.ok) this.later('rollback to attempt')
      this.later('release attempt')
      return outcome
    })
  }

  /** Undoes everything. @throws ProofBroken when it gave way on the way: what was proven on it is worth nothing */
  async close(): Promise<void> {
    await this.#last
    try {
      await this.client.query('rollback')
    } finally {
      await this.client.end()
    }
    if (this.#broken) throw this.#broken
  }
}
