import { describe, expect, it } from 'vitest'
import { addressGroup, counterRules, countsOf, keysToCount, throttleKeys } from './throttle-keys.ts'
import type { Counter } from './throttle-keys.ts'

const secret = Buffer.alloc(32, 7)
const attempt = { tenantId: 'tenant-1', account: 'Layla@cedar.example', address: '192.0.2.7', device: 'cookie-1' }
const keysOf = (change: Partial<typeof attempt | { device: null; address: null }> = {}) =>
  Object.fromEntries(throttleKeys({ ...attempt, ...change }, secret).map(({ counter, key }) => [counter, key])) as Record<Counter, string>
const changedBy = (change: Parameters<typeof keysOf>[0]) => {
  const [before, after] = [keysOf(), keysOf(change)]
  return (Object.keys(counterRules) as Counter[]).filter((counter) => before[counter] !== after[counter]).sort()
}

describe('the keys of an attempt', () => {
  it('are one of each counter, all different, and the same every time', () => {
    const keys = keysOf()
    expect(Object.keys(keys)).toEqual(Object.keys(counterRules))
    expect(new Set(Object.values(keys)).size).toBe(Object.keys(counterRules).length)
    expect(keysOf()).toEqual(keys)
  })

  it('hold nothing readable, and depend on the secret', () => {
    const written = JSON.stringify(throttleKeys(attempt, secret))
    for (const word of ['layla', 'cedar', '192.0', 'cookie', 'tenant-1']) expect(written.toLowerCase()).not.toContain(word)
    for (const { key } of throttleKeys(attempt, secret)) expect(key).toMatch(/^[\w-]{43}$/)
    const others = throttleKeys(attempt, Buffer.alloc(32, 8)).map(({ key }) => key)
    expect(others.filter((key) => Object.values(keysOf()).includes(key))).toEqual([])
    expect(() => throttleKeys(attempt, Buffer.alloc(15))).toThrow(RangeError)
  })

  it('change with exactly what they count', () => {
    expect(changedBy({ tenantId: 'tenant-2' })).toEqual(Object.keys(counterRules).sort())
    expect(changedBy({ account: 'omar@cedar.example' })).toEqual(
      ['accountFailures', 'codeFailures', 'deviceFailures', 'deviceKnown', 'pairFailures', 'pairKnown'],
    )
    expect(changedBy({ address: '192.0.2.8' })).toEqual(['addressFailures', 'addressSuccesses', 'pairFailures', 'pairKnown'])
    expect(changedBy({ device: 'cookie-2' })).toEqual(['deviceFailures', 'deviceKnown'])
  })

  it('are the same however the account is written', () => {
    for (const account of ['LAYLA@CEDAR.EXAMPLE', ' layla@cedar.example ', 'ｌａｙｌａ@cedar.example']) {
      expect(changedBy({ account })).toEqual([])
    }
  })

  it('do not run together where one part ends and the next begins', () => {
    for (const separator of [',', '","', ':', '|', '\0', ' ']) {
      const one = keysOf({ account: 'a', device: `b${separator}c` })
      const other = keysOf({ account: `a${separator}b`, device: 'c' })
      expect(one.deviceKnown).not.toBe(other.deviceKnown)
      expect(one.deviceFailures).not.toBe(other.deviceFailures)
    }
  })

  it('leave the device out where there is none', () => {
    expect(throttleKeys({ ...attempt, device: null }, secret).map(({ counter }) => counter)).not.toContain('deviceKnown')
    expect(throttleKeys({ ...attempt, device: null }, secret)).toHaveLength(Object.keys(counterRules).length - 2)
  })

  it('name the account behind a hash where different accounts are counted', () => {
    const membersOf = (account: string) => throttleKeys({ ...attempt, account }, secret).flatMap(({ member }) => (member ? [member] : []))
    expect(membersOf('a')).toHaveLength(2)
    expect(membersOf('a')).toEqual(membersOf('A'))
    expect(membersOf('a')).not.toEqual(membersOf('b'))
  })
})

describe('the counts', () => {
  const keys = throttleKeys({ ...attempt, device: null }, secret)

  it('are read by key, and are zero where nothing was counted', () => {
    const found = new Map(keys.map(({ key }, place) => [key, place]))
    const counts = countsOf(keys, found)
    expect(counts).toMatchObject({ deviceKnown: 0, deviceFailures: 0 })
    for (const [place, { counter }] of keys.entries()) expect(counts[counter]).toBe(place)
    expect(new Set(Object.values(countsOf(keys, new Map())))).toEqual(new Set([0]))
  })

  it.each([Number.NaN, -1, 1.5, Infinity, '3', 3n])('are not taken for zero when the database answers %s', (count) => {
    expect(() => countsOf(keys, new Map([[keys[0]!.key, count as number]]))).toThrow(TypeError)
  })
})

describe('what an attempt adds to', () => {
  const keys = throttleKeys(attempt, secret)
  it.each([
    ['wrong-password', 'stranger', ['pairFailures', 'accountFailures', 'addressFailures', 'tenantFailures']],
    ['wrong-password', 'neighbour', ['pairFailures', 'addressFailures']],
    ['wrong-password', 'device', ['deviceFailures']],
    ['wrong-code', 'stranger', ['pairFailures', 'codeFailures']],
    ['wrong-code', 'neighbour', ['pairFailures', 'codeFailures']],
    ['wrong-code', 'device', ['deviceFailures']],
    ['success', 'stranger', ['deviceKnown', 'pairKnown', 'addressSuccesses', 'tenantSuccesses']],
    ['success', 'neighbour', ['deviceKnown', 'pairKnown', 'addressSuccesses', 'tenantSuccesses']],
    ['success', 'device', ['deviceKnown', 'pairKnown', 'addressSuccesses', 'tenantSuccesses']],
  ] as const)('%s by a %s: %j', (outcome, standing, counters) => {
    expect(keysToCount(keys, outcome, standing).map(({ counter }) => counter)).toEqual(counters)
  })
})

describe('an address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:207', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8:1::9', '2001:db8:1:0::/64'],
    ['2001:db8::1:2:3:4:5', '2001:db8:0:1::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    [null, 'unreadable'],
    ['', 'unreadable'],
    ['localhost', 'unreadable'],
    ['192.0.2.7, 198.51.100.1', 'unreadable'],
    ['192.0.2.256', 'unreadable'],
    ['0x7f.1', 'unreadable'],
    ['1:2:3', 'unreadable'],
    ['[::1]', 'unreadable'],
  ])('%s belongs to %s', (address, group) => {
    expect(addressGroup(address)).toBe(group)
  })
})
