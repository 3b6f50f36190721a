/**
 * One read document as one SQL statement, planned once. A plan exists only where every field of the document is a plain column, a plain
 * relation or a marked read; it says which permissions its fields ask for. Anything else has no plan and takes the ordinary path.
 */
import {
  getNamedType,
  GraphQLString,
  isObjectType,
  Kind,
  OperationTypeNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLObjectType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql'
import type { Access } from '../access.ts'
import { connectionSql, edgesShape, type PageParts } from './connection.ts'
import { collect, type Selected } from './collect.ts'
import { columnValue, doubt, globalId, join, literal, type Part } from './json-text.ts'
import { markOf } from './marks.ts'
import { isPageInOrderOfIds, isWholeRelation, onlyOf } from './prisma-queries.ts'
import { exposedBy, extensionOf, hasDecisiveOptions, modelOf, relationBy } from './schema-facts.ts'
import { sealedPlace, type SealedPlace } from './sealed-places.ts'
import type { Slot } from './slots.ts'
import { quoted, type Relation, type Table, type Tables } from './tables.ts'

export interface Plan {
  /** One row, one column: the text of the answer's `data`. `$1` is the tenant. */
  readonly text: string
  readonly slots: readonly Slot[]
  /** What a caller must hold, all of it; a signed-in caller it must be in any case. */
  readonly permissions: ReadonlySet<string>
  readonly operation: OperationDefinitionNode
  /** How the sealed texts are opened whose places the answer holds. */
  readonly sealed: readonly SealedPlace[]
}

const pageArguments = ['first', 'after', 'last', 'before'] as const

/** Thrown inside the planner alone: this document has no plan. */
class NoPlan extends Error {}

function unplanned(): never {
  throw new NoPlan()
}

/** @param document valid for the schema and within every limit. @returns null where the ordinary path must answer. */
export function planOf(document: DocumentNode, schema: GraphQLSchema, tables: Tables): Plan | null {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
  const [operation] = operations
  if (operations.length !== 1 || operation?.operation !== OperationTypeNode.QUERY) return null
  const fragments = new Map(
    document.definitions.filter((one) => one.kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one] as const),
  )
  try {
    return new Planner(tables, fragments).plan(operation, schema.getQueryType()!)
  } catch (error) {
    if (error instanceof NoPlan) return null
    throw error
  }
}

class Planner {
  readonly #tables: Tables
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>
  readonly #slots: Slot[] = []
  readonly #permissions = new Set<string>()
  readonly #sealed: SealedPlace[] = []
  #aliases = 0

  constructor(tables: Tables, fragments: ReadonlyMap<string, FragmentDefinitionNode>) {
    this.#tables = tables
    this.#fragments = fragments
  }

  plan(operation: OperationDefinitionNode, root: GraphQLObjectType): Plan {
    if ((operation.directives ?? []).length > 0) return unplanned()
    const answer = this.#object(root, this.#fields(root, [operation]), (selected) => this.#rootField(root, selected))
    const text = `select ${join(answer)}`
    // Nothing is read of anybody, and a parameter that the statement does not name is a mistake to the database.
    if (!text.includes('$1')) return unplanned()
    return { text, slots: this.#slots, permissions: this.#permissions, operation, sealed: this.#sealed }
  }

  #fields(type: GraphQLObjectType, nodes: Parameters<typeof collect>[1]): readonly Selected[] {
    return collect(type, nodes, this.#fragments) ?? unplanned()
  }

  /** `{"a":...,"b":...}` */
  #object(type: GraphQLObjectType, fields: readonly Selected[], value: (selected: Selected) => Part[]): Part[] {
    const parts: Part[] = [{ text: '{' }]
    for (const [at, selected] of fields.entries()) {
      parts.push({ text: `${at > 0 ? ',' : ''}${JSON.stringify(selected.key)}:` })
      if (selected.name === '__typename') parts.push({ text: JSON.stringify(type.name) })
      else parts.push(...value(selected))
    }
    parts.push({ text: '}' })
    return parts
  }

  /** The field's definition, once its access mark is noted. Types of a page's frame have none. */
  #guarded(type: GraphQLObjectType, { name }: Selected) {
    const field = type.getFields()[name]
    if (!field || hasDecisiveOptions(field) || hasDecisiveOptions(type)) return unplanned()
    const access = extensionOf(field, 'access') as Access | undefined
    if (!access) return unplanned()
    if (typeof access === 'object') this.#permissions.add(access.permission)
    return field
  }

  #rootField(root: GraphQLObjectType, selected: Selected): Part[] {
    const field = this.#guarded(root, selected)
    const mark = markOf(field)
    if (!mark || mark.kind === 'only' || mark.kind === 'sealed') return unplanned()
    const table = this.#tables.get(mark.model) ?? unplanned()
    const [tenantColumn, idColumn] = table.key
    if (table.key.length !== 2 || tenantColumn !== 'tenant_id' || idColumn !== 'id') return unplanned()
    const node = selected.nodes[0]!
    const type = getNamedType(field.type)
    if (!isObjectType(type)) return unplanned()
    if (mark.kind === 'one') {
      if (modelOf(type) !== mark.model) return unplanned()
      const row = this.#alias()
      const id = this.#slot({ kind: 'id', field, node, argument: mark.idArgument, typename: type.name })
      const where = `${row}.tenant_id = $1::uuid and ${row}.id = ${id}::uuid`
      const one = `(select ${join(this.#row(type, table, row, selected.nodes))} from ${table.name} ${row} where ${where})`
      return [{ sql: `coalesce(${one}, ${doubt})` }]
    }
    // What the mark does not speak of, the resolver alone understands.
    const spokenOf = new Set<string>([...pageArguments, ...Object.keys(mark.equals)])
    if (selected.nodes.some((one) => one.arguments?.some(({ name }) => !spokenOf.has(name.value)))) return unplanned()
    const conditions = (row: string) => [
      `${row}.tenant_id = $1::uuid`,
      ...Object.entries(mark.equals).map(([argument, name]) => {
        const column = table.columns.get(name) ?? unplanned()
        const value = this.#slot({ kind: 'text', field, node, argument })
        return `(${value}::text is null or ${row}.${quoted(column.name)}::text = ${value}::text)`
      }),
    ]
    return this.#page(type, table, conditions, { field, node }, selected)
  }

  #row(type: GraphQLObjectType, table: Table, row: string, nodes: readonly FieldNode[]): Part[] {
    return this.#object(type, this.#fields(type, nodes), (selected) => this.#rowField(type, table, row, selected))
  }

  #rowField(type: GraphQLObjectType, table: Table, row: string, selected: Selected): Part[] {
    const field = this.#guarded(type, selected)
    if (selected.name === 'id' && modelOf(type) === table.model) return globalId(type.name, `${row}.id`)
    const exposed = exposedBy(field)
    if (exposed !== undefined) {
      const column = table.columns.get(exposed) ?? unplanned()
      return [{ sql: columnValue(field.type, column, `${row}.${quoted(column.name)}`) ?? unplanned() }]
    }
    const mark = markOf(field)
    if (mark?.kind === 'sealed') {
      const column = table.columns.get(mark.column) ?? unplanned()
      if (field.type !== GraphQLString || table.key.at(-1) !== 'id' || !column.isRequired || column.type !== 'String') return unplanned()
      const envelope = `${row}.${quoted(column.name)}`
      const sent = this.#sealed.find(({ source }) => source.envelope === envelope && source.read === mark.read)?.source
      const place = this.#sealed.push({ source: sent ?? { envelope, read: mark.read }, name: mark.name }) - 1
      return [{ sql: sealedPlace(place, `${row}.id`, sent ? null : envelope) }]
    }
    const name = relationBy(field) ?? (mark?.kind === 'only' ? mark.relation : unplanned())
    const relation = table.relations.get(name) ?? unplanned()
    const target = this.#tables.get(relation.to) ?? unplanned()
    const joined = (other: string) => relation.on.map(([here, there]) => `${other}.${quoted(there)} = ${row}.${quoted(here)}`)
    const to = getNamedType(field.type)
    if (!isObjectType(to)) return unplanned()
    if (!mark && relation.isList) {
      if (!isPageInOrderOfIds(field, name)) return unplanned()
      return this.#page(to, target, joined, { field, node: selected.nodes[0]! }, selected)
    }
    if (modelOf(to) !== target.model) return unplanned()
    if (mark ? !this.#isOnly(field, relation, target, name) : !isWholeRelation(field, name)) return unplanned()
    const other = this.#alias()
    const one = `(select ${join(this.#row(to, target, other, selected.nodes))} from ${target.name} ${other} where ${joined(other).join(' and ')})`
    // A row that the policies hide is null where the graph allows it.
    return [{ sql: `coalesce(${one}, ${field.type === to ? literal('null') : doubt})` }]
  }

  /** A list of which the columns that are joined hold no value twice has one row at most. */
  #isOnly(field: Parameters<typeof onlyOf>[0], { isList, on }: Relation, target: Table, name: string): boolean {
    const there = on.map(([, column]) => column)
    const isUnique = target.uniques.some((unique) => unique.length === there.length && unique.every((column) => there.includes(column)))
    return isList && isUnique && onlyOf(field, name)
  }

  #page(type: GraphQLObjectType, table: Table, conditions: (row: string) => string[], of: PageParts, selected: Selected): Part[] {
    const shape = edgesShape(type, selected, (on, nodes) => this.#fields(on, nodes)) ?? unplanned()
    if (modelOf(shape.nodeType) !== table.model || table.key.at(-1) !== 'id') return unplanned()
    const row = this.#alias()
    const size = this.#slot({ kind: 'size', ...of })
    const node = (nodes: readonly FieldNode[]) => this.#row(shape.nodeType, table, row, nodes)
    return [{ sql: connectionSql(shape, table, row, conditions(row), size, node) }]
  }

  #slot(slot: Slot): string {
    this.#slots.push(slot)
    return `$${this.#slots.length + 1}`
  }

  #alias(): string {
    return `t${this.#aliases++}`
  }
}
