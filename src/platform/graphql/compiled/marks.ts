/**
 * What a root field, or a field with a resolver of its own, says of the rows it answers, so that a compiled read can ask for the same.
 * Without a mark such a field takes the ordinary path. Each mark is held against its resolver by the differential test.
 */
import type { ModelName } from '../../db/unit.ts'
import type { SealedReader, SealedRow } from '../sealed.ts'
import { extensionOf } from './schema-facts.ts'

export type ReadMark =
  /** The row with the id of a global-id argument; without it the field fails. */
  | { readonly kind: 'one'; readonly model: ModelName; readonly idArgument: string }
  /** A page of the tenant's rows in the order of their ids; an argument that is given equals its column. */
  | { readonly kind: 'page'; readonly model: ModelName; readonly equals: Readonly<Record<string, string>> }
  /** The only row of a list relation, or null. */
  | { readonly kind: 'only'; readonly relation: string }
  /** The text of this name inside the row's sealed column, or null; read as the resolver reads, so that who may open it is decided in one place. */
  | { readonly kind: 'sealed'; readonly column: 'phi'; readonly read: SealedReader<SealedRow>; readonly name: string }

const name = 'compiledRead'

/** For a field's `extensions`. */
export const reads = (mark: ReadMark): Record<string, unknown> => ({ [name]: mark })

export const markOf = (field: { readonly extensions: object }): ReadMark | undefined => extensionOf(field, name) as ReadMark | undefined
