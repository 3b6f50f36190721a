/**
 * Custody: what a tenant decides about its keys and its data as a whole: its own key at the KMS, legal holds, and leaving. It reads no
 * record and destroys nothing itself: the operator carries out what was decided here, and the vault destroys keys.
 *
 * Glossary
 * - **legal hold**: a court, an investigation or a regulator wants a recipient's data, or the whole tenant's, kept: no erasure and no
 *   leaving until a compliance officer lifts it. Its reason is a kind and a file number, never a sentence.
 * - **offboarding**: a tenant leaves for good. An administrator of the tenant asks, with a fresh second factor and the public key that the
 *   last export is sealed to; the operator carries it out, after the waiting period: two people of two organisations.
 * - **certificate**: what was destroyed, when, with which keys, and which backups can still be opened and until when; signed.
 *
 * @example
 * const { dueAt } = await custody.askOffboarding(scope, { reason: 'We move to our own building', exportKey: pem, code })
 */
import { z } from 'zod'
import { event } from '../../../kernel/event.ts'
import { fault } from '../../../kernel/fault.ts'
import { line, uuid, type ContractOf, type Methods } from '../../../platform/contract.ts'
import { keyStatus } from '../../vault/contract.ts'

export { underLegalHold } from '../../vault/contract.ts'

export const exportKeyRefused = fault('invalid', 'EXPORT_KEY_REFUSED', 'The export key is not a public X25519 key in PEM. Keep the private one at home.')
export const offboardingOpen = fault('conflict', 'OFFBOARDING_OPEN', 'This organisation is leaving already. Cancel that first.')
export const offboardingNotAsked = fault(
  'conflict',
  'OFFBOARDING_NOT_ASKED',
  'Nobody has asked for this. An administrator of the organisation asks on the console, with a second factor.',
)
export const offboardingWaiting = fault<{ dueAt: string }>(
  'conflict',
  'OFFBOARDING_WAITING',
  ({ dueAt }) => `The waiting period lasts until ${dueAt}. Until then it can be cancelled.`,
)

export const holdPlaced = event('custody.hold.placed', z.object({ holdId: uuid }))
export const holdLifted = event('custody.hold.lifted', z.object({ holdId: uuid }))
export const offboardingAsked = event('custody.offboarding.asked', z.object({ offboardingId: uuid }))
export const offboardingCancelled = event('custody.offboarding.cancelled', z.object({ offboardingId: uuid }))

export const holdBases = ['LITIGATION', 'INVESTIGATION', 'REGULATOR'] as const
export const offboardingStates = ['WAITING', 'CLOSED', 'EXPORTED', 'SHREDDING', 'SWEPT', 'DONE', 'CANCELLED'] as const

const moment = z.iso.datetime()
/** Of the caller's authenticator; without it a fresh step-up sign-in is used up. */
const code = z.string().min(1).max(64).optional()

export const offboardingView = z.object({
  id: uuid,
  state: z.enum(offboardingStates),
  reason: z.string(),
  exportKey: z.string(),
  askedBy: uuid,
  askedAt: moment,
  dueAt: moment,
  /** By the database's clock. */
  isDue: z.boolean(),
  /** A legal hold of the tenant or of one of its recipients is in force. */
  isHeld: z.boolean(),
  closedAt: moment.nullable(),
  /** Names, counts and digests of what was done so far. */
  facts: z.record(z.string(), z.json()),
  certificate: z.string().nullable(),
})
export type OffboardingView = z.output<typeof offboardingView>

export const custodyMethods = {
  /** Holds a recipient, or with null the whole tenant. Needs `audit:export`; never a program. @throws NOT_FOUND */
  placeHold: {
    input: z.object({
      recipientId: uuid.nullable().default(null),
      basis: z.enum(holdBases),
      reference: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 ./_-]{0,63}$/, 'is a file number: at most 64 letters, digits, blanks and . / _ -'),
    }),
    output: z.object({ id: uuid }),
  },
  /** Lifts a hold; repeating it changes nothing. As placeHold. @throws NOT_FOUND */
  liftHold: { input: z.object({ id: uuid }), output: z.object({ id: uuid }) },
  /**
   * Asks for the tenant to leave. Needs `tenant:update`, a fresh second factor, and never a program. `exportKey`: a
   * public X25519 key, PEM. Commits by itself.
   * @throws OFFBOARDING_OPEN, EXPORT_KEY_REFUSED, CODE_REFUSED, TOTP_NOT_ENROLLED, TOO_MANY_REQUESTS
   */
  askOffboarding: {
    input: z.object({ reason: line(500), exportKey: z.string().max(2_000), code }),
    output: z.object({ id: uuid, dueAt: moment }),
  },
  /** Takes it back: an administrator while it waits, the operator until keys are destroyed. @throws OFFBOARDING_NOT_ASKED, INVALID_TRANSITION */
  cancelOffboarding: { input: z.object({}), output: z.object({ id: uuid }) },
  /** The newest, or null. Needs `tenant:read`; also for the operator. */
  offboarding: { input: z.object({}), output: z.object({ offboarding: offboardingView.nullable() }) },
  /**
   * The operator's next step; what has to be done for it is done. `facts` are added to those there are. The database refuses a step before
   * its time, past a hold or out of order.
   * @throws OFFBOARDING_NOT_ASKED, OFFBOARDING_WAITING, UNDER_LEGAL_HOLD, INVALID_TRANSITION
   */
  advanceOffboarding: {
    input: z.object({
      to: z.enum(['CLOSED', 'EXPORTED', 'SHREDDING', 'SWEPT', 'DONE']),
      facts: z.record(z.string(), z.json()).default({}),
      certificate: z.string().max(1_000_000).optional(),
    }),
    output: offboardingView,
  },
  /**
   * Has the tenant's data keys wrapped by a key of its own at the KMS. Needs `tenant:update` and a fresh second factor. Commits by itself.
   * @throws KEYS_UNAVAILABLE, CODE_REFUSED, TOTP_NOT_ENROLLED, TOO_MANY_REQUESTS
   */
  useOwnKey: { input: z.object({ keyId: z.string().trim().min(1).max(2_048), code }), output: keyStatus },
} satisfies Methods

export type Custody = ContractOf<typeof custodyMethods>

declare module '../../../platform/module.ts' {
  interface Contracts {
    custody: Custody
  }
}
