/**
 * The HTTP server: what every request passes before a handler sees it, and how the server stops. Malformed, ambiguous and surplus
 * requests are refused before any work; no error's words reach a stranger unless it is a fault.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { Bag } from '../../kernel/bag.ts'
import { Fault, overloaded } from '../../kernel/fault.ts'
import { newId } from '../../kernel/id.ts'
import { createClientReader, type Client } from './address.ts'
import { answerAt, answerFault, answerRefusal, headersOf, statusOf } from './answer.ts'
import { answerClientError, pathOf, type ClientError } from './client-error.ts'
import { framingRefusal } from './framing.ts'
import type { Log } from './log.ts'
import type { HttpMetrics } from './metrics.ts'
import { createPressure } from './pressure.ts'
import { createRouter, type RequestContext, type Route } from './router.ts'

export const defaultHttpLimits = {
  /** Time for a request's head to arrive. */
  headersTimeoutMs: 10_000,
  /** Time for a whole request to arrive. */
  requestTimeoutMs: 30_000,
  /** How often the two above are enforced. */
  timeoutCheckMs: 1000,
  /** Longer than a usual load balancer's, so that it never reuses a connection we are closing. */
  keepAliveTimeoutMs: 65_000,
  /** A connection on which nothing moves either way, such as a client that does not read its answer. */
  stalledTimeoutMs: 120_000,
  maxHeaders: 100,
  maxHeaderBytes: 16 * 1024,
  maxRequestsPerSocket: 10_000,
  maxConnections: 2000,
  maxInFlight: 500,
  maxStreams: 1000,
  maxEventLoopDelayMs: 1000,
  /** From "not ready" to closing the door, for a load balancer to notice. */
  stopNoticeMs: 0,
  /** How long requests in flight may finish. */
  stopGraceMs: 25_000,
}
export type HttpLimits = typeof defaultHttpLimits

export interface HttpServerOptions {
  readonly routes: readonly Route[]
  readonly limits?: Partial<HttpLimits>
  readonly log: Log
  readonly metrics: HttpMetrics
  /** Addresses and networks whose forwarded headers are believed; none: nobody's. */
  readonly trustedProxies: readonly string[]
}

export interface HttpServer {
  /** @throws when the address is taken or not ours. */
  listen(at: { readonly port: number; readonly host: string }): Promise<AddressInfo>
  /** Not ready, then no new connections, then the end of what is in flight, then the rest is cut. Safe to call twice. */
  close(): Promise<void>
}

const nothingHere = 'There is nothing at this address.'

/** On a connection's socket: the requests that came over it. */
const asked = Symbol('asked')
type Counted = Socket & { [asked]?: number }

function harden(response: ServerResponse, requestId: string): void {
  response.setHeader('x-request-id', requestId)
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('referrer-policy', 'no-referrer')
  response.setHeader('x-frame-options', 'DENY')
  response.setHeader('content-security-policy', "frame-ancestors 'none'")
  response.setHeader('cache-control', 'no-store')
}

function inboundId({ headers }: IncomingMessage): string | undefined {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[A-Za-z0-9_-]{8,64}$/.test(given) ? given : undefined
}

/** @throws when two routes collide or a trusted proxy is no network. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { log, metrics } = options
  const limits: HttpLimits = { ...defaultHttpLimits, ...options.limits }
  const match = createRouter(options.routes)
  const readClient = createClientReader(options.trustedProxies)
  const pressure = createPressure(limits.maxInFlight, limits.maxEventLoopDelayMs)
  const stopping = new AbortController()
  const open = new Bag<{ readonly response: ServerResponse; readonly gone: AbortController; readonly route: Route | null }>()
  let inFlight = 0
  let streams = 0
  let idle: (() => void) | null = null
  let closed: Promise<void> | null = null

  const handle = async (route: Route, request: IncomingMessage, response: ServerResponse, context: RequestContext) => {
    try {
      await route.handle(request, response, context)
    } catch (error) {
      const expected = error instanceof Fault
      if (!expected) log.error('http.failed', { requestId: context.requestId, route: route.name, error })
      if (response.headersSent) response.destroy()
      else if (expected) answerFault(request, response, error)
      else answerRefusal(response, 500, 'INTERNAL', 'Something went wrong on our side. Quote the request id when you report it.')
    }
  }

  const routeAt = (method: string, path: string): Route | null => {
    const found = match(method, path)
    return found && 'route' in found ? found.route : null
  }

  const refuse = (route: Route | null, response: ServerResponse, status: number, code: string, message: string) => {
    response.setHeader('connection', 'close')
    answerAt(route, response, status, code, message)
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const startedAt = performance.now()
    const requestId = newId()
    const gone = new AbortController()
    const ended = metrics.begin()
    const method = request.method ?? ''
    const target = request.url ?? ''
    const mark = target.indexOf('?')
    const path = mark < 0 ? target : target.slice(0, mark)
    const found = match(method, path)
    const route = found && 'route' in found ? found.route : null
    const leave = open.add({ response, gone, route })
    let routeName = 'unmatched'
    let essential = false
    let release = () => {}
    harden(response, requestId)
    const socket = request.socket as Counted
    socket[asked] = (socket[asked] ?? 0) + 1
    // Said by us, not left to node:http: that announces the end of a connection and keeps it open (RFC 9112 §9.6 has it closed).
    if (stopping.signal.aborted || socket[asked] >= limits.maxRequestsPerSocket) response.setHeader('connection', 'close')
    response.on('close', () => {
      leave()
      release()
      const durationMs = Math.round(performance.now() - startedAt)
      const finished = response.writableFinished
      if (!finished) gone.abort()
      // 499: the client left first, or was cut off; nobody saw a status.
      const status = finished ? response.statusCode : 499
      ended(routeName, method, status, durationMs)
      log[essential ? 'debug' : 'info']('http.request', {
        requestId,
        inboundRequestId: inboundId(request),
        route: routeName,
        method,
        status,
        durationMs,
      })
      if (open.size === 0) idle?.()
    })

    const misframed = framingRefusal(request, path, limits.maxHeaders)
    if (misframed) return refuse(route, response, misframed.status, misframed.code, 'This request is malformed.')
    const client: Client | null = readClient(request)
    if (!client) return refuse(route, response, 400, 'BAD_REQUEST', 'The Host or a forwarding header of this request is malformed.')
    if (client.protocol === 'https') response.setHeader('strict-transport-security', 'max-age=31536000')

    essential = route?.essential === true
    routeName = route?.name ?? 'unmatched'
    if (!essential && pressure.isHigh(inFlight)) {
      metrics.shed()
      const fault = overloaded()
      for (const [name, value] of Object.entries(headersOf(fault))) response.setHeader(name, value)
      return answerAt(route, response, statusOf(fault), fault.code, fault.message)
    }
    if (!found) return answerRefusal(response, 404, 'NOT_FOUND', nothingHere)
    if (!route) {
      response.setHeader('allow', 'allowed' in found ? found.allowed.join(', ') : '')
      return answerRefusal(response, 405, 'METHOD_NOT_ALLOWED', 'This address does not answer to that method.')
    }
    if (!essential) {
      inFlight++
      release = () => void inFlight--
    }
    const holdStream = () => {
      if (streams >= limits.maxStreams) return false
      release()
      streams++
      release = () => void streams--
      return true
    }
    const query = mark < 0 ? '' : target.slice(mark + 1)
    const context = { requestId, client, path, query, signal: gone.signal, stopping: stopping.signal, holdStream }
    void handle(route, request, response, context)
  }

  const server: Server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.timeoutCheckMs,
      maxHeaderSize: limits.maxHeaderBytes,
      insecureHTTPParser: false,
      requireHostHeader: true,
    },
    onRequest,
  )
  server.on('clientError', (error: ClientError, socket: Socket) => {
    const waiting = [...open].find(({ response }) => response.socket === socket)
    const path = pathOf(error.rawPacket)
    answerClientError(error, socket, waiting?.response ?? null, waiting ? waiting.route : path === null ? null : routeAt('GET', path))
  })
  // One more than allowed: node:http drops the surplus silently, and a dropped header could be the one that matters.
  server.maxHeadersCount = limits.maxHeaders + 1
  // What was sent behind a connection's last request is refused unseen.
  server.maxRequestsPerSocket = limits.maxRequestsPerSocket
  server.maxConnections = limits.maxConnections
  server.setTimeout(limits.stalledTimeoutMs)

  const stop = async () => {
    stopping.abort()
    for (const { response } of open) if (!response.headersSent) response.setHeader('connection', 'close')
    if (limits.stopNoticeMs > 0) await new Promise((resolve) => setTimeout(resolve, limits.stopNoticeMs))
    if (!server.listening) return pressure.stop()
    const shut = new Promise<void>((resolve) => server.close(() => resolve()))
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      idle = resolve
      timer = setTimeout(resolve, limits.stopGraceMs)
      if (open.size === 0) resolve()
    })
    clearTimeout(timer)
    if (open.size > 0) log.warn('http.cut-off', { count: open.size })
    for (const { gone } of open) gone.abort()
    server.closeAllConnections()
    await shut
    pressure.stop()
  }

  return {
    listen: ({ port, host }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ port, host, exclusive: true }, () => {
          server.off('error', reject)
          resolve(server.address() as AddressInfo)
        })
      }),
    close: () => (closed ??= stop()),
  }
}
