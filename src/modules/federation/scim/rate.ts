/** How often a tenant's directories may ask: fixed windows of a minute, counted in this process. */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../../kernel/clock.ts'
import { tooMany } from '../../../kernel/fault.ts'

const windowMs = 60_000

/** @param perMinute requests of one key in a minute; the next is refused with the seconds until the window is over. */
export function createRate(clock: Clock, perMinute: number): (key: string) => void {
  const windows = new LRUCache<string, { endsMs: number; count: number }>({ max: 10_000 })
  return (key) => {
    const nowMs = clock.nowMs()
    let window = windows.get(key)
    if (!window || window.endsMs <= nowMs) windows.set(key, (window = { endsMs: nowMs + windowMs, count: 0 }))
    window.count++
    if (window.count > perMinute) throw tooMany({ retryAfterSeconds: Math.ceil((window.endsMs - nowMs) / 1_000) })
  }
}
