/** A member's authenticator, as tests hold it: enrolled past the contract, and asked for a code that has not been used yet. */
import type { TestDatabase } from './postgres.ts'
import type { Caller } from '../../src/kernel/scope.ts'
import { newTotpSecret, totpCode, totpStep } from '../../src/modules/identity/credentials/totp.ts'
import { totpSecretPlace } from '../../src/modules/identity/keys.ts'
import type { Vault } from '../../src/modules/vault/contract.ts'
import type { Composed } from '../../src/platform/compose.ts'
import type { Database } from '../../src/platform/db/database.ts'
import { authLogin } from '../../src/platform/module.ts'

interface House {
  readonly at: Pick<TestDatabase, 'owner'>
  readonly database: Database
  readonly composed: Composed
}

/** @returns a function that answers a fresh code each time; what was used in the same half minute is forgotten. */
export async function enrol({ at, database, composed }: House, { tenantId, actor }: Caller, nowMs = () => Date.now()): Promise<() => Promise<string>> {
  if (actor.kind !== 'member') throw new Error('Only a member has an authenticator.')
  const [person] = await at.owner<{ id: string }>('select identity_id as id from identity.membership where tenant_id = $1 and id = $2', [
    tenantId,
    actor.membershipId,
  ])
  const identityId = person!.id
  const vault = composed.made['vault']!.contract as Vault
  const secret = newTotpSecret()
  const nobody: Caller = {
    tenantId,
    plane: null,
    actor: { kind: 'anonymous' },
    permissions: new Set(),
    purpose: null,
    requestId: 'enrol',
    sourceAddress: null,
    userAgent: null,
  }
  const sealed = await database.unit(nobody).command(async (scope) => {
    scope.unit.record({ action: 'totp.planted', resource: 'TotpDevice', outcome: 'done' })
    return (await vault.sealSecrets(scope, { items: [{ ...totpSecretPlace(tenantId, identityId), value: secret }] })).sealed[0]
  }, authLogin)
  await at.owner('insert into identity.totp_device (tenant_id, identity_id, secret, confirmed_at) values ($1, $2, $3, now())', [
    tenantId,
    identityId,
    sealed,
  ])
  return async () => {
    await at.owner('update identity.totp_device set last_step = 0 where tenant_id = $1 and identity_id = $2', [tenantId, identityId])
    return totpCode({ secret, step: totpStep(nowMs()) })
  }
}
