/**
 * Emergency: a record outside one's reach, opened at once and answered for afterwards ("break-glass", 45 CFR 164.312(a)(2)(ii)). It lets
 * nobody change anything.
 *
 * Glossary
 * - **grant**: one person may read one recipient's record, for 60 minutes at most, for a reason.
 * - **fresh second factor**: a code of the authenticator, or the session's step-up sign-in of the last five minutes, taken in the same
 *   transaction as the grant is made, and good for that one.
 * - **review**: every grant puts an item into the review queue, which a compliance officer has to decide; it never lapses.
 *
 * A clinician's grant opens the record wherever the record is shown; a compliance officer, who holds no `phi:read`, reads it through
 * `record` alone.
 *
 * @example
 * const { id } = await emergency.openAccess(scope, { recipientId, reason: 'Found unconscious, no relative', minutes: 30, code })
 */
import { z } from 'zod'
import { event } from '../../../kernel/event.ts'
import { fault } from '../../../kernel/fault.ts'
import { line, uuid, type ContractOf, type Methods } from '../../../platform/contract.ts'
import { phiFields } from '../../care/contract.ts'

export const accessOver = fault('denied', 'EMERGENCY_OVER', 'This emergency access is over. Open another if the emergency goes on.')

export const accessOpened = event('emergency.access.opened', z.object({ grantId: uuid }))
export const accessEnded = event('emergency.access.ended', z.object({ grantId: uuid }))

/** How long a grant holds at most. The table's own check says the same. */
export const mostMinutes = 60

export const emergencyMethods = {
  /**
   * Opens one recipient's record to the caller. `code`: a current code of her authenticator; without it a fresh step-up sign-in is used up.
   * Needs `phi:break_glass`. Commits by itself.
   * @throws NOT_FOUND, CODE_REFUSED, FACTOR_NEEDED, TOTP_NOT_ENROLLED, TOO_MANY_REQUESTS
   */
  openAccess: {
    input: z.object({
      recipientId: uuid,
      reason: line(500).refine((text) => text.length >= 10, 'says in a sentence why, in at least 10 characters'),
      minutes: z.int().min(1).max(mostMinutes),
      code: z.string().min(1).max(64).optional(),
    }),
    output: z.object({ id: uuid, reviewItemId: uuid, expiresAt: z.iso.datetime() }),
  },
  /** Gives one's own grant back before its time. Needs `phi:break_glass`. @throws NOT_FOUND, EMERGENCY_OVER */
  endAccess: { input: z.object({ id: uuid }), output: z.object({ id: uuid, endedAt: z.iso.datetime() }) },
  /** What one's own live grant opens. Needs `phi:break_glass`. @throws NOT_FOUND, EMERGENCY_OVER */
  record: { input: z.object({ id: uuid }), output: z.object({ recipientId: uuid, fields: z.partialRecord(z.enum(phiFields), z.string()) }) },
} satisfies Methods

export type Emergency = ContractOf<typeof emergencyMethods>

declare module '../../../platform/module.ts' {
  interface Contracts {
    emergency: Emergency
  }
}
