/**
 * A read whose asker is confirmed by the database in the same round trip. The group first sets the tenant and the member that are claimed,
 * then asks who that is by now, which sets the rest or takes the tenant away again; then comes the read. Without a confirmation it sees
 * nothing, and what it answers counts only if the confirmation is exactly the one that was expected.
 */
import { timedOut } from '../../kernel/fault.ts'
import type { Caller } from '../../kernel/scope.ts'
import { faultOf } from './errors.ts'
import { settingsPrelude } from './settings.ts'
import type { ConfirmedBy } from './standing.ts'
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
export async function readConfirmed(lane: ReadLane, { caller, confirmedBy, text, values, signal }: ConfirmedRead): Promise<string | null> {
  if (signal?.aborted) throw timedOut()
  const { actor, tenantId } = caller
  if (actor.kind !== 'member') throw new Error('Only a member can be confirmed.')
  // The role and the organisation are the confirmation's to set.
  const claimed = settingsPrelude({ tenantId, membershipId: actor.membershipId, role: null, providerOrgId: null })
  const proved = `${text}, current_setting('app.confirmed', true)`
  try {
    const { rows } = await lane.run([claimed, confirmedBy.statement], { text: proved, values, rowMode: 'array' })
    const [row] = rows as unknown as (readonly [string | null, string | null])[]
    return row && row[1] === confirmedBy.proof ? row[0] : null
  } catch (error) {
    throw faultOf(error)
  }
}
