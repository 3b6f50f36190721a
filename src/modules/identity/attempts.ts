/**
 * Attempts to prove who one is, counted before anything is compared, so that a hundred guesses at once do not all see zero. Which ones
 * are slowed is the policy of `throttle.ts`; where they wait is here, with no database connection in hand.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../kernel/clock.ts'
import { timedOut, tooMany } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { randomToken } from '../../platform/crypto/hash.ts'
import { unitOf } from '../../platform/db/unit.ts'
import type { ThrottleRepo } from './repo-throttle.ts'
import { slowdown, standingOf, type Slowdown } from './throttle.ts'
import { countsOf, keysToCount, throttleKeys } from './throttle-keys.ts'
import type { Counts, Outcome, Standing, ThrottleKey } from './throttle-keys.ts'

/** Who tries, as far as can be told. */
export interface Source {
  /** E-mail address, as accounts are looked up. */
  readonly account: string
  readonly deviceToken: string | null
}

/** An attempt that has been counted as a failure until it turns out otherwise. */
export interface Attempt {
  readonly source: Source
  readonly standing: Standing
  /** What was counted before it. */
  readonly counts: Counts
  readonly slowdown: Slowdown
  readonly reserved: readonly ThrottleKey[]
  readonly atMs: number
}

export interface Attempts {
  /** Inside a command: counts the attempt as `outcome` and judges it by those before it. */
  begin(scope: Scope, source: Source, outcome: Exclude<Outcome, 'success'>): Promise<Attempt>
  /** Inside a command: it was no failure after all, or was refused and so does not count. */
  takeBack(scope: Scope, attempt: Attempt): Promise<void>
  /** Inside a command: signed in. @returns the device's token from now on. */
  succeed(scope: Scope, source: Source): Promise<string>
  /** Outside a command: waits as long as the attempt must. @throws TOO_MANY_REQUESTS when too many wait already. */
  wait(scope: Scope, attempt: Attempt): Promise<void>
}

/** Waits; rejects when the signal aborts. */
export type Wait = (ms: number, signal: AbortSignal | null) => Promise<void>

const waitWithTimer: Wait = async (ms, signal) => {
  await sleep(ms, undefined, signal ? { signal } : {}).catch(() => {
    throw timedOut()
  })
}

/** Each waiting attempt holds a request open. One tenant under attack must not take every place. */
const mostWaiting = { everywhere: 200, inOneTenant: 50 } as const

export function createAttempts(parts: { repo: ThrottleRepo; secret: () => Promise<Uint8Array>; clock: Clock; wait?: Wait }): Attempts {
  const { repo, clock, wait = waitWithTimer } = parts
  const waiting = new Map<string, number>()

  const keysFor = async ({ tenantId, sourceAddress }: Scope, { account, deviceToken }: Source): Promise<readonly ThrottleKey[]> =>
    throttleKeys({ tenantId, account, address: sourceAddress, device: deviceToken }, await parts.secret())

  const add = (scope: Scope, keys: readonly ThrottleKey[], by: 1 | -1, atMs: number) =>
    repo.add(scope, keys.map((key) => ({ key, by, atMs })))

  const standingIn = async (scope: Scope, keys: readonly ThrottleKey[], nowMs: number): Promise<Standing> => {
    const known = keys.filter(({ counter }) => counter === 'deviceKnown' || counter === 'pairKnown')
    const found = await repo.read(scope, known, nowMs)
    return standingOf(countsOf(known, new Map(found.map(({ key, count }) => [key, count]))))
  }

  return {
    async begin(scope, source, outcome) {
      const atMs = clock.nowMs()
      const keys = await keysFor(scope, source)
      const standing = await standingIn(scope, keys, atMs)
      const reserved = keysToCount(keys, outcome, standing)
      await add(scope, reserved, 1, atMs)
      const counts = countsOf(keys, without(await repo.read(scope, keys, atMs), reserved))
      return { source, standing, counts, slowdown: slowdown(counts), reserved, atMs }
    },

    takeBack: (scope, { reserved, atMs }) => add(scope, reserved, -1, atMs),

    async succeed(scope, source) {
      const nowMs = clock.nowMs()
      const standing = await standingIn(scope, await keysFor(scope, source), nowMs)
      // A token that did not sign this account in before could have been planted in the browser: it is replaced, not adopted.
      const deviceToken = standing === 'device' && source.deviceToken !== null ? source.deviceToken : randomToken()
      const keys = await keysFor(scope, { ...source, deviceToken })
      await add(scope, keysToCount(keys, 'success', standing), 1, nowMs)
      await repo.tidy(scope, nowMs)
      return deviceToken
    },

    async wait({ tenantId, unit }, { slowdown: { delayMs } }) {
      if (delayMs === 0) return
      const here = waiting.get(tenantId) ?? 0
      const everywhere = [...waiting.values()].reduce((sum, count) => sum + count, 0)
      if (here >= mostWaiting.inOneTenant || everywhere >= mostWaiting.everywhere) {
        throw tooMany({ retryAfterSeconds: Math.ceil(delayMs / 1_000) })
      }
      waiting.set(tenantId, here + 1)
      try {
        await wait(delayMs, unitOf({ unit }).signal)
      } finally {
        const left = (waiting.get(tenantId) ?? 1) - 1
        if (left > 0) waiting.set(tenantId, left)
        else waiting.delete(tenantId)
      }
    },
  }
}

/** The counts as they were before this attempt: it has counted itself already. */
function without(
  found: readonly { readonly key: string; readonly count: number; readonly own: number }[],
  reserved: readonly ThrottleKey[],
): ReadonlyMap<string, number> {
  const mine = new Map(reserved.map((key) => [key.key, key]))
  return new Map(
    found.map(({ key, count, own }) => {
      const counted = mine.get(key)
      const isFirst = counted !== undefined && (counted.unit === 'attempts' || own <= 1)
      return [key, isFirst ? Math.max(0, count - 1) : count]
    }),
  )
}
