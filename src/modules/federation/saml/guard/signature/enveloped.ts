/**
 * Enveloped XML signatures of SAML (core §5.4): one reference, to the element that holds the signature. The signed bytes are
 * canonicalised here from the very element that is handed on as verified; no ID is ever looked up, no key is taken from the message.
 */
import { hash, verify } from 'node:crypto'
import { Refusal, shown, type Check, type Laws } from '../laws.ts'
import { ds, enveloped, exclusive, exclusiveWithComments } from '../names.ts'
import { canonicalise } from '../xml/c14n.ts'
import { fromBase64 } from '../xml/decode.ts'
import { attributeOf, childOf, childrenOf, textOf, type XmlElement } from '../xml/tree.ts'
import { digestAlgorithms, signatureAlgorithms } from './algorithms.ts'
import { fingerprintOf, type SigningKey } from './certificates.ts'

interface Method {
  readonly algorithm: string
  /** PrefixList of InclusiveNamespaces; null when there is no such element. */
  readonly prefixes: readonly string[] | null
}

interface Signature {
  readonly signed: XmlElement
  readonly references: readonly XmlElement[]
  readonly canonicalization: Method
  readonly signatureAlgorithm: string
  readonly uri: string
  readonly transforms: readonly Method[]
  readonly digestAlgorithm: string
}

/** A prefix list longer than any provider writes would make canonicalisation dear. */
const mostPrefixes = 32

function methodOf(element: XmlElement): Method {
  const list = childOf(element, exclusive, 'InclusiveNamespaces')
  const prefixes = (list === null ? '' : (attributeOf(list, 'PrefixList') ?? '')).split(/[ \t\n\r]+/).filter((token) => token !== '')
  if (prefixes.length > mostPrefixes) throw new Refusal('XML_TOO_MANY', `${prefixes.length} prefixes in a PrefixList`)
  return {
    algorithm: attributeOf(element, 'Algorithm') ?? '',
    prefixes: list === null ? null : prefixes.map((token) => (token === '#default' ? '' : token)),
  }
}

/** The child that the shape promises. */
function required(element: XmlElement, local: string): XmlElement {
  const found = childOf(element, ds, local)
  if (found === null) throw new Refusal('ELEMENT_MISSING', `${local} in ${element.local}`)
  return found
}

function bytesOf(element: XmlElement): Buffer {
  const bytes = fromBase64(textOf(element))
  if (bytes === null) throw new Refusal('VALUE_MALFORMED', `the base64 of ${element.local}`)
  return bytes
}

function algorithmOf(element: XmlElement): string {
  return attributeOf(element, 'Algorithm') ?? ''
}

const isExclusive = (algorithm: string) => algorithm === exclusive || algorithm === exclusiveWithComments

/** What a signature must be before its bytes are worth looking at. */
const signatureChecks: readonly Check<Signature>[] = [
  {
    reason: 'REFERENCE_SEVERAL',
    breach: ({ references }) => (references.length === 1 ? null : `${references.length} references`),
  },
  {
    // The whole document (`URI=""`) and XPointers are no way to say it either.
    reason: 'REFERENCE_FOREIGN',
    breach: ({ signed, uri }) => {
      const id = attributeOf(signed, 'ID')
      return id !== null && id !== '' && uri === `#${id}` ? null : `the reference ${shown(uri)}`
    },
  },
  {
    reason: 'CANONICALIZATION_FORBIDDEN',
    breach: ({ canonicalization: { algorithm } }) => (isExclusive(algorithm) ? null : shown(algorithm)),
  },
  {
    // Exactly these two: without the second one, inclusive canonicalization would be meant (XML Signature §4.4.3.2).
    reason: 'TRANSFORM_FORBIDDEN',
    breach: ({ transforms: [first, second, ...others] }) =>
      first?.algorithm === enveloped && first.prefixes === null && second && isExclusive(second.algorithm) && others.length === 0
        ? null
        : [first, second, ...others].map((one) => shown(one?.algorithm ?? null)).join(', '),
  },
  {
    reason: 'SIGNATURE_ALGORITHM',
    breach: ({ signatureAlgorithm }) => (signatureAlgorithms.has(signatureAlgorithm) ? null : shown(signatureAlgorithm)),
  },
  {
    reason: 'DIGEST_ALGORITHM',
    breach: ({ digestAlgorithm }) => (digestAlgorithms.has(digestAlgorithm) ? null : shown(digestAlgorithm)),
  },
]

/** An element that a signature covers whole, its own ds:Signature apart. Only this file makes one. */
class Covered {
  readonly element: XmlElement
  /** Of the connection's certificate that verified it. */
  readonly certificateFingerprint: string

  constructor(element: XmlElement, certificateFingerprint: string) {
    this.element = element
    this.certificateFingerprint = certificateFingerprint
  }

  /** A child element, covered like its parent. */
  child(child: XmlElement): Covered {
    if (!this.element.children.includes(child) || (child.namespace === ds && child.local === 'Signature'))
      throw new Error('A signature covers the content of its element, not itself and nothing elsewhere.')
    return new Covered(child, this.certificateFingerprint)
  }

  /** What a covered ciphertext held: covered like it. */
  decrypted(plain: XmlElement): Covered {
    return new Covered(plain, this.certificateFingerprint)
  }
}

export type { Covered }

/**
 * Verifies the signature that stands directly in `signed`.
 * @throws Refusal unless it is of the allowed form, covers `signed` as it stands in the tree, and verifies with one of `keys`.
 */
export function verifyEnveloped(signed: XmlElement, signature: XmlElement, keys: readonly SigningKey[], laws: Laws): Covered {
  if (!signed.children.includes(signature)) throw new Refusal('SIGNATURE_MISPLACED', 'not a child of what it signs')
  const signedInfo = required(signature, 'SignedInfo')
  const references = childrenOf(signedInfo, ds, 'Reference')
  const reference = required(signedInfo, 'Reference')
  const transforms = childOf(reference, ds, 'Transforms')
  const read: Signature = {
    signed,
    references,
    canonicalization: methodOf(required(signedInfo, 'CanonicalizationMethod')),
    signatureAlgorithm: algorithmOf(required(signedInfo, 'SignatureMethod')),
    uri: attributeOf(reference, 'URI') ?? '',
    transforms: transforms === null ? [] : childrenOf(transforms, ds, 'Transform').map(methodOf),
    digestAlgorithm: algorithmOf(required(reference, 'DigestMethod')),
  }
  laws.hold(signatureChecks, read)

  const covered = canonicalise(signed, { without: signature, inclusive: read.transforms[1]?.prefixes ?? [] })
  const digest = digestAlgorithms.get(read.digestAlgorithm)
  const said = bytesOf(required(reference, 'DigestValue'))
  const matches = digest !== undefined && hash(digest, covered, 'buffer').equals(said)
  laws.demand(matches, 'DIGEST_MISMATCH', () => `the digest of ${signed.local}`)

  const bytes = Buffer.from(canonicalise(signedInfo, { without: null, inclusive: read.canonicalization.prefixes ?? [] }))
  const by = keyThatVerifies(read.signatureAlgorithm, bytes, bytesOf(required(signature, 'SignatureValue')), keys)
  if (by === null) {
    const unknown = unknownCertificate(signature, keys)
    laws.demand(unknown === null, 'SIGNING_KEY_UNKNOWN', () => `the message names the certificate ${unknown}`)
    laws.demand(false, 'SIGNATURE_INVALID', () => `the signature of ${signed.local} under ${keys.length} certificates`)
  }
  return new Covered(signed, by?.fingerprint ?? '')
}

/** The first of `keys` under which `value` is a signature of `bytes`; null when there is none or the algorithm is not ours. */
export function keyThatVerifies(algorithm: string, bytes: Uint8Array, value: Uint8Array, keys: readonly SigningKey[]): SigningKey | null {
  const known = signatureAlgorithms.get(algorithm)
  if (known === undefined) return null
  // XML Signature writes ECDSA as r and s side by side (RFC 9231 §2.3.6), not as DER.
  const fits = (key: SigningKey) => key.kind === known.key && verify(known.hash, bytes, { key: key.key, dsaEncoding: 'ieee-p1363' }, value)
  return keys.find(fits) ?? null
}

/** The fingerprint of the first certificate in the message's KeyInfo when none of them is ours; said to IT, used for nothing. */
function unknownCertificate(signature: XmlElement, keys: readonly SigningKey[]): string | null {
  const keyInfo = childOf(signature, ds, 'KeyInfo')
  if (keyInfo === null) return null
  const named = childrenOf(keyInfo, ds, 'X509Data')
    .flatMap((data) => childrenOf(data, ds, 'X509Certificate'))
    .slice(0, 8)
    .map((one) => fingerprintOf(fromBase64(textOf(one)) ?? Buffer.alloc(0)))
  return named.length > 0 && !named.some((one) => keys.some(({ fingerprint }) => fingerprint === one)) ? named[0]! : null
}
