/** How far the caller's permission reaches over members and invitations. */
import { notFound } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { isRole, scopeOf, type Permission, type Role } from '../access/contract.ts'
import { need } from '../../platform/authorise.ts'

export type MemberReach =
  | { readonly rows: 'tenant' }
  | { readonly rows: 'organisation'; readonly providerOrgId: string }
  /** What the caller made herself. */
  | { readonly rows: 'own'; readonly membershipId: string }
  | { readonly rows: 'none' }

/** The role that acts; null for the operator, the system and nobody. */
export function actingRole({ actor }: Pick<Scope, 'actor'>): Role | null {
  const role = actor.kind === 'member' || actor.kind === 'integration' ? actor.role : ''
  return isRole(role) ? role : null
}

/**
 * Authorises, and says over which rows.
 * @throws UNAUTHENTICATED, FORBIDDEN
 */
export function reachOf(scope: Scope, permission: Permission): MemberReach {
  need(scope, permission)
  const role = actingRole(scope)
  const letter = role && scopeOf(role, permission)
  const { actor } = scope
  if (letter === 'T') return { rows: 'tenant' }
  if (actor.kind !== 'member') return { rows: 'none' }
  if (letter === 'O' && actor.providerOrgId) return { rows: 'organisation', providerOrgId: actor.providerOrgId }
  if (letter === 'N') return { rows: 'own', membershipId: actor.membershipId }
  return { rows: 'none' }
}

/** What was found, or NOT_FOUND: a row out of reach is not distinguished from one that is not there. */
export function existing<Row>(row: Row | null): Row {
  if (row === null) throw notFound()
  return row
}
