/** Values of SQL as the generated client would send and answer them, for statements that do without it. */
import pg from 'pg'
import { Prisma } from './generated/client.ts'

type Parse = (text: string) => unknown

const { builtins } = pg.types
const usual = (oid: number): Parse => pg.types.getTypeParser(oid as never, 'text') as Parse
/** Time zone of every session is UTC; a moment without a zone is one of UTC. */
const moment: Parse = (text) => new Date(`${text.replace(' ', 'T').replace(/[+-]\d\d(:\d\d)?$/, '')}Z`)
const day: Parse = (text) => new Date(`${text}T00:00:00Z`)
const bytes: Parse = (text) => new Uint8Array(usual(builtins.BYTEA)(text) as Buffer)
const decimal: Parse = (text) => new Prisma.Decimal(text)
const list = (arrayOid: number, parse: Parse): Parse => {
  const texts = usual(arrayOid)
  return (text) => (texts(text) as (string | null)[]).map((one) => (one === null ? null : parse(one)))
}

// pg's parsers for arrays whose elements stay text, so that the elements are parsed here.
const textArray = 1009
const parsers = new Map<number, Parse>([
  [builtins.INT8, BigInt],
  [builtins.OID, BigInt],
  [builtins.NUMERIC, decimal],
  [builtins.TIMESTAMPTZ, moment],
  [builtins.TIMESTAMP, moment],
  [builtins.DATE, day],
  [builtins.JSON, JSON.parse],
  [builtins.JSONB, JSON.parse],
  [builtins.BYTEA, bytes],
  [1016, list(textArray, BigInt)],
  [1185, list(textArray, moment)],
  [1115, list(textArray, moment)],
  [1182, list(textArray, day)],
  [1231, list(textArray, decimal)],
  [3807, list(textArray, JSON.parse)],
  [199, list(textArray, JSON.parse)],
  [2951, usual(textArray)],
])

const asText: Parse = (text) => text
const known = new Set<number>([builtins.BOOL, builtins.INT2, builtins.INT4, builtins.FLOAT4, builtins.FLOAT8, 1000, 1005, 1007, 1021, 1022, 1009, 1015])

/** How a column's text becomes a value, by the type's number. What is not listed stays the text that Postgres wrote. */
export const rowTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number) => parsers.get(oid) ?? (known.has(oid) ? usual(oid) : asText)) as never,
}

/** A moment without the process's time zone, whatever list it stands in; everything else as the driver writes it. */
export function wireValue(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString()
  return Array.isArray(value) ? value.map(wireValue) : value
}
