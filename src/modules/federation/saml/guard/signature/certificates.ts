/**
 * Certificates of a connection as keys. Only the key counts: who signed the certificate and its dates are not asked, since the
 * connection itself is the trust (SAML metadata interoperability profile §2.6.1). Weak keys are no keys.
 */
import { hash, X509Certificate, type KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { Refusal } from '../laws.ts'

export interface SigningKey {
  readonly kind: 'rsa' | 'ec'
  readonly key: KeyObject
  /** SHA-256 of the certificate's DER, 64 lower-case hex digits. */
  readonly fingerprint: string
}

const most = 16
const curves = ['prime256v1', 'secp384r1', 'secp521r1']
const parsed = new LRUCache<string, { readonly key: SigningKey | null }>({ max: 1000 })

export function fingerprintOf(der: Uint8Array): string {
  return hash('sha256', der, 'hex')
}

function usableKind(key: KeyObject): 'rsa' | 'ec' | null {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  // More than 8192 bits would make each verification slow.
  if (key.asymmetricKeyType === 'rsa') return modulusLength >= 2048 && modulusLength <= 8192 ? 'rsa' : null
  return key.asymmetricKeyType === 'ec' && curves.includes(namedCurve) ? 'ec' : null
}

/** Null for what is no certificate, and for a key that is too weak or of another kind. */
export function signingKeyOf(certificate: string | Uint8Array): SigningKey | null {
  const at = typeof certificate === 'string' ? certificate : fingerprintOf(certificate)
  const known = parsed.get(at)
  if (known) return known.key
  let key: SigningKey | null = null
  try {
    const { publicKey, raw } = new X509Certificate(certificate)
    const kind = usableKind(publicKey)
    key = kind === null ? null : { kind, key: publicKey, fingerprint: fingerprintOf(raw) }
  } catch {
    key = null
  }
  parsed.set(at, { key })
  return key
}

/**
 * All usable keys of a connection.
 * @throws Refusal CERTIFICATE_UNUSABLE when there is none.
 */
export function signingKeysOf(certificates: readonly string[]): SigningKey[] {
  const keys = certificates.slice(0, most).flatMap((pem) => signingKeyOf(pem) ?? [])
  if (keys.length === 0) throw new Refusal('CERTIFICATE_UNUSABLE', `${certificates.length} certificates, none of them usable`)
  return keys
}
