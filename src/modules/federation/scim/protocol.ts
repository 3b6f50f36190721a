/**
 * The SCIM protocol over one connection (RFC 7644): which address and method means what, and what is shown of it. Reads are reads, every
 * write is one command. It decides nothing about people and knows nothing about tokens or sockets.
 */
import { Fault } from '../../../kernel/fault.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { answerBulk } from './bulk.ts'
import { isKnown } from './conditions.ts'
import type { Listable, ListAsked, Lister } from './list.ts'
import { scimLimits } from './limits.ts'
import type { Present, Projection, ReadProjection, ResourceName, Shown } from './engine.ts'
import { searchOf } from './search.ts'
import { listReply, noSuchPath, notAllowed, refusal, refusalOf, reply, type Reply } from './reply.ts'
import type { MixedResource } from './repo-across.ts'
import type { GroupsRepo } from './repo-groups.ts'
import type { StoredResource, UsersRepo } from './repo-users.ts'
import { discovery } from './schema/discovery.ts'
import { etagOf } from './schema/present.ts'
import type { GroupService } from './service-groups.ts'
import type { Add, Condition, UserService } from './service-users.ts'

/** A request as the edge read it. */
export interface Asked {
  readonly method: string
  /** After the base address: `/Users/...`; no query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly ifMatch?: string | undefined
  readonly ifNoneMatch?: string | undefined
  /** Parsed; undefined without a body. */
  readonly body: unknown
}

/** Where it happens. */
export interface Place {
  readonly connectionId: string
  /** Without a slash at its end. */
  readonly baseUrl: string
  read<T>(work: (scope: Scope) => Promise<T>): Promise<T>
  /** One command. */
  write<T>(work: (scope: Scope) => Promise<T>): Promise<T>
  /** One command whose only statement is known before it begins. */
  readonly add: Add
}

export interface ProtocolParts {
  readonly users: UsersRepo
  readonly groups: GroupsRepo
  readonly userService: UserService
  readonly groupService: GroupService
  readonly list: Lister
  readonly present: Present
  readonly readProjection: ReadProjection
}

export type Protocol = (asked: Asked, place: Place) => Promise<Reply>

const told = new Set(['ServiceProviderConfig', 'Schemas', 'ResourceTypes'])
const kinds: Readonly<Record<string, ResourceName>> = { Users: 'User', Groups: 'Group' }

function projectionIn(query: URLSearchParams): Parameters<ReadProjection>[0] {
  const [attributes, excludedAttributes] = [query.get('attributes'), query.get('excludedAttributes')]
  return { ...(attributes === null ? {} : { attributes }), ...(excludedAttributes === null ? {} : { excludedAttributes }) }
}

export function createProtocol(parts: ProtocolParts): Protocol {
  const { users, groups, userService, groupService, list, present, readProjection } = parts

  /** Resources as they are shown, with the references that are wanted. */
  const show = async (scope: Scope, place: Place, kind: ResourceName, found: readonly StoredResource[], projection: Projection) => {
    const name = kind === 'User' ? 'groups' : 'members'
    const linked = new Map<string, { id: string; display: string }[]>()
    const isWanted = projection.wants(name) && found.length > 0
    if (isWanted) {
      const ids = found.map(({ id }) => id)
      const rows = kind === 'User' ? await users.groupsOf(scope, ids) : await groups.membersOf(scope, ids)
      for (const row of rows) {
        const owner = 'userId' in row ? row.userId : row.groupId
        const others = linked.get(owner) ?? []
        others.push({ id: row.id, display: row.display })
        linked.set(owner, others)
      }
    }
    return found.map((one) => {
      const references = isWanted ? { [name]: linked.get(one.id) ?? [] } : {}
      return projection.cut(present(kind, { ...one, ...references } as Shown, place.baseUrl))
    })
  }

  const located = (place: Place, kind: ResourceName, { id, version }: StoredResource) => ({
    location: `${place.baseUrl}/${kind}s/${id}`,
    etag: etagOf(version),
  })

  const answerOne = async (status: number, scope: Scope, place: Place, kind: ResourceName, one: StoredResource, projection: Projection) => {
    const [shown] = await show(scope, place, kind, [one], projection)
    return reply(status, shown!, located(place, kind, one))
  }

  /** Of several kinds, each is shown as its own and in the list's order. */
  const showMixed = async (scope: Scope, place: Place, found: readonly MixedResource[], wanted: Parameters<ReadProjection>[0]) => {
    const shown = new Map<string, Record<string, unknown>>()
    for (const kind of ['User', 'Group'] as const) {
      const some = found.filter((one) => one.kind === kind)
      const documents = await show(scope, place, kind, some, readProjection(wanted, kind))
      for (const [at, { id }] of some.entries()) shown.set(id, documents[at]!)
    }
    return found.map(({ id }) => shown.get(id)!)
  }

  const listed = (place: Place, kind: Listable, asked: ListAsked, wanted: Parameters<ReadProjection>[0]): Promise<Reply> =>
    place.read(async (scope) => {
      const found = await list(scope, place.connectionId, kind, asked)
      return listReply({ ...found, resources: await showMixed(scope, place, found.resources, wanted) })
    })

  const listedByQuery = (place: Place, kind: Listable, query: URLSearchParams): Promise<Reply> => {
    const one = (name: string) => query.get(name) ?? undefined
    const page = { startIndex: one('startIndex'), count: one('count'), cursor: one('cursor') }
    const question = { filter: one('filter'), sortBy: one('sortBy'), sortOrder: one('sortOrder'), ...page }
    return listed(place, kind, question, projectionIn(query))
  }

  const searched = (asked: Asked, place: Place, kind: Listable): Reply | Promise<Reply> => {
    if (asked.method !== 'POST') return notAllowed('POST')
    const { asked: question, projection } = searchOf(asked.body)
    return listed(place, kind, question, projection)
  }

  const collection = async (asked: Asked, place: Place, kind: ResourceName): Promise<Reply> => {
    const { query } = asked
    if (asked.method === 'GET') return listedByQuery(place, kind, query)
    if (asked.method !== 'POST') return notAllowed('GET, POST')
    const projection = readProjection(projectionIn(query), kind)
    if (kind === 'User') {
      const made = await userService.create(place.add, place.connectionId, asked.body)
      return reply(201, projection.cut(present(kind, made, place.baseUrl)), located(place, kind, made))
    }
    return place.write(async (scope) => {
      const made = await groupService.create(scope, place.connectionId, asked.body)
      return answerOne(201, scope, place, kind, made, projection)
    })
  }

  const single = async (asked: Asked, place: Place, kind: ResourceName, id: string): Promise<Reply> => {
    const { connectionId } = place
    const service = kind === 'User' ? userService : groupService
    const condition: Condition = { ifMatch: asked.ifMatch }
    const projection = readProjection(projectionIn(asked.query), kind)
    switch (asked.method) {
      case 'GET':
        return place.read(async (scope) => {
          const found = await service.read(scope, connectionId, id)
          if (isKnown(asked.ifNoneMatch, found.version)) return reply(304, null, { etag: etagOf(found.version) })
          return answerOne(200, scope, place, kind, found, projection)
        })
      case 'PUT':
        return place.write(async (scope) => {
          const stored = await service.replace(scope, connectionId, id, asked.body, condition)
          return answerOne(200, scope, place, kind, stored, projection)
        })
      case 'PATCH':
        return place.write(async (scope) => {
          const stored = await service.patch(scope, connectionId, id, asked.body, condition)
          // A group may have 50,000 members: it is shown when it is asked for (RFC 7644 §3.5.2).
          const isShown = kind === 'User' || asked.query.has('attributes') || asked.query.has('excludedAttributes')
          return isShown ? answerOne(200, scope, place, kind, stored, projection) : reply(204, null, located(place, kind, stored))
        })
      case 'DELETE':
        await place.write((scope) => service.remove(scope, connectionId, id, condition))
        return reply(204)
      default:
        return notAllowed('GET, PUT, PATCH, DELETE')
    }
  }

  const tell = (asked: Asked, place: Place, endpoint: string, rest: string | undefined): Reply => {
    if (asked.method !== 'GET') return notAllowed('GET')
    // RFC 7644 §4: these take no filter.
    if (asked.query.has('filter')) return refusal(403, 'What this server offers is not filtered.')
    if (endpoint === 'ServiceProviderConfig') {
      if (rest !== undefined) return noSuchPath()
      return reply(200, discovery.serviceProviderConfig(place.baseUrl, {
        bulkMaxOperations: scimLimits.bulkOperations,
        bulkMaxPayloadBytes: scimLimits.bodyBytes,
        filterMaxResults: scimLimits.mostPage,
        defaultPageSize: scimLimits.usualPage,
        maxPageSize: scimLimits.mostPage,
        cursorTimeoutSeconds: scimLimits.cursorSeconds,
      }))
    }
    const documents = endpoint === 'Schemas' ? discovery.schemas(place.baseUrl) : discovery.resourceTypes(place.baseUrl)
    if (rest === undefined) return listReply({ total: documents.length, resources: documents, startIndex: 1 })
    const found = documents.find(({ id }) => String(id).toLowerCase() === rest.toLowerCase())
    return found ? reply(200, found) : noSuchPath()
  }

  const route = async (asked: Asked, place: Place): Promise<Reply> => {
    const [, endpoint = '', rest, more] = asked.path.split('/')
    if (endpoint === 'Me') return refusal(501, 'A token is a directory and nobody in it: there is no Me.')
    // RFC 7644 §3.4.2.1 and §3.4.3: people and groups in one list.
    if (endpoint === '.search' && rest === undefined) return searched(asked, place, 'all')
    if (asked.path === '/') return asked.method === 'GET' ? listedByQuery(place, 'all', asked.query) : notAllowed('GET')
    if (more !== undefined || rest === '') return noSuchPath()
    if (told.has(endpoint)) return tell(asked, place, endpoint, rest)
    if (endpoint === 'Bulk' && rest === undefined) {
      return asked.method === 'POST' ? answerBulk(asked.body, (one) => answer(one, place)) : notAllowed('POST')
    }
    const kind = Object.hasOwn(kinds, endpoint) ? kinds[endpoint]! : null
    if (kind === null) return noSuchPath()
    if (rest === undefined) return collection(asked, place, kind)
    if (rest === '.search') return searched(asked, place, kind)
    return single(asked, place, kind, rest)
  }

  const answer: Protocol = async (asked, place) => {
    try {
      return await route(asked, place)
    } catch (error) {
      if (error instanceof Fault) return refusalOf(error)
      throw error
    }
  }
  return answer
}
