import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  isSealed,
  open,
  openRecord,
  seal,
  sealedRecordNotPlain,
  sealedValueTooLarge,
  sealedValueUnreadable,
  sealRecord,
  type JsonValue,
  type SealedPlace,
} from './seal.ts'

const key = randomBytes(32)
const place: SealedPlace = { tenantId: 'tenant-a', model: 'Recipient', field: 'phi', rowId: 'row-1' }
const name = fc.string({ unit: 'binary', maxLength: 12 }).filter((one) => one !== '__proto__')
const anyRecord = fc.dictionary(name, fc.jsonValue({ maxDepth: 4 })) as fc.Arbitrary<Record<string, JsonValue>>

function codeOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return (error as { code?: unknown }).code ?? error
  }
  return 'nothing thrown'
}

function nested(levels: number): JsonValue {
  return levels === 0 ? 'bottom' : { inner: nested(levels - 1) }
}

describe('sealRecord and openRecord', () => {
  it('give back every record of JSON', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        fc.pre(!JSON.stringify(record).includes('"__proto__":'))
        const sealed = sealRecord(key, 4, place, record)
        expect(isSealed(sealed)).toBe(true)
        expect({ ...openRecord(key, place, sealed) }).toEqual(JSON.parse(JSON.stringify(record)))
      }),
    )
  })

  it('show neither field names nor their order', () => {
    const sealed = sealRecord(key, 1, place, { familyName: 'Haddad', birthDate: '1980-01-01' })
    for (const clear of ['familyName', 'birthDate', 'Haddad']) {
      expect(sealed).not.toContain(clear)
      expect(sealed).not.toContain(Buffer.from(clear).toString('base64url').slice(1, -2))
    }
    expect(Object.keys(openRecord(key, place, sealed))).toEqual(['birthDate', 'familyName'])
  })

  it('give a record without prototype, so that a name nobody sealed is undefined', () => {
    const opened = openRecord(key, place, sealRecord(key, 1, place, { phone: null }))
    expect(Object.getPrototypeOf(opened)).toBe(null)
    expect(opened['phone']).toBe(null)
    for (const inherited of ['constructor', 'toString', '__proto__']) expect(opened[inherited]).toBe(undefined)
    const own = openRecord(key, place, sealRecord(key, 1, place, { constructor: 'a', toString: 'b' }))
    expect([own['constructor'], own['toString']]).toEqual(['a', 'b'])
  })

  it('refuse fields named __proto__ at every depth, and everything that JSON would drop or change', () => {
    const bad: unknown[] = [
      JSON.parse('{"__proto__": {"admin": true}}'),
      JSON.parse('{"a": [{"b": {"__proto__": 1}}]}'),
      ...[undefined, Number.NaN, Number.POSITIVE_INFINITY, 1n, Symbol('s'), () => 1].map((field) => ({ field })),
      ...[new Date(0), new Map(), Buffer.from('a'), Array(2)].map((field) => ({ field })),
      { toJSON: () => 'x' },
      null,
      [],
      [1],
      'text',
      7,
      undefined,
      new Date(0),
      { deep: nested(32) },
    ]
    for (const one of bad as Record<string, JsonValue>[]) {
      expect(codeOf(() => sealRecord(key, 1, place, one))).toBe(sealedRecordNotPlain.code)
    }
    const deepest = { deep: nested(31) }
    expect({ ...openRecord(key, place, sealRecord(key, 1, place, deepest)) }).toEqual(deepest)
  })

  it('refuse more than 1 MiB', () => {
    expect(codeOf(() => sealRecord(key, 1, place, { note: 'x'.repeat(1_048_576) }))).toBe(sealedValueTooLarge.code)
    expect(codeOf(() => sealRecord(key, 1, place, { note: 'x'.repeat(1_048_000) }))).toBe('nothing thrown')
  })

  it('do not open at another place, with another key, or as a text; nor does a text open as a record', () => {
    const sealed = sealRecord(key, 1, place, { a: 1 })
    for (const part of ['tenantId', 'model', 'field', 'rowId']) {
      expect(codeOf(() => openRecord(key, { ...place, [part]: 'other' }, sealed))).toBe(sealedValueUnreadable.code)
    }
    expect(codeOf(() => openRecord(randomBytes(32), place, sealed))).toBe(sealedValueUnreadable.code)
    expect(codeOf(() => open(key, place, sealed))).toBe(sealedValueUnreadable.code)
    expect(codeOf(() => openRecord(key, place, seal(key, 1, place, '{"a":1}')))).toBe(sealedValueUnreadable.code)
    expect({ ...openRecord(key, place, sealed) }).toEqual({ a: 1 })
  })
})
