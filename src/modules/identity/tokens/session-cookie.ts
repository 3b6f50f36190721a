/**
 * Session cookies of browsers: `<tenant>.<session>.<plane's letter><secret>`, one cookie name a plane. A value moved to another
 * plane's cookie is refused without a look-up; page scripts never see it, and no page can turn it into a bearer token.
 */
import { isUuid } from '../../../kernel/id.ts'
import { signInPlanes, type Plane } from '../../../kernel/scope.ts'
import { randomToken, sha256Hex } from '../../../platform/crypto/hash.ts'
import { packId, unpackId } from './packed-id.ts'
import { planeLetters, type SignInPlane } from './refresh.ts'

/** The cookie that carries a plane's session; null for the plane nobody signs in to by browser. */
export function cookieNameOf(plane: Plane): string | null {
  return plane === 'integrator' ? null : `${planeLetters[plane]}_sid`
}

export interface SessionCookie {
  readonly tenantId: string
  readonly sessionId: string
  readonly plane: SignInPlane
  /** As stored. Marked, so that a cookie's secret never passes for a refresh token's. */
  readonly hash: string
}

/** A new value with the hash to store. */
export function newSessionCookie(
  tenantId: string,
  sessionId: string,
  plane: SignInPlane,
): { readonly value: string; readonly hash: string } {
  const secret = `${planeLetters[plane]}${randomToken()}`
  return { value: `${packId(tenantId)}.${sessionId}.${secret}`, hash: hashOf(secret) }
}

const secretShape = /^([kdcfs])[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** Reads a value without trusting it; null for anything {@link newSessionCookie} would not have written. */
export function readSessionCookie(value: string): SessionCookie | null {
  if (value.length > 120) return null
  const [packed = '', sessionId = '', secret = '', ...rest] = value.split('.')
  const tenantId = unpackId(packed)
  const letter = secretShape.exec(secret)?.[1]
  const plane = signInPlanes.find((one) => planeLetters[one] === letter)
  if (tenantId === null || plane === undefined || rest.length > 0 || !isUuid(sessionId)) return null
  return { tenantId, sessionId, plane, hash: hashOf(secret) }
}

function hashOf(secret: string): string {
  return `cookie:${sha256Hex(`maristan-cookie|${secret}`)}`
}

/**
 * The Set-Cookie header that starts a session (RFC 6265 §4.1).
 * @param isSecure false only where we are reached by plain http on loopback.
 */
export function cookieHeader(
  plane: SignInPlane,
  value: string,
  { maxAgeSeconds, isSecure }: { readonly maxAgeSeconds: number; readonly isSecure: boolean },
): string {
  const parts = [`${planeLetters[plane]}_sid=${value}`, 'Path=/', 'HttpOnly', 'SameSite=Lax', `Max-Age=${maxAgeSeconds}`]
  return [...parts, ...(isSecure ? ['Secure'] : [])].join('; ')
}

/** The Set-Cookie header that makes a browser forget the plane's session. */
export function forgetCookieHeader(plane: SignInPlane, isSecure: boolean): string {
  return cookieHeader(plane, '', { maxAgeSeconds: 0, isSecure })
}
