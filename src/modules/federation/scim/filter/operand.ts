/**
 * What a comparison compares with: the literal brought to the attribute's type and folded by its case rule. It refuses operators that
 * mean nothing for the type (RFC 7644 §3.4.2.2: order of booleans and binary values) and literals of another type.
 */
import type { Attribute } from '../schema/attribute.ts'
import { invalidFilter } from '../schema/faults.ts'
import { foldBy } from '../schema/fold.ts'
import { named } from '../schema/resource.ts'
import type { Comparison } from './parse.ts'
import type { Literal } from './tokens.ts'

const ordering: ReadonlySet<Comparison> = new Set(['gt', 'ge', 'lt', 'le'])
const searching: ReadonlySet<Comparison> = new Set(['co', 'sw', 'ew'])

/** xsd:dateTime with a time zone (RFC 7643 §2.3.5). */
const dateTime = /^-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

const refuse = (attribute: Attribute, what: string) => invalidFilter({ detail: `${attribute.name} ${what}.` })

/** The attribute a comparison is about: a complex one stands for its `value` (RFC 7644 §3.4.2.2). @throws invalidFilter without one. */
export function comparable(attribute: Attribute): Attribute {
  if (attribute.type !== 'complex') return attribute
  const value = named(attribute.subAttributes ?? [], 'value')
  if (!value) throw refuse(attribute, 'is complex: compare one of its sub-attributes')
  return value
}

function readTime(attribute: Attribute, text: string): string {
  const time = dateTime.test(text) ? new Date(text) : null
  if (!time || Number.isNaN(time.getTime()) || time.getUTCFullYear() > 9999 || time.getUTCFullYear() < 0) {
    throw refuse(attribute, 'is compared with a date and time such as 2026-01-31T08:00:00Z')
  }
  return time.toISOString()
}

/** The folded literal. `null` is not one: `eq null` and `ne null` ask for presence, and the caller knows them before. */
export function operand(attribute: Attribute, by: Comparison, to: Exclude<Literal, null>): string | boolean {
  switch (attribute.type) {
    case 'boolean': {
      if (by !== 'eq' && by !== 'ne') throw refuse(attribute, `cannot be compared by ${by}`)
      const word = String(to).toLowerCase()
      if (word !== 'true' && word !== 'false') throw refuse(attribute, 'is compared with true or false')
      return word === 'true'
    }
    case 'dateTime':
      if (searching.has(by)) throw refuse(attribute, `cannot be compared by ${by}`)
      return readTime(attribute, String(to))
    default:
      if (attribute.type === 'binary' && ordering.has(by)) throw refuse(attribute, `cannot be compared by ${by}`)
      if (typeof to !== 'string') throw refuse(attribute, 'is compared with text in double quotes')
      return foldBy(attribute, to)
  }
}

/** Whether a comparison asks for presence, and which way; undefined when it does not. @throws invalidFilter for an order of null. */
export function asksPresence(attribute: Attribute, by: Comparison, to: Literal): boolean | undefined {
  if (to !== null) return undefined
  if (by !== 'eq' && by !== 'ne') throw refuse(attribute, `cannot be compared with null by ${by}`)
  return by === 'ne'
}
