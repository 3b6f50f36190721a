/** The flight recorder for people: reading it, and trying an exchange again without consequences. */
import { notFound } from '../../../kernel/fault.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import type { ServiceOf } from '../../../platform/contract.ts'
import { exchange, type Exchange, type scimMethods } from './contract.ts'
import { replayExchange, type ReplayParts } from './replay.ts'
import type { ExchangesRepo, ScimExchange } from './repo-exchanges.ts'

const mostAnswer = 20_000

function shown(row: ScimExchange): Exchange {
  return exchange.parse({ ...row, body: row.body === null ? null : JSON.stringify(row.body) })
}

/** The operator runs the building and sees what crossed its doors; everybody else needs the permission. */
function mayLook(scope: Scope): void {
  if (scope.actor.kind !== 'operator') need(scope, 'sso:manage')
}

export function createExchangeService(
  parts: ReplayParts & { exchanges: ExchangesRepo; settled: () => Promise<void> },
): Pick<ServiceOf<typeof scimMethods>, 'exchanges' | 'replay'> {
  const { exchanges, settled } = parts

  return {
    async exchanges(scope, filter) {
      mayLook(scope)
      // What this process has seen and not yet written belongs to the answer.
      await settled()
      const found = await exchanges.list(scope, filter)
      const [resourceId, detail] = [filter.connectionId ?? null, { exchanges: found.length }]
      scope.unit.record({ action: 'scim.exchanges_read', resource: 'ScimConnection', resourceId, outcome: 'done', detail })
      return found.map(shown)
    },

    async replay(scope, { id }) {
      mayLook(scope)
      const found = await exchanges.find(scope, id)
      if (!found) throw notFound()
      const { status, body } = await replayExchange(parts, scope, found)
      const detail = { status }
      scope.unit.record({ action: 'scim.exchange_replayed', resource: 'ScimExchange', resourceId: id, outcome: 'done', detail })
      const scimType = (body?.['scimType'] as string | undefined) ?? null
      return { status, scimType, answer: JSON.stringify(body ?? null).slice(0, mostAnswer) }
    },
  }
}
