/**
 * Fields of the graph that read a sealed column, held against what was declared of it: one that opens an envelope bears the one permission
 * that all of the envelope's fields share. Refuses another mark, and a sealed column that nobody declared.
 */
import { isObjectType, type GraphQLField, type GraphQLSchema } from 'graphql'
import { getDatamodel } from '../db/generated/pothos-types.ts'
import type { Envelopes } from '../envelopes.ts'
import type { Access } from './access.ts'

/** What every sealed column is called. */
const sealedColumn = 'phi'

type Models = Readonly<Record<string, { readonly fields: readonly { readonly name: string; readonly type: string; readonly kind: string }[] }>>
type Selected = Readonly<Record<string, unknown>>

/** `Model.column` of every sealed column that a selection reaches, of the model itself and of those beside it. */
function sealedIn(selected: Selected, model: string, models: Models): string[] {
  return Object.entries(selected).flatMap(([name, inner]) => {
    const field = models[model]?.fields.find((one) => one.name === name)
    if (inner === false || !field) return []
    if (field.kind !== 'object') return name === sealedColumn ? [`${model}.${name}`] : []
    const nested = typeof inner === 'object' && inner !== null && 'select' in inner ? (inner.select as Selected) : {}
    return sealedIn(nested, field.type, models)
  })
}

const selectedBy = ({ extensions }: GraphQLField<unknown, unknown>): Selected => {
  const select = extensions['pothosPrismaSelect']
  // A function selects a relation, whose own fields are looked at where they stand.
  return typeof select === 'object' && select !== null ? (select as Selected) : {}
}

/** A sentence for each field that opens an envelope and does not bear its permission; none when all do. */
export function mismarkedSeals(schema: GraphQLSchema, envelopes: Envelopes): string[] {
  const { models } = getDatamodel().datamodel as unknown as { models: Models }
  const found: string[] = []
  for (const type of Object.values(schema.getTypeMap())) {
    const model = isObjectType(type) ? type.extensions['pothosPrismaModel'] : undefined
    if (!isObjectType(type) || typeof model !== 'string') continue
    for (const field of Object.values(type.getFields())) {
      const access = field.extensions['access'] as Access | undefined
      for (const place of sealedIn(selectedBy(field), model, models)) {
        const envelope = envelopes.get(place)
        const permission = typeof access === 'object' ? access.permission : access
        if (!envelope) found.push(`${type.name}.${field.name} opens ${place}, which no module declares.`)
        else if (permission !== envelope.permission) found.push(`${type.name}.${field.name} opens ${place} for ${permission}; it is opened for ${envelope.permission}.`)
      }
    }
  }
  return found
}
