/**
 * A fuse for each thing that is asked over the network (a key, a host): after failures it refuses at once for a while, then lets a
 * single attempt through. One thing's failures never refuse another's attempts.
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../kernel/clock.ts'

export interface BreakerOptions {
  /** Failures without a success between them that open it. */
  readonly failures: number
  /** How long it stays open, in milliseconds. */
  readonly openMs: number
  readonly clock: Clock
}

export interface Breaker {
  /**
   * Runs `work` unless the breaker of `name` is open.
   * @param isFailure whether an error says that the other side is in trouble. Others leave the breaker as it is.
   * @throws what `refused` makes, with the milliseconds until the next attempt, when it is open or its one attempt is under way.
   */
  run<T>(name: string, work: () => Promise<T>, isFailure: (error: unknown) => boolean, refused: (waitMs: number) => Error): Promise<T>
  /** Forgets the failures of `name`. */
  mend(name: string): void
}

interface State {
  failures: number
  openUntilMs: number
  trying: boolean
}

export function createBreaker({ failures, openMs, clock }: BreakerOptions): Breaker {
  const states = new LRUCache<string, State>({ max: 10_000 })
  return {
    async run(name, work, isFailure, refused) {
      const state = states.get(name) ?? { failures: 0, openUntilMs: 0, trying: false }
      const open = state.failures >= failures
      const waitMs = state.openUntilMs - clock.nowMs()
      if (open && (waitMs > 0 || state.trying)) throw refused(Math.max(waitMs, 0))
      state.trying = open
      states.set(name, state)
      try {
        const result = await work()
        states.delete(name)
        return result
      } catch (error) {
        if (isFailure(error)) {
          state.failures++
          state.openUntilMs = clock.nowMs() + openMs
        }
        throw error
      } finally {
        state.trying = false
      }
    },
    mend: (name) => void states.delete(name),
  }
}
