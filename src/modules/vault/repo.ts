/** Vault's tables: wrapped keys only. */
import type { Scope } from '../../kernel/scope.ts'
import type { ErasureCertificate, PlatformKey, ReencryptionRun, SubjectKey, TenantKey } from '../../platform/db/generated/client.ts'
import type { ModuleDb, ModuleSql } from '../../platform/module.ts'
import type { LookupKeyRow, SubjectKeyRow } from './key-ring.ts'

export type VaultModels = 'TenantKey' | 'SubjectKey' | 'LookupKey' | 'PlatformKey' | 'ReencryptionRun' | 'ErasureCertificate'

/** A subject's key beside the data key that wraps it; without one where it is destroyed. */
interface JoinedKeys extends Pick<SubjectKey, 'subjectId' | 'state' | 'wrapped' | 'seals'> {
  readonly version: number | null
  readonly dataKey: string | null
  readonly kekId: string | null
}

const joined = { include: { tenantKey: true }, relationLoadStrategy: 'join' } as const

export function createRepo(db: ModuleDb<VaultModels>, sql: ModuleSql) {
  return {
    /** The data key that new subject keys are wrapped with. */
    activeTenantKey: (scope: Scope): Promise<TenantKey | null> =>
      db(scope).tenantKey.findFirst({ where: { tenantId: scope.tenantId, state: 'ACTIVE' }, orderBy: { version: 'desc' } }),

    tenantKeys: (scope: Scope): Promise<TenantKey[]> =>
      db(scope).tenantKey.findMany({ where: { tenantId: scope.tenantId }, orderBy: { version: 'asc' } }),

    /**
     * Whoever makes another data key, or moves those there are to another key encryption key, takes turns until the end of the command. A lock of
     * no row: it keeps nobody from making people, and gives the transaction no number, so the audit trail is sealed while the KMS is asked.
     */
    async lockTenantKeys(scope: Scope): Promise<void> {
      await sql(scope).$queryRaw`select 1 as held from pg_advisory_xact_lock(hashtext('maristan data keys'), hashtext(${scope.tenantId}::text))`
    },

    async addTenantKey(scope: Scope, data: Pick<TenantKey, 'version' | 'wrapped' | 'kekId'> & { readonly ownKek?: boolean }): Promise<void> {
      await db(scope).tenantKey.create({ data: { ...data, tenantId: scope.tenantId }, select: { version: true } })
    },

    async changeTenantKey(scope: Scope, version: number, data: Partial<Omit<TenantKey, 'tenantId' | 'version' | 'liveVersion'>>): Promise<void> {
      await db(scope).tenantKey.updateMany({ where: { tenantId: scope.tenantId, version }, data })
    },

    async addSubjectKeys(scope: Scope, rows: readonly Pick<SubjectKey, 'subjectId' | 'tenantKeyVersion' | 'wrapped'>[]): Promise<void> {
      await db(scope).subjectKey.createMany({ data: rows.map((row) => ({ ...row, tenantId: scope.tenantId })) })
    },

    /** The wrapped keys of these subjects, each with the data key that wraps it, in one query. */
    async subjectKeys(scope: Scope, subjectIds: readonly string[]): Promise<SubjectKeyRow[]> {
      const { tenantId } = scope
      const rows = await sql(scope).$queryRaw<JoinedKeys[]>`
        select k.subject_id as "subjectId", k.state::text as state, k.wrapped, k.seals, t.version, t.wrapped as "dataKey", t.kek_id as "kekId"
        from vault.subject_key k left join vault.tenant_key t on t.tenant_id = k.tenant_id and t.version = k.tenant_key_version
        where k.tenant_id = ${tenantId}::uuid and k.subject_id = any(${[...subjectIds]}::uuid[])`
      return rows.map(({ subjectId, state, wrapped, seals, version, dataKey, kekId }) => {
        const tenantKey = version === null || kekId === null ? null : { tenantId, version, wrapped: dataKey, kekId }
        return { tenantId, subjectId, state, wrapped, seals, tenantKey }
      })
    },

    /** Counts that a person's key has sealed so many times more. */
    countSeals: (scope: Scope, subjectId: string, seals: number): Promise<number> =>
      sql(scope).$executeRaw`
        update vault.subject_key set seals = seals + ${seals} where tenant_id = ${scope.tenantId}::uuid and subject_id = ${subjectId}::uuid`,

    /** Counts that a data key has wrapped so many keys more. */
    countWraps: (scope: Scope, version: number, wraps: number): Promise<number> =>
      sql(scope).$executeRaw`
        update vault.tenant_key set seals = seals + ${wraps} where tenant_id = ${scope.tenantId}::uuid and version = ${version}`,

    async countSubjectKeys(scope: Scope): Promise<ReadonlyMap<number | null, number>> {
      const groups = await db(scope).subjectKey.groupBy({
        by: ['tenantKeyVersion'],
        where: { tenantId: scope.tenantId },
        _count: { _all: true },
      })
      return new Map(groups.map(({ tenantKeyVersion, _count }) => [tenantKeyVersion, _count._all]))
    },

    /** The first subject keys that are wrapped with an older data key than this version; all with the same one. */
    async staleSubjectKeys(scope: Scope, version: number, most: number): Promise<SubjectKey[]> {
      const oldest = await db(scope).subjectKey.findFirst({
        where: { tenantId: scope.tenantId, tenantKeyVersion: { lt: version } },
        orderBy: [{ tenantKeyVersion: 'asc' }, { subjectId: 'asc' }],
        select: { tenantKeyVersion: true },
      })
      if (!oldest) return []
      return db(scope).subjectKey.findMany({
        where: { tenantId: scope.tenantId, tenantKeyVersion: oldest.tenantKeyVersion },
        orderBy: { subjectId: 'asc' },
        take: most,
      })
    },

    /** Puts the new wraps in place of exactly those that were read; answers how many were still there. */
    moveSubjectKeys: (scope: Scope, version: number, moves: readonly { subjectId: string; from: string; to: string }[]): Promise<number> =>
      sql(scope).$executeRaw`
        update vault.subject_key k set wrapped = m.next, tenant_key_version = ${version}
        from unnest(${moves.map((one) => one.subjectId)}::uuid[], ${moves.map((one) => one.from)}::text[], ${moves.map((one) => one.to)}::text[])
          as m (subject, former, next)
        where k.tenant_id = ${scope.tenantId}::uuid and k.subject_id = m.subject and k.wrapped = m.former`,

    /** Destroys a subject's key; the row as it was, or null when there is none that is not destroyed. */
    async destroySubjectKey(scope: Scope, subjectId: string): Promise<SubjectKeyRow | null> {
      const found = await db(scope).subjectKey.findFirst({ where: { tenantId: scope.tenantId, subjectId, state: 'ACTIVE' }, ...joined })
      if (!found) return null
      await sql(scope).$executeRaw`
        update vault.subject_key set state = 'DESTROYED', wrapped = null, tenant_key_version = null, destroyed_at = now()
        where tenant_id = ${scope.tenantId}::uuid and subject_id = ${subjectId}::uuid and state = 'ACTIVE'`
      return found
    },

    /** Destroys the keys of some people; how many. */
    destroySubjectKeys: (scope: Scope, most: number): Promise<number> =>
      sql(scope).$executeRaw`
        update vault.subject_key set state = 'DESTROYED', wrapped = null, tenant_key_version = null, destroyed_at = now()
        where tenant_id = ${scope.tenantId}::uuid and subject_id in (
          select subject_id from vault.subject_key where tenant_id = ${scope.tenantId}::uuid and state <> 'DESTROYED'
          order by subject_id limit ${most})`,

    /** When a person's key was made; null for one who never had any. */
    async keyMadeAt(scope: Scope, subjectId: string): Promise<Date | null> {
      const where = { tenantId_subjectId: { tenantId: scope.tenantId, subjectId } }
      return (await db(scope).subjectKey.findUnique({ where, select: { createdAt: true } }))?.createdAt ?? null
    },

    erasure: (scope: Scope, subjectId: string): Promise<ErasureCertificate | null> =>
      db(scope).erasureCertificate.findFirst({ where: { tenantId: scope.tenantId, subjectId }, orderBy: { id: 'desc' } }),

    async keepDocument(scope: Scope, id: string, document: string): Promise<void> {
      await db(scope).erasureCertificate.updateMany({ where: { tenantId: scope.tenantId, id, document: null }, data: { document } })
    },

    addCertificate: async (
      scope: Scope,
      data: { id: string; subjectId: string; keyIds: string[]; erasedBy: string; backupsUntil: Date | null },
    ): Promise<void> => {
      await db(scope).erasureCertificate.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } })
    },

    /** Generations of the lookup key that are in use, the oldest first. */
    lookupKeys: (scope: Scope): Promise<LookupKeyRow[]> =>
      db(scope).lookupKey.findMany({
        where: { tenantId: scope.tenantId, state: { not: 'DESTROYED' } },
        orderBy: { generation: 'asc' },
        ...joined,
      }),

    async newestGeneration(scope: Scope): Promise<number> {
      const { _max } = await db(scope).lookupKey.aggregate({ where: { tenantId: scope.tenantId }, _max: { generation: true } })
      return _max.generation ?? 0
    },

    async addLookupKey(
      scope: Scope,
      data: { generation: number; tenantKeyVersion: number; wrapped: string; state: 'BUILDING' | 'ACTIVE' },
    ): Promise<void> {
      await db(scope).lookupKey.create({ data: { ...data, tenantId: scope.tenantId }, select: { generation: true } })
    },

    async changeLookupKey(
      scope: Scope,
      generation: number,
      data: { wrapped?: string | null; tenantKeyVersion?: number | null; state?: 'ACTIVE' | 'DESTROYED'; destroyedAt?: Date },
    ): Promise<void> {
      await db(scope).lookupKey.updateMany({ where: { tenantId: scope.tenantId, generation }, data })
    },

    /** The run that is not done, locked for this command: two workers take turns. */
    async lockRun(scope: Scope): Promise<ReencryptionRun | null> {
      await sql(scope).$queryRaw`select id from vault.reencryption_run where tenant_id = ${scope.tenantId}::uuid and state = 'RUNNING' for update`
      return db(scope).reencryptionRun.findFirst({ where: { tenantId: scope.tenantId, state: 'RUNNING' } })
    },

    latestRun: (scope: Scope): Promise<ReencryptionRun | null> =>
      db(scope).reencryptionRun.findFirst({ where: { tenantId: scope.tenantId }, orderBy: { id: 'desc' } }),

    async addRun(scope: Scope, data: Pick<ReencryptionRun, 'id' | 'table' | 'fromVersion' | 'toVersion'>): Promise<void> {
      await db(scope).reencryptionRun.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } })
    },

    async changeRun(scope: Scope, id: string, data: { cursor?: string; done?: number; state?: 'DONE'; finishedAt?: Date }): Promise<void> {
      await db(scope).reencryptionRun.updateMany({ where: { tenantId: scope.tenantId, id }, data })
    },

    /** Milliseconds since a moment, by the database's clock, which wrote it. */
    async ageMs(scope: Scope, since: Date): Promise<number> {
      const rows = await sql(scope).$queryRaw<{ ms: number }[]>`
        select (extract(epoch from clock_timestamp() - ${since}::timestamptz) * 1000)::double precision as ms`
      return rows[0]!.ms
    },

    platformKeys: (scope: Scope): Promise<PlatformKey[]> => db(scope).platformKey.findMany({ orderBy: { version: 'asc' } }),

    /** Adds the platform's key unless another process was first; waits for that process to commit. */
    async addPlatformKey(scope: Scope, data: Pick<PlatformKey, 'version' | 'wrapped' | 'kekId'>): Promise<boolean> {
      const { count } = await db(scope).platformKey.createMany({ data: [data], skipDuplicates: true })
      return count === 1
    },
  }
}

export type VaultRepo = ReturnType<typeof createRepo>
