/**
 * One operation over a stored resource (RFC 7644 §3.5.2.1 to §3.5.2.3). Only canonical names of the schema are ever written, into objects
 * made here, so no name a client chose reaches an object.
 */
import type { AttributeMap, AttributeValue } from '../engine.ts'
import type { Attribute } from '../schema/attribute.ts'
import { immutable, invalidValue } from '../schema/faults.ts'
import { isStored } from '../schema/read-resource.ts'
import { canonical, isMap, mostValues, readOne } from '../schema/read-value.ts'
import { matches } from './match.ts'
import type { Operation } from './message.ts'
import { checkFilter, type Place } from './path.ts'
import type { Step } from './steps.ts'
import { changeValues } from './values.ts'

/** `map` with a member set, or without it when the value is undefined or an object of nothing. */
function put(map: AttributeMap, name: string, value: AttributeValue | undefined): AttributeMap {
  const empty = value === undefined || (Array.isArray(value) && value.length === 0) || (isMap(value) && Object.keys(value).length === 0)
  const { [name]: _, ...rest } = map
  return empty ? rest : { ...map, [name]: value }
}

/** Some directories wrap a single value into a list of one, or into an object with `value` alone. */
function unwrapped(value: unknown): unknown {
  const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value
  return isMap(one) && Object.entries(one).every(([name, part]) => name === 'value' || part === null) && 'value' in one ? one['value'] : one
}

function readSingle(attribute: Attribute, { op, value }: Operation): AttributeValue | undefined {
  return op === 'remove' ? undefined : readOne(attribute, unwrapped(value))
}

/** The parts that are given are set, null ones taken away, the others left (RFC 7644 §3.5.2.3). */
function changeMap(attribute: Attribute, held: AttributeMap, { op, value }: Operation): AttributeMap {
  if (op === 'remove' || value === null || value === '') return {}
  const given = readOne(attribute, value) as AttributeMap | undefined
  const cleared = isMap(value) ? [...canonical(attribute.subAttributes ?? [], value)].filter(([, part]) => part === null) : []
  const left = cleared.reduce((map, [sub]) => put(map, sub.name, undefined), held)
  return { ...left, ...given }
}

/** Without the address of what `value` named before: it would show one person and lead to another. */
function withoutStale(held: AttributeMap, next: AttributeMap): AttributeMap {
  return held['value'] !== next['value'] && held['$ref'] !== undefined && held['$ref'] === next['$ref']
    ? put(next, '$ref', undefined)
    : next
}

function changeSingle(place: Place, operation: Operation, held: AttributeValue | undefined): AttributeValue | undefined {
  const { attribute, sub, filter } = place
  if (attribute.type !== 'complex') return readSingle(attribute, operation)
  const map = (held ?? {}) as AttributeMap
  if (filter && !matches(attribute, filter, map)) return held
  return withoutStale(map, sub ? put(map, sub.name, readSingle(sub, operation)) : changeMap(attribute, map, operation))
}

function check({ attribute, sub, filter }: Place, operation: Operation): void {
  for (const one of [attribute, sub]) {
    if (one?.mutability === 'readOnly') throw immutable({ detail: `${one.name} is read-only.` })
    if (one?.required && operation.op === 'remove') throw immutable({ detail: `${one.name} is required and cannot be removed.` })
  }
  if (filter) checkFilter(attribute, filter)
}

function changeAt(map: AttributeMap, place: Place, operation: Operation): AttributeMap {
  const { attribute } = place
  if (operation.unnamed && (attribute.mutability === 'readOnly' || place.sub?.mutability === 'readOnly')) return map
  check(place, operation)
  const held = Object.hasOwn(map, attribute.name) ? map[attribute.name] : undefined
  if (attribute.multiValued) {
    const next = changeValues(place, operation, (held ?? []) as readonly AttributeMap[])
    if (next.length > mostValues) throw invalidValue({ detail: `${attribute.name} has more than ${mostValues} values.` })
    return put(map, attribute.name, next)
  }
  const next = changeSingle(place, operation, held)
  // `active` is taken away by `remove` alone, never by the nothing that an expression of a directory came to.
  if (next === undefined && (attribute.required || (attribute.name === 'active' && operation.op !== 'remove')))
    throw invalidValue({ detail: `${attribute.name} is required.` })
  // A password is checked and let go.
  return isStored(attribute) ? put(map, attribute.name, next) : map
}

/** The resource after one step; the one given is not changed. @throws mutability, invalidValue, noTarget, invalidFilter. */
export function applyStep(stored: AttributeMap, { place, operation }: Step): AttributeMap {
  if (!place.extension) return changeAt(stored, place, operation)
  const { urn } = place.extension
  return put(stored, urn, changeAt(Object.hasOwn(stored, urn) ? (stored[urn] as AttributeMap) : {}, place, operation))
}
