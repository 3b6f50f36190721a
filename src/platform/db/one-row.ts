/**
 * One row by its key, without the generated client, where only columns are asked for: most of what a use case looks up before it decides,
 * and what an answer reads again after a command. Whatever else is asked has no such statement and is the client's.
 */
import type { StoredModels } from './stored-models.ts'

export interface OneRow {
  readonly text: string
  readonly values: readonly string[]
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
const hasOnly = (record: object, ...names: readonly string[]): boolean => Object.keys(record).every((name) => names.includes(name))

export class OneRows {
  readonly #stored: StoredModels
  /** By model and columns: statements are few, for documents and repos are. */
  readonly #texts = new Map<string, string | null>()

  constructor(stored: StoredModels) {
    this.#stored = stored
  }

  /** The statement of a `findUnique` with these arguments, or null where only the client can answer. */
  of(model: string, args: unknown): OneRow | null {
    if (!isRecord(args) || !isRecord(args['where']) || !hasOnly(args, 'where', 'select')) return null
    const { where, select } = args
    const key = where['tenantId_id']
    if (!isRecord(key) || !hasOnly(where, 'tenantId_id') || !hasOnly(key, 'tenantId', 'id')) return null
    const { tenantId, id } = key
    if (typeof tenantId !== 'string' || typeof id !== 'string') return null
    if (select !== undefined && (!isRecord(select) || Object.values(select).some((one) => one !== true && one !== false))) return null
    const wanted = select === undefined ? null : Object.keys(select).filter((name) => select[name])
    const entry = `${model} ${wanted?.join(' ') ?? '*'}`
    let text = this.#texts.get(entry)
    if (text === undefined) this.#texts.set(entry, (text = this.#textOf(model, wanted)))
    return text === null ? null : { text, values: [tenantId, id] }
  }

  #textOf(name: string, wanted: readonly string[] | null): string | null {
    const model = this.#stored.models[name]
    if (!model?.dbName || !model.schema) return null
    const columns = model.fields.filter(({ kind }) => kind !== 'object')
    const names = wanted ?? columns.map((column) => column.name)
    const fields = names.map((one) => columns.find((column) => column.name === one))
    if (fields.length === 0) return null
    const selected: string[] = []
    for (const field of fields) {
      // An enum whose values have other names in the database would have to be translated.
      if (!field || (field.kind === 'enum' && this.#stored.enums[field.type]?.values.some(({ dbName }) => dbName))) return null
      selected.push(`${quoted(field.dbName ?? field.name)} as ${quoted(field.name)}`)
    }
    return `select ${selected.join(', ')} from ${quoted(model.schema)}.${quoted(model.dbName)} where tenant_id = $1::uuid and id = $2::uuid`
  }
}
