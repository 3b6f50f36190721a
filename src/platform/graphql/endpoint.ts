/**
 * One plane's GraphQL endpoint: parse, validate and limit before anybody is authenticated; then one unit of work around the
 * execution, whose PHI reads are in the audit trail before the first byte of the answer leaves.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { GraphQLError, type ExecutionResult, type GraphQLSchema } from 'graphql'
import { createYoga, type Plugin } from 'graphql-yoga'
import { Fault } from '../../kernel/fault.ts'
import { locales, type Locale } from '../../kernel/locale.ts'
import type { Caller, Plane } from '../../kernel/scope.ts'
import type { Unit } from '../db/unit.ts'
import { headersOf, statusOf } from '../http/answer.ts'
import { readJsonBody } from '../http/body.ts'
import type { Log } from '../http/log.ts'
import type { RequestContext } from '../http/router.ts'
import type { CompiledReads, Expected, Question } from './compiled/reads.ts'
import { createContext, type Context } from './context.ts'
import { useLimits } from './limits.ts'

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
  open(caller: Caller, signal: AbortSignal): Unit
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

export interface Endpoint {
  /** @param expect who asks, from memory and not yet confirmed; null where only `authenticate` can say. */
  handle(request: IncomingMessage, response: ServerResponse, http: RequestContext, authenticate: Authenticate, expect: Expect): Promise<void>
}

interface ServerContext {
  readonly authenticate: Authenticate
  readonly http: RequestContext
  readonly cookies: string[]
}

export const maxBodyBytes = 256 * 1024

/** The request whose error is being hidden: Yoga hands its masking function the error alone. */
const requestIds = new AsyncLocalStorage<string>()

export function createEndpoint(options: EndpointOptions): Endpoint {
  const path = `/graphql/${options.plane}`
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
    plugins: [useLimits({ development: options.development, guessable: options.guessable }), useQuietValidation(), useUnitOfWork()],
    context: async ({ authenticate, http, cookies }) => {
      const asked = await authenticate()
      const unit = options.open(asked.caller, http.signal)
      return createContext({ unit, plane: options.plane, locale: asked.locale, answer: { setCookie: (value) => cookies.push(value) } })
    },
  })

  return {
    async handle(request, response, http, authenticate, expect) {
      const body = request.method === 'POST' ? await readJsonBody(request, maxBodyBytes) : undefined
      if (body && options.reads && (await answerCompiled(options.reads, body, request, response, http, expect))) return
      const url = `http://${http.client.host}${path}${http.query ? `?${http.query}` : ''}`
      const headers = new Headers({ accept: request.headers.accept ?? '*/*' })
      // Judged above, in whatever letters it was written.
      if (body) headers.set('content-type', 'application/json')
      const cookies: string[] = []
      const init = { method: request.method ?? 'GET', headers, body: body as BodyInit | undefined, signal: http.signal }
      const answer = await requestIds.run(http.requestId, () => yoga.fetch(url, init, { authenticate, http, cookies }))
      for (const [name, value] of answer.headers) if (name !== 'set-cookie') response.setHeader(name, value)
      if (cookies.length > 0) response.setHeader('set-cookie', cookies)
      response.statusCode = answer.status
      if (answer.body) await pipeline(answer.body as AsyncIterable<Uint8Array>, response)
      else response.end()
    },
  }
}

const jsonType = 'application/json; charset=utf-8'

/** The question in a body, if it is a plain one: a document and its variables. Whatever is wrong with another, Yoga says. */
function questionIn(body: Buffer): Question | null {
  let asked: unknown
  try {
    asked = JSON.parse(body.toString())
  } catch {
    return null
  }
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked)) return null
  const { query, variables, ...rest } = asked as Record<string, unknown>
  if (typeof query !== 'string' || Object.keys(rest).length > 0) return null
  if (variables === undefined || variables === null) return { query, variables: {} }
  return typeof variables === 'object' && !Array.isArray(variables) ? { query, variables: variables as Question['variables'] } : null
}

/** An expected failure as it is; anything else is thrown on. */
function refusalOf(error: unknown): Fault {
  if (error instanceof Fault) return error
  throw error
}

/** @returns whether it answered. */
async function answerCompiled(
  reads: CompiledReads,
  body: Buffer,
  { headers }: IncomingMessage,
  response: ServerResponse,
  http: RequestContext,
  expect: Expect,
): Promise<boolean> {
  // Content is negotiated by Yoga wherever there is anything to negotiate.
  if (headers.accept !== undefined && headers.accept !== 'application/json' && headers.accept !== '*/*') return false
  const asked = questionIn(body)
  const answer = asked && (await reads.answer(asked, expect, http.signal).catch(refusalOf))
  if (!answer) return false
  if (answer instanceof Fault) {
    const text = JSON.stringify({ errors: [{ message: answer.message, extensions: { code: answer.code, kind: answer.kind } }] })
    response.writeHead(statusOf(answer), { ...headersOf(answer), 'content-type': jsonType, 'content-length': Buffer.byteLength(text) })
    response.end(text)
    return true
  }
  response.writeHead(200, { 'content-type': jsonType, 'content-length': Buffer.byteLength(answer) })
  response.end(answer)
  return true
}

/** Queries and mutations run inside their unit of work. If its PHI reads cannot be written down, nothing is answered. */
function useUnitOfWork(): Plugin<Context> {
  return {
    onExecute({ executeFn, setExecuteFn }) {
      setExecuteFn((args) => {
        const { unit } = args.contextValue as Context
        return unit.read(async () => (await executeFn(args)) as ExecutionResult)
      })
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

/** graphql-js quotes the value that it refuses, and whoever collects errors would keep health data: the place says enough. */
function withoutValue(message: string): string {
  const variable = /^Variable "\$\w+" got invalid value /.exec(message)
  if (variable === null) return message.replace(/( cannot represent [\w -]*value): [^]*$/, '$1.')
  const [place = ''] = [...message.matchAll(/ at "[\w.[\]]+";/g)].at(-1) ?? []
  return `${variable[0].replace('got invalid value ', 'got an invalid value')}${place.slice(0, -1)}.`
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

/** The reader's language out of `Accept-Language` (RFC 9110 §12.5.4); the tenant's own where it names none of ours. */
export function localeOf(acceptLanguage: string | undefined, fallback: Locale): Locale {
  for (const part of (acceptLanguage ?? '').slice(0, 200).split(',')) {
    const language = part.trim().slice(0, 2).toLowerCase()
    const found = locales.find((locale) => locale === language)
    if (found) return found
  }
  return fallback
}
