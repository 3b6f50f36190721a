/**
 * SCIM tokens: `scm_<tenant>_<secret>`. The prefix lets secret scanners find a leaked one; the tenant is there because a token is all
 * that a directory brings. Stored as a hash only: 32 random bytes need no slow one.
 */
import { isUuid } from '../../../kernel/id.ts'
import { randomToken, sha256Hex } from '../../../platform/crypto/hash.ts'

const shape = /^scm_([A-Za-z0-9_-]{22})_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

const pack = (id: string): string => Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')

/** A new token with the hash to store. The token is shown once. */
export function newScimToken(tenantId: string): { readonly token: string; readonly hash: string } {
  const token = `scm_${pack(tenantId)}_${randomToken()}`
  return { token, hash: sha256Hex(token) }
}

/** The tenant a token names and the hash it is stored under; null for what {@link newScimToken} would not have written. */
export function readScimToken(text: string): { readonly tenantId: string; readonly hash: string } | null {
  const packed = text.length > 100 ? undefined : shape.exec(text)?.[1]
  if (packed === undefined) return null
  const hex = Buffer.from(packed, 'base64url').toString('hex')
  const tenantId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  return isUuid(tenantId) && pack(tenantId) === packed ? { tenantId, hash: sha256Hex(text) } : null
}
