/**
 * Encrypted assertions (XML Encryption 1.1): RSA-OAEP for the key, AES-GCM for the content; AES-CBC only where a verified signature
 * already covers the ciphertext, since otherwise whoever may send variants of it learns the plaintext byte by byte.
 * Every failure after the first look at a ciphertext is the same refusal.
 */
import { constants, createDecipheriv, privateDecrypt, type KeyObject } from 'node:crypto'
import { Refusal, shown, type Laws } from '../laws.ts'
import { ds, xenc, xenc11 } from '../names.ts'
import { decodeText, fromBase64 } from '../xml/decode.ts'
import { messageLimits } from '../xml/limits.ts'
import { parseXml } from '../xml/parse.ts'
import { attributeOf, childOf, childrenOf, textOf, type XmlElement } from '../xml/tree.ts'
import { contentCiphers, oaep, oaepDigests, oaepMasks, oaepWithSha1Mask, type ContentCipher } from './algorithms.ts'

/** Tries are keys of ours times keys in the message; each is one RSA operation. */
const mostKeys = 4
const elementType = 'http://www.w3.org/2001/04/xmlenc#Element'

/**
 * The element that was encrypted, parsed where it stood: with the declarations around it.
 * @param covered whether a verified signature covers `holder`.
 * @throws Refusal
 */
export function decryptElement(holder: XmlElement, keys: readonly KeyObject[], covered: boolean, laws: Laws): XmlElement {
  const data = childOf(holder, xenc, 'EncryptedData')
  if (data === null) throw new Refusal('ELEMENT_MISSING', `EncryptedData in ${holder.local}`)
  const type = attributeOf(data, 'Type')
  if (type !== null && type !== elementType) throw new Refusal('ENCRYPTION_ALGORITHM', `the type ${shown(type)}`)
  const algorithm = algorithmOf(data)
  const content = contentCiphers.get(algorithm)
  if (content === undefined) throw new Refusal('ENCRYPTION_ALGORITHM', `the content by ${shown(algorithm)}`)
  laws.demand(content.mode === 'gcm' || covered, 'ENCRYPTION_UNSIGNED', () => shown(algorithm))
  const transported = encryptedKeysOf(holder, data)
  const plain = decryptWith(transported, keys, content, cipherOf(data))
  if (plain === null) throw failed()
  const parse = () =>
    parseXml(
      decodeText(plain, messageLimits.bytes, 'refused', laws),
      { limits: messageLimits, comments: 'refused', scope: data.scope },
      laws,
    )
  if (content.mode === 'gcm') return parse()
  try {
    return parse()
  } catch (error) {
    if (error instanceof Refusal) throw failed()
    throw error
  }
}

const failed = () => new Refusal('DECRYPTION_FAILED', 'none of our keys opens it')

interface Transported {
  readonly hash: string
  readonly bytes: Buffer
}

function algorithmOf(element: XmlElement): string {
  const method = childOf(element, xenc, 'EncryptionMethod')
  return (method && attributeOf(method, 'Algorithm')) ?? ''
}

/** Inside the data's KeyInfo, or beside the data: both are written. */
function encryptedKeysOf(holder: XmlElement, data: XmlElement): Transported[] {
  const keyInfo = childOf(data, ds, 'KeyInfo')
  const found = [...(keyInfo ? childrenOf(keyInfo, xenc, 'EncryptedKey') : []), ...childrenOf(holder, xenc, 'EncryptedKey')]
  if (found.length === 0) throw new Refusal('ELEMENT_MISSING', `EncryptedKey in ${holder.local}`)
  return found.slice(0, mostKeys).map((key) => ({ hash: oaepHashOf(key), bytes: cipherOf(key) }))
}

/** The one hash of an OAEP padding; a digest and a mask of different hashes are not taken. */
function oaepHashOf(key: XmlElement): string {
  const algorithm = algorithmOf(key)
  const method = childOf(key, xenc, 'EncryptionMethod')!
  const of = (namespace: string, local: string) => {
    const found = childOf(method, namespace, local)
    return found && attributeOf(found, 'Algorithm')
  }
  const digest = oaepDigests.get(of(ds, 'DigestMethod') ?? 'http://www.w3.org/2000/09/xmldsig#sha1')
  const mask = algorithm === oaep ? oaepMasks.get(of(xenc11, 'MGF') ?? 'http://www.w3.org/2009/xmlenc11#mgf1sha1') : 'sha1'
  const taken = (algorithm === oaep || algorithm === oaepWithSha1Mask) && digest !== undefined && digest === mask
  if (!taken || childOf(method, xenc, 'OAEPparams') !== null) {
    throw new Refusal('ENCRYPTION_ALGORITHM', `the key by ${shown(algorithm)} with digest ${shown(of(ds, 'DigestMethod'))}`)
  }
  return digest
}

function cipherOf(element: XmlElement): Buffer {
  const data = childOf(element, xenc, 'CipherData')
  const value = data && childOf(data, xenc, 'CipherValue')
  const bytes = value && fromBase64(textOf(value))
  if (bytes === null) throw new Refusal('VALUE_MALFORMED', `the base64 of ${element.local}`)
  return bytes
}

function decryptWith(
  transported: readonly Transported[],
  keys: readonly KeyObject[],
  content: ContentCipher,
  bytes: Buffer,
): Buffer | null {
  for (const { hash, bytes: wrapped } of transported) {
    for (const key of keys.slice(0, mostKeys)) {
      const secret = quietly(() => privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash }, wrapped))
      if (secret?.length !== content.keyBytes) continue
      const plain = quietly(() => (content.mode === 'gcm' ? openGcm(content, secret, bytes) : openCbc(content, secret, bytes)))
      if (plain !== null) return plain
    }
  }
  return null
}

/** Null for whatever goes wrong in a decryption: which step it was is nobody's business. */
function quietly(work: () => Buffer | null): Buffer | null {
  try {
    return work()
  } catch {
    return null
  }
}

/** XML Encryption 1.1 §5.2.4: a nonce of 12 bytes before, a tag of 16 behind. */
function openGcm({ cipher }: ContentCipher, key: Buffer, bytes: Buffer): Buffer | null {
  if (bytes.length < 28) return null
  const open = createDecipheriv(cipher as 'aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 })
  open.setAuthTag(bytes.subarray(-16))
  return Buffer.concat([open.update(bytes.subarray(12, -16)), open.final()])
}

/** XML Encryption 1.1 §5.2: the last byte counts the padding, whose other bytes are arbitrary. */
function openCbc({ cipher }: ContentCipher, key: Buffer, bytes: Buffer): Buffer | null {
  if (bytes.length < 32 || bytes.length % 16 !== 0) return null
  const open = createDecipheriv(cipher, key, bytes.subarray(0, 16)).setAutoPadding(false)
  const padded = Buffer.concat([open.update(bytes.subarray(16)), open.final()])
  const padding = padded.at(-1)!
  return padding >= 1 && padding <= 16 ? padded.subarray(0, -padding) : null
}
