/** From one builder to one schema a plane: what a plane may not do does not exist there. */
import { GraphQLSchema, lexicographicSortSchema, printSchema, validateSchema } from 'graphql'
import { planes, type Plane } from '../../kernel/scope.ts'
import type { Envelopes } from '../envelopes.ts'
import { guardingPermissions, unmarkedFields } from './access.ts'
import type { Builder } from './builder.ts'
import { mismarkedSeals } from './sealed-marks.ts'

export interface Schemas {
  readonly plane: Readonly<Record<Plane, GraphQLSchema>>
  /** Permissions that guard at least one field of some plane. */
  readonly guarded: ReadonlySet<string>
}

/** Builds every plane's schema. @throws when a field has no access mark, or another than what it opens asks for, or a plane's schema is not valid. */
export function buildSchemas(builder: Builder, envelopes: Envelopes): Schemas {
  const whole = builder.toSchema({})
  const unmarked = unmarkedFields(whole)
  if (unmarked.length > 0) throw new Error(`Fields without an access mark: ${unmarked.join(', ')}.`)
  const mismarked = mismarkedSeals(whole, envelopes)
  if (mismarked.length > 0) throw new Error(mismarked.join(' '))
  const plane = Object.fromEntries(planes.map((name) => [name, prune(builder.toSchema({ subGraph: name }))]))
  return { plane: plane as Record<Plane, GraphQLSchema>, guarded: guardingPermissions(whole) }
}

/** A root type left without fields in a plane must go: an empty object type is not valid. */
function prune(schema: GraphQLSchema): GraphQLSchema {
  const config = schema.toConfig()
  const empty = [config.mutation, config.subscription].filter((type) => type && Object.keys(type.getFields()).length === 0)
  const keep = <Type>(type: Type) => (empty.includes(type as never) ? undefined : type)
  const pruned = new GraphQLSchema({
    ...config,
    mutation: keep(config.mutation),
    subscription: keep(config.subscription),
    types: config.types.filter((type) => !empty.includes(type as never)),
  })
  const errors = validateSchema(pruned)
  if (errors.length > 0) throw new AggregateError(errors, errors.map((error) => error.message).join('; '))
  return pruned
}

/** The plane's published SDL: sorted, so that a diff shows changes and nothing else. */
export function sdlOf(schema: GraphQLSchema): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`
}
