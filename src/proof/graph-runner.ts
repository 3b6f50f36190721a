/** Executes one field for one caller, for real, and undoes it; and knows under which names the rows of the throw-away tenants travel. */
import { execute, type DocumentNode, type ExecutionResult, type GraphQLField, type GraphQLSchema } from 'graphql'
import { newId } from '../kernel/id.ts'
import type { Caller, Plane } from '../kernel/scope.ts'
import type { Composed } from '../platform/compose.ts'
import type { Access } from '../platform/graphql/access.ts'
import { createContext } from '../platform/graphql/context.ts'
import { encodeGlobalId } from '../platform/graphql/global-id.ts'
import { readTables, type Tables } from '../platform/graphql/compiled/tables.ts'
import { suppliedArguments } from './arguments.ts'
import type { BoundDatabase } from './bound-database.ts'
import { runCompiled } from './compiled-attacks.ts'
import { argumentsOf, type Place, type RootKind } from './graph-shape.ts'
import { encodeCursor, type ThrowawayTenant } from './throwaway-tenant.ts'

/** A row of either tenant, by model and by its place among that model's rows. */
export interface Choice {
  readonly model: string
  readonly index: number
  readonly plane: Plane
}

export interface Target {
  readonly plane: Plane
  readonly kind: RootKind
  readonly field: GraphQLField<unknown, unknown>
  readonly document: DocumentNode
  readonly name: string
}

/** A rightful execution that reached a row: who asked, and what stood in each place. */
export interface Control {
  readonly callerIndex: number
  readonly chosen: ReadonlyMap<Place, Choice>
}

export interface Answer {
  readonly text: string
  readonly done: boolean
  readonly changed: boolean
}

export interface GraphSide {
  readonly tenant: ThrowawayTenant
  /** A fingerprint of all the tenant's rows. */
  fingerprint(): Promise<string>
}

export class GraphRunner {
  readonly #database: BoundDatabase
  readonly #house: Composed
  readonly #tables: Tables
  readonly victim: GraphSide
  /** The fingerprint of the victim's rows as they were planted. */
  #planted: Promise<string> | null = null

  constructor(database: BoundDatabase, house: Composed, victim: GraphSide) {
    this.#database = database
    this.#house = house
    this.#tables = readTables(database.storedModels)
    this.victim = victim
  }

  schema(plane: Plane): GraphQLSchema {
    return this.#house.schemas.plane[plane]
  }

  /** Ids under every name they may travel under: the model's, and that of the node type made of it. */
  idsOf(side: GraphSide, plane: Plane): ReadonlyMap<string, readonly string[]> {
    const ids = new Map(side.tenant.ids)
    for (const type of Object.values(this.schema(plane).getTypeMap())) {
      const model = type.extensions['pothosPrismaModel']
      const known = typeof model === 'string' ? side.tenant.ids.get(model) : undefined
      if (known) ids.set(type.name, known)
    }
    return ids
  }

  values(side: GraphSide, chosen: ReadonlyMap<Place, Choice>, random: readonly Place[] = []): [Place, string][] {
    return [...chosen].map(([place, choice]) => {
      const id = this.id(side, choice)
      return [place, written(place, choice.model, random.includes(place) ? neighbourOf(id) : id)]
    })
  }

  id(side: GraphSide, { model, index, plane }: Choice): string {
    return this.idsOf(side, plane).get(model)?.[index] ?? newId()
  }

  /** Whether an answer holds something of the victim's that the caller did not bring along. */
  shows(answer: Answer, caller: Caller | null): boolean {
    const brought = new Set<unknown>(Object.values(caller?.actor ?? {}))
    return [...this.victim.tenant.marks].some(([mark, id]) => !brought.has(id) && answer.text.includes(mark))
  }

  /** Executes the field once (a subscription's: one answer), undoes it, and tells what came and whether the victim's rows changed. */
  run(
    target: Target,
    side: GraphSide,
    caller: Caller,
    chosen: readonly (readonly [Place, string])[],
    suppliedTo?: Caller,
  ): Promise<Answer> {
    return this.#database.trial(async () => {
      const wanted = `${target.kind}.${target.field.name}`
      const supplied = await suppliedArguments(wanted, side.tenant, suppliedTo ?? caller, this.#database, this.#house).catch(
        (error: Error) => error,
      )
      if (supplied instanceof Error) return { text: `its arguments could not be made: ${supplied.message}`, done: false, changed: false }
      const variables = argumentsOf(target.field, supplied, chosen)
      // What the rightful owner changes is nobody's loss; only a stranger's run is watched.
      const watched = target.kind === 'mutation' && caller.tenantId !== this.victim.tenant.plot.tenantId
      // Every run is undone: what the victim's rows were before the first one, they are before each, but for a secret just made there.
      const planted = suppliedTo ? this.victim.fingerprint() : (this.#planted ??= this.victim.fingerprint())
      const before = watched ? await planted : ''
      const unit = this.#database.unit(caller)
      const contextValue = createContext({ unit, plane: target.plane, locale: 'en', answer: { setCookie: () => {} } })
      const result = await unit
        .read(async () =>
          execute({ schema: this.#house.schemas.plane[target.plane], document: target.document, variableValues: variables, contextValue }),
        )
        .catch((error: unknown): ExecutionResult => ({ errors: [error as never] }))
      const reader = this.#database.unit(caller)
      const compiled =
        target.kind === 'query' && caller.actor.kind === 'member'
          ? await runCompiled({ document: target.document, schema: this.schema(target.plane), tables: this.#tables, variables, caller, unit: reader })
          : null
      const changed = watched && (await this.victim.fingerprint()) !== before
      const asked = chosen.map(([, value]) => value)
      const ordinary = answerOf(result, target.field.name, asked)
      // Both ways of answering are attacked as one: what either shows is shown.
      return { ...ordinary, text: compiled === null ? ordinary.text : `${ordinary.text}${comparable(compiled, asked)}`, changed }
    })
  }
}

/** An id that nobody has and that sorts next to a given one: only whether the row exists can tell them apart. */
export function neighbourOf(id: string): string {
  const last = Number.parseInt(id.at(-1)!, 16)
  return `${id.slice(0, -1)}${(last === 15 ? 14 : last + 1).toString(16)}`
}

export const written = (place: Place, model: string, id: string): string =>
  place.kind === 'id' ? encodeGlobalId(model, id) : encodeCursor(id)

/** Whether the field's mark lets this caller ask at all. */
export function mayAsk(field: GraphQLField<unknown, unknown>, caller: Caller): boolean {
  const access = field.extensions['access'] as Access | undefined
  if (typeof access === 'object') return caller.permissions.has(access.permission)
  return access === 'public' || caller.actor.kind !== 'anonymous'
}

/** A text without the asked values and without moments. */
function comparable(text: string, asked: readonly string[]): string {
  let bare = text
  for (const value of asked) bare = bare.replaceAll(value, '<asked>')
  return bare.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<moment>')
}

/** What was answered, with the asked values and moments taken out, so that two answers can be compared. */
function answerOf(result: ExecutionResult, fieldName: string, asked: readonly string[]): { text: string; done: boolean } {
  const errors = (result.errors ?? []).map((error) => {
    const original = (error.originalError ?? error) as { code?: unknown; message: string }
    return { code: original.code ?? null, message: error.message }
  })
  let text = JSON.stringify({ data: result.data?.[fieldName] ?? null, errors })
  text = comparable(text, asked)
  const data = result.data?.[fieldName] as { __typename?: string } | null | undefined
  return { text, done: data !== null && data !== undefined && !(data.__typename ?? '').endsWith('Fault') }
}
