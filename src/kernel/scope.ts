/** Who asks, for which tenant, from which plane, and inside which unit of work: the first argument of every contract method. */
import type { AuditEntry } from './audit-entry.ts'
import type { EventType } from './event.ts'

/** The five planes people sign in to, and the integrator's, which only API tokens reach. */
export const planes = ['console', 'clinician', 'consumer', 'courier', 'seller', 'integrator'] as const
export type Plane = (typeof planes)[number]

/** The four client planes, isolated from each other; `console` is the staff's. */
export const clientPlanes = ['consumer', 'seller', 'clinician', 'courier'] as const satisfies readonly Plane[]

/** The planes a person can sign in to. */
export const signInPlanes = ['console', ...clientPlanes] as const satisfies readonly Plane[]

/** Why PHI is read (45 CFR 164.506 names the first three). */
export const purposes = ['TREATMENT', 'PAYMENT', 'OPERATIONS', 'PATIENT_REQUEST'] as const
export type Purpose = (typeof purposes)[number]

export type SignInMethod = 'password' | 'saml' | 'api-token'

/** A signed-in member, an integration, a customer's directory, the system itself (jobs), the operator (command line), or nobody yet. */
export type Actor =
  | {
      readonly kind: 'member'
      readonly membershipId: string
      readonly identityId: string
      readonly role: string
      readonly sessionId: string
      readonly via: SignInMethod
      /** The provider organisation of a seller, else null. */
      readonly providerOrgId: string | null
    }
  | { readonly kind: 'integration'; readonly tokenId: string; readonly role: string }
  /** A SCIM or SAML connection: it acts on the memberships that it provisioned or was linked to, and on no plane of its own. */
  | { readonly kind: 'directory'; readonly source: 'SCIM' | 'SAML'; readonly connectionId: string }
  | { readonly kind: 'system'; readonly job: string }
  | { readonly kind: 'operator'; readonly name: string }
  | { readonly kind: 'anonymous' }

/** Stands for "no tenant" where a unit of work wants one: no tenant has it, so no tenant's row matches it. */
export const noTenant = '00000000-0000-0000-0000-000000000000'

/** Everything about the one who asks, settled before any work starts. */
export interface Caller {
  readonly tenantId: string
  readonly plane: Plane | null
  readonly actor: Actor
  readonly permissions: ReadonlySet<string>
  readonly purpose: Purpose | null
  readonly requestId: string
  /** Address of the client as far as the trusted proxies tell; null for jobs and the operator. */
  readonly sourceAddress: string | null
  readonly userAgent: string | null
}

/**
 * The caller's unit of work: the reads of one operation, and at most one command (a write transaction) at a time inside
 * it. Made by `platform/db`; repos read through it; services record and publish through it.
 */
export interface UnitOfWork {
  readonly tenantId: string
  /**
   * Notes what happened. Inside a command the row commits with the change, or the change does not happen; outside, it is
   * committed before the answer leaves, or nothing is answered.
   */
  record(entry: AuditEntry): void
  /** Publishes a fact in the command's own transaction; handlers see it after the commit. Refused outside a command. */
  publish<Payload>(type: EventType<string, Payload>, aggregateId: string, payload: Payload): void
}

export interface Scope extends Caller {
  readonly unit: UnitOfWork
}

/** The membership that acts, or null for everybody who is not a signed-in member. */
export function memberIdOf(caller: Pick<Caller, 'actor'>): string | null {
  return caller.actor.kind === 'member' ? caller.actor.membershipId : null
}
