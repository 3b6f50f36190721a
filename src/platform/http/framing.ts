/** What is wrong with a request before anybody asks what it wants: shapes that a proxy and we might read differently (RFC 9112 §11.2). */
import type { IncomingMessage } from 'node:http'

/** Headers of which two copies would be one too many: whoever reads the other copy sees another request. */
const single = new Set([
  'authorization',
  'content-length',
  'content-type',
  'host',
  'transfer-encoding',
  'x-maristan-tenant',
])

export interface FramingRefusal {
  readonly status: 400 | 431
  readonly code: 'BAD_REQUEST' | 'TOO_MANY_HEADERS'
}

const bad: FramingRefusal = { status: 400, code: 'BAD_REQUEST' }

function repeatsHeader(rawHeaders: readonly string[]): boolean {
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    if (!single.has(name)) continue
    if (seen.has(name)) return true
    seen.add(name)
  }
  return false
}

/** Only origin form, and no segment that one reader collapses and another keeps. */
function isPlainPath(path: string): boolean {
  return path.startsWith('/') && !/\/\/|\\|[^\x21-\x7e]|%00/.test(path) && !/\/(?:\.|%2e){1,2}(?:\/|$)/i.test(path)
}

/**
 * Why a request is refused unread, or null. node:http itself refuses a Content-Length beside a Transfer-Encoding, two lengths,
 * folded headers, chunks in HTTP/1.0 and stray bytes; this adds what it lets pass.
 * @param maxHeaders count of header lines, inclusive.
 */
export function framingRefusal(request: IncomingMessage, path: string, maxHeaders: number): FramingRefusal | null {
  if (request.rawHeaders.length > maxHeaders * 2) return { status: 431, code: 'TOO_MANY_HEADERS' }
  const coding = request.headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return bad
  return isPlainPath(path) && !repeatsHeader(request.rawHeaders) ? null : bad
}
