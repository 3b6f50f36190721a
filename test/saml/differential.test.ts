/** Our canonicalisation and our reading against other people's code: xml-crypto, and messages and metadata that samlify makes. */
import { generateKeyPairSync } from 'node:crypto'
import { DOMParser } from '@xmldom/xmldom'
import fc from 'fast-check'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import { ExclusiveCanonicalization, SignedXml } from 'xml-crypto'
import { samlGuard } from '../../src/modules/federation/saml/guard/guard.ts'
import { saml } from '../../src/modules/federation/saml/index.ts'
import { allLaws } from '../../src/modules/federation/saml/guard/laws.ts'
import { canonicalise } from '../../src/modules/federation/saml/guard/xml/c14n.ts'
import { messageLimits } from '../../src/modules/federation/saml/guard/xml/limits.ts'
import { parseXml } from '../../src/modules/federation/saml/guard/xml/parse.ts'
import { walk } from '../../src/modules/federation/saml/guard/xml/tree.ts'
import { selfSigned } from '../kit/certificate.ts'
import { acsUrl, asking, at, audience, hospital, now, person, requestId, signedAssertion, signedResponse } from '../kit/saml-response.ts'
import { adfs, entra, google, okta, ping, research } from '../kit/saml-vendors.ts'

/** xmldom and samlify are CommonJS, and samlify's types want to be imported as such. */
const samlify = createRequire(import.meta.url)('samlify') as typeof import('samlify')

const parse = (xml: string) => parseXml(xml, { limits: messageLimits, comments: 'refused', scope: new Map() }, allLaws)
const vendors = { entra, okta, google, ping, adfs, research }

describe('exclusive canonicalization', () => {
  const text = fc
    .stringMatching(/^[ a-z\u0627\u00e9\u{1f3e5}\n]{0,6}$/u)
    .chain((plain) => fc.constantFrom('', '&amp;', '&lt;', '&gt;', '&#13;', '&#9;', '"', "'").map((mark) => plain + mark))
  const name = fc.constantFrom('a', 'b', 'c', 'B')
  const prefix = fc.constantFrom('', 'p', 'q', 'r')
  const attribute = fc.record({ prefix: fc.constantFrom('', 'p', 'q'), name, value: text.map((value) => value.replaceAll('"', '')) })
  const declared = fc.record({ prefix, uri: fc.constantFrom('urn:1', 'urn:2', 'urn:3') })
  interface Node {
    prefix: string
    name: string
    attributes: { prefix: string; name: string; value: string }[]
    declared: { prefix: string; uri: string }[]
    children: (string | Node)[]
  }
  const { node } = fc.letrec<{ node: Node }>((tie) => ({
    node: fc.record({
      prefix,
      name,
      attributes: fc.uniqueArray(attribute, { maxLength: 3, selector: ({ name }) => name }),
      declared: fc.uniqueArray(declared, { maxLength: 3, selector: ({ prefix }) => prefix }),
      children: fc.array(fc.oneof({ maxDepth: 4 }, text, tie('node')), { maxLength: 3 }),
    }),
  }))
  const write = ({ prefix, name, attributes, declared, children }: Node, root: boolean): string => {
    const full = (of: { prefix: string; name: string }) => (of.prefix === '' ? of.name : `${of.prefix}:${of.name}`)
    const own = new Map(declared.map(({ prefix: of, uri }) => [of, uri]))
    const all = root ? new Map([['p', 'urn:1'], ['q', 'urn:2'], ['r', 'urn:3'], ...own]) : own
    const namespaces = [...all].map(([of, uri]) => ` xmlns${of === '' ? '' : `:${of}`}="${uri}"`).join('')
    const values = attributes.map((one) => ` ${full(one)}="${one.value}"`).join('')
    const inside = children.map((child) => (typeof child === 'string' ? child : write(child, false))).join('')
    return `<${full({ prefix, name })}${namespaces}${values}>${inside}</${full({ prefix, name })}>`
  }

  test('is that of xml-crypto for any tree', () => {
    fc.assert(
      fc.property(node, (tree) => {
        const xml = write(tree, true)
        const theirs = new ExclusiveCanonicalization()
          .process(new DOMParser().parseFromString(xml, 'text/xml').documentElement!, {})
          .toString()
        expect(canonicalise(parse(xml), { without: null, inclusive: [] })).toBe(theirs)
      }),
      { numRuns: 600, seed: 20261121 },
    )
  })

  test.each(Object.entries(vendors))('is that of xml-crypto for every element of a response of %s', (_, vendor) => {
    const xml = vendor()
    const theirs = Array.from(new DOMParser().parseFromString(xml, 'text/xml').getElementsByTagName('*'))
    const ours = [...walk(parse(xml))]
    expect(ours.length).toBe(theirs.length)
    for (const [index, { element }] of ours.entries()) {
      expect(canonicalise(element, { without: null, inclusive: [] })).toBe(
        new ExclusiveCanonicalization().process(theirs[index]!, {}).toString(),
      )
    }
  })

  test('writes what the recommendation asks, case by case', () => {
    const canonical = (xml: string, inclusive: readonly string[] = []) => canonicalise(parse(xml), { without: null, inclusive })
    expect(canonical('<a xmlns="urn:1"><b xmlns=""><c xmlns="urn:1"/></b></a>')).toBe(
      '<a xmlns="urn:1"><b xmlns=""><c xmlns="urn:1"></c></b></a>',
    )
    expect(canonical('<p:a xmlns:p="urn:1" xmlns="urn:2"><b/></p:a>')).toBe('<p:a xmlns:p="urn:1"><b xmlns="urn:2"></b></p:a>')
    expect(canonical('<a xmlns:q="urn:2" xmlns:p="urn:1" q:b="1" p:b="2" b="3"/>')).toBe(
      '<a xmlns:p="urn:1" xmlns:q="urn:2" b="3" p:b="2" q:b="1"></a>',
    )
    expect(canonical('<a xmlns:xs="urn:1"><b/></a>', ['xs'])).toBe('<a xmlns:xs="urn:1"><b></b></a>')
    expect(canonical('<a xmlns:xs="urn:1"><b xmlns:xs="urn:2"/></a>', ['xs'])).toBe('<a xmlns:xs="urn:1"><b xmlns:xs="urn:2"></b></a>')
    expect(canonical(`<a b='&#9;&#10;&#13;"&lt;&gt;'>&#13;&gt;"</a>`)).toBe('<a b="&#x9;&#xA;&#xD;&quot;&lt;>">&#xD;&gt;"</a>')
  })
})

test.each(Object.entries({ ...vendors, signedAssertion, signedResponse }))('xml-crypto verifies what the guard accepts: %s', (_, make) => {
  const xml = make()
  expect(samlGuard.verifyResponse(asking(xml)).ok).toBe(true)
  const document = new DOMParser().parseFromString(xml, 'text/xml')
  for (const signature of Array.from(document.getElementsByTagNameNS('http://www.w3.org/2000/09/xmldsig#', 'Signature'))) {
    const checker = new SignedXml({ publicCert: hospital.certificate, getCertFromKeyInfo: () => null })
    checker.loadSignature(signature as never)
    expect(checker.checkSignature(xml)).toBe(true)
  }
})

describe('samlify', () => {
  const ours = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const from = new Date('2026-01-01T00:00:00Z')
  const until = new Date('2036-01-01T00:00:00Z')
  const encryptCert = selfSigned(ours.privateKey, audience, from, until)
  const pem = hospital.key.export({ type: 'pkcs8', format: 'pem' }).toString()
  const binding = samlify.Constants.namespace.binding
  const settings = {
    entityID: hospital.entityId,
    privateKey: pem,
    signingCert: hospital.certificate,
    requestSignatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    singleSignOnService: [{ Binding: binding.post, Location: 'https://idp.hospital.example/sso' }],
    singleLogoutService: [{ Binding: binding.redirect, Location: 'https://idp.hospital.example/slo' }],
    nameIDFormat: ['urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'],
  }
  const service = (more: object) =>
    samlify.ServiceProvider({
      entityID: audience,
      encryptCert,
      assertionConsumerService: [{ Binding: binding.post, Location: acsUrl }],
      singleLogoutService: [{ Binding: binding.redirect, Location: 'https://north.care.example/saml/north/logout' }],
      ...more,
    })
  const said: Readonly<Record<string, string>> = {
    ID: '_response',
    AssertionID: '_assertion',
    Issuer: hospital.entityId,
    IssueInstant: at(-2),
    Destination: acsUrl,
    SubjectRecipient: acsUrl,
    InResponseTo: requestId,
    StatusCode: 'urn:oasis:names:tc:SAML:2.0:status:Success',
    NameIDFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
    NameID: person,
    Audience: audience,
    ConditionsNotBefore: at(-30),
    ConditionsNotOnOrAfter: at(300),
    SubjectConfirmationDataNotOnOrAfter: at(300),
    AttributeStatement: '',
    AuthnStatement:
      `<saml:AuthnStatement AuthnInstant="${at(-10)}"><saml:AuthnContext><saml:AuthnContextClassRef>` +
      'urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>',
  }
  const filled = (template: string) => ({ id: said['ID']!, context: template.replace(/\{(\w+)\}/g, (_, name: string) => said[name]!) })
  const respond = async (idp: object, sp: object, encryptThenSign = false) => {
    const provider = samlify.IdentityProvider({ ...settings, ...idp })
    const options = { customTagReplacement: filled, encryptThenSign }
    const made = await provider.createLoginResponse(service(sp), {} as never, 'post', { email: person }, options)
    return (made as { context: string }).context
  }
  const take = (samlResponse: string) => samlGuard.verifyResponse(asking('', { samlResponse, decryptionKeys: [ours.privateKey] }))

  const wantAssertionsSigned = true
  const wantMessageSigned = true
  const isAssertionEncrypted = true
  const gcm = 'http://www.w3.org/2009/xmlenc11#aes256-gcm'
  const cbc = 'http://www.w3.org/2001/04/xmlenc#aes256-cbc'
  test.each([
    ['a signed assertion', {}, { wantAssertionsSigned }, false],
    ['a signed response', {}, { wantMessageSigned }, false],
    ['both', {}, { wantAssertionsSigned, wantMessageSigned }, false],
    ['a signed assertion by GCM', { isAssertionEncrypted, dataEncryptionAlgorithm: gcm }, { wantAssertionsSigned }, false],
    [
      'CBC under a signed response',
      { isAssertionEncrypted, dataEncryptionAlgorithm: cbc },
      { wantAssertionsSigned, wantMessageSigned },
      true,
    ],
  ])('makes responses that the guard takes: %s', async (_, idp, sp, encryptThenSign) => {
    const verdict = take(await respond(idp, sp, encryptThenSign))
    expect(verdict).toMatchObject({ ok: true, assertion: { nameId: person } })
  })

  test('makes CBC without a signed response, which the guard refuses', async () => {
    const verdict = take(await respond({ isAssertionEncrypted, dataEncryptionAlgorithm: cbc }, { wantAssertionsSigned }))
    expect(verdict).toMatchObject({ ok: false, reason: 'ENCRYPTION_UNSIGNED' })
  })

  test('makes metadata that the guard reads', () => {
    const xml = samlify.IdentityProvider({ ...settings, wantAuthnRequestsSigned: true }).getMetadata()
    const verdict = samlGuard.readMetadata({ xml: Buffer.from(xml), now })
    expect(verdict).toMatchObject({
      ok: true,
      metadata: {
        entityId: hospital.entityId,
        singleSignOn: [{ binding: 'post', url: 'https://idp.hospital.example/sso' }],
        singleLogout: [{ binding: 'redirect', url: 'https://idp.hospital.example/slo' }],
      },
    })
  })

  test('makes a redirected logout that the guard takes', () => {
    const provider = samlify.IdentityProvider({ ...settings, wantLogoutRequestSigned: true })
    const party = service({ wantLogoutRequestSigned: true })
    const { context } = provider.createLogoutRequest(
      party,
      'redirect',
      { logoutNameID: person, sessionIndex: '_session' },
      { relayState: 'state-1' },
    )
    const query = new URL(context).search.slice(1)
    const idp = { entityId: hospital.entityId, certificates: [hospital.certificate] }
    const verdict = samlGuard.verifyLogoutRequest({
      received: { binding: 'redirect', query },
      now: new Date(),
      destination: 'https://north.care.example/saml/north/logout',
      idp,
    })
    expect(verdict).toMatchObject({ ok: true, request: { nameId: person, sessionIndexes: ['_session'], relayState: 'state-1' } })
  })

  test('asks the guard for the form of what it reads, as the module has registered it', async () => {
    expect(saml.name).toBe('saml')
    const { isValidXml } = samlify.SamlLib
    await expect(isValidXml(signedAssertion())).resolves.toBe('Response')
    await expect(isValidXml(signedAssertion().replace('<samlp:Status>', '<x/><samlp:Status>'))).rejects.toThrow('ELEMENT_UNEXPECTED')
    await expect(isValidXml('<!DOCTYPE x><x/>')).rejects.toThrow('XML_DOCTYPE')
  })
})
