/** What is promised and not built yet, counted, so that no number is ever reached by leaving something out. */
import { matrix, permissions } from '../modules/access/contract.ts'
import type { Composed } from '../platform/compose.ts'
import { rootFields } from '../proof/graph-shape.ts'
import { planeTestCounts } from '../proof/planes.ts'

export interface Unbuilt {
  /** Permissions whose operation does not exist yet. */
  readonly permissions: readonly string[]
  /** Operations that the permission matrix names and no plane's schema has, also under permissions that guard something else already. */
  readonly operations: readonly string[]
  readonly planeTests: ReturnType<typeof planeTestCounts>
}

export function unbuilt({ schemas }: Pick<Composed, 'schemas'>): Unbuilt {
  const there = new Set(Object.values(schemas.plane).flatMap((schema) => rootFields(schema).map(({ field }) => field.name)))
  const named = matrix.flatMap(({ operations }) => operations).filter((name) => !name.startsWith('@'))
  return {
    permissions: permissions.filter((permission) => !schemas.guarded.has(permission)),
    operations: named.filter((name) => !there.has(name)),
    planeTests: planeTestCounts(),
  }
}
