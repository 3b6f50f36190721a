/** Vault's tables: wrapped keys only. */
import type { Scope } from '../../kernel/scope.ts'
import type { PlatformKey, SubjectKey, TenantKey } from '../../platform/db/generated/client.ts'
import type { ModuleDb } from '../../platform/module.ts'

export type SubjectKeyRow = SubjectKey & { readonly tenantKey: TenantKey }

export function createRepo(db: ModuleDb<'TenantKey' | 'SubjectKey' | 'PlatformKey'>) {
  return {
    /** The data key that new subject keys are wrapped with. */
    activeTenantKey: (scope: Scope): Promise<TenantKey | null> =>
      db(scope).tenantKey.findFirst({ where: { tenantId: scope.tenantId, state: 'ACTIVE' }, orderBy: { version: 'desc' } }),

    async hasTenantKey(scope: Scope): Promise<boolean> {
      return (await db(scope).tenantKey.count({ where: { tenantId: scope.tenantId } })) > 0
    },

    async addTenantKey(scope: Scope, data: Pick<TenantKey, 'version' | 'wrapped' | 'kekId'>): Promise<void> {
      await db(scope).tenantKey.create({ data: { ...data, tenantId: scope.tenantId }, select: { version: true } })
    },

    async addSubjectKeys(scope: Scope, rows: readonly Pick<SubjectKey, 'subjectId' | 'tenantKeyVersion' | 'wrapped'>[]): Promise<void> {
      await db(scope).subjectKey.createMany({ data: rows.map((row) => ({ ...row, tenantId: scope.tenantId })) })
    },

    /** The wrapped keys of these subjects, each with the data key that wraps it, in one query. */
    subjectKeys: (scope: Scope, subjectIds: readonly string[]): Promise<SubjectKeyRow[]> =>
      db(scope).subjectKey.findMany({
        where: { tenantId: scope.tenantId, subjectId: { in: [...subjectIds] } },
        include: { tenantKey: true },
        relationLoadStrategy: 'join',
      }),

    platformKeys: (scope: Scope): Promise<PlatformKey[]> => db(scope).platformKey.findMany({ orderBy: { version: 'asc' } }),

    /** Adds the platform's key unless another process was first; waits for that process to commit. */
    async addPlatformKey(scope: Scope, data: Pick<PlatformKey, 'version' | 'wrapped' | 'kekId'>): Promise<boolean> {
      const { count } = await db(scope).platformKey.createMany({ data: [data], skipDuplicates: true })
      return count === 1
    },
  }
}

export type VaultRepo = ReturnType<typeof createRepo>
