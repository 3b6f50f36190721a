/** Tenancy's table. */
import type { Scope } from '../../kernel/scope.ts'
import type { ModuleDb } from '../../platform/module.ts'
import type { Prisma, Tenant } from '../../platform/db/generated/client.ts'

export function createRepo(db: ModuleDb<'Tenant'>) {
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
  }
}

export type TenancyRepo = ReturnType<typeof createRepo>
