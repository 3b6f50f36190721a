/** Self-signed certificates for doubles of identity providers: X.509 v3 without extensions (RFC 5280 §4.1), enough to carry a key. */
import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto'

const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  const hex = body.length.toString(16)
  const size = body.length < 128 ? Buffer.of(body.length) : Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
  return Buffer.concat([Buffer.of(tag), body.length < 128 ? size : Buffer.concat([Buffer.of(0x80 | size.length), size]), body])
}
const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts)
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const rsaWithSha256 = sequence(oid('2a864886f70d01010b'), der(0x05))
const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const time = (at: Date) => der(0x18, Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))

/** @returns PEM. Times are written to the second. */
export function selfSigned(privateKey: KeyObject, commonName: string, from: Date, until: Date): string {
  const key = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const algorithm = key.asymmetricKeyType === 'rsa' ? rsaWithSha256 : ecdsaWithSha256
  const name = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(commonName)))))
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.of(1)),
    algorithm,
    name,
    sequence(time(from), time(until)),
    name,
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
  )
  const whole = sequence(body, algorithm, der(0x03, Buffer.of(0), sign('sha256', body, key)))
  const lines = whole.toString('base64').match(/.{1,64}/g)!
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
