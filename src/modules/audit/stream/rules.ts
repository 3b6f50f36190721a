/** Streaming, the pure part: how a batch is signed, how long a failed one waits, and when somebody must look. */
import { createHmac } from 'node:crypto'
import { streamAlarm } from '../../../platform/ledger/metrics.ts'

/** Failures in a row from which a stream counts as failing: it is shown, counted and told. */
export const alarmAfter = streamAlarm

const leastWaitMs = 5_000
const mostWaitMs = 15 * 60_000

/** How long a stream waits after this many failures in a row: 5 s, doubled each time, 15 minutes at most. */
export function waitMs(failures: number): number {
  return Math.min(mostWaitMs, leastWaitMs * 2 ** Math.min(20, Math.max(0, failures - 1)))
}

export type StreamStanding = 'WAITING' | 'FLOWING' | 'RETRYING' | 'FAILING'

export function standingOf({ failures, sent }: { readonly failures: number; readonly sent: boolean }): StreamStanding {
  if (failures >= alarmAfter) return 'FAILING'
  if (failures > 0) return 'RETRYING'
  return sent ? 'FLOWING' : 'WAITING'
}

/**
 * The value of `x-maristan-signature`: `t=<seconds since 1970>,v1=<HMAC-SHA256 in hex>` over `<t>.<body>`. The receiver computes it anew,
 * compares in constant time, and refuses a moment that is more than five minutes away.
 */
export function signatureOf(secret: string, body: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000)
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.`).update(body).digest('hex')}`
}
