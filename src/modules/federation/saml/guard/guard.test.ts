/** The door of the guard: what is taken beside what the corpus of attacks sees refused, and that no law can be left out. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  answering,
  byPost,
  byRedirect,
  leaving,
  logoutId,
  logoutRequestXml,
  logoutResponseXml,
  posted,
  redirected,
} from '../../../../../test/kit/saml-logout.ts'
import { entityXml, keyDescriptor, reading } from '../../../../../test/kit/saml-metadata.ts'
import { makeProvider } from '../../../../../test/kit/saml-provider.ts'
import { asking, at, hospital, person, signedAssertion } from '../../../../../test/kit/saml-response.ts'
import { buildGuard } from './build.ts'
import { samlGuard } from './guard.ts'
import type { PlainHttp } from './verdict.ts'
import { allLaws, Laws } from './laws.ts'
import { reasons, type ReasonCode } from './reasons.ts'
import { duration, readInstant } from './shape/values.ts'
import { messageLimits } from './xml/limits.ts'
import { parseXml } from './xml/parse.ts'

const elliptic = makeProvider(hospital.entityId, 'ec')
const byElliptic = { idp: { entityId: hospital.entityId, certificates: [hospital.certificate, elliptic.certificate] } }

describe('the laws', () => {
  test('are all kept by the product: no other file builds a guard or drops a law', () => {
    const root = join(import.meta.dirname, '../../../..')
    const builders = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
      .filter((path) => /\bnew Laws\(|\bbuildGuard\(/.test(readFileSync(join(root, path), 'utf8')))
      .sort()
    expect(builders.map((path) => path.replaceAll('\\', '/').split('/guard/')[1])).toEqual(['build.ts', 'guard.ts', 'laws.ts'])
    expect(readFileSync(join(import.meta.dirname, 'guard.ts'), 'utf8')).toContain('buildGuard(allLaws)')
    expect(readFileSync(join(import.meta.dirname, 'laws.ts'), 'utf8').match(/new Laws\([^)]*\)/g)).toEqual(['new Laws(null)'])
  })

  test('can be left out one by one in a test, and only that one', () => {
    const xml = signedAssertion({ issuer: '<saml:Issuer>https://idp.stranger.example/metadata</saml:Issuer>' })
    expect(samlGuard.verifyResponse(asking(xml))).toMatchObject({ ok: false, reason: 'ISSUER' })
    expect(buildGuard(new Laws('ISSUER')).verifyResponse(asking(xml))).toMatchObject({ ok: true })
    expect(buildGuard(new Laws('AUDIENCE')).verifyResponse(asking(xml))).toMatchObject({ ok: false, reason: 'ISSUER' })
  })

  test('have a sentence each, in English and in Arabic, of their own', () => {
    const codes = Object.keys(reasons) as ReasonCode[]
    expect(codes.every((code) => /^[A-Z][A-Z0-9_]+$/.test(code))).toBe(true)
    for (const locale of ['en', 'ar'] as const) {
      const sentences = codes.map((code) => reasons[code][locale])
      expect(new Set(sentences).size).toBe(codes.length)
      expect(sentences.every((sentence) => /[.?؟]$/.test(sentence))).toBe(true)
      expect(sentences.every((sentence) => /[\u0600-\u06ff]/.test(sentence) === (locale === 'ar'))).toBe(true)
    }
  })

  test('name what they found in one short printable line, and never the whole message', () => {
    const issuer = `<saml:Issuer>${'x'.repeat(5000)}\u202e&#10;y</saml:Issuer>`
    const verdict = samlGuard.verifyResponse(asking(signedAssertion({ issuer })))
    expect(verdict).toMatchObject({ ok: false, reason: 'ISSUER' })
    expect(verdict.ok ? '' : verdict.detail).toMatch(/^[\x20-\x7e…]{1,300}$/)
  })
})

describe('a logout', () => {
  const said = { id: '_request', issuer: hospital.entityId, nameId: person, sessionIndexes: ['_session'] }

  test('by POST is taken when its signature holds', () => {
    expect(samlGuard.verifyLogoutRequest(leaving(byPost(posted(logoutRequestXml, '_request'))))).toMatchObject({
      ok: true,
      request: { ...said, relayState: 'state-1', notOnOrAfter: new Date(at(300)) },
    })
  })

  test.each([
    ['RSA', () => redirected(logoutRequestXml, 'SAMLRequest', hospital, { relayState: 'a b' }), 'a b'],
    ['ECDSA', () => redirected(logoutRequestXml, 'SAMLRequest', elliptic), null],
    ['lower-case encoding', () => redirected(logoutRequestXml, 'SAMLRequest', hospital, { lowerCase: true }), null],
    ['other parameters beside', () => `x=1&${redirected(logoutRequestXml, 'SAMLRequest')}&SAMLEncodings=2`, null],
  ])('by redirect is taken when the signature of its query holds: %s', (_, query, relayState) => {
    expect(samlGuard.verifyLogoutRequest(leaving(byRedirect(query()), byElliptic))).toMatchObject({
      ok: true,
      request: { ...said, relayState },
    })
  })

  test('is answered by either binding, with the status that the provider gave', () => {
    const partial = logoutResponseXml.replace('status:Success', 'status:Responder')
    const answer = { id: '_answer', inResponseTo: logoutId, success: true }
    expect(samlGuard.verifyLogoutResponse(answering(byPost(posted(logoutResponseXml, '_answer'))))).toMatchObject({
      ok: true,
      response: answer,
    })
    expect(samlGuard.verifyLogoutResponse(answering(byRedirect(redirected(partial, 'SAMLResponse'))))).toMatchObject({
      ok: true,
      response: { ...answer, success: false, status: 'urn:oasis:names:tc:SAML:2.0:status:Responder' },
    })
  })
})

describe('metadata', () => {
  test('gives the provider, its keys and its addresses', () => {
    expect(samlGuard.readMetadata(reading(`\ufeff<?xml version="1.0"?><!-- one provider -->${entityXml}`))).toEqual({
      ok: true,
      metadata: {
        entityId: hospital.entityId,
        certificates: [
          {
            pem: hospital.certificate,
            fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
            notBefore: new Date('2026-01-01T00:00:00Z'),
            notAfter: new Date('2036-01-01T00:00:00Z'),
          },
        ],
        singleSignOn: [
          { binding: 'redirect', url: 'https://idp.hospital.example/sso', responseUrl: null },
          { binding: 'post', url: 'https://idp.hospital.example/sso', responseUrl: null },
        ],
        singleLogout: [
          { binding: 'redirect', url: 'https://idp.hospital.example/slo', responseUrl: 'https://idp.hospital.example/slo/done' },
        ],
        validUntil: new Date(at(86_400 * 7)),
      },
    })
  })

  test('gives both keys of a roll-over, once each, in their order', () => {
    const two = entityXml.replace(
      '<md:SingleLogoutService',
      () => keyDescriptor(elliptic.certificate, '') + keyDescriptor(hospital.certificate) + '<md:SingleLogoutService',
    )
    const verdict = samlGuard.readMetadata(reading(two))
    expect(verdict.ok && verdict.metadata.certificates.map(({ pem }) => pem)).toEqual([hospital.certificate, elliptic.certificate])
  })

  test('names plain http nowhere, but for a browser’s own machine in a trial and wherever the operator vouched', () => {
    const at = (address: string, plainHttp?: PlainHttp) => {
      const xml = entityXml.replaceAll('https://idp.hospital.example/sso', address)
      const verdict = samlGuard.readMetadata(reading(xml, plainHttp === undefined ? {} : { plainHttp }))
      return verdict.ok ? 'taken' : verdict.reason
    }
    const [inner, own, disguised] = ['http://idp.inner/sso', 'http://127.0.0.1:8080/sso', 'http://127.0.0.1.evil.example/sso']
    const answers = (plainHttp?: PlainHttp) => [inner, own, disguised, 'https://idp.inner/sso'].map((address) => at(address, plainHttp))
    const refused = 'METADATA_ENDPOINT'
    expect(answers()).toEqual([refused, refused, refused, 'taken'])
    expect(answers('own machine')).toEqual([refused, 'taken', refused, 'taken'])
    expect(answers('anywhere')).toEqual(['taken', 'taken', 'taken', 'taken'])
    for (const address of ['javascript:alert(1)', 'ftp://idp.inner/sso', 'http://user@idp.inner/sso']) expect(at(address, 'anywhere')).toBe(refused)
  })

  test('of a group with one provider and other roles is read, what stands beside it is not looked into', () => {
    const role =
      '<md:RoleDescriptor xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" protocolSupportEnumeration="x">' +
      '<fed:Claims a="1">text<b/></fed:Claims></md:RoleDescriptor>'
    const extended = entityXml.replace(
      '<md:IDPSSODescriptor',
      () => `<md:Extensions><x xmlns="urn:x">y</x></md:Extensions>${role}<md:IDPSSODescriptor`,
    )
    const group =
      `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" validUntil="${at(3600)}">` +
      `${extended}</md:EntitiesDescriptor>`
    expect(samlGuard.readMetadata(reading(group))).toMatchObject({
      ok: true,
      metadata: { entityId: hospital.entityId, validUntil: new Date(at(3600)) },
    })
  })
})

describe('values', () => {
  test.each([
    ['2026-11-21T08:00:00Z', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21T08:00:00.1234567Z', '2026-11-21T08:00:00.123Z'],
    ['2026-11-21T11:00:00+03:00', '2026-11-21T08:00:00.000Z'],
    ['2024-02-29T23:59:59Z', '2024-02-29T23:59:59.000Z'],
  ])('the instant %s is read', (written, read) => expect(readInstant(written)?.toISOString()).toBe(read))

  test.each([
    '2026-02-29T00:00:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T08:00:60Z',
    '2026-13-01T00:00:00Z',
    '2026-11-21',
    '2026-11-21T08:00:00',
    '',
  ])('the instant %s is none', (written) => expect(readInstant(written)).toBeNull())

  test.each([
    ['PT6H', true],
    ['P1D', true],
    ['P1Y2M3DT4H5M6.7S', true],
    ['-PT1H', false],
    ['P', false],
  ])('%s is a duration: %s', (written, isOne) => expect(duration(written)).toBe(isOne))
})

describe('the parser', () => {
  const parse = (xml: string) => parseXml(xml, { limits: messageLimits, comments: 'between elements', scope: new Map() }, allLaws)

  test('reads text, references, blanks and names as XML says', () => {
    const root = parse(
      '<?xml version="1.0"?>\r\n<a:b xmlns:a="urn:x" c="1&#10;2\n3\t4">x&lt;\r\ny&#x41;<!-- -->\n</a:b  >\n'.replace('<!-- -->', ''),
    )
    expect(root).toMatchObject({ prefix: 'a', local: 'b', namespace: 'urn:x', children: ['x<\nyA\n'] })
    expect(root.attributes).toEqual([{ prefix: '', local: 'c', namespace: '', value: '1\n2 3 4' }])
  })

  test('does not read a reference twice', () => expect(parse('<a>&amp;lt;</a>').children).toEqual(['&lt;']))

  test.each([
    '<a b=1/>',
    '<a b/>',
    '<a b="<"/>',
    '<a b="1"c="2"/>',
    '<1a/>',
    '<a:b:c xmlns:a="urn:x"/>',
    '<é/>',
    '< a/>',
    '<a',
    '<a>]]></a>',
    '',
    '<a/><b/>',
  ])('refuses %s', (xml) => expect(() => parse(xml)).toThrow(/^XML_/))
})
