/** For tests of HTTP only: a server on a free port of this machine, and raw sockets that send bytes no client library would. */
import { connect, type Socket } from 'node:net'
import { createLog, type Log } from '../../src/platform/http/log.ts'
import { createHttpMetrics, type HttpMetrics } from '../../src/platform/http/metrics.ts'
import type { Route } from '../../src/platform/http/router.ts'
import { createHttpServer, type HttpLimits, type HttpServer } from '../../src/platform/http/server.ts'
import { unhurried } from './unhurried.ts'

export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** Everything that came back on one connection until the server closed it. */
export function answersIn(text: string): Answer[] {
  const answers: Answer[] = []
  for (let rest = text; rest !== ''; ) {
    const headEnd = rest.indexOf('\r\n\r\n')
    if (headEnd < 0) throw new Error(`Half an answer: ${rest.slice(0, 200)}`)
    const [statusLine = '', ...lines] = rest.slice(0, headEnd).split('\r\n')
    const headers = new Map(lines.map((line): [string, string] => [line.split(':', 1)[0]!.toLowerCase(), line.replace(/^[^:]*: ?/, '')]))
    const length = headers.has('content-length') ? Number(headers.get('content-length')) : rest.length
    answers.push({ status: Number(statusLine.split(' ')[1]), headers, body: rest.slice(headEnd + 4, headEnd + 4 + length) })
    rest = rest.slice(headEnd + 4 + length)
  }
  return answers
}

export interface Rig {
  readonly server: HttpServer
  readonly metrics: HttpMetrics
  readonly port: number
  /** Every line logged so far. */
  readonly lines: string[]
  /** Opens a connection; `closed` resolves with all it received once the server has closed it. */
  open(): { socket: Socket; closed: Promise<string> }
  /** Sends bytes on a new connection and answers what came back until it was closed. */
  send(bytes: string): Promise<Answer[]>
  /** One GET on a connection of its own. */
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>
}

/** A log that keeps its lines. */
export function keptLog(lines: string[]): Log {
  return createLog({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } })
}

export async function startRig(
  routes: readonly Route[] | ((metrics: HttpMetrics) => readonly Route[]),
  limits: Partial<HttpLimits> = {},
  trustedProxies: readonly string[] = [],
): Promise<Rig> {
  const lines: string[] = []
  const metrics = createHttpMetrics()
  const table = typeof routes === 'function' ? routes(metrics) : routes
  const server = createHttpServer({ routes: table, limits: { ...unhurried, ...limits }, log: keptLog(lines), metrics, trustedProxies })
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' })
  const open = () => {
    const socket = connect(port, '127.0.0.1')
    const closed = new Promise<string>((resolve) => {
      let received = ''
      socket.setEncoding('utf8')
      socket.on('data', (chunk: string) => (received += chunk))
      // A reset after the answer is the same to us as an orderly end: what was received counts.
      socket.on('error', () => resolve(received))
      socket.on('close', () => resolve(received))
    })
    return { socket, closed }
  }
  const send = async (bytes: string) => {
    const { socket, closed } = open()
    socket.write(bytes, 'latin1')
    return answersIn(await closed)
  }
  const get = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
    const given = Object.entries({ host: 'cedar.localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    const [answer] = await send(`GET ${path} HTTP/1.1\r\n${given.join('')}connection: close\r\n\r\n`)
    if (!answer) throw new Error('No answer.')
    return answer
  }
  return { server, metrics, port, lines, open, send, get }
}
