/** A filter's text as a tree of conditions. Precedence and grouping are scim2-parse-filter's; what it may meet is prepared in tokens.ts. */
import { parse, type Filter } from 'scim2-parse-filter'
import { invalidFilter } from '../schema/faults.ts'
import { prepare, type Literal, type Prepared } from './tokens.ts'

export type Comparison = 'eq' | 'ne' | 'co' | 'sw' | 'ew' | 'gt' | 'ge' | 'lt' | 'le'

/** Paths are as the client wrote them; inside `within` they are relative to its path. */
export type Condition =
  | { readonly is: 'all' | 'any'; readonly of: readonly Condition[] }
  | { readonly is: 'not'; readonly of: Condition }
  | { readonly is: 'present'; readonly path: string }
  | { readonly is: 'compared'; readonly path: string; readonly by: Comparison; readonly to: Literal }
  | { readonly is: 'within'; readonly path: string; readonly of: Condition }

function take<Kind>(list: readonly Kind[], name: unknown): Kind {
  const found = list[Number(String(name).replace(/^a/, ''))]
  if (found === undefined) throw invalidFilter({ detail: 'The filter is malformed.' })
  return found
}

function conditionOf(node: Filter, prepared: Prepared): Condition {
  const { paths, literals } = prepared
  const inner = (one: Filter) => conditionOf(one, prepared)
  switch (node.op) {
    case 'and':
    case 'or':
      return { is: node.op === 'and' ? 'all' : 'any', of: node.filters.map(inner) }
    case 'not':
      return { is: 'not', of: inner(node.filter) }
    case '[]':
      return { is: 'within', path: take(paths, node.attrPath), of: inner(node.valFilter) }
    case 'pr':
      return { is: 'present', path: take(paths, node.attrPath) }
    default:
      return { is: 'compared', path: take(paths, node.attrPath), by: node.op, to: take(literals, node.compValue) }
  }
}

/** @throws invalidFilter; the text is bounded before it is parsed. */
export function parseFilter(filter: string): Condition {
  const prepared = prepare(filter)
  return conditionOf(parse(prepared.text), prepared)
}
