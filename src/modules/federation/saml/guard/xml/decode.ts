/** From what was posted to text: base64 as RFC 4648 writes it, then UTF-8 and nothing else. */
import { Refusal, type Laws } from '../laws.ts'

const lines = /[\r\n\t ]+/g
const base64 = /^[A-Za-z0-9+/]+={0,2}$/

/**
 * Base64 with line breaks and blanks between the characters, nothing else; canonical: one text for each value (RFC 4648 §3.5).
 * Null when it is not.
 */
export function fromBase64(text: string): Buffer | null {
  const solid = text.replace(lines, '')
  if (solid.length % 4 !== 0 || !base64.test(solid)) return null
  const bytes = Buffer.from(solid, 'base64')
  return bytes.toString('base64') === solid ? bytes : null
}

/** A posted message, bounded before it is decoded. */
export function decodePosted(posted: string, most: number, laws: Laws): Buffer {
  // A third more for base64 and some for its line breaks.
  laws.demand(posted.length <= most * 1.5, 'MESSAGE_TOO_LARGE', () => `${posted.length} characters of base64`)
  const bytes = fromBase64(posted)
  if (bytes === null) throw new Refusal('NOT_BASE64', `${posted.length} characters`)
  return bytes
}

/**
 * UTF-8, refusing what is not (overlong forms and lone surrogates too).
 * @param mark whether a byte order mark may stand in front: files saved on Windows have one, messages never do.
 */
export function decodeText(bytes: Uint8Array, most: number, mark: 'refused' | 'dropped', laws: Laws): string {
  laws.demand(bytes.byteLength <= most, 'MESSAGE_TOO_LARGE', () => `${bytes.byteLength} bytes, ${most} at most`)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Refusal('NOT_UTF8', 'bytes that are not UTF-8')
  }
  if (!text.startsWith('\ufeff')) return text
  laws.demand(mark === 'dropped', 'NOT_UTF8', () => 'a byte order mark')
  return text.slice(1)
}
