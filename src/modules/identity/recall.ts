/**
 * Who a bearer was when it was last identified in this process, so that its session can be confirmed in the same round trip as the read
 * that it asks for. It confirms nothing itself: a read whose confirmation does not come back as told is no answer.
 */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../kernel/clock.ts'
import type { Plane } from '../../kernel/scope.ts'
import type { ConfirmedBy } from '../../platform/db/standing.ts'
import { sessionLife, type Identified } from './contract.ts'
import type { Keys } from './keys.ts'
import { confirmationOf } from './repo-sessions.ts'

export type Member = Extract<Identified, { kind: 'member' }>

export interface Recalled {
  readonly tenantId: string
  readonly member: Member
  readonly confirmedBy: ConfirmedBy
}

export interface BearerMemory {
  /** Keeps what a bearer turned out to be; its signature was checked just now. */
  remember(bearer: string, tenantId: string, member: Member): Promise<void>
  /** Null for a bearer that is not remembered, is near its end, is for another plane, or whose key is no longer in use. */
  recall(bearer: string, plane: Plane): Promise<Recalled | null>
}

interface Remembered {
  readonly tenantId: string
  readonly member: Member
  readonly kid: string
  /** The public point of the key: one that was replaced under its id is another. */
  readonly x: string | undefined
  readonly fromMs: number
  readonly untilMs: number
}

const most = 10_000

export function createBearerMemory({ keys, clock }: { readonly keys: Keys; readonly clock: Clock }): BearerMemory {
  const held = new LRUCache<string, Remembered>({ max: most })
  // The token itself is not kept.
  const entryOf = (bearer: string) => hash('sha256', bearer, 'base64')
  const segment = (bearer: string, at: number) =>
    JSON.parse(Buffer.from(bearer.split('.')[at]!, 'base64url').toString()) as Record<string, unknown>

  return {
    async remember(bearer, tenantId, member) {
      const { kid } = segment(bearer, 0) as { kid: string }
      const { nbf, exp } = segment(bearer, 1) as { nbf: number; exp: number }
      const key = (await keys.verifiers(kid))(kid)
      if (!key) return
      held.set(entryOf(bearer), { tenantId, member, kid, x: key.publicJwk.x, fromMs: nbf * 1_000, untilMs: exp * 1_000 })
    },

    async recall(bearer, plane) {
      const one = held.get(entryOf(bearer))
      if (one?.member.plane !== plane) return null
      const nowMs = clock.nowMs()
      if (nowMs < one.fromMs || nowMs >= one.untilMs) return null
      const key = (await keys.verifiers(one.kid))(one.kid)
      if (!key || key.publicJwk.x !== one.x || nowMs < key.notBeforeMs || nowMs >= key.expiresAtMs) return null
      const { tenantId, member } = one
      return { tenantId, member, confirmedBy: confirmationOf({ tenantId, member, nowMs, idleSinceMs: nowMs - sessionLife.idleMs }) }
    },
  }
}
