import { describe, expect, it } from 'vitest'
import { signInPlanes } from '../../../kernel/scope.ts'
import type { Plane } from '../../../kernel/scope.ts'
import { formatRefreshToken, hashSecret, judgeRefresh, newRefreshToken, parseRefreshToken, raceMs } from './refresh.ts'
import type { RefreshableSession } from './refresh.ts'

describe('a refresh token', () => {
  it('is read back as it was written, on every plane', () => {
    for (const plane of signInPlanes) {
      const { token, familyId, hash } = newRefreshToken(plane)
      const read = parseRefreshToken(token)!
      expect(read).toEqual({ plane, familyId, secret: expect.stringMatching(/^[\w-]{43}$/) })
      expect(hashSecret(read.secret)).toBe(hash)
      expect(formatRefreshToken(read)).toBe(token)
    }
  })

  it('continues a family with another secret', () => {
    const first = newRefreshToken('console')
    const second = newRefreshToken('console', first.familyId)
    expect(second.familyId).toBe(first.familyId)
    expect(second.hash).not.toBe(first.hash)
  })

  const { token } = newRefreshToken('courier')
  const [letter, family, secret] = token.split('.') as [string, string, string]
  it.each([
    '', '.', '..', letter, `${letter}.${family}`, `${token}.`, `.${token}`, `${token}.x`, ` ${token}`, `${token}\n`,
    token.slice(0, -1), `${token}A`,
    `x.${family}.${secret}`, `toString.${family}.${secret}`, `__proto__.${family}.${secret}`, `${letter.toUpperCase()}.${family}.${secret}`,
    `i.${family}.${secret}`, `.${family}.${secret}`,
    `${letter}.${family.toUpperCase().replace(/^./, 'A')}.${secret}`, `${letter}.${family.slice(1)}.${secret}`,
    `${letter}.${family}.${secret.slice(0, -1)}=`, `${letter}.${family}.${secret.slice(0, -1)}B`,
    `${letter}.${family}.${secret.slice(0, -1)}+`,
    `${letter}..${secret}`, `${letter}.${family}.`, 'f.'.repeat(100_000),
  ])('is not %j', (text) => {
    expect(parseRefreshToken(text)).toBeNull()
  })
})

describe('judging a refresh', () => {
  const start = 1_800_000_000_000
  const minute = 60_000
  const hash = (name: string) => hashSecret(name)
  const session: RefreshableSession = {
    plane: 'clinician',
    currentHash: hash('current'),
    previousHash: hash('previous'),
    rotatedAtMs: start,
    expiresAtMs: start + 600 * minute,
    revokedAtMs: null,
  }
  const judge = (presented: string, afterMs: number, change: Partial<RefreshableSession> = {}, plane: Plane = 'clinician') => {
    const changed = { ...session, ...change }
    return judgeRefresh({ session: changed, plane, presentedHash: hash(presented), nowMs: start + afterMs, idleMs: 30 * minute })
  }

  it.each([
    // presented, after, change, verdict
    ['current', 0, {}, 'rotate'],
    ['current', -5_000, {}, 'rotate'],
    ['current', 30 * minute - 1, {}, 'rotate'],
    ['current', 30 * minute, {}, 'idle'],
    ['current', 600 * minute - 1, {}, 'idle'],
    ['current', 600 * minute, {}, 'expired'],
    ['current', 1, { expiresAtMs: start + 1 }, 'expired'],
    ['current', 1, { revokedAtMs: start }, 'revoked'],
    ['current', 1, { previousHash: null }, 'rotate'],
    ['previous', 0, {}, 'race'],
    ['previous', raceMs - 1, {}, 'race'],
    ['previous', raceMs, {}, 'reuse'],
    ['previous', 1 - raceMs, {}, 'race'],
    ['previous', -raceMs, {}, 'reuse'],
    ['previous', 40 * minute, {}, 'reuse'],
    ['previous', 600 * minute, {}, 'expired'],
    ['previous', 1, { revokedAtMs: start }, 'revoked'],
    ['previous', 1, { previousHash: null }, 'reuse'],
    ['older', 0, {}, 'reuse'],
    ['older', 1, { previousHash: null }, 'reuse'],
    ['older', 1, { revokedAtMs: start }, 'revoked'],
    ['older', 600 * minute, {}, 'expired'],
  ] as const)('%s after %i ms with %j: %s', (presented, afterMs, change, verdict) => {
    expect(judge(presented, afterMs, change)).toBe(verdict)
  })

  it('refuses a token of another plane and leaves its family alone, whatever else holds', () => {
    for (const presented of ['current', 'previous', 'older']) {
      expect(judge(presented, 1, {}, 'console')).toBe('wrong-plane')
      expect(judge(presented, 1, { revokedAtMs: start }, 'console')).toBe('wrong-plane')
    }
  })

  it('does not take an empty or a shortened hash for a match', () => {
    for (const presentedHash of ['', session.currentHash.slice(0, -1), `${session.currentHash}0`, 'é'.repeat(64)]) {
      expect(judgeRefresh({ session, plane: 'clinician', presentedHash, nowMs: start, idleMs: minute })).toBe('reuse')
    }
  })
})

describe('a stolen refresh token', () => {
  /** A session as the database would hold it, and the service's conditional update. */
  function open() {
    const first = newRefreshToken('seller')
    const session = {
      plane: 'seller' as const,
      currentHash: first.hash,
      previousHash: null as string | null,
      rotatedAtMs: 0,
      expiresAtMs: 1e9,
      revokedAtMs: null as number | null,
    }
    const present = (hash: string, nowMs: number) => {
      const verdict = judgeRefresh({ session, plane: 'seller', presentedHash: hash, nowMs, idleMs: 1e8 })
      if (verdict === 'reuse') session.revokedAtMs = nowMs
      if (verdict !== 'rotate') return { verdict, next: null }
      const next = newRefreshToken('seller', first.familyId)
      Object.assign(session, { previousHash: session.currentHash, currentHash: next.hash, rotatedAtMs: nowMs })
      return { verdict, next: next.hash }
    }
    return { first: first.hash, present }
  }

  it('used by the thief first, dies with the family when its owner comes back', () => {
    const { first, present } = open()
    const thief = present(first, 600_000)
    expect(thief.verdict).toBe('rotate')
    expect(present(first, 1_200_000).verdict).toBe('reuse')
    expect(present(thief.next!, 1_200_001).verdict).toBe('revoked')
  })

  it('used by the owner first, kills the family when the thief tries it later, even several rotations later', () => {
    const { first, present } = open()
    const second = present(first, 600_000).next!
    const third = present(second, 1_200_000).next!
    expect(present(first, 1_800_000).verdict).toBe('reuse')
    expect(present(third, 1_800_001).verdict).toBe('revoked')
  })

  it('shown within the race gives the thief nothing to continue with', () => {
    const { first, present } = open()
    const second = present(first, 600_000).next!
    expect(present(first, 605_000)).toEqual({ verdict: 'race', next: null })
    expect(present(second, 1_200_000).verdict).toBe('rotate')
    expect(present(first, 1_200_001).verdict).toBe('reuse')
  })
})
