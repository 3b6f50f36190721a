/** Encrypted assertions: oracles, foreign keys, weak algorithms, and secrets that prove nothing without a signature. */
import { generateKeyPairSync } from 'node:crypto'
import { encryptAssertion, signElement, type EncryptionOptions } from '../../kit/saml-provider.ts'
import { assertionXml, hospital, loneAssertion, responseXml, stranger } from '../../kit/saml-response.ts'
import { ours } from '../../kit/saml-shapes.ts'
import { byResponse, forged, partOf, replaced, still, type Attack } from './attack.ts'

const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
const keys = () => ({ decryptionKeys: [ours.privateKey] })
const encrypted = (assertion: string, options: EncryptionOptions = {}, to = ours.publicKey) =>
  responseXml({}, encryptAssertion(assertion, to, options))
const underSignature = (options: EncryptionOptions) => signElement(encrypted(loneAssertion(), options), '_response', hospital)
/** The last CipherValue is that of the content. */
const content = /<xenc:CipherValue>[^<]*(?=<\/xenc:CipherValue><\/xenc:CipherData><\/xenc:EncryptedData>)/
const withContent = (xml: string, change: (bytes: Buffer) => Buffer) => {
  const found = partOf(xml, content)
  const value = found.slice('<xenc:CipherValue>'.length)
  return replaced(xml, found, `<xenc:CipherValue>${change(Buffer.from(value, 'base64')).toString('base64')}`)
}
const flipped = (bytes: Buffer) => {
  const changed = Buffer.from(bytes)
  changed[20]! ^= 1
  return changed
}

export const encryption: readonly Attack[] = [
  byResponse(
    'CBC without a signed response',
    'ENCRYPTION_UNSIGNED',
    'accepted',
    () => encrypted(loneAssertion(), { content: 'aes256-cbc' }),
    keys,
  ),
  byResponse(
    'CBC with a changed ciphertext under a signed response',
    'DIGEST_MISMATCH',
    still('DECRYPTION_FAILED', 'a changed block is no assertion, and says so as every other failure does'),
    () => withContent(underSignature({ content: 'aes128-cbc' }), flipped),
    keys,
  ),
  byResponse(
    'GCM with a changed ciphertext',
    'DECRYPTION_FAILED',
    still('DECRYPTION_FAILED', 'there is no plaintext'),
    () => withContent(encrypted(loneAssertion()), flipped),
    keys,
  ),
  byResponse(
    'GCM with its tag cut off',
    'DECRYPTION_FAILED',
    still('DECRYPTION_FAILED', 'there is no plaintext'),
    () => withContent(encrypted(loneAssertion()), (bytes) => bytes.subarray(0, -12)),
    keys,
  ),
  byResponse(
    'an assertion encrypted to another key',
    'DECRYPTION_FAILED',
    still('DECRYPTION_FAILED', 'there is no plaintext'),
    () => encrypted(loneAssertion(), {}, other.publicKey),
    keys,
  ),
  byResponse('an encrypted assertion where we have no key', 'DECRYPTION_FAILED', still('DECRYPTION_FAILED', 'there is no plaintext'), () =>
    encrypted(loneAssertion(), {}, other.publicKey),
  ),
  byResponse(
    'an unsigned assertion encrypted to us',
    'SIGNATURE_MISSING',
    still('SIGNATURE_MISSING', 'our key is public: encryption proves nothing, and only a signature makes what is read'),
    () => encrypted(assertionXml()),
    keys,
  ),
  byResponse(
    'an encrypted assertion that a stranger signed',
    'SIGNING_KEY_UNKNOWN',
    still('SIGNATURE_INVALID', 'keys come from the connection alone'),
    () => encrypted(loneAssertion({}, {}, stranger)),
    keys,
  ),
  byResponse(
    'an encrypted assertion changed before it was encrypted',
    'DIGEST_MISMATCH',
    'accepted',
    () => encrypted(forged(loneAssertion())),
    keys,
  ),
  byResponse(
    'an encrypted assertion that wraps a signed one',
    'ASSERTION_MISPLACED',
    still('ELEMENT_UNEXPECTED', 'the closed grammar has no assertion in an assertion'),
    () =>
      encrypted(
        replaced(forged(assertionXml()).replace('_assertion', '_evil'), '</saml:Assertion>', `${loneAssertion()}</saml:Assertion>`),
      ),
    keys,
  ),
  byResponse(
    'an encrypted assertion under the ID of the response',
    'DUPLICATE_ID',
    'accepted',
    () =>
      encrypted(
        signElement(
          assertionXml({ assertionAttributes: partOf(assertionXml(), /ID="_assertion"[^>]*/).replace('_assertion', '_response') }),
          '_response',
          hospital,
        ),
      ),
    keys,
  ),
  byResponse(
    'something else than an assertion, encrypted',
    'WRONG_ROOT',
    still('WRONG_ROOT', 'there is no assertion to read'),
    () => encrypted('<x xmlns="urn:x"/>'),
    keys,
  ),
  byResponse(
    'a document type inside the ciphertext',
    'XML_DOCTYPE',
    still('XML_DOCTYPE', 'what is decrypted meets the same parser'),
    () => encrypted(`<!DOCTYPE x>${loneAssertion()}`),
    keys,
  ),
  byResponse(
    'RSA PKCS #1 v1.5 for the key',
    'ENCRYPTION_ALGORITHM',
    still('ENCRYPTION_ALGORITHM', 'it is not written here'),
    () => replaced(encrypted(loneAssertion()), 'xmlenc#rsa-oaep-mgf1p', 'xmlenc#rsa-1_5'),
    keys,
  ),
  byResponse(
    'Triple DES for the content',
    'ENCRYPTION_ALGORITHM',
    still('ENCRYPTION_ALGORITHM', 'it is not written here'),
    () =>
      replaced(encrypted(loneAssertion()), 'http://www.w3.org/2009/xmlenc11#aes256-gcm', 'http://www.w3.org/2001/04/xmlenc#tripledes-cbc'),
    keys,
  ),
  byResponse(
    'encrypted content of an element instead of the element',
    'ENCRYPTION_ALGORITHM',
    still('ENCRYPTION_ALGORITHM', 'it is not written here'),
    () => replaced(encrypted(loneAssertion()), 'xmlenc#Element', 'xmlenc#Content'),
    keys,
  ),
  byResponse(
    'a ciphertext elsewhere',
    'ELEMENT_UNEXPECTED',
    still('ELEMENT_MISSING', 'nothing is fetched: there is no ciphertext'),
    () => {
      const xml = encrypted(loneAssertion())
      return replaced(xml, `${partOf(xml, content)}</xenc:CipherValue>`, '<xenc:CipherReference URI="https://idp.stranger.example/"/>')
    },
    keys,
  ),
]
