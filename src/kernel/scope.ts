/** Who asks, for which tenant, from which plane, and inside which unit of work: the first argument of every contract method. */

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

/** A signed-in member, an integration, the system itself (jobs), the operator (command line), or nobody yet. */
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
  | { readonly kind: 'system'; readonly job: string }
  | { readonly kind: 'operator'; readonly name: string }
  | { readonly kind: 'anonymous' }

/** One transaction's worth of work. Opaque here; `platform/db` makes it, repos read through it. */
export interface UnitOfWork {
  readonly tenantId: string
}

export interface Scope {
  readonly tenantId: string
  readonly plane: Plane | null
  readonly actor: Actor
  readonly permissions: ReadonlySet<string>
  readonly purpose: Purpose | null
  readonly requestId: string
  /** Address of the client as far as the trusted proxies tell; null for jobs and the operator. */
  readonly sourceAddress: string | null
  readonly userAgent: string | null
  readonly unit: UnitOfWork
}
