/** What a role may do, and which roles it may hand on. Pure; a role or permission it does not know gets nothing. */
import { planes, type Plane } from '../../kernel/scope.ts'
import { matrix, roles, type Permission, type Reach, type Role } from './matrix.ts'

const planeByRole: ReadonlyMap<Role, Plane> = new Map<Role, Plane>([
  ['tenant_admin', 'console'],
  ['compliance_officer', 'console'],
  ['care_coordinator', 'console'],
  ['clinician', 'clinician'],
  ['caregiver', 'courier'],
  ['provider_manager', 'seller'],
  ['family', 'consumer'],
])

const invitable: ReadonlyMap<Role, readonly Role[]> = new Map<Role, readonly Role[]>([
  ['tenant_admin', roles],
  ['care_coordinator', ['clinician', 'caregiver', 'family', 'provider_manager']],
  ['provider_manager', ['provider_manager']],
  ['family', ['family']],
])

/** Decisions that stay with people: no machine token ever carries them. */
export const neverOnTokens: ReadonlySet<Permission> = new Set<Permission>([
  'phi:break_glass',
  'bid:accept',
  'review:decide',
  'role:assign',
])

const rowByKey = new Map(matrix.map((row) => [row.key, row]))
const heldByRole = new Map<Role, ReadonlySet<Permission>>(
  roles.map((role) => [role, new Set(matrix.filter((row) => row.cells[role] !== null).map((row) => row.key))]),
)
const none: ReadonlySet<Permission> = new Set()

export function isRole(text: string): text is Role {
  return planeByRole.has(text as Role)
}

export function isPermission(text: string): text is Permission {
  return rowByKey.has(text as Permission)
}

/** The one plane whose schema a member of this role signs in to. @throws for a name that is no role. */
export function planeOf(role: Role): Plane {
  const plane = planeByRole.get(role)
  if (!plane) throw new Error(`There is no role ${String(role)}.`)
  return plane
}

/** The roles that sign in to a plane; none for `integrator`, which only tokens reach. */
export function rolesOf(plane: Plane): readonly Role[] {
  return roles.filter((role) => planeByRole.get(role) === plane)
}

/** Everything a role may do somewhere; how far it reaches says `scopeOf`. Empty for a name that is no role. */
export function permissionsOf(role: Role): ReadonlySet<Permission> {
  return heldByRole.get(role) ?? none
}

/** How far a role's permission reaches; null when it is denied, or when either name is unknown. */
export function scopeOf(role: Role, permission: Permission): Reach | null {
  const cells = rowByKey.get(permission)?.cells
  return cells && Object.hasOwn(cells, role) ? cells[role] : null
}

/** What a machine token made by a member of this role may carry at most. */
export function tokenPermissions(role: Role): ReadonlySet<Permission> {
  return permissionsOf(role).difference(neverOnTokens) as ReadonlySet<Permission>
}

const onTokens: ReadonlySet<Permission> = new Set(
  roles.filter((role) => permissionsOf(role).has('token:manage')).flatMap((role) => [...tokenPermissions(role)]),
)

/**
 * The planes in whose schema a field guarded by this permission exists: those whose roles hold it,
 * and `integrator` when a token can carry it (tokens are made by holders of `token:manage`).
 * @throws for a name that is no permission: a misspelt mark must stop the start.
 */
export function planesOf(permission: Permission): readonly Plane[] {
  if (!isPermission(permission)) throw new Error(`There is no permission ${String(permission)}.`)
  return planes.filter((plane) =>
    plane === 'integrator' ? onTokens.has(permission) : rolesOf(plane).some((role) => permissionsOf(role).has(permission)),
  )
}

/**
 * Whether a member of `assigner` may give somebody else the role `target`: needs `role:assign`, and nobody but a
 * tenant_admin hands out what she lacks. That assigner and receiver are two people is the caller's check.
 */
export function mayAssign(assigner: Role, target: Role): boolean {
  if (!isRole(assigner) || !isRole(target)) return false
  const held = permissionsOf(assigner)
  return held.has('role:assign') && (assigner === 'tenant_admin' || permissionsOf(target).isSubsetOf(held))
}

/**
 * Whether a member of `inviter` may invite somebody as `target`: needs `user:invite`, and each role has its own circle.
 * A coordinator invites carers with rights she lacks (a clinician signs notes): her circle is the reviewed exception.
 */
export function mayInvite(inviter: Role, target: Role): boolean {
  return permissionsOf(inviter).has('user:invite') && (invitable.get(inviter)?.includes(target) ?? false)
}
