/** The corpus of attacks on the guard: each refused with its own reason, and each seen to pass without the one law that holds it. */
import { describe, expect, test } from 'vitest'
import { buildGuard } from '../../../src/modules/federation/saml/guard/build.ts'
import { samlGuard } from '../../../src/modules/federation/saml/guard/guard.ts'
import { Laws } from '../../../src/modules/federation/saml/guard/laws.ts'
import type { Attack } from './attack.ts'
import { documents } from './documents.ts'
import { encryption } from './encryption.ts'
import { logout } from './logout.ts'
import { metadata } from './metadata.ts'
import { signatures } from './signatures.ts'
import { statements } from './statements.ts'
import { wrapping } from './wrapping.ts'

const outcome = (attack: Attack, guard = samlGuard) => {
  const verdict = attack.attempt(guard)
  return verdict.ok ? 'accepted' : verdict.reason
}

const corpus = { wrapping, signatures, documents, statements, encryption, logout, metadata }

test('the corpus holds at least sixty attacks, each by a name of its own', () => {
  const names = Object.values(corpus).flatMap((attacks) => attacks.map(({ name }) => name))
  expect(new Set(names).size).toBe(names.length)
  expect(names.length).toBeGreaterThanOrEqual(60)
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
