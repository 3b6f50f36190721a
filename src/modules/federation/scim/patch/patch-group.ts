/**
 * A PATCH of a group: all operations or none. Members are never loaded: what happens to them is told as steps, neighbours of one kind
 * drawn together, so that a thousand removals of one member each are one statement.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AttributeMap, MemberStep, PatchGroup } from '../engine.ts'
import type { Attribute } from '../schema/attribute.ts'
import { groupColumns } from '../schema/columns.ts'
import { immutable, invalidPath, invalidValue, noSuchMember } from '../schema/faults.ts'
import { memberId, mostMembers, readMembers, readMemberValues } from '../schema/read-group.ts'
import { named } from '../schema/resource.ts'
import { compileMemberFilter } from '../filter/compile.ts'
import type { Condition } from '../filter/parse.ts'
import { applyStep } from './apply.ts'
import type { Operation } from './message.ts'
import { checkFilter, type Place } from './path.ts'
import { readSteps } from './steps.ts'

/** The ids that a filter such as `value eq "a" or value eq "b"` picks; null when it asks anything else. */
function pickedIds(attribute: Attribute, filter: Condition): readonly string[] | null {
  if (filter.is === 'any') {
    const each = filter.of.map((one) => pickedIds(attribute, one))
    return each.includes(null) ? null : each.flatMap((one) => one!)
  }
  if (filter.is !== 'compared' || filter.by !== 'eq' || typeof filter.to !== 'string') return null
  if (named(attribute.subAttributes ?? [], filter.path)?.name !== 'value') return null
  const id = memberId(filter.to)
  return id === null ? [] : [id]
}

/** Members to be removed: what can be no id of ours is in no group. */
function readGone(value: unknown): string[] {
  return readMemberValues(value).flatMap((text) => memberId(text) ?? [])
}

function removal(place: Place, { value }: Operation): MemberStep {
  const { attribute, filter } = place
  if (filter) {
    checkFilter(attribute, filter)
    const ids = pickedIds(attribute, filter)
    return ids ? { do: 'remove', userIds: [...new Set(ids)] } : { do: 'removeWhere', where: compileMemberFilter(attribute, filter) }
  }
  return value === undefined || value === null ? { do: 'set', userIds: [] } : { do: 'remove', userIds: readGone(value) }
}

/** `members[value eq "id"]` with a value, as one dialect adds: the member the filter describes. */
function addition(place: Place): MemberStep {
  const ids = pickedIds(place.attribute, place.filter!)
  if (!ids) throw invalidPath({ detail: 'A member is added by its id.' })
  if (ids.length === 0) throw noSuchMember()
  return { do: 'add', userIds: ids }
}

function memberStep(place: Place, operation: Operation): MemberStep {
  if (place.sub) throw immutable({ detail: 'The parts of a member do not change: add or remove the member.' })
  if (operation.op === 'remove') return removal(place, operation)
  if (place.filter) return addition(place)
  if (operation.value === null) return { do: 'set', userIds: [] }
  return { do: operation.op === 'add' ? 'add' : 'set', userIds: readMembers(operation.value) }
}

/** Steps with neighbours drawn together where order does not matter. */
class MemberSteps {
  readonly #steps: (MemberStep & { ids?: Set<string> })[] = []
  #named = 0

  push(next: MemberStep): void {
    if (next.do === 'removeWhere') {
      this.#steps.push(next)
      return
    }
    this.#named += next.userIds.length
    if (this.#named > mostMembers) throw invalidValue({ detail: `More than ${mostMembers} members in one message.` })
    if (next.do === 'set') this.#steps.length = 0
    const last = this.#steps.at(-1)
    if (last?.ids && (last.do === next.do || (last.do === 'set' && next.do === 'add'))) for (const id of next.userIds) last.ids.add(id)
    else this.#steps.push({ ...next, ids: new Set(next.userIds) })
  }

  list(): MemberStep[] {
    return this.#steps.map((step) => (step.do === 'removeWhere' ? step : { do: step.do, userIds: [...step.ids!] }))
  }
}

export const patchGroup: PatchGroup = (attributes, body) => {
  const members = new MemberSteps()
  let patched: AttributeMap = attributes
  for (const step of readSteps('Group', body)) {
    if (step.place.attribute.name === 'members') members.push(memberStep(step.place, step.operation))
    else patched = applyStep(patched, step)
  }
  return { columns: groupColumns(patched), changed: !isDeepStrictEqual(patched, attributes), members: members.list() }
}
