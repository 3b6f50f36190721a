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
    /**
     * Writes down exchanges of one connection, forgets all but its last, and notes when their tokens were used: one statement whatever
     * their number, for this goes on beside every request.
     */
    async add(scope: Scope, connectionId: string, exchanges: readonly NewExchange[]): Promise<void> {
      const kept = exchanges.slice(-scimLimits.exchanges)
      const rows = JSON.stringify(kept.map((one) => ({ ...one, body: one.body ?? null, at: one.at.toISOString() })))
      await sql(scope).$executeRaw`
        with seen as (
          select * from jsonb_to_recordset(${rows}::jsonb) as e(id uuid, "tokenId" uuid, "requestId" text, method text, path text, query text,
            status int, "scimType" text, "durationMs" float8, body jsonb, detail text, at timestamptz)
        ), used as (
          update scim.token t set last_used_at = s.at from (select "tokenId", max(at) as at from seen group by 1) s
          where t.tenant_id = ${scope.tenantId}::uuid and t.id = s."tokenId"
        ), forgotten as (
          delete from scim.exchange e where e.tenant_id = ${scope.tenantId}::uuid and e.connection_id = ${connectionId}::uuid and e.id <= (
            select o.id from scim.exchange o where o.tenant_id = ${scope.tenantId}::uuid and o.connection_id = ${connectionId}::uuid
            order by o.id desc offset ${scimLimits.exchanges - kept.length} limit 1)
        )
        insert into scim.exchange (tenant_id, id, connection_id, token_id, request_id, method, path, query, status, scim_type, duration_ms,
          body, detail, at)
        select ${scope.tenantId}::uuid, s.id, ${connectionId}::uuid, s."tokenId", s."requestId", s.method, s.path, s.query, s.status,
          s."scimType", s."durationMs", nullif(s.body, 'null'), s.detail, s.at from seen s`
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
