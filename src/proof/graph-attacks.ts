/**
 * Every root field of every plane, executed for real inside the proof's transaction: each argument that takes an id or a cursor is given
 * the other tenant's. The answer must be the one that a random id gets, and nothing of the other tenant may show in it or change.
 */
import { parse } from 'graphql'
import type { Caller, Plane } from '../kernel/scope.ts'
import type { Composed } from '../platform/compose.ts'
import { exemptPlaces, suppliedSecrets } from './arguments.ts'
import type { BoundDatabase } from './bound-database.ts'
import { GraphRunner, neighbourOf, written, type Answer, type Control, type GraphSide, type Target } from './graph-runner.ts'
import { ControlSearch } from './graph-search.ts'
import { documentOf, placesOf, rootFields, type Place } from './graph-shape.ts'
import { newFindings } from './table-attacks.ts'

export class GraphAttacks {
  readonly #house: Composed
  readonly #runner: GraphRunner
  readonly #search: ControlSearch
  readonly #victim: GraphSide
  readonly #attacker: GraphSide
  readonly findings = newFindings()
  fields = 0

  constructor(database: BoundDatabase, house: Composed, victim: GraphSide, attacker: GraphSide) {
    this.#house = house
    this.#runner = new GraphRunner(database, house, victim)
    this.#search = new ControlSearch(this.#runner)
    this.#victim = victim
    this.#attacker = attacker
  }

  /** Attacks every root field of one plane. */
  async attackPlane(plane: Plane, progress: (name: string) => void): Promise<void> {
    const schema = this.#house.schemas.plane[plane]
    for (const { kind, field, name: called } of rootFields(schema)) {
      const name = `${called} on ${plane}`
      progress(name)
      this.fields++
      const target: Target = { plane, kind, field, name, document: parse(documentOf(schema, kind, field, 3)) }
      if (kind === 'query' && field.name === 'node') await this.#nodes(target)
      else await this.#field(target)
    }
  }

  async #field(target: Target): Promise<void> {
    const places = placesOf(this.#runner.schema(target.plane), target.field)
    const required = places.filter((place) => place.required)
    const control = await this.#search.control(target, required)
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
    const [place] = placesOf(this.#runner.schema(target.plane), target.field)
    for (const { name } of node && 'getFields' in node ? schema.getPossibleTypes(node as never) : []) {
      const one: Target = { ...target, name: `node(id) of ${name} on ${target.plane}` }
      this.fields++
      const permission = schema.getType(name)?.extensions['nodePermission']
      const held = this.#victim.tenant.callers(target.plane).some(({ permissions }) => permissions.has(String(permission)))
      if (!held) {
        await this.#shut(one, place!, name)
        continue
      }
      const control = await this.#search.control(one, [place!], (choice) => choice.model === name)
      if (typeof control === 'string') this.findings.unproven.push(`${one.name}: no member of the plane saw one of their own (${control}).`)
      else await this.#place(one, control, place!)
    }
  }

  /** A type that nobody on the plane may read by id: not even its owner is answered. */
  async #shut(target: Target, place: Place, model: string): Promise<void> {
    for (const caller of this.#victim.tenant.callers(target.plane)) {
      for (const choice of this.#search.choices(target, place).filter((one) => one.model === model)) {
        this.findings.attacks++
        const answer = await this.#runner.run(target, this.#victim, caller, this.#runner.values(this.#victim, new Map([[place, choice]])))
        if (answer.done) this.findings.leaks.push(`${target.name}: answered, though nobody on the plane may read it.`)
      }
    }
  }

  /** One place given the other tenant's row, another caller's id or nobody's: all the same to a stranger. */
  async #place(target: Target, control: Control, place: Place): Promise<void> {
    const full = `${target.kind}.${target.field.name} ${place.path.join('.')} on ${target.plane}`
    if (full in exemptPlaces) return void this.findings.exempt.push(`${full}: ${exemptPlaces[full]}`)
    const found = await this.#search.difference(target, control, place)
    // A place that takes no value from anybody, its owner included, has nothing to tell.
    if (found === 'closed') return void this.findings.exempt.push(`${full}: It takes no value from anybody.`)
    if (found === null)
      this.findings.unproven.push(`${target.name}, ${place.path.join('.')}: a row of one's own answers like a random one.`)
    else this.findings.controls++
    // What answers the same to everybody may still change something: it is attacked all the same.
    const { callerIndex, chosen: proven } = found ?? control
    if (!proven.has(place)) return
    const rightful = this.#victim.tenant.callers(target.plane)[callerIndex]!
    const choice = proven.get(place)!
    const theirs = this.#runner.id(this.#victim, choice)
    const strangers = [
      this.#attacker.tenant.callers(target.plane)[callerIndex]!,
      { ...rightful, tenantId: this.#attacker.tenant.plot.tenantId },
    ]
    for (const stranger of strangers) {
      this.findings.attacks++
      const others = this.#runner.values(this.#attacker, proven).filter(([one]) => one !== place)
      const attack = await this.#runner.run(target, this.#attacker, stranger, [...others, [place, written(place, choice.model, theirs)]])
      const random = await this.#runner.run(target, this.#attacker, stranger, [
        ...others,
        [place, written(place, choice.model, neighbourOf(theirs))],
      ])
      this.#judge(target, stranger, `${place.path.join('.')} of another tenant`, attack, random.text)
    }
  }

  /** The rightful caller as if in the other tenant, and the other tenant's own: nothing of ours may show or change. */
  async #foreign(target: Target, control: Control): Promise<void> {
    const rightful = this.#victim.tenant.callers(target.plane)[control.callerIndex]!
    const strangers = [
      this.#attacker.tenant.callers(target.plane)[control.callerIndex]!,
      { ...rightful, tenantId: this.#attacker.tenant.plot.tenantId },
    ]
    for (const stranger of strangers) {
      this.findings.attacks++
      this.#judge(
        target,
        stranger,
        'asked from another tenant',
        await this.#runner.run(target, this.#attacker, stranger, this.#runner.values(this.#attacker, control.chosen)),
        null,
      )
    }
  }

  /** A secret of ours (a token, a code) handed in at the other tenant's door opens nothing there. */
  async #stolen(target: Target, control: Control): Promise<void> {
    const rightful = this.#victim.tenant.callers(target.plane)[control.callerIndex]!
    const stranger = this.#attacker.tenant.callers(target.plane)[control.callerIndex]!
    this.findings.attacks++
    const attack = await this.#runner.run(target, this.#victim, stranger, this.#runner.values(this.#attacker, control.chosen), rightful)
    if (attack.done) this.findings.leaks.push(`${target.name}: what was given to a member of one tenant was taken at another's door.`)
    this.#judge(target, stranger, 'with a secret of another tenant', attack, null)
  }

  #judge(target: Target, stranger: Caller, how: string, attack: Answer, expected: string | null): void {
    if (this.#runner.shows(attack, stranger))
      this.findings.leaks.push(`${target.name}, ${how}: the answer holds something of the other tenant.`)
    if (attack.changed) this.findings.leaks.push(`${target.name}, ${how}: rows of the other tenant changed.`)
    if (expected !== null && attack.text !== expected) {
      this.findings.leaks.push(
        `${target.name}, ${how}: it is answered unlike a random id (${attack.text.slice(0, 160)} instead of ${expected.slice(0, 160)}).`,
      )
    }
  }
}
