/** Looks for what makes an attack worth anything: a rightful caller and rows of hers for which a field reaches something. */
import { getNamedType, isObjectType, type GraphQLField } from 'graphql'
import { otherNames } from './arguments.ts'
import { mayAsk, type Choice, type Control, type GraphRunner, type Target } from './graph-runner.ts'
import type { Place } from './graph-shape.ts'

const refusedToAll = /"code":"(INVALID_INPUT|BAD_CURSOR)"/
const mostCombinations = 120
const mostChoicesAPlace = 60

export class ControlSearch {
  readonly #runner: GraphRunner

  constructor(runner: GraphRunner) {
    this.#runner = runner
  }

  /** Searches a rightful caller and rows with which the field reaches something; else the last answer. */
  async control(target: Target, places: readonly Place[], fits: (choice: Choice) => boolean = () => true): Promise<Control | string> {
    let last = 'nobody on the plane may ask'
    let second: Control | null = null
    for (const [callerIndex, caller] of this.#runner.victim.tenant.callers(target.plane).entries()) {
      if (!mayAsk(target.field, caller)) continue
      for (const chosen of this.#combinations(target, places, fits)) {
        const answer = await this.#runner.run(target, this.#runner.victim, caller, this.#runner.values(this.#runner.victim, chosen))
        const marked = places.length > 0 || target.kind === 'mutation' || this.#runner.shows(answer, null)
        if (answer.done && marked) return { callerIndex, chosen }
        last = answer.text.slice(0, 240)
        if (second || places.length === 0) continue
        const random = await this.#runner.run(target, this.#runner.victim, caller, this.#runner.values(this.#runner.victim, chosen, places))
        if (random.text !== answer.text) second = { callerIndex, chosen }
      }
    }
    return second ?? last
  }

  /** A caller and a row for which it matters to its owner what stands in the place; `closed` when every value is refused as such. */
  async difference(target: Target, control: Control, place: Place): Promise<Control | 'closed' | null> {
    const callers = this.#runner.victim.tenant.callers(target.plane)
    const order = [control.callerIndex, ...callers.keys()].filter(
      (index, i, all) => all.indexOf(index) === i && mayAsk(target.field, callers[index]!),
    )
    const choices = control.chosen.has(place) ? [control.chosen.get(place)!] : this.choices(target, place).slice(0, mostChoicesAPlace)
    let closed = true
    for (const callerIndex of order) {
      for (const choice of choices) {
        const chosen = new Map([...control.chosen, [place, choice]])
        const own = await this.#runner.run(
          target,
          this.#runner.victim,
          callers[callerIndex]!,
          this.#runner.values(this.#runner.victim, chosen),
        )
        const random = await this.#runner.run(
          target,
          this.#runner.victim,
          callers[callerIndex]!,
          this.#runner.values(this.#runner.victim, chosen, [place]),
        )
        if (own.text !== random.text) return { callerIndex, chosen }
        closed &&= refusedToAll.test(own.text)
        if (closed) break
      }
    }
    return closed ? 'closed' : null
  }

  /** Rows that could be meant in a place, likely ones first. */
  choices(target: Target, place: Place): Choice[] {
    const words = (name: string) =>
      name
        .match(/[A-Z]?[a-z]+/g)
        ?.map((word) => otherNames[word.toLowerCase()] ?? word.toLowerCase())
        .filter((word) => word.length > 3) ?? []
    const score = (model: string) =>
      words(place.path.at(-1)!).filter((word) => model.toLowerCase().includes(word)).length * 3 +
      words(`${target.field.name} ${String(target.field.type)} ${nodeOf(target.field)}`).filter((word) =>
        model.toLowerCase().includes(word.replace(/s$/, '')),
      ).length
    const ids = this.#runner.idsOf(this.#runner.victim, target.plane)
    const models = [...ids.keys()].sort((a, b) => score(b) - score(a))
    return models.flatMap((model) => ids.get(model)!.map((_, index) => ({ model, index, plane: target.plane })))
  }

  *#combinations(target: Target, places: readonly Place[], fits: (choice: Choice) => boolean): Generator<ReadonlyMap<Place, Choice>> {
    const choices = places.map((place) => this.choices(target, place).filter(fits).slice(0, mostChoicesAPlace))
    const total = Math.min(
      mostCombinations,
      choices.reduce((product, some) => product * some.length, 1),
    )
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

/** The name of the type that a connection lists; empty for anything else. */
function nodeOf(field: GraphQLField<unknown, unknown>): string {
  const connection = getNamedType(field.type)
  const edges = isObjectType(connection) ? connection.getFields()['edges'] : undefined
  const edge = edges ? getNamedType(edges.type) : undefined
  const node = isObjectType(edge) ? edge.getFields()['node'] : undefined
  return node ? getNamedType(node.type).name : ''
}
