/** Emergency's use cases. The second factor, the grant and its review are one transaction: none is there without the others. */
import { notFound, tooMany, unauthenticated, type Fault } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import { memberIdOf, type Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import { checked } from '../../../platform/contract.ts'
import { sha256Hex } from '../../../platform/crypto/hash.ts'
import type { BreakGlassGrant } from '../../../platform/db/generated/client.ts'
import { phiFields, type Care } from '../../care/contract.ts'
import { codeRefused, factorNeeded, totpNotEnrolled, type Identity } from '../../identity/contract.ts'
import type { Vault } from '../../vault/contract.ts'
import type { Hitl } from '../hitl/contract.ts'
import { accessEnded, accessOpened, accessOver, emergencyMethods, type Emergency } from './contract.ts'
import type { EmergencyRepo } from './repo.ts'

export interface EmergencyParts {
  readonly repo: EmergencyRepo
  readonly care: Pick<Care, 'openRecord'>
  readonly identity: Pick<Identity, 'useFactor'>
  readonly hitl: Pick<Hitl, 'open'>
  readonly vault: Vault
}

const permission = 'phi:break_glass'
/** An officer has a day before the review escalates. */
const slaMs = 24 * 3_600_000

const refusals = {
  WRONG: codeRefused,
  LIMIT: () => tooMany({ retryAfterSeconds: 3_600 }),
  NOT_ENROLLED: totpNotEnrolled,
  NO_STEP_UP: factorNeeded,
} as const satisfies Record<string, () => Fault>

export const grantPlace = (id: string) => ({ model: 'BreakGlassGrant', field: 'phi', rowId: id })

export function createEmergency({ repo, care, identity, hitl, vault }: EmergencyParts): Emergency {
  const me = (scope: Scope): string => {
    need(scope, permission)
    const membershipId = memberIdOf(scope)
    if (membershipId === null) throw unauthenticated()
    return membershipId
  }

  /** The caller's own grant; an officer sees others' too, and they open nothing to her. */
  const own = async (scope: Scope, id: string): Promise<BreakGlassGrant> => {
    const membershipId = me(scope)
    const grant = await repo.find(scope, id)
    if (!grant || grant.membershipId !== membershipId) throw notFound()
    return grant
  }

  const note = (scope: Scope, act: string, grant: Pick<BreakGlassGrant, 'id' | 'recipientId'>, detail: Record<string, number> = {}): void =>
    scope.unit.record({
      action: `break_glass.${act}`,
      resource: 'BreakGlassGrant',
      resourceId: grant.id,
      subjectId: grant.recipientId,
      outcome: 'done',
      detail,
    })

  return checked(emergencyMethods, {
    async openAccess(scope, { recipientId, reason, minutes, code }) {
      const membershipId = me(scope)
      const id = newId()
      const ending = await repo.inAuthCommand(scope, async (inside) => {
        const { outcome } = await identity.useFactor(inside, code === undefined ? {} : { code })
        // A refusal commits: the code was tried, and that it was stays counted.
        if (outcome !== 'PROVEN') return refuse(inside, refusals[outcome]())
        if (!(await repo.recipientExists(inside, recipientId))) return refuse(inside, notFound())
        const { id: reviewItemId } = await hitl.open(inside, {
          kind: 'BREAK_GLASS',
          subjectType: 'BreakGlassGrant',
          subjectId: id,
          recipientId,
          subjectDigest: sha256Hex(`${id}|${recipientId}|${membershipId}|${minutes}`),
          risk: 'HIGH',
          slaMs,
          expiresMs: null,
          quorum: 1,
        })
        const { sealed } = await vault.seal(inside, { items: [{ subjectId: recipientId, ...grantPlace(id), record: { reason } }] })
        const expiresAt = await repo.add(inside, { id, recipientId, membershipId, phi: sealed[0]!, reviewItemId, minutes })
        note(inside, 'opened', { id, recipientId }, { minutes })
        inside.unit.publish(accessOpened, id, { grantId: id })
        return { reviewItemId, expiresAt }
      })
      if ('fault' in ending) throw ending.fault
      return { id, reviewItemId: ending.reviewItemId, expiresAt: ending.expiresAt.toISOString() }
    },

    async endAccess(scope, { id }) {
      const grant = await own(scope, id)
      const endedAt = await repo.end(scope, id)
      if (!endedAt) throw accessOver()
      note(scope, 'ended', grant)
      scope.unit.publish(accessEnded, id, { grantId: id })
      return { id, endedAt: endedAt.toISOString() }
    },

    async record(scope, { id }) {
      const grant = await own(scope, id)
      const { recipientId } = grant
      if (!(await repo.isLive(scope, id))) throw accessOver()
      note(scope, 'read', grant)
      const { fields } = await care.openRecord(scope, { recipientId, fields: [...phiFields] })
      return { recipientId, fields }
    },
  })

  function refuse(inside: Scope, fault: Fault): { fault: Fault } {
    inside.unit.record({
      action: 'break_glass.refused',
      resource: 'BreakGlassGrant',
      outcome: 'denied',
      detail: { reason: fault.code },
    })
    return { fault }
  }
}
