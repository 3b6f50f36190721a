/** How far the caller's permissions reach among recipients: the service's half of what the database's policies enforce coarsely. */
import { notFound } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { need } from '../../platform/authorise.ts'
import { scopeOf, type Permission, type Reach, type Role } from '../access/contract.ts'
import type { CareRepo } from './repo.ts'
import { capabilityMissing, capabilityNeededFor, covers, type Capability, type NetworkPermission, type Standing } from './rules.ts'

/** The reach of the caller's role; null for a caller without the permission, or without a role. */
export function reachOf(scope: Scope, permission: Permission): Reach | null {
  const { actor } = scope
  if (actor.kind !== 'member' && actor.kind !== 'integration') return null
  return scope.permissions.has(permission) ? scopeOf(actor.role as Role, permission) : null
}

export function createReach(repo: CareRepo) {
  return {
    /** Those of the recipients that a permission covers when it needs this capability. */
    async covered(scope: Scope, ids: readonly string[], permission: Permission, capability: Capability): Promise<ReadonlySet<string>> {
      const reach = reachOf(scope, permission)
      if (reach === null) return new Set()
      if (reach === 'T') return new Set(await repo.seen(scope, ids))
      const standings = await repo.standings(scope, ids)
      return new Set(ids.filter((id) => covers(reach, standings.get(id), capability) === 'covered'))
    },

    /**
     * Refuses unless the permission covers the recipient; answers how the caller stands to her, if that had to be known.
     * @throws NOT_FOUND out of reach, CAPABILITY_MISSING when no live link carries what it takes, FORBIDDEN without the permission.
     */
    async need(scope: Scope, permission: NetworkPermission, recipientId: string): Promise<Standing | undefined> {
      need(scope, permission)
      const reach = reachOf(scope, permission)
      const capability = capabilityNeededFor[permission]
      const standing = reach === 'T' ? undefined : (await repo.standings(scope, [recipientId])).get(recipientId)
      const verdict = covers(reach, standing, capability)
      if (verdict === 'hidden') throw notFound()
      if (verdict === 'missing') throw capabilityMissing({ capability })
      return standing
    },
  }
}

export type CareReach = ReturnType<typeof createReach>
