/**
 * Who a verified assertion lets in, and as what. Known people are found by the immutable id, never by their address; newcomers come only
 * where the connection takes them, in the role of the first rule that matches.
 */
import { Fault } from '../../../kernel/fault.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { planeOf, type Role } from '../../access/contract.ts'
import type { Identity } from '../../identity/contract.ts'
import type { HouseReason } from './reasons.ts'
import type { VerifiedAssertion } from './guard/verdict.ts'
import type { Connection } from './repo.ts'
import { maySpeakFor, privilegedRoles, redacted, roleByRules, type Candidate, type MappableRole, type MappingRule } from './rules.ts'

const transient = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'

/** Names by which identity providers send an address where the connection names none. */
const usualEmailAttributes = [
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress',
  'urn:oid:0.9.2342.19200300.100.1.3',
  'email',
  'mail',
  'emailAddress',
  'Email',
  'emailaddress',
]

export const candidateOf = ({ id, domains }: Connection): Candidate => ({
  id,
  provenDomains: domains.filter(({ provenAt }) => provenAt !== null).map(({ domain }) => domain),
})

const rulesOf = ({ rules }: Connection): readonly MappingRule[] => rules.map(({ attribute, value, role }) => ({ attribute, value, role: role as MappableRole }))

export interface Subject {
  readonly externalId: string
  readonly email: string | null
  /** By the rules, else the newcomers' role; null when neither gives one. */
  readonly role: MappableRole | null
  /** The administrator behind a role that needs one. */
  readonly authorisedBy: string | null
}

/** Reads the subject out of an assertion as the connection maps it; a reason when it cannot be. */
export function subjectOf(connection: Connection, assertion: VerifiedAssertion): Subject | { readonly reason: HouseReason } {
  const { attributes, nameId, nameIdFormat } = assertion
  const { idAttribute, emailAttribute } = connection
  const externalId = idAttribute === null ? nameId : attributes.get(idAttribute)?.[0]
  if (!externalId) return { reason: 'NO_ID' }
  if (idAttribute === null && nameIdFormat === transient) return { reason: 'TRANSIENT_ID' }
  const named = emailAttribute === null ? usualEmailAttributes.map((name) => attributes.get(name)?.[0]).find(Boolean) : attributes.get(emailAttribute)?.[0]
  const email = named ?? (emailAttribute === null && nameId.includes('@') ? nameId : null)
  const byRule = roleByRules(rulesOf(connection), attributes)
  const rule = byRule === null ? undefined : connection.rules.find(({ role }) => role === byRule)
  return {
    externalId,
    email: email?.trim().toLowerCase() ?? null,
    role: byRule ?? (connection.jitRole as MappableRole | null),
    authorisedBy: rule?.authorisedBy ?? null,
  }
}

/** The assertion as IT may see it: which attributes came, and of their values what one recognises them by. */
export function shownOf(assertion: VerifiedAssertion, subject: Subject | null) {
  return {
    issuer: assertion.issuer,
    nameId: redacted(assertion.nameId),
    nameIdFormat: assertion.nameIdFormat,
    authnInstant: assertion.authnInstant.toISOString(),
    authnContext: assertion.authnContextClassRef,
    sessionNotOnOrAfter: assertion.sessionNotOnOrAfter?.toISOString() ?? null,
    certificate: assertion.certificateFingerprint,
    email: subject?.email ? redacted(subject.email) : null,
    attributes: Object.fromEntries([...assertion.attributes].slice(0, 100).map(([name, values]) => [name, values.slice(0, 20).map(redacted)])),
  }
}

interface Arrival {
  readonly connection: Connection
  readonly others: readonly Connection[]
  readonly subject: Subject
  readonly plane: string | null
  readonly identity: Identity
}

type Decision =
  | { readonly kind: 'KNOWN'; readonly membershipId: string; readonly role: Role; readonly becomes: MappableRole | null }
  | { readonly kind: 'NEWCOMER'; readonly role: MappableRole; readonly email: string }
  | { readonly reason: HouseReason }

/** Inside a command: the link by which a subject is known here, the connection's own before its directory's. */
export async function linkOf(scope: Scope, { connection, subject, identity }: Omit<Arrival, 'others' | 'plane'>): ReturnType<Identity['findLink']> {
  const { id: connectionId, directoryId } = connection
  const { externalId } = subject
  const own = await identity.findLink(scope, { connectionId, externalId })
  return own ?? (directoryId === null ? null : identity.findLink(scope, { connectionId: directoryId, externalId }))
}

/** Inside a command: who this is here and what becomes of her. It changes nothing. */
async function decide(scope: Scope, { connection, others, subject, plane, identity }: Arrival): Promise<Decision> {
  const { role, email } = subject
  const mayEnter = (found: Role) => plane === null || planeOf(found) === plane

  const link = await linkOf(scope, { connection, subject, identity })
  if (link) {
    const isOwn = link.connectionId === connection.id
    const { membershipId } = link
    if (link.status !== 'ACTIVE') return { reason: 'MEMBER_INACTIVE' }
    // Whoever sets a connection up could else name a directory and be its administrator.
    if (!isOwn && privilegedRoles.includes(link.role) && connection.directoryAuthorisedBy === null) return { reason: 'DIRECTORY_UNCONFIRMED' }
    const isOurs = isOwn && link.source === 'SAML' && link.origin === 'PROVISIONED'
    if (!isOurs) return mayEnter(link.role) ? { kind: 'KNOWN', membershipId, role: link.role, becomes: null } : { reason: 'WRONG_PLANE' }
    if (role === null) return { reason: 'NO_ROLE' }
    if (!mayEnter(role)) return { reason: 'WRONG_PLANE' }
    return { kind: 'KNOWN', membershipId, role, becomes: link.role === role ? null : role }
  }
  // Where a directory is named, people are its to bring: of a newcomer taken here it would not know whom to cut.
  if (!connection.jitAllowed || connection.directoryId !== null) return { reason: 'NO_MEMBERSHIP' }
  if (email === null) return { reason: 'NO_EMAIL' }
  if (!maySpeakFor(candidateOf(connection), others.map(candidateOf), email)) return { reason: 'DOMAIN_OF_OTHERS' }
  if (role === null) return { reason: 'NO_ROLE' }
  return mayEnter(role) ? { kind: 'NEWCOMER', role, email } : { reason: 'WRONG_PLANE' }
}

export type Admission = { readonly membershipId: string; readonly role: Role } | { readonly reason: HouseReason }

/** Inside a command. Newcomers are provisioned, members whom this connection provisioned follow the rules. */
export async function admit(scope: Scope, arrival: Arrival): Promise<Admission> {
  const decision = await decide(scope, arrival)
  if ('reason' in decision) return decision
  const { identity, connection, subject } = arrival
  const here = { source: 'SAML', connectionId: connection.id } as const
  const asDirectory: Scope = { ...scope, actor: { kind: 'directory', ...here } }
  const { externalId, authorisedBy } = subject
  const { role } = decision
  if (decision.kind === 'NEWCOMER') {
    const { membershipId } = await identity.provisionMember(asDirectory, { ...here, externalId, email: decision.email, role: decision.role, authorisedBy })
    return { membershipId, role }
  }
  const { membershipId, becomes } = decision
  if (becomes !== null) await identity.changeRole(asDirectory, { ...here, membershipId, role: becomes, authorisedBy })
  return { membershipId, role }
}

/** Inside a command: what a sign-in would bring. Where she would not be let in, the role is what the rules give her, and there is a reason. */
export async function foresee(scope: Scope, arrival: Arrival): Promise<{ readonly role: string | null; readonly reason: HouseReason | null }> {
  const decision = await decide(scope, arrival)
  if ('reason' in decision) return { role: arrival.subject.role, reason: decision.reason }
  const { role } = decision
  const isTaken = decision.kind === 'NEWCOMER' && (await arrival.identity.isAddressKnown(scope, { email: decision.email })).isKnown
  return { role, reason: isTaken ? 'NOT_LINKED' : null }
}

/** What a refusal of identity's means here; null for one that is none of these. */
export function reasonOfFault(error: unknown): HouseReason | null {
  if (!(error instanceof Fault)) return null
  switch (error.code) {
    case 'ALREADY_MEMBER':
    case 'ALREADY_LINKED':
      return 'NOT_LINKED'
    case 'INVALID_INPUT':
      return 'NO_EMAIL'
    case 'MEMBER_ENDED':
      return 'MEMBER_INACTIVE'
    case 'DIRECTORY_ROLE_REFUSED':
      return 'NO_ROLE'
    default:
      return null
  }
}
