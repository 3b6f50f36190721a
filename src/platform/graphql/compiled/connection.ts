/** A page in the form of edges and nodes (the Relay cursor connections specification), as one SQL expression. */
import { getNamedType, isObjectType, type FieldNode, type GraphQLField, type GraphQLObjectType } from 'graphql'
import type { Selected } from './collect.ts'
import { cursor, join, type Part } from './json-text.ts'
import type { Table } from './tables.ts'

/** The field that answers the page, as it is written in the document. */
export interface PageParts {
  readonly field: GraphQLField<unknown, unknown>
  readonly node: FieldNode
}

interface Member {
  readonly key: string
  readonly name: string
  readonly typename: string
  readonly nodes: readonly FieldNode[]
}

export interface PageShape {
  readonly nodeType: GraphQLObjectType
  readonly members: readonly (Member & { readonly inside: readonly Member[] })[]
}

const edgeFields = new Set(['__typename', 'cursor', 'node'])
const infoFields = new Set(['__typename', 'hasNextPage', 'hasPreviousPage', 'startCursor', 'endCursor'])

/** What is asked of a page. @returns null when it is more than edges, cursors and page info. */
export function edgesShape(
  type: GraphQLObjectType,
  selected: Selected,
  fieldsOf: (type: GraphQLObjectType, nodes: readonly FieldNode[]) => readonly Selected[],
): PageShape | null {
  const edge = getNamedType(type.getFields()['edges']?.type)
  const info = getNamedType(type.getFields()['pageInfo']?.type)
  if (!isObjectType(edge) || !isObjectType(info)) return null
  const nodeType = getNamedType(edge.getFields()['node']?.type)
  if (!isObjectType(nodeType)) return null
  const members: PageShape['members'][number][] = []
  for (const { key, name, nodes } of fieldsOf(type, selected.nodes)) {
    const inner = name === 'edges' ? edge : name === 'pageInfo' ? info : null
    if (name !== '__typename' && inner === null) return null
    const inside = inner === null ? [] : fieldsOf(inner, nodes).map((one) => ({ ...one, typename: inner.name }))
    const allowed = name === 'edges' ? edgeFields : infoFields
    if (inside.some((one) => !allowed.has(one.name))) return null
    members.push({ key, name, typename: type.name, nodes, inside })
  }
  return { nodeType, members }
}

const keyed = (members: readonly Member[], value: (member: Member) => Part[]): Part[] => [
  { text: '{' },
  ...members.flatMap((member, at): Part[] => [
    { text: `${at > 0 ? ',' : ''}${JSON.stringify(member.key)}:` },
    ...(member.name === '__typename' ? [{ text: JSON.stringify(member.typename) }] : value(member)),
  ]),
  { text: '}' },
]

/**
 * @param size SQL of the number of rows that are answered; one more is looked for where the page says whether there is one.
 * @param node the JSON of a row.
 */
export function connectionSql(
  shape: PageShape,
  table: Table,
  row: string,
  conditions: readonly string[],
  size: string,
  node: (nodes: readonly FieldNode[]) => Part[],
): string {
  const saysMore = shape.members.some(({ name }) => name === 'pageInfo')
  const inPage = saysMore ? ` filter (where ${row}.place <= ${size}::int)` : ''
  const edgesOf = (inside: readonly Member[]): string => {
    const edge = keyed(inside, ({ name, nodes }) => (name === 'cursor' ? [{ sql: cursor(`${row}.id`) }] : node(nodes)))
    return `coalesce(string_agg(${join(edge)}, ',' order by ${row}.id)${inPage}, '')`
  }
  const end = (direction: string) => `coalesce(${cursor(`(array_agg(${row}.id order by ${row}.id ${direction})${inPage})[1]`)}, 'null')`
  const info = ({ name }: Member): Part[] => {
    if (name === 'hasPreviousPage') return [{ text: 'false' }]
    if (name === 'hasNextPage') return [{ sql: `case when count(*) > ${size}::int then 'true' else 'false' end` }]
    return [{ sql: end(name === 'startCursor' ? 'asc' : 'desc') }]
  }
  const whole = keyed(shape.members, (member) => {
    const { name, inside } = member as PageShape['members'][number]
    return name === 'edges' ? [{ text: '[' }, { sql: edgesOf(inside) }, { text: ']' }] : keyed(inside, info)
  })
  const place = saysMore ? `, row_number() over (order by ${row}.id) as place` : ''
  const rows = `select ${row}.*${place} from ${table.name} ${row} where ${conditions.join(' and ')} order by ${row}.id limit ${size}::int${saysMore ? ' + 1' : ''}`
  // One row, also where nothing that is asked counts the rows.
  return `(select ${join(whole)} from (${rows}) ${row} having true)`
}
