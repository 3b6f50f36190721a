/**
 * One attribute's value from outside into its stored form: canonical names, checked types, bounded sizes. What a schema does not know is
 * left behind, so nothing a client invents is ever stored. It refuses NUL and unpaired surrogates, which Postgres cannot keep.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AttributeMap, AttributeValue } from '../engine.ts'
import type { Attribute } from './attribute.ts'
import { invalidSyntax, invalidValue } from './faults.ts'
import { named } from './resource.ts'

export const mostTextLength = 4096
const mostBinaryLength = 65_536
/** Values of one attribute of a user; members are counted elsewhere. */
export const mostValues = 100

export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether Postgres can keep it. */
export const storable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')

const wrong = (attribute: Attribute, what: string) => invalidValue({ detail: `${attribute.name} ${what}.` })

function readText(attribute: Attribute, value: unknown): string {
  if (typeof value !== 'string') throw wrong(attribute, 'must be text')
  if (!storable(value)) throw wrong(attribute, 'holds characters that are not allowed')
  if (attribute.type === 'binary') {
    if (value.length > mostBinaryLength) throw wrong(attribute, `is longer than ${mostBinaryLength} characters`)
    if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(value.replace(/\s+/g, ''))) throw wrong(attribute, 'must be base64')
  } else if (value.length > mostTextLength) throw wrong(attribute, `is longer than ${mostTextLength} characters`)
  return value
}

/** A directory may write booleans as text: "True" and "False". */
function readTruth(attribute: Attribute, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  const word = typeof value === 'string' ? value.toLowerCase() : ''
  if (word !== 'true' && word !== 'false') throw wrong(attribute, 'must be true or false')
  return word === 'true'
}

/** Text stands for the object whose `value` it is, and a list of one for that one: so a manager may come. */
function asMap(attribute: Attribute, value: unknown): Readonly<Record<string, unknown>> {
  if (isMap(value)) return value
  if (Array.isArray(value) && value.length === 1 && isMap(value[0])) return value[0]
  if (typeof value === 'string' && named(attribute.subAttributes ?? [], 'value')) return { value: value === '' ? null : value }
  throw wrong(attribute, 'must be an object')
}

/** The members of `map` under their canonical names. @throws invalidSyntax when two spellings of one name are there. */
export function canonical(attributes: readonly Attribute[], map: Readonly<Record<string, unknown>>): Map<Attribute, unknown> {
  const found = new Map<Attribute, unknown>()
  for (const [name, value] of Object.entries(map)) {
    const attribute = named(attributes, name)
    if (!attribute) continue
    if (found.has(attribute)) throw invalidSyntax({ detail: `${attribute.name} is given twice.` })
    found.set(attribute, value)
  }
  return found
}

/** A complex value; undefined when nothing of it is left. Read-only parts are passed over (RFC 7644 §3.5.1). */
function readMap(attribute: Attribute, value: unknown): AttributeMap | undefined {
  const read: Record<string, AttributeValue> = {}
  const given = canonical(attribute.subAttributes ?? [], asMap(attribute, value))
  for (const sub of attribute.subAttributes ?? []) {
    const part = sub.mutability === 'readOnly' ? undefined : readOne(sub, given.get(sub))
    if (part !== undefined) read[sub.name] = part
  }
  return Object.keys(read).length > 0 ? read : undefined
}

/** A single value; undefined for null, which means unassigned (RFC 7643 §2.5). */
export function readOne(attribute: Attribute, value: unknown): AttributeValue | undefined {
  if (value === null || value === undefined) return undefined
  switch (attribute.type) {
    case 'complex':
      return readMap(attribute, value)
    case 'boolean':
      return readTruth(attribute, value)
    default:
      return readText(attribute, value)
  }
}

const isPrimary = (value: AttributeValue) => isMap(value) && value['primary'] === true

/** The values of a multi-valued attribute, equal ones once; one alone may come without its list. @throws invalidValue for two primaries. */
export function readMany(attribute: Attribute, value: unknown): AttributeValue[] {
  if (value === null || value === undefined) return []
  const given: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (given.length > mostValues) throw wrong(attribute, `has more than ${mostValues} values`)
  const read: AttributeValue[] = []
  for (const one of given) {
    const part = readOne(attribute, one)
    if (part !== undefined && !read.some((other) => isDeepStrictEqual(other, part))) read.push(part)
  }
  if (read.filter(isPrimary).length > 1) throw wrong(attribute, 'has more than one primary value')
  return read
}

/** Any attribute's value; undefined for unassigned, as an empty list is. */
export function readValue(attribute: Attribute, value: unknown): AttributeValue | undefined {
  if (!attribute.multiValued) return readOne(attribute, value)
  const read = readMany(attribute, value)
  return read.length > 0 ? read : undefined
}
