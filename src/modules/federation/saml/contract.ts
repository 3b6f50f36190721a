/**
 * SAML: people of a hospital sign in through its own identity provider. It never believes a message that the guard has not verified, and
 * it never reaches the consumer's and the seller's plane.
 *
 * Glossary
 * - **connection**: one identity provider of a tenant. It signs in memberships that it provisioned or that were linked to it, no other.
 * - **request**: what one browser carried to the identity provider; answered once. **outcome**: a verified answer that waits until that
 *   same browser comes for it: a page of another site can post an answer, but it cannot bring the cookie.
 * - **attempt**: how a sign-in that came back ended. The person sees its id, IT looks the exact cause up by it.
 * - **setup link**: lets a tenant's IT set one connection up without an account here; it binds the browser that opens it.
 * - **enforced**: passwords open nothing for the connection's members; a recovery code undoes it.
 *
 * Methods marked *commits by itself* open commands of their own. The others are part of the caller's command, on the login that signs
 * people in, unless they only read.
 *
 * @example
 * const begun = await saml.begin(scope, { plane: 'clinician', returnTo: '/rounds' })
 */
import { z } from 'zod'
import { event } from '../../../kernel/event.ts'
import { fault } from '../../../kernel/fault.ts'
import { uuid, type ContractOf, type Methods } from '../../../platform/contract.ts'
import type { SamlAdministration } from './contract-administration.ts'
import { samlPlanes } from './rules.ts'

export const entityTaken = fault('conflict', 'ENTITY_TAKEN', 'Another connection of this tenant is with this identity provider already.')
export const metadataRefused = fault<{ reason: string; sentence: string }>(
  'invalid',
  'METADATA_REFUSED',
  ({ sentence }) => `The metadata cannot be used: ${sentence}`,
)
export const roleNeedsAdmin = fault(
  'denied',
  'ROLE_NEEDS_ADMIN',
  'Only a signed-in administrator with a second factor maps people to this role.',
)
export const providerNeedsAdmin = fault(
  'denied',
  'PROVIDER_NEEDS_ADMIN',
  'People sign in through this connection already, or a rule makes administrators of some: another provider, or another immutable id, is for an administrator to give in the console.',
)
export const connectionsFull = fault('conflict', 'CONNECTIONS_FULL', 'This tenant has as many connections as it may have: one hundred.')
export const domainNotProven = fault<{ record: string }>(
  'conflict',
  'DOMAIN_NOT_PROVEN',
  ({ record }) => `The TXT record is not there (yet). Publish ${record} and try again; it can take an hour to be seen.`,
)
export const enforcementTooSoon = fault<{ missing: readonly string[] }>(
  'conflict',
  'ENFORCEMENT_TOO_SOON',
  ({ missing }) => `Passwords stay on until two administrators have signed in through it and a recovery code is stored. Missing: ${missing.join(', ')}.`,
)
export const recoveryRefused = fault('denied', 'RECOVERY_REFUSED', 'This recovery code is not right, or it was used.')
export const setupLinkDead = fault('denied', 'SETUP_LINK_DEAD', 'This set-up link was opened elsewhere, was taken back, or is too old. Ask for a new one.')

export const connectionMoved = event(
  'saml.connection.state_changed',
  z.object({ connectionId: z.string(), from: z.string(), to: z.string() }),
)
export const certificateExpiring = event('saml.certificate.expiring', z.object({ connectionId: z.string(), days: z.number() }))

const plane = z.enum(samlPlanes)
const secret = z.string().max(100)
const outgoingShape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('REDIRECT'), url: z.string() }),
  z.object({ kind: z.literal('POST'), action: z.string(), fields: z.record(z.string(), z.string()) }),
])
const asked = z.object({ id: z.string(), name: z.string() })
const refusedShape = z.object({ kind: z.literal('REFUSED'), attemptId: z.string(), purpose: z.string() })

const addressesShape = z.object({
  entityId: z.string(),
  metadataUrl: z.string(),
  acsUrl: z.string(),
  loginUrl: z.string(),
  logoutUrl: z.string(),
})

export const signOnMethods = {
  /** Our metadata document. Anybody. Commits by itself when keys must be made first. */
  metadata: { input: z.object({}), output: z.object({ xml: z.string() }) },
  /** Our addresses in this tenant. */
  addresses: { input: z.object({}), output: addressesShape },
  /**
   * Begins a sign-in: sends the browser to the identity provider, or asks which one. `setCookie` binds the browser. With `stepUp` the
   * session's person must prove herself anew. A test signs nobody in and says who may: the browser of the connection's set-up (`setup`), a
   * member with `sso:manage`, or whoever holds a link to one (`link`). Commits by itself. @throws NOT_FOUND, SETUP_LINK_DEAD
   */
  begin: {
    input: z.object({
      connectionId: uuid.optional(),
      email: z.string().max(320).optional(),
      plane: plane.optional(),
      returnTo: z.string().max(2_000).optional(),
      stepUp: z.boolean().default(false),
      test: z.object({ setup: secret.optional(), link: secret.optional() }).optional(),
      forceAuthn: z.boolean().default(false),
    }),
    output: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('SENT'), to: outgoingShape, setCookie: z.string() }),
      z.object({ kind: z.literal('ASK'), connections: z.array(asked) }),
    ]),
  },
  /** Takes an answer from the post and keeps it for its browser. Commits by itself. */
  receive: {
    input: z.object({ samlResponse: z.string(), relayState: z.string().nullable() }),
    output: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('TAKEN'), ticket: z.string(), setCookie: z.string().nullable() }),
      refusedShape,
    ]),
  },
  /** The browser comes for its outcome: a session, a finished test, or the refusal. Commits by itself. */
  finish: {
    input: z.object({ ticket: secret, browser: secret.nullable() }),
    output: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('SIGNED_IN'), setCookies: z.array(z.string()), returnTo: z.string() }),
      z.object({ kind: z.literal('TESTED'), attemptId: z.string() }),
      z.object({ kind: z.literal('STEPPED_UP'), setCookies: z.array(z.string()), returnTo: z.string() }),
      refusedShape,
    ]),
  },
  /** The signed-in caller signs out, here and at the identity provider where it takes part. Commits by itself. */
  signOut: { input: z.object({ plane }), output: z.object({ to: outgoingShape.nullable(), forgetCookie: z.string() }) },
  /** A logout message of an identity provider: its request ends sessions and is answered, its answer ends our own request. */
  receiveLogout: {
    input: z.object({
      received: z.discriminatedUnion('binding', [
        z.object({ binding: z.literal('post'), field: z.enum(['SAMLRequest', 'SAMLResponse']), message: z.string(), relayState: z.string().nullable() }),
        z.object({ binding: z.literal('redirect'), field: z.enum(['SAMLRequest', 'SAMLResponse']), query: z.string() }),
      ]),
    }),
    output: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('ANSWER'), to: outgoingShape.nullable(), ended: z.number() }),
      z.object({ kind: z.literal('DONE') }),
      refusedShape,
    ]),
  },
  /** The name the caller was signed in by; null where it was not by SAML. */
  nameId: { input: z.object({}), output: z.object({ nameId: z.string().nullable() }) },
  /** Uses a stored recovery code: its connection's members may use passwords again. Commits by itself. @throws RECOVERY_REFUSED */
  recover: { input: z.object({ code: secret }), output: z.object({}) },
} satisfies Methods

export type SamlSignOn = ContractOf<typeof signOnMethods>
export type Saml = SamlSignOn & SamlAdministration

declare module '../../../platform/module.ts' {
  interface Contracts {
    saml: Saml
  }
}
