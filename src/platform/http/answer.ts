/** Small JSON answers, and the one place where kinds of faults become HTTP statuses. It never says more than a fault's own sentence. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isAboutCredential, tooMany, type Fault, type FaultKind } from '../../kernel/fault.ts'
import type { Route } from './router.ts'
import { bodyTooLarge, endLingering, mediaTypeRefused } from './body.ts'

const statusByKind: Readonly<Record<FaultKind, number>> = {
  absent: 404,
  denied: 403,
  conflict: 409,
  invalid: 400,
  limited: 429,
  unavailable: 503,
}

const retryAfterSeconds = 2

/** The headers that an expected failure's status asks for: which credential, or when to come back (RFC 9110 §11.6.1, §10.2.3). */
export function headersOf(fault: Fault): Record<string, string> {
  if (isAboutCredential(fault)) return { 'www-authenticate': 'Bearer' }
  if (tooMany.is(fault)) return { 'retry-after': String(Math.max(1, Math.ceil(fault.data.retryAfterSeconds))) }
  return fault.kind === 'unavailable' ? { 'retry-after': String(retryAfterSeconds) } : {}
}

/** The HTTP status of an expected failure. */
export function statusOf(fault: Fault): number {
  if (isAboutCredential(fault)) return 401
  if (bodyTooLarge.is(fault)) return 413
  if (mediaTypeRefused.is(fault)) return 415
  return statusByKind[fault.kind]
}

function begin(response: ServerResponse, status: number, body: unknown): string {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) })
  return text
}

function refusal(response: ServerResponse, code: string, message: string) {
  return { error: { code, message }, requestId: response.getHeader('x-request-id') }
}

/** Answers with a JSON document, unless an answer has begun: the first may be half sent. */
export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  if (!response.headersSent) response.end(begin(response, status, body))
}

/** Answers `{ error: { code, message }, requestId }`, the shape of every refusal outside GraphQL, SCIM and SAML. */
export function answerRefusal(response: ServerResponse, status: number, code: string, message: string): void {
  answerJson(response, status, refusal(response, code, message))
}

/** Answers a refusal before the handler as the route wants it said, else as everywhere. Headers set before stay. */
export function answerAt(route: Route | null, response: ServerResponse, status: number, code: string, message: string): void {
  if (response.headersSent) return
  if (!route?.refusal) return answerRefusal(response, status, code, message)
  const { contentType, body } = route.refusal(status, message)
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }).end(text)
}

/** Answers an expected failure. `unavailable` and `limited` ones say when to come back; a body too large ends the connection. */
export function answerFault(request: IncomingMessage, response: ServerResponse, fault: Fault): void {
  if (response.headersSent) return
  for (const [name, value] of Object.entries(headersOf(fault))) response.setHeader(name, value)
  if (!bodyTooLarge.is(fault)) return answerRefusal(response, statusOf(fault), fault.code, fault.message)
  response.setHeader('connection', 'close')
  endLingering(request, response, begin(response, statusOf(fault), refusal(response, fault.code, fault.message)))
}
