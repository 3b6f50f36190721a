/** Our own SAML keys of one tenant. The private part is sealed. */
import type { Scope } from '../../../kernel/scope.ts'
import type { Prisma, SamlKey } from '../../../platform/db/generated/client.ts'
import type { ModuleDb, ModuleSql } from '../../../platform/module.ts'

export type { SamlKey }

export function createKeyRepo(db: ModuleDb<'SamlKey'>, sql: ModuleSql) {
  const published = (scope: Scope, now: Date): Promise<SamlKey[]> =>
    db(scope).samlKey.findMany({
      where: { tenantId: scope.tenantId, retireAt: { gt: now } },
      orderBy: [{ activeFrom: 'desc' }, { id: 'desc' }],
      take: 20,
    })
  return {
    /** Those still published, the newest first. */
    published,

    /** The same, and nobody else makes one of this tenant's until the command ends. */
    async hold(scope: Scope, now: Date): Promise<SamlKey[]> {
      await sql(scope).$executeRaw`select pg_advisory_xact_lock(hashtextextended('saml.key/' || ${scope.tenantId}::text, 0))`
      return published(scope, now)
    },

    add: (scope: Scope, data: Omit<Prisma.SamlKeyUncheckedCreateInput, 'tenantId'>) =>
      db(scope).samlKey.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } }),

    /** Whose end was set before to an earlier day keeps it: rolling again and again does not keep the first alive. */
    async retire(scope: Scope, ids: readonly string[], retireAt: Date): Promise<void> {
      await db(scope).samlKey.updateMany({ where: { tenantId: scope.tenantId, id: { in: [...ids] }, retireAt: { gt: retireAt } }, data: { retireAt } })
    },
  }
}

export type KeyRepo = ReturnType<typeof createKeyRepo>
