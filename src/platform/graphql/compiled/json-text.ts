/**
 * SQL expressions that write JSON as `JSON.stringify` would, byte for byte. What a column could hold and the graph could not answer becomes
 * the mark of doubt, a character that no JSON text holds: the whole answer is then made the ordinary way, its error included.
 */
import { GraphQLBoolean, GraphQLID, GraphQLInt, GraphQLString, isEnumType, isListType, isNonNullType, type GraphQLOutputType } from 'graphql'
import type { Column } from './tables.ts'

/** Whether a text that a compiled read answered is no answer. */
export const isDoubtful = (answer: string): boolean => answer.includes('\u0001')
export const doubt = "E'\\x01'"

export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** One text of several; a doubt where a value is null that none expected. Neighbouring literals are joined here. */
export function join(parts: readonly Part[]): string {
  const operands: string[] = []
  let held = ''
  for (const part of parts) {
    if ('text' in part) held += part.text
    else {
      if (held !== '') operands.push(literal(held))
      held = ''
      operands.push(part.sql)
    }
  }
  if (held !== '') operands.push(literal(held))
  const [only = "''"] = operands
  return operands.length > 1 ? `coalesce(${concatenated(operands)}, ${doubt})` : only
}

/** Operators, for `concat` takes several times as long; by halves, so that what is long is copied, and what is many nests, as seldom as can be. */
function concatenated(operands: readonly string[]): string {
  if (operands.length === 1) return operands[0]!
  const half = operands.length >> 1
  return `(${concatenated(operands.slice(0, half))} || ${concatenated(operands.slice(half))})`
}

/** A piece of the answer: its own text, or SQL of type text that is never null. */
export type Part = { readonly text: string } | { readonly sql: string }

/** Characters of a UUID's text. */
const uuidLength = 36
/** So many bytes are a line of base64 to Postgres, which ends it. */
const bytesInLine = 57

/**
 * A global id, as `encodeGlobalId` makes it: base64url, without padding (RFC 4648 §5). Letters, digits, colons and hyphens never
 * come to the two characters in which base64 is another.
 */
export function globalId(typename: string, id: string): Part[] {
  const length = typename.length + 1 + uuidLength
  let encoded = `encode((${literal(`${typename}:`)} || ${id})::bytea, 'base64')`
  if (length >= bytesInLine) encoded = `replace(${encoded}, E'\\n', '')`
  if (length % 3 > 0) encoded = `rtrim(${encoded}, '=')`
  return [{ text: '"' }, { sql: encoded }, { text: '"' }]
}

/** A cursor, as `outwardCursor` makes it of a row's id; null of none. */
export const cursor = (id: string): string => `('"' || translate(encode(uuid_send(${id}), 'base64'), '+/=', '-_') || '"')`

/** The value of a column as a field of this type answers it; null when that is not certain. */
export function columnValue(type: GraphQLOutputType, column: Column, value: string): string | null {
  const isNullable = !isNonNullType(type)
  if (!isNullable && !column.isRequired) return null
  const bare = isNonNullType(type) ? type.ofType : type
  if (isListType(bare)) return listValue(bare.ofType, column, value)
  if (column.isList) return null
  const written = scalarValue(bare, column, value)
  if (written === null) return null
  return column.isRequired ? written : `case when ${value} is null then 'null' else ${written} end`
}

/** Of a value that is there. */
function scalarValue(type: GraphQLOutputType, column: Column, value: string): string | null {
  if (isEnumType(type)) {
    const names = type.getValues().map(({ name }) => name)
    if (!column.isEnum || type.getValues().some((one) => one.name !== one.value)) return null
    // Names of GraphQL need no escaping.
    return `case ${value}::text ${names.map((name) => `when '${name}' then '"${name}"'`).join(' ')} else ${doubt} end`
  }
  if (column.isEnum) return null
  if ((type === GraphQLString || type === GraphQLID) && column.type === 'String') return `to_json(${value})::text`
  if (type === GraphQLInt && column.type === 'Int') return `${value}::text`
  if (type === GraphQLBoolean && column.type === 'Boolean') return `case ${value} when true then 'true' when false then 'false' end`
  if ('name' in type && type.name === 'DateTime' && column.type === 'DateTime') {
    // Moments that four digits do not write have another form, or none. The session is in UTC; a microsecond more is written to the last digit.
    const usual = `${value} >= '0001-01-01' and ${value} < '10000-01-01'`
    const written = `to_json(date_bin('1 millisecond', ${value}, '0001-01-01') + interval '1 microsecond')::text`
    return `case when ${usual} then left(${written}, ${'"YYYY-MM-DDTHH:MM:SS.mmm'.length}) || 'Z"' else ${doubt} end`
  }
  return null
}

/** A list of texts. Prisma answers an absent one as an empty one. */
function listValue(item: GraphQLOutputType, column: Column, value: string): string | null {
  const bare = isNonNullType(item) ? item.ofType : item
  if (!column.isList || column.isEnum || column.type !== 'String' || bare !== GraphQLString) return null
  const odd = `array_ndims(${value}) > 1 or array_position(${value}, null) is not null`
  return `case when ${value} is null then '[]' when ${odd} then ${doubt} else array_to_json(${value})::text end`
}
