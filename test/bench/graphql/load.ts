/**
 * The client of the benchmark: keep-alive connections that each have one request in flight, written by hand so that the client costs the
 * machine a tenth of what a server does. Understands content-length and chunked answers (RFC 9112 §6, §7.1), nothing else.
 */
import { connect, type Socket } from 'node:net'

export interface Request {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Reply {
  readonly status: number
  readonly body: string
}

export interface Burst {
  /** Answers that were none of the refused. */
  readonly done: number
  readonly latenciesMs: number[]
  /** Answers by status, or `errors` for those of 200 that failed as a whole. */
  readonly refused: Record<string, number>
}

export function encode({ path, headers, body }: Request): Buffer {
  const lines = [`POST ${path} HTTP/1.1`, 'host: 127.0.0.1', 'content-type: application/json', `content-length: ${Buffer.byteLength(body)}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

const headEnd = Buffer.from('\r\n\r\n')
const chunkedEnd = Buffer.from('0\r\n\r\n')

/** One connection; `ask` must not be called before the last answer has come. */
class Wire {
  readonly #port: number
  /** Null until the first question: a server gives who connects and then says nothing ten seconds. */
  #socket: Socket | null = null
  #held: Buffer = Buffer.alloc(0)
  #head = ''
  #bodyAt = -1
  #length = -1
  #settle: { request: Buffer; isRepeated: boolean; resolve: (reply: Reply) => void; reject: (error: Error) => void } | null = null

  constructor(port: number) {
    this.#port = port
  }

  #connect(): Socket {
    // Whatever an earlier connection said at its end answers nothing.
    this.#held = Buffer.alloc(0)
    this.#bodyAt = -1
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true })
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    // What went wrong is told when the socket has closed.
    socket.on('error', () => {})
    socket.on('close', () => {
      const asked = this.#settle
      if (!asked || socket !== this.#socket) return
      // It may have closed what had long been idle just as we asked: nothing was answered, so it is asked once more.
      if (!asked.isRepeated && this.#held.length === 0) {
        asked.isRepeated = true
        this.#socket = this.#connect()
        this.#socket.write(asked.request)
      } else asked.reject(socket.errored ?? new Error('The server closed the connection.'))
    })
    return socket
  }

  ask(request: Buffer): Promise<Reply> {
    // A server may close a connection that has long been idle: while other sides had their turns.
    const socket = !this.#socket || this.#socket.destroyed || this.#socket.readableEnded ? (this.#socket = this.#connect()) : this.#socket
    return new Promise((resolve, reject) => {
      this.#settle = { request, isRepeated: false, resolve, reject }
      socket.write(request)
    })
  }

  #take(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    if (this.#bodyAt < 0) {
      const at = this.#held.indexOf(headEnd)
      if (at < 0) return
      this.#head = this.#held.toString('latin1', 0, at)
      this.#bodyAt = at + 4
      this.#length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1] ?? -1)
    }
    const isWhole =
      this.#length >= 0
        ? this.#held.length - this.#bodyAt >= this.#length
        : this.#held.length - this.#bodyAt >= chunkedEnd.length && this.#held.subarray(-chunkedEnd.length).equals(chunkedEnd)
    if (!isWhole) return
    const reply = { status: Number(this.#head.slice(9, 12)), body: this.#body() }
    this.#held = Buffer.alloc(0)
    this.#bodyAt = -1
    const settle = this.#settle
    this.#settle = null
    settle?.resolve(reply)
  }

  #body(): string {
    const raw = this.#held.subarray(this.#bodyAt)
    if (this.#length >= 0) return raw.toString()
    const parts: Buffer[] = []
    for (let at = 0; ; ) {
      const end = raw.indexOf('\r\n', at)
      const size = Number.parseInt(raw.toString('latin1', at, end), 16)
      if (!(size > 0)) return Buffer.concat(parts).toString()
      parts.push(raw.subarray(end + 2, end + 2 + size))
      at = end + 2 + size + 2
    }
  }

  close(): void {
    this.#settle = null
    this.#socket?.destroy()
  }
}

/** One request on a connection of its own. */
export async function askOnce(port: number, request: Request): Promise<Reply> {
  const wire = new Wire(port)
  try {
    return await wire.ask(encode(request))
  } finally {
    wire.close()
  }
}

/** Connections that are kept between bursts. */
export class Load {
  readonly #wires: Wire[]
  #next = 0

  constructor(port: number, connections: number) {
    this.#wires = Array.from({ length: connections }, () => new Wire(port))
  }

  /** Every connection asks once. */
  async once(requests: readonly Buffer[]): Promise<void> {
    await Promise.all(this.#wires.map((wire, k) => wire.ask(requests[k % requests.length]!)))
  }

  /** Every connection asks, again and again, until the time is up. Requests are taken in turn. */
  async burst(requests: readonly Buffer[], milliseconds: number): Promise<Burst> {
    const until = performance.now() + milliseconds
    const latenciesMs: number[] = []
    const refused: Record<string, number> = {}
    await Promise.all(
      this.#wires.map(async (wire) => {
        for (let now = performance.now(); now < until; ) {
          const { status, body } = await wire.ask(requests[this.#next++ % requests.length]!)
          const then = now
          now = performance.now()
          const verdict = status !== 200 ? String(status) : body.startsWith('{"errors"') ? 'errors' : null
          if (verdict === null) latenciesMs.push(now - then)
          else refused[verdict] = (refused[verdict] ?? 0) + 1
        }
      }),
    )
    return { done: latenciesMs.length, latenciesMs, refused }
  }

  close(): void {
    for (const wire of this.#wires) wire.close()
  }
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
