/**
 * One comparison as SQL over an expression. No pattern language is involved, so `%`, `_`, `\` and regular-expression signs are text.
 * Absent is null and null is not true; `ne` holds for what is absent, because absent is not identical to anything.
 */
import type { Fragment } from '../engine.ts'
import { sql } from './fragment.ts'
import type { Comparison } from './parse.ts'

/** Text, null when absent. `collate "C"` orders by code point, whatever the database's own order is. */
export function compareText(text: Fragment, by: Comparison, to: string): Fragment {
  switch (by) {
    case 'eq':
      return sql`${text} = ${to}::text`
    case 'ne':
      return sql`${text} is distinct from ${to}::text`
    case 'co':
      return sql`strpos(${text}, ${to}::text) > 0`
    case 'sw':
      return sql`starts_with(${text}, ${to}::text)`
    case 'ew':
      return sql`right(${text}, length(${to}::text)) = ${to}::text`
    case 'gt':
      return sql`${text} > ${to}::text collate "C"`
    case 'ge':
      return sql`${text} >= ${to}::text collate "C"`
    case 'lt':
      return sql`${text} < ${to}::text collate "C"`
    case 'le':
      return sql`${text} <= ${to}::text collate "C"`
  }
}

/** A time; rows keep microseconds and show milliseconds, so both sides are cut to what is shown. */
export function compareTime(column: Fragment, by: Comparison, to: string): Fragment {
  const time = sql`date_trunc('milliseconds', ${column})`
  switch (by) {
    case 'ne':
      return sql`${time} <> ${to}::timestamptz`
    case 'gt':
      return sql`${time} > ${to}::timestamptz`
    case 'ge':
      return sql`${time} >= ${to}::timestamptz`
    case 'lt':
      return sql`${time} < ${to}::timestamptz`
    case 'le':
      return sql`${time} <= ${to}::timestamptz`
    default:
      return sql`${time} = ${to}::timestamptz`
  }
}

/** A boolean that may be absent. */
export function compareTruth(truth: Fragment, by: Comparison, to: boolean): Fragment {
  return by === 'ne' ? sql`${truth} is distinct from ${to}::boolean` : sql`${truth} = ${to}::boolean`
}
