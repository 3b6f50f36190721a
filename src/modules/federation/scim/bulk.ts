/**
 * Bulk (RFC 7644 §3.7): many writes in one message, each a command of its own. An operation that refers to another by bulkId waits for it;
 * answers come in the order of the request.
 */
import { scimLimits } from './limits.ts'
import type { Asked } from './protocol.ts'
import { refusal, reply, type Reply } from './reply.ts'
import { invalidSyntax } from './schema/faults.ts'

const requestUrn = 'urn:ietf:params:scim:api:messages:2.0:BulkRequest'
const responseUrn = 'urn:ietf:params:scim:api:messages:2.0:BulkResponse'
const reference = /^bulkId:(.{1,200})$/s
const writing = ['POST', 'PUT', 'PATCH', 'DELETE']

interface Operation {
  readonly method: string
  readonly path: string
  readonly bulkId: string | null
  readonly version: string | undefined
  readonly data: unknown
  /** The bulkIds it refers to. */
  readonly needs: ReadonlySet<string>
}

const isMap = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** A value with every text that is a reference replaced. The body's depth is bounded before it is parsed. */
function mapReferences(value: unknown, by: (bulkId: string) => string): unknown {
  if (typeof value === 'string') {
    const bulkId = reference.exec(value)?.[1]
    return bulkId === undefined ? value : by(bulkId)
  }
  if (Array.isArray(value)) return value.map((one) => mapReferences(one, by))
  return isMap(value) ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name, mapReferences(one, by)])) : value
}

function mapPath(path: string, by: (bulkId: string) => string): string {
  return path.split('/').map((part) => mapReferences(part, by)).join('/')
}

function read(one: unknown): Operation {
  if (!isMap(one)) throw invalidSyntax({ detail: 'An operation must be an object.' })
  const given = new Map(Object.entries(one).map(([name, value]) => [name.toLowerCase(), value]))
  const text = (name: string) => (typeof given.get(name) === 'string' ? (given.get(name) as string) : undefined)
  const needs = new Set<string>()
  const note = (bulkId: string) => (needs.add(bulkId), '')
  const path = text('path') ?? ''
  mapReferences(given.get('data'), note)
  mapPath(path, note)
  return {
    method: (text('method') ?? '').toUpperCase(),
    path,
    bulkId: text('bulkid') ?? null,
    version: text('version'),
    data: given.get('data'),
    needs,
  }
}

/** What is wrong with an operation before it is tried. */
function complaint({ method, path, bulkId, data }: Operation): string | null {
  if (!writing.includes(method)) return 'method is one of POST, PUT, PATCH and DELETE.'
  if (!/^\/(Users|Groups)(\/[^/?#]{1,300})?$/.test(path)) return 'path is /Users, /Groups, or one of them with an id.'
  const isCollection = path === '/Users' || path === '/Groups'
  if ((method === 'POST') !== isCollection) return 'POST takes the address of a collection, the others that of a resource.'
  if (method === 'POST' && bulkId === null) return 'A POST has a bulkId.'
  return method !== 'DELETE' && data === undefined ? 'data is missing.' : null
}

function shown({ method, bulkId }: Operation, { status, body, headers }: Reply): Record<string, unknown> {
  return {
    method,
    ...(bulkId === null ? {} : { bulkId }),
    ...(headers['location'] ? { location: headers['location'] } : {}),
    ...(headers['etag'] ? { version: headers['etag'] } : {}),
    status: String(status),
    ...(status >= 400 ? { response: body } : {}),
  }
}

/** @param answer carries one operation out, as if it had come alone */
export async function answerBulk(body: unknown, answer: (asked: Asked) => Promise<Reply>): Promise<Reply> {
  if (!isMap(body)) throw invalidSyntax({ detail: 'The body must be a BulkRequest.' })
  const given = new Map(Object.entries(body).map(([name, value]) => [name.toLowerCase(), value]))
  const schemas = given.get('schemas')
  const list = given.get('operations')
  if (!Array.isArray(schemas) || !schemas.includes(requestUrn)) throw invalidSyntax({ detail: `schemas must name ${requestUrn}.` })
  if (!Array.isArray(list)) throw invalidSyntax({ detail: 'Operations must be a list.' })
  if (list.length > scimLimits.bulkOperations) return refusal(413, `A bulk has at most ${scimLimits.bulkOperations} operations.`)
  const failOnErrors = given.get('failonerrors') ?? 0
  if (typeof failOnErrors !== 'number' || !Number.isSafeInteger(failOnErrors) || failOnErrors < 0) {
    throw invalidSyntax({ detail: 'failOnErrors must be a whole number.' })
  }

  const operations = list.map(read)
  const promised = new Set(operations.flatMap(({ method, bulkId }) => (method === 'POST' && bulkId !== null ? [bulkId] : [])))
  const made = new Map<string, string>()
  const failed = new Set<string>()
  const answers = new Map<Operation, Reply>()
  let errors = 0

  const settle = (operation: Operation, answered: Reply): void => {
    answers.set(operation, answered)
    const { method, bulkId } = operation
    if (answered.status >= 400) {
      errors++
      if (bulkId !== null && method === 'POST') failed.add(bulkId)
    } else if (bulkId !== null && method === 'POST') made.set(bulkId, answered.headers['location']!.split('/').at(-1)!)
  }
  const tryOne = async (operation: Operation): Promise<Reply> => {
    const wrong = complaint(operation)
    if (wrong !== null) return refusal(400, wrong, { scimType: 'invalidSyntax' })
    const idOf = (bulkId: string) => made.get(bulkId)!
    const { method, path, version, data } = operation
    return answer({ method, path: mapPath(path, idOf), query: new URLSearchParams(), ifMatch: version, body: mapReferences(data, idOf) })
  }
  const isOver = () => failOnErrors > 0 && errors >= failOnErrors

  let waiting: readonly Operation[] = operations
  while (waiting.length > 0 && !isOver()) {
    const next: Operation[] = []
    for (const operation of waiting) {
      if (isOver()) break
      const lost = [...operation.needs].some((bulkId) => failed.has(bulkId) || !promised.has(bulkId))
      if (lost) settle(operation, refusal(400, 'It refers to a bulkId that made nothing.', { scimType: 'invalidValue' }))
      else if ([...operation.needs].every((bulkId) => made.has(bulkId))) settle(operation, await tryOne(operation))
      else next.push(operation)
    }
    if (next.length === waiting.length) {
      for (const operation of next) settle(operation, refusal(409, 'Operations refer to each other in a circle.'))
      break
    }
    waiting = isOver() ? [] : next
  }
  const Operations = operations.flatMap((operation) => {
    const answered = answers.get(operation)
    return answered ? [shown(operation, answered)] : []
  })
  return reply(200, { schemas: [responseUrn], Operations })
}
