import { createDecipheriv, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  freshNonce,
  isSealed,
  keyVersionOf,
  maxSealedBytes,
  open,
  seal,
  sealedValueIllFormed,
  sealedValueTooLarge,
  sealedValueUnreadable,
  type SealedPlace,
} from './seal.ts'

const key = randomBytes(32)
const place: SealedPlace = { tenantId: 'tenant-a', model: 'Recipient', field: 'familyName', rowId: 'row-1' }
const placeParts = ['tenantId', 'model', 'field', 'rowId'] as const
const text = fc.string({ unit: 'binary', maxLength: 200 })
const placePart = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
const anyPlace = fc.record({ tenantId: placePart, model: placePart, field: placePart, rowId: placePart })
const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter((bytes) => bytes.some((byte) => byte !== 0))
const anyVersion = fc.integer({ min: 1, max: 2_147_483_647 })

function caught(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('Nothing was thrown.')
}

/** The one answer to everything that does not open. */
function expectUnreadable(run: () => unknown): void {
  const error = caught(run)
  expect(sealedValueUnreadable.is(error)).toBe(true)
  const { kind, message, data, cause } = error as ReturnType<typeof sealedValueUnreadable>
  const plain = sealedValueUnreadable()
  expect({ kind, message, data, cause }).toEqual({ kind: 'unavailable', message: plain.message, data: undefined, cause: undefined })
}

describe('seal and open', () => {
  it('gives back every text, for every key, version and place', () => {
    fc.assert(
      fc.property(anyKey, anyVersion, anyPlace, text, (someKey, version, somePlace, plaintext) => {
        const sealed = seal(someKey, version, somePlace, plaintext)
        expect(isSealed(sealed)).toBe(true)
        expect(keyVersionOf(sealed)).toBe(version)
        expect(open(someKey, somePlace, sealed)).toBe(plaintext)
      }),
      { numRuns: 300 },
    )
  })

  it('keeps Arabic marks, characters of four bytes, byte order marks, NUL and the empty text as they were', () => {
    for (const plaintext of ['', 'مُحَمَّدٌ ﷺ', 'e\u0301 ≠ \u00e9', '👩🏽‍⚕️𠮷', '\ufeffbom', 'a\0b', 'v1|1|x|y|z', '\u200f\u2067x\u2069']) {
      expect(open(key, place, seal(key, 1, place, plaintext))).toBe(plaintext)
    }
  })

  it('can be opened by anybody who knows the key and the documented format', () => {
    const sealed = seal(key, 7, place, 'ليلى 👩')
    const [version = '', keyVersion = '', nonce = '', ciphertext = '', tag = ''] = sealed.split('|')
    const chunks: Buffer[] = []
    for (const part of ['maristan/sealed-text', 'tenant-a', 'Recipient', 'familyName', 'row-1', keyVersion, version]) {
      const bytes = Buffer.from(part)
      chunks.push(Buffer.from([0, 0, 0, bytes.length]), bytes)
    }
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'))
    decipher.setAAD(Buffer.concat(chunks))
    decipher.setAuthTag(Buffer.from(tag, 'base64url'))
    const opened = Buffer.concat([decipher.update(Buffer.from(ciphertext, 'base64url')), decipher.final()])
    expect([version, keyVersion, opened.toString()]).toEqual(['v1', '7', 'ليلى 👩'])
  })

  it('check 66: does not open at any other place', () => {
    fc.assert(
      fc.property(anyPlace, fc.constantFrom(...placeParts), placePart, text, (somePlace, part, other, plaintext) => {
        fc.pre(somePlace[part] !== other)
        const sealed = seal(key, 1, somePlace, plaintext)
        expect(open(key, somePlace, sealed)).toBe(plaintext)
        expectUnreadable(() => open(key, { ...somePlace, [part]: other }, sealed))
      }),
    )
    const sealed = seal(key, 1, { ...place, model: 'ab', field: 'c' }, 'text')
    expectUnreadable(() => open(key, { ...place, model: 'a', field: 'bc' }, sealed))
    expectUnreadable(() => open(key, { ...place, model: 'c', field: 'ab' }, sealed))
  })

  it('does not open with a key that differs in one bit', () => {
    const sealed = seal(key, 1, place, 'text')
    for (let bit = 0; bit < 256; bit++) {
      const other = Buffer.from(key)
      other[bit >> 3]! ^= 1 << (bit & 7)
      expectUnreadable(() => open(other, place, sealed))
    }
    expect(open(key, place, sealed)).toBe('text')
  })

  it('check 66: does not open under another key version, however that version is written', () => {
    const sealed = seal(key, 7, place, 'text')
    for (const version of ['1', '70', '8', '07', '+7', '7.0', ' 7', '', '0', '-7', '2147483648', '4294967303', '٧']) {
      expectUnreadable(() => open(key, place, sealed.replace('|7|', `|${version}|`)))
    }
    expect(open(key, place, sealed)).toBe('text')
  })

  it('does not open when any one character of it is changed, left out or added', () => {
    for (const plaintext of ['', 'a', 'ab', 'abc', 'a longer text']) {
      const sealed = seal(key, 12, place, plaintext)
      for (let at = 0; at <= sealed.length; at++) {
        for (const put of ['A', 'w', '_', '-', '|', '=', '+', '1', '\n', '\0', 'é']) {
          if (sealed[at] !== put) expectUnreadable(() => open(key, place, sealed.slice(0, at) + put + sealed.slice(at + 1)))
          expectUnreadable(() => open(key, place, sealed.slice(0, at) + put + sealed.slice(at)))
        }
        if (at < sealed.length) expectUnreadable(() => open(key, place, sealed.slice(0, at) + sealed.slice(at + 1)))
      }
      expect(open(key, place, sealed)).toBe(plaintext)
    }
  })

  it('does not open when any one bit of nonce, ciphertext or tag is flipped', () => {
    const parts = seal(key, 1, place, 'short').split('|')
    for (const index of [2, 3, 4]) {
      const bytes = Buffer.from(parts[index]!, 'base64url')
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const bent = Buffer.from(bytes)
        bent[bit >> 3]! ^= 1 << (bit & 7)
        expectUnreadable(() => open(key, place, parts.with(index, bent.toString('base64url')).join('|')))
      }
    }
    expect(open(key, place, parts.join('|'))).toBe('short')
  })

  it('does not open cut off, nor with the parts of two values mixed', () => {
    const first = seal(key, 1, place, 'first text')
    const second = seal(key, 1, place, 'other text').split('|')
    for (let end = 0; end < first.length; end++) expectUnreadable(() => open(key, place, first.slice(0, end)))
    for (const index of [2, 3, 4]) expectUnreadable(() => open(key, place, first.split('|').with(index, second[index]!).join('|')))
    expect(open(key, place, first)).toBe('first text')
  })

  it('check 72: gives no nonce twice in a million, and every value the next one', () => {
    const draws = 1_000_000
    const seen = new BigUint64Array(draws)
    // Of each the first 64 bits: a million of those are the same by chance once in thirty million runs.
    for (let count = 0; count < draws; count++) seen[count] = freshNonce().readBigUInt64LE()
    seen.sort()
    expect(seen.findIndex((nonce, at) => at > 0 && nonce === seen[at - 1])).toBe(-1)
    const sealed = Array.from({ length: 10_000 }, () => seal(key, 1, place, 'x').slice(5, 21))
    expect(new Set(sealed).size).toBe(sealed.length)
  })

  it('seals 1 MiB and refuses one byte more, counted in UTF-8', () => {
    const full = 'س'.repeat(maxSealedBytes / 2)
    expect(open(key, place, seal(key, 2_147_483_647, place, full))).toBe(full)
    for (const tooLarge of [`${full}a`, 'a'.repeat(maxSealedBytes + 1)]) {
      const error = caught(() => seal(key, 1, place, tooLarge))
      expect(sealedValueTooLarge.is(error) && error.data).toEqual({ limitBytes: 1_048_576 })
    }
    const sized = (chars: number) => `v1|2147483647|${'A'.repeat(16)}|${'A'.repeat(chars)}|${'A'.repeat(22)}`
    expect([isSealed(sized(1_398_102)), isSealed(sized(1_398_103)), isSealed(sized(1_398_104))]).toEqual([true, false, false])
    expectUnreadable(() => open(key, place, sized(4_000_000)))
  })

  it('refuses half characters, which UTF-8 would silently replace', () => {
    for (const bad of ['\ud83d', 'a\udc00b', '\udc00\ud83d']) {
      expect(sealedValueIllFormed.is(caught(() => seal(key, 1, place, bad)))).toBe(true)
    }
    expect(open(key, place, seal(key, 1, place, '\ud83d\ude00'))).toBe('😀')
  })

  it('refuses keys of another size or wiped, versions out of range and incomplete places', () => {
    const sealed = seal(key, 1, place, 'x')
    for (const bad of [Buffer.alloc(0), randomBytes(16), randomBytes(31), randomBytes(33), Buffer.alloc(32)]) {
      expect(() => seal(bad, 1, place, 'x')).toThrow(RangeError)
      expect(() => open(bad, place, sealed)).toThrow(RangeError)
    }
    for (const bad of [0, -1, 1.5, Number.NaN, 2_147_483_648]) expect(() => seal(key, bad, place, 'x')).toThrow(RangeError)
    for (const part of placeParts) {
      for (const bad of ['', 'x'.repeat(256), '\ud800', undefined as unknown as string, 7 as unknown as string]) {
        expect(() => seal(key, 1, { ...place, [part]: bad }, 'x')).toThrow(RangeError)
        expect(() => open(key, { ...place, [part]: bad }, sealed)).toThrow(RangeError)
      }
    }
    expect(open(key, place, sealed)).toBe('x')
  })

  it('looks at the content of the key Buffer each time: other bytes in the same Buffer are another key', () => {
    const buffer = Buffer.from(key)
    const sealed = seal(buffer, 1, place, 'x')
    buffer[0]! ^= 1
    expectUnreadable(() => open(buffer, place, sealed))
    buffer.fill(0)
    expect(() => open(buffer, place, sealed)).toThrow(RangeError)
    expect(open(key, place, sealed)).toBe('x')
  })
})

describe('isSealed and keyVersionOf', () => {
  it('know the exact form only', () => {
    const sealed = seal(key, 3, place, 'text')
    expect([isSealed(sealed), keyVersionOf(sealed)]).toEqual([true, 3])
    const nonce = 'A'.repeat(16)
    const tag = 'A'.repeat(22)
    for (const good of ['', 'AA', 'AAA', 'AAAA', 'Aw', 'AA8']) expect(isSealed(`v1|1|${nonce}|${good}|${tag}`)).toBe(true)
    const bad = [
      '',
      'text',
      '|',
      '||||',
      'v1|1|||',
      `${sealed}\n`,
      ` ${sealed}`,
      sealed.toUpperCase(),
      sealed.replace('v1', 'v2'),
      `${sealed}|`,
      ...['A', 'AB', 'AAB', 'AA==', 'AAAAA', 'A+/A', 'AA\n', '|'].map((ciphertext) => `v1|1|${nonce}|${ciphertext}|${tag}`),
      ...['A'.repeat(21), 'A'.repeat(23), `${'A'.repeat(21)}B`].map((badTag) => `v1|1|${nonce}|AAAA|${badTag}`),
      ...['A'.repeat(15), 'A'.repeat(17), `${'A'.repeat(15)}=`].map((badNonce) => `v1|1|${badNonce}|AAAA|${tag}`),
      ...['0', '01', '2147483648', '99999999999', 'x', ''].map((version) => `v1|${version}|${nonce}|AAAA|${tag}`),
    ]
    for (const one of bad) {
      expect(isSealed(one), one).toBe(false)
      expectUnreadable(() => keyVersionOf(one))
    }
  })
})
