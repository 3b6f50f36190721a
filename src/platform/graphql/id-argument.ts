/** Ids that come in as arguments: a malformed one, or one of another type, names nothing here. */
import { notFound } from '../../kernel/fault.ts'
import { decodeGlobalId } from './global-id.ts'

/** The row's id behind a global id of this type. @throws NOT_FOUND for anything else. */
export function idArgument(typename: string, globalId: string | number): string {
  const decoded = decodeGlobalId(String(globalId))
  if (decoded.typename !== typename) throw notFound()
  return decoded.id
}
