/**
 * How long identity keeps what is over. It never touches what could still let somebody in, nor anybody's newest session.
 * A run is bounded: what is left waits for the next.
 */
import type { Clock } from '../../kernel/clock.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { RetentionRepo } from './repo-retention.ts'

const dayMs = 86_400_000
/** Ended sessions say for this long from where and how somebody was signed in; the audit trail says it for ever. */
export const keepSessionsMs = 30 * dayMs
/** Used and expired one-time tokens: long enough to tell a second use from a made-up one. */
export const keepTokensMs = dayMs
/** Rows of one statement, and statements of each kind in a run. */
const batch = 1_000
const mostBatches = 10

/** Repeats until a batch comes back short, or the run has had enough. @returns how many rows went */
async function inBatches(one: (most: number) => Promise<number>, rows: number): Promise<number> {
  let total = 0
  for (let run = 0; run < mostBatches; run++) {
    const count = await one(rows)
    total += count
    if (count < rows) break
  }
  return total
}

/** @param rows the most rows of one statement; smaller only where a test plants few. */
export function createRetention({ repo, clock, rows = batch }: { repo: RetentionRepo; clock: Clock; rows?: number }) {
  return {
    /** Inside the job's command, in one tenant, on the login that signs people in. */
    async tidy(scope: Scope): Promise<void> {
      const nowMs = clock.nowMs()
      const now = new Date(nowMs)
      const ended = new Date(nowMs - keepSessionsMs)
      const spent = new Date(nowMs - keepTokensMs)
      const counts = {
        sessions: await inBatches((most) => repo.deleteEndedSessions(scope, ended, most), rows),
        tokens: await inBatches((most) => repo.deleteSpentTokens(scope, spent, most), rows),
        counters: await inBatches((most) => repo.deleteSpentCounts(scope, now, most), rows),
        invitations: await inBatches((most) => repo.expireInvitations(scope, now, most), rows),
      }
      if (Object.values(counts).every((count) => count === 0)) return
      scope.unit.record({ action: 'identity.tidied', resource: 'Identity', outcome: 'done', detail: counts })
    },
  }
}
