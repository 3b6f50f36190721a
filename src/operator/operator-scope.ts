/** The operator as a caller: the command line acting on one tenant. Holds no permission and no grant on PHI. */
import { userInfo } from 'node:os'
import { fault } from '../kernel/fault.ts'
import { newId } from '../kernel/id.ts'
import type { Caller } from '../kernel/scope.ts'
import type { Database } from '../platform/db/database.ts'

export const noSuchTenant = fault<{ slug: string }>(
  'absent',
  'NO_SUCH_TENANT',
  ({ slug }) => `There is no tenant ${slug}. Those there are: maristan tenant list`,
)

/** The caller for commands on this tenant; its requests share the id of this run. */
export function operatorCaller(tenantId: string): Caller {
  return {
    tenantId,
    plane: null,
    actor: { kind: 'operator', name: userInfo().username },
    permissions: new Set(),
    purpose: null,
    requestId: newId(),
    sourceAddress: null,
    userAgent: 'maristan command line',
  }
}

/** @throws NO_SUCH_TENANT */
export async function tenantIdOf(database: Database, slug: string): Promise<string> {
  const found = await database.gate.tenantBySlug(slug)
  if (!found) throw noSuchTenant({ slug })
  return found.tenantId
}
