/**
 * Care, disclosure: a member of a seller reads named protected fields of one recipient, until a moment. It gives nobody else anything.
 *
 * Glossary
 * - **disclosure grant**: who may read which fields of whom, and until when. It is closed, never widened; another one is opened.
 * - **cut by consent**: of a grant's fields only those count that a live consent of the recipient to the same person covers, for the
 *   purpose of the read. A consent that was withdrawn or has lapsed narrows the next read.
 * - **disclosed**: what is left of a live grant after the cut. Nothing left, and the record is not there.
 */
import { z } from 'zod'
import { event } from '../../kernel/event.ts'
import { fault } from '../../kernel/fault.ts'
import { uuid, type Methods } from '../../platform/contract.ts'
import { phiFields } from './contract-fields.ts'

export const disclosureNotConsented = fault(
  'conflict',
  'DISCLOSURE_NOT_CONSENTED',
  'No consent of this recipient lets that person read any of these fields. Record the consent first.',
)
export const disclosureClosedAlready = fault('conflict', 'DISCLOSURE_CLOSED', 'This disclosure is closed already.')
export const granteeNoMember = fault('conflict', 'GRANTEE_NO_MEMBER', 'This party is no member who signs in, and could read nothing.')

export const disclosureOpened = event('care.disclosure.opened', z.object({ grantId: uuid, orderId: uuid.nullable() }))
export const disclosureClosed = event('care.disclosure.closed', z.object({ grantId: uuid, reason: z.enum(['REVOKED', 'ORDER_ENDED']) }))

/** The longest a grant may last, and the most that one list shows. */
export const longestDisclosureDays = 366
export const mostDisclosures = 100

const field = z.enum(phiFields)
const grant = z.object({
  id: uuid,
  recipientId: uuid,
  membershipId: uuid,
  orderId: uuid.nullable(),
  fields: z.array(field),
  expiresAt: z.iso.datetime(),
  revokedAt: z.iso.datetime().nullable(),
})
export type DisclosureView = z.output<typeof grant>

export const disclosureMethods = {
  /**
   * Opens the named fields to the member that a party is. What no consent covers is left out from the start. Needs `consent:manage`.
   * @throws NOT_FOUND, RECIPIENT_ARCHIVED, GRANTEE_NO_MEMBER, SELF_GRANT, DISCLOSURE_NOT_CONSENTED
   */
  openDisclosure: {
    input: z.object({
      recipientId: uuid,
      granteeId: uuid,
      fields: z.array(field).min(1).max(phiFields.length),
      /** RFC 3339 with an offset; at most {@link longestDisclosureDays} days from now. */
      expiresAt: z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
      orderId: uuid.optional(),
    }),
    output: grant,
  },
  /** Ends a grant now, for good. Needs `consent:manage`. @throws NOT_FOUND, DISCLOSURE_CLOSED */
  closeDisclosure: { input: z.object({ id: uuid, reason: z.enum(['REVOKED', 'ORDER_ENDED']).default('REVOKED') }), output: grant },
  /** A recipient's grants, newest first, the closed ones too; at most {@link mostDisclosures}. Needs `consent:manage`. @throws NOT_FOUND */
  disclosuresOf: { input: z.object({ recipientId: uuid }), output: z.object({ grants: z.array(grant) }) },
  /**
   * What is disclosed to the caller now, for the purpose it reads for; of one grant, or the newest {@link mostDisclosures}. Needs `phi:read`
   * with reach G; everybody else has nothing. The fields are opened by the graph alone.
   */
  disclosed: {
    input: z.object({ id: uuid.optional() }),
    output: z.object({
      records: z.array(
        z.object({ id: uuid, recipientId: uuid, orderId: uuid.nullable(), fields: z.array(field), expiresAt: z.iso.datetime() }),
      ),
    }),
  },
} satisfies Methods
