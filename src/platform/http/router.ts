/** A table of routes, looked up by exact path, else by the longest prefix. It has no patterns, so nothing in it can backtrack. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Client } from './address.ts'

export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
export type Method = (typeof methods)[number]

export interface RequestContext {
  /** Ours, a UUIDv7; also in the answer's `x-request-id`. */
  readonly requestId: string
  readonly client: Client
  /** Without the query; begins with `/`, has no dot segments. */
  readonly path: string
  /** Raw text after `?`, without it. */
  readonly query: string
  /** Aborts when the client has gone or the server's patience has. */
  readonly signal: AbortSignal
  /** Aborts when the server begins to stop: streams end themselves, `/readyz` answers no. */
  readonly stopping: AbortSignal
  /** Declares the answer a long-lived stream, counted apart from requests in flight. False when there are too many: refuse it. */
  holdStream(): boolean
}

export interface Route {
  /** A GET route answers HEAD as well; `*` leaves the choice to the handler. */
  readonly method: Method | '*'
  /** Exact (`/graphql`), or a prefix (`/scim/v2/*`, which also covers `/scim/v2`). */
  readonly path: string
  /** The route's name in logs and metrics: short, fixed, no tenant in it. */
  readonly name: string
  /** Answered even under load, such as liveness. Only for what costs nothing. */
  readonly essential?: true
  /** How a refusal that comes before the handler is said at this address (surplus, malformed, too slow); as everywhere unless told. */
  refusal?(status: number, message: string): { readonly contentType: string; readonly body: unknown }
  handle(request: IncomingMessage, response: ServerResponse, context: RequestContext): void | Promise<void>
}

export type Match = { readonly route: Route } | { readonly allowed: readonly string[] } | null

type Table = Map<string, Map<string, Route>>

function add(table: Table, path: string, route: Route): void {
  const byMethod = table.get(path) ?? new Map<string, Route>()
  if (byMethod.has(route.method) || byMethod.has('*') || (route.method === '*' && byMethod.size > 0)) {
    throw new Error(`Two routes answer ${route.method} ${route.path}.`)
  }
  table.set(path, byMethod.set(route.method, route))
}

/** @throws when two routes claim the same method and path, or a path or name is malformed. */
export function createRouter(routes: readonly Route[]): (method: string, path: string) => Match {
  const exact: Table = new Map()
  const prefixes: Table = new Map()
  for (const route of routes) {
    if (!/^\/[\w./-]*(?<!\/)(?:\/\*)?$|^\/$/.test(route.path)) throw new Error(`Route path ${route.path} is neither exact nor a prefix.`)
    if (!/^[a-z][a-z0-9.-]{0,39}$/.test(route.name)) throw new Error(`Route name ${route.name} is no short lower-case name.`)
    if (route.path.endsWith('/*')) add(prefixes, route.path.slice(0, -2), route)
    else add(exact, route.path, route)
  }

  const candidates = (path: string): Map<string, Route> | undefined => {
    const found = exact.get(path)
    if (found) return found
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const under = prefixes.get(path.slice(0, end))
      if (under) return under
    }
    return undefined
  }

  return (method, path) => {
    const byMethod = candidates(path)
    if (!byMethod) return null
    const route = byMethod.get(method) ?? byMethod.get('*') ?? (method === 'HEAD' ? byMethod.get('GET') : undefined)
    if (route) return { route }
    return { allowed: [...byMethod.keys(), ...(byMethod.has('GET') && !byMethod.has('HEAD') ? ['HEAD'] : [])] }
  }
}
