/**
 * The documents of one plane that come again: read and checked once, as the ordinary path does at every request. It keeps only what that
 * path would execute; a document that it would refuse is never known here, and its error is the ordinary path's.
 */
import { hash } from 'node:crypto'
import {
  getVariableValues,
  GraphQLError,
  Kind,
  OperationTypeNode,
  parse,
  validate,
  type DocumentNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql'
import { LRUCache } from 'lru-cache'
import { costOf } from './cost.ts'
import { checkVariables } from './limits.ts'
import { checkShape, checkTokens, defaultGraphqlLimits, type LimitOptions } from './shape.ts'

export type Variables = Readonly<Record<string, unknown>>

/** A document of one operation, a query or a mutation. */
export interface KnownDocument {
  readonly document: DocumentNode
  readonly operation: OperationDefinitionNode
  /** The variables as resolvers see them; null where the ordinary path must say what is wrong with them, or with what they cost. */
  coerce(given: Variables): Variables | null
}

export interface DocumentsOptions {
  readonly schema: GraphQLSchema
  readonly limits: LimitOptions
  /** How often a document is asked before it is kept: one that comes once would be read twice for nothing. */
  readonly keptFrom: number
}

const mostDocuments = 1_000
const longestDocument = 8 * 1024
const mostCosts = 200

export class Documents {
  readonly #options: DocumentsOptions
  readonly #seen = new LRUCache<string, number>({ max: mostDocuments })
  readonly #known = new LRUCache<string, KnownDocument | 'none'>({ max: mostDocuments })

  constructor(options: DocumentsOptions) {
    this.#options = options
  }

  find(query: string): KnownDocument | null {
    if (query.length > longestDocument) return null
    // A stranger's documents are remembered by their hash alone: what they can fill is small.
    const entry = hash('sha256', query, 'base64')
    const known = this.#known.get(entry)
    if (known) return known === 'none' ? null : known
    const times = (this.#seen.get(entry) ?? 0) + 1
    this.#seen.set(entry, times)
    if (times < this.#options.keptFrom) return null
    const made = this.#make(query)
    this.#known.set(entry, made ?? 'none')
    return made
  }

  #make(query: string): KnownDocument | null {
    const { schema, limits } = this.#options
    try {
      checkTokens(query)
      const document = parse(query, { maxTokens: defaultGraphqlLimits.maxTokens })
      checkShape(document, limits)
      if (validate(schema, document).length > 0) return null
      const [operation, ...others] = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
      if (!operation || others.length > 0 || operation.operation === OperationTypeNode.SUBSCRIPTION) return null
      return { document, operation, coerce: coercion(schema, document, operation) }
    } catch (error) {
      if (error instanceof GraphQLError) return null
      throw error
    }
  }
}

function coercion(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode): KnownDocument['coerce'] {
  const defined = operation.variableDefinitions ?? []
  const names = defined.map(({ variable }) => variable.name.value)
  /** What the operation cost for the values of the variables that may change it. */
  const costs = new Map<string, number>()
  return (given) => {
    try {
      checkVariables(given, defaultGraphqlLimits.maxNesting)
    } catch (error) {
      if (error instanceof GraphQLError) return null
      throw error
    }
    // Only numbers say how long a list is; whatever else a variable holds costs what its absence does, or more than any list.
    const key = names.map((name) => (typeof given[name] === 'number' || given[name] === null ? given[name] : typeof given[name])).join(' ')
    let cost = costs.get(key)
    if (cost === undefined) {
      cost = costOf(document, given, schema)
      if (costs.size < mostCosts) costs.set(key, cost)
    }
    if (cost > defaultGraphqlLimits.maxCost) return null
    return getVariableValues(schema, defined, given).coerced ?? null
  }
}
