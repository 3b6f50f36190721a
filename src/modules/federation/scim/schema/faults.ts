/** The protocol's own refusals (RFC 7644 §3.12, RFC 9865 §3), each with its scimType. No sentence repeats what the client sent. */
import { fault, type Fault } from '../../../../kernel/fault.ts'
import type { ScimType } from '../engine.ts'

interface Detail {
  readonly detail: string
}

const say = ({ detail }: Detail) => detail

export const invalidFilter = fault<Detail>('invalid', 'SCIM_INVALID_FILTER', say)
export const invalidSyntax = fault<Detail>('invalid', 'SCIM_INVALID_SYNTAX', say)
export const invalidPath = fault<Detail>('invalid', 'SCIM_INVALID_PATH', say)
export const invalidValue = fault<Detail>('invalid', 'SCIM_INVALID_VALUE', say)
export const immutable = fault<Detail>('invalid', 'SCIM_MUTABILITY', say)
export const noTarget = fault<Detail>('invalid', 'SCIM_NO_TARGET', say)
export const tooManyResults = fault<Detail>('invalid', 'SCIM_TOO_MANY', say)
export const notUnique = fault<Detail>('conflict', 'SCIM_UNIQUENESS', say)
export const invalidCursor = fault('invalid', 'SCIM_INVALID_CURSOR', 'This cursor is none of ours. Start again without a cursor.')
export const expiredCursor = fault('invalid', 'SCIM_EXPIRED_CURSOR', 'This cursor is too old. Start again without a cursor.')
export const invalidCount = fault<Detail>('invalid', 'SCIM_INVALID_COUNT', say)
/** A member that is malformed, unknown or another connection's: the three look the same. */
export const noSuchMember = fault('absent', 'SCIM_NO_SUCH_MEMBER', 'A member named here is no user of this connection.')

const types: ReadonlyMap<string, ScimType> = new Map([
  [invalidFilter.code, 'invalidFilter'],
  [invalidSyntax.code, 'invalidSyntax'],
  [invalidPath.code, 'invalidPath'],
  [invalidValue.code, 'invalidValue'],
  [immutable.code, 'mutability'],
  [noTarget.code, 'noTarget'],
  [tooManyResults.code, 'tooMany'],
  [notUnique.code, 'uniqueness'],
  [invalidCursor.code, 'invalidCursor'],
  [expiredCursor.code, 'expiredCursor'],
  [invalidCount.code, 'invalidCount'],
])

/** The scimType of a refusal; undefined for one that has none (401, 403, 404, 412, 429, 5xx). */
export function scimTypeOf({ code }: Fault): ScimType | undefined {
  return types.get(code)
}
