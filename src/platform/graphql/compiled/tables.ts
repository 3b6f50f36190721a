/**
 * Where a model's rows lie: table and columns by the names that the graph knows them by. Read from what Prisma generated; a model or
 * column that is not plain is not here, and whoever needs it takes the ordinary path.
 */
import { isDeepStrictEqual } from 'node:util'
import { getDatamodel } from '../../db/generated/pothos-types.ts'
import type { StoredModels } from '../../db/stored-models.ts'

export interface Column {
  readonly name: string
  /** Prisma's type, such as `String`; an enum's own name for one. */
  readonly type: string
  readonly isEnum: boolean
  readonly isList: boolean
  readonly isRequired: boolean
}

export interface Relation {
  readonly to: string
  readonly isList: boolean
  /** Pairs of columns: here, there. */
  readonly on: readonly (readonly [string, string])[]
}

export interface Table {
  readonly model: string
  /** Qualified and quoted. */
  readonly name: string
  readonly key: readonly string[]
  readonly columns: ReadonlyMap<string, Column>
  readonly relations: ReadonlyMap<string, Relation>
  /** Sets of columns that hold no value twice. */
  readonly uniques: readonly (readonly string[])[]
}

interface Field {
  readonly name: string
  readonly kind: string
  readonly type: string
  readonly isRequired: boolean
  readonly isList: boolean
  readonly relationName?: string
  readonly relationFromFields?: readonly string[]
}
interface Model {
  readonly fields: readonly Field[]
  readonly primaryKey: { readonly fields: readonly string[] } | null
  readonly uniqueIndexes: readonly { readonly fields: readonly string[] }[]
}

export type Tables = ReadonlyMap<string, Table>

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

export function readTables(stored: StoredModels): Tables {
  const models = getDatamodel().datamodel.models as unknown as Readonly<Record<string, Model>>
  const columnName = (model: string, field: string): string =>
    stored.models[model]!.fields.find(({ name }) => name === field)?.dbName ?? field
  const tables = new Map<string, Table>()
  for (const [name, model] of Object.entries(models)) {
    const { dbName, schema } = stored.models[name] ?? {}
    if (!dbName || !schema) continue
    const columns = new Map<string, Column>()
    const relations = new Map<string, Relation>()
    for (const field of model.fields) {
      const { type, isList, isRequired } = field
      if (field.kind === 'object') {
        const on = joinOf(name, field, models)
        if (on) relations.set(field.name, { to: type, isList, on: on.map(([here, there]) => [columnName(name, here), columnName(type, there)]) })
      } else if (field.kind === 'scalar' || field.kind === 'enum') {
        columns.set(field.name, { name: columnName(name, field.name), type, isEnum: field.kind === 'enum', isList, isRequired })
      }
    }
    const inColumns = (fields: readonly string[]) => fields.map((field) => columnName(name, field))
    const key = inColumns(model.primaryKey?.fields ?? [])
    const uniques = [key, ...model.uniqueIndexes.map(({ fields }) => inColumns(fields))]
    tables.set(name, { model: name, name: `${quoted(schema)}.${quoted(dbName)}`, key, columns, relations, uniques })
  }
  return tables
}

/** The key that a relation is taken to lead to. */
const usualKey = ['tenantId', 'id']
const isUsual = (key: readonly string[] | undefined): boolean => isDeepStrictEqual(key, usualKey)

/**
 * The pairs of fields that a relation joins. What a relation refers to is not generated: only one of two fields, to a model whose key is the
 * usual one, is taken to lead to that key, and a test of the schema's files makes sure that every such relation does.
 */
function joinOf(model: string, field: Field, models: Readonly<Record<string, Model>>): (readonly [string, string])[] | null {
  const target = models[field.type]
  if (!target) return null
  const own = field.relationFromFields ?? []
  if (own.length > 0) {
    return own.length === usualKey.length && isUsual(target.primaryKey?.fields) ? own.map((one, at) => [one, usualKey[at]!]) : null
  }
  const back = target.fields.filter((one) => one.kind === 'object' && one.type === model && one.relationName === field.relationName && one !== field)
  const theirs = back.length === 1 ? (back[0]!.relationFromFields ?? []) : []
  if (theirs.length !== usualKey.length || !isUsual(models[model]!.primaryKey?.fields)) return null
  return theirs.map((one, at) => [usualKey[at]!, one])
}
