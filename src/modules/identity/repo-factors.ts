/** Second factors' tables. Secrets arrive sealed and recovery codes hashed; nothing here opens or compares them. */
import type { Scope } from '../../kernel/scope.ts'
import type { ModuleDb, ModuleSql } from '../../platform/module.ts'

export function createFactorsRepo(db: ModuleDb<'TotpDevice' | 'RecoveryCode'>, sql: ModuleSql) {
  const key = (scope: Scope, identityId: string) => ({ tenantId: scope.tenantId, identityId })

  return {
    /**
     * A sealed secret that waits for its first code: in the place of an unconfirmed one, beside a confirmed one.
     * @returns false, and nothing changed, where one is confirmed and may not be replaced.
     */
    async enrol(scope: Scope, identityId: string, { sealed, mayReplace }: { sealed: string; mayReplace: boolean }): Promise<boolean> {
      const count = await sql(scope).$executeRaw`
        insert into identity.totp_device as d (tenant_id, identity_id, secret)
        values (${scope.tenantId}::uuid, ${identityId}::uuid, ${sealed})
        on conflict (tenant_id, identity_id) do update set
          secret = case when d.confirmed_at is null then excluded.secret else d.secret end,
          pending_secret = case when d.confirmed_at is null then null else excluded.secret end
        where d.confirmed_at is null or ${mayReplace}`
      return count === 1
    },

    /** The sealed secret that waits, or null. */
    async unconfirmed(scope: Scope, identityId: string): Promise<string | null> {
      const device = await db(scope).totpDevice.findUnique({ where: { tenantId_identityId: key(scope, identityId) } })
      return device?.confirmedAt ? device.pendingSecret : (device?.secret ?? null)
    },

    /** Puts the secret that waits in force, its code's step used up; false when it waits no longer. */
    async confirm(scope: Scope, identityId: string, { sealed, step, at }: { sealed: string; step: number; at: Date }): Promise<boolean> {
      const waits = { OR: [{ confirmedAt: null, secret: sealed }, { confirmedAt: { not: null }, pendingSecret: sealed }] }
      const { count } = await db(scope).totpDevice.updateMany({
        where: { ...key(scope, identityId), ...waits },
        data: { secret: sealed, pendingSecret: null, confirmedAt: at, lastStep: BigInt(step) },
      })
      return count === 1
    },

    async replaceRecoveryCodes(scope: Scope, identityId: string, hashes: readonly string[]): Promise<void> {
      const owner = key(scope, identityId)
      await db(scope).recoveryCode.deleteMany({ where: owner })
      await db(scope).recoveryCode.createMany({ data: hashes.map((codeHash) => ({ ...owner, codeHash })) })
    },

    async remove(scope: Scope, identityId: string): Promise<void> {
      const owner = key(scope, identityId)
      await db(scope).recoveryCode.deleteMany({ where: owner })
      await db(scope).totpDevice.deleteMany({ where: owner })
    },
  }
}

export type FactorsRepo = ReturnType<typeof createFactorsRepo>
