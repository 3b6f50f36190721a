/** The keys that sign checkpoints, shared by all processes; their private parts only as sealed. */
import type { Scope } from '../../kernel/scope.ts'
import type { CheckpointKey } from '../../platform/db/generated/client.ts'
import type { ModuleDb, ModuleSql } from '../../platform/module.ts'

export function createKeyRepo({ db, sql }: { db: ModuleDb<'CheckpointKey'>; sql: ModuleSql }) {
  return {
    /** The newest key, and nobody else makes one until the command ends. */
    async hold(scope: Scope): Promise<CheckpointKey | null> {
      await sql(scope).$executeRaw`select pg_advisory_xact_lock(hashtext('maristan checkpoint key'))`
      return db(scope).checkpointKey.findFirst({ orderBy: { createdAt: 'desc' } })
    },

    async add(scope: Scope, data: Pick<CheckpointKey, 'keyId' | 'publicKey' | 'privateKey'>): Promise<void> {
      await db(scope).checkpointKey.create({ data, select: { keyId: true } })
    },
  }
}

export type KeyRepo = ReturnType<typeof createKeyRepo>
