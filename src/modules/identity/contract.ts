/**
 * Identity: who somebody is, how that is proven, and for how long it is believed. It never says what anybody may do (`access` does)
 * and never tells a stranger whether an account exists.
 *
 * Glossary
 * - **identity**: one person in one tenant, found by e-mail address.
 * - **membership**: a person's place on one plane, with exactly one role. One person may hold several.
 * - **session**: one signed-in browser or device of one membership. A *bearer* session is a family of refresh tokens, each good
 *   once; a *cookie* session is one opaque value that only the browser holds. No session is both.
 * - **challenge**: what a right password earns where a second factor is due; five tries, ten minutes.
 * - **choice**: what a proven person earns who holds several memberships on the plane; five minutes, one use.
 * - **device token**: proves that this device has signed this account in before; it opens nothing, it only keeps strangers' guessing
 *   from slowing its owner down.
 *
 * Methods marked *commits by itself* open commands of their own: what a refusal leaves behind (a count, a trace, a dead family of tokens)
 * must survive the refusal. Call them outside a command.
 *
 * @example
 * const signedIn = await identity.signIn(scope, { email, password, plane: 'clinician', transport: 'BEARER' })
 * if (signedIn.kind === 'SECOND_FACTOR_REQUIRED') await identity.verifySecondFactor(scope, { plane: 'clinician', challengeToken, code })
 */
import { z } from 'zod'
import { event } from '../../kernel/event.ts'
import { credentialFault, fault } from '../../kernel/fault.ts'
import { locales } from '../../kernel/locale.ts'
import { planes, signInPlanes } from '../../kernel/scope.ts'
import { uuid, type ContractOf, type Methods } from '../../platform/contract.ts'
import type { Directory } from './contract-directory.ts'
import type { Members } from './contract-members.ts'
import type { SignOn } from './contract-sign-on.ts'
import { emailInput } from './email-address.ts'

export { alreadyLinked, directoryRoles, mostCutAtOnce, mostSettled, privilegedRoles, type Settled } from './contract-directory.ts'
export { canonicalEmail } from './email-address.ts'
export { factorNeeded, totpNotEnrolled } from './contract-members.ts'
export { passwordRefused } from './credentials/password-rule.ts'
export type { BearerMemory, Recalled } from './recall.ts'
export { signOnRequired } from './contract-sign-on.ts'
export { letterPages } from './letter-pages.ts'
export { sessionRoute } from './routes.ts'
export { tokenExpired, tokenInvalid, tokenMalformed, tokenUnknownKey, tokenWrongPlane } from './tokens/access-token.ts'
export { glanceAtBearer, glanceAtCookie, type BearerGlance } from './tokens/glance.ts'
export { cookieNameOf } from './tokens/session-cookie.ts'

/** Unknown account, wrong password, disabled account, no membership here: all the same to the one who asks. */
export const invalidCredentials = fault('denied', 'INVALID_CREDENTIALS', 'E-mail address or password is wrong, or there is no access here.')
export const codeRefused = fault('denied', 'CODE_REFUSED', 'This code is not right, or it was used before. Try the next one.')
export const signInOver = fault('denied', 'SIGN_IN_OVER', 'This sign-in has ended. Begin again with your password.')
export const sessionEnded = credentialFault('SESSION_ENDED', 'This session has ended. Sign in again.')
export const resetLinkDead = fault('denied', 'RESET_LINK_DEAD', 'This link was used or is too old. Ask for a new one.')

export const sessionRevoked = event('identity.session.revoked', z.object({ sessionId: z.string(), reason: z.string() }))

const minuteMs = 60_000

/** How long a session is believed, in milliseconds. */
export const sessionLife = {
  /** Unused so long, it ends: a workstation left alone on a ward (45 CFR 164.312(a)(2)(iii)). Being refreshed counts as use. */
  idleMs: 30 * minuteMs,
  /** A shift with its handover; after it everybody signs in anew. */
  absoluteMs: 12 * 60 * minuteMs,
  /** A used cookie's idle time starts anew at most this often: each time is a write with its trace. */
  slideMs: 5 * minuteMs,
  accessTokenMs: 10 * minuteMs,
  challengeMs: 10 * minuteMs,
  choiceMs: 5 * minuteMs,
  resetLinkMs: 30 * minuteMs,
} as const

const plane = z.enum(signInPlanes)
const password = z.string().min(1).max(1_024)
const token = z.string().min(1).max(200)
const deviceToken = z.string().regex(/^[\w-]{43}$/, 'is not a device token').optional()

const membershipShape = z.object({ id: uuid, role: z.string(), plane })

const signedIn = z.object({
  kind: z.literal('SIGNED_IN'),
  /** Null for cookies: a page script has nothing to lose. */
  accessToken: z.string().nullable(),
  /** Of the access token; for cookies, of the session. */
  expiresInSeconds: z.number(),
  /** Null for cookies, and where another request has just been given the next one. */
  refreshToken: z.string().nullable(),
  /** Hand it in with the next sign-in. Null when a session was only refreshed. */
  deviceToken: z.string().nullable(),
  /** A Set-Cookie header for the answer; null for bearers. */
  setCookie: z.string().nullable(),
  membership: membershipShape,
})
const secondFactorRequired = z.object({ kind: z.literal('SECOND_FACTOR_REQUIRED'), challengeToken: z.string() })
const membershipChoiceRequired = z.object({
  kind: z.literal('MEMBERSHIP_CHOICE_REQUIRED'),
  choiceToken: z.string(),
  memberships: z.array(membershipShape),
})
const signInResult = z.discriminatedUnion('kind', [signedIn, secondFactorRequired, membershipChoiceRequired])
export type SignedIn = z.output<typeof signedIn>
export type SecondFactorRequired = z.output<typeof secondFactorRequired>
export type MembershipChoiceRequired = z.output<typeof membershipChoiceRequired>
export type SignInResult = z.output<typeof signInResult>

const identified = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('member'),
    membershipId: z.string(),
    identityId: z.string(),
    role: z.string(),
    plane,
    sessionId: z.string(),
    via: z.enum(['password', 'saml', 'api-token']),
    providerOrgId: z.string().nullable(),
  }),
  z.object({ kind: z.literal('integration'), tokenId: z.string(), role: z.string(), permissions: z.array(z.string()) }),
])
export type Identified = z.output<typeof identified>

const sessionShape = z.object({
  id: z.string(),
  plane,
  via: z.string(),
  createdAt: z.date(),
  usedAt: z.date(),
  expiresAt: z.date(),
  sourceAddress: z.string().nullable(),
  userAgent: z.string().nullable(),
  isCurrent: z.boolean(),
})
export type SessionInfo = z.output<typeof sessionShape>

const self = z.object({
  /** The tenant's slug. */
  tenant: z.string(),
  /** These four are null for an API token. */
  membershipId: z.string().nullable(),
  identityId: z.string().nullable(),
  email: z.string().nullable(),
  locale: z.enum(locales).nullable(),
  role: z.string(),
  plane: z.enum(planes).nullable(),
  via: z.string(),
})
export type Self = z.output<typeof self>

export const identityMethods = {
  /**
   * Who a credential belongs to, at this moment: a token's signature and plane are checked before anything is looked up; then one
   * statement finds the live session with its active membership and present role. Call it in the tenant that the glance named.
   * @throws TOKEN_WRONG_PLANE, TOKEN_MALFORMED, TOKEN_UNKNOWN_KEY, TOKEN_INVALID, TOKEN_EXPIRED, SESSION_ENDED
   */
  identify: {
    input: z.object({
      bearer: z.string().max(4_096).optional(),
      cookie: z.string().max(200).optional(),
      plane: z.enum(planes).nullable(),
    }),
    output: identified,
  },
  /** Signs in with a password. Commits by itself. @throws INVALID_CREDENTIALS, TOO_MANY_REQUESTS */
  signIn: {
    input: z.object({ email: emailInput, password, plane, transport: z.enum(['BEARER', 'COOKIE']).default('BEARER'), deviceToken }),
    output: signInResult,
  },
  /** Goes on with the second factor. Commits by itself. @throws CODE_REFUSED, SIGN_IN_OVER, TOO_MANY_REQUESTS */
  verifySecondFactor: {
    input: z
      .object({
        plane,
        challengeToken: token,
        code: z.string().max(64).optional(),
        recoveryCode: z.string().max(64).optional(),
        deviceToken,
      })
      .refine(({ code, recoveryCode }) => (code === undefined) !== (recoveryCode === undefined), 'give code or recoveryCode'),
    output: signInResult,
  },
  /** Goes on as one of the memberships offered. Commits by itself. @throws SIGN_IN_OVER, NOT_FOUND */
  chooseMembership: { input: z.object({ plane, choiceToken: token, membershipId: uuid, deviceToken }), output: signedIn },
  /** The next access and refresh token of a bearer session. Commits by itself. @throws TOKEN_WRONG_PLANE, SESSION_ENDED */
  refresh: { input: z.object({ plane, refreshToken: token }), output: signedIn },
  /** Ends the caller's session; nobody has none to end. Commits by itself. `forgetCookie` is a Set-Cookie header. */
  signOut: { input: z.object({ plane }), output: z.object({ forgetCookie: z.string() }) },
  /** Mails a link, if there is such an account; the answer is the same, and takes as long, if not. Commits by itself. */
  requestPasswordReset: { input: z.object({ email: emailInput }), output: z.object({}) },
  /** Sets a new password and ends every session of the person. Commits by itself. @throws RESET_LINK_DEAD, PASSWORD_REFUSED */
  resetPassword: { input: z.object({ token, newPassword: password }), output: z.object({}) },
  /** Sets a new password and ends the person's other sessions. Commits by itself. @throws INVALID_CREDENTIALS, PASSWORD_REFUSED */
  changePassword: { input: z.object({ currentPassword: password, newPassword: password, deviceToken }), output: z.object({}) },
  /** Who the caller is, in words. */
  self: { input: z.object({}), output: self },
  /** The live sessions of the caller's own membership, the newest first, at most 100. */
  sessions: { input: z.object({}), output: z.array(sessionShape) },
  /** Ends one of them. Commits by itself. @throws NOT_FOUND */
  revokeSession: { input: z.object({ sessionId: uuid }), output: z.object({}) },
  /** Ends all of them but the one that asks. Commits by itself. */
  revokeOtherSessions: { input: z.object({}), output: z.object({ count: z.number() }) },
} satisfies Methods

export type SigningIn = ContractOf<typeof identityMethods>

/**
 * The whole contract: signing in, the administration of `contract-members.ts`, the directories of `contract-directory.ts`, single sign-on
 * of `contract-sign-on.ts`.
 */
export type Identity = SigningIn & Members & Directory & SignOn

/** Mutations that check something guessable: the limits allow each once an operation. */
export const guessableFields = [
  'signIn',
  'verifySecondFactor',
  'chooseMembership',
  'refreshSession',
  'resetPassword',
  'changePassword',
  'acceptInvitation',
  'enrolTotp',
  'confirmTotp',
  'regenerateRecoveryCodes',
  'removeTotp',
  'openBreakGlass',
] as const

declare module '../../platform/module.ts' {
  interface Contracts {
    identity: Identity
  }
}
