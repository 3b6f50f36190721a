/**
 * Installs what `shape.ts` and `cost.ts` decide in Yoga's parse and validation phases, so that nothing that is refused opens a context
 * or a transaction. Outside development it also keeps graphql-js from naming the schema to whoever mistypes it.
 */
import { GraphQLError, type DocumentNode, type ParseOptions } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import { costOf } from './cost.ts'
import { checkShape, checkTokens, defaultGraphqlLimits, isRefusal, refuseAbove, type GraphqlLimits, type LimitOptions } from './shape.ts'

/** The same error without the names of the schema that graphql-js offers to whoever mistypes one. */
export function hideSuggestions(error: GraphQLError): GraphQLError {
  const at = error.message.indexOf(' Did you mean ')
  if (at < 0) return error
  const { nodes, source, positions, path, originalError, extensions } = error
  return new GraphQLError(error.message.slice(0, at), { nodes, source, positions, path, originalError, extensions })
}

/** Levels of lists and objects in a JSON value, without recursion; counting stops past `limit`. */
function nestingOf(value: unknown, limit: number): number {
  let depth = 0
  let level: unknown[] = [value]
  for (; depth <= limit; depth++) {
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
    if (level.length === 0) break
  }
  return depth
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
          refuseAbove(limits.maxNesting, nestingOf(variables, limits.maxNesting), 'QUERY_TOO_DEEP', 'Levels of variables')
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
