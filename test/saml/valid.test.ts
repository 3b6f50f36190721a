/** What must pass: every shape in which providers sign, encrypt and write a response, seen to give the same identity. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { samlGuard } from '../../src/modules/federation/saml/guard/guard.ts'
import type { ResponseInput, VerifiedAssertion } from '../../src/modules/federation/saml/guard/verdict.ts'
import { encryptAssertion, makeProvider, signElement, type EncryptionOptions } from '../kit/saml-provider.ts'
import {
  acsUrl,
  asking,
  assertionXml,
  at,
  hospital,
  loneAssertion,
  now,
  person,
  post,
  responseXml,
  signedAssertion,
  signedResponse,
  stranger,
} from '../kit/saml-response.ts'
import { adfs, entra, google, okta, ping, research } from '../kit/saml-vendors.ts'

const elliptic = makeProvider(hospital.entityId, 'ec')
const ours = generateKeyPairSync('rsa', { modulusLength: 2048 })
const older = generateKeyPairSync('rsa', { modulusLength: 2048 })
const encrypted = (assertion: string, options: EncryptionOptions = {}) =>
  responseXml({}, encryptAssertion(assertion, ours.publicKey, options))
const more = 'http://www.w3.org/2001/04/xmldsig-more#'
const keys = { decryptionKeys: [ours.privateKey] }
const unasked = {
  responseAttributes: `ID="_response" Version="2.0" IssueInstant="${at(-2)}" Destination="${acsUrl}"`,
  confirmation:
    '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">' +
    `<saml:SubjectConfirmationData NotOnOrAfter="${at(300)}" Recipient="${acsUrl}"/></saml:SubjectConfirmation>`,
}

type Valid = readonly [name: string, xml: () => string, other?: Partial<ResponseInput>]

const valid: readonly Valid[] = [
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
  ['a name and a group in Arabic', () => signedAssertion({ attributes: attributeOf('ممرضات') })],
  ['lines of Windows', () => signElement(responseXml().replaceAll('><', '>\r\n<'), '_assertion', hospital)],
]

function attributeOf(value: string): string {
  return `<saml:AttributeStatement>${groupsOf(value)}</saml:AttributeStatement>`
}

function groupsOf(value: string): string {
  return `<saml:Attribute Name="groups"><saml:AttributeValue>${value}</saml:AttributeValue></saml:Attribute>`
}

function identityOf(input: ResponseInput): VerifiedAssertion {
  const verdict = samlGuard.verifyResponse(input)
  if (!verdict.ok) throw new Error(`${verdict.reason}: ${verdict.detail}`)
  return verdict.assertion
}

test.each(valid.map(([name, xml, other = {}]) => [name, xml, other] as const))('%s is taken', (_, xml, other) => {
  const identity = identityOf(asking(xml(), other))
  expect(identity).toMatchObject({ issuer: hospital.entityId, nameId: person })
  expect(identity.attributes.get('groups')!.length).toBeGreaterThan(0)
  expect(identity.certificateFingerprint).toMatch(/^[0-9a-f]{64}$/)
})

test('every part of the identity is read as it was said', () => {
  expect(identityOf(asking(research()))).toMatchObject({
    id: '_s2',
    nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    nameQualifier: hospital.entityId,
    sessionIndex: '_s3',
    authnInstant: new Date(at(-9)),
    authnContextClassRef: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
    sessionNotOnOrAfter: new Date(at(3600)),
    notOnOrAfter: new Date(at(300)),
    inResponseTo: '_req-7f0c2a',
    attributes: new Map([
      ['urn:oid:1.3.6.1.4.1.5923.1.1.1.10', ['opaque-7']],
      ['groups', ['nurses']],
    ]),
  })
  expect(identityOf(asking(adfs())).attributes.get('groups')).toEqual(['nurses', 'ward-7'])
})

test('a look without trust names the issuer and the request, whoever signed', () => {
  expect(samlGuard.peekResponse(post(responseXml()))).toEqual({ ok: true, issuer: hospital.entityId, inResponseTo: '_req-7f0c2a' })
  expect(samlGuard.peekResponse(post(responseXml({ responseIssuer: '' })))).toMatchObject({ issuer: hospital.entityId })
  expect(samlGuard.peekResponse('*')).toMatchObject({ ok: false, reason: 'NOT_BASE64' })
})

test('a public key in place of ours is of no use to open an assertion', () => {
  const input = asking(encrypted(loneAssertion()), { decryptionKeys: [createPublicKey(ours.privateKey)] })
  expect(samlGuard.verifyResponse(input)).toMatchObject({ ok: false, reason: 'DECRYPTION_FAILED' })
})
