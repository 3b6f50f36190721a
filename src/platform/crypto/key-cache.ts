/**
 * Unwrapped keys, kept for minutes so that a page of sealed rows costs one call to the KMS.
 * Refuses to hand out an expired key, and overwrites with zeros every key that leaves it.
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../kernel/clock.ts'
import { keysUnavailable } from './kms.ts'

export interface KeyCacheOptions {
  /** How long an unwrapped key may live, in milliseconds. Default and most: 5 minutes. */
  readonly ttlMs?: number
  /** How many keys are kept; the least recently used leaves first. Default: 10,000. */
  readonly maxKeys?: number
  /** Default: a monotonic clock; were it the wall clock, setting it back would prolong the life of keys. */
  readonly clock?: Clock
}

export interface KeyCache {
  /**
   * Runs `fn` with the key, which stays whole until `fn` returns: seal and open inside it, and let nothing keep the Buffer.
   * @param under Id of the key that this one was unwrapped with: it lives no longer than that one, and is not kept without it.
   * @throws Error when `fn` returns a promise: by the time it continued, the key could be wiped.
   * @throws as {@link KeyCache.get}.
   */
  use<Result>(id: string, load: () => Promise<Buffer>, fn: (key: Buffer) => Result, under?: string): Promise<Result>
  /** The key if it is kept, for use in this very tick, before anything is awaited; null where it has to be loaded. */
  kept(id: string): Buffer | null
  /**
   * The key, for use synchronously right after the `await`: it may be overwritten with zeros once the current tick is over.
   * Prefer {@link KeyCache.use}. Concurrent misses of one id share one `load`; its failures are not kept.
   * @param load Gives a fresh Buffer, which the cache owns from then on, and bounds its own time: a load that hangs holds all who wait.
   * @throws whatever `load` throws; KEYS_UNAVAILABLE once the cache is closed.
   */
  get(id: string, load: () => Promise<Buffer>, under?: string): Promise<Buffer>
  /**
   * Forgets the keys whose id starts with `prefix`; end it with the separator, for `t1` also starts `t10`.
   * Loads under way still serve those who wait for them, but are not kept.
   */
  evict(prefix: string): void
  /** Forgets everything for good. */
  close(): void
}

interface Entry {
  readonly key: Buffer
  readonly expiresAtMs: number
  readonly timer: NodeJS.Timeout
}

/** The longest that an unwrapped key may live, in milliseconds. */
export const maxTtlMs = 300_000
const monotonicClock: Clock = { nowMs: () => performance.now() }

/** @throws RangeError when keys would live longer than 5 minutes, or not at all. */
export function createKeyCache({ ttlMs = maxTtlMs, maxKeys = 10_000, clock = monotonicClock }: KeyCacheOptions = {}): KeyCache {
  if (!(ttlMs > 0 && ttlMs <= maxTtlMs)) throw new RangeError(`Unwrapped keys live for more than 0 and at most ${maxTtlMs} ms.`)
  let closed = false
  let wiping: Buffer[] = []
  const flights = new Map<string, Promise<Buffer>>()

  /** Wipes after the tick: continuations that were already given the key run to their end first. */
  const retire = (key: Buffer) => {
    if (wiping.length === 0) setImmediate(wipe)
    wiping.push(key)
  }
  const wipe = () => {
    const keys = wiping
    wiping = []
    for (const key of keys) key.fill(0)
  }

  const entries = new LRUCache<string, Entry>({
    max: maxKeys,
    dispose: (entry) => {
      clearTimeout(entry.timer)
      retire(entry.key)
    },
  })

  const keep = (id: string, key: Buffer, under: string | undefined) => {
    const parent = under === undefined ? undefined : live(under)
    if (under !== undefined && parent === undefined) return retire(key)
    const nowMs = clock.nowMs()
    const expiresAtMs = Math.min(nowMs + ttlMs, parent?.expiresAtMs ?? Infinity)
    // Without the timer a key that nobody asks for again would outlive its time; timers may be late, so `live` checks too.
    const timer = setTimeout(() => entries.delete(id), expiresAtMs - nowMs).unref()
    entries.set(id, { key, expiresAtMs, timer })
  }

  const live = (id: string): Entry | undefined => {
    const entry = entries.get(id)
    if (entry === undefined || clock.nowMs() < entry.expiresAtMs) return entry
    entries.delete(id)
    return undefined
  }

  const requireOpen = () => {
    if (closed) throw keysUnavailable({ reason: 'The server is stopping and has forgotten its keys. Try again in a few seconds.' })
  }

  const fetchKey = (id: string, load: () => Promise<Buffer>, under: string | undefined): Promise<Buffer> => {
    const current = () => flights.get(id) === flight
    const flight = load().then(
      (key) => {
        // Not current: evicted meanwhile, so the key must not stay.
        if (!current()) retire(key)
        else {
          flights.delete(id)
          keep(id, key, under)
        }
        requireOpen()
        return key
      },
      (error: unknown) => {
        if (current()) flights.delete(id)
        throw error
      },
    )
    flights.set(id, flight)
    return flight
  }

  const get = async (id: string, load: () => Promise<Buffer>, under?: string): Promise<Buffer> => {
    requireOpen()
    return live(id)?.key ?? (flights.get(id) ?? fetchKey(id, load, under))
  }

  const evict = (prefix: string) => {
    // The cache's list must not change while it is walked; a Map's may.
    const ids = Array.from(entries.keys())
    for (const id of ids) if (id.startsWith(prefix)) entries.delete(id)
    for (const id of flights.keys()) if (id.startsWith(prefix)) flights.delete(id)
  }

  return {
    get,
    evict,
    kept: (id) => live(id)?.key ?? null,
    async use(id, load, fn, under) {
      const result = fn(await get(id, load, under))
      if (result instanceof Promise) throw new Error('A key is used synchronously: the function must not return a promise.')
      return result
    },
    close() {
      closed = true
      evict('')
    },
  }
}
