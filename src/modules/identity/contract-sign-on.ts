/**
 * Identity, single sign-on: what a federation module may do once it has verified who somebody is elsewhere. It verifies nothing itself and
 * believes its callers; no edge reaches it.
 *
 * Every method runs in the caller's own command on the login that signs people in, where none is said otherwise.
 *
 * @example
 * const session = await identity.openSignOn(scope, { membershipId, endsAt: assertion.sessionNotOnOrAfter })
 */
import { z } from 'zod'
import { fault } from '../../kernel/fault.ts'
import { locales } from '../../kernel/locale.ts'
import { signInPlanes } from '../../kernel/scope.ts'
import { uuid, type ContractOf, type Methods } from '../../platform/contract.ts'
import { emailInput } from './email-address.ts'

/** The password was right, and opens nothing any more. */
export const signOnRequired = fault('denied', 'SIGN_ON_REQUIRED', 'Your organisation signs you in through its own sign-in page. Use that.')

/** For how long a step-up sign-in stands for a fresh second factor. */
export const stepUpMs = 5 * 60_000

const openedSession = z.object({
  sessionId: z.string(),
  role: z.string(),
  plane: z.enum(signInPlanes),
  /** A Set-Cookie header for the answer. */
  setCookie: z.string(),
})
export type OpenedSession = z.output<typeof openedSession>

export const signOnMethods = {
  /**
   * Opens a cookie session, `via` saml, of an active member on console, clinician or courier. It ends with `endsAt`, or when our own
   * sessions end, whichever is sooner. Null where there is no such active member.
   */
  openSignOn: {
    input: z.object({ membershipId: uuid, endsAt: z.date().nullable() }),
    output: openedSession.nullable(),
  },
  /** Whether somebody here has this address, in whatever role: a newcomer of single sign-on may not. The caller is the federation itself. */
  isAddressKnown: { input: z.object({ email: emailInput }), output: z.object({ isKnown: z.boolean() }) },
  /** Ends these sessions, as far as they are live, and says which were. */
  endSignOn: { input: z.object({ sessionIds: z.array(uuid).max(1_000), reason: z.string().max(40) }), output: z.array(z.string()) },
  /**
   * A second factor was shown in this session at this moment: what asks for one (`proveAdministrator`) passes from then on, and what asks for
   * a fresh one (`useFactor`) takes it once, within {@link stepUpMs}.
   */
  noteStepUp: { input: z.object({ sessionId: uuid, at: z.date() }), output: z.object({}) },
  /** Members linked to these connections sign in through them alone, or by password again. */
  setPasswordsOff: { input: z.object({ connectionIds: z.array(uuid).min(1).max(10), off: z.boolean() }), output: z.object({}) },
  /** How many people are active administrators now by one of these memberships. */
  countAdmins: { input: z.object({ membershipIds: z.array(uuid).max(1_000) }), output: z.object({ count: z.number() }) },
  /** The directories (SCIM connections) that have brought somebody, with how many people of theirs are members; at most 20. */
  directories: { input: z.object({}), output: z.array(z.object({ connectionId: z.string(), people: z.number() })) },
  /** Lets the operator pass, until the tenant can decide for itself. @throws FORBIDDEN, TENANT_APPROVAL_NEEDED */
  needOperator: { input: z.object({}), output: z.object({}) },
  /** Where the tenant's active administrators get letters, at most 50. For jobs. */
  adminAddresses: { input: z.object({}), output: z.array(z.object({ email: z.string(), locale: z.enum(locales) })) },
} satisfies Methods

export type SignOn = ContractOf<typeof signOnMethods>
