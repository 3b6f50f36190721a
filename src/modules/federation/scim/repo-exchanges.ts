/** The flight recorder's table. */
import type { Scope } from '../../../kernel/scope.ts'
import type { ScimExchange } from '../../../platform/db/generated/client.ts'
import type { ModuleSql } from '../../../platform/module.ts'
import { scimLimits } from './limits.ts'
import type { ScimDb } from './repo-connections.ts'

export type { ScimExchange }

export interface NewExchange {
  readonly id: string
  readonly connectionId: string
  readonly tokenId: string
  readonly requestId: string
  readonly method: string
  readonly path: string
  readonly query: string
  readonly status: number
  readonly scimType: string | null
  readonly durationMs: number
  /** Redacted; undefined without one. */
  readonly body: unknown
  readonly detail: string | null
  readonly at: Date
}

/** Which exchanges to show. */
export interface ExchangeFilter {
  readonly connectionId?: string | undefined
  readonly method?: string | undefined
  /** The first digit, or the whole status. */
  readonly status?: number | undefined
  readonly scimType?: string | undefined
  /** Part of the path. */
  readonly path?: string | undefined
  readonly first: number
}

export function createExchangesRepo(db: ScimDb, sql: ModuleSql) {
  return {
    /** One statement whatever their number: this goes on beside every request. */
    async add(scope: Scope, exchanges: readonly NewExchange[]): Promise<void> {
      const rows = exchanges.map((one) => ({ ...one, body: one.body ?? null, at: one.at.toISOString() }))
      await sql(scope).$executeRaw`
        insert into scim.exchange (tenant_id, id, connection_id, token_id, request_id, method, path, query, status, scim_type, duration_ms,
          body, detail, at)
        select ${scope.tenantId}::uuid, e.id, e."connectionId", e."tokenId", e."requestId", e.method, e.path, e.query, e.status, e."scimType",
          e."durationMs", nullif(e.body, 'null'), e.detail, e.at
        from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e(id uuid, "connectionId" uuid, "tokenId" uuid, "requestId" text,
          method text, path text, query text, status int, "scimType" text, "durationMs" float8, body jsonb, detail text, at timestamptz)`
    },

    /** Forgets all but the last of a connection. */
    async trim(scope: Scope, connectionId: string): Promise<void> {
      await sql(scope).$executeRaw`
        delete from scim.exchange e where e.tenant_id = ${scope.tenantId}::uuid and e.connection_id = ${connectionId}::uuid and e.id <= (
          select o.id from scim.exchange o where o.tenant_id = ${scope.tenantId}::uuid and o.connection_id = ${connectionId}::uuid
          order by o.id desc offset ${scimLimits.exchanges} limit 1)`
    },

    /** The newest first. */
    list(scope: Scope, { connectionId, method, status, scimType, path, first }: ExchangeFilter): Promise<ScimExchange[]> {
      const statuses = status === undefined ? {} : status < 10 ? { status: { gte: status * 100, lt: (status + 1) * 100 } } : { status }
      return db(scope).scimExchange.findMany({
        where: {
          tenantId: scope.tenantId,
          ...(connectionId ? { connectionId } : {}),
          ...(method ? { method } : {}),
          ...(scimType ? { scimType } : {}),
          ...(path ? { path: { contains: path } } : {}),
          ...statuses,
        },
        orderBy: { id: 'desc' },
        take: first,
      })
    },

    find: (scope: Scope, id: string): Promise<ScimExchange | null> =>
      db(scope).scimExchange.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } } }),
  }
}

export type ExchangesRepo = ReturnType<typeof createExchangesRepo>
