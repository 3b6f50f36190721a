/**
 * What watchers are told after a commit: for each thing that a command's audit rows name as changed, a topic. It is a keyed hash of
 * tenant and id, because every login of the database may listen: it tells nobody which tenant's what was changed.
 */
import type { AuditEntry } from '../../kernel/audit-entry.ts'
import { hmac } from '../crypto/hash.ts'

export type TopicOf = (tenantId: string, id: string) => string

/** Topics made with one key, as 22 characters of base64url: 128 bits. */
export function topicsUnder(key: Uint8Array): TopicOf {
  return (tenantId, id) => hmac(key, `${tenantId} ${id}`).subarray(0, 16).toString('base64url')
}

/** Postgres keeps and compares every notification of a transaction: more topics than this become the one of the whole tenant. */
const mostTopics = 200

/** The topics of one command: of every record it changed and everybody that record is about. */
export function topicsOf(tenantId: string, entries: readonly AuditEntry[], topicOf: TopicOf): string[] {
  const ids = new Set<string>()
  for (const { outcome, resourceId, subjectId } of entries) {
    if (outcome !== 'done') continue
    if (resourceId) ids.add(resourceId)
    if (subjectId) ids.add(subjectId)
  }
  return ids.size > mostTopics ? [topicOf(tenantId, tenantId)] : [...ids].map((id) => topicOf(tenantId, id))
}
