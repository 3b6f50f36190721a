/**
 * A double of an identity provider: keys, a certificate, signed and encrypted messages. It signs with xml-crypto, not with our own
 * canonicalisation, so that both sides of a test are not one mistake.
 */
import {
  constants,
  createCipheriv,
  createPrivateKey,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto'
import { DOMParser } from '@xmldom/xmldom'
import { ExclusiveCanonicalization, SignedXml } from 'xml-crypto'
import type { OwnKeys } from '../../src/modules/federation/saml/messages.ts'
import { selfSigned } from './certificate.ts'

export interface Provider {
  readonly entityId: string
  readonly key: KeyObject
  readonly certificate: string
}

export const exclusiveUri = 'http://www.w3.org/2001/10/xml-exc-c14n#'
export const envelopedUri = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature'
export const rsaSha256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'
export const ecdsaSha256 = 'http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256'
export const sha256Uri = 'http://www.w3.org/2001/04/xmlenc#sha256'
const certified = { from: new Date('2026-01-01T00:00:00Z'), until: new Date('2036-01-01T00:00:00Z') }

export function makeProvider(entityId: string, kind: 'rsa' | 'ec' | 'weak rsa' = 'rsa'): Provider {
  const key =
    kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      : generateKeyPairSync('rsa', { modulusLength: kind === 'rsa' ? 2048 : 1024 }).privateKey
  return { entityId, key, certificate: selfSigned(key, entityId, certified.from, certified.until) }
}

/** A provider's key as our own messages are signed with one. */
export const keysOf = ({ key, certificate }: Provider): OwnKeys => ({
  signing: { privateKeyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(), certificatePem: certificate },
  signingCertificates: [certificate],
  encryptionCertificates: [],
})

/** ECDSA as XML Signature writes it; xml-crypto lets callers bring algorithms of their own. */
class EcdsaSha256 {
  getAlgorithmName(): string {
    return ecdsaSha256
  }

  getSignature(info: unknown, key: unknown): string {
    const parsed = createPrivateKey(key as string)
    return sign('sha256', Buffer.from(info as string), { key: parsed, dsaEncoding: 'ieee-p1363' }).toString('base64')
  }

  verifySignature(info: string, key: unknown, value: string): boolean {
    return verify('sha256', Buffer.from(info), { key: key as string, dsaEncoding: 'ieee-p1363' }, Buffer.from(value, 'base64'))
  }
}

export interface SigningOptions {
  readonly algorithm?: string
  readonly digest?: string
  readonly canonicalization?: string
  readonly transforms?: readonly string[]
  readonly prefixes?: readonly string[]
  readonly prefix?: string
  readonly keyInfo?: 'certificate' | 'none'
  /** Last changes to the signer. */
  readonly prepare?: (signer: SignedXml) => void
  /** XPath of what the signature stands behind; the signed element's Issuer otherwise. */
  readonly behind?: string
}

const made = new Map<string, string>()

/** Signs the element of that ID; the signature stands behind its Issuer, where SAML has it. The same is signed once. */
export function signElement(xml: string, id: string, by: Provider, options: SigningOptions = {}): string {
  if (options.prepare) return sealed(xml, id, by, options)
  const what = JSON.stringify([xml, id, by.certificate, by.key.export({ format: 'jwk' }), options])
  const known = made.get(what) ?? sealed(xml, id, by, options)
  made.set(what, known)
  return known
}

function sealed(xml: string, id: string, by: Provider, options: SigningOptions): string {
  const signer = new SignedXml({
    privateKey: by.key.export({ type: 'pkcs8', format: 'pem' }),
    ...(options.keyInfo === 'none' ? { getKeyInfoContent: () => null } : { publicCert: by.certificate }),
    signatureAlgorithm: options.algorithm ?? (by.key.asymmetricKeyType === 'ec' ? ecdsaSha256 : rsaSha256),
    canonicalizationAlgorithm: options.canonicalization ?? exclusiveUri,
  })
  signer.SignatureAlgorithms[ecdsaSha256] = EcdsaSha256 as never
  signer.addReference({
    xpath: `//*[@ID='${id}']`,
    digestAlgorithm: options.digest ?? sha256Uri,
    transforms: [...(options.transforms ?? [envelopedUri, exclusiveUri])],
    inclusiveNamespacesPrefixList: [...(options.prefixes ?? [])],
  })
  options.prepare?.(signer)
  const location = { reference: options.behind ?? `//*[@ID='${id}']/*[local-name(.)='Issuer']`, action: 'after' as const }
  signer.computeSignature(xml, { prefix: options.prefix ?? 'ds', location })
  return options.prefixes ? withoutSecondList(signer.getSignedXml(), id, by) : signer.getSignedXml()
}

/** xml-crypto writes a prefix list into the enveloped transform too, where no provider has one: taken out, and signed again. */
function withoutSecondList(xml: string, id: string, by: Provider): string {
  const mended = xml.replace(/<InclusiveNamespaces(?=[^>]*#enveloped-signature)[^>]*>/, '')
  const infos = new DOMParser()
    .parseFromString(mended, 'text/xml')
    .getElementsByTagNameNS('http://www.w3.org/2000/09/xmldsig#', 'SignedInfo')
  const info = Array.from(infos).find((one) => one.getElementsByTagName('ds:Reference')[0]?.getAttribute('URI') === `#${id}`)!
  const canonical = new ExclusiveCanonicalization().process(info, {}).toString()
  const value = sign('sha256', Buffer.from(canonical), by.key).toString('base64')
  const place = mended.indexOf('<ds:SignatureValue>', mended.indexOf(`URI="#${id}"`))
  return mended.slice(0, place) + mended.slice(place).replace(/(?<=<ds:SignatureValue>)[^<]*/, value)
}

export interface EncryptionOptions {
  readonly content?: 'aes128-gcm' | 'aes256-gcm' | 'aes128-cbc' | 'aes256-cbc'
  readonly oaep?: 'mgf1p' | 'oaep-sha256'
  /** Where the encrypted key stands: inside KeyInfo, or beside the data with a RetrievalMethod to it. */
  readonly keyPlace?: 'inside' | 'beside'
}

const gcm = 'http://www.w3.org/2009/xmlenc11#'
const cbc = 'http://www.w3.org/2001/04/xmlenc#'

/** An EncryptedAssertion (XML Encryption 1.1) of a serialised assertion. */
export function encryptAssertion(assertion: string, to: KeyObject, options: EncryptionOptions = {}): string {
  const { content = 'aes256-gcm', oaep = 'mgf1p', keyPlace = 'inside' } = options
  const bits = content.includes('128') ? 128 : 256
  const key = randomBytes(bits / 8)
  const isGcm = content.endsWith('gcm')
  const iv = randomBytes(isGcm ? 12 : 16)
  const cipher = createCipheriv(`aes-${bits}-${isGcm ? 'gcm' : 'cbc'}`, key, iv) as ReturnType<typeof createCipheriv> & {
    getAuthTag(): Buffer
  }
  const value = Buffer.concat([iv, cipher.update(assertion, 'utf8'), cipher.final(), ...(isGcm ? [cipher.getAuthTag()] : [])])
  const hash = oaep === 'mgf1p' ? 'sha1' : 'sha256'
  const wrapped = publicEncrypt({ key: to, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash }, key)
  const method =
    oaep === 'mgf1p'
      ? `<xenc:EncryptionMethod Algorithm="${cbc}rsa-oaep-mgf1p">` +
        `<ds:DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"/></xenc:EncryptionMethod>`
      : `<xenc:EncryptionMethod Algorithm="${gcm}rsa-oaep"><ds:DigestMethod Algorithm="${sha256Uri}"/>` +
        `<xenc11:MGF xmlns:xenc11="${gcm}" Algorithm="${gcm}mgf1sha256"/></xenc:EncryptionMethod>`
  const encryptedKey =
    `<xenc:EncryptedKey Id="_key">${method}<xenc:CipherData>` +
    `<xenc:CipherValue>${wrapped.toString('base64')}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>`
  const inside =
    keyPlace === 'inside' ? encryptedKey : '<ds:RetrievalMethod URI="#_key" Type="http://www.w3.org/2001/04/xmlenc#EncryptedKey"/>'
  return (
    '<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" ' +
    'xmlns:ds="http://www.w3.org/2000/09/xmldsig#">' +
    `<xenc:EncryptedData Type="${cbc}Element"><xenc:EncryptionMethod Algorithm="${isGcm ? gcm : cbc}${content}"/>` +
    `<ds:KeyInfo>${inside}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>${value.toString('base64')}</xenc:CipherValue>` +
    '</xenc:CipherData></xenc:EncryptedData>' +
    `${keyPlace === 'beside' ? encryptedKey : ''}</saml:EncryptedAssertion>`
  )
}
