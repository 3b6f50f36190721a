/**
 * Compiled reads of one plane: a document that was asked before and has a plan is answered by one SQL statement, in one round trip with the
 * confirmation of who asks. Everything else, and every doubt, is the ordinary path's: no answer here is ever an error.
 */
import { hash } from 'node:crypto'
import { getVariableValues, GraphQLError, parse, validate, type DocumentNode, type GraphQLSchema } from 'graphql'
import { LRUCache } from 'lru-cache'
import { Fault } from '../../../kernel/fault.ts'
import type { Caller } from '../../../kernel/scope.ts'
import type { ConfirmedBy, ConfirmedRead } from '../../db/confirm.ts'
import { costOf } from '../cost.ts'
import { checkVariables } from '../limits.ts'
import { checkShape, checkTokens, defaultGraphqlLimits, type LimitOptions } from '../shape.ts'
import { isDoubtful } from './json-text.ts'
import { planOf, type Plan } from './plan.ts'
import { valuesOf } from './slots.ts'
import type { Tables } from './tables.ts'

/** A caller as it was remembered, and how the database says whether it still is. */
export interface Expected {
  readonly caller: Caller
  readonly confirmedBy: ConfirmedBy
}

export interface CompiledReadsOptions {
  readonly schema: GraphQLSchema
  readonly tables: Tables
  readonly limits: LimitOptions
  /** How often a document is asked before it is planned: one that comes once would be read twice for nothing. */
  readonly plannedFrom: number
  read(read: ConfirmedRead): Promise<string | null>
  /** A plan's statement was wrong: its document takes the ordinary path from now on. */
  failed(error: unknown): void
}

export interface Question {
  readonly query: string
  readonly variables: Readonly<Record<string, unknown>>
}

interface Prepared {
  readonly plan: Plan
  readonly document: DocumentNode
  /** Names of the variables that may change what the operation costs, and what it cost for their values. */
  readonly sizes: readonly string[]
  readonly costs: Map<string, number>
}

const mostDocuments = 1_000
const longestDocument = 8 * 1024
const mostCosts = 200

export class CompiledReads {
  readonly #options: CompiledReadsOptions
  readonly #seen = new LRUCache<string, number>({ max: mostDocuments })
  readonly #prepared = new LRUCache<string, Prepared | 'none'>({ max: mostDocuments })

  constructor(options: CompiledReadsOptions) {
    this.#options = options
  }

  /**
   * The answer's JSON, or null where the ordinary path has to answer.
   * @param expect who asks; called only for a document that has a plan.
   * @throws OVERLOADED, TIMED_OUT, DATABASE_UNAVAILABLE: to ask again the ordinary way would cost twice what there is too little of.
   */
  async answer(asked: Question, expect: () => Promise<Expected | null>, signal: AbortSignal): Promise<string | null> {
    if (asked.query.length > longestDocument) return null
    // A stranger's documents are remembered by their hash alone: what they can fill is small.
    const entry = hash('sha256', asked.query, 'base64')
    const prepared = this.#find(entry, asked.query)
    if (!prepared) return null
    const values = this.#values(prepared, asked.variables)
    if (!values) return null
    const expected = await expect()
    if (!expected) return null
    const { caller, confirmedBy } = expected
    for (const permission of prepared.plan.permissions) if (!caller.permissions.has(permission)) return null
    const read = { caller, confirmedBy, text: prepared.plan.text, values: [caller.tenantId, ...values], signal }
    const text = await this.#options.read(read).catch((error: unknown) => {
      if (error instanceof Fault) throw error
      this.#prepared.set(entry, 'none')
      this.#options.failed(error)
      return null
    })
    return text === null || isDoubtful(text) ? null : `{"data":${text}}`
  }

  #find(entry: string, query: string): Prepared | null {
    const known = this.#prepared.get(entry)
    if (known) return known === 'none' ? null : known
    const times = (this.#seen.get(entry) ?? 0) + 1
    this.#seen.set(entry, times)
    if (times < this.#options.plannedFrom) return null
    const made = this.#prepare(query)
    this.#prepared.set(entry, made ?? 'none')
    return made
  }

  /** Reads and checks a document as the ordinary path does; one that it would refuse has no plan. */
  #prepare(query: string): Prepared | null {
    const { schema, tables, limits } = this.#options
    try {
      checkTokens(query)
      const document = parse(query, { maxTokens: defaultGraphqlLimits.maxTokens })
      checkShape(document, limits)
      if (validate(schema, document).length > 0) return null
      const plan = planOf(document, schema, tables)
      if (!plan) return null
      const sizes = (plan.operation.variableDefinitions ?? []).map(({ variable }) => variable.name.value)
      return { plan, document, sizes, costs: new Map() }
    } catch (error) {
      if (error instanceof GraphQLError) return null
      throw error
    }
  }

  #values({ plan, document, sizes, costs }: Prepared, given: Question['variables']): (string | null)[] | null {
    const { schema } = this.#options
    try {
      checkVariables(given, defaultGraphqlLimits.maxNesting)
    } catch (error) {
      if (error instanceof GraphQLError) return null
      throw error
    }
    // Only numbers say how long a list is; whatever else a variable holds costs what its absence does, or more than any list.
    const key = sizes.map((name) => (typeof given[name] === 'number' || given[name] === null ? given[name] : typeof given[name])).join(' ')
    let cost = costs.get(key)
    if (cost === undefined) {
      cost = costOf(document, given, schema)
      if (costs.size < mostCosts) costs.set(key, cost)
    }
    if (cost > defaultGraphqlLimits.maxCost) return null
    const { coerced } = getVariableValues(schema, plan.operation.variableDefinitions ?? [], given)
    return coerced ? valuesOf(plan.slots, coerced) : null
  }
}
