/**
 * The algorithms that the guard knows. What is not in these tables does not exist here: no SHA-1 in a signature, no HMAC, no
 * encryption by RSA PKCS #1 v1.5.
 */

export interface SignatureAlgorithm {
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  readonly key: 'rsa' | 'ec'
}

const table = <Value>(entries: readonly (readonly [string, Value])[]): ReadonlyMap<string, Value> => new Map(entries)

/** RFC 9231 §2.3.2 to §2.3.6. */
export const signatureAlgorithms = table<SignatureAlgorithm>([
  ['http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', { hash: 'sha256', key: 'rsa' }],
  ['http://www.w3.org/2001/04/xmldsig-more#rsa-sha384', { hash: 'sha384', key: 'rsa' }],
  ['http://www.w3.org/2001/04/xmldsig-more#rsa-sha512', { hash: 'sha512', key: 'rsa' }],
  ['http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256', { hash: 'sha256', key: 'ec' }],
  ['http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384', { hash: 'sha384', key: 'ec' }],
  ['http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512', { hash: 'sha512', key: 'ec' }],
])

export const digestAlgorithms = table<'sha256' | 'sha384' | 'sha512'>([
  ['http://www.w3.org/2001/04/xmlenc#sha256', 'sha256'],
  ['http://www.w3.org/2001/04/xmldsig-more#sha384', 'sha384'],
  ['http://www.w3.org/2001/04/xmlenc#sha512', 'sha512'],
])

export interface ContentCipher {
  readonly cipher: 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' | 'aes-128-cbc' | 'aes-192-cbc' | 'aes-256-cbc'
  readonly keyBytes: number
  readonly mode: 'gcm' | 'cbc'
}

/** XML Encryption 1.1 §5.2. */
export const contentCiphers = table<ContentCipher>([
  ['http://www.w3.org/2009/xmlenc11#aes128-gcm', { cipher: 'aes-128-gcm', keyBytes: 16, mode: 'gcm' }],
  ['http://www.w3.org/2009/xmlenc11#aes192-gcm', { cipher: 'aes-192-gcm', keyBytes: 24, mode: 'gcm' }],
  ['http://www.w3.org/2009/xmlenc11#aes256-gcm', { cipher: 'aes-256-gcm', keyBytes: 32, mode: 'gcm' }],
  ['http://www.w3.org/2001/04/xmlenc#aes128-cbc', { cipher: 'aes-128-cbc', keyBytes: 16, mode: 'cbc' }],
  ['http://www.w3.org/2001/04/xmlenc#aes192-cbc', { cipher: 'aes-192-cbc', keyBytes: 24, mode: 'cbc' }],
  ['http://www.w3.org/2001/04/xmlenc#aes256-cbc', { cipher: 'aes-256-cbc', keyBytes: 32, mode: 'cbc' }],
])

/** XML Encryption 1.1 §5.5.2: RSA-OAEP whose mask generation is fixed to SHA-1, and the one that names it. */
export const oaepWithSha1Mask = 'http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p'
export const oaep = 'http://www.w3.org/2009/xmlenc11#rsa-oaep'

/** SHA-1 in OAEP asks nothing of its collision resistance (RFC 8017 §B.1). */
export const oaepDigests = table<string>([['http://www.w3.org/2000/09/xmldsig#sha1', 'sha1'], ...digestAlgorithms])
export const oaepMasks = table<string>([
  ['http://www.w3.org/2009/xmlenc11#mgf1sha1', 'sha1'],
  ['http://www.w3.org/2009/xmlenc11#mgf1sha256', 'sha256'],
  ['http://www.w3.org/2009/xmlenc11#mgf1sha384', 'sha384'],
  ['http://www.w3.org/2009/xmlenc11#mgf1sha512', 'sha512'],
])
