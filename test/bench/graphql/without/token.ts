/** A bearer is who it once was: neither its hash, nor its times, nor its key are looked at again. */
import { confirmationOf } from '../../../../src/modules/identity/repo-sessions.ts'
import { sessionLife } from '../../../../src/modules/identity/contract.ts'
import type { BearerMemory, Member } from '../../../../src/modules/identity/recall.ts'

export type * from '../../../../src/modules/identity/recall.ts'

export function createBearerMemory(): BearerMemory {
  const held = new Map<string, { tenantId: string; member: Member }>()
  return {
    async remember(bearer, tenantId, member) {
      held.set(bearer, { tenantId, member })
    },
    async recall(bearer, plane) {
      const one = held.get(bearer)
      if (one?.member.plane !== plane) return null
      const nowMs = Date.now()
      return { ...one, confirmedBy: confirmationOf({ ...one, nowMs, idleSinceMs: nowMs - sessionLife.idleMs }) }
    },
  }
}
