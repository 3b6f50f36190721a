/**
 * Every root field of every plane, executed for real inside the proof's transaction: each argument that takes an id or a cursor is given
 * the other tenant's. The answer must be the one that a random id gets, and nothing of the other tenant may show in it or change.
 */
import { execute, getNamedType, isObjectType, parse, type DocumentNode, type ExecutionResult, type GraphQLField } from 'graphql'
import { newId } from '../kernel/id.ts'
import type { Caller, Plane } from '../kernel/scope.ts'
import type { Composed } from '../platform/compose.ts'
import type { Access } from '../platform/graphql/access.ts'
import { createContext } from '../platform/graphql/context.ts'
import { encodeGlobalId } from '../platform/graphql/global-id.ts'
import { exemptPlaces, otherNames, suppliedArguments, suppliedSecrets } from './arguments.ts'
import type { BoundDatabase } from './bound-database.ts'
import { argumentsOf, documentOf, placesOf, type Place } from './graph-shape.ts'
import { newFindings } from './table-attacks.ts'
import { encodeCursor, type ThrowawayTenant } from './throwaway-tenant.ts'

/** A row of either tenant, by model and by its place among that model's rows. */
interface Choice {
  readonly model: string
  readonly index: number
  readonly plane: Plane
}

interface Target {
  readonly plane: Plane
  readonly kind: 'query' | 'mutation'
  readonly field: GraphQLField<unknown, unknown>
  readonly document: DocumentNode
  readonly name: string
}

/** A rightful execution that reached a row: who asked, and what stood in each place. */
interface Control {
  readonly callerIndex: number
  readonly chosen: ReadonlyMap<Place, Choice>
}

interface Answer {
  readonly text: string
  readonly done: boolean
  readonly changed: boolean
}

const refusedToAll = /"code":"(INVALID_INPUT|BAD_CURSOR)"/
const mostCombinations = 120
const mostChoicesAPlace = 60

export interface GraphSide {
  readonly tenant: ThrowawayTenant
  /** A fingerprint of all the tenant's rows. */
  fingerprint(): Promise<string>
}

export class GraphAttacks {
  readonly #database: BoundDatabase
  readonly #house: Composed
  readonly #victim: GraphSide
  readonly #attacker: GraphSide
  readonly findings = newFindings()
  fields = 0

  constructor(database: BoundDatabase, house: Composed, victim: GraphSide, attacker: GraphSide) {
    this.#database = database
    this.#house = house
    this.#victim = victim
    this.#attacker = attacker
  }

  #schema(plane: Plane) {
    return this.#house.schemas.plane[plane]
  }

  /** Ids under every name they may travel under: the model's, and that of the node type made of it. */
  #idsOf(side: GraphSide, plane: Plane): ReadonlyMap<string, readonly string[]> {
    const ids = new Map(side.tenant.ids)
    for (const type of Object.values(this.#schema(plane).getTypeMap())) {
      const model = type.extensions['pothosPrismaModel']
      const known = typeof model === 'string' ? side.tenant.ids.get(model) : undefined
      if (known) ids.set(type.name, known)
    }
    return ids
  }

  /** Attacks every root field of one plane. */
  async attackPlane(plane: Plane, progress: (name: string) => void): Promise<void> {
    const schema = this.#house.schemas.plane[plane]
    for (const [kind, root] of [['query', schema.getQueryType()], ['mutation', schema.getMutationType()]] as const) {
      for (const field of Object.values(root?.getFields() ?? {})) {
        const name = `${root!.name}.${field.name} on ${plane}`
        progress(name)
        this.fields++
        const target: Target = { plane, kind, field, name, document: parse(documentOf(schema, kind, field, 3)) }
        if (kind === 'query' && field.name === 'node') await this.#nodes(target)
        else await this.#field(target)
      }
    }
  }

  async #field(target: Target): Promise<void> {
    const places = placesOf(this.#schema(target.plane), target.field)
    const required = places.filter((place) => place.required)
    const control = await this.#control(target, required)
    if (typeof control === 'string') {
      this.findings.unproven.push(`${target.name}: the rightful owner reached nothing (${control}).`)
      return
    }
    this.findings.controls++
    await this.#foreign(target, control)
    if (suppliedSecrets.has(`${target.kind}.${target.field.name}`)) await this.#stolen(target, control)
    for (const place of places) await this.#place(target, control, place)
  }

  /** `node` once for each type of node that exists in the plane. */
  async #nodes(target: Target): Promise<void> {
    const schema = this.#house.schemas.plane[target.plane]
    const node = schema.getType('Node')
    const [place] = placesOf(this.#schema(target.plane), target.field)
    for (const { name } of node && 'getFields' in node ? schema.getPossibleTypes(node as never) : []) {
      const one: Target = { ...target, name: `node(id) of ${name} on ${target.plane}` }
      this.fields++
      const permission = schema.getType(name)?.extensions['nodePermission']
      const held = this.#victim.tenant.callers(target.plane).some(({ permissions }) => permissions.has(String(permission)))
      if (!held) {
        await this.#shut(one, place!, name)
        continue
      }
      const control = await this.#control(one, [place!], (choice) => choice.model === name)
      if (typeof control === 'string') this.findings.unproven.push(`${one.name}: no member of the plane saw one of their own (${control}).`)
      else await this.#place(one, control, place!)
    }
  }

  /** A type that nobody on the plane may read by id: not even its owner is answered. */
  async #shut(target: Target, place: Place, model: string): Promise<void> {
    for (const caller of this.#victim.tenant.callers(target.plane)) {
      for (const choice of this.#choices(target, place).filter((one) => one.model === model)) {
        this.findings.attacks++
        const answer = await this.#run(target, this.#victim, caller, this.#values(this.#victim, new Map([[place, choice]])))
        if (answer.done) this.findings.leaks.push(`${target.name}: answered, though nobody on the plane may read it.`)
      }
    }
  }

  /** Searches a rightful caller and rows with which the field reaches something; else the last answer. */
  async #control(target: Target, places: readonly Place[], fits: (choice: Choice) => boolean = () => true): Promise<Control | string> {
    let last = 'nobody on the plane may ask'
    let second: Control | null = null
    for (const [callerIndex, caller] of this.#victim.tenant.callers(target.plane).entries()) {
      if (!mayAsk(target.field, caller)) continue
      for (const chosen of this.#combinations(target, places, fits)) {
        const answer = await this.#run(target, this.#victim, caller, this.#values(this.#victim, chosen))
        const marked = places.length > 0 || target.kind === 'mutation' || this.#shows(answer, null)
        if (answer.done && marked) return { callerIndex, chosen }
        last = answer.text.slice(0, 240)
        if (second || places.length === 0) continue
        const random = await this.#run(target, this.#victim, caller, this.#values(this.#victim, chosen, places))
        if (random.text !== answer.text) second = { callerIndex, chosen }
      }
    }
    return second ?? last
  }

  /** A caller and a row for which it matters to its owner what stands in the place; `closed` when every value is refused as such. */
  async #difference(target: Target, control: Control, place: Place): Promise<Control | 'closed' | null> {
    const callers = this.#victim.tenant.callers(target.plane)
    const order = [control.callerIndex, ...callers.keys()].filter((index, i, all) => all.indexOf(index) === i && mayAsk(target.field, callers[index]!))
    const choices = control.chosen.has(place) ? [control.chosen.get(place)!] : this.#choices(target, place).slice(0, mostChoicesAPlace)
    let closed = true
    for (const callerIndex of order) {
      for (const choice of choices) {
        const chosen = new Map([...control.chosen, [place, choice]])
        const own = await this.#run(target, this.#victim, callers[callerIndex]!, this.#values(this.#victim, chosen))
        const random = await this.#run(target, this.#victim, callers[callerIndex]!, this.#values(this.#victim, chosen, [place]))
        if (own.text !== random.text) return { callerIndex, chosen }
        closed &&= refusedToAll.test(own.text)
        if (closed) break
      }
    }
    return closed ? 'closed' : null
  }

  /** One place given the other tenant's row, another caller's id or nobody's: all the same to a stranger. */
  async #place(target: Target, control: Control, place: Place): Promise<void> {
    const full = `${target.kind}.${target.field.name} ${place.path.join('.')} on ${target.plane}`
    if (full in exemptPlaces) return
    const found = await this.#difference(target, control, place)
    // A place that takes no value from anybody, its owner included, has nothing to tell.
    if (found === 'closed') return
    if (found === null) {
      this.findings.unproven.push(`${target.name}, ${place.path.join('.')}: a row of one's own answers like a random one.`)
      return
    }
    this.findings.controls++
    const { callerIndex, chosen: proven } = found
    const rightful = this.#victim.tenant.callers(target.plane)[callerIndex]!
    const choice = proven.get(place)!
    const theirs = this.#id(this.#victim, choice)
    const strangers = [this.#attacker.tenant.callers(target.plane)[callerIndex]!, { ...rightful, tenantId: this.#attacker.tenant.plot.tenantId }]
    for (const stranger of strangers) {
      this.findings.attacks++
      const others = this.#values(this.#attacker, proven).filter(([one]) => one !== place)
      const attack = await this.#run(target, this.#attacker, stranger, [...others, [place, written(place, choice.model, theirs)]])
      const random = await this.#run(target, this.#attacker, stranger, [...others, [place, written(place, choice.model, neighbourOf(theirs))]])
      this.#judge(target, stranger, `${place.path.join('.')} of another tenant`, attack, random.text)
    }
  }

  /** The rightful caller as if in the other tenant, and the other tenant's own: nothing of ours may show or change. */
  async #foreign(target: Target, control: Control): Promise<void> {
    const rightful = this.#victim.tenant.callers(target.plane)[control.callerIndex]!
    const strangers = [this.#attacker.tenant.callers(target.plane)[control.callerIndex]!, { ...rightful, tenantId: this.#attacker.tenant.plot.tenantId }]
    for (const stranger of strangers) {
      this.findings.attacks++
      this.#judge(target, stranger, 'asked from another tenant', await this.#run(target, this.#attacker, stranger, this.#values(this.#attacker, control.chosen)), null)
    }
  }

  /** A secret of ours (a token, a code) handed in at the other tenant's door opens nothing there. */
  async #stolen(target: Target, control: Control): Promise<void> {
    const rightful = this.#victim.tenant.callers(target.plane)[control.callerIndex]!
    const stranger = this.#attacker.tenant.callers(target.plane)[control.callerIndex]!
    this.findings.attacks++
    const attack = await this.#run(target, this.#victim, stranger, this.#values(this.#attacker, control.chosen), rightful)
    if (attack.done) this.findings.leaks.push(`${target.name}: what was given to a member of one tenant was taken at another's door.`)
    this.#judge(target, stranger, 'with a secret of another tenant', attack, null)
  }

  #judge(target: Target, stranger: Caller, how: string, attack: Answer, expected: string | null): void {
    if (this.#shows(attack, stranger)) this.findings.leaks.push(`${target.name}, ${how}: the answer holds something of the other tenant.`)
    if (attack.changed) this.findings.leaks.push(`${target.name}, ${how}: rows of the other tenant changed.`)
    if (expected !== null && attack.text !== expected) {
      this.findings.leaks.push(`${target.name}, ${how}: it is answered unlike a random id (${attack.text.slice(0, 160)} instead of ${expected.slice(0, 160)}).`)
    }
  }

  /** Whether an answer holds something of the victim's that the caller did not bring along. */
  #shows(answer: Answer, caller: Caller | null): boolean {
    const brought = new Set<unknown>(Object.values(caller?.actor ?? {}))
    return [...this.#victim.tenant.marks].some(([mark, id]) => !brought.has(id) && answer.text.includes(mark))
  }

  /** Executes the field once, undoes it, and tells what came and whether the victim's rows changed. */
  #run(target: Target, side: GraphSide, caller: Caller, chosen: readonly (readonly [Place, string])[], suppliedTo?: Caller): Promise<Answer> {
    return this.#database.trial(async () => {
      const wanted = `${target.kind}.${target.field.name}`
      const supplied = await suppliedArguments(wanted, side.tenant, suppliedTo ?? caller, this.#database, this.#house).catch((error: Error) => error)
      if (supplied instanceof Error) return { text: `its arguments could not be made: ${supplied.message}`, done: false, changed: false }
      const variables = argumentsOf(target.field, supplied, chosen)
      // What the rightful owner changes is nobody's loss; only a stranger's run is watched.
      const watched = target.kind === 'mutation' && caller.tenantId !== this.#victim.tenant.plot.tenantId
      const before = watched ? await this.#victim.fingerprint() : ''
      const unit = this.#database.unit(caller)
      const contextValue = createContext({ unit, plane: target.plane, locale: 'en', answer: { setCookie: () => {} } })
      const result = await unit
        .read(async () => execute({ schema: this.#house.schemas.plane[target.plane], document: target.document, variableValues: variables, contextValue }))
        .catch((error: unknown): ExecutionResult => ({ errors: [error as never] }))
      const changed = watched && (await this.#victim.fingerprint()) !== before
      return { ...answerOf(result, target.field.name, chosen.map(([, value]) => value)), changed }
    })
  }

  #values(side: GraphSide, chosen: ReadonlyMap<Place, Choice>, random: readonly Place[] = []): [Place, string][] {
    return [...chosen].map(([place, choice]) => {
      const id = this.#id(side, choice)
      return [place, written(place, choice.model, random.includes(place) ? neighbourOf(id) : id)]
    })
  }

  #id(side: GraphSide, { model, index, plane }: Choice): string {
    return this.#idsOf(side, plane).get(model)?.[index] ?? newId()
  }

  /** Rows that could be meant in a place, likely ones first. */
  #choices(target: Target, place: Place): Choice[] {
    const words = (name: string) => name.match(/[A-Z]?[a-z]+/g)?.map((word) => otherNames[word.toLowerCase()] ?? word.toLowerCase()).filter((word) => word.length > 3) ?? []
    const score = (model: string) =>
      words(place.path.at(-1)!).filter((word) => model.toLowerCase().includes(word)).length * 3 +
      words(`${target.field.name} ${String(target.field.type)} ${nodeOf(target.field)}`).filter((word) => model.toLowerCase().includes(word.replace(/s$/, ''))).length
    const ids = this.#idsOf(this.#victim, target.plane)
    const models = [...ids.keys()].sort((a, b) => score(b) - score(a))
    return models.flatMap((model) => ids.get(model)!.map((_, index) => ({ model, index, plane: target.plane })))
  }

  *#combinations(target: Target, places: readonly Place[], fits: (choice: Choice) => boolean): Generator<ReadonlyMap<Place, Choice>> {
    const choices = places.map((place) => this.#choices(target, place).filter(fits).slice(0, mostChoicesAPlace))
    const total = Math.min(mostCombinations, choices.reduce((product, some) => product * some.length, 1))
    for (let n = 0; n < total; n++) {
      let rest = n
      const chosen = new Map<Place, Choice>()
      for (const [i, place] of places.entries()) {
        const some = choices[i]!
        chosen.set(place, some[rest % some.length]!)
        rest = Math.floor(rest / some.length)
      }
      yield chosen
    }
  }
}

/** An id that nobody has and that sorts next to a given one: only whether the row exists can tell them apart. */
function neighbourOf(id: string): string {
  const last = Number.parseInt(id.at(-1)!, 16)
  return `${id.slice(0, -1)}${(last === 15 ? 14 : last + 1).toString(16)}`
}

/** The name of the type that a connection lists; empty for anything else. */
function nodeOf(field: GraphQLField<unknown, unknown>): string {
  const connection = getNamedType(field.type)
  const edges = isObjectType(connection) ? connection.getFields()['edges'] : undefined
  const edge = edges ? getNamedType(edges.type) : undefined
  const node = isObjectType(edge) ? edge.getFields()['node'] : undefined
  return node ? getNamedType(node.type).name : ''
}

const written = (place: Place, model: string, id: string): string =>
  place.kind === 'id' ? encodeGlobalId(model, id) : encodeCursor(id)

function mayAsk(field: GraphQLField<unknown, unknown>, caller: Caller): boolean {
  const access = field.extensions['access'] as Access | undefined
  if (typeof access === 'object') return caller.permissions.has(access.permission)
  return access === 'public' || caller.actor.kind !== 'anonymous'
}

/** What was answered, with the asked values and moments taken out, so that two answers can be compared. */
function answerOf(result: ExecutionResult, fieldName: string, asked: readonly string[]): { text: string; done: boolean } {
  const errors = (result.errors ?? []).map((error) => {
    const original = (error.originalError ?? error) as { code?: unknown; message: string }
    return { code: original.code ?? null, message: error.message }
  })
  let text = JSON.stringify({ data: result.data?.[fieldName] ?? null, errors })
  for (const value of asked) text = text.replaceAll(value, '<asked>')
  text = text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<moment>')
  const data = result.data?.[fieldName] as { __typename?: string } | null | undefined
  return { text, done: data !== null && data !== undefined && !/Fault$/.test(data.__typename ?? '') }
}
