/**
 * How guessing is slowed. A pure policy over what was counted (`throttle-keys.ts`), as tables of steps.
 *
 * It never locks anybody out at a stranger's wish:
 * - a known device is judged by its own failures and by nothing else;
 * - failures of others on an account or in a tenant delay strangers and make their own tries fewer, but refuse no first tries;
 * - an address is judged by how many different accounts fail there, less those that sign in there: a hospital behind one address is not
 *   one guesser. Only an address that tries account after account has its strangers refused for a while.
 */
import type { Counts, Standing } from './throttle-keys.ts'

/** Wait `delayMs` before comparing; or, when `refuseForMs` is not 0, do not compare at all and say when to come back. */
export interface Slowdown {
  readonly delayMs: number
  readonly refuseForMs: number
}

interface Step extends Slowdown {
  /** Holds from this count on, until the next step. */
  readonly from: number
}

const free: Step = { from: 0, delayMs: 0, refuseForMs: 0 }
const delay = (from: number, delayMs: number): Step => ({ from, delayMs, refuseForMs: 0 })
const refuse = (from: number): Step => ({ from, delayMs: 0, refuseForMs: 60_000 })

/** The tables. Delays stay below what a person gives up at and a proxy cuts; a refusal ends with its window at the latest. */
export const throttlePolicy = {
  /** Own failures of a known device or a neighbour. */
  known: [free, delay(5, 1_000), delay(10, 4_000), refuse(20)],
  /** Own failures of a stranger; how many tries it has depends on what strangers got wrong on this account altogether. */
  stranger: [
    { accountFrom: 0, steps: [free, delay(3, 1_000), delay(5, 4_000), refuse(10)] },
    { accountFrom: 20, steps: [free, delay(3, 1_000), refuse(5)] },
    { accountFrom: 100, steps: [free, refuse(3)] },
  ],
  /** What strangers got wrong on this account. */
  account: [free, delay(10, 1_000), delay(50, 4_000), delay(200, 8_000)],
  /** Accounts that failed at this address less `successesOffset` times those that succeeded there. */
  address: [free, delay(10, 1_000), delay(20, 4_000), refuse(40)],
  successesOffset: 2,
  /** What a neighbour suffers for its address: a delay at most. */
  neighbourhood: [free, delay(10, 1_000), delay(20, 4_000)],
  /** What strangers got wrong in this tenant less its successes. */
  tenant: [free, delay(100, 1_000), delay(1_000, 4_000)],
} as const

export function standingOf(counts: Counts): Standing {
  if (counts.deviceKnown > 0) return 'device'
  return counts.pairKnown > 0 ? 'neighbour' : 'stranger'
}

/**
 * Judges an attempt to sign in before its password is compared. Delays do not add up: the longest holds.
 * Waiting costs the server a connection: bound how many wait at once, and answer OVERLOADED beyond.
 */
export function slowdown(counts: Counts): Slowdown {
  const standing = standingOf(counts)
  if (standing === 'device') return stepAt(throttlePolicy.known, counts.deviceFailures)
  const { known, stranger, address, neighbourhood, account, tenant, successesOffset } = throttlePolicy
  const spread = counts.addressFailures - successesOffset * counts.addressSuccesses
  // A neighbour may be anyone behind the same address: spraying from there is slowed, but a colleague's spraying refuses no one.
  if (standing === 'neighbour') return strictest([stepAt(known, counts.pairFailures), stepAt(neighbourhood, spread)])
  const own = stranger.findLast(({ accountFrom }) => counts.accountFailures >= accountFrom) ?? stranger[2]
  return strictest([
    stepAt(own.steps, counts.pairFailures),
    stepAt(account, counts.accountFailures),
    stepAt(address, spread),
    stepAt(tenant, counts.tenantFailures - counts.tenantSuccesses),
  ])
}

function stepAt(steps: readonly Step[], count: number): Slowdown {
  const { delayMs, refuseForMs } = steps.findLast(({ from }) => count >= from) ?? free
  return { delayMs, refuseForMs }
}

function strictest(all: readonly Slowdown[]): Slowdown {
  const refuseForMs = Math.max(...all.map((one) => one.refuseForMs))
  return { delayMs: refuseForMs > 0 ? 0 : Math.max(...all.map((one) => one.delayMs)), refuseForMs }
}

/** Second factors: wrong codes that end a challenge, and wrong codes a day after which only known devices may try the account's codes. */
export const codePolicy = { wrongPerChallenge: 5, wrongPerDay: 20 } as const

/**
 * - `try`: compare the code.
 * - `challenge-over`: the challenge is dead, sign in again from the password on.
 * - `wait`: too many wrong codes today. Whoever got here has the password, so tell the owner; known devices and recovery codes, which
 *   nobody can guess, go on working, and so this is no lock-out.
 */
export type CodeVerdict = 'try' | 'challenge-over' | 'wait'

/** Judges a second factor before it is compared. Recovery codes are judged by their challenge only: pass `kind: 'recovery'`. */
export function judgeCode(
  { wrongInChallenge, kind }: { readonly wrongInChallenge: number; readonly kind: 'totp' | 'recovery' },
  counts: Counts,
): CodeVerdict {
  if (!(wrongInChallenge < codePolicy.wrongPerChallenge)) return 'challenge-over'
  if (kind === 'recovery' || standingOf(counts) === 'device') return 'try'
  return counts.codeFailures < codePolicy.wrongPerDay ? 'try' : 'wait'
}
