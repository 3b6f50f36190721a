/** Changes to the list of values of one multi-valued attribute. Lists come and go whole, so a refused operation leaves nothing behind. */
import { isDeepStrictEqual } from 'node:util'
import type { AttributeMap, AttributeValue } from '../engine.ts'
import type { Attribute } from '../schema/attribute.ts'
import { invalidValue, noTarget } from '../schema/faults.ts'
import { foldBy } from '../schema/fold.ts'
import { isMap, readMany, readOne } from '../schema/read-value.ts'
import { named } from '../schema/resource.ts'
import type { Operation } from './message.ts'
import { described, matches } from './match.ts'
import type { Place } from './path.ts'

type Values = readonly AttributeMap[]

/** What says nothing by itself once the rest of a value is gone. */
const labels: ReadonlySet<string> = new Set(['type', 'primary', 'display'])

const isPrimary = (value: AttributeMap | null | undefined) => value?.['primary'] === true

/**
 * At most one value is primary: one that is made so takes it from the others (RFC 7644 §3.5.2). Values keep their places until here;
 * null: taken away.
 */
function onePrimary(attribute: Attribute, before: Values, after: readonly (AttributeMap | null)[]): Values {
  const fresh = after.filter((one, at) => isPrimary(one) && !isPrimary(before[at]))
  if (fresh.length > 1) throw invalidValue({ detail: `${attribute.name} has more than one primary value.` })
  const left = after.filter((one) => one !== null)
  return fresh.length === 0 ? left : left.map((one) => (isPrimary(one) && one !== fresh[0] ? { ...one, primary: false } : one))
}

/** Whether `held` is the value that `given` means: equal in every part that is given, by the case rule of each. */
function means(attribute: Attribute, given: AttributeMap, held: AttributeMap, parts: readonly string[]): boolean {
  return parts.every((name) => {
    const [mine, yours] = [given[name], held[name]]
    const sub = named(attribute.subAttributes ?? [], name)
    if (sub && typeof mine === 'string' && typeof yours === 'string') return foldBy(sub, mine) === foldBy(sub, yours)
    return mine === yours
  })
}

/** Adds values; one with the same type and value is the same value, whose other parts are renewed (RFC 7643 §2.4). */
function add(attribute: Attribute, held: Values, given: Values): Values {
  let list = held
  for (const one of given) {
    const same = list.findIndex((other) =>
      Object.hasOwn(one, 'value') ? means(attribute, one, other, ['type', 'value']) : isDeepStrictEqual(one, other),
    )
    list = same < 0 ? [...list, one] : list.map((other, at) => (at === same ? { ...other, ...one } : other))
  }
  return list
}

/** A part of a value set or taken away; a value of labels alone is no value any more. */
function withPart(value: AttributeMap, sub: Attribute, part: AttributeValue | undefined): AttributeMap | null {
  const { [sub.name]: _, ...rest } = value
  const next = part === undefined ? rest : { ...value, [sub.name]: part }
  return Object.keys(next).every((name) => labels.has(name)) && part === undefined ? null : next
}

/** A lone text for the `value` of what a filter picked, else an object. */
function merged(attribute: Attribute, operation: Operation, picked: AttributeMap): AttributeMap | null {
  const given = readOne(attribute, operation.value) as AttributeMap | undefined
  if (!given) return null
  return operation.op === 'replace' && isMap(operation.value) ? given : { ...picked, ...given }
}

/** The values that the path picks changed in their places; null: taken away. */
function onPicked(place: Place, operation: Operation, held: Values): readonly (AttributeMap | null)[] {
  const { attribute, sub, filter } = place
  const picked = held.map((one) => filter === null || matches(attribute, filter, one))
  const part = sub && operation.op !== 'remove' ? readOne(sub, operation.value) : undefined
  if (!picked.includes(true)) {
    if (operation.op === 'remove' || (sub && part === undefined)) return held
    const start = filter === null ? {} : operation.creates ? described(attribute, filter) : null
    if (start === null) throw noTarget({ detail: `No value of ${attribute.name} fits the filter of the path.` })
    const made = sub ? { ...start, [sub.name]: part! } : merged(attribute, { ...operation, op: 'add' }, start)
    return made === null ? held : [...held, made]
  }
  return held.map((one, at) => {
    if (!picked[at]) return one
    if (sub) return withPart(one, sub, part)
    return operation.op === 'remove' ? null : merged(attribute, operation, one)
  })
}

/** The values after an operation. @throws invalidValue, noTarget. */
export function changeValues(place: Place, operation: Operation, held: Values): Values {
  const { attribute, sub, filter } = place
  if (sub || filter) return onePrimary(attribute, held, onPicked(place, operation, held))
  if (operation.op === 'remove') {
    if (operation.value === undefined || operation.value === null) return []
    // A removal with values removes those and no other.
    const gone = readMany(attribute, operation.value) as Values
    return held.filter((one) => !gone.some((other) => means(attribute, other, one, Object.keys(other))))
  }
  const given = readMany(attribute, operation.value) as Values
  return operation.op === 'add' ? onePrimary(attribute, held, add(attribute, held, given)) : given
}
