/** Disclosure's use cases: opening named fields to a seller's member, closing them, and what is left of a grant at a read. */
import { invalidInput, notFound } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import { memberIdOf, type Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import type { ServiceOf } from '../../../platform/contract.ts'
import type { DisclosureGrant } from '../../../platform/db/generated/client.ts'
import {
  disclosureClosed,
  disclosureClosedAlready,
  disclosureNotConsented,
  disclosureOpened,
  granteeNoMember,
  longestDisclosureDays,
  mostDisclosures,
  type disclosureMethods,
  type DisclosureView,
} from '../contract-disclosure.ts'
import { recipientArchived } from '../contract.ts'
import type { CareParts } from '../circle/service.ts'
import { phiFields, type PhiField } from '../contract-fields.ts'
import { reachOf } from '../reach.ts'
import { selfGrant } from '../rules.ts'
import type { DisclosureRepo } from './repo.ts'

const dayMs = 86_400_000

/** Known names alone, in the order of the record. */
const named = (fields: readonly string[]): PhiField[] => phiFields.filter((one) => fields.includes(one))

const shown = ({ id, recipientId, membershipId, orderId, fields, expiresAt, revokedAt }: DisclosureGrant): DisclosureView => ({
  id,
  recipientId,
  membershipId,
  orderId,
  fields: named(fields),
  expiresAt: expiresAt.toISOString(),
  revokedAt: revokedAt?.toISOString() ?? null,
})

type DisclosureParts = Pick<CareParts, 'repo' | 'circle' | 'reach' | 'clock'> & { readonly disclosures: DisclosureRepo }

export function disclosureUseCases({ repo, circle, reach, clock, disclosures }: DisclosureParts): ServiceOf<typeof disclosureMethods> {
  const note = (scope: Scope, action: string, { id, recipientId, fields }: DisclosureGrant): void =>
    scope.unit.record({ action, resource: 'DisclosureGrant', resourceId: id, subjectId: recipientId, outcome: 'done', detail: { fields } })

  const refuseMoment = (expiresAt: Date): void => {
    const aheadMs = expiresAt.getTime() - clock.nowMs()
    const message = aheadMs <= 0 ? 'is not in the future' : aheadMs > longestDisclosureDays * dayMs ? `is more than ${longestDisclosureDays} days away` : null
    if (message) throw invalidInput({ issues: [{ path: 'expiresAt', message }] })
  }

  return {
    async openDisclosure(scope, { recipientId, granteeId, fields: wanted, expiresAt, orderId }) {
      need(scope, 'consent:manage')
      refuseMoment(expiresAt)
      const recipient = await repo.findRecipient(scope, recipientId)
      if (!recipient) throw notFound()
      await reach.need(scope, 'consent:manage', recipientId)
      if (recipient.state === 'ARCHIVED') throw recipientArchived()
      const grantee = await circle.findParty(scope, granteeId)
      if (!grantee) throw notFound()
      if (grantee.membershipId === null) throw granteeNoMember()
      if (grantee.membershipId === memberIdOf(scope)) throw selfGrant()
      const consented = await disclosures.consented(scope, recipientId, grantee.membershipId)
      const fields = named(wanted).filter((field) => consented.has(field))
      if (fields.length === 0) throw disclosureNotConsented()
      const opened = await disclosures.add(scope, {
        id: newId(),
        recipientId,
        membershipId: grantee.membershipId,
        orderId: orderId ?? null,
        fields,
        expiresAt,
        createdBy: memberIdOf(scope),
      })
      note(scope, 'disclosure.opened', opened)
      scope.unit.publish(disclosureOpened, opened.id, { grantId: opened.id, orderId: opened.orderId })
      return shown(opened)
    },

    async closeDisclosure(scope, { id, reason }) {
      need(scope, 'consent:manage')
      const grant = await disclosures.find(scope, id)
      if (!grant) throw notFound()
      await reach.need(scope, 'consent:manage', grant.recipientId)
      const closed = await disclosures.close(scope, id, new Date(clock.nowMs()))
      if (!closed) throw disclosureClosedAlready()
      note(scope, 'disclosure.closed', closed)
      scope.unit.publish(disclosureClosed, id, { grantId: id, reason })
      return shown(closed)
    },

    async disclosuresOf(scope, { recipientId }) {
      need(scope, 'consent:manage')
      if (!(await repo.findRecipient(scope, recipientId))) throw notFound()
      await reach.need(scope, 'consent:manage', recipientId)
      return { grants: (await disclosures.of(scope, recipientId, mostDisclosures)).map(shown) }
    },

    async disclosed(scope, { id }) {
      need(scope, 'phi:read')
      if (reachOf(scope, 'phi:read') !== 'G') return { records: [] }
      const rows = await disclosures.disclosed(scope, scope.purpose, id ?? null, mostDisclosures)
      return { records: rows.map((row) => ({ ...row, fields: named(row.fields), expiresAt: row.expiresAt.toISOString() })) }
    },
  }
}
