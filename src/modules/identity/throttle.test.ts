import { describe, expect, it } from 'vitest'
import type { Counter, Counts } from './throttle-keys.ts'
import { counterRules } from './throttle-keys.ts'
import { codePolicy, judgeCode, slowdown, standingOf } from './throttle.ts'

const none = Object.fromEntries(Object.keys(counterRules).map((counter) => [counter, 0])) as Record<Counter, number>
const count = (change: Partial<Counts>): Counts => ({ ...none, ...change })
const standings = { device: { deviceKnown: 1 }, neighbour: { pairKnown: 1 }, stranger: {} }
const storm = { accountFailures: 1e6, addressFailures: 1e6, tenantFailures: 1e6, codeFailures: 1e6 }

/** Every combination of counts on either side of every step. */
function* table(): Generator<Counts> {
  const edges = {
    deviceFailures: [0, 4, 5, 20], pairFailures: [0, 2, 3, 5, 9, 10, 20], accountFailures: [0, 10, 20, 100, 200],
    addressFailures: [0, 10, 40, 400], addressSuccesses: [0, 3, 200], tenantFailures: [0, 100, 5_000], tenantSuccesses: [0, 4_950],
  }
  const names = Object.keys(edges) as (keyof typeof edges)[]
  let rows: Partial<Record<Counter, number>>[] = Object.values(standings)
  for (const name of names) rows = rows.flatMap((row) => edges[name].map((value) => ({ ...row, [name]: value })))
  for (const row of rows) yield count(row)
}

describe('the policy, step by step', () => {
  it.each([
    [{}, 0, 0],
    [{ pairFailures: 2 }, 0, 0],
    [{ pairFailures: 3 }, 1_000, 0],
    [{ pairFailures: 5 }, 4_000, 0],
    [{ pairFailures: 9 }, 4_000, 0],
    [{ pairFailures: 10 }, 0, 60_000],
    [{ accountFailures: 9 }, 0, 0],
    [{ accountFailures: 10 }, 1_000, 0],
    [{ accountFailures: 50 }, 4_000, 0],
    [{ accountFailures: 200 }, 8_000, 0],
    [{ accountFailures: 19, pairFailures: 5 }, 4_000, 0],
    [{ accountFailures: 20, pairFailures: 5 }, 0, 60_000],
    [{ accountFailures: 100, pairFailures: 2 }, 4_000, 0],
    [{ accountFailures: 100, pairFailures: 3 }, 0, 60_000],
    [{ addressFailures: 9 }, 0, 0],
    [{ addressFailures: 10 }, 1_000, 0],
    [{ addressFailures: 39 }, 4_000, 0],
    [{ addressFailures: 40 }, 0, 60_000],
    [{ addressFailures: 40, addressSuccesses: 16 }, 0, 0],
    [{ tenantFailures: 100 }, 1_000, 0],
    [{ tenantFailures: 1_000 }, 4_000, 0],
    [{ tenantFailures: 1_000, tenantSuccesses: 901 }, 0, 0],
    [{ pairKnown: 1, pairFailures: 4 }, 0, 0],
    [{ pairKnown: 1, pairFailures: 5 }, 1_000, 0],
    [{ pairKnown: 1, pairFailures: 19 }, 4_000, 0],
    [{ pairKnown: 1, pairFailures: 20 }, 0, 60_000],
    [{ pairKnown: 1, ...storm }, 4_000, 0],
    [{ deviceKnown: 1, deviceFailures: 4, pairFailures: 99, ...storm }, 0, 0],
    [{ deviceKnown: 1, deviceFailures: 10 }, 4_000, 0],
    [{ deviceKnown: 1, deviceFailures: 20 }, 0, 60_000],
    [{ deviceKnown: 0, deviceFailures: 99 }, 0, 0],
  ] as const)('%j: delay %i ms, refuse %i ms', (change, delayMs, refuseForMs) => {
    expect(slowdown(count(change))).toEqual({ delayMs, refuseForMs })
  })
})

describe('over the whole table', () => {
  it('delays at most eight seconds and refuses at most a minute, never both', () => {
    let rows = 0
    for (const counts of table()) {
      rows++
      const { delayMs, refuseForMs } = slowdown(counts)
      const bounded = delayMs >= 0 && delayMs <= 8_000 && refuseForMs >= 0 && refuseForMs <= 60_000
      if (!bounded || (delayMs > 0 && refuseForMs > 0)) expect.fail(JSON.stringify(counts))
    }
    expect(rows).toBe(3 * 4 * 7 * 5 * 4 * 3 * 3 * 2)
  })

  it('judges a known device by its own failures alone', () => {
    for (const counts of table()) {
      if (standingOf(counts) !== 'device') continue
      expect(slowdown(counts)).toEqual(slowdown(count({ deviceKnown: 1, deviceFailures: counts.deviceFailures })))
    }
  })

  it('refuses a neighbour for own failures alone, and never for those of others', () => {
    for (const counts of table()) {
      if (standingOf(counts) !== 'neighbour') continue
      expect(slowdown(counts).refuseForMs > 0).toBe(counts.pairFailures >= 20)
    }
  })

  it('refuses no stranger the first three tries for what others did to the account or the tenant', () => {
    for (const counts of table()) {
      if (standingOf(counts) !== 'stranger' || counts.pairFailures >= 3 || counts.addressFailures >= 40) continue
      expect(slowdown(counts).refuseForMs).toBe(0)
    }
  })

  it('is never milder for one failure more, nor harder for one success more', () => {
    const weight = (counts: Counts) => {
      const { delayMs, refuseForMs } = slowdown(counts)
      return refuseForMs > 0 ? 1e9 + refuseForMs : delayMs
    }
    const failures = ['deviceFailures', 'pairFailures', 'accountFailures', 'addressFailures', 'tenantFailures'] as const
    const successes = ['addressSuccesses', 'tenantSuccesses'] as const
    for (const counts of table()) {
      const now = weight(counts)
      const milder = failures.find((name) => weight({ ...counts, [name]: counts[name] + 1 }) < now)
      const harder = successes.find((name) => weight({ ...counts, [name]: counts[name] + 1 }) > now)
      if (milder || harder) expect.fail(`${milder ?? harder} at ${JSON.stringify(counts)}`)
    }
  })
})

describe('in life', () => {
  it('a hospital behind one address, with its typing errors of a morning, is not slowed', () => {
    const morning = { addressFailures: 180, addressSuccesses: 900, tenantFailures: 300, tenantSuccesses: 1_200 }
    expect(slowdown(count(morning))).toEqual({ delayMs: 0, refuseForMs: 0 })
  })

  it('an address that tries one password on account after account is stopped, an account of its own notwithstanding', () => {
    let tried = 0
    while (slowdown(count({ addressFailures: tried, addressSuccesses: 1 })).refuseForMs === 0) tried++
    expect(tried).toBeLessThan(50)
  })

  it('a thousand addresses on one account get three tries each in the end, and its owner at home signs in as ever', () => {
    const underAttack = { accountFailures: 3_000, tenantFailures: 3_000 }
    expect(slowdown(count({ ...underAttack, pairFailures: 3 })).refuseForMs).toBeGreaterThan(0)
    expect(slowdown(count({ ...underAttack, deviceKnown: 1 }))).toEqual({ delayMs: 0, refuseForMs: 0 })
    expect(slowdown(count({ ...underAttack, pairKnown: 1 }))).toEqual({ delayMs: 0, refuseForMs: 0 })
  })

  it('a colleague behind the same address cannot shut out a device that is known', () => {
    const sprayed = { deviceKnown: 1, pairKnown: 1, pairFailures: 1_000, addressFailures: 1_000 }
    expect(slowdown(count(sprayed))).toEqual({ delayMs: 0, refuseForMs: 0 })
  })
})

describe('second factors', () => {
  it('end with their challenge after five wrong codes, whoever tries', () => {
    for (const standing of Object.values(standings)) {
      for (const kind of ['totp', 'recovery'] as const) {
        expect(judgeCode({ wrongInChallenge: 4, kind }, count(standing))).toBe('try')
        for (const wrongInChallenge of [5, 6, 1e9, Number.NaN]) {
          expect(judgeCode({ wrongInChallenge, kind }, count(standing))).toBe('challenge-over')
        }
      }
    }
  })

  it('wait after twenty wrong codes a day, except for a known device and for recovery codes', () => {
    const verdicts = (codeFailures: number, kind: 'totp' | 'recovery') =>
      Object.values(standings).map((standing) => judgeCode({ wrongInChallenge: 0, kind }, count({ ...standing, codeFailures })))
    expect(verdicts(codePolicy.wrongPerDay - 1, 'totp')).toEqual(['try', 'try', 'try'])
    expect(verdicts(codePolicy.wrongPerDay, 'totp')).toEqual(['try', 'wait', 'wait'])
    expect(verdicts(1e6, 'recovery')).toEqual(['try', 'try', 'try'])
  })
})
