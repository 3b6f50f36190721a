/** Signature wrapping: the signed part stays whole and verifies, and something else stands where an identity is looked for. */
import { createPublicKey } from 'node:crypto'
import { encryptAssertion } from '../../kit/saml-provider.ts'
import { assertionXml, responseXml, signedAssertion, signedResponse, stranger } from '../../kit/saml-response.ts'
import { assertionOf, byResponse, forged, renamed, replaced, signatureOf, still, unsigned, type Attack } from './attack.ts'

/** A reader's public key: everybody may encrypt to it. */
const anyKey = createPublicKey(stranger.key.export({ type: 'pkcs8', format: 'pem' }))
const whole = () => signedResponse()
const inner = () => signedAssertion()
const evilResponse = () => renamed(renamed(forged(responseXml()), '_response'), '_assertion')
const evilAssertion = () => renamed(forged(assertionXml()), '_assertion')
const behindIssuer = (xml: string, what: string) => xml.replace('</saml:Issuer>', () => `</saml:Issuer>${what}`)
const intoSignature = (signature: string, what: string) => replaced(signature, '</ds:Signature>', `${what}</ds:Signature>`)
const object = (what: string) => `<ds:Object>${what}</ds:Object>`

const grammar = still('ELEMENT_UNEXPECTED', 'the closed grammar has no place for it there')

export const wrapping: readonly Attack[] = [
  byResponse('XSW1: the signed response inside the signature of a forged one', 'ASSERTION_MISPLACED', grammar, () =>
    behindIssuer(evilResponse(), intoSignature(signatureOf(whole()), unsigned(whole()))),
  ),
  byResponse('XSW2: the signed response before the signature inside a forged one', 'ASSERTION_MISPLACED', grammar, () =>
    behindIssuer(evilResponse(), unsigned(whole()) + signatureOf(whole())),
  ),
  byResponse(
    'XSW3: a forged assertion before the signed one',
    'ASSERTION_SEVERAL',
    still('SIGNATURE_MISSING', 'the forged one is the first, is the only one looked at, and has no signature'),
    () => replaced(inner(), '<saml:Assertion ', `${evilAssertion()}<saml:Assertion `),
  ),
  byResponse('XSW4: the signed assertion inside a forged one', 'ASSERTION_MISPLACED', grammar, () =>
    replaced(inner(), assertionOf(inner()), replaced(evilAssertion(), '</saml:Assertion>', `${assertionOf(inner())}</saml:Assertion>`)),
  ),
  byResponse(
    'XSW5: the signature moved into a forged assertion, the original behind it',
    'ASSERTION_SEVERAL',
    still('REFERENCE_FOREIGN', 'the signature refers to another element than the one it stands in'),
    () => {
      const signed = inner()
      return replaced(signed, assertionOf(signed), behindIssuer(evilAssertion(), signatureOf(signed)) + unsigned(assertionOf(signed)))
    },
  ),
  byResponse('XSW6: the original inside the signature of a forged assertion', 'ASSERTION_MISPLACED', grammar, () => {
    const signed = inner()
    const signature = intoSignature(signatureOf(signed), unsigned(assertionOf(signed)))
    return replaced(signed, assertionOf(signed), behindIssuer(evilAssertion(), signature))
  }),
  byResponse('XSW7: a forged assertion in Extensions before the signed one', 'ASSERTION_MISPLACED', grammar, () =>
    behindIssuer(inner(), `<samlp:Extensions>${evilAssertion()}</samlp:Extensions>`),
  ),
  byResponse('XSW8: the original in ds:Object of the signature of a forged assertion', 'ASSERTION_MISPLACED', grammar, () => {
    const signed = inner()
    const signature = intoSignature(signatureOf(signed), object(unsigned(assertionOf(signed))))
    return replaced(signed, assertionOf(signed), behindIssuer(evilAssertion(), signature))
  }),
  byResponse(
    'XSW9: the signed assertion in StatusDetail, a forged one in its place',
    'ASSERTION_MISPLACED',
    still('SIGNATURE_MISSING', 'only the assertion directly in the response is looked at, and it has no signature'),
    () => {
      const signed = inner()
      const hidden = `<samlp:StatusDetail>${assertionOf(signed)}</samlp:StatusDetail></samlp:Status>`
      return replaced(replaced(signed, assertionOf(signed), evilAssertion()), '</samlp:Status>', hidden)
    },
  ),
  byResponse('XSW10: the signed assertion in Advice of a forged one', 'ASSERTION_MISPLACED', grammar, () => {
    const signed = inner()
    const evil = replaced(
      evilAssertion(),
      '<saml:AuthnStatement ',
      `<saml:Advice>${assertionOf(signed)}</saml:Advice><saml:AuthnStatement `,
    )
    return replaced(signed, assertionOf(signed), evil)
  }),
  byResponse('XSW11: the signed assertion in an AttributeValue of a forged one', 'ASSERTION_MISPLACED', grammar, () => {
    const signed = inner()
    return replaced(signed, assertionOf(signed), replaced(evilAssertion(), '>nurses<', `>${assertionOf(signed)}<`))
  }),
  byResponse('XSW12: the signed assertion in KeyInfo of a forged one', 'ASSERTION_MISPLACED', grammar, () => {
    const signed = inner()
    const signature = replaced(signatureOf(signed), '<ds:X509Data>', `${unsigned(assertionOf(signed))}<ds:X509Data>`)
    return replaced(signed, assertionOf(signed), behindIssuer(evilAssertion(), signature))
  }),
  byResponse('XSW13: a forged assertion inside the subject of the signed response', 'ASSERTION_MISPLACED', grammar, () =>
    replaced(whole(), '<saml:Subject>', `<saml:Subject>${evilAssertion()}`),
  ),
  byResponse(
    'a forged assertion under the ID of the signed one, before it',
    'DUPLICATE_ID',
    still('ASSERTION_SEVERAL', 'exactly one assertion is taken; and no ID is ever looked up'),
    () => replaced(inner(), '<saml:Assertion ', `${forged(assertionXml())}<saml:Assertion `),
  ),
  byResponse(
    'an element of another spelling of ID that some reader might look up',
    'DUPLICATE_ID',
    still('ATTRIBUTE_UNEXPECTED', 'no shape has Id on a status'),
    () => replaced(inner(), '<samlp:Status>', '<samlp:Status Id="_assertion">'),
  ),
  byResponse(
    'a forged assertion beside a signed response of two, in another order',
    'ASSERTION_SEVERAL',
    still('DIGEST_MISMATCH', 'the signature over the response covers all that is in it'),
    () => replaced(whole(), '</samlp:Response>', `${evilAssertion()}</samlp:Response>`),
  ),
  byResponse('an encrypted assertion beside the signed one', 'ASSERTION_SEVERAL', 'accepted', () =>
    replaced(inner(), '<saml:Assertion ', `${encryptAssertion(evilAssertion(), anyKey)}<saml:Assertion `),
  ),
  byResponse(
    'the signature beside the assertion instead of inside it',
    'REFERENCE_FOREIGN',
    still('DIGEST_MISMATCH', 'the response around it is what would be digested'),
    () => {
      const signed = inner()
      return behindIssuer(unsigned(signed), signatureOf(signed))
    },
  ),
  byResponse(
    'the signature in the status',
    'SIGNATURE_MISPLACED',
    still('ELEMENT_UNEXPECTED', 'the closed grammar has no signature in a status'),
    () => {
      const signed = inner()
      return replaced(unsigned(signed), '</samlp:Status>', `${signatureOf(signed)}</samlp:Status>`)
    },
  ),
  byResponse(
    'the signature in the subject of the assertion',
    'SIGNATURE_MISPLACED',
    still('ELEMENT_UNEXPECTED', 'the closed grammar has no signature in a subject'),
    () => {
      const signed = inner()
      return replaced(unsigned(signed), '<saml:Subject>', `<saml:Subject>${signatureOf(signed)}`)
    },
  ),
  byResponse(
    'the assertion alone, without a response',
    'WRONG_ROOT',
    still('WRONG_ROOT', 'without a root of that name there is no response to verify'),
    () => assertionOf(inner()),
  ),
  byResponse(
    'the response in an envelope of another kind',
    'WRONG_ROOT',
    still('WRONG_ROOT', 'without a root of that name there is no response to verify'),
    () => `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>${inner()}</soap:Body></soap:Envelope>`,
  ),
  byResponse(
    'a response of the same name in another namespace',
    'WRONG_ROOT',
    still('WRONG_ROOT', 'names are compared with their namespaces everywhere'),
    () => replaced(inner(), 'urn:oasis:names:tc:SAML:2.0:protocol', 'urn:example:protocol'),
  ),
  byResponse(
    'the assertion in another namespace beside a forged one',
    'ELEMENT_UNEXPECTED',
    still('ASSERTION_MISSING', 'names are compared with their namespaces: it is no assertion'),
    () =>
      replaced(whole(), '<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"', '<saml:Assertion xmlns:saml="urn:example"'),
  ),
]
