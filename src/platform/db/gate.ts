/**
 * The only questions the server asks before a tenant is known. Each is one SECURITY DEFINER function in the Postgres schema
 * `gate` that answers ids and states alone; there is no other way around Row Level Security.
 */
import { authLogin, operatorLogin, workerLogin, type Login } from './logins.ts'
import type { WritePool } from './operation.ts'

export interface TenantGlance {
  readonly tenantId: string
  readonly slug: string
  readonly status: 'ACTIVE' | 'SUSPENDED'
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

  /** Every tenant, for the operator. */
  async tenants(): Promise<TenantGlance[]> {
    return this.#pool(operatorLogin).bare<TenantGlance>('select tenant_id as "tenantId", slug, status from gate.tenants()', [])
  }
}
