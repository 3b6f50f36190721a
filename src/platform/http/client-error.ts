/**
 * Answers a connection whose request node:http could not read to its end: too large a head, too slow, malformed. Where the address is
 * known it is said as that address says refusals; else by the status alone. The connection ends in any case.
 */
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Route } from './router.ts'

export interface ClientError extends Error {
  readonly code?: string
  /** What had arrived when the parser gave up. */
  readonly rawPacket?: Buffer
}

const statusByCode: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}
const sentences: Readonly<Record<number, string>> = {
  400: 'This request is malformed.',
  408: 'The request did not arrive in time.',
  413: 'The request is too large.',
  431: 'The headers of this request are too large.',
}

/** The path of a request line, where the packet begins with one; null otherwise. */
export function pathOf(packet: Buffer | undefined): string | null {
  return /^[A-Z]{3,10} (\/[^ ?]{0,512})[ ?]/.exec(packet?.subarray(0, 600).toString('latin1') ?? '')?.[1] ?? null
}

/**
 * @param answering the response that the connection is waiting for, if its request's head had arrived
 * @param route where the request was going, as far as that is known
 */
export function answerClientError(error: ClientError, socket: Socket, answering: ServerResponse | null, route: Route | null): void {
  if (!socket.writable || answering?.headersSent) {
    socket.destroy()
    return
  }
  const status = statusByCode[error.code ?? ''] ?? 400
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, 'Connection: close']
  let text = ''
  if (route?.refusal) {
    const { contentType, body } = route.refusal(status, sentences[status]!)
    text = JSON.stringify(body)
    head.push(`Content-Type: ${contentType}`, `Content-Length: ${Buffer.byteLength(text)}`, 'Cache-Control: no-store')
  }
  socket.write(`${head.join('\r\n')}\r\n\r\n${text}`)
  socket.destroySoon()
}
