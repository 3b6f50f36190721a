/**
 * A filter as a condition in SQL (RFC 7644 §3.4.2.2) over the row `r`. Nothing is filtered in memory.
 *
 * Three-valued logic is tamed at one place: a leaf about something absent is null, AND and OR pass that on, and `not` is `is not true`.
 * A multi-valued attribute matches when one of its values does; equality of the indexed ones goes through scim.user_value, because Row
 * Level Security lets only leakproof operators use an index, and text equality is one.
 */
import type { CompileFilter, FilterGround, Fragment, ResourceName } from '../engine.ts'
import type { Attribute } from '../schema/attribute.ts'
import { indexedAttributes } from '../schema/columns.ts'
import { invalidFilter } from '../schema/faults.ts'
import { memberId } from '../schema/read-group.ts'
import { isOfAnother, named, resolve, type Target } from '../schema/resource.ts'
import { compareText, compareTime, compareTruth } from './comparison.ts'
import { joined, sql } from './fragment.ts'
import { asksPresence, comparable, operand } from './operand.ts'
import { parseFilter, type Condition } from './parse.ts'
import { many, memberPart, ownText, single, timeColumn } from './place.ts'

type Compared = Extract<Condition, { is: 'compared' }>
type Leaf = Extract<Condition, { is: 'compared' | 'present' }>

interface Ground extends FilterGround {
  readonly resource: ResourceName
}

const unknown = () => invalidFilter({ detail: 'The filter names an attribute that this kind of resource does not have.' })

/** A leaf over one expression of text, which is null when absent. */
function textLeaf(attribute: Attribute, text: Fragment, leaf: Leaf): Fragment {
  const present = leaf.is === 'present' ? true : asksPresence(attribute, leaf.by, leaf.to)
  if (present !== undefined) {
    // An empty text counts as no value (RFC 7644 §3.4.2.2: pr).
    return present ? sql`${text} <> ''` : sql`(${text} <> '') is not true`
  }
  const { by, to } = leaf as Compared
  const value = operand(attribute, by, to!)
  if (typeof value === 'boolean') return compareTruth(sql`${text}::boolean`, by, value)
  return compareText(text, by, value)
}

/** Ids are compared as ids while that is possible, so that their index serves. */
function idLeaf(attribute: Attribute, leaf: Leaf): Fragment {
  if (leaf.is === 'present' || leaf.to === null || leaf.by !== 'eq') return textLeaf(attribute, sql`r.id::text`, leaf)
  const id = String(operand(attribute, leaf.by, leaf.to))
  return memberId(id) === id ? sql`r.id = ${id}::uuid` : sql`false`
}

function timeLeaf(target: Target, leaf: Leaf): Fragment {
  const attribute = target.sub!
  const present = leaf.is === 'present' ? true : asksPresence(attribute, leaf.by, leaf.to)
  if (present !== undefined) return present ? sql`true` : sql`false`
  const { by, to } = leaf as Compared
  return compareTime(timeColumn(target), by, String(operand(attribute, by, to!)))
}

function singleLeaf(target: Target, leaf: Leaf, ground: Ground): Fragment {
  const { attribute, sub } = target
  const isPresence = leaf.is === 'present' || leaf.to === null
  if (attribute.name === 'meta' && !sub && isPresence) return leaf.is === 'present' || leaf.by === 'ne' ? sql`true` : sql`false`
  if (attribute.type === 'complex' && !sub) {
    if (!isPresence) {
      const value = comparable(attribute)
      return singleLeaf({ ...target, sub: value }, leaf, ground)
    }
    const present = leaf.is === 'present' || asksPresence(attribute, leaf.by, leaf.to)
    const { json } = single(target)
    return present ? sql`${json} is not null` : sql`${json} is null`
  }
  const last = sub ?? attribute
  if (last.type === 'dateTime') return timeLeaf(target, leaf)
  if (last.name === 'id') return idLeaf(last, leaf)
  if (last.name === 'active') {
    if (!isPresence) return compareTruth(sql`r.active`, leaf.by, operand(last, leaf.by, leaf.to!) as boolean)
    const present = leaf.is === 'present' || asksPresence(last, leaf.by, leaf.to)
    return present ? sql`${single(target).text} is not null` : sql`${single(target).text} is null`
  }
  return textLeaf(last, ownText(ground.resource, target) ?? single(target).text, leaf)
}

/** Rows one of whose values equals, found by index; null when there is no index for it. */
function indexed({ extension, attribute }: Target, value: string, { tenantId, connectionId }: Ground): Fragment | null {
  if (extension) return null
  if ((indexedAttributes as readonly string[]).includes(attribute.name)) {
    const path = `${attribute.name}.value`
    const mine = sql`v.tenant_id = ${tenantId}::uuid and v.connection_id = ${connectionId}::uuid`
    return sql`r.id in (select v.user_id from scim.user_value v where ${mine} and v.path = ${path}::text and v.key = ${value}::text)`
  }
  if (attribute.name !== 'groups' && attribute.name !== 'members') return null
  const id = memberId(value)
  if (id === null) return sql`false`
  const [mine, other] = attribute.name === 'groups' ? [sql`m.user_id`, sql`m.group_id`] : [sql`m.group_id`, sql`m.user_id`]
  return sql`r.id in (select ${mine} from scim.group_member m where m.tenant_id = ${tenantId}::uuid and ${other} = ${id}::uuid)`
}

/** Rows one of whose values fits: `of` is about the parts of a single value. */
function exists(target: Target, of: (part: (name: string | null) => Fragment) => Fragment, ground: Ground): Fragment {
  const { source, part } = many(ground.resource, target, ground)
  return sql`exists (select from ${source} and ${of(part)})`
}

function manyLeaf(target: Target, leaf: Leaf, ground: Ground): Fragment {
  const { attribute, sub } = target
  if (leaf.is === 'compared') {
    const last = sub ?? comparable(attribute)
    const present = asksPresence(last, leaf.by, leaf.to)
    if (present !== undefined) {
      const some = manyLeaf(target, { is: 'present', path: leaf.path }, ground)
      return present ? some : sql`(${some}) is not true`
    }
    const value = operand(last, leaf.by, leaf.to!)
    const quick = leaf.by === 'eq' && last.name === 'value' && typeof value === 'string' ? indexed(target, value, ground) : null
    const name = attribute.type === 'complex' ? last.name : null
    return quick ?? exists(target, (part) => textLeaf(last, part(name), leaf), ground)
  }
  if (!sub) return exists(target, () => sql`true`, ground)
  return exists(target, (part) => textLeaf(sub, part(sub.name), leaf), ground)
}

/** A value filter over the parts of one value; its paths are sub-attributes. */
function partCondition(attribute: Attribute, condition: Condition, part: (name: string) => Fragment): Fragment {
  switch (condition.is) {
    case 'all':
    case 'any':
      return joined(
        condition.of.map((one) => partCondition(attribute, one, part)),
        condition.is === 'all' ? 'and' : 'or',
      )
    case 'not':
      return sql`(${partCondition(attribute, condition.of, part)}) is not true`
    case 'within':
      throw unknown()
    default: {
      const sub = named(attribute.subAttributes ?? [], condition.path)
      if (!sub) throw unknown()
      return textLeaf(sub, part(sub.name), condition)
    }
  }
}

/** The value that `condition` wants its element's `value` to equal, when nothing else can satisfy it. */
function soughtValue(attribute: Attribute, condition: Condition): string | null {
  if (condition.is === 'all') return condition.of.map((one) => soughtValue(attribute, one)).find((one) => one !== null) ?? null
  if (condition.is !== 'compared' || condition.by !== 'eq' || condition.to === null) return null
  const sub = named(attribute.subAttributes ?? [], condition.path)
  return sub?.name === 'value' ? String(operand(sub, 'eq', condition.to)) : null
}

function within(target: Target, of: Condition, ground: Ground): Fragment {
  const { attribute, sub } = target
  if (sub || attribute.type !== 'complex' || attribute.name === 'meta') {
    throw invalidFilter({ detail: `${attribute.name} takes no value filter.` })
  }
  if (!attribute.multiValued)
    return partCondition(attribute, of, (name) => single({ ...target, sub: named(attribute.subAttributes!, name)! }).text)
  const sought = soughtValue(attribute, of)
  const quick = sought === null ? null : indexed(target, sought, ground)
  if (quick && of.is === 'compared') return quick
  const found = exists(target, (part) => partCondition(attribute, of, part), ground)
  return quick ? joined([quick, found], 'and') : found
}

/** Whether it holds for what has no value. */
const isAbsence = (condition: Condition) => condition.is === 'compared' && condition.to === null && condition.by === 'eq'

function compile(condition: Condition, ground: Ground): Fragment {
  switch (condition.is) {
    case 'all':
    case 'any':
      return joined(
        condition.of.map((one) => compile(one, ground)),
        condition.is === 'all' ? 'and' : 'or',
      )
    case 'not':
      return sql`(${compile(condition.of, ground)}) is not true`
    default: {
      const target = resolve(ground.resource, condition.path)
      if (!target) {
        if (!ground.isAmongOthers || !isOfAnother(ground.resource, condition.path)) throw unknown()
        return isAbsence(condition) ? sql`true` : sql`null::boolean`
      }
      if (condition.is === 'within') return within(target, condition.of, ground)
      return target.attribute.multiValued ? manyLeaf(target, condition, ground) : singleLeaf(target, condition, ground)
    }
  }
}

/** @throws invalidFilter for a filter that is malformed, out of bounds, or about what does not exist or cannot be compared so. */
export const compileFilter: CompileFilter = (filter, resource, ground) => compile(parseFilter(filter), { ...ground, resource })

/** A value filter of `members` over `scim.group_member m` and its `scim.user u`, for removing members by it. */
export function compileMemberFilter(members: Attribute, condition: Condition): Fragment {
  return partCondition(members, condition, memberPart)
}
