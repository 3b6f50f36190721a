/**
 * A read whose asker is confirmed by the database in the same round trip. The group first sets what is remembered of the asker, then asks
 * whether all of it still holds, which takes the tenant away where it does not; then comes the read. Without a confirmation it sees nothing,
 * and what it answers does not count.
 */
import { timedOut } from '../../kernel/fault.ts'
import type { Caller } from '../../kernel/scope.ts'
import { faultOf } from './errors.ts'
import { settingsPrelude, type Settings } from './settings.ts'
import { NotConfirmed, type ConfirmedBy } from './standing.ts'
import type { ReadLane } from './read-lane.ts'

export interface ConfirmedRead {
  readonly caller: Caller
  readonly confirmedBy: ConfirmedBy
  /** Answers one row with one text. */
  readonly text: string
  readonly values: readonly (string | null)[]
  readonly signal: AbortSignal | null
}

/** The text that was read; null when the asker is not, or no longer, who was expected. @throws OVERLOADED, TIMED_OUT, DATABASE_UNAVAILABLE */
export async function readConfirmed(lane: ReadLane, settings: Settings, read: Omit<ConfirmedRead, 'caller'>): Promise<string | null> {
  const { confirmedBy, text, values, signal } = read
  if (signal?.aborted) throw timedOut()
  try {
    const { rows } = await lane.run([settingsPrelude(settings), confirmedBy], { text, values, rowMode: 'array' })
    const [row] = rows as unknown as (readonly [string | null])[]
    return row?.[0] ?? null
  } catch (error) {
    if (error instanceof NotConfirmed) return null
    throw faultOf(error)
  }
}
