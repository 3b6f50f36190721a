/** What is promised and not built yet, counted, so that no number is ever reached by leaving something out. */
import { permissions } from '../modules/access/contract.ts'
import type { Composed } from '../platform/compose.ts'
import { planeTestCounts } from '../proof/planes.ts'

export interface Unbuilt {
  /** Permissions whose operation does not exist yet. */
  readonly permissions: readonly string[]
  readonly planeTests: ReturnType<typeof planeTestCounts>
}

export function unbuilt({ schemas }: Pick<Composed, 'schemas'>): Unbuilt {
  return { permissions: permissions.filter((permission) => !schemas.guarded.has(permission)), planeTests: planeTestCounts() }
}
