/**
 * Envelopes: the fields of a row that are sealed as one text, opened together and erased together. Refuses, before anything is served,
 * fields in one envelope that differ in the permission that opens them or in whose erasure destroys them: whoever opens one of them has
 * opened the others, and whoever erases one has erased them all. See infra/decisions/0003-one-envelope-a-row.md.
 */
import type { ModelName } from './db/unit.ts'

export interface SealedField {
  /** The permission that opens it. */
  readonly permission: string
  /** The field of the row that names the person with whose key it is sealed, and with whose erasure it is gone; `id`: the row is the person. */
  readonly erasedWith: string
}

export interface Envelope<Model extends string = ModelName> {
  readonly model: Model
  /** The column that holds it. */
  readonly column: string
  readonly fields: Readonly<Record<string, SealedField>>
}

/** What all fields of one envelope share. */
export interface DeclaredEnvelope extends SealedField {
  readonly names: ReadonlySet<string>
}

/** By `Model.column`. */
export type Envelopes = ReadonlyMap<string, DeclaredEnvelope>

/** Fields that are all opened by one permission and erased with one person. */
export const sealedAlike = (names: readonly string[], { permission, erasedWith }: SealedField): Record<string, SealedField> =>
  Object.fromEntries(names.map((name) => [name, { permission, erasedWith }]))

interface Declaring {
  readonly name: string
  readonly owns: readonly string[]
  readonly envelopes: readonly Envelope<string>[]
}

/** The envelopes that the modules declare. @throws when one is empty, another module's or declared twice, or its fields do not belong together. */
export function envelopesOf(modules: readonly Declaring[]): Envelopes {
  const declared = new Map<string, DeclaredEnvelope>()
  for (const { name: module, owns, envelopes } of modules) {
    for (const { model, column, fields } of envelopes) {
      const place = `${model}.${column}`
      if (!owns.includes(model)) throw new Error(`Module ${module} declares the envelope ${place}, but does not own ${model}.`)
      if (declared.has(place)) throw new Error(`The envelope ${place} is declared twice.`)
      const [first, ...others] = Object.entries(fields)
      if (!first) throw new Error(`The envelope ${place} has no fields.`)
      for (const [other, { permission, erasedWith }] of others) {
        const differs = permission !== first[1].permission ? 'permission' : erasedWith !== first[1].erasedWith ? 'erasure' : null
        if (differs) throw new Error(`Fields ${first[0]} and ${other} share the envelope ${place} and differ in ${differs}: seal them apart.`)
      }
      declared.set(place, { ...first[1], names: new Set(Object.keys(fields)) })
    }
  }
  return declared
}

/**
 * Refuses what would put something else into an envelope than was declared for it. A mistake of the calling code, so a plain error; it
 * names fields, never what they hold.
 */
export function refuseUndeclared(
  envelopes: Envelopes,
  { model, field, subjectId, rowId, record }: { model: string; field: string; subjectId: string; rowId: string; record: object },
): void {
  const place = `${model}.${field}`
  const envelope = envelopes.get(place)
  if (!envelope) throw new Error(`No module declares the envelope ${place}.`)
  const names = Object.keys(record)
  for (const name of names) {
    if (!envelope.names.has(name)) throw new Error(`The field ${name} is not declared for the envelope ${place}.`)
  }
  // An empty one holds nobody's data.
  if (envelope.erasedWith === 'id' && subjectId !== rowId && names.length > 0) throw new Error(`The envelope ${place} is erased with its own row, and sealed with another's key.`)
}
