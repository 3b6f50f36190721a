/** SAML's decisions: the life of a connection, which connection is asked, who may come in and as what. Pure; refuses what is not listed. */
import { machine } from '../../../kernel/machine.ts'

/**
 * A connection's life. `vouch` is the operator's: metadata and domain are as good as proven. ROTATING goes on signing people in, and
 * passwords stay off in it where they were.
 */
export const connectionMachine = machine({
  initial: 'DRAFT',
  moves: [
    { from: ['DRAFT', 'CONFIGURED', 'TESTED', 'DISABLED'], event: 'configure', to: 'CONFIGURED', by: 'it' },
    { from: ['CONFIGURED', 'TESTED'], event: 'pass', to: 'TESTED', by: 'it' },
    { from: 'TESTED', event: 'activate', to: 'ACTIVE', by: 'it' },
    { from: 'CONFIGURED', event: 'vouch', to: 'ACTIVE', by: 'operator' },
    { from: 'ACTIVE', event: 'require', to: 'ENFORCED', by: 'admin' },
    { from: ['ENFORCED', 'ROTATING'], event: 'relax', to: 'ACTIVE', by: 'admin' },
    { from: ['ACTIVE', 'ENFORCED'], event: 'expiring', to: 'ROTATING', by: 'system' },
    { from: 'ROTATING', event: 'renew', to: 'ACTIVE', by: 'system' },
    { from: 'ROTATING', event: 'renewEnforced', to: 'ENFORCED', by: 'system' },
    { from: ['DRAFT', 'CONFIGURED', 'TESTED', 'ACTIVE', 'ENFORCED', 'ROTATING'], event: 'disable', to: 'DISABLED', by: 'admin' },
  ],
})
export type ConnectionState = (typeof connectionMachine.states)[number]
export type ConnectionEvent = (typeof connectionMachine.events)[number]

/** The states in which people sign in. */
export const signingStates: readonly ConnectionState[] = ['ACTIVE', 'ENFORCED', 'ROTATING']

/** Planes that single sign-on reaches. */
export const samlPlanes = ['console', 'clinician', 'courier'] as const

/** Roles that single sign-on can give; consumers and sellers are nobody's staff. */
export const mappableRoles = ['tenant_admin', 'compliance_officer', 'care_coordinator', 'clinician', 'caregiver'] as const
export type MappableRole = (typeof mappableRoles)[number]
/** Given only by rules that a signed-in administrator wrote with a second factor, never by a setup link or for want of a rule. */
export const privilegedRoles: readonly string[] = ['tenant_admin', 'compliance_officer']
export const newcomerRoles = ['care_coordinator', 'clinician', 'caregiver'] as const

export interface MappingRule {
  readonly attribute: string
  readonly value: string
  readonly role: MappableRole
}

/**
 * Whether people sign in through a connection, or a rule would make administrators of some. Whoever names the provider then, or the attribute
 * by which people are known, is all of them: more than a setup link is for.
 */
export function isSettled(connection: { activatedAt: Date | null; entityId: string | null; rules: readonly { role: string }[] }): boolean {
  const { activatedAt, entityId, rules } = connection
  return activatedAt !== null || (entityId !== null && rules.some(({ role }) => privilegedRoles.includes(role)))
}

export type Attributes = ReadonlyMap<string, readonly string[]>

/** The role of the first rule, in order, one of whose attribute's values is its value exactly; null when none is. */
export function roleByRules(rules: readonly MappingRule[], attributes: Attributes): MappableRole | null {
  return rules.find(({ attribute, value }) => attributes.get(attribute)?.includes(value))?.role ?? null
}

export interface Candidate {
  readonly id: string
  readonly provenDomains: readonly string[]
}

/**
 * The connections that may sign this address in: those that have proven its domain; where nobody has, those that have proven none.
 * Two may remain, and the person is asked.
 */
export function connectionsFor<One extends Candidate>(connections: readonly One[], email: string | null): readonly One[] {
  if (email === null) return connections
  const domain = domainOf(email)
  const proven = connections.filter(({ provenDomains }) => provenDomains.includes(domain))
  return proven.length > 0 ? proven : connections.filter(({ provenDomains }) => provenDomains.length === 0)
}

/** Whether this connection may speak for an address: its own proven domain, or one that nobody else has proven, if it has proven none. */
export function maySpeakFor(connection: Candidate, others: readonly Candidate[], email: string): boolean {
  return connectionsFor([connection, ...others.filter(({ id }) => id !== connection.id)], email).includes(connection)
}

function domainOf(email: string): string {
  return email.slice(email.lastIndexOf('@') + 1)
}

const longestReturn = 500

/** A path of our own to go to afterwards; `/` for anything else: another site's address, in whatever spelling a browser would take. */
export function ownPath(wanted: string | null | undefined): string {
  if (!wanted || wanted.length > longestReturn || !/^\/(?![/\\])[\x21-\x7e]*$/.test(wanted) || wanted.includes('\\')) return '/'
  const url = URL.parse(wanted, 'http://own.invalid')
  return url?.origin === 'http://own.invalid' && !url.pathname.startsWith('//') ? wanted : '/'
}

/** A value as IT needs it to recognise, and no more: its first sign, its length, and of an address its domain. */
export function redacted(value: string): string {
  const at = value.lastIndexOf('@')
  if (at > 0) return `${value.slice(0, 1)}…@${value.slice(at + 1, at + 80)}`
  return value.length <= 2 ? '…' : `${value.slice(0, 1)}… (${[...value].length})`
}

/** What is read of a provider's metadata, and for how long it is waited: a document of one provider has some ten kilobytes. */
export const metadataBounds = { maxBytes: 512 * 1024, timeoutMs: 10_000 } as const

/** Days before a certificate's end at which the administrators are told. */
export const warningDays = [30, 7, 1] as const

/** The warning that is due now: the smallest of {@link warningDays} not below the days left, unless it was given. */
export function dueWarning(notAfter: Date, nowMs: number, warnedDays: number | null): number | null {
  const daysLeft = (notAfter.getTime() - nowMs) / 86_400_000
  const due = warningDays.findLast((days) => daysLeft <= days)
  return due !== undefined && (warnedDays === null || due < warnedDays) ? due : null
}
