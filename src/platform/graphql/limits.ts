/**
 * Installs what `shape.ts` and `cost.ts` decide in Yoga's parse and validation phases, so that nothing that is refused opens a context
 * or a transaction. Outside development it also keeps graphql-js from naming the schema to whoever mistypes it.
 */
import { GraphQLError, type DocumentNode, type ParseOptions } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import { costOf } from './cost.ts'
import {
  checkShape,
  checkTokens,
  defaultGraphqlLimits,
  isRefusal,
  refuseAbove,
  refuseBadText,
  type GraphqlLimits,
  type LimitOptions,
} from './shape.ts'

/** The same error without the names of the schema that graphql-js offers to whoever mistypes one. */
export function hideSuggestions(error: GraphQLError): GraphQLError {
  const at = error.message.indexOf(' Did you mean ')
  if (at < 0) return error
  const { nodes, source, positions, path, originalError, extensions } = error
  return new GraphQLError(error.message.slice(0, at), { nodes, source, positions, path, originalError, extensions })
}

/** Checks levels of lists and objects in a JSON value, and every text in it, without recursion. @throws a refusal. */
export function checkVariables(value: unknown, limit: number): void {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    refuseAbove(limit, depth, 'QUERY_TOO_DEEP', 'Levels of variables')
    for (const item of level) if (typeof item === 'string') refuseBadText(item)
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
}

/**
 * Installs every limit in Yoga's parse and validation phases, before a context or transaction exists. Parsing and shape are remembered
 * with the document by Yoga's cache; cost depends on variables and is checked for each request.
 */
export function useLimits(options: LimitOptions): Plugin {
  const limits: GraphqlLimits = { ...defaultGraphqlLimits, ...options.limits }

  const perRequest: Plugin = {
    // Yoga marks every error of this phase as one that answers 200 to clients of the older JSON type; a refusal is 400 to all.
    onParse:
      () =>
      ({ result }) => {
        if (isRefusal(result)) result.extensions.http = { status: 400 }
      },
    onValidate:
      ({ params: { schema, documentAST }, context }) =>
      ({ result, setResult }) => {
        if (result.length > 0) return
        const { variables, operationName } = context.params
        try {
          checkVariables(variables, limits.maxNesting)
          const cost = costOf(documentAST, variables ?? {}, schema, operationName)
          refuseAbove(limits.maxCost, cost, 'QUERY_TOO_EXPENSIVE', 'Cost of the operation')
        } catch (error) {
          if (!isRefusal(error)) throw error
          setResult([error])
        }
      },
  }

  return {
    // Behind Yoga's validation cache: in front of it, a verdict on one request's variables would be remembered for all.
    onPluginInit: ({ plugins }) => void plugins.push(perRequest),
    onParse: ({ params: { source }, parseFn, setParseFn }) => {
      const text = String(source)
      // Before the caches, which would keep the text as their key.
      refuseAbove(limits.maxDocumentBytes, Buffer.byteLength(text), 'QUERY_TOO_LARGE', 'Bytes in the document')
      setParseFn((given: string, parseOptions?: ParseOptions) => {
        checkTokens(text, limits)
        const document = parseFn(given, { ...parseOptions, maxTokens: limits.maxTokens }) as DocumentNode
        checkShape(document, options)
        return document
      })
    },
    onExecutionResult: ({ result, setResult }) => {
      if (options.development || !result || !('errors' in result) || !result.errors) return
      setResult({ ...result, errors: result.errors.map(hideSuggestions) })
    },
  }
}
