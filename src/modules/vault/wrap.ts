/**
 * Wraps one 32-byte key with another (AES-256-GCM), bound to the tenant, the subject and the version of the wrapping key.
 * Keys stay Buffers that their owner overwrites; none of them ever becomes a string.
 *
 * Wrapped: `v1|<nonce>|<ciphertext>|<tag>`, canonical base64url; authenticated with `frame([domain, tenantId, subjectId, version])`.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { frame } from '../../platform/crypto/framing.ts'
import { keysUnavailable } from '../../platform/crypto/kms.ts'
import { freshNonce } from '../../platform/crypto/seal.ts'

export interface WrapPlace {
  readonly tenantId: string
  /** Whose key: a subject's id, or `lookup-key/<generation>`. */
  readonly subjectId: string
  /** Of the tenant's data key. */
  readonly version: number
}

const domain = 'maristan/subject-key/v1'
const algorithm = 'aes-256-gcm'
const gcm = { authTagLength: 16 } as const
export const keyBytes = 32

// 32 bytes are 43 characters and 16 are 22; the last one's unused bits are zero, so a wrapped key has one spelling.
const grammar = /^v1\|([\w-]{16})\|([\w-]{42}[AEIMQUYcgkosw048])\|([\w-]{21}[AQgw])$/

const authenticated = ({ tenantId, subjectId, version }: WrapPlace): Buffer => frame([domain, tenantId, subjectId, String(version)])

/** Wraps `key` with `wrappingKey`; neither is kept. */
export function wrapKey(wrappingKey: Buffer, place: WrapPlace, key: Buffer): string {
  if (key.length !== keyBytes) throw new RangeError('Only keys of 32 bytes are wrapped.')
  const nonce = freshNonce()
  const cipher = createCipheriv(algorithm, wrappingKey, nonce, gcm).setAAD(authenticated(place))
  const ciphertext = cipher.update(key)
  cipher.final()
  return `v1|${[nonce, ciphertext, cipher.getAuthTag()].map((part) => part.toString('base64url')).join('|')}`
}

/** The wrapped key in a fresh Buffer, which the caller overwrites after use. @throws KEYS_UNAVAILABLE when anything differs. */
export function unwrapKey(wrappingKey: Buffer, place: WrapPlace, wrapped: string): Buffer {
  const [, nonce, ciphertext, tag] = grammar.exec(wrapped) ?? []
  if (nonce === undefined || ciphertext === undefined || tag === undefined) throw unreadable()
  const decipher = createDecipheriv(algorithm, wrappingKey, Buffer.from(nonce, 'base64url'), gcm)
  decipher.setAAD(authenticated(place)).setAuthTag(Buffer.from(tag, 'base64url'))
  const key = decipher.update(ciphertext, 'base64url')
  try {
    decipher.final()
  } catch {
    key.fill(0)
    throw unreadable()
  }
  return key
}

const unreadable = () =>
  keysUnavailable({ reason: 'A person\'s key does not open with the key of its tenant. Restore the database as it was at one moment.' })
