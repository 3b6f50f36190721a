import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deriveLoginPassword, hmac, randomToken, sameSecret, sha256Hex } from './hash.ts'

describe('sha256Hex', () => {
  it('gives the known answer of FIPS 180-4 for text and bytes', () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect([sha256Hex('abc'), sha256Hex(Buffer.from('abc'))]).toEqual([abc, abc])
    expect(sha256Hex('سلام')).toBe(createHash('sha256').update('سلام', 'utf8').digest('hex'))
  })
})

describe('hmac', () => {
  it('gives the known answer of RFC 4231 test case 2', () => {
    const answer = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'
    expect(hmac('Jefe', 'what do ya want for nothing?').toString('hex')).toBe(answer)
    expect(hmac(Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?')).toString('hex')).toBe(answer)
  })

  it('refuses an empty key', () => {
    expect(() => hmac('', 'x')).toThrow(RangeError)
    expect(() => hmac(new Uint8Array(), 'x')).toThrow(RangeError)
  })
})

describe('sameSecret', () => {
  it('is true for equal secrets and false for all others, whatever their lengths', () => {
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code))
    const text = fc.string({ unit, minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(sameSecret(a, `${a}`)).toBe(true)
        expect(sameSecret(a, b)).toBe(a === b)
        expect(sameSecret(a, a + b)).toBe(false)
      }),
    )
    for (const [a, b] of [['\ud800', '\ud801'], ['\ud800', '\ufffd'], ['é', 'e\u0301'], ['a', 'A'], ['a', 'a\0'], ['a', '']] as const) {
      expect(sameSecret(a, b)).toBe(false)
    }
  })

  it('takes an empty text for no secret', () => {
    expect([sameSecret('', ''), sameSecret('a', 'a')]).toEqual([false, true])
  })
})

describe('randomToken', () => {
  it('gives base64url of as many bytes as asked, never the same twice', () => {
    expect(randomToken()).toMatch(/^[\w-]{43}$/)
    expect(randomToken(16)).toMatch(/^[\w-]{22}$/)
    expect(new Set(Array.from({ length: 1000 }, () => randomToken(16))).size).toBe(1000)
  })

  it('refuses sizes that could be guessed, or that are no size', () => {
    for (const bad of [0, 15, 1025, -1, 32.5, Number.NaN]) expect(() => randomToken(bad)).toThrow(RangeError)
  })
})

describe('deriveLoginPassword', () => {
  it('depends on secret and login alone, and on both', () => {
    const secret = 'a-secret-of-this-installation-only'
    const password = deriveLoginPassword(secret, 'maristan_console')
    expect(password).toMatch(/^[0-9a-f]{64}$/)
    expect(deriveLoginPassword(secret, 'maristan_console')).toBe(password)
    const others = [
      deriveLoginPassword(secret, 'maristan_seller'),
      deriveLoginPassword(`${secret}x`, 'maristan_console'),
      hmac(secret, 'maristan_console').toString('hex'),
    ]
    expect(others).not.toContain(password)
  })

  it('stays the same in every release, or no server could log in', () => {
    expect(deriveLoginPassword('secret', 'login')).toBe('75e69079de236aef02d1611aed70bc1128ba9946a22e7ea75241f45bb1558ed4')
  })

  it('refuses an empty secret or login', () => {
    expect(() => deriveLoginPassword('', 'login')).toThrow(RangeError)
    expect(() => deriveLoginPassword('secret', '')).toThrow(RangeError)
  })
})
