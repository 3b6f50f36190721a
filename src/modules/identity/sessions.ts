/** Sessions after the sign-in: refreshed, listed and ended. A refresh token that was used before ends its whole family. */
import { notFound, unauthenticated } from '../../kernel/fault.ts'
import type { Actor, Scope } from '../../kernel/scope.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import { sessionEnded, sessionLife } from './contract.ts'
import type { identityMethods, SignedIn } from './contract.ts'
import { isSecureOnly, recordRevoked, type Parts } from './parts.ts'
import { inAuthCommand } from './repo.ts'
import type { HeldSession } from './repo-sessions.ts'
import { createSessionOpener } from './session-opener.ts'
import { tokenMalformed, tokenWrongPlane } from './tokens/access-token.ts'
import { hashSecret, judgeRefresh, newRefreshToken, parseRefreshToken, type RefreshVerdict } from './tokens/refresh.ts'
import { forgetCookieHeader } from './tokens/session-cookie.ts'
import type { SigningKey } from './tokens/signing-key.ts'

type Methods = ServiceOf<typeof identityMethods>
type Member = Extract<Actor, { kind: 'member' }>

/** The signed-in member. @throws UNAUTHENTICATED for anybody else. */
export function memberOf({ actor }: Pick<Scope, 'actor'>): Member {
  if (actor.kind !== 'member') throw unauthenticated()
  return actor
}

export function createSessions(
  parts: Parts,
): Pick<Methods, 'refresh' | 'signOut' | 'sessions' | 'revokeSession' | 'revokeOtherSessions'> {
  const { sessions, keys, clock, config } = parts
  const opener = createSessionOpener(parts)
  const now = () => new Date(clock.nowMs())

  const end = (scope: Scope, of: { id: string; membershipId: string }, reason: string): Promise<void> =>
    inAuthCommand(scope, async (inside) => {
      const ended = await sessions.revoke(inside, of, { reason, now: now() })
      if (ended.length === 0) throw notFound()
      recordRevoked(inside, ended, reason)
    })

  /** Inside a command: what a judged refresh token earns; null for a refusal. */
  const answer = async (inside: Scope, held: HeldSession, verdict: RefreshVerdict, key: SigningKey): Promise<SignedIn | null> => {
    if (verdict !== 'rotate' && verdict !== 'race') return null
    const { id, membershipId, identityId, role, plane, via } = held
    const next = verdict === 'rotate' ? newRefreshToken(plane, id) : null
    if (next) await sessions.rotate(inside, { id, from: held.currentHash, to: next.hash, now: now() })
    const actor = { id: membershipId, sessionId: id, via }
    inside.unit.record({ action: 'session.refreshed', resource: 'Session', resourceId: id, outcome: 'done', actor, detail: { verdict } })
    const claims = { tenantId: inside.tenantId, plane, membershipId, identityId, sessionId: id, via }
    return {
      kind: 'SIGNED_IN',
      accessToken: await opener.sign(key, claims),
      expiresInSeconds: sessionLife.accessTokenMs / 1_000,
      refreshToken: next?.token ?? null,
      deviceToken: null,
      setCookie: null,
      membership: { id: membershipId, role, plane },
    }
  }

  return {
    async refresh(scope, { plane, refreshToken }) {
      const presented = parseRefreshToken(refreshToken)
      if (!presented) throw tokenMalformed()
      if (presented.plane !== plane) throw tokenWrongPlane()
      const key = await keys.signingKey(plane)
      const answered = await inAuthCommand(scope, async (inside) => {
        const held = await sessions.hold(inside, presented.familyId)
        const verdict = held?.isMember ? judge(held, plane, hashSecret(presented.secret)) : 'revoked'
        const good = held && (await answer(inside, held, verdict, key))
        if (good) return good
        const resourceId = held?.id ?? null
        if (held && verdict === 'reuse') {
          recordRevoked(inside, await sessions.revoke(inside, { id: held.id }, { reason: 'REUSE', now: now() }), 'REUSE')
          inside.unit.record({ action: 'refresh.reused', resource: 'Session', resourceId, outcome: 'denied' })
        } else {
          inside.unit.record({ action: 'refresh.refused', resource: 'Session', resourceId, outcome: 'denied', detail: { reason: verdict } })
        }
        return null
      })
      // Told after the commit: a family that was stolen from stays dead.
      if (!answered) throw sessionEnded()
      return answered
    },

    async signOut(scope, { plane }) {
      const { actor } = scope
      if (actor.kind === 'member') {
        await end(scope, { id: actor.sessionId, membershipId: actor.membershipId }, 'SIGNED_OUT').catch((error: unknown) => {
          // Ended meanwhile: that is what was asked for.
          if (!notFound.is(error)) throw error
        })
      }
      return { forgetCookie: forgetCookieHeader(plane, isSecureOnly(config)) }
    },

    async sessions(scope) {
      const { membershipId, sessionId } = memberOf(scope)
      const at = clock.nowMs()
      const rows = await sessions.list(scope, { membershipId, now: new Date(at), idleSince: new Date(at - sessionLife.idleMs) })
      return rows.map(({ rotatedAt, ...row }) => ({
        ...row,
        plane: row.plane as SignedIn['membership']['plane'],
        usedAt: rotatedAt,
        isCurrent: row.id === sessionId,
      }))
    },

    async revokeSession(scope, { sessionId }) {
      const { membershipId } = memberOf(scope)
      await end(scope, { id: sessionId, membershipId }, 'REVOKED')
      return {}
    },

    async revokeOtherSessions(scope) {
      const { membershipId, sessionId } = memberOf(scope)
      const count = await inAuthCommand(scope, async (inside) => {
        const ended = await sessions.revoke(inside, { membershipId }, { reason: 'REVOKED', now: now(), except: sessionId })
        const detail = { count: ended.length }
        inside.unit.record({ action: 'sessions.revoked', resource: 'Membership', resourceId: membershipId, outcome: 'done', detail })
        recordRevoked(inside, ended, 'REVOKED')
        return ended.length
      })
      return { count }
    },
  }

  function judge(held: HeldSession, plane: HeldSession['plane'], presentedHash: string): RefreshVerdict {
    return judgeRefresh({
      session: {
        plane: held.plane,
        currentHash: held.currentHash,
        previousHash: held.previousHash,
        rotatedAtMs: held.rotatedAt.getTime(),
        expiresAtMs: held.expiresAt.getTime(),
        revokedAtMs: held.revokedAt?.getTime() ?? null,
      },
      plane,
      presentedHash,
      nowMs: clock.nowMs(),
      idleMs: sessionLife.idleMs,
    })
  }
}
