/**
 * What the database counts so that guessing can be slowed: hashed keys, their windows, and which attempts add to which.
 * Neither an e-mail address nor a network address can be read from a key, nor found by trying without the secret.
 */
import { createHmac } from 'node:crypto'
import { isIP } from 'node:net'

/**
 * How well the source of an attempt is known for this account:
 * `device`: it carries the cookie of a device that signed this account in; `neighbour`: it comes from an address that did;
 * `stranger`: neither.
 */
export type Standing = 'device' | 'neighbour' | 'stranger'

/** `wrong-code`: the password was right and the second factor was not. `success`: signed in, second factor and all. */
export type Outcome = 'wrong-password' | 'wrong-code' | 'success'

interface CounterRule {
  readonly windowMs: number
  readonly outcomes: readonly Outcome[]
  readonly standings: readonly Standing[]
  /** Counted by attempts, or by different accounts among them. */
  readonly unit: 'attempts' | 'accounts'
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
const anyone: readonly Standing[] = ['device', 'neighbour', 'stranger']
const noDevice: readonly Standing[] = ['neighbour', 'stranger']
const wrong: readonly Outcome[] = ['wrong-password', 'wrong-code']

/** Every counter as data. What a known device gets wrong touches nobody else's counters. */
export const counterRules = {
  deviceKnown: { windowMs: 90 * dayMs, outcomes: ['success'], standings: anyone, unit: 'attempts' },
  pairKnown: { windowMs: 30 * dayMs, outcomes: ['success'], standings: anyone, unit: 'attempts' },
  deviceFailures: { windowMs: 15 * minuteMs, outcomes: wrong, standings: ['device'], unit: 'attempts' },
  pairFailures: { windowMs: 15 * minuteMs, outcomes: wrong, standings: noDevice, unit: 'attempts' },
  accountFailures: { windowMs: hourMs, outcomes: ['wrong-password'], standings: ['stranger'], unit: 'attempts' },
  addressFailures: { windowMs: 15 * minuteMs, outcomes: ['wrong-password'], standings: noDevice, unit: 'accounts' },
  addressSuccesses: { windowMs: 15 * minuteMs, outcomes: ['success'], standings: anyone, unit: 'accounts' },
  tenantFailures: { windowMs: 15 * minuteMs, outcomes: ['wrong-password'], standings: ['stranger'], unit: 'attempts' },
  tenantSuccesses: { windowMs: 15 * minuteMs, outcomes: ['success'], standings: anyone, unit: 'attempts' },
  codeFailures: { windowMs: dayMs, outcomes: ['wrong-code'], standings: noDevice, unit: 'attempts' },
} as const satisfies Record<string, CounterRule>

export type Counter = keyof typeof counterRules

/** What was counted within each counter's window; a counter that {@link throttleKeys} did not list is zero. */
export type Counts = Readonly<Record<Counter, number>>

export interface ThrottleKey extends CounterRule {
  readonly counter: Counter
  /** 43 characters of base64url. */
  readonly key: string
  /** With the unit `accounts`: count the different values of this. */
  readonly member: string | null
}

/**
 * The counters an attempt to sign in is judged by. Read them all in one query before anything is compared, and make them visible to other
 * processes: count the attempt as a wrong password first, in a transaction of its own, and take that back when it was right, so that a
 * hundred guesses at once do not all see zero. An attempt that is refused is not counted; or knocking would keep the door shut.
 * @param account what was typed, in the form in which accounts are looked up; counted whether or not it exists.
 * @param address of the client; all of an IPv6 /64 is one address. Null or unreadable: one bucket for all of these.
 * @param device the value of the device cookie, null without one. A value that signed nobody in earns nothing.
 * @param secret at least 16 bytes, the same in every process.
 */
export function throttleKeys(
  { tenantId, account, address, device }: { tenantId: string; account: string; address: string | null; device: string | null },
  secret: Uint8Array,
): readonly ThrottleKey[] {
  if (secret.length < 16) throw new RangeError('The secret of the throttle is too short.')
  const who = account.slice(0, 320).normalize('NFKC').trim().toLowerCase()
  const where = addressGroup(address)
  const hash = (...parts: readonly string[]) =>
    createHmac('sha256', secret).update(JSON.stringify([tenantId, ...parts])).digest('base64url')
  const partsOf: Record<Counter, readonly string[] | null> = {
    deviceKnown: device === null ? null : [who, device],
    pairKnown: [who, where],
    deviceFailures: device === null ? null : [who, device],
    pairFailures: [who, where],
    accountFailures: [who],
    addressFailures: [where],
    addressSuccesses: [where],
    tenantFailures: [],
    tenantSuccesses: [],
    codeFailures: [who],
  }
  return (Object.keys(counterRules) as Counter[]).flatMap((counter) => {
    const parts = partsOf[counter]
    if (!parts) return []
    const rule: CounterRule = counterRules[counter]
    return [{ ...rule, counter, key: hash(counter, ...parts), member: rule.unit === 'accounts' ? hash('member', who) : null }]
  })
}

/**
 * What was counted, for the policy.
 * @param found the count of each key, as the database answers; a key it has no row for was never counted.
 * @throws TypeError for a count that is no number: read as nothing, it would switch the throttle off.
 */
export function countsOf(keys: readonly ThrottleKey[], found: ReadonlyMap<string, number>): Counts {
  const counts = Object.fromEntries(Object.keys(counterRules).map((counter) => [counter, 0])) as Record<Counter, number>
  for (const { counter, key } of keys) {
    const count = found.get(key) ?? 0
    if (!Number.isSafeInteger(count) || count < 0) throw new TypeError(`The count of ${counter} is not a number.`)
    counts[counter] = count
  }
  return counts
}

/** The keys to add one to, after an attempt that ended so and came from a source that stood so. */
export function keysToCount(keys: readonly ThrottleKey[], outcome: Outcome, standing: Standing): readonly ThrottleKey[] {
  return keys.filter(({ outcomes, standings }) => outcomes.includes(outcome) && standings.includes(standing))
}

/** What one network subscriber holds: an IPv4 address (also when written as IPv6), or the first 64 bits of an IPv6 address. */
export function addressGroup(address: string | null): string {
  const plain = address?.split('%')[0] ?? ''
  const version = isIP(plain)
  if (version === 4) return plain
  if (version !== 6) return 'unreadable'
  const groups = expand(plain)
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (isMapped) return groups.slice(6).flatMap((group) => [group >> 8, group & 0xff]).join('.')
  return `${groups.slice(0, 4).map((group) => group.toString(16)).join(':')}::/64`
}

/** The eight groups of a valid IPv6 address. */
function expand(address: string): number[] {
  // The URL parser writes a dotted tail in hexadecimal and leaves at most one `::`.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = [], tail = []] = canonical.split('::').map((half) => half.split(':').filter(Boolean).map((group) => parseInt(group, 16)))
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}
