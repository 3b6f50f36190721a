/** Prometheus metrics of the server. No label ever names a tenant, a person or a path a stranger chose. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { isLoopback } from './address.ts'
import { answerRefusal } from './answer.ts'
import { methods, type RequestContext, type Route } from './router.ts'

export interface HttpMetrics {
  /** For metrics of other parts of the platform. */
  readonly registry: Registry
  /** A request began; call the answer once, when it has ended. */
  begin(): (route: string, method: string, status: number, durationMs: number) => void
  /** A request was refused for load. */
  shed(): void
}

const durationBucketsSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** A registry of its own with the process's metrics (event-loop lag, memory, collections) and the server's. */
export function createHttpMetrics(): HttpMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const labelNames = ['route', 'method', 'status'] as const
  const total = new Counter({ name: 'http_requests_total', help: 'Requests answered, by status class.', labelNames, registers })
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'From the request head to the end of the answer.',
    labelNames,
    buckets: durationBucketsSeconds,
    registers,
  })
  const inFlight = new Gauge({ name: 'http_requests_in_flight', help: 'Requests not yet answered to the end.', registers })
  const shed = new Counter({ name: 'http_requests_shed_total', help: 'Requests refused for load.', registers })
  const known: ReadonlySet<string> = new Set(methods)

  return {
    registry,
    shed: () => shed.inc(),
    begin: () => {
      inFlight.inc()
      return (route, method, status, durationMs) => {
        inFlight.dec()
        const labels = { route, method: known.has(method) ? method : 'OTHER', status: `${Math.floor(status / 100)}xx` }
        total.inc(labels)
        duration.observe(labels, durationMs / 1000)
      }
    },
  }
}

function carries(request: IncomingMessage, secret: string): boolean {
  const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(secret))
}

/** A proxy on this very machine that forwards strangers' requests unmarked would show in their Host. */
function isLocal({ client }: RequestContext): boolean {
  const local = /(?:^|\.)localhost$/.test(client.host) || isLoopback(client.host.replace(/^\[(.*)\]$/, '$1'))
  return local && !client.forwarded && isLoopback(client.address)
}

/**
 * `/metrics`: for callers on this machine that came through no proxy, and for bearers of the secret; to anyone else it does not exist.
 * @param secret at least 16 characters, or null: no bearer opens it. @throws when shorter.
 */
export function metricsRoute(metrics: HttpMetrics, secret: string | null): Route {
  if (secret !== null && secret.length < 16) throw new Error('The metrics secret needs at least 16 characters.')
  return {
    method: 'GET',
    path: '/metrics',
    name: 'metrics',
    essential: true,
    handle: async (request, response, context) => {
      const known = secret !== null && carries(request, secret)
      if (!known && !isLocal(context)) return answerRefusal(response, 404, 'NOT_FOUND', 'There is nothing at this address.')
      const text = await metrics.registry.metrics()
      response.writeHead(200, { 'content-type': metrics.registry.contentType })
      response.end(text)
    },
  }
}
