/**
 * Refresh tokens: one family a session, a new secret at every use (RFC 9700 §4.14.2). A secret that was used before kills the family,
 * because either the thief or the owner has just shown a copy.
 *
 * Two tabs of one browser may both present the same token. The rule for that: within ten seconds of a rotation the token just replaced
 * is answered `race`, an access token and no refresh token. The tab finds the new refresh token in the shared cookie jar; a thief gains
 * one access token's life and nothing to continue with; and whichever of the two presents the old token later kills the family.
 */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { isUuid } from '../../../kernel/id.ts'
import type { Plane, signInPlanes } from '../../../kernel/scope.ts'

export type SignInPlane = (typeof signInPlanes)[number]

/** One letter a plane; the cookies carry the same (`c_sid` and so on). */
export const planeLetters = {
  console: 'k',
  clinician: 'd',
  consumer: 'c',
  courier: 'f',
  seller: 's',
} as const satisfies Record<SignInPlane, string>

/** How long the token just replaced is answered `race`. */
export const raceMs = 10_000

const secretBytes = 32

export interface RefreshToken {
  readonly plane: SignInPlane
  readonly familyId: string
  readonly secret: string
}

/**
 * A new token with the hash to store.
 * @param familyId the family to continue; a new one without it. A family's id is random and is shown to nobody but the token's holder:
 * who knows it could end the family by presenting a wrong secret.
 */
export function newRefreshToken(plane: SignInPlane, familyId: string = randomUUID()): { token: string; familyId: string; hash: string } {
  const secret = randomBytes(secretBytes).toString('base64url')
  return { token: formatRefreshToken({ plane, familyId, secret }), familyId, hash: hashSecret(secret) }
}

export function formatRefreshToken({ plane, familyId, secret }: RefreshToken): string {
  return `${planeLetters[plane]}.${familyId}.${secret}`
}

// The last letter of 32 bytes in base64url carries four bits: only these sixteen are canonical.
const secretShape = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** Reads a token; null for anything that `formatRefreshToken` would not have written. */
export function parseRefreshToken(text: string): RefreshToken | null {
  if (text.length > 100) return null
  const [letter, familyId, secret, ...rest] = text.split('.')
  const plane = planeOfLetter(letter)
  if (!plane || familyId === undefined || secret === undefined || rest.length > 0) return null
  if (!isUuid(familyId) || !secretShape.test(secret)) return null
  return { plane, familyId, secret }
}

function planeOfLetter(letter: string | undefined): SignInPlane | undefined {
  return (Object.keys(planeLetters) as SignInPlane[]).find((plane) => planeLetters[plane] === letter)
}

/** The stored form of a secret. It is random, so a plain hash suffices. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(`maristan-refresh|${secret}`).digest('hex')
}

/** What is stored of a session, as far as refreshing is concerned. Times in milliseconds since the epoch. */
export interface RefreshableSession {
  readonly plane: Plane
  readonly currentHash: string
  /** Hash of the secret replaced last, null before the first rotation. */
  readonly previousHash: string | null
  /** The last rotation, or the sign-in. Being refreshed is what counts as being used. */
  readonly rotatedAtMs: number
  readonly expiresAtMs: number
  readonly revokedAtMs: number | null
}

/**
 * - `rotate`: replace the secret (by a conditional update on `currentHash`; who loses that race is judged again) and answer both tokens.
 * - `race`: answer an access token only.
 * - `reuse`: revoke the family, audit it, refuse.
 * - `idle`, `expired`, `revoked`, `wrong-plane`: refuse. The caller is told the same for all of these and for `reuse`.
 */
export type RefreshVerdict = 'rotate' | 'race' | 'reuse' | 'idle' | 'expired' | 'revoked' | 'wrong-plane'

/**
 * Judges a presented refresh token of a session that was found by its family.
 * @param plane the plane it was presented on and says it is of.
 * @param idleMs how long a session may go unused.
 */
export function judgeRefresh({
  session,
  plane,
  presentedHash,
  nowMs,
  idleMs,
}: {
  session: RefreshableSession
  plane: Plane
  presentedHash: string
  nowMs: number
  idleMs: number
}): RefreshVerdict {
  if (session.plane !== plane) return 'wrong-plane'
  if (session.revokedAtMs !== null) return 'revoked'
  if (nowMs >= session.expiresAtMs) return 'expired'
  if (sameHash(presentedHash, session.currentHash)) return nowMs - session.rotatedAtMs >= idleMs ? 'idle' : 'rotate'
  const justReplaced = session.previousHash !== null && sameHash(presentedHash, session.previousHash)
  // Both ways: a clock set back must not stretch the ten seconds.
  return justReplaced && Math.abs(nowMs - session.rotatedAtMs) < raceMs ? 'race' : 'reuse'
}

function sameHash(one: string, other: string): boolean {
  const [oneBytes, otherBytes] = [Buffer.from(one), Buffer.from(other)]
  return oneBytes.length === otherBytes.length && timingSafeEqual(oneBytes, otherBytes)
}
