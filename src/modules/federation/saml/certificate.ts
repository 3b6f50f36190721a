/** Self-signed X.509 certificates (RFC 5280 §4.1) around our RSA keys: what SAML metadata carries a public key in. */
import { generateKeyPair, randomBytes, sign, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

export interface OwnCertificate {
  readonly privateKey: KeyObject
  readonly certificatePem: string
}

// DER tags (X.690 §8).
const tag = { integer: 0x02, bits: 0x03, nothing: 0x05, oid: 0x06, utf8: 0x0c, sequence: 0x30, set: 0x31, utcTime: 0x17, time: 0x18, version: 0xa0 }
const sha256WithRsa = Buffer.from('2a864886f70d01010b', 'hex') // 1.2.840.113549.1.1.11
const commonName = Buffer.from('550403', 'hex') // 2.5.4.3

function der(kind: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  if (content.length < 0x80) return Buffer.concat([Buffer.from([kind, content.length]), content])
  const size = Buffer.from(content.length.toString(16).padStart(content.length > 0xff ? 4 : 2, '0'), 'hex')
  return Buffer.concat([Buffer.from([kind, 0x80 | size.length]), size, content])
}

/** UTCTime to the end of 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
function moment(at: Date): Buffer {
  const digits = at.toISOString().replace(/\D/g, '').slice(0, 14)
  return at.getUTCFullYear() < 2050 ? der(tag.utcTime, Buffer.from(`${digits.slice(2)}Z`)) : der(tag.time, Buffer.from(`${digits}Z`))
}

/**
 * A new RSA key with a certificate for it.
 * @param name at most 60 characters; readers show it, nobody trusts it.
 */
export async function makeCertificate(name: string, notBefore: Date, notAfter: Date): Promise<OwnCertificate> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const algorithm = der(tag.sequence, der(tag.oid, sha256WithRsa), der(tag.nothing))
  const subject = der(tag.sequence, der(tag.set, der(tag.sequence, der(tag.oid, commonName), der(tag.utf8, Buffer.from(name)))))
  const serial = randomBytes(16)
  // A positive number that needs no leading zero.
  serial[0] = (serial[0]! & 0x7f) | 0x40
  const content = der(
    tag.sequence,
    der(tag.version, der(tag.integer, Buffer.from([2]))),
    der(tag.integer, serial),
    algorithm,
    subject,
    der(tag.sequence, moment(notBefore), moment(notAfter)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
  )
  const signature = sign('sha256', content, privateKey)
  const certificate = der(tag.sequence, content, algorithm, der(tag.bits, Buffer.from([0]), signature))
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return { privateKey, certificatePem: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n` }
}
