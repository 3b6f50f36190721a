/** One request through a route of the server's own, without a socket: what a proof sends and what comes back. */
import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { newId } from '../kernel/id.ts'
import { Fault } from '../kernel/fault.ts'
import { statusOf } from '../platform/http/answer.ts'
import type { RequestContext, Route } from '../platform/http/router.ts'

export interface Sent {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly host: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Came {
  readonly status: number
  readonly text: string
}

/** The request as a route is given it. */
export function requestOf({ method, path, host, headers = {}, body }: Sent): { request: IncomingMessage; http: RequestContext } {
  const request = new IncomingMessage(new Socket())
  request.method = method
  Object.assign(request.headers, headers, { host })
  if (body !== undefined) request.push(body)
  request.push(null)
  const [bare = '', query = ''] = path.split('?')
  const never = new AbortController().signal
  const http: RequestContext = {
    requestId: newId(),
    client: { address: '127.0.0.1', host, protocol: 'http', forwarded: false },
    path: bare,
    query,
    signal: never,
    stopping: never,
    holdStream: () => true,
  }
  return { request, http }
}

/** A refusal that the route leaves to the server is that refusal's status. */
export async function send(route: Route, sent: Sent): Promise<Came> {
  const { request, http } = requestOf(sent)
  const response = new ServerResponse(request)
  const sink = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  response.assignSocket(sink as Socket)
  const chunks: Buffer[] = []
  const kept = (method: 'write' | 'end') => {
    const whole = response[method].bind(response) as (...given: unknown[]) => never
    response[method] = (...given: unknown[]) => {
      const [chunk] = given
      if (typeof chunk === 'string' || chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
      return whole(...given)
    }
  }
  kept('write')
  kept('end')
  const finished = once(response, 'finish')
  try {
    await route.handle(request, response, http)
    await finished
    return { status: response.statusCode, text: Buffer.concat(chunks).toString() }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { status: statusOf(error), text: error.code }
  }
}
