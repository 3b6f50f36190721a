/**
 * Compiled reads of one plane: a document that was asked before and has a plan is answered by one SQL statement, in one round trip with the
 * confirmation of who asks. Everything else, and every doubt, is the ordinary path's: no answer here is ever an error.
 */
import type { GraphQLSchema } from 'graphql'
import { Fault, overloaded, timedOut } from '../../../kernel/fault.ts'
import type { Caller } from '../../../kernel/scope.ts'
import type { ConfirmedRead } from '../../db/confirm.ts'
import type { ConfirmedBy } from '../../db/standing.ts'
import type { Context } from '../context.ts'
import type { KnownDocument, Variables } from '../documents.ts'
import { isDoubtful } from './json-text.ts'
import { planOf, type Plan } from './plan.ts'
import { fillPlaces } from './sealed-places.ts'
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
  read(read: ConfirmedRead): Promise<string | null>
  /** The context in which sealed fields are opened for a caller who was confirmed. */
  open(caller: Caller, signal: AbortSignal): Context
  /** A plan's statement was wrong: its document takes the ordinary path from now on. */
  failed(error: unknown): void
}

export class CompiledReads {
  readonly #options: CompiledReadsOptions
  readonly #plans = new WeakMap<KnownDocument, Plan | 'none'>()

  constructor(options: CompiledReadsOptions) {
    this.#options = options
  }

  /**
   * The answer's JSON, or null where the ordinary path has to answer.
   * @param variables as the document coerced them.
   * @param expected who asks, as it is remembered.
   * @throws OVERLOADED, TIMED_OUT, DATABASE_UNAVAILABLE: to ask again the ordinary way would cost twice what there is too little of.
   */
  async answer(known: KnownDocument, variables: Variables, { caller, confirmedBy }: Expected, signal: AbortSignal): Promise<string | null> {
    const plan = this.#planOf(known)
    const values = plan && valuesOf(plan.slots, variables)
    if (!plan || !values) return null
    for (const permission of plan.permissions) if (!caller.permissions.has(permission)) return null
    const read = { caller, confirmedBy, text: plan.text, values: [caller.tenantId, ...values], signal }
    const text = await this.#options.read(read).catch((error: unknown) => {
      if (error instanceof Fault) throw error
      this.#plans.set(known, 'none')
      this.#options.failed(error)
      return null
    })
    if (text === null || isDoubtful(text)) return null
    const data = plan.sealed.length === 0 ? text : await this.#opened(text, plan, caller, signal)
    return data === null ? null : `{"data":${data}}`
  }

  /** Opens what is sealed in an answer, in a unit of work whose audit rows are written before it resolves; null where a field fails. */
  async #opened(text: string, { sealed }: Plan, caller: Caller, signal: AbortSignal): Promise<string | null> {
    const context = this.#options.open(caller, signal)
    try {
      return await context.unit.read(() => fillPlaces(text, sealed, context))
    } catch (error) {
      // Nothing was answered, and of the reads nothing was written down: the ordinary path does both.
      if (error instanceof Fault && (overloaded.is(error) || timedOut.is(error))) throw error
      return null
    }
  }

  #planOf(known: KnownDocument): Plan | null {
    let plan = this.#plans.get(known)
    if (!plan) {
      const { schema, tables } = this.#options
      plan = planOf(known.document, schema, tables) ?? 'none'
      this.#plans.set(known, plan)
    }
    return plan === 'none' ? null : plan
  }
}
