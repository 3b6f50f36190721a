/** The first line of a use case: may this caller do this at all. */
import { forbidden, unauthenticated } from '../kernel/fault.ts'
import type { Scope } from '../kernel/scope.ts'

/** @throws UNAUTHENTICATED for nobody, FORBIDDEN for a caller without the permission. */
export function need(scope: Scope, permission: string): void {
  if (scope.actor.kind === 'anonymous') throw unauthenticated()
  if (!scope.permissions.has(permission)) throw forbidden({ permission })
}
