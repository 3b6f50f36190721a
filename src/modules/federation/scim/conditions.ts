/** If-Match and If-None-Match (RFC 9110 §13.1, RFC 7644 §3.14). Our tags are weak ones, and compared so. */
import { fault } from '../../../kernel/fault.ts'
import { etagOf } from './schema/present.ts'

export const preconditionFailed = fault('conflict', 'SCIM_PRECONDITION', 'The resource has another version by now. Read it again.')

function names(header: string, version: number): boolean {
  const bare = (tag: string) => tag.trim().replace(/^W\//, '')
  const wanted = bare(etagOf(version))
  return header.trim() === '*' || header.slice(0, 4_096).split(',').some((tag) => bare(tag) === wanted)
}

/** Whether a reader has this version already (304). */
export function isKnown(ifNoneMatch: string | undefined, version: number): boolean {
  return ifNoneMatch !== undefined && names(ifNoneMatch, version)
}

/** @throws SCIM_PRECONDITION when the writer had read another version. */
export function needVersion(ifMatch: string | undefined, version: number): void {
  if (ifMatch !== undefined && !names(ifMatch, version)) throw preconditionFailed()
}
