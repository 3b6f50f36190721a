/** What the protocol answers: a status, a JSON document, a few headers; and how a refusal looks (RFC 7644 §3.12). */
import { Fault, forbidden, isAboutCredential, notFound, unauthenticated } from '../../../kernel/fault.ts'
import { headersOf, statusOf } from '../../../platform/http/answer.ts'
import { preconditionFailed } from './conditions.ts'
import { scimTypeOf } from './schema/faults.ts'

export interface Reply {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>> | null
  readonly headers: Readonly<Record<string, string>>
}

const errorUrn = 'urn:ietf:params:scim:api:messages:2.0:Error'
const listUrn = 'urn:ietf:params:scim:api:messages:2.0:ListResponse'

export function reply(status: number, body: Reply['body'] = null, headers: Reply['headers'] = {}): Reply {
  return { status, body, headers }
}

/** A refusal that is no fault of a module: a path or a method that does not exist. */
export function refusal(status: number, detail: string, more: { scimType?: string; headers?: Reply['headers'] } = {}): Reply {
  const body = { schemas: [errorUrn], status: String(status), ...(more.scimType ? { scimType: more.scimType } : {}), detail }
  return reply(status, body, more.headers)
}

export const noSuchPath = () => refusal(404, 'There is nothing at this address.')
export const notAllowed = (allow: string) => refusal(405, `This address takes ${allow}.`, { headers: { allow } })

/** An expected failure as SCIM says it. */
export function refusalOf(fault: Fault): Reply {
  const scimType = scimTypeOf(fault)
  const status = preconditionFailed.is(fault) ? 412 : statusOf(fault)
  const challenge: Record<string, string> = isAboutCredential(fault)
    ? { 'www-authenticate': unauthenticated.is(fault) ? 'Bearer realm="scim"' : 'Bearer realm="scim", error="invalid_token"' }
    : {}
  // What a directory cannot be told about is absent to it.
  const detail = forbidden.is(fault) ? notFound().message : fault.message
  return refusal(status, detail, { ...(scimType ? { scimType } : {}), headers: { ...headersOf(fault), ...challenge } })
}

export interface ListBody {
  readonly total: number
  readonly resources: readonly unknown[]
  readonly startIndex: number | null
  readonly nextCursor?: string | null
}

/** A ListResponse (RFC 7644 §3.4.2); with cursors as RFC 9865 §2 says. */
export function listReply({ total, resources, startIndex, nextCursor }: ListBody): Reply {
  return reply(200, {
    schemas: [listUrn],
    totalResults: total,
    itemsPerPage: resources.length,
    ...(startIndex === null ? {} : { startIndex }),
    ...(nextCursor ? { nextCursor } : {}),
    Resources: resources,
  })
}
