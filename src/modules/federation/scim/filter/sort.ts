/** What `sortBy` orders by (RFC 7644 §3.4.2.3): the folded value, of several the primary one, else the first. */
import type { CompileSort } from '../engine.ts'
import { invalidPath } from '../schema/faults.ts'
import { isOfAnother, named, resolve, type Target } from '../schema/resource.ts'
import { sql } from './fragment.ts'
import { ownText, single, timeColumn } from './place.ts'

/** Columns that are never null and ordered by code point, so that an index in their order serves. */
const plain: ReadonlyMap<string, string> = new Map([
  ['userName', 'user_name_key'],
  ['displayName', 'display_name_key'],
  ['id', 'id'],
])

const unsortable = () => invalidPath({ detail: 'sortBy names an attribute that cannot be sorted by.' })

/** The sub-attribute a complex attribute is sorted by. */
function leafOf({ attribute, sub, extension }: Target): Target {
  if (sub || attribute.type !== 'complex') return { attribute, sub, extension }
  const value = named(attribute.subAttributes ?? [], 'value')
  if (!value) throw unsortable()
  return { attribute, sub: value, extension }
}

/** @throws invalidPath for an attribute that is unknown, complex without a value, never shown, or kept in another table. */
export const compileSort: CompileSort = (sortBy, resource, ground) => {
  const found = resolve(resource, sortBy)
  if (!found && ground?.isAmongOthers && isOfAnother(resource, sortBy)) return { expression: sql`null::text collate "C"`, column: null }
  if (!found) throw unsortable()
  const target = leafOf(found)
  const { attribute, sub } = target
  const last = sub ?? attribute
  if (['password', 'schemas', 'groups', 'members'].includes(attribute.name) || last.name === 'location' || last.type === 'binary')
    throw unsortable()
  // ISO 8601 in UTC orders as time does, and makes one text expression of every sort.
  if (last.type === 'dateTime') {
    return { expression: sql`to_char(${timeColumn(target)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') collate "C"`, column: null }
  }
  if (attribute.multiValued) {
    const json = single({ ...target, sub: null }).json
    const name = { strings: [`'${sub!.name}'`], values: [] }
    return {
      expression: sql`(select e.v->>${name} from jsonb_array_elements(${json}) with ordinality e(v, n)
        order by e.v->'primary' = 'true'::jsonb desc nulls last, e.n limit 1) collate "C"`,
      column: null,
    }
  }
  if (attribute.name === 'active') return { expression: sql`r.active::text collate "C"`, column: null }
  const own = ownText(resource, target)
  const isPlain = own !== null && (attribute.name !== 'displayName' || resource === 'Group')
  return { expression: sql`${own ?? single(target).text} collate "C"`, column: isPlain ? (plain.get(attribute.name) ?? null) : null }
}
