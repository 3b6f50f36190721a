/** Opens sessions and signs what proves them: a cookie for browsers, or an access token with a refresh token. Never both. */
import { randomUUID } from 'node:crypto'
import type { Scope, SignInMethod } from '../../kernel/scope.ts'
import type { Source } from './attempts.ts'
import { sessionLife, type SignedIn } from './contract.ts'
import { isSecureOnly, issuerOf, type Parts } from './parts.ts'
import type { ActiveMembership } from './repo.ts'
import { signAccessToken, type AccessClaims } from './tokens/access-token.ts'
import { newRefreshToken, type SignInPlane } from './tokens/refresh.ts'
import { cookieHeader, newSessionCookie } from './tokens/session-cookie.ts'
import type { SigningKey } from './tokens/signing-key.ts'

/** How a session will travel; for bearers with the key that signs, fetched before any command holds a connection. */
export type Transport = { readonly kind: 'COOKIE' } | { readonly kind: 'BEARER'; readonly key: SigningKey }

export interface SessionOpener {
  /** Outside a command. */
  prepare(plane: SignInPlane, kind: 'BEARER' | 'COOKIE'): Promise<Transport>
  /** Inside a command: a new session of a person who has proven everything. */
  open(
    inside: Scope,
    to: {
      identityId: string
      membership: ActiveMembership
      transport: Transport
      /** Null for a person whom another sign-in page has proven: nothing was guessed here. */
      source: Source | null
      via?: SignInMethod
      /** When the session ends at the latest. */
      endsAt?: Date | null
      /** When the second factor was shown. */
      secondFactorAt?: Date | null
    },
  ): Promise<SignedIn & { readonly sessionId: string }>
  sign(key: SigningKey, claims: AccessClaims): Promise<string>
}

export function createSessionOpener({ sessions, keys, attempts, clock, config }: Parts): SessionOpener {
  const sign = (key: SigningKey, claims: AccessClaims) =>
    signAccessToken(key, claims, { issuer: issuerOf(config), nowMs: clock.nowMs(), ttlMs: sessionLife.accessTokenMs })

  return {
    sign,

    prepare: async (plane, kind) => (kind === 'COOKIE' ? { kind } : { kind, key: await keys.signingKey(plane) }),

    async open(inside, { identityId, membership, transport, source, via = 'password', endsAt = null, secondFactorAt = null }) {
      const { tenantId } = inside
      const { id: membershipId, plane } = membership
      const now = new Date(clock.nowMs())
      const made = transport.kind === 'COOKIE' ? cookieFor(tenantId, plane) : refreshTokenFor(plane)
      const sessionId = made.sessionId
      const lifeMs = Math.min(sessionLife.absoluteMs, endsAt === null ? Infinity : endsAt.getTime() - now.getTime())
      const expiresAt = new Date(now.getTime() + lifeMs)
      await sessions.add(inside, { id: sessionId, membershipId, plane, via, hash: made.hash, now, expiresAt, secondFactorAt })
      const deviceToken = source === null ? null : await attempts.succeed(inside, source)
      inside.unit.record({
        action: 'signin.succeeded',
        resource: 'Session',
        resourceId: sessionId,
        outcome: 'done',
        actor: { id: membershipId, sessionId, via },
        detail: { transport: transport.kind },
      })
      const common = { kind: 'SIGNED_IN', sessionId, deviceToken, membership: { id: membershipId, role: membership.role, plane } } as const
      if (transport.kind === 'COOKIE') {
        const maxAgeSeconds = Math.floor(lifeMs / 1_000)
        const setCookie = cookieHeader(plane, made.value, { maxAgeSeconds, isSecure: isSecureOnly(config) })
        return { ...common, accessToken: null, refreshToken: null, expiresInSeconds: maxAgeSeconds, setCookie }
      }
      const accessToken = await sign(transport.key, { tenantId, plane, membershipId, identityId, sessionId, via })
      return { ...common, accessToken, refreshToken: made.value, expiresInSeconds: sessionLife.accessTokenMs / 1_000, setCookie: null }
    },
  }
}

function cookieFor(tenantId: string, plane: SignInPlane) {
  const sessionId = randomUUID()
  return { sessionId, ...newSessionCookie(tenantId, sessionId, plane) }
}

function refreshTokenFor(plane: SignInPlane) {
  const { token, familyId, hash } = newRefreshToken(plane)
  return { sessionId: familyId, value: token, hash }
}
