/** Every shape in which providers sign, encrypt and write a response, and which must pass. */
import { generateKeyPairSync } from 'node:crypto'
import type { ResponseInput } from '../../src/modules/federation/saml/guard/verdict.ts'
import { encryptAssertion, makeProvider, signElement, type EncryptionOptions } from './saml-provider.ts'
import { acsUrl, assertionXml, at, hospital, loneAssertion, now, post, responseXml, signedAssertion, signedResponse, stranger } from './saml-response.ts'
import { adfs, entra, google, okta, ping, research } from './saml-vendors.ts'

const elliptic = makeProvider(hospital.entityId, 'ec')
export const ours = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const older = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const encrypted = (assertion: string, options: EncryptionOptions = {}) =>
  responseXml({}, encryptAssertion(assertion, ours.publicKey, options))
const more = 'http://www.w3.org/2001/04/xmldsig-more#'
const keys = { decryptionKeys: [ours.privateKey] }
const unasked = {
  responseAttributes: `ID="_response" Version="2.0" IssueInstant="${at(-2)}" Destination="${acsUrl}"`,
  confirmation:
    '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">' +
    `<saml:SubjectConfirmationData NotOnOrAfter="${at(300)}" Recipient="${acsUrl}"/></saml:SubjectConfirmation>`,
}

export type Valid = readonly [name: string, xml: () => string, other?: Partial<ResponseInput>]

export const valid: readonly Valid[] = [
  ['a signed response', () => signedResponse()],
  ['a signed assertion', () => signedAssertion()],
  ['both signed', () => signElement(signedAssertion(), '_response', hospital)],
  [
    'signed with RSA and SHA-512, digested with SHA-512',
    () => signedAssertion({}, { algorithm: `${more}rsa-sha512`, digest: 'http://www.w3.org/2001/04/xmlenc#sha512' }),
  ],
  [
    'signed with ECDSA',
    () => signedAssertion({}, {}, elliptic),
    { idp: { entityId: hospital.entityId, certificates: [elliptic.certificate] } },
  ],
  ['signed without KeyInfo', () => signedAssertion({}, { keyInfo: 'none' })],
  [
    'canonicalised with comments, of which there are none',
    () => signedAssertion({}, { canonicalization: 'http://www.w3.org/2001/10/xml-exc-c14n#WithComments' }),
  ],
  ['encrypted with AES-256-GCM, the assertion signed', () => encrypted(loneAssertion()), keys],
  [
    'encrypted with AES-128-GCM, the key by OAEP with SHA-256, beside its data',
    () => encrypted(loneAssertion(), { content: 'aes128-gcm', oaep: 'oaep-sha256', keyPlace: 'beside' }),
    keys,
  ],
  [
    'encrypted with AES-256-GCM under a signed response, the assertion unsigned',
    () => signElement(encrypted(assertionXml()), '_response', hospital),
    keys,
  ],
  [
    'encrypted with AES-256-CBC under a signed response',
    () => signElement(encrypted(loneAssertion(), { content: 'aes256-cbc' }), '_response', hospital),
    keys,
  ],
  [
    'encrypted with AES-128-CBC under a signed response, the assertion unsigned',
    () => signElement(encrypted(assertionXml(), { content: 'aes128-cbc' }), '_response', hospital),
    keys,
  ],
  [
    'encrypted to our older key, while a newer one is there',
    () => responseXml({}, encryptAssertion(loneAssertion(), older.publicKey)),
    { decryptionKeys: [ours.privateKey, older.privateKey] },
  ],
  [
    'an encrypted assertion that takes its prefix from around it',
    () => {
      const bare = loneAssertion().replace(' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"', '')
      return responseXml({}, encryptAssertion(bare, ours.publicKey))
    },
    keys,
  ],
  ['Entra', entra],
  ['Okta', okta],
  ['Google', google],
  ['Ping', ping],
  ['ADFS', adfs],
  ['a research federation', research],
  [
    'the new certificate of two',
    () => signedAssertion(),
    { idp: { entityId: hospital.entityId, certificates: [stranger.certificate, hospital.certificate] } },
  ],
  [
    'a dead certificate beside the good one',
    () => signedAssertion(),
    { idp: { entityId: hospital.entityId, certificates: ['nonsense', hospital.certificate] } },
  ],
  ['base64 in lines', () => signedAssertion(), { samlResponse: post(signedAssertion()).replace(/.{76}/g, '$&\r\n') }],
  ['unsolicited, where the connection allows it', () => signedAssertion(unasked), { inResponseTo: null, allowUnsolicited: true }],
  ['at the very edge of the clock', () => signedAssertion(), { now: new Date(now.getTime() + 359_999) }],
  ['of a provider whose clock is a minute ahead', () => signedAt({ [at(-2)]: at(60), [at(-10)]: at(60), [at(-30)]: at(60) })],
  ['ten minutes on its way, by a clock a minute behind', () => signedAt({ [at(-2)]: at(-660) })],
  ['a name and a group in Arabic', () => signedAssertion({ attributes: attributeOf('ممرضات') })],
  ['lines of Windows', () => signElement(responseXml().replaceAll('><', '>\r\n<'), '_assertion', hospital)],
]

/** The assertion signed with other instants in it and around it. */
function signedAt(instants: Readonly<Record<string, string>>): string {
  const moved = Object.entries(instants).reduce((xml, [from, to]) => xml.replaceAll(`"${from}"`, () => `"${to}"`), responseXml())
  return signElement(moved, '_assertion', hospital)
}

function attributeOf(value: string): string {
  return `<saml:AttributeStatement>${groupsOf(value)}</saml:AttributeStatement>`
}

function groupsOf(value: string): string {
  return `<saml:Attribute Name="groups"><saml:AttributeValue>${value}</saml:AttributeValue></saml:Attribute>`
}
