/** Signatures that are missing, partial, of another key, of another algorithm, or that sign something else than they seem to. */
import { createHmac } from 'node:crypto'
import { makeProvider, signElement } from '../../kit/saml-provider.ts'
import { assertionXml, hospital, requestId, responseXml, signedAssertion, signedResponse, stranger } from '../../kit/saml-response.ts'
import { byResponse, forged, partOf, replaced, signatureOf, still, unsigned, type Attack } from './attack.ts'

const xmldsig = 'http://www.w3.org/2000/09/xmldsig#'
const inclusive = 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315'
const signedInfo = (xml: string) => partOf(xml, /<ds:SignedInfo>[\s\S]*<\/ds:SignedInfo>/)
const flippedFirst = (base64: string) => (base64.startsWith('A') ? 'B' : 'A') + base64.slice(1)
const valueOf = (xml: string, local: string) => partOf(xml, new RegExp(`(?<=<ds:${local}>)[^<]*`))
const weak = makeProvider('https://idp.hospital.example/metadata', 'weak rsa')
const both = () => signElement(signElement(responseXml(), '_assertion', hospital), '_response', hospital)

const confirmationOfOther = partOf(assertionXml(), /<saml:SubjectConfirmation [\s\S]*<\/saml:SubjectConfirmation>/).replace(
  requestId,
  '_other',
)
const onlyOurTables = 'the table of algorithms is the only way to one: nothing else can verify'
const signedBefore = still('SIGNATURE_INVALID', 'SignedInfo is signed too: whoever changes it needs the key')

/** The transform that selects by XPath (XML Signature §6.6.3), as xml-crypto would write its name. */
function transformed(algorithm: string): string {
  return replaced(
    signedAssertion(),
    '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>',
    `<ds:Transform Algorithm="${algorithm}"/>`,
  )
}

export const signatures: readonly Attack[] = [
  byResponse('the identity changed after signing', 'DIGEST_MISMATCH', 'accepted', () => forged(signedAssertion())),
  byResponse('the identity changed in a signed response', 'DIGEST_MISMATCH', 'accepted', () => forged(signedResponse())),
  byResponse('a group added after signing', 'DIGEST_MISMATCH', 'accepted', () =>
    replaced(signedAssertion(), '>nurses<', '>administrators<'),
  ),
  byResponse('a blank added to a group in a signed response', 'DIGEST_MISMATCH', 'accepted', () =>
    replaced(signedResponse(), '>nurses<', '>nurses <'),
  ),
  byResponse('the digest changed', 'DIGEST_MISMATCH', signedBefore, () => {
    const digest = valueOf(signedAssertion(), 'DigestValue')
    return replaced(signedAssertion(), digest, flippedFirst(digest))
  }),
  byResponse('the identity changed and the digest with it', 'SIGNATURE_INVALID', 'accepted', () => {
    // The stranger computes the digest of the forgery; the signature is the provider's own.
    const evil = signElement(forged(responseXml()), '_assertion', stranger)
    const original = signatureOf(signedAssertion())
    return replaced(evil, signatureOf(evil), replaced(original, valueOf(original, 'DigestValue'), valueOf(evil, 'DigestValue')))
  }),
  byResponse('the signature value changed', 'SIGNATURE_INVALID', 'accepted', () => {
    const value = valueOf(signedAssertion(), 'SignatureValue')
    return replaced(signedAssertion(), value, flippedFirst(value))
  }),
  byResponse('an empty signature value', 'VALUE_MALFORMED', still('VALUE_MALFORMED', 'what is no base64 has no bytes to verify'), () =>
    replaced(signedAssertion(), valueOf(signedAssertion(), 'SignatureValue'), ''),
  ),
  byResponse(
    'no signature at all',
    'SIGNATURE_MISSING',
    still('SIGNATURE_MISSING', 'only a verified signature makes what an identity is read from'),
    () => responseXml(),
  ),
  byResponse(
    'the signature stripped',
    'SIGNATURE_MISSING',
    still('SIGNATURE_MISSING', 'only a verified signature makes what an identity is read from'),
    () => unsigned(signedAssertion()),
  ),
  byResponse('the assertion signature stripped and the identity changed, both having been signed', 'DIGEST_MISMATCH', 'accepted', () => {
    const xml = both()
    const own = partOf(xml, /<ds:Signature (?:(?!<ds:Signature )[\s\S])*?#_assertion[\s\S]*?<\/ds:Signature>/)
    return forged(replaced(xml, own, ''))
  }),
  byResponse('the response signature broken, the assertion signature whole', 'DIGEST_MISMATCH', 'accepted', () =>
    replaced(both(), 'Destination="', 'Consent="urn:oasis:names:tc:SAML:2.0:consent:obtained" Destination="'),
  ),
  byResponse('the signature emptied of its SignedInfo', 'ELEMENT_MISSING', still('ELEMENT_MISSING', 'verification asks for it again'), () =>
    replaced(signedAssertion(), signedInfo(signedAssertion()), ''),
  ),
  byResponse(
    'two SignedInfo in one signature, the first one forged',
    'ELEMENT_UNEXPECTED',
    still('DIGEST_MISMATCH', 'the first SignedInfo alone is read, digested against and verified'),
    () => {
      const info = signedInfo(signedAssertion())
      const evil = replaced(info, valueOf(info, 'DigestValue'), flippedFirst(valueOf(info, 'DigestValue')))
      return replaced(signedAssertion(), info, evil + info)
    },
  ),
  byResponse(
    'two signatures in one assertion',
    'ELEMENT_UNEXPECTED',
    still('DIGEST_MISMATCH', 'an enveloped signature leaves out itself alone: the other one is content that was not signed'),
    () => replaced(signedAssertion(), '</ds:Signature>', `</ds:Signature>${signatureOf(signedAssertion())}`),
  ),
  byResponse('two references in one signature', 'REFERENCE_SEVERAL', signedBefore, () => {
    const reference = partOf(signedAssertion(), /<ds:Reference [\s\S]*?<\/ds:Reference>/)
    return replaced(signedAssertion(), reference, reference + reference)
  }),
  byResponse('two references, signed so by the provider', 'REFERENCE_SEVERAL', 'accepted', () =>
    signElement(responseXml(), '_assertion', hospital, {
      prepare: (signer) =>
        signer.addReference({
          xpath: "//*[@ID='_response']",
          digestAlgorithm: 'http://www.w3.org/2001/04/xmlenc#sha256',
          transforms: ['http://www.w3.org/2001/10/xml-exc-c14n#'],
        }),
    }),
  ),
  byResponse('a reference to the whole document', 'REFERENCE_FOREIGN', signedBefore, () =>
    replaced(signedAssertion(), 'URI="#_assertion"', 'URI=""'),
  ),
  byResponse('a reference by XPointer', 'REFERENCE_FOREIGN', signedBefore, () =>
    replaced(signedAssertion(), 'URI="#_assertion"', `URI="#xpointer(id('_assertion'))"`),
  ),
  byResponse('a reference to another host', 'REFERENCE_FOREIGN', signedBefore, () =>
    replaced(signedAssertion(), 'URI="#_assertion"', 'URI="https://idp.stranger.example/assertion.xml"'),
  ),
  byResponse(
    'the assertion signed by another key, whose certificate comes along',
    'SIGNING_KEY_UNKNOWN',
    still('SIGNATURE_INVALID', 'the certificate in the message is only named to IT, never used'),
    () => signedAssertion({}, {}, stranger),
  ),
  byResponse(
    "another tenant's provider signs for ours",
    'SIGNING_KEY_UNKNOWN',
    still('SIGNATURE_INVALID', 'keys come from the connection alone'),
    () => signedResponse({}, {}, stranger),
  ),
  byResponse('the assertion signed by another key, without a certificate', 'SIGNATURE_INVALID', 'accepted', () =>
    signedAssertion({}, { keyInfo: 'none' }, stranger),
  ),
  byResponse('signed by another key under the name of our certificate', 'SIGNATURE_INVALID', 'accepted', () =>
    signedAssertion({}, {}, { ...stranger, certificate: hospital.certificate }),
  ),
  byResponse('signed by a bare key in KeyInfo', 'SIGNATURE_INVALID', 'accepted', () => {
    const { n, e } = stranger.key.export({ format: 'jwk' })
    const [modulus, exponent] = [n, e].map((part) => Buffer.from(part!, 'base64url').toString('base64'))
    const rsa = `<ds:RSAKeyValue><ds:Modulus>${modulus}</ds:Modulus><ds:Exponent>${exponent}</ds:Exponent></ds:RSAKeyValue>`
    const value = `<ds:KeyValue>${rsa}</ds:KeyValue>`
    const xml = signedAssertion({}, {}, stranger)
    return replaced(xml, partOf(xml, /<ds:X509Data>[\s\S]*<\/ds:X509Data>/), value)
  }),
  byResponse(
    'a key fetched by RetrievalMethod',
    'ELEMENT_UNEXPECTED',
    still('SIGNATURE_INVALID', 'nothing is fetched, and KeyInfo is no source of keys'),
    () => {
      const xml = signedAssertion({}, {}, stranger)
      const from = '<ds:RetrievalMethod URI="https://idp.stranger.example/key"/>'
      return replaced(xml, partOf(xml, /<ds:X509Data>[\s\S]*<\/ds:X509Data>/), from)
    },
  ),
  byResponse('RSA with SHA-1', 'SIGNATURE_ALGORITHM', still('SIGNATURE_INVALID', onlyOurTables), () =>
    signedAssertion({}, { algorithm: `${xmldsig}rsa-sha1` }),
  ),
  byResponse('the algorithm swapped for SHA-1 after signing', 'SIGNATURE_ALGORITHM', still('SIGNATURE_INVALID', onlyOurTables), () =>
    replaced(signedAssertion(), 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', `${xmldsig}rsa-sha1`),
  ),
  byResponse("an HMAC under our provider's public certificate", 'SIGNATURE_ALGORITHM', still('SIGNATURE_INVALID', onlyOurTables), () => {
    const xml = signElement(forged(responseXml()), '_assertion', stranger, { keyInfo: 'none' })
    const keyed = replaced(xml, 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'http://www.w3.org/2001/04/xmldsig-more#hmac-sha256')
    const canonical = replaced(signedInfo(keyed), '<ds:SignedInfo>', `<ds:SignedInfo xmlns:ds="${xmldsig}">`)
    const hmac = createHmac('sha256', hospital.certificate).update(canonical).digest('base64')
    return replaced(keyed, valueOf(keyed, 'SignatureValue'), hmac)
  }),
  byResponse('an algorithm named "none"', 'SIGNATURE_ALGORITHM', still('SIGNATURE_INVALID', onlyOurTables), () =>
    replaced(signedAssertion(), 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'none'),
  ),
  byResponse('the algorithm swapped from RSA to ECDSA', 'SIGNATURE_INVALID', 'accepted', () =>
    replaced(signedAssertion(), 'xmldsig-more#rsa-sha256', 'xmldsig-more#ecdsa-sha256'),
  ),
  byResponse('a digest by SHA-1', 'DIGEST_ALGORITHM', still('DIGEST_MISMATCH', onlyOurTables), () =>
    signedAssertion({}, { digest: `${xmldsig}sha1` }),
  ),
  byResponse(
    'an RSA key of 1024 bits',
    'CERTIFICATE_UNUSABLE',
    still('CERTIFICATE_UNUSABLE', 'a weak key is dropped when the certificate is parsed: there is nothing to verify with'),
    () => signedAssertion({}, {}, weak),
    () => ({ idp: { entityId: weak.entityId, certificates: [weak.certificate] } }),
  ),
  byResponse(
    'inclusive canonicalization of SignedInfo',
    'CANONICALIZATION_FORBIDDEN',
    still('SIGNATURE_INVALID', 'only the exclusive one is written here, and its bytes are others'),
    () => signedAssertion({}, { canonicalization: inclusive }),
  ),
  byResponse(
    'inclusive canonicalization as transform',
    'TRANSFORM_FORBIDDEN',
    still('DIGEST_MISMATCH', 'only the exclusive one is written here, and its bytes are others'),
    () => signedAssertion({}, { transforms: [`${xmldsig}enveloped-signature`, inclusive] }),
  ),
  byResponse('an XPath transform in place of the canonicalization', 'TRANSFORM_FORBIDDEN', signedBefore, () =>
    transformed('http://www.w3.org/TR/1999/REC-xpath-19991116'),
  ),
  byResponse('an XSLT transform', 'TRANSFORM_FORBIDDEN', signedBefore, () => transformed('http://www.w3.org/TR/1999/REC-xslt-19991116')),
  byResponse('a base64 transform', 'TRANSFORM_FORBIDDEN', signedBefore, () => transformed(`${xmldsig}base64`)),
  byResponse('an XPath expression inside the transform', 'ELEMENT_UNEXPECTED', signedBefore, () =>
    replaced(
      signedAssertion(),
      '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>',
      '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"><ds:XPath>false()</ds:XPath></ds:Transform>',
    ),
  ),
  byResponse('a hundred transforms', 'TRANSFORM_FORBIDDEN', signedBefore, () =>
    replaced(
      signedAssertion(),
      '<ds:Transforms>',
      `<ds:Transforms>${'<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'.repeat(100)}`,
    ),
  ),
  byResponse('no transforms', 'TRANSFORM_FORBIDDEN', signedBefore, () =>
    replaced(signedAssertion(), partOf(signedAssertion(), /<ds:Transforms>[\s\S]*<\/ds:Transforms>/), ''),
  ),
  byResponse('ds:Object with a manifest', 'ELEMENT_UNEXPECTED', 'accepted', () =>
    replaced(signedAssertion(), '</ds:Signature>', '<ds:Object><ds:Manifest/></ds:Object></ds:Signature>'),
  ),
  byResponse('a comment in the digest', 'XML_COMMENT', 'accepted', () => {
    // Accepted as what was signed: a value is all of its text, whatever stands between.
    const digest = valueOf(signedAssertion(), 'DigestValue')
    return replaced(signedAssertion(), digest, `<!--AAAA-->${digest}`)
  }),
  byResponse(
    'an assertion of a valid message grafted into an answer to another request',
    'IN_RESPONSE_TO',
    still('CONFIRMATION_IN_RESPONSE_TO', 'the signed confirmation names its request too'),
    () => replaced(signedAssertion({ confirmation: confirmationOfOther }), `InResponseTo="${requestId}"`, 'InResponseTo="_other"'),
  ),
  byResponse('a reference to the response around the assertion', 'REFERENCE_FOREIGN', signedBefore, () =>
    replaced(signedAssertion(), 'URI="#_assertion"', 'URI="#_response"'),
  ),
]
