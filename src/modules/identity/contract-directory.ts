/**
 * Identity, for customers' directories (SCIM, SAML): people appear, change role and lose their access because their employer says so.
 *
 * Glossary
 * - **connection**: one directory of a tenant. It acts (`actor.kind` is `directory`) on the memberships of its own links and on no other,
 *   and only on the console's, the clinician's and the courier's plane: no directory brings anybody into the consumer's or seller's.
 * - **link**: a membership that a connection provisioned, or that an administrator linked to it by hand.
 * - **cut**: access is gone in this transaction: the membership suspended (or ended), sessions with their refresh families revoked, open
 *   invitations taken back, the person's API tokens flagged for a look. Nothing of it comes back by itself.
 * - **privileged role**: `tenant_admin`, `compliance_officer`; given only where an administrator with a second factor said so
 *   (`authorisedBy`).
 *
 * Every method is part of the caller's command; it runs on the directory's login and on the one that signs people in.
 *
 * @example
 * await identity.provisionMember(scope, { source: 'SCIM', connectionId, externalId, email, role: 'clinician' })
 */
import { z } from 'zod'
import { event } from '../../kernel/event.ts'
import { fault } from '../../kernel/fault.ts'
import { locales } from '../../kernel/locale.ts'
import { uuid, type ContractOf, type Methods } from '../../platform/contract.ts'
import { roleInput, type Role } from '../access/contract.ts'
import { emailInput } from './email-address.ts'

export const directoryRoleRefused = fault<{ role: string }>(
  'denied',
  'DIRECTORY_ROLE_REFUSED',
  ({ role }) => `A directory may not make somebody ${role}, or no administrator with a second factor decided it.`,
)
export const secondFactorNeeded = fault(
  'denied',
  'SECOND_FACTOR_NEEDED',
  'This needs an administrator who signed in with a second factor. Enrol an authenticator, then sign in again.',
)
export const alreadyLinked = fault('conflict', 'ALREADY_LINKED', 'This membership or external id is linked to this connection already.')
export const notLinkable = fault('conflict', 'NOT_LINKABLE', 'Only members of the console, clinician and courier planes can be linked.')

/** Somebody linked, provisioned, cut or let in again; `op` says which. */
export const directoryMoved = event(
  'identity.directory.member_moved',
  z.object({ membershipId: z.string(), connectionId: z.string(), op: z.string() }),
)
/** A directory took the last active administrator away. The operator's `maristan member recover` makes another. */
export const lastAdminCut = event('identity.directory.last_admin_cut', z.object({ membershipId: z.string(), connectionId: z.string() }))
export const directoryEvents = [directoryMoved, lastAdminCut]

/** What a directory may make of somebody. */
export const directoryRoles = ['tenant_admin', 'compliance_officer', 'care_coordinator', 'clinician', 'caregiver'] as const satisfies Role[]
export const privilegedRoles: readonly Role[] = ['tenant_admin', 'compliance_officer']

/** People of one change whose access is cut together. */
export const mostCutAtOnce = 100_000
/** People in one call, as many as one statement carries well. */
export const mostSettled = 1_000

const sources = ['SCIM', 'SAML'] as const
const externalId = z.string().min(1).max(1_024).nullable().default(null)
const here = { source: z.enum(sources), connectionId: uuid }
const newcomer = { externalId, email: emailInput, locale: z.enum(locales).optional() }

export const linkShape = z.object({
  connectionId: z.string(),
  membershipId: z.string(),
  source: z.enum(sources),
  origin: z.enum(['PROVISIONED', 'LINKED']),
  externalId: z.string().nullable(),
  identityId: z.string(),
  email: z.string(),
  role: roleInput,
  plane: z.string(),
  status: z.enum(['PENDING', 'ACTIVE', 'SUSPENDED', 'ENDED']),
  cutAt: z.date().nullable(),
})
export type DirectoryLinkShown = z.output<typeof linkShape>

/** What one cut took. `wasLastAdmin`: nobody administers this tenant now. */
export const cutShape = z.object({
  membershipId: z.string(),
  sessions: z.int(),
  invitations: z.int(),
  flaggedTokens: z.int(),
  wasLastAdmin: z.boolean(),
})
export type Cut = z.output<typeof cutShape>

export const settledOutcomes = ['PROVISIONED', 'ROLE_CHANGED', 'REINSTATED', 'CUT', 'ENDED', 'UNCHANGED', 'HELD', 'SHUT_OUT'] as const

const settled = z.object({
  key: z.string(),
  /** Null where the person has no membership through this connection. */
  membershipId: z.string().nullable(),
  outcome: z.enum(settledOutcomes),
  cut: cutShape.nullable(),
})
export type Settled = z.output<typeof settled>

export const directoryMethods = {
  /**
   * Brings people to the state their directory wants, in as few statements as one takes; answers in the order given. `role` null, or
   * `end`: no access. A person without membership gets one; who holds that role without a link is HELD and stays as is; whom somebody
   * else than this connection suspended or ended is SHUT_OUT. Always cuts, even the last administrator, and says so.
   * @throws DIRECTORY_ROLE_REFUSED, FORBIDDEN for another connection's caller, NOT_FOUND for a membership without a link
   */
  settleMembers: {
    input: z.object({
      ...here,
      people: z
        .array(
          z.object({
            /** The caller's own name for the person. */
            key: z.string().max(100),
            membershipId: uuid.nullable(),
            role: z.enum(directoryRoles).nullable(),
            authorisedBy: uuid.nullable().default(null),
            /** Ends the membership for good instead of suspending it. */
            end: z.boolean().default(false),
            ...newcomer,
          }),
        )
        .max(mostSettled),
    }),
    output: z.array(settled),
  },
  /**
   * Cuts, in a few statements whatever their number, the access of everybody who is not in the role wanted now, the null one included:
   * sessions, invitations, tokens as with any cut, the membership suspended. The trail names them in rows of 500; what is due for each
   * person follows with {@link tellCut}, and a role with settleMembers. Answers whom it cut and of when. @throws FORBIDDEN, NOT_FOUND
   */
  cutAtOnce: {
    input: z.object({
      ...here,
      people: z.array(z.object({ membershipId: z.string(), role: z.enum(directoryRoles).nullable() })).max(mostCutAtOnce),
    }),
    output: z.object({ at: z.date(), cuts: z.array(cutShape) }),
  },
  /** The trail and the events of each person, and of each session, that cutAtOnce cut at that moment. @throws FORBIDDEN */
  tellCut: {
    input: z.object({ ...here, at: z.date(), membershipIds: z.array(uuid).max(mostSettled) }),
    output: z.object({ told: z.int() }),
  },
  /**
   * One person anew, active at once; the Identity is made where there is none, else it gets one more membership. By single sign-on only a
   * person whom nobody here has the address of: an address asserted is no proof of an account.
   * @throws ALREADY_MEMBER where the role is held without a link, or by single sign-on the address is known; ALREADY_LINKED, DIRECTORY_ROLE_REFUSED, FORBIDDEN
   */
  provisionMember: {
    input: z.object({ ...here, ...newcomer, role: z.enum(directoryRoles), authorisedBy: uuid.nullable().default(null) }),
    output: z.object({ membershipId: z.string(), identityId: z.string(), isNewAccount: z.boolean() }),
  },
  /**
   * Another role for an active member; sessions of the old plane, or of a former administrator, end.
   * @throws NOT_FOUND, ALREADY_MEMBER, MEMBER_ENDED, DIRECTORY_ROLE_REFUSED, FORBIDDEN
   */
  changeRole: {
    input: z.object({ ...here, membershipId: uuid, role: z.enum(directoryRoles), authorisedBy: uuid.nullable().default(null) }),
    output: z.object({ cut: cutShape.nullable() }),
  },
  /** Cuts the access and ends the membership for good. @throws NOT_FOUND, FORBIDDEN */
  end: { input: z.object({ ...here, membershipId: uuid }), output: cutShape },
  /** Cuts the access; this connection may reinstate. @throws NOT_FOUND, FORBIDDEN */
  cut: { input: z.object({ ...here, membershipId: uuid }), output: cutShape },
  /**
   * Lets in again whom this connection cut, in the role given now; sessions and flagged tokens stay as they are.
   * @throws NOT_FOUND, MEMBER_ENDED for anybody else, DIRECTORY_ROLE_REFUSED, FORBIDDEN
   */
  reinstate: {
    input: z.object({ ...here, membershipId: uuid, role: z.enum(directoryRoles), authorisedBy: uuid.nullable().default(null) }),
    output: z.object({ membershipId: z.string() }),
  },
  /**
   * The directory's own id of a member has changed: single sign-on finds the member by it. An ended membership keeps none.
   * @throws ALREADY_LINKED where another member of the connection has it, FORBIDDEN
   */
  followExternalId: {
    input: z.object({ ...here, membershipId: uuid, externalId }),
    output: z.object({ changed: z.boolean() }),
  },
  /** The link of an external id or of a membership, or null. No permission of its own: the caller is the federation itself. */
  findLink: {
    input: z.object({ connectionId: uuid, externalId: z.string().max(1_024).optional(), membershipId: uuid.optional() }),
    output: linkShape.nullable(),
  },
  /** Links of memberships, at most 1,000; those without one are left out. As findLink. */
  findLinks: { input: z.object({ connectionId: uuid, membershipIds: z.array(uuid).max(mostSettled) }), output: z.array(linkShape) },
  /** Passes for the operator, as long as the tenant has not decided for itself. @throws FORBIDDEN, TENANT_APPROVAL_NEEDED */
  proveOperator: { input: z.object({}), output: z.object({}) },
  /** Lets a connection act on a member who was there before. Needs `sso:manage`. @throws NOT_FOUND, NOT_LINKABLE, ALREADY_LINKED */
  linkMember: { input: z.object({ ...here, membershipId: uuid, externalId }), output: linkShape },
  /** Passes for a signed-in `tenant_admin` whose session began with a second factor, and for nobody else. @throws SECOND_FACTOR_NEEDED */
  proveAdministrator: { input: z.object({}), output: z.object({ membershipId: z.string() }) },
} satisfies Methods

export type Directory = ContractOf<typeof directoryMethods>
