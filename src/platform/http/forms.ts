/** Forms as browsers send them: bounded, each field once, and ours only from our own pages. It refuses other media types. */
import type { IncomingMessage } from 'node:http'
import { fault } from '../../kernel/fault.ts'
import { mediaTypeRefused, readBody } from './body.ts'

export const formRefused = fault('invalid', 'FORM_REFUSED', 'This form is malformed, or one of its fields came twice.')
export const foreignForm = fault('denied', 'FOREIGN_FORM', 'This form was sent from a page of another site.')

export const formBytes = 1024 * 1024
const mostFields = 300

export type Form = ReadonlyMap<string, string>

/**
 * A posted form, of `application/x-www-form-urlencoded` or `multipart/form-data` (RFC 7578).
 * @throws FORM_REFUSED, UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE
 */
export async function readForm(request: IncomingMessage): Promise<Form> {
  const type = request.headers['content-type'] ?? ''
  const boundary = /^multipart\/form-data\s*;.*\bboundary="?([\w'()+,./:=?-]{1,70})"?/i.exec(type)?.[1]
  if (boundary === undefined && !/^application\/x-www-form-urlencoded\b/i.test(type)) throw mediaTypeRefused()
  const body = await readBody(request, formBytes)
  const pairs = boundary === undefined ? [...new URLSearchParams(body.toString('utf8'))] : partsOf(body, boundary)
  if (pairs.length > mostFields) throw formRefused()
  const form = new Map(pairs)
  if (form.size !== pairs.length) throw formRefused()
  return form
}

/** Each part's name and text; a file's name is of no interest. */
function partsOf(body: Buffer, boundary: string): [string, string][] {
  const pairs: [string, string][] = []
  const line = Buffer.from(`--${boundary}`)
  let at = body.indexOf(line)
  while (at >= 0 && pairs.length <= mostFields) {
    const start = at + line.length
    const next = body.indexOf(line, start)
    if (next < 0) break
    const headEnd = body.indexOf('\r\n\r\n', start)
    if (headEnd < 0 || headEnd > next) throw formRefused()
    const name = /\bname="([^"\r\n]{1,100})"/i.exec(body.toString('utf8', start, headEnd))?.[1]
    if (name === undefined) throw formRefused()
    pairs.push([name, body.toString('utf8', headEnd + 4, next - 2)])
    at = next
  }
  return pairs
}

/** A form that changes something must come from our own page: cookies go along with anybody's. @throws FOREIGN_FORM */
export function onlyOwnForm({ headers }: IncomingMessage, host: string): void {
  const site = headers['sec-fetch-site']
  const { origin } = headers
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw foreignForm()
  if (origin !== undefined && URL.parse(origin)?.hostname !== host) throw foreignForm()
}

/** A cookie by its name; the first of two wins, a later one may have been planted. */
export function cookieIn({ headers }: IncomingMessage, name: string): string | null {
  for (const pair of (headers.cookie ?? '').slice(0, 16_384).split(';', 100)) {
    const at = pair.indexOf('=')
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return null
}
