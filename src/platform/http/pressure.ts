/** Tells when the server has more than it can carry, so that a request is refused before it costs anything. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

const windowMs = 1000
const rereadMs = 20

export interface Pressure {
  /** True when one more request should be answered 503. */
  isHigh(inFlight: number): boolean
  stop(): void
}

/**
 * @param maxInFlight requests being worked on at once.
 * @param maxDelayMs 99th percentile of the event loop's delay over the last second or two.
 */
export function createPressure(maxInFlight: number, maxDelayMs: number): Pressure {
  const histogram = monitorEventLoopDelay({ resolution: rereadMs })
  histogram.enable()
  let windowStart = performance.now()
  let readAt = windowStart
  let previousMs = 0
  let currentMs = 0

  const delayMs = (): number => {
    const now = performance.now()
    if (now - readAt < rereadMs) return Math.max(previousMs, currentMs)
    readAt = now
    currentMs = histogram.percentile(99) / 1e6
    if (now - windowStart >= windowMs) {
      // The closed window still counts during the next one: a stall is not forgotten at the stroke of the second.
      previousMs = currentMs
      currentMs = 0
      windowStart = now
      histogram.reset()
    }
    return Math.max(previousMs, currentMs)
  }

  return {
    isHigh: (inFlight) => inFlight >= maxInFlight || delayMs() > maxDelayMs,
    stop: () => {
      histogram.disable()
    },
  }
}
