/** What must pass: every shape in which providers sign, encrypt and write a response, seen to give the same identity. */
import { createPublicKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { samlGuard } from '../../src/modules/federation/saml/guard/guard.ts'
import type { ResponseInput, VerifiedAssertion } from '../../src/modules/federation/saml/guard/verdict.ts'
import { asking, at, hospital, loneAssertion, person, post, requestId, responseXml } from '../kit/saml-response.ts'
import { encrypted, ours, valid } from '../kit/saml-shapes.ts'
import { adfs, research } from '../kit/saml-vendors.ts'

function identityOf(input: ResponseInput): VerifiedAssertion {
  const verdict = samlGuard.verifyResponse(input)
  if (!verdict.ok) throw new Error(`${verdict.reason}: ${verdict.detail}`)
  return verdict.assertion
}

test('the shapes are at least twelve, each by a name of its own', () => {
  expect(new Set(valid.map(([name]) => name)).size).toBe(valid.length)
  expect(valid.length).toBeGreaterThanOrEqual(12)
})

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
    inResponseTo: requestId,
    attributes: new Map([
      ['urn:oid:1.3.6.1.4.1.5923.1.1.1.10', ['opaque-7']],
      ['groups', ['nurses']],
    ]),
  })
  expect(identityOf(asking(adfs())).attributes.get('groups')).toEqual(['nurses', 'ward-7'])
})

test('a look without trust names the issuer and the request, whoever signed', () => {
  expect(samlGuard.peekResponse(post(responseXml()))).toEqual({ ok: true, issuer: hospital.entityId, inResponseTo: requestId })
  expect(samlGuard.peekResponse(post(responseXml({ responseIssuer: '' })))).toMatchObject({ issuer: hospital.entityId })
  expect(samlGuard.peekResponse('*')).toMatchObject({ ok: false, reason: 'NOT_BASE64' })
})

test('a public key in place of ours is of no use to open an assertion', () => {
  const input = asking(encrypted(loneAssertion()), { decryptionKeys: [createPublicKey(ours.privateKey)] })
  expect(samlGuard.verifyResponse(input)).toMatchObject({ ok: false, reason: 'DECRYPTION_FAILED' })
})
