/**
 * The ground a proof stands on: the owner's connection with one transaction that is never committed, in which it acts as any of the
 * server's logins. Rows of the throw-away tenants exist only here, so a login's own connection could not see them to attack them.
 */
import pg from 'pg'
import { logins, type Login } from '../platform/db/logins.ts'
import type { Settings } from '../platform/db/settings.ts'

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

/** SQL that puts the settings in force until the transaction ends. */
export function settingsSql(settings: Settings): string {
  const { tenantId, membershipId, role, providerOrgId } = settings
  const pairs = { tenant_id: tenantId, membership_id: membershipId, role, provider_org_id: providerOrgId }
  return `select ${Object.entries(pairs)
    .map(([name, value]) => `set_config('app.${name}', ${pg.escapeLiteral(value ?? '')}, true)`)
    .join(', ')}`
}

export class RolledBackGround implements Ground {
  readonly client: pg.Client
  /** A superuser becomes the login itself; another owner can only take its role, which policies and grants bind just the same. */
  readonly #superuser: boolean
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

  run(as: Login | 'owner', settings: Settings, text: string, values: readonly unknown[], keep: boolean): Promise<Outcome> {
    return this.alone(async () => {
      await this.client.query(`savepoint attempt; ${this.become(as)}; ${settingsSql(settings)}`)
      try {
        const outcome = successOf(await this.client.query(text, [...values]))
        await this.client.query(keep ? 'release attempt' : 'rollback to attempt; release attempt')
        return outcome
      } catch (error) {
        const outcome = outcomeOf(error)
        await this.client.query('rollback to attempt; release attempt')
        return outcome
      }
    })
  }

  /** Undoes everything. */
  async close(): Promise<void> {
    await this.#last
    try {
      await this.client.query('rollback')
    } finally {
      await this.client.end()
    }
  }
}
