/** The operator as a caller: the command line acting on one tenant. Holds no permission and no grant on PHI. */
import { userInfo } from 'node:os'
import { newId } from '../kernel/id.ts'
import type { Caller } from '../kernel/scope.ts'
import { unknownTenant } from '../platform/http/tenant.ts'
import type { Database } from '../platform/db/database.ts'

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

/** @throws UNKNOWN_TENANT */
export async function tenantIdOf(database: Database, slug: string): Promise<string> {
  const found = await database.gate.tenantBySlug(slug)
  if (!found) throw unknownTenant()
  return found.tenantId
}
