import { describe, expect, it } from 'vitest'
import { planes } from '../../../kernel/scope.ts'
import { jwks, keyLife, newSigningKey, planeOfKid, rotation, signer, verifier } from './signing-key.ts'
import type { SigningKey } from './signing-key.ts'

const start = 1_800_000_000_000
const hour = 3_600_000
const day = 24 * hour

describe('a signing key', () => {
  it('belongs to its plane by its id, and lives as long as it was given', async () => {
    for (const plane of planes) {
      const key = await newSigningKey(plane, start)
      expect(planeOfKid(key.kid)).toBe(plane)
      expect(key).toMatchObject({ plane, notBeforeMs: start + day, retireAtMs: start + 8 * day, expiresAtMs: start + 9 * day })
      expect(key.privateJwk).toMatchObject({ kty: 'OKP', crv: 'Ed25519', d: expect.any(String) })
      expect(key.publicJwk).not.toHaveProperty('d')
    }
  })

  it.each([
    '', 'console', 'console.', 'Console.aaaaaaaaaaaaaaaaaaaaaa', 'console.aaaa', 'root.aaaaaaaaaaaaaaaaaaaaaa',
    ' console.aaaaaaaaaaaaaaaaaaaaaa',
    'console.aaaaaaaaaaaaaaaaaaaaaa\n',
    'console.aaaaaaaaaaaaaaaaaaaaa/', 'console.aaaaaaaaaaaaaaaaaaaaaaa', '__proto__.aaaaaaaaaaaaaaaaaaaaaa',
  ])('has no id like %j', (kid) => {
    expect(planeOfKid(kid)).toBeNull()
  })

  it('is published without its private half, even where the public one was stored carelessly', async () => {
    const key = await newSigningKey('seller', start)
    const careless = { ...key, publicJwk: { ...key.privateJwk! } }
    const published = jwks([key, careless])
    expect(published.keys[0]).toEqual({ kty: 'OKP', crv: 'Ed25519', x: key.publicJwk.x, kid: key.kid, use: 'sig', alg: 'EdDSA' })
    expect(published.keys[1]).toEqual(published.keys[0])
    expect(JSON.stringify(published)).not.toContain(key.privateJwk!.d)
  })

  it('is imported once, cannot be taken out again, and is imported anew when its content changed', async () => {
    const key = await newSigningKey('seller', start)
    const other = await newSigningKey('seller', start)
    expect(await signer(key)).toBe(await signer({ ...key }))
    expect((await signer(key)).extractable).toBe(false)
    expect(await verifier(key)).toBe(await verifier({ ...key }))
    expect(await verifier({ ...key, publicJwk: other.publicJwk })).not.toBe(await verifier(key))
  })

  it('does not sign without its private half, and is nothing but Ed25519', async () => {
    const key = await newSigningKey('seller', start)
    expect(() => signer({ ...key, privateJwk: null })).toThrow('private half')
    await expect(verifier({ ...key, publicJwk: { kty: 'oct', k: 'AAAA' } })).rejects.toThrow('not an Ed25519 key')
    await expect(verifier({ ...key, publicJwk: { kty: 'OKP', crv: 'X25519', x: key.publicJwk.x! } })).rejects.toThrow('not an Ed25519 key')
  })
})

describe('the rotation of keys', () => {
  let count = 0
  const keyAt = (notBeforeMs: number, change: Partial<SigningKey> = {}): SigningKey => ({
    kid: `courier.${String(count++).padStart(22, '0')}`,
    plane: 'courier',
    privateJwk: { kty: 'OKP' },
    publicJwk: { kty: 'OKP' },
    notBeforeMs,
    retireAtMs: notBeforeMs + keyLife.signMs,
    expiresAtMs: notBeforeMs + keyLife.signMs + keyLife.graceMs,
    ...change,
  })

  it('asks for a first key that signs at once', () => {
    expect(rotation([], start, 'courier')).toEqual({ signWith: null, make: { ...keyLife, aheadMs: 0 } })
  })

  it('does not take a key of another plane, without a private half, not begun or retired', () => {
    const unfit = [
      keyAt(start, { plane: 'seller' }), keyAt(start, { privateJwk: null }), keyAt(start + 1), keyAt(start - keyLife.signMs),
    ]
    for (const key of unfit) expect(rotation([key], start, 'courier')).toEqual({ signWith: null, make: { ...keyLife, aheadMs: 0 } })
  })

  it('lets the newest key that has begun sign, and rests while it is far from its end', () => {
    const [older, newer, next] = [keyAt(start), keyAt(start + 5 * day), keyAt(start + 7 * day)]
    expect(rotation([next, older, newer], start + 6 * day, 'courier')).toEqual({ signWith: newer, make: null })
    expect(rotation([older], start, 'courier')).toEqual({ signWith: older, make: null })
  })

  it('asks for the successor a day and an hour before the end, so that it is published a day and overlaps an hour', () => {
    const key = keyAt(start)
    expect(rotation([key], key.retireAtMs - day - hour - 1, 'courier').make).toBeNull()
    expect(rotation([key], key.retireAtMs - day - hour, 'courier').make).toEqual(keyLife)
    expect(rotation([key], key.retireAtMs - 3 * hour, 'courier').make).toEqual({ ...keyLife, aheadMs: 2 * hour })
    expect(rotation([key], key.retireAtMs - 1, 'courier').make).toEqual({ ...keyLife, aheadMs: 0 })
  })

  it('never leaves a moment without a signing key, nor a token without its key, in a year of hourly looks and some missed ones', () => {
    const keys: SigningKey[] = []
    let made = 0
    for (let tick = 0; tick < 365 * 24; tick++) {
      const nowMs = start + tick * hour
      const missed = tick % 200 > 180
      const { signWith, make } = rotation(keys, nowMs, 'courier')
      expect(signWith !== null || tick === 0).toBe(true)
      if (signWith) expect(signWith.expiresAtMs - nowMs).toBeGreaterThan(day)
      if (make && !missed) {
        made++
        keys.push(keyAt(nowMs + make.aheadMs))
      }
    }
    expect(made).toBeLessThan(56)
  })
})
