/** An exchange of the flight recorder once more, as a dry run: everything is done, the answer is kept, and all of it is taken back. */
import type { Scope } from '../../../kernel/scope.ts'
import { directoryLogin } from '../../../platform/db/logins.ts'
import { unitOf } from '../../../platform/db/unit.ts'
import type { Place, Protocol } from './protocol.ts'
import type { ScimExchange } from './repo-exchanges.ts'
import type { UsersRepo } from './repo-users.ts'
import type { Reply } from './reply.ts'

class TakenBack extends Error {
  readonly result: unknown

  constructor(result: unknown) {
    super('A dry run is taken back.')
    this.result = result
  }
}

export interface ReplayParts {
  readonly protocol: Protocol
  readonly users: Pick<UsersRepo, 'add'>
}

/** Commits nothing. Not inside a command. What the recorder left out is replaced in the request, so a filter on it finds nobody. */
export function replayExchange(parts: ReplayParts, scope: Scope, exchange: ScimExchange): Promise<Reply> {
  const { protocol, users } = parts
  const dry: Place['write'] = async <T>(work: (inside: Scope) => Promise<T>): Promise<T> => {
    try {
      return await unitOf(scope).command(async (inside) => {
        throw new TakenBack(await work(inside))
      }, directoryLogin)
    } catch (error) {
      if (error instanceof TakenBack) return error.result as T
      throw error
    }
  }
  const { connectionId, method, path, query, body } = exchange
  const add: Place['add'] = (addition) => dry((inside) => users.add(inside, addition))
  const place: Place = { connectionId, baseUrl: '/scim/v2', read: dry, write: dry, add }
  return protocol({ method, path, query: new URLSearchParams(query), body: body ?? undefined }, place)
}
