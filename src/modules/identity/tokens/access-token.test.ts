import { createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { exportJWK } from 'jose'
import type { JWK } from 'jose'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { planes } from '../../../kernel/scope.ts'
import type { Plane } from '../../../kernel/scope.ts'
import { audienceOf, signAccessToken, verifyAccessToken } from './access-token.ts'
import type { AccessClaims } from './access-token.ts'
import { newSigningKey } from './signing-key.ts'
import type { SigningKey } from './signing-key.ts'

const nowMs = 1_800_000_000_000
const now = nowMs / 1_000
const issuer = 'https://cedar.example'
const life = { aheadMs: 0, signMs: 7 * 86_400_000, graceMs: 86_400_000 }
const uuid = (digit: number) => `00000000-0000-7000-8000-00000000000${digit}`
const claimsOf = (plane: Plane): AccessClaims => ({
  tenantId: uuid(1), plane, membershipId: uuid(2), identityId: uuid(3), sessionId: uuid(4), via: 'password',
})

const keys = {} as Record<Plane, SigningKey>
beforeAll(async () => {
  for (const plane of planes) keys[plane] = await newSigningKey(plane, nowMs, life)
})
const find = (kid: string) => Object.values(keys).find((key) => key.kid === kid)
const verify = (token: string, change: Partial<Parameters<typeof verifyAccessToken>[1]> = {}) =>
  verifyAccessToken(token, { plane: 'consumer', keys: find, issuer, nowMs, ...change })
const refusedAs = (code: string) => expect.objectContaining({ kind: 'denied', code })

const encode = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const goodHeader = () => ({ alg: 'EdDSA', typ: 'at+jwt', kid: keys.consumer.kid })
const goodPayload = () => ({
  iss: issuer, aud: 'maristan:consumer', client_id: 'maristan:consumer', sub: uuid(2), jti: uuid(5), iat: now, nbf: now, exp: now + 600,
  tenant: uuid(1), identity: uuid(3), sid: uuid(4), via: 'password',
})
/** A token of any header and payload under a true signature: what only a thief of the key could make. */
function forge(header: unknown, payload: unknown, by: SigningKey = keys.consumer): string {
  const input = `${encode(header)}.${encode(payload)}`
  const key = createPrivateKey({ key: by.privateJwk!, format: 'jwk' })
  return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
}

describe('an access token', () => {
  it('is verified on its own plane and gives back exactly its claims', async () => {
    for (const plane of planes) {
      const token = await signAccessToken(keys[plane], claimsOf(plane), { issuer, nowMs })
      expect(await verify(token, { plane })).toEqual(claimsOf(plane))
      expect(await verify(token, { plane: 'any' })).toEqual(claimsOf(plane))
      expect(audienceOf(token)).toBe(plane)
      expect(token.length).toBeLessThan(1_024)
    }
  })

  it('is what the forger of these tests makes, so that each forgery differs in one thing only', async () => {
    expect(await verify(forge(goodHeader(), goodPayload()))).toEqual(claimsOf('consumer'))
  })

  it('is refused on every other plane before any key is looked up', async () => {
    for (const plane of planes) {
      const token = await signAccessToken(keys[plane], claimsOf(plane), { issuer, nowMs })
      for (const door of planes.filter((other) => other !== plane)) {
        const lookup = vi.fn(find)
        await expect(verify(token, { plane: door, keys: lookup })).rejects.toEqual(refusedAs('TOKEN_WRONG_PLANE'))
        expect(lookup).not.toHaveBeenCalled()
      }
    }
  })

  it('lives ten minutes and, for clocks that differ, one more', async () => {
    const token = await signAccessToken(keys.consumer, claimsOf('consumer'), { issuer, nowMs })
    const endMs = nowMs + 600_000
    for (const atMs of [nowMs - 60_000, nowMs, endMs, endMs + 59_000]) await expect(verify(token, { nowMs: atMs })).resolves.toBeTruthy()
    for (const atMs of [endMs + 60_000, endMs + 61_000, endMs + 3_600_000]) {
      await expect(verify(token, { nowMs: atMs })).rejects.toEqual(refusedAs('TOKEN_EXPIRED'))
    }
    const older = () => ({ ...keys.consumer, notBeforeMs: 0 })
    await expect(verify(token, { nowMs: nowMs - 61_000, keys: older })).rejects.toEqual(refusedAs('TOKEN_INVALID'))
  })
})

describe('a forged access token', () => {
  const header: [string, () => object][] = [
    ['alg none', () => ({ alg: 'none' })],
    ['alg None', () => ({ alg: 'None' })],
    ['alg HS256', () => ({ alg: 'HS256' })],
    ['alg RS256', () => ({ alg: 'RS256' })],
    ['alg Ed25519', () => ({ alg: 'Ed25519' })],
    ['alg as a list', () => ({ alg: ['EdDSA'] })],
    ['typ JWT', () => ({ typ: 'JWT' })],
    ['typ application/at+jwt', () => ({ typ: 'application/at+jwt' })],
    ['no typ', () => ({ typ: undefined })],
    ['jku', () => ({ jku: 'https://evil.example/jwks' })],
    ['x5u', () => ({ x5u: 'https://evil.example/x5u' })],
    ['x5c', () => ({ x5c: ['AAAA'] })],
    ['jwk', () => ({ jwk: keys.seller.publicJwk })],
    ['crit', () => ({ crit: ['exp'] })],
    ['b64', () => ({ b64: false, crit: ['b64'] })],
    ['zip', () => ({ zip: 'DEF' })],
  ]
  it.each(header)('with the header %s is invalid, though truly signed', async (_, change) => {
    await expect(verify(forge({ ...goodHeader(), ...change() }, goodPayload()))).rejects.toEqual(refusedAs('TOKEN_INVALID'))
  })

  const payload: [string, object][] = [
    ['another issuer', { iss: 'https://zaytuna.example' }],
    ['no issuer', { iss: undefined }],
    ['the client of another plane', { client_id: 'maristan:console' }],
    ['an extra claim', { role: 'tenant_admin' }],
    ['no tenant', { tenant: undefined }],
    ['a tenant that is no id', { tenant: 'cedar' }],
    ['a tenant in capitals', { tenant: uuid(1).replace('7', 'A') }],
    ['a list of tenants', { tenant: [uuid(1)] }],
    ['no session', { sid: undefined }],
    ['no membership', { sub: '' }],
    ['no identity', { identity: null }],
    ['an unknown way of signing in', { via: 'guess' }],
    ['no jti', { jti: undefined }],
    ['an issue time 61 seconds ahead', { iat: now + 61 }],
    ['a start 61 seconds ahead', { nbf: now + 61 }],
    ['no end', { exp: undefined }],
    ['an end as text', { exp: String(now + 600) }],
    ['an end that is no whole second', { exp: now + 600.5 }],
    ['an end beyond counting', { exp: 1e300 }],
    ['an end in milliseconds', { exp: nowMs + 600_000 }],
    ['an end before its beginning', { exp: now, iat: now }],
    ['a life of more than an hour', { exp: now + 3_601 }],
    ['a negative issue time', { iat: -1 }],
  ]
  it.each(payload)('with %s is invalid, though truly signed', async (_, change) => {
    await expect(verify(forge(goodHeader(), { ...goodPayload(), ...change }))).rejects.toEqual(refusedAs('TOKEN_INVALID'))
  })

  it('with __proto__ among its names is invalid', async () => {
    const smuggled = (value: object) => JSON.stringify(value).replace('{', '{"__proto__":{"via":"saml"},')
    await expect(verify(forge(goodHeader(), smuggled(goodPayload())))).rejects.toEqual(refusedAs('TOKEN_INVALID'))
    await expect(verify(forge(smuggled(goodHeader()), goodPayload()))).rejects.toEqual(refusedAs('TOKEN_INVALID'))
  })

  it('with times at the edge of the skew is good', async () => {
    await expect(verify(forge(goodHeader(), { ...goodPayload(), iat: now + 60, nbf: now + 60 }))).resolves.toBeTruthy()
    await expect(verify(forge(goodHeader(), { ...goodPayload(), iat: now - 659, nbf: now - 659, exp: now - 59 }))).resolves.toBeTruthy()
    const late = forge(goodHeader(), { ...goodPayload(), iat: now - 661, nbf: now - 661, exp: now - 61 })
    await expect(verify(late)).rejects.toEqual(refusedAs('TOKEN_EXPIRED'))
  })

  it('with a signature of another key, of the public key as a secret, of none or of another token is invalid', async () => {
    const input = `${encode(goodHeader())}.${encode(goodPayload())}`
    const other = await newSigningKey('consumer', nowMs, life)
    const publicText = [keys.consumer.publicJwk.x!, JSON.stringify(keys.consumer.publicJwk)]
    const secrets = [...publicText, Buffer.from(publicText[0]!, 'base64url')]
    const truth = forge(goodHeader(), goodPayload())
    const forgeries = [
      forge(goodHeader(), goodPayload(), other),
      forge(goodHeader(), goodPayload(), keys.seller),
      ...secrets.map((secret) => `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`),
      `${input}.`,
      `${input}.${'A'.repeat(86)}`,
      `${truth.slice(0, truth.lastIndexOf('.'))}.${forge(goodHeader(), { ...goodPayload(), jti: uuid(6) }).split('.')[2]}`,
    ]
    for (const token of forgeries) await expect(verify(token)).rejects.toEqual(refusedAs('TOKEN_INVALID'))
    const hs = `${encode({ ...goodHeader(), alg: 'HS256' })}.${encode(goodPayload())}`
    for (const secret of secrets) {
      const token = `${hs}.${createHmac('sha256', secret).update(hs).digest('base64url')}`
      await expect(verify(token)).rejects.toEqual(refusedAs('TOKEN_INVALID'))
    }
  })

  it('with the key or the audience of another plane is refused as of the wrong plane', async () => {
    const lookup = vi.fn(find)
    const forgeries = [
      forge({ ...goodHeader(), kid: keys.seller.kid }, goodPayload(), keys.seller),
      forge(goodHeader(), { ...goodPayload(), aud: 'maristan:console' }),
      forge({ ...goodHeader(), kid: keys.seller.kid }, { ...goodPayload(), aud: 'maristan:seller' }, keys.seller),
    ]
    for (const token of forgeries) await expect(verify(token, { keys: lookup })).rejects.toEqual(refusedAs('TOKEN_WRONG_PLANE'))
    expect(lookup).not.toHaveBeenCalled()
    expect(() => audienceOf(forgeries[0]!)).toThrow(refusedAs('TOKEN_WRONG_PLANE'))
    const mislaid = () => ({ ...keys.consumer, plane: 'seller' as const })
    await expect(verify(forge(goodHeader(), goodPayload()), { keys: mislaid })).rejects.toEqual(refusedAs('TOKEN_WRONG_PLANE'))
  })

  it('with a key that is unknown, has expired or has not begun is refused', async () => {
    const token = forge(goodHeader(), goodPayload())
    const key = keys.consumer
    const lookups = [
      () => undefined,
      () => keys.seller,
      () => ({ ...key, expiresAtMs: nowMs }),
      () => ({ ...key, notBeforeMs: nowMs + 60_001 }),
    ]
    for (const lookup of lookups) await expect(verify(token, { keys: lookup })).rejects.toEqual(refusedAs('TOKEN_UNKNOWN_KEY'))
    const retired = () => ({ ...key, retireAtMs: nowMs - 1, expiresAtMs: nowMs + 1 })
    await expect(verify(token, { keys: retired })).resolves.toBeTruthy()
  })

  it('that is no token of ours at all is malformed, whatever the plane', async () => {
    const good = forge(goodHeader(), goodPayload())
    const [head, body, signature] = good.split('.') as [string, string, string]
    const texts = [
      '', '.', '..', '...', 'x', head, `${head}.${body}`, `.${body}.${signature}`, `${head}..${signature}`,
      `${good}.`, `${good}.x.y`, ` ${good}`, `${good}\n`, `${good}=`, `${head}=.${body}.${signature}`,
      good.slice(0, -1), good.slice(1), `Bearer ${good}`,
      `${encode('null')}.${body}.${signature}`, `${encode('[]')}.${body}.${signature}`, `${encode('"x"')}.${body}.${signature}`,
      `${head}.${encode('{')}.${signature}`, `${head}.${encode(Buffer.from([0xff]).toString())}.${signature}`,
      forge({ ...goodHeader(), kid: undefined }, goodPayload()), forge({ ...goodHeader(), kid: 'x' }, goodPayload()),
      forge({ ...goodHeader(), kid: `../${keys.consumer.kid}` }, goodPayload()),
      forge({ ...goodHeader(), kid: [keys.consumer.kid] }, goodPayload()),
      forge(goodHeader(), { ...goodPayload(), aud: ['maristan:consumer'] }),
      forge(goodHeader(), { ...goodPayload(), aud: 'maristan:root' }),
      forge(goodHeader(), { ...goodPayload(), aud: undefined }),
      forge(goodHeader(), { ...goodPayload(), pad: 'x'.repeat(5_120) }),
      'A'.repeat(5_120), '.'.repeat(4_096), `${encode('['.repeat(2_000))}.${body}.`,
    ]
    for (const text of texts) {
      await expect(verify(text)).rejects.toEqual(refusedAs('TOKEN_MALFORMED'))
      await expect(verify(text, { plane: 'any' })).rejects.toEqual(refusedAs('TOKEN_MALFORMED'))
      expect(() => audienceOf(text)).toThrow(refusedAs('TOKEN_MALFORMED'))
    }
  })

  it('cut short or changed by one character anywhere is refused', async () => {
    const good = forge(goodHeader(), goodPayload())
    for (let at = 0; at < good.length; at++) {
      await expect(verify(good.slice(0, at))).rejects.toMatchObject({ kind: 'denied' })
      const changed = good.slice(0, at) + (good[at] === 'A' ? 'B' : 'A') + good.slice(at + 1)
      await expect(verify(changed)).rejects.toMatchObject({ kind: 'denied' })
    }
  })

  it('is not believed because the key under its id is no signing key', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
    const wrong: JWK[] = [await exportJWK(publicKey), { kty: 'oct', k: 'AAAA' }, { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }, {}]
    for (const publicJwk of wrong) {
      await expect(verify(forge(goodHeader(), goodPayload()), { keys: () => ({ ...keys.consumer, publicJwk }) })).rejects.toThrow()
    }
  })
})

describe('signing', () => {
  const sign = (key: SigningKey, claims: AccessClaims, change = {}) => signAccessToken(key, claims, { issuer, nowMs, ...change })

  it('refuses a key of another plane, one that does not sign now, and one without its private half', async () => {
    const { consumer, seller } = keys
    const unfit = [
      seller,
      { ...seller, plane: 'consumer' as const },
      { ...consumer, plane: 'seller' as const },
      { ...consumer, notBeforeMs: nowMs + 1 },
      { ...consumer, retireAtMs: nowMs },
      { ...consumer, privateJwk: null },
    ]
    for (const key of unfit) await expect(sign(key, claimsOf('consumer'))).rejects.toThrow()
  })

  it('refuses claims out of their grammar and lives out of their bounds', async () => {
    const claims = claimsOf('consumer')
    for (const change of [{ tenantId: 'cedar' }, { sessionId: '' }, { via: 'guess' as 'saml' }]) {
      await expect(sign(keys.consumer, { ...claims, ...change })).rejects.toThrow()
    }
    for (const ttlMs of [0, -1, 999, 3_600_001, Number.NaN, Infinity]) {
      await expect(sign(keys.consumer, claims, { ttlMs })).rejects.toThrow(RangeError)
    }
  })
})
