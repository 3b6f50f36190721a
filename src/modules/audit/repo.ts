/** Audit's tables, read only: the platform's intake writes lines, its sealer links, and nobody changes either. */
import type { Scope } from '../../kernel/scope.ts'
import { Prisma, type AuditEvent } from '../../platform/db/generated/client.ts'
import type { ModuleSql } from '../../platform/module.ts'

export type Line = Omit<AuditEvent, 'epoch' | 'xid'>

export interface LineFilter {
  readonly actorId?: string | undefined
  readonly subjectId?: string | undefined
  readonly resource?: string | undefined
  readonly resourceId?: string | undefined
  readonly action?: string | undefined
  readonly actions?: readonly string[] | undefined
  readonly outcome?: string | undefined
  /** What is about a recipient, and since her record is there about every recipient of the tenant. */
  readonly account?: { readonly recipientId: string; readonly since: string } | undefined
  readonly from?: Date | undefined
  readonly to?: Date | undefined
}

const conditionsOf = ({ actorId, subjectId, resource, resourceId, action, actions, outcome, account, from, to }: LineFilter): Prisma.Sql[] => [
  ...(actorId === undefined ? [] : [Prisma.sql`e.actor_id = ${actorId}::uuid`]),
  ...(subjectId === undefined ? [] : [Prisma.sql`e.subject_id = ${subjectId}::uuid`]),
  ...(resource === undefined ? [] : [Prisma.sql`e.resource = ${resource}`]),
  ...(resourceId === undefined ? [] : [Prisma.sql`e.resource_id = ${resourceId}::uuid`]),
  ...(action === undefined ? [] : [Prisma.sql`e.action = ${action}`]),
  ...(actions === undefined ? [] : [Prisma.sql`e.action = any(${[...actions]}::text[])`]),
  ...(account === undefined
    ? []
    : [
        Prisma.sql`(e.subject_id = ${account.recipientId}::uuid
          or (e.subject_id = e.tenant_id and e.at >= ${account.since}::timestamptz))`,
      ]),
  ...(outcome === undefined ? [] : [Prisma.sql`e.outcome = ${outcome}`]),
  ...(from === undefined ? [] : [Prisma.sql`e.at >= ${from}`]),
  ...(to === undefined ? [] : [Prisma.sql`e.at < ${to}`]),
]

export function createRepo({ sql }: { sql: ModuleSql }) {
  return {
    /** When the first line about a recipient was written, as fine as the database's clock; null when the caller sees none. */
    async firstOf(scope: Scope, recipientId: string): Promise<string | null> {
      const rows = await sql(scope).$queryRaw<{ at: string }[]>`
        select e.at::text as at from audit.event e where e.tenant_id = ${scope.tenantId}::uuid and e.subject_id = ${recipientId}::uuid
        order by e.at limit 1`
      return rows[0]?.at ?? null
    },

    /**
     * Newest first by the database's clock; one more than asked for tells whether there is another page. In SQL, because the clock
     * is finer than a date of this language: a cursor that came through one would leave lines out.
     */
    page(scope: Scope, filter: LineFilter, { first, after }: { first: number; after?: string | undefined }): Promise<Line[]> {
      const tenant = Prisma.sql`e.tenant_id = ${scope.tenantId}::uuid`
      const beyond =
        after === undefined
          ? []
          : [
              Prisma.sql`(e.at, e.id) < (select c.at, c.id from audit.event c
                where c.tenant_id = ${scope.tenantId}::uuid and c.id = ${after}::uuid)`,
            ]
      return sql(scope).$queryRaw<Line[]>`
        select e.tenant_id as "tenantId", e.id, e.at, e.actor_kind as "actorKind", e.actor_id as "actorId", e.plane, e.action,
          e.resource, e.resource_id as "resourceId", e.subject_id as "subjectId", e.outcome, e.purpose, e.request_id as "requestId",
          e.session_id as "sessionId", e.sign_in_method as "signInMethod", e.source_address as "sourceAddress",
          e.user_agent as "userAgent", e.detail
        from audit.event e
        where ${Prisma.join([tenant, ...conditionsOf(filter), ...beyond], ' and ')}
        order by e.at desc, e.id desc limit ${first + 1}`
    },
  }
}

export type AuditRepo = ReturnType<typeof createRepo>
