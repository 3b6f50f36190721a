/** What an attacker reads from a schema: where a field takes ids and cursors, what else it must be given, and everything it may answer. */
import {
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
} from 'graphql'

/** One place in a field's arguments that takes an id or a cursor. */
export interface Place {
  /** For example `input`, `recipientId`. */
  readonly path: readonly string[]
  readonly kind: 'id' | 'cursor'
  readonly required: boolean
  readonly list: boolean
}

type Field = GraphQLField<unknown, unknown>

export type RootKind = 'query' | 'mutation' | 'subscription'

/** Every root field of a schema, by `Type.field`. */
export function rootFields(schema: GraphQLSchema): { readonly kind: RootKind; readonly field: Field; readonly name: string }[] {
  const roots = [['query', schema.getQueryType()], ['mutation', schema.getMutationType()], ['subscription', schema.getSubscriptionType()]] as const
  return roots.flatMap(([kind, root]) =>
    Object.values(root?.getFields() ?? {}).map((field) => ({ kind, field, name: `${root!.name}.${field.name}` })),
  )
}

const cursorNames = new Set(['after', 'before'])

/** Every place of a field that takes an id or a cursor, in input objects too. A text named `recipientId` counts like an ID. */
export function placesOf(schema: GraphQLSchema, field: Field): Place[] {
  const nouns = Object.keys(schema.getTypeMap()).map((name) => name.toLowerCase())
  const namesRow = (name: string) => {
    const noun = /^(.+?)Ids?$/.exec(name)?.[1]?.toLowerCase()
    return name === 'id' || name === 'ids' || (noun !== undefined && nouns.some((one) => one.endsWith(noun)))
  }
  const visit = (
    input: GraphQLArgument | GraphQLInputField,
    path: readonly string[],
    required: boolean,
    seen: readonly string[],
  ): Place[] => {
    const named = getNamedType(input.type)
    const here = [...path, input.name]
    const needed = required && isNonNullType(input.type) && input.defaultValue === undefined
    const nullable = isNonNullType(input.type) ? input.type.ofType : input.type
    if (named.name === 'ID' || namesRow(input.name)) return [{ path: here, kind: 'id', required: needed, list: isListType(nullable) }]
    if (cursorNames.has(input.name)) return [{ path: here, kind: 'cursor', required: needed, list: false }]
    if (!isInputObjectType(named) || seen.includes(named.name)) return []
    return Object.values(named.getFields()).flatMap((one) => visit(one, here, needed, [...seen, named.name]))
  }
  return field.args.flatMap((argument) => visit(argument, [], true, []))
}

/** Arguments with every required one made up, the given ones as they are, and each chosen place filled. */
export function argumentsOf(
  field: Field,
  given: Readonly<Record<string, unknown>>,
  chosen: readonly (readonly [place: Place, value: string])[],
): Record<string, unknown> {
  const fill = (input: GraphQLArgument | GraphQLInputField, path: readonly string[], mine: unknown, required: boolean): unknown => {
    const here = [...path, input.name]
    const at = chosen.find(([place]) => place.path.join('.') === here.join('.'))
    if (at) return at[0].list ? [at[1]] : at[1]
    const named = getNamedType(input.type)
    const below = chosen.some(([place]) => place.path.join('.').startsWith(`${here.join('.')}.`))
    if (isInputObjectType(named) && (required || below || mine !== undefined)) {
      const own = (mine ?? {}) as Record<string, unknown>
      const entries = Object.values(named.getFields()).map(
        (one) => [one.name, fill(one, here, own[one.name], isRequiredInputField(one))] as const,
      )
      const object = Object.fromEntries(entries.filter(([, value]) => value !== undefined))
      return wrapped(input.type, object)
    }
    if (mine !== undefined) return mine
    return required ? wrapped(input.type, madeUp(input)) : undefined
  }
  const entries = field.args.map(
    (argument) => [argument.name, fill(argument, [], given[argument.name], isRequiredArgument(argument))] as const,
  )
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

function wrapped(type: GraphQLInputType, value: unknown): unknown {
  const nullable = isNonNullType(type) ? type.ofType : type
  return isListType(nullable) && !Array.isArray(value) ? [value] : value
}

function madeUp(input: GraphQLArgument | GraphQLInputField): unknown {
  const named = getNamedType(input.type)
  if (isEnumType(named)) return named.getValues()[0]!.name
  switch (named.name) {
    case 'Int':
    case 'Float':
      return 1
    case 'Boolean':
      return true
    case 'DateTime':
      return new Date(Date.now() + 30 * 86_400_000).toISOString()
    default:
      return /email/i.test(input.name) ? 'newcomer@proof.invalid' : 'proof'
  }
}

/** A document that asks one root field for everything within reach of `depth` objects. */
export function documentOf(schema: GraphQLSchema, kind: RootKind, field: Field, depth = 4): string {
  const variables = field.args.map((argument) => `$${argument.name}: ${String(argument.type)}`).join(', ')
  const passed = field.args.map((argument) => `${argument.name}: $${argument.name}`).join(', ')
  const head = `${kind} Proof${variables ? `(${variables})` : ''}`
  return `${head} { ${field.name}${passed ? `(${passed})` : ''}${selectionOf(schema, field.type, depth, [])} }`
}

/** A selection of everything below a type; empty for a leaf, null where nothing is in reach. */
export function selectionOf(schema: GraphQLSchema, type: GraphQLOutputType, depth: number, above: readonly string[]): string {
  const named = getNamedType(type)
  const inside = (): string => {
    if (isObjectType(named)) return fieldsOf(schema, Object.values(named.getFields()), depth, [...above, named.name])
    if (isUnionType(named) || isInterfaceType(named)) {
      const parts = schema.getPossibleTypes(named).map((one) => `... on ${one.name} ${selectionOf(schema, one, depth, above).trim()}`)
      return `__typename ${parts.join(' ')}`
    }
    return ''
  }
  const body = inside()
  return body === '' ? '' : ` { ${body} }`
}

function fieldsOf(schema: GraphQLSchema, fields: readonly Field[], depth: number, above: readonly string[]): string {
  const parts = ['__typename']
  for (const field of fields) {
    if (field.args.some((argument) => isRequiredArgument(argument))) continue
    const named = getNamedType(field.type)
    const composite = isObjectType(named) || isUnionType(named) || isInterfaceType(named)
    if (!composite) parts.push(field.name)
    else if (depth > 0 && !above.includes(named.name)) parts.push(`${field.name}${selectionOf(schema, field.type, depth - 1, above)}`)
  }
  return parts.join(' ')
}
