/** A value filter over the parts of one stored value: which of a user's few e-mails a path means. Lists of resources never come here. */
import type { AttributeMap, AttributeValue } from '../engine.ts'
import type { Attribute } from '../schema/attribute.ts'
import { foldBy } from '../schema/fold.ts'
import { named } from '../schema/resource.ts'
import { asksPresence, operand } from '../filter/operand.ts'
import type { Comparison, Condition } from '../filter/parse.ts'

/** Orders by code point, as the database does; `<` on strings orders by UTF-16 unit. */
function order(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function compare(held: string, by: Comparison, asked: string): boolean {
  switch (by) {
    case 'eq':
      return held === asked
    case 'ne':
      return held !== asked
    case 'co':
      return held.includes(asked)
    case 'sw':
      return held.startsWith(asked)
    case 'ew':
      return held.endsWith(asked)
    case 'gt':
      return order(held, asked) > 0
    case 'ge':
      return order(held, asked) >= 0
    case 'lt':
      return order(held, asked) < 0
    case 'le':
      return order(held, asked) <= 0
  }
}

function leaf(sub: Attribute, held: AttributeValue | undefined, condition: Extract<Condition, { is: 'compared' | 'present' }>): boolean {
  const some = held !== undefined && held !== ''
  if (condition.is === 'present') return some
  const { by, to } = condition
  const present = asksPresence(sub, by, to)
  if (present !== undefined) return present === some
  const asked = operand(sub, by, to!)
  if (held === undefined) return by === 'ne'
  if (typeof asked === 'boolean') return (held === asked) === (by === 'eq')
  return compare(foldBy(sub, String(held)), by, asked)
}

/** Whether `value`, one of `attribute`'s, fits. @throws invalidFilter as the SQL of the same filter would. */
export function matches(attribute: Attribute, condition: Condition, value: AttributeMap): boolean {
  switch (condition.is) {
    case 'all':
      return condition.of.every((one) => matches(attribute, one, value))
    case 'any':
      return condition.of.some((one) => matches(attribute, one, value))
    case 'not':
      return !matches(attribute, condition.of, value)
    case 'within':
      return false
    default: {
      const sub = named(attribute.subAttributes ?? [], condition.path)!
      return leaf(sub, Object.hasOwn(value, sub.name) ? value[sub.name] : undefined, condition)
    }
  }
}

/** The value that a filter describes: what its `eq`s, joined by `and`, say. Null for a filter that describes none. */
export function described(attribute: Attribute, condition: Condition): AttributeMap | null {
  if (condition.is === 'all') {
    const parts = condition.of.map((one) => described(attribute, one))
    return parts.includes(null) ? null : Object.assign({}, ...parts)
  }
  if (condition.is !== 'compared' || condition.by !== 'eq' || condition.to === null) return null
  const sub = named(attribute.subAttributes ?? [], condition.path)!
  const value = operand(sub, 'eq', condition.to)
  // Text is kept as it was written, not as it is compared.
  return { [sub.name]: typeof value === 'boolean' ? value : String(condition.to) }
}
