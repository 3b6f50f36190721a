/**
 * Identity, administration: who belongs to a tenant and as what, how people are let in and leave, second factors and API tokens.
 *
 * Glossary
 * - **member**: one person in one role; the row is a membership. One person may hold several, each on its own plane.
 * - **invitation**: a letter with a secret link, good once and for 72 hours. Sent again, the old link is dead.
 * - **reach**: how far the caller's permission goes: the tenant, the own provider organisation, or what one made oneself.
 * - **second factor**: one-time codes of an authenticator app (TOTP), and ten recovery codes for the day it is lost.
 * - **API token**: lets a program act on the `integrator` plane with a chosen part of its maker's permissions.
 * - **operator**: runs the building from the command line; once a tenant's administrator has signed in, asks before letting anyone in.
 *
 * Every method of people is a command on the login that signs people in; every method of the operator runs on the operator's.
 *
 * @example
 * await unit.command((scope) => identity.inviteMember(scope, { email: 'amal@example.org', role: 'clinician' }), authLogin)
 */
import { z } from 'zod'
import { event } from '../../kernel/event.ts'
import { fault } from '../../kernel/fault.ts'
import { locales } from '../../kernel/locale.ts'
import { signInPlanes } from '../../kernel/scope.ts'
import { line, uuid, type ContractOf, type Methods } from '../../platform/contract.ts'
import { permissionInput, roleInput } from '../access/contract.ts'
import { emailInput } from './email-address.ts'
import { invitationMachine, membershipMachine } from './rules.ts'

export const roleOutOfReach = fault('denied', 'ROLE_OUT_OF_REACH', 'Your role may not hand out this role.')
export const ownRole = fault('denied', 'OWN_ROLE', 'Nobody changes their own role. Ask another administrator.')
export const lastAdmin = fault('conflict', 'LAST_ADMIN', 'This is the last active administrator. Make somebody else one first.')
export const alreadyMember = fault('conflict', 'ALREADY_MEMBER', 'This person holds that role already.')
export const memberEnded = fault('conflict', 'MEMBER_ENDED', 'This membership has ended. Invite the person again.')
export const invitationInvalid = fault('absent', 'INVITATION_INVALID', 'This invitation is not valid any more. Ask for a new one.')
export const totpNotEnrolled = fault('conflict', 'TOTP_NOT_ENROLLED', 'There is no authenticator to confirm or use. Enrol one first.')
export const factorNeeded = fault(
  'denied',
  'FACTOR_NEEDED',
  'This needs a current code of your authenticator, or that you prove yourself anew at your organisation\'s sign-in page, at most five minutes before.',
)
export const proofNeeded = fault('denied', 'PROOF_NEEDED', 'Give your password or a current code. An authenticator is replaced, and enrolled under single sign-on, with proof alone.')
export const tokenPermissionRefused = fault<{ permissions: readonly string[] }>(
  'denied',
  'TOKEN_PERMISSION_REFUSED',
  ({ permissions }) => `A token of yours may not carry ${permissions.join(', ')}.`,
)
export const tokenLimit = fault('conflict', 'TOKEN_LIMIT', 'This tenant has as many API tokens as it may. Revoke one that is not used.')
export const tenantApprovalNeeded = fault(
  'conflict',
  'TENANT_APPROVAL_NEEDED',
  'An administrator of this tenant has signed in, so the tenant decides who comes in. ' +
    'Ask the administrator to invite this person, or to approve of the operator on the console (approveOperator).',
)

export const adminPresent = fault('conflict', 'ADMIN_PRESENT', 'This tenant has an active administrator, who can make others.')

export const memberInvited = event('identity.member.invited', z.object({ invitationId: z.string() }))
export const invitationAccepted = event('identity.invitation.accepted', z.object({ invitationId: z.string(), membershipId: z.string() }))
export const memberDeactivated = event('identity.member.deactivated', z.object({ membershipId: z.string() }))
export const totpConfirmed = event('identity.totp.confirmed', z.object({ membershipId: z.string() }))
export const roleAssigned = event('access.role.assigned', z.object({ membershipId: z.string(), role: z.string() }))
export const memberEvents = [memberInvited, invitationAccepted, memberDeactivated, totpConfirmed, roleAssigned]

/** Of people who administer; the mark of a field and the manifest name the same. */
export const memberPermissions = ['user:read', 'user:invite', 'user:update', 'user:deactivate', 'role:assign', 'token:manage'] as const

export const memberShape = z.object({
  id: z.string(),
  email: z.string(),
  locale: z.enum(locales),
  role: roleInput,
  plane: z.enum(signInPlanes),
  providerOrgId: z.string().nullable(),
  status: z.enum(membershipMachine.states),
  version: z.number(),
})
export type Member = z.output<typeof memberShape>

/** `state` says EXPIRED as soon as the time is up. */
export const invitationShape = z.object({
  id: z.string(),
  email: z.string(),
  role: roleInput,
  plane: z.enum(signInPlanes),
  providerOrgId: z.string().nullable(),
  recipientId: z.string().nullable(),
  state: z.enum(invitationMachine.states),
})
export type InvitationShown = z.output<typeof invitationShape>

// Bounds what is hashed and compared; what a password must be says `password-rule.ts`.
const password = z.string().min(1).max(1_024)
const code = z.string().min(1).max(64)
const byId = z.object({ id: uuid })
const recoveryCodes = z.object({ recoveryCodes: z.array(z.string()) })
const newcomer = { email: emailInput, role: roleInput, locale: z.enum(locales).optional(), providerOrgId: uuid.optional() }

const apiToken = {
  input: z.object({
    name: line(100),
    permissions: z.array(permissionInput).min(1).max(58),
    expiresAt: z.iso.datetime({ offset: true }).optional(),
  }),
  output: z.object({ id: z.string(), token: z.string() }),
}

export const memberMethods = {
  /** One member within reach. Needs `user:read`. @throws NOT_FOUND */
  member: { input: byId, output: memberShape },
  /** Changes what is given; `version` is the one that was read. Needs `user:update`. @throws NOT_FOUND, STALE_VERSION */
  updateMember: { input: byId.extend({ version: z.int(), locale: z.enum(locales) }), output: memberShape },
  /** Ends a membership for good, and its sessions with it. Needs `user:deactivate`. @throws NOT_FOUND, LAST_ADMIN, INVALID_TRANSITION */
  deactivateMember: { input: byId, output: memberShape },
  /** Shuts a member out until resumed, and ends the sessions. Needs `user:deactivate`. @throws as deactivateMember */
  suspendMember: { input: byId, output: memberShape },
  /** Lets a suspended member in again. Needs `user:deactivate`. @throws NOT_FOUND, INVALID_TRANSITION */
  resumeMember: { input: byId, output: memberShape },
  /**
   * Gives another person another role; the plane follows, and sessions of the old plane end. Needs `role:assign`.
   * @throws NOT_FOUND, OWN_ROLE, ROLE_OUT_OF_REACH, LAST_ADMIN, ALREADY_MEMBER, MEMBER_ENDED
   */
  assignRole: { input: z.object({ membershipId: uuid, role: roleInput }), output: memberShape },

  /**
   * Invites a person by letter. Needs `user:invite`; a family member names the recipient whom she is or represents, a seller invites
   * into her own organisation. @throws ROLE_OUT_OF_REACH, NOT_FOUND, ALREADY_MEMBER (where members may be read), TOO_MANY_REQUESTS
   */
  inviteMember: { input: z.object({ ...newcomer, recipientId: uuid.optional() }), output: invitationShape },
  /** Sends a new link; the old one is dead. Needs `user:invite`. @throws NOT_FOUND, INVALID_TRANSITION, TOO_MANY_REQUESTS */
  resendInvitation: { input: byId, output: invitationShape },
  /** Takes an open invitation back. Needs `user:invite`. @throws NOT_FOUND, INVALID_TRANSITION */
  revokeInvitation: { input: byId, output: invitationShape },
  /**
   * Anybody with the link's secret. Who has an account gives its password; who has none, chooses one. Signs nobody in.
   * @throws INVITATION_INVALID, PASSWORD_REFUSED, INVALID_CREDENTIALS
   */
  acceptInvitation: {
    input: z.object({ token: z.string().max(100), password }),
    output: z.object({ membershipId: z.string(), plane: z.enum(signInPlanes) }),
  },

  /** A new secret, shown once; in force when confirmed. @throws PROOF_NEEDED where one is in force and neither password nor code came */
  enrolTotp: {
    input: z.object({ password: password.optional(), code: code.optional() }),
    output: z.object({ otpauthUri: z.string(), secret: z.string() }),
  },
  /** Puts the enrolled secret in force and answers new recovery codes, shown once. @throws TOTP_NOT_ENROLLED, CODE_REFUSED */
  confirmTotp: { input: z.object({ code }), output: recoveryCodes },
  /** Ten new recovery codes, shown once; the old ones are dead. @throws TOTP_NOT_ENROLLED, CODE_REFUSED */
  regenerateRecoveryCodes: { input: z.object({ code }), output: recoveryCodes },
  /** Takes the second factor away. `code` may be a recovery code. @throws TOTP_NOT_ENROLLED, INVALID_CREDENTIALS, CODE_REFUSED */
  removeTotp: { input: z.object({ password, code }), output: z.object({}) },

  /**
   * Takes a current code of the caller's own authenticator, for what wants a fresh second factor; without one, the step-up sign-in of her
   * session, if it is fresh and nothing has used it. Modules only, inside their own command on the login that signs people in: it commits
   * with that, and a wrong code must be committed too, or it was never counted.
   */
  useFactor: {
    input: z.object({ code: code.optional() }),
    output: z.object({ outcome: z.enum(['PROVEN', 'WRONG', 'LIMIT', 'NOT_ENROLLED', 'NO_STEP_UP']) }),
  },
  /** Where to write to the active members of a role, at most 100. The system only. */
  addressesOf: {
    input: z.object({ role: roleInput }),
    output: z.object({ people: z.array(z.object({ email: z.string(), locale: z.enum(locales) })) }),
  },

  /** Makes a token; it is shown once. Needs `token:manage`. `expiresAt`: RFC 3339. @throws TOKEN_PERMISSION_REFUSED, TOKEN_LIMIT */
  createApiToken: apiToken,
  /** Kills a token at once. Repeating it changes nothing. Needs `token:manage`. @throws NOT_FOUND */
  revokeApiToken: { input: byId, output: z.object({ id: z.string() }) },

  /** The operator makes a tenant's first administrator. @throws ALREADY_MEMBER, PASSWORD_REFUSED, TENANT_APPROVAL_NEEDED */
  provisionAdmin: { input: z.object({ email: emailInput, password }), output: z.object({ membershipId: z.string() }) },
  /**
   * The operator makes an administrator of a tenant that has none any more, because a directory took the last one away.
   * @throws ADMIN_PRESENT, ALREADY_MEMBER, PASSWORD_REFUSED, FORBIDDEN
   */
  recoverAdmin: {
    input: z.object({ email: emailInput, password }),
    output: z.object({ membershipId: z.string(), isNewAccount: z.boolean() }),
  },
  /** The operator invites. The link is in the letter and in the answer. @throws ALREADY_MEMBER, TENANT_APPROVAL_NEEDED */
  operatorInvite: {
    input: z.object(newcomer),
    output: z.object({ membershipId: z.string(), invitationId: z.string(), acceptUrl: z.string() }),
  },
  /**
   * The operator adds a member, active at once. A person who has an account keeps its password: `isNewAccount` says.
   * @throws ALREADY_MEMBER, PASSWORD_REFUSED, TENANT_APPROVAL_NEEDED
   */
  operatorAddMember: {
    input: z.object({ ...newcomer, password }),
    output: z.object({ membershipId: z.string(), isNewAccount: z.boolean() }),
  },
  /** The operator makes a token as a tenant_admin could. @throws TOKEN_PERMISSION_REFUSED, TOKEN_LIMIT, TENANT_APPROVAL_NEEDED */
  operatorCreateApiToken: apiToken,
  /** As operatorAddMember, with a bcrypt or argon2 hash of the earlier system. @throws INVALID_INPUT for any other text */
  importMember: {
    input: z.object({ ...newcomer, passwordHash: z.string().max(200) }),
    output: z.object({ membershipId: z.string(), isNewAccount: z.boolean() }),
  },
} satisfies Methods

export type Members = ContractOf<typeof memberMethods>
