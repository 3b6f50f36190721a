/** Tells a tenant's compliance officers that a record was opened in an emergency, and again when nobody reviews it. */
import type { Scope } from '../../../kernel/scope.ts'
import type { Mail } from '../../../platform/mail.ts'
import type { Identity } from '../../identity/contract.ts'
import { emergencyLetter } from './letter.ts'
import type { EmergencyRepo } from './repo.ts'

export function createNotice(parts: { repo: EmergencyRepo; identity: Pick<Identity, 'addressesOf'>; mail: Mail }) {
  const { repo, identity, mail } = parts

  const write = async (scope: Scope, grantId: string, isOverdue: boolean): Promise<void> => {
    const { people } = await identity.addressesOf(scope, { role: 'compliance_officer' })
    for (const { email, locale } of people) await mail.send(emergencyLetter(email, { locale, grantId, isOverdue }))
    scope.unit.record({
      action: 'break_glass.notified',
      resource: 'BreakGlassGrant',
      resourceId: grantId,
      // An officer-less tenant shows here: somebody has to be made one.
      outcome: people.length > 0 ? 'done' : 'failed',
      detail: { officers: people.length, isOverdue },
    })
  }

  return {
    opened: (scope: Scope, { grantId }: { readonly grantId: string }) => write(scope, grantId, false),

    async overdue(scope: Scope, { itemId }: { readonly itemId: string }) {
      const grantId = await repo.grantOfReview(scope, itemId)
      if (grantId !== null) await write(scope, grantId, true)
    },
  }
}
