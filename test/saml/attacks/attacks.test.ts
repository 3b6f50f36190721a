/** The corpus of attacks on the guard: each refused with its own reason, and each seen to pass without the one law that holds it. */
import { describe, expect, test } from 'vitest'
import { buildGuard } from '../../../src/modules/federation/saml/guard/build.ts'
import { samlGuard } from '../../../src/modules/federation/saml/guard/guard.ts'
import { Laws } from '../../../src/modules/federation/saml/guard/laws.ts'
import { reasons } from '../../../src/modules/federation/saml/guard/reasons.ts'
import { verdictOf, type Attack } from './attack.ts'
import { corpus } from './corpus.ts'

const outcome = (attack: Attack, guard = samlGuard) => {
  const verdict = verdictOf(guard, attack.message())
  return verdict.ok ? 'accepted' : verdict.reason
}

test('the corpus holds at least sixty attacks, each by a name of its own', () => {
  const names = Object.values(corpus).flatMap((attacks) => attacks.map(({ name }) => name))
  expect(new Set(names).size).toBe(names.length)
  expect(names.length).toBeGreaterThanOrEqual(60)
})

test('every reason that the guard has is met by an attack', () => {
  const met = new Set<string>(Object.values(corpus).flatMap((attacks) => attacks.map(({ reason }) => reason)))
  expect(Object.keys(reasons).filter((code) => !met.has(code))).toEqual([])
})

describe.each(Object.entries(corpus))('%s', (_, attacks) => {
  test.each(attacks.map((attack) => [attack.name, attack.reason, attack] as const))('%s is refused: %s', (_name, reason, attack) => {
    expect(outcome(attack)).toBe(reason)
  })

  test.each(
    attacks.map((attack) => [attack.name, typeof attack.without === 'string' ? attack.without : attack.without.still, attack] as const),
  )('without its own law: %s: %s', (_name, expected, attack) => {
    expect(outcome(attack, buildGuard(new Laws(attack.reason)))).toBe(expected)
  })
})
