/**
 * The flight recorder: the last exchanges of each connection. It writes in the background and in groups, so that no answer waits for it;
 * what a crash takes with it is the last quarter of a second. It also notes when tokens were used.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { newId } from '../../../kernel/id.ts'
import type { Caller } from '../../../kernel/scope.ts'
import type { Unit } from '../../../platform/db/unit.ts'
import type { Log } from '../../../platform/http/log.ts'
import type { ExchangesRepo, NewExchange } from './repo-exchanges.ts'

export type Recorded = Omit<NewExchange, 'id'>

export interface Recorder {
  /** @param open a unit of work of the directory's own, for writing it down */
  note(caller: Caller, open: (caller: Caller) => Unit, exchange: Recorded): void
  /** Resolves when everything noted so far is written, or has failed. */
  settle(): Promise<void>
}

const groupMs = 250
/** Not written yet; older ones are dropped when a directory is faster than the database. */
const mostWaiting = 5_000

interface Waiting {
  readonly caller: Caller
  readonly open: (caller: Caller) => Unit
  readonly exchange: NewExchange
}

export function createRecorder({ exchanges, log }: { exchanges: ExchangesRepo; log: Log }): Recorder {
  let waiting: Waiting[] = []
  let writing: Promise<void> | null = null

  const writeGroup = async (group: readonly Waiting[]): Promise<void> => {
    const [{ caller, open }] = group as [Waiting]
    const { connectionId } = group[0]!.exchange
    const unit = open({ ...caller, requestId: newId() })
    await unit.command(async (scope) => {
      await exchanges.add(
        scope,
        connectionId,
        group.map(({ exchange }) => exchange),
      )
      const detail = { exchanges: group.length }
      scope.unit.record({ action: 'scim.exchanges_recorded', resource: 'ScimConnection', resourceId: connectionId, outcome: 'done', detail })
    })
  }

  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const taken = waiting
      waiting = []
      const groups = Map.groupBy(taken, ({ caller, exchange }) => `${caller.tenantId} ${exchange.connectionId}`)
      for (const group of groups.values()) {
        const count = group.length
        await writeGroup(group).catch((error: unknown) => log.warn('scim.recorder.failed', { count, error }))
      }
    }
  }

  const begin = (afterMs: number): Promise<void> => {
    writing ??= delay(afterMs, undefined, { ref: false })
      .then(writeAll)
      .finally(() => {
        writing = null
      })
    return writing
  }

  return {
    note(caller, open, exchange) {
      if (waiting.length >= mostWaiting) waiting.shift()
      waiting.push({ caller, open, exchange: { id: newId(), ...exchange } })
      void begin(groupMs)
    },
    async settle() {
      await writeAll()
      await writing
    },
  }
}
