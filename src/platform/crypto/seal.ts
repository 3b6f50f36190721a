/**
 * Seals texts and records for the database with AES-256-GCM (NIST SP 800-38D) and opens them again.
 * Refuses anything that was changed, or moved to another tenant, model, field or row; there is no plaintext fallback.
 *
 * Format: `v1|<keyVersion>|<nonce>|<ciphertext>|<tag>`, the last three in canonical base64url without padding.
 * Authenticated data: `frame([domain, tenantId, model, field, rowId, keyVersion, 'v1'])`, see framing.ts.
 * What a sealed value still shows: its key's version, and the length of its content.
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto'
import { fault } from '../../kernel/fault.ts'
import { frame } from './framing.ts'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue }

/** Where a sealed value lives; all of it is authenticated (a value moved elsewhere does not open). Parts: 1 to 255 UTF-16 units. */
export interface SealedPlace {
  readonly tenantId: string
  readonly model: string
  readonly field: string
  readonly rowId: string
}

/** The most bytes of UTF-8 that one sealed value may hold. */
export const maxSealedBytes = 1_048_576
/** How deep the objects and arrays of a sealed record may be nested, the record itself included. */
export const maxRecordDepth = 32

export const sealedValueUnreadable = fault(
  'unavailable',
  'SEALED_VALUE_UNREADABLE',
  'A protected value cannot be read. Tell the operator; nothing was changed.',
)
export const sealedValueTooLarge = fault<{ limitBytes: number }>(
  'invalid',
  'SEALED_VALUE_TOO_LARGE',
  ({ limitBytes }) => `A protected value may hold at most ${limitBytes} bytes. Shorten it.`,
)
export const sealedValueIllFormed = fault(
  'invalid',
  'SEALED_VALUE_ILL_FORMED',
  'A protected text holds half a character (a lone surrogate). Send well-formed Unicode.',
)
export const sealedRecordNotPlain = fault(
  'invalid',
  'SEALED_RECORD_NOT_PLAIN',
  `A protected record holds something that is not plain JSON, is named __proto__ or is nested deeper than ${maxRecordDepth} levels.`,
)

const formatVersion = 'v1'
// Two domains: a sealed text is never taken for a sealed record, even in the same place.
const textDomain = 'maristan/sealed-text'
const recordDomain = 'maristan/sealed-record'

const algorithm = 'aes-256-gcm'
const keyBytes = 32
const nonceBytes = 12
const gcm = { authTagLength: 16 } as const
const maxKeyVersion = 2_147_483_647
const nonceChars = 16
const tagChars = 22
const maxSealedChars = 'v1|2147483647|'.length + nonceChars + 1 + Math.ceil((maxSealedBytes * 4) / 3) + 1 + tagChars

const headGrammar = /^v1\|([1-9]\d{0,9})\|[\w-]{16}\|/
const tagGrammar = /\|[\w-]{21}[AQgw]$/y
// The bits that a last, shorter group does not use must be zero (RFC 4648 §3.5): one value has one spelling.
const lastOfTwo = 'AQgw'
const lastOfThree = 'AEIMQUYcgkosw048'

interface Parts {
  readonly keyVersion: number
  readonly nonce: string
  readonly ciphertext: Buffer
  readonly tag: string
}

/** The parts of `sealed`, or null when the text is not of the format. */
function parse(sealed: string): Parts | null {
  if (sealed.length > maxSealedChars) return null
  const tagAt = sealed.length - tagChars
  const version = headGrammar.exec(sealed)?.[1]
  if (version === undefined || Number(version) > maxKeyVersion) return null
  const nonceAt = 'v1|'.length + version.length + 1
  const ciphertextAt = nonceAt + nonceChars + 1
  tagGrammar.lastIndex = tagAt - 1
  if (tagAt - 1 < ciphertextAt || !tagGrammar.test(sealed)) return null
  const text = sealed.slice(ciphertextAt, tagAt - 1)
  const loose = text.length % 4
  const last = text.at(-1) ?? ''
  if (loose === 1 || (loose === 2 && !lastOfTwo.includes(last)) || (loose === 3 && !lastOfThree.includes(last))) return null
  // Node passes over what is no base64url, so that less comes out, and takes base64's own two for ours: quicker than a grammar of it all.
  const ciphertext = Buffer.from(text, 'base64url')
  if (ciphertext.length !== Math.floor((text.length * 3) / 4) || text.includes('+') || text.includes('/')) return null
  return { keyVersion: Number(version), nonce: sealed.slice(nonceAt, ciphertextAt - 1), ciphertext, tag: sealed.slice(tagAt) }
}

/** Random bytes drawn together, given out once each: drawing twelve at a time took a tenth of a seal. */
const nonces = { bytes: Buffer.alloc(0), at: 0 }

/**
 * Twelve random bytes, never given out before. Two of the same under one key would open both (SP 800-38D §8.2.2): among n the chance is n² / 2^97,
 * 2^-33 for the 2^32 that a key may seal. The vault counts what its keys seal and ends them at 2^30 (modules/vault/wear.ts).
 */
export function freshNonce(): Buffer {
  if (nonces.at === nonces.bytes.length) {
    nonces.bytes = randomBytes(1_024 * nonceBytes)
    nonces.at = 0
  }
  return nonces.bytes.subarray(nonces.at, (nonces.at += nonceBytes))
}

/** The key used last in this tick. Node prepares a raw key anew for every call, which takes four times as long as the cipher itself. */
let prepared: { readonly given: Uint8Array; readonly bytes: Buffer; readonly key: KeyObject } | null = null

function forgetPrepared(): void {
  prepared?.bytes.fill(0)
  prepared = null
}

function prepare(key: Uint8Array): KeyObject {
  if (key.length !== keyBytes) throw new RangeError('A sealing key has 32 bytes.')
  // By content too, not by identity alone: a Buffer may have been wiped or filled with another key meanwhile.
  if (prepared?.given === key && timingSafeEqual(prepared.bytes, key)) return prepared.key
  // An all-zero key is a key that its cache has wiped: sealing with it would protect nothing.
  if (key.every((byte) => byte === 0)) throw new RangeError('A sealing key was used after it was wiped.')
  if (prepared === null) setImmediate(forgetPrepared)
  else forgetPrepared()
  prepared = { given: key, bytes: Buffer.from(key), key: createSecretKey(key) }
  return prepared.key
}

function authenticated(domain: string, { tenantId, model, field, rowId }: SealedPlace, keyVersion: number): Buffer {
  for (const part of [tenantId, model, field, rowId]) {
    if (typeof part !== 'string' || part.length < 1 || part.length > 255) {
      throw new RangeError('Every part of a sealed place has 1 to 255 characters.')
    }
  }
  return frame([domain, tenantId, model, field, rowId, String(keyVersion), formatVersion])
}

function sealAs(domain: string, key: Uint8Array, keyVersion: number, place: SealedPlace, plaintext: string): string {
  if (!Number.isInteger(keyVersion) || keyVersion < 1 || keyVersion > maxKeyVersion) {
    throw new RangeError(`A key version is a whole number from 1 to ${maxKeyVersion}.`)
  }
  if (plaintext.length > maxSealedBytes || Buffer.byteLength(plaintext) > maxSealedBytes) {
    throw sealedValueTooLarge({ limitBytes: maxSealedBytes })
  }
  const nonce = freshNonce()
  const cipher = createCipheriv(algorithm, prepare(key), nonce, gcm).setAAD(authenticated(domain, place, keyVersion))
  const ciphertext = cipher.update(plaintext, 'utf8').toString('base64url')
  cipher.final()
  return `${formatVersion}|${keyVersion}|${nonce.toString('base64url')}|${ciphertext}|${cipher.getAuthTag().toString('base64url')}`
}

function openAs(domain: string, key: Uint8Array, place: SealedPlace, sealed: string): string {
  const preparedKey = prepare(key)
  const parts = parse(sealed)
  if (parts === null) throw sealedValueUnreadable()
  const decipher = createDecipheriv(algorithm, preparedKey, Buffer.from(parts.nonce, 'base64url'), gcm)
  decipher.setAAD(authenticated(domain, place, parts.keyVersion)).setAuthTag(Buffer.from(parts.tag, 'base64url'))
  const plaintext = decipher.update(parts.ciphertext)
  try {
    decipher.final()
  } catch {
    throw sealedValueUnreadable()
  }
  return plaintext.toString('utf8')
}

/**
 * Seals one text. A fresh random nonce of 96 bits each time: one key version seals at most 2^32 values (SP 800-38D §8.3).
 * @param key 32 bytes; only read, never kept.
 * @param keyVersion 1 to 2147483647; written in clear so that the opener can find the key, and authenticated.
 * @throws SEALED_VALUE_TOO_LARGE above {@link maxSealedBytes}; SEALED_VALUE_ILL_FORMED for lone surrogates, which UTF-8 would alter.
 * @throws RangeError for a wrong or wiped key, a wrong version or an incomplete place: mistakes of the calling code.
 */
export function seal(key: Uint8Array, keyVersion: number, place: SealedPlace, plaintext: string): string {
  if (!plaintext.isWellFormed()) throw sealedValueIllFormed()
  return sealAs(textDomain, key, keyVersion, place, plaintext)
}

/**
 * Opens what {@link seal} made for the same place with the same key. It is synchronous: call it inside `KeyCache.use`.
 * @throws SEALED_VALUE_UNREADABLE, without saying which check failed, when anything at all differs.
 * @throws RangeError for a wrong or wiped key or an incomplete place: mistakes of the calling code.
 */
export function open(key: Uint8Array, place: SealedPlace, sealed: string): string {
  return openAs(textDomain, key, place, sealed)
}

/**
 * The key version that `sealed` names. Trustworthy only once the value has opened.
 * @throws SEALED_VALUE_UNREADABLE when the text is not of the format.
 */
export function keyVersionOf(sealed: string): number {
  const parts = parse(sealed)
  if (parts === null) throw sealedValueUnreadable()
  return parts.keyVersion
}

/** True when `text` has the exact form of a sealed value. It says nothing about whether it opens. */
export function isSealed(text: string): boolean {
  return parse(text) !== null
}

function isPlainJson(value: unknown, depthLeft: number): value is JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || depthLeft === 0) return false
  if (Array.isArray(value)) {
    for (const item of value) if (!isPlainJson(item, depthLeft - 1)) return false
    return true
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  for (const name of Object.keys(value)) {
    if (name === '__proto__' || !isPlainJson((value as Record<string, unknown>)[name], depthLeft - 1)) return false
  }
  return true
}

function isPlainRecord(value: unknown): value is Record<string, JsonValue> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && isPlainJson(value, maxRecordDepth)
}

/**
 * Seals a row's column group as one envelope (`place.field` names the group). Field names are sealed too, in sorted order, so that
 * neither they nor the order in which they were set can be seen.
 * @throws SEALED_RECORD_NOT_PLAIN when something would not survive JSON; else as {@link seal}.
 */
export function sealRecord(key: Uint8Array, keyVersion: number, place: SealedPlace, record: Readonly<Record<string, JsonValue>>): string {
  if (!isPlainRecord(record)) throw sealedRecordNotPlain()
  const sorted = Object.fromEntries(Object.keys(record).sort().map((name) => [name, record[name]]))
  return sealAs(recordDomain, key, keyVersion, place, JSON.stringify(sorted))
}

/**
 * Opens what {@link sealRecord} made. The record has no prototype: a name that was not sealed is `undefined`, whatever it is.
 * @throws as {@link open}.
 */
export function openRecord(key: Uint8Array, place: SealedPlace, sealed: string): Record<string, JsonValue> {
  const text = openAs(recordDomain, key, place, sealed)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw sealedValueUnreadable()
  }
  if (!isPlainRecord(parsed)) throw sealedValueUnreadable()
  return Object.assign(Object.create(null), parsed)
}
