/**
 * The short way of a plain question: a JSON body of a document that is known here and its variables. It is answered by a compiled read, or
 * executed by graphql-js in its unit of work, without the server library in between; whatever is not a plain question, and every answer
 * with an error in it, is written by that library as always. Nothing is executed twice.
 */
import type { IncomingMessage } from 'node:http'
import { execute, GraphQLError, type DocumentNode, type ExecutionResult, type GraphQLSchema } from 'graphql'
import { Fault } from '../../kernel/fault.ts'
import { headersOf, statusOf } from '../http/answer.ts'
import type { RequestContext } from '../http/router.ts'
import type { CompiledReads, Expected } from './compiled/reads.ts'
import type { Context } from './context.ts'
import type { Documents, Variables } from './documents.ts'

/** A text to be sent as it is, or a result with errors, masked, that the server library has to write down. */
export type Done =
  | { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly text: string }
  | { readonly result: ExecutionResult }

export interface Plain {
  readonly request: IncomingMessage
  readonly body: Buffer
  readonly http: RequestContext
  expect(): Promise<Expected | null>
  /**
   * Opens the unit of work's context: for a caller who is remembered and confirmed along with the first statement, or else
   * authenticates. Whatever an earlier context of the request was told to send is forgotten.
   */
  open(expected: Expected | null): Promise<Context>
}

/** @returns null where the whole request is the server library's: nothing was executed then. */
export type Direct = (plain: Plain) => Promise<Done | null>

export interface DirectParts {
  readonly schema: GraphQLSchema
  readonly documents: Documents
  /** Null: no document is compiled. */
  readonly reads: CompiledReads | null
  mask(error: unknown): Error
}

interface Question {
  readonly query: string
  readonly variables: Variables
}

/** The question in a body, if it is a plain one: a document and its variables. Whatever is wrong with another, the server library says. */
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
  return typeof variables === 'object' && !Array.isArray(variables) ? { query, variables: variables as Variables } : null
}

/** An expected failure as it is; anything else is thrown on. */
function refusalOf(error: unknown): Fault {
  if (error instanceof Fault) return error
  throw error
}

function refused(fault: Fault): Done {
  const text = JSON.stringify({ errors: [{ message: fault.message, extensions: { code: fault.code, kind: fault.kind } }] })
  return { status: statusOf(fault), headers: headersOf(fault), text }
}

const sent = (text: string): Done => ({ status: 200, headers: {}, text })

export function createDirect({ schema, documents, reads, mask }: DirectParts): Direct {
  const masked = (error: unknown): GraphQLError => {
    const shown = mask(error)
    return shown instanceof GraphQLError ? shown : new GraphQLError(shown.message)
  }

  /** @returns null when who asks is not who was expected: nothing was committed then. */
  const executed = async (document: DocumentNode, variableValues: Variables, contextValue: Context): Promise<Done | null> => {
    const { unit } = contextValue
    try {
      const result = await unit.read(async () => execute({ schema, document, contextValue, variableValues }))
      await unit.confirm()
      if (result.errors) return { result: { ...result, errors: result.errors.map(masked) } }
      return sent(JSON.stringify(result))
    } catch (error) {
      return unit.standing.isRefuted ? null : { result: { errors: [masked(error)] } }
    }
  }

  return async ({ request: { headers }, body, http, expect, open }) => {
    // Content is negotiated by the server library wherever there is anything to negotiate.
    if (headers.accept !== undefined && headers.accept !== 'application/json' && headers.accept !== '*/*') return null
    const asked = questionIn(body)
    const known = asked && documents.find(asked.query)
    const variables = known?.coerce(asked!.variables)
    if (!asked || !known || !variables) return null

    const expected = await expect()
    const read = reads && expected && (await reads.answer(known, variables, expected, http.signal).catch(refusalOf))
    if (read) return read instanceof Fault ? refused(read) : sent(read)

    try {
      const first = await executed(known.document, asked.variables, await open(expected))
      return first ?? (await executed(known.document, asked.variables, await open(null)))
    } catch (error) {
      return { result: { errors: [masked(error)] } }
    }
  }
}
