/** Reads a request's body within a bound. It refuses what is announced too large unread, and never holds more than the bound. */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fault } from '../../kernel/fault.ts'

export const defaultBodyBytes = 1024 * 1024

export const bodyTooLarge = fault<{ maxBytes: number }>(
  'invalid',
  'BODY_TOO_LARGE',
  ({ maxBytes }) => `The request body is larger than ${maxBytes} bytes.`,
)
export const bodyAborted = fault('invalid', 'BODY_ABORTED', 'The connection ended before the whole request body had arrived.')
export const mediaTypeRefused = fault('invalid', 'UNSUPPORTED_MEDIA_TYPE', 'Send the body as application/json.')
export const bodyNotUtf8 = fault('invalid', 'BODY_NOT_UTF8', 'The request body is not valid UTF-8.')

// Not one of the three types that another site's form or script may send without asking first (Fetch §2.2.2).
const jsonType = /^application\/json(?:\s*;\s*charset="?utf-8"?)?\s*$/i

/**
 * The bytes of a JSON body: announced as JSON, and text in UTF-8 (RFC 8259 §8.1). Whether it parses is the caller's to see.
 * @throws `UNSUPPORTED_MEDIA_TYPE` unread, `BODY_NOT_UTF8`, and as {@link readBody}.
 */
export async function readJsonBody(request: IncomingMessage, maxBytes: number = defaultBodyBytes): Promise<Buffer> {
  if (!jsonType.test(request.headers['content-type'] ?? '')) throw mediaTypeRefused()
  const body = await readBody(request, maxBytes)
  if (!isUtf8(body)) throw bodyNotUtf8()
  return body
}

/**
 * The whole body.
 * @param maxBytes bound in bytes, one mebibyte unless told.
 * @throws `BODY_TOO_LARGE` (the server answers 413 and closes the connection), `BODY_ABORTED`.
 */
export function readBody(request: IncomingMessage, maxBytes: number = defaultBodyBytes): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) return reject(bodyTooLarge({ maxBytes }))
    if (request.destroyed && !request.readableEnded) return reject(bodyAborted())
    const chunks: Buffer[] = []
    let size = 0
    const settle = (act: () => void) => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose)
      act()
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxBytes) {
        chunks.push(chunk)
        return
      }
      request.pause()
      settle(() => reject(bodyTooLarge({ maxBytes })))
    }
    const onEnd = () => settle(() => resolve(Buffer.concat(chunks, size)))
    const onClose = () => settle(() => reject(bodyAborted()))
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose)
  })
}

const lingerMs = 1000
const lingerBytes = 1024 * 1024

/**
 * Ends an answer whose request is still being sent: closing at once would reset the connection and lose the answer (RFC 9112 §9.6),
 * so a little more is read and thrown away, for a second or a mebibyte at most. The answer must carry a content-length.
 */
export function endLingering(request: IncomingMessage, response: ServerResponse, text: string): void {
  response.write(text)
  let thrownAway = 0
  const end = () => {
    clearTimeout(timer)
    request.off('data', count).off('end', end).off('close', end)
    response.end()
  }
  const count = (chunk: Buffer) => {
    thrownAway += chunk.length
    if (thrownAway > lingerBytes) end()
  }
  const timer = setTimeout(end, lingerMs)
  request.on('data', count).on('end', end).on('close', end)
  request.resume()
}
