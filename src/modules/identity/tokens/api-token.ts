/**
 * API tokens: `mst_<tenant>_<secret>`. The prefix lets secret scanners find a leaked one; the tenant is there because a token is all
 * that an integration brings. Stored as a hash only: 32 random bytes need no slow one.
 */
import { randomToken, sha256Hex } from '../../../platform/crypto/hash.ts'
import { packId, unpackId } from './packed-id.ts'

const shape = /^mst_([A-Za-z0-9_-]{22})_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

export const apiTokenPrefix = 'mst_'

/** A new token with the hash to store. The token is shown once. */
export function newApiToken(tenantId: string): { readonly token: string; readonly hash: string } {
  const token = `${apiTokenPrefix}${packId(tenantId)}_${randomToken()}`
  return { token, hash: sha256Hex(token) }
}

/** The tenant a token names and the hash it is stored under; null for what {@link newApiToken} would not have written. */
export function readApiToken(text: string): { readonly tenantId: string; readonly hash: string } | null {
  const packed = text.length > 100 ? undefined : shape.exec(text)?.[1]
  const tenantId = packed === undefined ? null : unpackId(packed)
  return tenantId === null ? null : { tenantId, hash: sha256Hex(text) }
}
