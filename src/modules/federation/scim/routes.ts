/**
 * `/scim/v2`: who is asking, how often, with what body; then the protocol. Every answer, refusals of unknown addresses included, is
 * `application/scim+json` in SCIM's own shapes. It refuses a token before it reads a body, and a body before it parses it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isUtf8 } from 'node:buffer'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../../kernel/clock.ts'
import { AbsentFault, Fault, unauthenticated } from '../../../kernel/fault.ts'
import type { Caller } from '../../../kernel/scope.ts'
import type { Config } from '../../../platform/config.ts'
import type { ConfirmedAdd } from '../../../platform/db/confirmed-add.ts'
import type { Unit } from '../../../platform/db/unit.ts'
import { bodyNotUtf8, endLingering, mediaTypeRefused, readBody } from '../../../platform/http/body.ts'
import type { Log } from '../../../platform/http/log.ts'
import type { RequestContext, Route } from '../../../platform/http/router.ts'
import type { TenantDoor } from '../../../platform/http/tenant.ts'
import { scimTokenRefused, type Scim } from './contract.ts'
import type { ResourceName } from './engine.ts'
import { scimLimits } from './limits.ts'
import type { Asked, Place, Protocol } from './protocol.ts'
import { createRate } from './rate.ts'
import type { Recorder } from './recorder.ts'
import { redactBody, redactQuery } from './redact.ts'
import { refusal, refusalOf, type Reply } from './reply.ts'
import { confirmationOf, type TokenOwner } from './repo-connections.ts'
import type { Added } from './repo-users.ts'
import { readJson } from './schema/json.ts'
import { readScimToken } from './token.ts'

export interface ScimRouteParts {
  readonly open: (caller: Caller, signal: AbortSignal | null) => Unit
  /** Commits one statement with its line of the trail, the token confirmed beside it; null when the token was not. */
  readonly add: <Row extends object>(add: ConfirmedAdd) => Promise<readonly Row[] | null>
  readonly door: TenantDoor
  readonly scim: Pick<Scim, 'identify'>
  readonly protocol: Protocol
  readonly recorder: Recorder
  readonly config: Pick<Config, 'publicUrl' | 'scimRequestsPerMinute'>
  readonly clock: Clock
  readonly log: Log
}

const basePath = '/scim/v2'
const mediaType = 'application/scim+json; charset=utf-8'
const jsonType = /^application\/(?:scim\+)?json(?:\s*;\s*charset="?utf-8"?)?\s*$/i
/** Tokens that do not hold, of one address in a minute: guessing 256 bits is hopeless, asking the database for it is not free. */
const mostRefused = 300

/** Tokens whose owner is remembered. */
const mostRemembered = 10_000

/** Whose request it is. */
interface Known extends TokenOwner {
  readonly caller: Caller
}

/** The request as it came. */
interface Seen {
  readonly method: string
  readonly path: string
  readonly requestId: string
  readonly durationMs: number
}

function bearerOf(request: IncomingMessage): string {
  const header = request.headers.authorization
  if (header === undefined) throw unauthenticated()
  const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]{1,400})$/i.exec(header) ?? []
  if (token === undefined) throw scimTokenRefused()
  return token
}

function kindOf(path: string): ResourceName | null {
  if (path.startsWith('/Users')) return 'User'
  return path.startsWith('/Groups') ? 'Group' : null
}

export function scimRoute(parts: ScimRouteParts): Route {
  const { open, add, door, scim, protocol, recorder, config, clock, log } = parts
  const rate = createRate(clock, config.scimRequestsPerMinute)
  const refusedRate = createRate(clock, mostRefused)
  /** By the tokens' hashes: whose they were when they were looked up last. It confirms nothing: a change asks the database beside it. */
  const owners = new LRUCache<string, TokenOwner>({ max: mostRemembered })

  /** @param confirmedLater the change itself asks whether the token holds, so that an owner who is remembered is enough until then */
  const identify = async (request: IncomingMessage, http: RequestContext, confirmedLater: boolean): Promise<Known> => {
    const token = bearerOf(request)
    const read = readScimToken(token)
    if (!read) throw scimTokenRefused()
    const { tenantId, hash } = read
    // The address may name a tenant too; a token of another one opens nothing there.
    const named = await door.named(request, http.client)
    if (named !== null && named.tenantId !== tenantId) throw scimTokenRefused()
    await door.byId(tenantId).catch((error: unknown) => {
      throw error instanceof AbsentFault ? scimTokenRefused() : error
    })
    const userAgent = request.headers['user-agent']?.slice(0, 200).replace(/[^\x20-\x7e]/g, '?') ?? null
    const { requestId, client } = http
    const nothing = { plane: null, permissions: new Set<string>(), purpose: null }
    const base = { tenantId, requestId, sourceAddress: client.address, userAgent, ...nothing }
    const asDirectory = (owner: TokenOwner): Known => {
      const { connectionId } = owner
      return { ...owner, caller: { ...base, actor: { kind: 'directory', source: 'SCIM', connectionId } } }
    }
    const remembered = confirmedLater ? owners.get(hash) : undefined
    if (remembered) return asDirectory(remembered)
    const unit = open({ ...base, actor: { kind: 'anonymous' } }, http.signal)
    try {
      const { connectionId, tokenId } = await unit.read(() => scim.identify(unit.scope, { token }))
      const owner = { tenantId, connectionId, tokenId }
      owners.set(hash, owner)
      return asDirectory(owner)
    } catch (error) {
      if (scimTokenRefused.is(error)) owners.delete(hash)
      throw error
    }
  }

  const identifySeldom: typeof identify = (request, http, confirmedLater) =>
    identify(request, http, confirmedLater).catch((error: unknown) => {
      if (scimTokenRefused.is(error)) refusedRate(http.client.address)
      throw error
    })

  /** A change whose token did not hold has changed nothing; who came with it is looked up anew, and refused. */
  const adding = (known: Known, request: IncomingMessage, http: RequestContext): Place['add'] =>
    async ({ text, values }, entry) => {
      const confirmation = confirmationOf(known, new Date(clock.nowMs()))
      const rows = await add<Added>({ caller: known.caller, confirmation, entry, statement: { text, values }, signal: http.signal })
      if (rows) return rows[0]!
      await identifySeldom(request, http, false)
      throw new Error('A token that holds was not confirmed.')
    }

  const bodyOf = async (request: IncomingMessage, method: string): Promise<unknown> => {
    if (method === 'GET' || method === 'DELETE' || method === 'OPTIONS') return undefined
    if (!jsonType.test(request.headers['content-type'] ?? '')) throw mediaTypeRefused()
    const bytes = await readBody(request, scimLimits.bodyBytes)
    if (!isUtf8(bytes)) throw bodyNotUtf8()
    return readJson(bytes.toString('utf8'))
  }

  /** Where this request reached us: in what the answers link to. */
  const baseUrlOf = (request: IncomingMessage, { client }: RequestContext): string => {
    if (config.publicUrl !== null) {
      const { protocol: scheme, port } = new URL(config.publicUrl)
      return `${scheme}//${client.host}${port ? `:${port}` : ''}${basePath}`
    }
    return `${client.protocol}://${client.host}:${request.socket.localPort}${basePath}`
  }

  return {
    method: '*',
    path: `${basePath}/*`,
    name: 'scim',
    refusal: (status, message) => ({ contentType: mediaType, body: refusal(status, message).body }),
    async handle(request, response, http) {
      const startedMs = performance.now()
      const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET')
      const path = http.path.slice(basePath.length) || '/'
      let known: Known | null = null
      let asked: Asked | null = null
      let answer: Reply
      try {
        known = await identifySeldom(request, http, method === 'POST' && path === '/Users')
        rate(known.caller.tenantId)
        const body = await bodyOf(request, method)
        const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers
        asked = { method, path: decoded(path), query: new URLSearchParams(http.query), ifMatch, ifNoneMatch, body }
        const unit = open(known.caller, http.signal)
        answer = await protocol(asked, {
          connectionId: known.connectionId,
          baseUrl: baseUrlOf(request, http),
          read: (work) => unit.read(() => work(unit.scope)),
          write: (work) => unit.command(work),
          add: adding(known, request, http),
        })
      } catch (error) {
        if (error instanceof Fault) answer = refusalOf(error)
        else {
          log.error('scim.failed', { requestId: http.requestId, error })
          answer = refusal(500, 'Something went wrong on our side. Quote the request id when you report it.')
        }
      }
      const durationMs = performance.now() - startedMs
      send(request, response, answer)
      // Nobody waits for what the recorder keeps. A token that turned out not to hold was not used.
      if (known && answer.status !== 401) record(known, asked, answer, { method, path, requestId: http.requestId, durationMs })
    },
  }

  function record(known: Known, asked: Asked | null, answer: Reply, seen: Seen): void {
    // A directory that is refused for its haste must not push what it did out of the recorder.
    if (answer.status === 429) return
    const kind = kindOf(seen.path)
    const { scimType, detail } = (answer.status >= 400 ? (answer.body ?? {}) : {}) as { scimType?: string; detail?: string }
    recorder.note(known.caller, (caller) => open(caller, null), {
      connectionId: known.connectionId,
      tokenId: known.tokenId,
      requestId: seen.requestId,
      method: seen.method,
      path: seen.path.slice(0, 512),
      query: asked ? redactQuery(asked.query, kind) : '',
      status: answer.status,
      scimType: scimType ?? null,
      durationMs: Math.round(seen.durationMs * 100) / 100,
      body: redactBody(asked?.body, kind),
      detail: detail ?? null,
      at: new Date(clock.nowMs()),
    })
  }
}

/** Percent-encoding taken off; what is malformed names nothing. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return '/%'
  }
}

function send(request: IncomingMessage, response: ServerResponse, { status, body, headers }: Reply): void {
  const text = body === null || status === 304 ? '' : JSON.stringify(body)
  const type = text === '' ? {} : { 'content-type': mediaType, 'content-length': Buffer.byteLength(text) }
  const isTooLarge = status === 413 && !request.readableEnded
  response.writeHead(status, { ...type, 'cache-control': 'no-store', ...headers, ...(isTooLarge ? { connection: 'close' } : {}) })
  if (isTooLarge) endLingering(request, response, text)
  else response.end(request.method === 'HEAD' ? '' : text)
}
