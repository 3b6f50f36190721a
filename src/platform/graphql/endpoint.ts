/**
 * One plane's GraphQL endpoint: parse, validate and limit before anybody is authenticated; then one unit of work around the
 * execution, whose PHI reads are in the audit trail before the first byte of the answer leaves.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { GraphQLError, type ExecutionArgs, type ExecutionResult, type GraphQLSchema } from 'graphql'
import { createYoga, type Plugin } from 'graphql-yoga'
import { Fault } from '../../kernel/fault.ts'
import type { Locale } from '../../kernel/locale.ts'
import type { Caller, Plane } from '../../kernel/scope.ts'
import type { ConfirmedBy } from '../db/standing.ts'
import type { Unit } from '../db/unit.ts'
import { headersOf, statusOf } from '../http/answer.ts'
import { readJsonBody } from '../http/body.ts'
import { localeOf } from '../http/language.ts'
import type { Log } from '../http/log.ts'
import type { RequestContext } from '../http/router.ts'
import type { Watchers } from '../watch/watchers.ts'
import type { CompiledReads, Expected } from './compiled/reads.ts'
import { createContext, type Context } from './context.ts'
import { createDirect, type Direct } from './direct.ts'
import { Documents } from './documents.ts'
import { useLimits } from './limits.ts'
import { subscribeLive } from './live.ts'

export interface EndpointOptions {
  readonly plane: Plane
  readonly schema: GraphQLSchema
  /** GraphiQL, introspection and suggestions. */
  readonly development: boolean
  /** Fields that check something guessable: one of them an operation. */
  readonly guessable: readonly string[]
  readonly log: Log
  /** Null: every document takes the ordinary path. */
  readonly reads: CompiledReads | null
  readonly watchers: Watchers
  /** @param confirmedBy for a caller who is remembered: what confirms it along with the first statement. */
  open(caller: Caller, signal: AbortSignal, confirmedBy: ConfirmedBy | null): Unit
}

/** What the edge knows of one request once it knows who asks. */
export interface Asked {
  readonly caller: Caller
  readonly http: RequestContext
  readonly locale: Locale
}

/** Authenticates lazily: only a document that is worth executing costs a look-up. */
export type Authenticate = () => Promise<Asked>

export type Expect = () => Promise<Expected | null>

const jsonType = 'application/json; charset=utf-8'

export interface Endpoint {
  /** @param expect who asks, from memory and not yet confirmed; null where only `authenticate` can say. */
  handle(request: IncomingMessage, response: ServerResponse, http: RequestContext, authenticate: Authenticate, expect: Expect): Promise<void>
}

interface ServerContext {
  readonly authenticate: Authenticate
  readonly http: RequestContext
  readonly cookies: string[]
  /** What was executed already: Yoga only writes it down. */
  readonly result: ExecutionResult | null
}

export const maxBodyBytes = 256 * 1024

/** The request whose error is being hidden: Yoga hands its masking function the error alone. */
const requestIds = new AsyncLocalStorage<string>()

export function createEndpoint(options: EndpointOptions): Endpoint {
  const path = `/graphql/${options.plane}`
  const limits = { development: options.development, guessable: options.guessable }
  const contextFor = ({ caller, locale, http }: Asked, cookies: string[], confirmedBy: ConfirmedBy | null) =>
    createContext({
      unit: options.open(caller, http.signal, confirmedBy),
      plane: options.plane,
      locale,
      answer: { setCookie: (value) => cookies.push(value) },
      watch: (ids) => options.watchers.watch({ caller, ids, signal: AbortSignal.any([http.signal, http.stopping]) }),
    })
  const contextOf = async ({ authenticate, cookies }: Omit<ServerContext, 'result'>) => contextFor(await authenticate(), cookies, null)
  const direct: Direct = createDirect({
    schema: options.schema,
    documents: new Documents({ schema: options.schema, limits, keptFrom: 2 }),
    reads: options.reads,
    mask: (error) => mask(error, options.log),
  })
  const yoga = createYoga<ServerContext, Context>({
    schema: options.schema,
    graphqlEndpoint: path,
    landingPage: false,
    logging: false,
    cors: false,
    graphiql: options.development ? { title: `Maristan ${options.plane}` } : false,
    // The whole page from our own files: the usual one loads itself from elsewhere, which a closed network does not reach.
    renderGraphiQL: async (page) => (await import('@graphql-yoga/render-graphiql')).renderGraphiQL(page),
    multipart: false,
    batching: false,
    maskedErrors: { maskError: (error) => mask(error, options.log) },
    plugins: [useLimits(limits), useQuietValidation(), useUnitOfWork(contextOf), useResult()],
    context: contextOf,
  })

  return {
    async handle(request, response, http, authenticate, expect) {
      const body = request.method === 'POST' ? await readJsonBody(request, maxBodyBytes) : undefined
      const cookies: string[] = []
      const own = { authenticate, http, cookies }
      const open = async (expected: Expected | null): Promise<Context> => {
        cookies.length = 0
        if (!expected) return contextOf(own)
        const { caller, confirmedBy } = expected
        return contextFor({ caller, http, locale: localeOf(request.headers['accept-language'], 'en') }, cookies, confirmedBy)
      }
      const done = body ? await requestIds.run(http.requestId, () => direct({ request, body, http, expect, open })) : null
      if (cookies.length > 0) response.setHeader('set-cookie', cookies)
      if (done && 'text' in done) {
        response.writeHead(done.status, { ...done.headers, 'content-type': jsonType, 'content-length': Buffer.byteLength(done.text) })
        response.end(done.text)
        return
      }
      const url = `http://${http.client.host}${path}${http.query ? `?${http.query}` : ''}`
      const headers = new Headers({ accept: request.headers.accept ?? '*/*' })
      // Judged above, in whatever letters it was written.
      if (body) headers.set('content-type', 'application/json')
      const init = { method: request.method ?? 'GET', headers, body: body as BodyInit | undefined, signal: http.signal }
      await requestIds.run(http.requestId, async () => {
        const answer = await yoga.fetch(url, init, { ...own, result: done?.result ?? null })
        for (const [name, value] of answer.headers) if (name !== 'set-cookie') response.setHeader(name, value)
        if (cookies.length > 0) response.setHeader('set-cookie', cookies)
        response.statusCode = answer.status
        if (!answer.body) return void response.end()
        await pipeline(answer.body as AsyncIterable<Uint8Array>, response).catch((error: unknown) => {
          // Whoever closes the tab of a stream breaks it off, and nothing is wrong.
          if (!http.signal.aborted) throw error
        })
      })
    },
  }
}

/**
 * Queries and mutations run inside their unit of work, every answer of a subscription inside one of its own. If its PHI reads cannot be
 * written down, nothing is answered.
 */
function useUnitOfWork(reopen: (server: ServerContext) => Promise<Context>): Plugin<Context & ServerContext> {
  return {
    onSubscribe({ setSubscribeFn }) {
      setSubscribeFn((args: ExecutionArgs) => {
        const server = args.contextValue as ServerContext
        return subscribeLive(args, { reopen: () => reopen(server), hold: () => server.http.holdStream() })
      })
    },
    onExecute({ executeFn, setExecuteFn }) {
      setExecuteFn((args) => {
        const { unit } = args.contextValue as Context
        return unit.read(async () => (await executeFn(args)) as ExecutionResult)
      })
    },
  }
}

/** Hands Yoga what was executed already. */
function useResult(): Plugin<Context, ServerContext> {
  return {
    onParams({ context, setResult }) {
      if (context.result) setResult(context.result)
    },
  }
}

/** Faults and GraphQL's own complaints pass; everything else is logged under the request's id and hidden. */
function mask(error: unknown, log: Log): Error {
  const original = error instanceof GraphQLError ? (error.originalError ?? null) : error
  const at = error instanceof GraphQLError ? { nodes: error.nodes, source: error.source, positions: error.positions, path: error.path } : {}
  if (original instanceof Fault) {
    // A field's refusal leaves the rest of the answer standing; a refusal of the whole request is its status.
    const status = at.path ? {} : { http: { status: statusOf(original), headers: headersOf(original) } }
    return new GraphQLError(original.message, { ...at, extensions: { code: original.code, kind: original.kind, ...status } })
  }
  if (error instanceof GraphQLError && isComplaint(error, original)) return complaintOf(error)
  const requestId = requestIds.getStore()
  log.error('graphql.failed', { requestId, error: original })
  return new GraphQLError('Something went wrong on our side. Quote the request id when you report it.', {
    ...at,
    extensions: { code: 'INTERNAL', requestId, http: { status: 500 } },
  })
}

/**
 * True for what graphql-js says of the caller's document and variables. What it says while it executes quotes our own values (a leaf
 * that does not serialize, a union member that is none), except where it is about an argument.
 */
function isComplaint(error: GraphQLError, original: unknown): boolean {
  if (original !== null && !(original instanceof GraphQLError)) return false
  return error.path === undefined || error.message.startsWith('Argument "')
}

/** Yoga repeats the JSON parser's words, which quote the body, and answers 200 to clients of the older JSON type. */
function withoutQuote(error: GraphQLError): GraphQLError {
  const { originalError: _, ...extensions } = error.extensions
  return new GraphQLError(error.message, { extensions: { ...extensions, http: { status: 400 } } })
}

/** What graphql-js says at the end of a refused variable that names the schema and nothing of the value. */
const harmlessReasons = [
  'Field "\\w{1,100}" is not defined by type "\\w+"',
  'Field "\\w+" of required type "[\\w![\\]]+" was not provided',
  'Expected non-nullable type "[\\w![\\]]+" not to be null',
  'Expected type "\\w+" to be an object',
  'Expected type "\\w+"\\. A DateTime is RFC 3339 text with an offset',
]
const harmlessReason = new RegExp(`; ((?:${harmlessReasons.join('|')})\\.)(?: Did you mean [^;]*)?$`)

/** graphql-js quotes the value that it refuses, and whoever collects errors would keep health data: the place and a reason say enough. */
function withoutValue(message: string): string {
  const variable = /^Variable "\$(\w+)" got invalid value /.exec(message)?.[1]
  if (variable === undefined) return message.replace(/( cannot represent [\w -]*value): [^]*$/, '$1.')
  const [place = ''] = [...message.matchAll(new RegExp(` at "${variable}[\\w.[\\]]*";`, 'g'))].at(-1) ?? []
  const reason = harmlessReason.exec(message)?.[1]
  return `Variable "$${variable}" got an invalid value${place.slice(0, -1)}${reason === undefined ? '.' : `; ${reason}`}`
}

/** Complaints about a document do not pass the mask. */
function useQuietValidation(): Plugin<Context> {
  return {
    onValidate: () => ({ result }) => {
      for (const error of result as readonly GraphQLError[]) error.message = withoutValue(error.message)
    },
  }
}

/** A complaint as it leaves: none without a code, and none with a value. */
function complaintOf(error: GraphQLError): GraphQLError {
  error.message = withoutValue(error.message)
  if ('originalError' in error.extensions) return withoutQuote(error)
  error.extensions['code'] ??= 'BAD_REQUEST'
  if (!error.path) error.extensions['http'] ??= { status: 400, spec: true }
  return error
}
