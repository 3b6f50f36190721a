/**
 * The only questions the server asks before a tenant is known. Each is one SECURITY DEFINER function in the Postgres schema
 * `gate` that answers ids and states alone; there is no other way around Row Level Security.
 */
import { authLogin, operatorLogin, workerLogin, type Login } from './logins.ts'
import type { WritePool } from './write-pool.ts'

export interface TenantGlance {
  readonly tenantId: string
  readonly slug: string
  readonly status: 'ACTIVE' | 'SUSPENDED' | 'LEFT'
}

export interface Changes {
  /** What was visible. Postgres's own text, to ask with the next time. */
  readonly snapshot: string
  readonly changed: readonly { readonly tenantId: string; readonly id: string }[]
}

export class Gate {
  readonly #pool: (login: Login) => WritePool

  constructor(pool: (login: Login) => WritePool) {
    this.#pool = pool
  }

  async tenantBySlug(slug: string): Promise<TenantGlance | null> {
    const rows = await this.#pool(authLogin).bare<TenantGlance>(
      'select tenant_id as "tenantId", slug, status from gate.tenant_by_slug($1)',
      [slug],
    )
    return rows[0] ?? null
  }

  async tenantById(tenantId: string): Promise<TenantGlance | null> {
    const rows = await this.#pool(authLogin).bare<TenantGlance>(
      'select tenant_id as "tenantId", slug, status from gate.tenant_by_id($1)',
      [tenantId],
    )
    return rows[0] ?? null
  }

  /** Tenants with outbox events that are due. */
  async tenantsWithDueEvents(limit: number): Promise<string[]> {
    const rows = await this.#pool(workerLogin).bare<{ tenantId: string }>(
      'select tenant_id as "tenantId" from gate.tenants_with_due_events($1) as tenant_id',
      [limit],
    )
    return rows.map((row) => row.tenantId)
  }

  /** Tenants that are not suspended, in the order of their ids. */
  async *activeTenants(): AsyncGenerator<string> {
    const page = 500
    for (let after: string | null = null; ; ) {
      const rows: { tenantId: string }[] = await this.#pool(workerLogin).bare(
        'select tenant_id as "tenantId" from gate.active_tenants($1, $2) as tenant_id',
        [after, page],
      )
      for (const { tenantId } of rows) yield tenantId
      if (rows.length < page) return
      after = rows.at(-1)!.tenantId
    }
  }

  /** How many seconds the oldest due event has waited, and how many events were given up, in all tenants together. */
  async outboxState(): Promise<{ readonly lagSeconds: number; readonly parked: number }> {
    const rows = await this.#pool(workerLogin).bare<{ lagSeconds: number; parked: string }>(
      'select lag_seconds as "lagSeconds", parked from gate.outbox_state()',
      [],
    )
    return { lagSeconds: rows[0]!.lagSeconds, parked: Number(rows[0]!.parked) }
  }

  /** How many seconds the oldest line of the audit trail has waited to be sealed, and for how many months to come it has room. */
  async sealState(): Promise<{ readonly lagSeconds: number; readonly monthsAhead: number }> {
    const rows = await this.#pool(workerLogin).bare<{ lagSeconds: number; monthsAhead: number }>(
      'select lag_seconds as "lagSeconds", months_ahead as "monthsAhead" from gate.seal_state()',
      [],
    )
    return rows[0]!
  }

  /** Tenants whose audit trail has lines that its receiver has not, and whose time to be sent to has come. */
  async streamsDue(most: number): Promise<string[]> {
    const rows = await this.#pool(workerLogin).bare<{ tenantId: string }>('select tenant_id as "tenantId" from gate.streams_due($1) as tenant_id', [most])
    return rows.map(({ tenantId }) => tenantId)
  }

  /** Tenants of which, or of a recipient of which, a legal hold is in force. */
  async heldTenants(): Promise<string[]> {
    const rows = await this.#pool(workerLogin).bare<{ tenantId: string }>('select tenant_id as "tenantId" from gate.held_tenants() as tenant_id', [])
    return rows.map(({ tenantId }) => tenantId)
  }

  /** How many trails are streamed, and how many of those streams have failed `alarm` times or more in a row. */
  async streamState(alarm: number): Promise<{ readonly streams: number; readonly failing: number }> {
    const rows = await this.#pool(workerLogin).bare<{ streams: number; failing: number }>('select streams, failing from gate.stream_state($1)', [alarm])
    return rows[0]!
  }

  /**
   * Which ids of these tenants the audit trail names as changed by what became visible after `since`; at most 1,001.
   * @param since a snapshot of an earlier answer; null: none changed, tell me where we are.
   */
  async changes(since: string | null, tenantIds: readonly string[]): Promise<Changes> {
    const rows = await this.#pool(workerLogin).bare<{ snapshot: string; tenantId: string | null; id: string | null }>(
      'select snapshot, tenant_id as "tenantId", id from gate.changes($1::pg_snapshot, $2::uuid[])',
      [since, tenantIds],
    )
    return { snapshot: rows[0]!.snapshot, changed: rows.flatMap(({ tenantId, id }) => (tenantId && id ? [{ tenantId, id }] : [])) }
  }

  /** Every tenant, for the operator. */
  async tenants(): Promise<TenantGlance[]> {
    return this.#pool(operatorLogin).bare<TenantGlance>('select tenant_id as "tenantId", slug, status from gate.tenants()', [])
  }

  /** Whether the platform has its data key, and so whether sealed values exist anywhere. */
  async hasPlatformKey(): Promise<boolean> {
    const rows = await this.#pool(authLogin).bare<{ exists: boolean }>('select exists(select from vault.platform_key) as "exists"', [])
    return rows[0]!.exists
  }

  /** Resolves when the database answers. */
  async ping(): Promise<void> {
    await this.#pool(authLogin).bare('select 1', [])
  }

  /** Names of the applied migrations, in order. */
  async appliedMigrations(): Promise<string[]> {
    const rows = await this.#pool(authLogin).bare<{ name: string }>(
      'select migration_name as name from public._prisma_migrations where finished_at is not null and rolled_back_at is null order by 1',
      [],
    )
    return rows.map((row) => row.name)
  }
}
