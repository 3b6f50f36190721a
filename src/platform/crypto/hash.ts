/** Hashes, tokens and comparisons of secrets. Refuses empty keys, and never compares secrets character by character. */
import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { frame } from './framing.ts'

/** SHA-256 as 64 lower-case hex digits; text is hashed as UTF-8. For random tokens and content, never for passwords. */
export function sha256Hex(data: string | Uint8Array): string {
  return hash('sha256', data, 'hex')
}

/**
 * HMAC-SHA256 (RFC 2104), 32 bytes; text is taken as UTF-8.
 * @throws RangeError when the key is empty: anybody could compute it.
 */
export function hmac(key: string | Uint8Array, data: string | Uint8Array): Buffer {
  if (key.length === 0) throw new RangeError('An HMAC key is not empty.')
  return createHmac('sha256', key).update(data).digest()
}

/** Hashes as UTF-16: as UTF-8 all lone surrogates would be the same character. */
function fingerprint(secret: string): Buffer {
  return hash('sha256', Buffer.from(secret, 'utf16le'), 'buffer')
}

/** Whether two secrets are the same, in a time that tells nothing of where they differ. An empty text is no secret: false. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(fingerprint(a), fingerprint(b)) && a !== ''
}

/**
 * A random token in base64url.
 * @param bytes of randomness, 16 to 1024.
 * @throws RangeError outside these bounds: less could be guessed.
 */
export function randomToken(bytes = 32): string {
  if (!Number.isInteger(bytes) || bytes < 16 || bytes > 1024) throw new RangeError('A token has 16 to 1024 random bytes.')
  return randomBytes(bytes).toString('base64url')
}

/**
 * The password of one database login, derived from the installation's one secret: 64 lower-case hex digits.
 * @throws RangeError when the secret or the login is empty.
 */
export function deriveLoginPassword(secret: string, login: string): string {
  if (login === '') throw new RangeError('A database login has a name.')
  return hmac(secret, frame(['maristan/database-login/v1', login])).toString('hex')
}
