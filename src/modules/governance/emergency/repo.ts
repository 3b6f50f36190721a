/** Emergency's table. Grants are made on the login that checks the second factor, and on no other. */
import type { Scope } from '../../../kernel/scope.ts'
import { authLogin } from '../../../platform/module.ts'
import { unitOf } from '../../../platform/db/unit.ts'
import type { BreakGlassGrant } from '../../../platform/db/generated/client.ts'
import type { ModuleDb, ModuleSql } from '../../../platform/module.ts'

export function createRepo(db: ModuleDb<'BreakGlassGrant'>, sql: ModuleSql) {
  return {
    inAuthCommand: <T>(scope: Scope, work: (inside: Scope) => Promise<T>): Promise<T> => unitOf(scope).command(work, authLogin),

    /** Whether the tenant has this recipient, though the caller may not see her. */
    async recipientExists(inside: Scope, recipientId: string): Promise<boolean> {
      const rows = await sql(inside).$queryRaw<{ exists: boolean }[]>`select gate.recipient_exists(${recipientId}::uuid) as exists`
      return rows[0]!.exists
    },

    /** From now on, by the database's clock, as every policy goes. @returns when it is over. */
    async add(
      inside: Scope,
      grant: Pick<BreakGlassGrant, 'id' | 'recipientId' | 'membershipId' | 'phi' | 'reviewItemId'> & { readonly minutes: number },
    ): Promise<Date> {
      const { id, recipientId, membershipId, phi, reviewItemId, minutes } = grant
      const rows = await sql(inside).$queryRaw<{ expiresAt: Date }[]>`
        insert into emergency.break_glass_grant (tenant_id, id, recipient_id, membership_id, phi, expires_at, review_item_id)
        values (${inside.tenantId}::uuid, ${id}::uuid, ${recipientId}::uuid, ${membershipId}::uuid, ${phi},
          current_timestamp + make_interval(mins => ${minutes}::int), ${reviewItemId}::uuid)
        returning expires_at as "expiresAt"`
      return rows[0]!.expiresAt
    },

    find: (scope: Scope, id: string): Promise<BreakGlassGrant | null> =>
      db(scope).breakGlassGrant.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } } }),

    /** Whether a grant that the caller sees still opens anything, by the database's clock. */
    async isLive(scope: Scope, id: string): Promise<boolean> {
      const rows = await sql(scope).$queryRaw<object[]>`
        select from emergency.break_glass_grant where id = ${id}::uuid and ended_at is null and expires_at > now()`
      return rows.length > 0
    },

    /** Ends a grant by the database's clock; null when it was over. */
    async end(scope: Scope, id: string): Promise<Date | null> {
      const rows = await sql(scope).$queryRaw<{ endedAt: Date }[]>`
        update emergency.break_glass_grant set ended_at = now()
        where tenant_id = ${scope.tenantId}::uuid and id = ${id}::uuid and ended_at is null and expires_at > now()
        returning ended_at as "endedAt"`
      return rows[0]?.endedAt ?? null
    },

    /** The grant that a review is about; null for a review of something else. */
    async grantOfReview(scope: Scope, reviewItemId: string): Promise<string | null> {
      const found = await db(scope).breakGlassGrant.findFirst({ where: { tenantId: scope.tenantId, reviewItemId }, select: { id: true } })
      return found?.id ?? null
    },

    /** For the graph: `query` is plugin-prisma's own; the policies decide whose rows there are. */
    graphGrants: <Query extends object>(scope: Scope, query: Query) =>
      db(scope).breakGlassGrant.findMany({ ...query, where: { tenantId: scope.tenantId }, orderBy: { id: 'desc' } }),
    graphGrant: <Query extends object>(scope: Scope, query: Query, id: string) =>
      db(scope).breakGlassGrant.findUnique({ ...query, where: { tenantId_id: { tenantId: scope.tenantId, id } } }),
  }
}

export type EmergencyRepo = ReturnType<typeof createRepo>
