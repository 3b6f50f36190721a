/** Tenancy's tables. */
import type { Scope } from '../../kernel/scope.ts'
import type { ModuleDb } from '../../platform/module.ts'
import type { OperatorApproval, Prisma, Tenant } from '../../platform/db/generated/client.ts'

export function createRepo(db: ModuleDb<'Tenant' | 'OperatorApproval'>) {
  return {
    find: (scope: Scope): Promise<Tenant | null> => db(scope).tenant.findUnique({ where: { tenantId: scope.tenantId } }),

    /** The changed tenant, or null when `version` is not the stored one. */
    async update(scope: Scope, version: number, data: Prisma.TenantUpdateInput): Promise<Tenant | null> {
      const [changed] = await db(scope).tenant.updateManyAndReturn({
        where: { tenantId: scope.tenantId, version },
        data: { ...data, version: { increment: 1 } },
      })
      return changed ?? null
    },

    create: (scope: Scope, data: Omit<Prisma.TenantCreateInput, 'tenantId'>): Promise<Tenant> =>
      db(scope).tenant.create({ data: { ...data, tenantId: scope.tenantId } }),

    addApproval: (scope: Scope, data: Omit<Prisma.OperatorApprovalUncheckedCreateInput, 'tenantId'>): Promise<{ id: string }> =>
      db(scope).operatorApproval.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } }),

    findApproval: (scope: Scope, id: string): Promise<OperatorApproval | null> =>
      db(scope).operatorApproval.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } } }),

    /** False when it was withdrawn already. */
    async withdrawApproval(scope: Scope, id: string, withdrawn: { withdrawnBy: string; withdrawnAt: Date }): Promise<boolean> {
      const where = { tenantId: scope.tenantId, id, withdrawnAt: null }
      return (await db(scope).operatorApproval.updateMany({ where, data: withdrawn })).count > 0
    },

    approvalInForce: (scope: Scope, at: Date): Promise<OperatorApproval | null> =>
      db(scope).operatorApproval.findFirst({
        where: { tenantId: scope.tenantId, withdrawnAt: null, expiresAt: { gt: at } },
        orderBy: { expiresAt: 'desc' },
      }),

    /** The page that plugin-prisma asks for. */
    listApprovals: (scope: Scope, query: object) =>
      db(scope).operatorApproval.findMany({ ...query, where: { tenantId: scope.tenantId }, orderBy: { id: 'asc' } }),

    /** For the selection of a mutation's answer, after its commit. */
    showApproval: (scope: Scope, query: object, id: string) =>
      db(scope).operatorApproval.findUniqueOrThrow({ ...query, where: { tenantId_id: { tenantId: scope.tenantId, id } } }),
  }
}

export type TenancyRepo = ReturnType<typeof createRepo>
