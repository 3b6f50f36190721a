/** Disclosure grants as they are kept, and what is left of the caller's own by the database's clock, which its policies go by too. */
import type { Purpose, Scope } from '../../../kernel/scope.ts'
import type { DisclosureGrant, Prisma } from '../../../platform/db/generated/client.ts'
import type { ModuleDb, ModuleSql } from '../../../platform/module.ts'
import type { CareModels } from '../repo.ts'

/** One live grant of the caller, cut by consent. */
export interface Disclosed {
  readonly id: string
  readonly recipientId: string
  readonly orderId: string | null
  readonly expiresAt: Date
  readonly fields: readonly string[]
}

export function createDisclosureRepo(db: ModuleDb<CareModels>, sql: ModuleSql) {
  return {
    find: (scope: Scope, id: string): Promise<DisclosureGrant | null> =>
      db(scope).disclosureGrant.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } } }),

    add: (scope: Scope, data: Omit<Prisma.DisclosureGrantUncheckedCreateInput, 'tenantId'>): Promise<DisclosureGrant> =>
      db(scope).disclosureGrant.create({ data: { ...data, tenantId: scope.tenantId } }),

    of: (scope: Scope, recipientId: string, take: number): Promise<DisclosureGrant[]> =>
      db(scope).disclosureGrant.findMany({ where: { tenantId: scope.tenantId, recipientId }, orderBy: { id: 'desc' }, take }),

    /** The closed grant; null when it was closed before. */
    async close(scope: Scope, id: string, at: Date): Promise<DisclosureGrant | null> {
      const [closed] = await db(scope).disclosureGrant.updateManyAndReturn({
        where: { tenantId: scope.tenantId, id, revokedAt: null },
        data: { revokedAt: at, version: { increment: 1 } },
      })
      return closed ?? null
    },

    /** The fields of a recipient that live consents let a member use, for any purpose. */
    async consented(scope: Scope, recipientId: string, membershipId: string): Promise<ReadonlySet<string>> {
      const rows = await sql(scope).$queryRaw<{ field: string }[]>`
        select distinct unnest(c.field_set) as field
        from care.consent c join care.party p on p.tenant_id = c.tenant_id and p.id = c.grantee_id
        where c.tenant_id = ${scope.tenantId}::uuid and c.recipient_id = ${recipientId}::uuid and p.membership_id = ${membershipId}::uuid
          and c.state::text = 'GRANTED' and (c.valid_to is null or c.valid_to > now())`
      return new Set(rows.map(({ field }) => field))
    },

    /** The caller's live grants, newest first, cut for a purpose. */
    disclosed(scope: Scope, purpose: Purpose | null, id: string | null, most: number): Promise<Disclosed[]> {
      // Nobody reads for no purpose.
      if (purpose === null) return Promise.resolve([])
      return sql(scope).$queryRaw<Disclosed[]>`
        select d.grant_id as id, d.recipient_id as "recipientId", d.order_id as "orderId", d.expires_at as "expiresAt", d.fields
        from gate.my_disclosures(${purpose}) d
        where ${id}::uuid is null or d.grant_id = ${id}::uuid
        order by d.grant_id desc limit ${most}`
    },

    /** The envelopes of these recipients: of each only what a seller's login may select. */
    envelopes(scope: Scope, recipientIds: readonly string[]): Promise<{ id: string; phi: string }[]> {
      return sql(scope).$queryRaw<{ id: string; phi: string }[]>`
        select r.id, r.phi from care.recipient r
        where r.tenant_id = ${scope.tenantId}::uuid and r.id = any(${[...recipientIds]}::uuid[])`
    },
  }
}

export type DisclosureRepo = ReturnType<typeof createDisclosureRepo>
