/**
 * A sign-on response from its bytes to an identity. The order is the safety: bound, decode, parse once, look over the whole, compare
 * with the closed grammar, verify signatures, decrypt, ask the laws of the statement, and only then read, from what is covered.
 */
import { takeCensus } from '../census.ts'
import { asRefused, Refusal, type Laws } from '../laws.ts'
import { ds, saml, samlp } from '../names.ts'
import { demandShape } from '../shape/shape.ts'
import { assertion as assertionShape, response as responseShape } from '../shape/message-shapes.ts'
import { signingKeysOf, type SigningKey } from '../signature/certificates.ts'
import { decryptElement } from '../signature/decrypt.ts'
import { verifyEnveloped, type Covered } from '../signature/enveloped.ts'
import type { Peeked, ResponseInput, ResponseVerdict, VerifiedAssertion } from '../verdict.ts'
import { decodePosted, decodeText } from '../xml/decode.ts'
import { messageLimits } from '../xml/limits.ts'
import { parseXml } from '../xml/parse.ts'
import { attributeOf, childOf, childrenOf, isNamed, type XmlElement } from '../xml/tree.ts'
import { envelopeChecks, statementChecks } from './checks.ts'
import { issuerOf, partsOf } from './parts.ts'
import { readAssertion } from './read.ts'

/** One posted message as a tree, with its root as asked. */
export function parsePosted(posted: string, local: string, laws: Laws): XmlElement {
  const bytes = decodePosted(posted, messageLimits.bytes, laws)
  return parseMessage(bytes, local, laws)
}

export function parseMessage(bytes: Uint8Array, local: string, laws: Laws): XmlElement {
  const text = decodeText(bytes, messageLimits.bytes, 'refused', laws)
  const root = parseXml(text, { limits: messageLimits, comments: 'refused', scope: new Map() }, laws)
  if (!isNamed(root, samlp, local)) throw new Refusal('WRONG_ROOT', `the root is ${root.local.slice(0, 80)}`)
  return root
}

/** The identity that a response proves, or why it proves none. Never throws for what is in the message. */
export function verifyResponse(input: ResponseInput, laws: Laws): ResponseVerdict {
  try {
    return { ok: true, assertion: identityIn(input, laws) }
  } catch (error) {
    return asRefused(error)
  }
}

function identityIn(input: ResponseInput, laws: Laws): VerifiedAssertion {
  const response = parsePosted(input.samlResponse, 'Response', laws)
  const ids = new Set<string>()
  takeCensus(response, ids, laws)
  demandShape(response, responseShape, laws)
  laws.hold(envelopeChecks, response)
  const [holder, ...others] = [...childrenOf(response, saml, 'Assertion'), ...childrenOf(response, saml, 'EncryptedAssertion')]
  if (holder === undefined) throw new Refusal('ASSERTION_MISSING', 'neither Assertion nor EncryptedAssertion')
  laws.demand(others.length === 0, 'ASSERTION_SEVERAL', () => `${others.length + 1} assertions`)

  const keys = signingKeysOf(input.idp.certificates)
  const envelope = verifyIfSigned(response, keys, laws)
  const assertion = holder.local === 'Assertion' ? holder : decryptAssertion(holder, input, envelope, ids, laws)
  const own = verifyIfSigned(assertion, keys, laws)
  const covered = own ?? inherited(envelope, holder, assertion)
  if (covered === null) throw new Refusal('SIGNATURE_MISSING', 'no signature on the response or on the assertion')

  laws.hold(statementChecks, partsOf(input, response, envelope !== null, covered.element))
  return readAssertion(covered, response, input)
}

/** A signature that is there must hold, also where another one would do. */
function verifyIfSigned(element: XmlElement, keys: readonly SigningKey[], laws: Laws): Covered | null {
  const signature = childOf(element, ds, 'Signature')
  return signature && verifyEnveloped(element, signature, keys, laws)
}

/** The signature over the response covers the assertion in it, and what an encrypted one held. */
function inherited(envelope: Covered | null, holder: XmlElement, assertion: XmlElement): Covered | null {
  if (envelope === null) return null
  const covered = envelope.child(holder)
  return holder === assertion ? covered : covered.decrypted(assertion)
}

function decryptAssertion(holder: XmlElement, input: ResponseInput, envelope: Covered | null, ids: Set<string>, laws: Laws): XmlElement {
  const assertion = decryptElement(holder, input.decryptionKeys, envelope !== null, laws)
  if (!isNamed(assertion, saml, 'Assertion')) throw new Refusal('WRONG_ROOT', `the encrypted element is ${assertion.local.slice(0, 80)}`)
  takeCensus(assertion, ids, laws)
  demandShape(assertion, assertionShape, laws)
  return assertion
}

/** Untrusted: the issuer and the request it answers, only to find the connection to verify it with. */
export function peekResponse(samlResponse: string, laws: Laws): Peeked {
  try {
    const response = parsePosted(samlResponse, 'Response', laws)
    const assertion = childOf(response, saml, 'Assertion')
    const issuer = issuerOf(response) ?? (assertion && issuerOf(assertion))
    return { ok: true, issuer, inResponseTo: attributeOf(response, 'InResponseTo') }
  } catch (error) {
    return asRefused(error)
  }
}
