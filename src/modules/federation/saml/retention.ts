/** How long traffic is kept. Nothing that could still be answered, replayed, signed out or counted goes. */
import type { Clock } from '../../../kernel/clock.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { TrafficRepo } from './repo-traffic.ts'

const dayMs = 86_400_000
/** How long IT finds what became of a sign-in; the audit trail says it for ever. */
const keepAttemptsMs = 90 * dayMs
/** Beyond the longest life of a session: until then its subject may be signed out from afar. */
const keepSessionsMs = 90 * dayMs
/** Requests, outcomes and used assertions past their end: long enough to tell a late answer from a made-up one. */
const keepSpentMs = dayMs
/** Rows of one statement, and rounds in a run; what is left waits for the next. */
const batch = 5_000
const mostRounds = 10

export function createTidying({ traffic, clock }: { traffic: Pick<TrafficRepo, 'tidy'>; clock: Clock }) {
  /** Inside the job's command, in one tenant, on the login that signs people in. */
  return async (scope: Scope): Promise<void> => {
    const ago = (ms: number) => new Date(clock.nowMs() - ms)
    const before = { spent: ago(keepSpentMs), attempts: ago(keepAttemptsMs), sessions: ago(keepSessionsMs) }
    for (let round = 0; round < mostRounds; round++) if ((await traffic.tidy(scope, before, batch)) < batch) return
  }
}
