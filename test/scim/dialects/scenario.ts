/**
 * Scenarios: what a directory sends, step by step, and what is stored after each step. They are data, so that the same steps run through
 * the engine alone and through the real route. Bodies are our own, with made-up people; each cites the public page whose shape it has.
 */

/** Ids of resources that earlier steps made, by the name the scenario gave them. */
export type Known = (name: string) => string

interface Step {
  /** A sentence of law. */
  readonly law: string
  /** The public documentation page whose shape the request follows. */
  readonly cites: string
  /** The scenario's name of the resource, such as `user:sara` or `group:nurses`. */
  readonly name: string
}

/** A request that changes a resource. */
export interface Write extends Step {
  readonly method: 'POST' | 'PUT' | 'PATCH'
  readonly body: (id: Known) => unknown
  /** The stored resource without `id`, `meta`, `groups` and `members`, in the order it is shown; compared byte by byte. */
  readonly stored?: Readonly<Record<string, unknown>>
  /** For groups: the names of its members afterwards. */
  readonly members?: readonly string[]
  /** A refusal instead: its scimType. Nothing has changed. */
  readonly refused?: string
}

/** A question a directory asks before it writes. */
export interface Question extends Step {
  readonly filter: (id: Known) => string
  readonly finds: boolean
  readonly excludedAttributes?: string
}

export interface Scenario {
  readonly dialect: string
  readonly title: string
  readonly steps: readonly (Write | Question)[]
}

export const userUrn = 'urn:ietf:params:scim:schemas:core:2.0:User'
export const groupUrn = 'urn:ietf:params:scim:schemas:core:2.0:Group'
export const enterpriseUrn = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'

export const patch = (...operations: readonly unknown[]) => ({
  schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
  Operations: operations,
})
