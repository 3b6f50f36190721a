/**
 * The scope on a wire: who asks, signed with a shared secret, for one audience and one call, and good for half a minute. Refuses
 * what was altered, is meant for somebody else or another call, is too old, or was shown before.
 */
import { randomUUID } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import { fault, overloaded } from '../kernel/fault.ts'
import { planes, purposes, type Caller } from '../kernel/scope.ts'
import { hmac, sha256Hex } from './crypto/hash.ts'

export const wireRefused = fault('denied', 'WIRE_REFUSED', 'This call does not carry a scope that is valid for it.')

/** Who may listen: the secret that both ends share, and the name of the end that answers. */
export interface WireTrust {
  /** At least 32 characters. */
  readonly secret: string
  /** One name for one process: shown-before is remembered in the memory of that process. */
  readonly audience: string
}

const algorithm = 'HS256'
const tokenType = 'maristan-scope+jwt'
const lifeSeconds = 30
/** Clocks of two machines may differ by this much. */
const toleranceSeconds = 5
/** Calls of one token life; more at once are refused rather than forgotten. */
const maxRemembered = 200_000

const text = z.string().max(400)
const actor = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('member'),
    membershipId: z.uuid(),
    identityId: z.uuid(),
    role: text,
    sessionId: z.uuid(),
    via: z.enum(['password', 'saml', 'api-token']),
    providerOrgId: z.uuid().nullable(),
  }),
  z.strictObject({ kind: z.literal('integration'), tokenId: z.uuid(), role: text }),
  z.strictObject({ kind: z.literal('system'), job: text }),
  z.strictObject({ kind: z.literal('operator'), name: text }),
  z.strictObject({ kind: z.literal('anonymous') }),
])
const claims = z.object({
  jti: z.uuid(),
  exp: z.int(),
  call: text,
  body: z.string().length(64),
  scope: z.strictObject({
    tenantId: z.uuid(),
    plane: z.enum(planes).nullable(),
    actor,
    permissions: z.array(z.string().max(64)).max(200),
    purpose: z.enum(purposes).nullable(),
    requestId: text,
    sourceAddress: text.nullable(),
    userAgent: text.nullable(),
  }),
})

/** A key for this use alone, whatever else the secret is used for. @throws when the secret is short. */
function keyOf({ secret, audience }: WireTrust): Buffer {
  if (secret.length < 32) throw new Error('The wire secret needs at least 32 characters.')
  if (audience === '') throw new Error('A wire has a named audience.')
  return hmac(secret, 'maristan/wire/v1')
}

/** Signs the caller for one call, `<module>.<method>`, with exactly this body. */
export function createScopeSigner(trust: WireTrust): (caller: Caller, call: string, body: string) => Promise<string> {
  const key = keyOf(trust)
  return ({ tenantId, plane, actor, permissions, purpose, requestId, sourceAddress, userAgent }, call, body) => {
    const now = Math.floor(Date.now() / 1000)
    const who = { tenantId, plane, actor, permissions: [...permissions], purpose }
    const scope = { ...who, requestId, sourceAddress, userAgent: userAgent?.slice(0, 400) ?? null }
    return new SignJWT({ scope, call, body: sha256Hex(body) })
      .setProtectedHeader({ alg: algorithm, typ: tokenType })
      .setAudience(trust.audience)
      .setJti(randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + lifeSeconds)
      .sign(key)
  }
}

/** Checks such a token against the call it came with. @throws WIRE_REFUSED, or OVERLOADED when it cannot remember it. */
export function createScopeVerifier(trust: WireTrust): (token: string, call: string, body: string | Uint8Array) => Promise<Caller> {
  const key = keyOf(trust)
  const shown = new ShownBefore()
  return async (token, call, body) => {
    let payload: unknown
    try {
      ;({ payload } = await jwtVerify(token, key, {
        algorithms: [algorithm],
        typ: tokenType,
        audience: trust.audience,
        maxTokenAge: lifeSeconds,
        clockTolerance: toleranceSeconds,
        requiredClaims: ['jti', 'iat', 'exp'],
      }))
    } catch (error) {
      if (error instanceof errors.JOSEError) throw wireRefused()
      throw error
    }
    const parsed = claims.safeParse(payload)
    if (!parsed.success || parsed.data.call !== call || parsed.data.body !== sha256Hex(body)) throw wireRefused()
    shown.remember(parsed.data.jti, (parsed.data.exp + toleranceSeconds) * 1000)
    const { scope } = parsed.data
    return { ...scope, permissions: new Set(scope.permissions) }
  }
}

/** The ids of the tokens that were accepted and could still be shown again. */
class ShownBefore {
  /** In the order of arrival, which within a token's life is nearly that of expiry. */
  readonly #untilMs = new Map<string, number>()

  remember(id: string, untilMs: number): void {
    const nowMs = Date.now()
    for (const [old, endMs] of this.#untilMs) {
      if (endMs > nowMs) break
      this.#untilMs.delete(old)
    }
    if (this.#untilMs.has(id)) throw wireRefused()
    if (this.#untilMs.size >= maxRemembered) throw overloaded()
    this.#untilMs.set(id, untilMs)
  }
}
