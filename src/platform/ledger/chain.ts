/**
 * The hash chain of one tenant's audit trail. A line's digest is SHA-256 of its canonical text (`audit.canonical` in SQL); its link's
 * hash covers the link before, the place and the digest (`audit.seal_pass`). The verifier beside the server computes the same from an export
 * alone.
 */
import { createHash } from 'node:crypto'

/** Columns of a line in the order in which its canonical text holds them; what an export calls them too. */
export const lineColumns = [
  'tenant_id',
  'id',
  'epoch',
  'xid',
  'at',
  'actor_kind',
  'actor_id',
  'plane',
  'action',
  'resource',
  'resource_id',
  'subject_id',
  'outcome',
  'purpose',
  'request_id',
  'session_id',
  'sign_in_method',
  'source_address',
  'user_agent',
  'detail',
] as const

export type LineColumn = (typeof lineColumns)[number]

/** What the first link of a tenant's chain stands on: no chain begins like another tenant's. */
export function genesis(tenantId: string): Buffer {
  return createHash('sha256').update(`maristan audit chain 1 ${tenantId}`).digest()
}
