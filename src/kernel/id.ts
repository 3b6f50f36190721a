/** Identifiers: UUIDv7 (RFC 9562 §5.7), time-ordered so that new rows land at the end of every index. */
import { randomFillSync } from 'node:crypto'

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** True for the canonical lower-case text of a UUID of any version. */
export function isUuid(text: string): boolean {
  return shape.test(text)
}

/** Drawn in one go for many ids; each byte is used once. */
const pool = Buffer.alloc(16 * 128)
let drawnAt = pool.length

let lastMs = 0
let counter = 0

/** A new UUIDv7. Ids made by one process in one millisecond ascend (12-bit counter, RFC 9562 §6.2 method 1). */
export function newId(nowMs: number = Date.now()): string {
  if (drawnAt === pool.length) {
    randomFillSync(pool)
    drawnAt = 0
  }
  const at = drawnAt
  drawnAt += 16
  if (nowMs > lastMs) {
    lastMs = nowMs
    counter = pool.readUInt16BE(at + 6) & 0x07ff
  } else if (++counter > 0x0fff) {
    // The counter is spent: borrow the next millisecond rather than run backwards.
    lastMs++
    counter = 0
  }
  pool.writeUIntBE(lastMs, at, 6)
  pool.writeUInt16BE(0x7000 | counter, at + 6)
  pool[at + 8] = (pool[at + 8]! & 0x3f) | 0x80
  const hex = pool.toString('hex', at, at + 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
