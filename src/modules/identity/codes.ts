/** A person's second factor, used up: a one-time code's step or a recovery code is taken by exactly one of those who come with it. */
import type { Clock } from '../../kernel/clock.ts'
import type { Scope } from '../../kernel/scope.ts'
import { checkTotp, hashRecoveryCode } from './credentials/totp.ts'
import { totpSecretPlace, type Secrets } from './keys.ts'
import type { IdentityRepo } from './repo.ts'

export interface Codes {
  /** Inside a command: false for a wrong code, a used one, or a person without a confirmed authenticator. */
  takeCode(inside: Scope, identityId: string, code: string): Promise<boolean>
  /** Inside a command: false for what is no unused recovery code of this person. */
  takeRecovery(inside: Scope, identityId: string, code: string): Promise<boolean>
}

export function createCodes({ repo, vault, clock }: { repo: IdentityRepo; vault: Secrets; clock: Clock }): Codes {
  return {
    async takeCode(inside, identityId, code) {
      const device = await repo.totp(inside, identityId)
      if (!device) return false
      const place = totpSecretPlace(inside.tenantId, identityId)
      const { values } = await vault.openSecrets(inside, { items: [{ ...place, sealed: device.secret }] })
      const step = checkTotp({ secret: values[0]!, code, nowMs: clock.nowMs(), lastStep: Number(device.lastStep) })
      return step !== null && (await repo.takeStep(inside, identityId, step))
    },

    async takeRecovery(inside, identityId, code) {
      const hash = hashRecoveryCode(code)
      const isTaken = hash !== null && (await repo.takeRecoveryCode(inside, identityId, hash, new Date(clock.nowMs())))
      if (isTaken) inside.unit.record({ action: 'recovery_code.used', resource: 'Identity', resourceId: identityId, outcome: 'done' })
      return isTaken
    },
  }
}
