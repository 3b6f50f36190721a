/**
 * Access tokens: JWTs (RFC 9068) signed with Ed25519, each good for one plane. They refuse another plane before anything is looked up,
 * every algorithm but one, and every header that would let a token say how to check itself (RFC 8725 §3.1, §3.10).
 */
import { randomUUID } from 'node:crypto'
import { SignJWT, compactVerify, errors } from 'jose'
import { z } from 'zod'
import { credentialFault, fault } from '../../../kernel/fault.ts'
import { isUuid } from '../../../kernel/id.ts'
import { planes } from '../../../kernel/scope.ts'
import type { Plane, SignInMethod } from '../../../kernel/scope.ts'
import { planeOfKid, signer, verifier } from './signing-key.ts'
import type { SigningKey } from './signing-key.ts'

/** Who holds the token: what the request's scope is made of. Roles and permissions are looked up at every call, never carried. */
export interface AccessClaims {
  readonly tenantId: string
  readonly plane: Plane
  readonly membershipId: string
  readonly identityId: string
  readonly sessionId: string
  readonly via: SignInMethod
}

export const tokenMalformed = credentialFault('TOKEN_MALFORMED', 'This is not an access token of this server. Sign in again.')
export const tokenWrongPlane = fault('denied', 'TOKEN_WRONG_PLANE', 'This access token is for another client. Sign in here.')
export const tokenUnknownKey = credentialFault('TOKEN_UNKNOWN_KEY', 'This access token is signed by a key not in use. Sign in again.')
export const tokenInvalid = credentialFault('TOKEN_INVALID', 'This access token is not valid. Sign in again.')
export const tokenExpired = credentialFault('TOKEN_EXPIRED', 'This access token has expired. Refresh it or sign in again.')

/** Longest token looked at, in characters. Ours have some 800. */
const longestToken = 4_096
const skewSeconds = 60
const defaultTtlMs = 600_000
/** No token of ours lives longer, whatever it says of itself. */
const longestTtlMs = 3_600_000

const audience = (plane: Plane) => `maristan:${plane}`
const audiences = new Map(planes.map((plane) => [audience(plane), plane]))

// Strict: jku, jwk, x5u, x5c, crit, b64 and whatever comes next are refused by not being listed.
const headerGrammar = z.strictObject({ alg: z.literal('EdDSA'), typ: z.literal('at+jwt'), kid: z.string() })

const id = z.string().refine(isUuid)
const seconds = z.int().min(0)
const claimGrammar = z.strictObject({
  iss: z.string(),
  aud: z.string(),
  client_id: z.string(),
  sub: id,
  jti: id,
  iat: seconds,
  nbf: seconds,
  exp: seconds,
  tenant: id,
  identity: id,
  sid: id,
  via: z.enum(['password', 'saml', 'api-token'] satisfies SignInMethod[]),
})

/**
 * Signs an access token. `sub` is the membership; `client_id`, which RFC 9068 wants, names the plane again.
 * @param ttlMs up to an hour.
 * @throws when the key is not of the claims' plane, does not sign now, or the claims are out of their grammar: mistakes of the caller.
 */
export async function signAccessToken(
  key: SigningKey,
  claims: AccessClaims,
  { issuer, nowMs, ttlMs = defaultTtlMs }: { issuer: string; nowMs: number; ttlMs?: number },
): Promise<string> {
  if (key.plane !== claims.plane || planeOfKid(key.kid) !== claims.plane) throw new Error(`${key.kid} does not sign for ${claims.plane}.`)
  if (nowMs < key.notBeforeMs || nowMs >= key.retireAtMs) throw new Error(`${key.kid} does not sign at this time.`)
  if (!(ttlMs >= 1_000 && ttlMs <= longestTtlMs)) throw new RangeError('An access token lives between a second and an hour.')
  const iat = Math.floor(nowMs / 1_000)
  const payload = claimGrammar.parse({
    iss: issuer,
    aud: audience(claims.plane),
    client_id: audience(claims.plane),
    sub: claims.membershipId,
    jti: randomUUID(),
    iat,
    nbf: iat,
    exp: iat + Math.floor(ttlMs / 1_000),
    tenant: claims.tenantId,
    identity: claims.identityId,
    sid: claims.sessionId,
    via: claims.via,
  })
  return new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: key.kid }).sign(await signer(key))
}

/**
 * The plane a token says it is for. Nothing is verified: it serves to refuse a token at the wrong door without looking anything up.
 * @throws TOKEN_MALFORMED for what is not a token of ours; TOKEN_WRONG_PLANE when its key and its audience are of two planes.
 */
export function audienceOf(token: string): Plane {
  return readToken(token).plane
}

/**
 * Verifies an access token. Its plane is judged first, then its key is asked for, then its signature, grammar and times.
 * @param plane the plane of the door it came through; `any` only where no plane is implied.
 * @param keys answers the keys in use, by their id.
 * @throws TOKEN_MALFORMED, TOKEN_WRONG_PLANE, TOKEN_UNKNOWN_KEY, TOKEN_INVALID, TOKEN_EXPIRED.
 */
export async function verifyAccessToken(
  token: string,
  { plane, keys, issuer, nowMs }: { plane: Plane | 'any'; keys: (kid: string) => SigningKey | undefined; issuer: string; nowMs: number },
): Promise<AccessClaims> {
  const read = readToken(token)
  if (plane !== 'any' && read.plane !== plane) throw tokenWrongPlane()
  const header = headerGrammar.safeParse(read.header)
  if (!header.success) throw tokenInvalid()
  const key = keys(header.data.kid)
  if (!key || key.kid !== header.data.kid) throw tokenUnknownKey()
  if (key.plane !== read.plane) throw tokenWrongPlane()
  if (nowMs >= key.expiresAtMs || nowMs < key.notBeforeMs - skewSeconds * 1_000) throw tokenUnknownKey()
  await checkSignature(token, key)
  const parsed = claimGrammar.safeParse(read.payload)
  if (!parsed.success) throw tokenInvalid()
  const claims = parsed.data
  if (claims.iss !== issuer || claims.client_id !== audience(read.plane)) throw tokenInvalid()
  checkTimes(claims, Math.floor(nowMs / 1_000))
  return {
    tenantId: claims.tenant,
    plane: read.plane,
    membershipId: claims.sub,
    identityId: claims.identity,
    sessionId: claims.sid,
    via: claims.via,
  }
}

interface ReadToken {
  readonly plane: Plane
  readonly header: Record<string, unknown>
  readonly payload: Record<string, unknown>
}

function readToken(token: string): ReadToken {
  if (token.length > longestToken) throw tokenMalformed()
  const [head, body, signature, ...rest] = token.split('.')
  if (!head || !body || signature === undefined || rest.length > 0 || !isCanonical(signature)) throw tokenMalformed()
  const header = readSegment(head)
  const payload = readSegment(body)
  const keyPlane = typeof header.kid === 'string' ? planeOfKid(header.kid) : null
  const plane = typeof payload.aud === 'string' ? audiences.get(payload.aud) : undefined
  if (!keyPlane || !plane) throw tokenMalformed()
  if (keyPlane !== plane) throw tokenWrongPlane()
  return { plane, header, payload }
}

function readSegment(segment: string): Record<string, unknown> {
  if (!isCanonical(segment)) throw tokenMalformed()
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(segment, 'base64url').toString())
  } catch {
    throw tokenMalformed()
  }
  if (typeof value !== 'object' || value === null) throw tokenMalformed()
  return value as Record<string, unknown>
}

// One token, one spelling: neither padding nor loose last bits (RFC 4648 §3.5).
function isCanonical(segment: string): boolean {
  return Buffer.from(segment, 'base64url').toString('base64url') === segment
}

async function checkSignature(token: string, key: SigningKey): Promise<void> {
  try {
    await compactVerify(token, await verifier(key), { algorithms: ['EdDSA'] })
  } catch (error) {
    if (error instanceof errors.JOSEError) throw tokenInvalid()
    throw error
  }
}

function checkTimes({ iat, nbf, exp }: { iat: number; nbf: number; exp: number }, now: number): void {
  if (exp <= iat || exp - iat > longestTtlMs / 1_000) throw tokenInvalid()
  if (iat > now + skewSeconds || nbf > now + skewSeconds) throw tokenInvalid()
  if (now >= exp + skewSeconds) throw tokenExpired()
}
