/** A UUID as 22 characters of base64url, for tokens and cookies that name their tenant. One id, one spelling: anything else is null. */
import { isUuid } from '../../../kernel/id.ts'

export function packId(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
}

/** The UUID behind 22 characters; null when they are not what {@link packId} would have written. */
export function unpackId(packed: string): string | null {
  if (packed.length !== 22) return null
  const hex = Buffer.from(packed, 'base64url').toString('hex')
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  return isUuid(id) && packId(id) === packed ? id : null
}
