/**
 * Access: what each role may do, decided once and in code. It stores nothing and knows no member.
 *
 * Glossary
 * - **role**: one of seven; a membership holds exactly one, and only the membership is a row.
 * - **permission**: `resource:action`, one of 58; it guards operations and opens planes.
 * - **reach**: how many rows a granted permission covers (tenant, care network, organisation, self, grant). The
 *   database's policies enforce it again.
 * - **plane**: the schema a role signs in to; a field exists only in planes whose roles hold its permission.
 * - **machine token**: an API token; it carries a chosen part of its maker's permissions, on the `integrator` plane.
 *
 * @example
 * permissionsOf('clinician').has('note:sign') // true
 * scopeOf('clinician', 'note:sign') // 'N': recipients of her care network
 * planesOf('note:sign') // ['clinician']
 * mayInvite('care_coordinator', 'tenant_admin') // false
 */
import { z } from 'zod'
import { matrix, roles, type Permission } from './matrix.ts'

export { matrix, roles } from './matrix.ts'
export type { Permission, PermissionGroup, PermissionRow, Reach, Role } from './matrix.ts'
export {
  isPermission,
  isRole,
  mayAssign,
  mayInvite,
  neverOnTokens,
  permissionsOf,
  planeOf,
  planesOf,
  rolesOf,
  scopeOf,
  tokenPermissions,
} from './rules.ts'

/** Every permission's name, in the order of the matrix. */
export const permissions: readonly Permission[] = matrix.map((row) => row.key)

/** A role's name in an input. */
export const roleInput = z.enum(roles)

/** A permission's name in an input. */
export const permissionInput = z.enum(permissions)
