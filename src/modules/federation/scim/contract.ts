/**
 * SCIM: a customer's directory says who is there, in which groups, and when somebody is gone (RFC 7643, RFC 7644, RFC 9865). It stores what
 * the directory sent and asks identity, through its contract, for what follows from it.
 *
 * Glossary
 * - **connection**: one directory of a tenant, with tokens, users, groups and rules of its own. Another connection's are unknown to it.
 * - **token**: what the directory shows (`scm_...`); several live at once, so that one is replaced without a gap.
 * - **rule**: which group means which role. Rules are in order; the first that matches one of a person's groups decides; none: no role.
 * - **standing**: why somebody is a member, or is not.
 * - **receipt**: what a deactivation, a deletion or a lost role cut, and when.
 * - **mass change**: so many cuts within an hour that a person should look. They are cut at once all the same.
 * - **exchange**: one request and its answer in the flight recorder, without secrets and personal values.
 *
 * The protocol itself is in `protocol.ts`; this contract is for the edge, the administrators and the operator.
 *
 * @example
 * const { token } = await scim.createToken(scope, { connectionId, name: 'Entra 2026' })
 */
import { z } from 'zod'
import { event } from '../../../kernel/event.ts'
import { credentialFault, fault } from '../../../kernel/fault.ts'
import { line, uuid, type ContractOf, type Methods } from '../../../platform/contract.ts'
import { directoryRoles } from '../../identity/contract.ts'

export const scimTokenRefused = credentialFault(
  'SCIM_TOKEN_REFUSED',
  'This token is unknown, revoked or over. Make a new one and give it to the directory.',
)
export const scimTokenLimit = fault('conflict', 'SCIM_TOKEN_LIMIT', 'This connection has as many live tokens as it may. Revoke one.')
export const connectionNameTaken = fault('conflict', 'CONNECTION_NAME_TAKEN', 'Another connection has this name.')
export const scimUserLinked = fault('conflict', 'SCIM_USER_LINKED', 'This user of the directory is a member already.')

export const massChangeFlagged = event('scim.mass_change.flagged', z.object({ connectionId: z.string(), changes: z.int() }))

/** Of the fields that administrators use; `token:manage` is identity's already. */
export const scimPermissions = ['sso:manage'] as const

export const mostTokens = 10
export const mostRules = 200

/** How long a replaced token works on, unless told otherwise. */
export const usualOverlapHours = 24

const expiresAt = z.iso.datetime({ offset: true }).optional()
const token = z.object({ id: z.string(), token: z.string(), connectionId: z.string() })

export const ruleInput = z.object({
  match: z.enum(['DISPLAY_NAME', 'EXTERNAL_ID']),
  value: line(256),
  role: z.enum(directoryRoles),
})
export type RuleInput = z.output<typeof ruleInput>
const rules = z.array(ruleInput).max(mostRules)

export const previewedChange = z.object({
  userId: z.string(),
  userName: z.string(),
  /** Null: no access. */
  from: z.string().nullable(),
  to: z.string().nullable(),
})
export type PreviewedChange = z.output<typeof previewedChange>
const preview = z.object({ people: z.int(), changing: z.int(), changes: z.array(previewedChange) })
export type RulesPreview = z.output<typeof preview>

export const shownToken = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: z.date(),
  expiresAt: z.date().nullable(),
  lastUsedAt: z.date().nullable(),
  revokedAt: z.date().nullable(),
})
export type ShownToken = z.output<typeof shownToken>

export const shownConnection = z.object({
  id: z.string(),
  name: z.string(),
  massChangeAt: z.int(),
  /** When a mass change was noticed that nobody has acknowledged. */
  flaggedAt: z.date().nullable(),
  flaggedChanges: z.int(),
  createdAt: z.date(),
  users: z.int(),
  groups: z.int(),
  /** People of a large change whose role is still to be settled; what they were to lose is lost already. */
  unsettled: z.int(),
  tokens: z.array(shownToken),
  rules: z.array(ruleInput),
})
export type ShownConnection = z.output<typeof shownConnection>

export const shownReceipt = z.object({
  id: z.string(),
  at: z.date(),
  userName: z.string(),
  cause: z.enum(['DEACTIVATED', 'DELETED', 'ROLE_LOST', 'ROLE_CHANGED']),
  sessions: z.int(),
  invitations: z.int(),
  flaggedTokens: z.int(),
  wasLastAdmin: z.boolean(),
})
export type ShownReceipt = z.output<typeof shownReceipt>

export const exchange = z.object({
  id: z.string(),
  connectionId: z.string(),
  requestId: z.string(),
  at: z.date(),
  method: z.string(),
  path: z.string(),
  query: z.string(),
  status: z.int(),
  scimType: z.string().nullable(),
  detail: z.string().nullable(),
  /** In milliseconds. */
  durationMs: z.number(),
  /** JSON; null without one. */
  body: z.string().nullable(),
})
export type Exchange = z.output<typeof exchange>

export const scimMethods = {
  /** Whose token this is, at this moment. Runs for anybody; the tenant is the one that the token names. @throws SCIM_TOKEN_REFUSED */
  identify: {
    input: z.object({ token: z.string().max(200) }),
    output: z.object({ connectionId: z.string(), tokenId: z.string(), lastUsedAt: z.date().nullable() }),
  },
  /** The tenant's connections with their tokens and rules, at most 100. Needs `sso:manage`. */
  connections: { input: z.object({}), output: z.array(shownConnection) },
  /** What was cut, the newest first. Needs `sso:manage`. @throws NOT_FOUND */
  receipts: {
    input: z.object({ connectionId: uuid, first: z.int().min(1).max(200).default(50) }),
    output: z.array(shownReceipt),
  },
  /** Needs `sso:manage`. @throws CONNECTION_NAME_TAKEN */
  createConnection: {
    input: z.object({ name: line(100), massChangeAt: z.int().min(1).max(100_000).optional() }),
    output: z.object({ id: z.string() }),
  },
  /** The number of cuts within an hour that is flagged. Needs `sso:manage`. @throws NOT_FOUND */
  setMassChangeAt: {
    input: z.object({ connectionId: uuid, massChangeAt: z.int().min(1).max(100_000) }),
    output: z.object({ id: z.string() }),
  },
  /** Somebody has looked at a mass change. Needs `sso:manage`. @throws NOT_FOUND */
  acknowledgeMassChange: { input: z.object({ connectionId: uuid }), output: z.object({ id: z.string() }) },
  /** Makes a token; it is shown once. `expiresAt`: RFC 3339. Needs `token:manage`. @throws NOT_FOUND, SCIM_TOKEN_LIMIT */
  createToken: { input: z.object({ connectionId: uuid, name: line(100), expiresAt }), output: token },
  /** A successor at once; the old token works on for `overlapHours` (0 to 720) at most. Needs `token:manage`. @throws as createToken */
  rotateToken: {
    input: z.object({ id: uuid, overlapHours: z.int().min(0).max(720).default(usualOverlapHours), expiresAt }),
    output: token,
  },
  /** Kills a token at once. Repeating it changes nothing. Needs `token:manage`. @throws NOT_FOUND */
  revokeToken: { input: z.object({ id: uuid }), output: z.object({ id: z.string() }) },
  /** Who would change if these were the rules; the first 200 of them by name. Changes nothing. Needs `sso:manage`. @throws NOT_FOUND */
  previewRules: { input: z.object({ connectionId: uuid, rules }), output: preview },
  /**
   * Makes these the rules and applies them to everybody at once. Needs `sso:manage`; a rule for a privileged role needs an administrator
   * whose session began with a second factor. @throws NOT_FOUND, SECOND_FACTOR_NEEDED
   */
  setRules: { input: z.object({ connectionId: uuid, rules }), output: preview },
  /** Lets a directory's user act on a member who was there before. Needs `sso:manage`. @throws NOT_FOUND, SCIM_USER_LINKED, NOT_LINKABLE */
  linkUser: { input: z.object({ userId: uuid, membershipId: uuid }), output: z.object({ userId: z.string() }) },
  /** The last exchanges, the newest first. `status` 4 means 400 to 499. Needs `sso:manage`, or the operator. */
  exchanges: {
    input: z.object({
      connectionId: uuid.optional(),
      method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).optional(),
      status: z.int().min(1).max(599).optional(),
      scimType: z.string().max(40).optional(),
      path: z.string().max(200).optional(),
      first: z.int().min(1).max(200).default(50),
    }),
    output: z.array(exchange),
  },
  /**
   * Sends an exchange once more as a dry run, with what the recorder kept of it: says what would be answered now and changes nothing.
   * Needs `sso:manage`, or the operator. Commits by itself. @throws NOT_FOUND
   */
  replay: {
    input: z.object({ id: uuid }),
    output: z.object({ status: z.int(), scimType: z.string().nullable(), answer: z.string() }),
  },
  /** The operator makes a token, and the connection of that name if there is none. @throws TENANT_APPROVAL_NEEDED, SCIM_TOKEN_LIMIT */
  operatorCreateToken: { input: z.object({ connection: line(100), name: line(100), expiresAt }), output: token },
} satisfies Methods

export type Scim = ContractOf<typeof scimMethods>

declare module '../../../platform/module.ts' {
  interface Contracts {
    scim: Scim
  }
}
