/**
 * Metadata of an identity provider: its entityId, keys and addresses. Refuses documents of several providers, expired ones, addresses
 * that are not https (but see `plainHttp`). A signature on it is not asked for: whoever names the address, or gives the file, vouches.
 */
import { X509Certificate } from 'node:crypto'
import { isOver } from '../clock.ts'
import { asRefused, Refusal, shown, type Laws } from '../laws.ts'
import { ds, md, postBinding, redirectBinding, samlp } from '../names.ts'
import { demandShape } from '../shape/shape.ts'
import { entitiesDescriptor, entityDescriptor } from '../shape/metadata-shapes.ts'
import { readInstant } from '../shape/values.ts'
import { signingKeyOf } from '../signature/certificates.ts'
import type { IdpMetadata, MetadataCertificate, MetadataEndpoint, MetadataInput, MetadataVerdict, PlainHttp } from '../verdict.ts'
import { decodeText, fromBase64 } from '../xml/decode.ts'
import { metadataLimits } from '../xml/limits.ts'
import { parseXml } from '../xml/parse.ts'
import { attributeOf, childrenOf, isNamed, textOf, type XmlElement } from '../xml/tree.ts'

const mostCertificates = 16
const mostEndpoints = 32

/** What a document says of its one provider, or why it is not taken. Never throws for what is in the document. */
export function readMetadata(input: MetadataInput, laws: Laws): MetadataVerdict {
  try {
    return { ok: true, metadata: metadataIn(input, laws) }
  } catch (error) {
    return asRefused(error)
  }
}

/** The document as a tree of the right shape; nothing in it is verified yet. */
export function parseMetadata(xml: Uint8Array, laws: Laws): XmlElement {
  const text = decodeText(xml, metadataLimits.bytes, 'dropped', laws)
  const root = parseXml(text, { limits: metadataLimits, comments: 'between elements', scope: new Map() }, laws)
  const several = isNamed(root, md, 'EntitiesDescriptor')
  if (!several && !isNamed(root, md, 'EntityDescriptor')) throw new Refusal('WRONG_ROOT', `the root is ${root.local.slice(0, 80)}`)
  demandShape(root, several ? entitiesDescriptor : entityDescriptor, laws)
  return root
}

function metadataIn({ xml, now, plainHttp = 'nowhere' }: MetadataInput, laws: Laws): IdpMetadata {
  const root = parseMetadata(xml, laws)
  const path = providersIn(root, [])
  laws.demand(path.length <= 1, 'METADATA_SEVERAL', () =>
    path
      .slice(0, 3)
      .map(({ entity }) => shown(attributeOf(entity, 'entityID')))
      .join(', '),
  )
  const [found] = path
  if (found === undefined) throw new Refusal('METADATA_NO_PROVIDER', 'no IDPSSODescriptor of SAML 2.0')
  const { entity, provider, around } = found
  const levels = [...around, entity, provider]
  const validUntil = earliest(levels.flatMap((one) => readInstant(attributeOf(one, 'validUntil') ?? '') ?? []))
  laws.demand(validUntil === null || !isOver(validUntil, now), 'METADATA_EXPIRED', () => `valid until ${validUntil?.toISOString()}`)
  const certificates = certificatesOf(provider)
  laws.demand(certificates.length > 0, 'METADATA_CERTIFICATE', () => 'no RSA or EC certificate for signing')
  const singleSignOn = endpointsOf(provider, 'SingleSignOnService', plainHttp)
  laws.demand(singleSignOn.length > 0, 'METADATA_ENDPOINT', () => 'no https address for redirect or POST')
  return {
    entityId: attributeOf(entity, 'entityID') ?? '',
    certificates,
    singleSignOn,
    singleLogout: endpointsOf(provider, 'SingleLogoutService', plainHttp),
    validUntil,
  }
}

interface Provider {
  readonly entity: XmlElement
  readonly provider: XmlElement
  /** The descriptors around it, whose validity bounds its own. */
  readonly around: readonly XmlElement[]
}

/** Depth is bounded by the parser's. */
function providersIn(root: XmlElement, around: readonly XmlElement[]): Provider[] {
  if (isNamed(root, md, 'EntityDescriptor')) {
    return childrenOf(root, md, 'IDPSSODescriptor')
      .filter((one) => (attributeOf(one, 'protocolSupportEnumeration') ?? '').split(/\s+/).includes(samlp))
      .map((provider) => ({ entity: root, provider, around }))
  }
  const inner = root.children.filter((node) => isNamed(node, md, 'EntityDescriptor') || isNamed(node, md, 'EntitiesDescriptor'))
  return inner.flatMap((one) => providersIn(one as XmlElement, [...around, root]))
}

function earliest(instants: readonly Date[]): Date | null {
  return instants.length === 0 ? null : new Date(Math.min(...instants.map((one) => one.getTime())))
}

/** Certificates for signing, without doubles; unusable ones (weak, of another kind) are left out. */
function certificatesOf(provider: XmlElement): MetadataCertificate[] {
  const found = new Map<string, MetadataCertificate>()
  const signing = childrenOf(provider, md, 'KeyDescriptor').filter((one) => attributeOf(one, 'use') !== 'encryption')
  const written = signing
    .flatMap((one) => childrenOf(one, ds, 'KeyInfo'))
    .flatMap((one) => childrenOf(one, ds, 'X509Data'))
    .flatMap((one) => childrenOf(one, ds, 'X509Certificate'))
  for (const one of written.slice(0, mostCertificates)) {
    const der = fromBase64(textOf(one))
    const key = der && signingKeyOf(der)
    if (!der || !key || found.has(key.fingerprint)) continue
    const certificate = new X509Certificate(der)
    found.set(key.fingerprint, {
      pem: certificate.toString(),
      fingerprint: key.fingerprint,
      notBefore: new Date(certificate.validFrom),
      notAfter: new Date(certificate.validTo),
    })
  }
  return [...found.values()]
}

/** Addresses by the two bindings of browsers; others, and those without https, are left out. */
function endpointsOf(provider: XmlElement, local: string, plainHttp: PlainHttp): MetadataEndpoint[] {
  return childrenOf(provider, md, local)
    .slice(0, mostEndpoints)
    .flatMap((element) => {
      const named = attributeOf(element, 'Binding')?.trim()
      const binding = named === redirectBinding ? 'redirect' : named === postBinding ? 'post' : null
      const url = addressOf(attributeOf(element, 'Location'), plainHttp)
      const answers = attributeOf(element, 'ResponseLocation')
      if (binding === null || url === null) return []
      return [{ binding, url, responseUrl: answers === null ? null : addressOf(answers, plainHttp) } as const]
    })
}

/** The address as written when it is https without a user and without a fragment; plain http as far as it is allowed. */
function addressOf(value: string | null, plainHttp: PlainHttp): string | null {
  const text = value?.trim() ?? ''
  const url = URL.parse(text)
  if (!url || url.username !== '' || url.password !== '' || url.hash !== '') return null
  const isOwnMachine = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname)
  const mayBePlain = plainHttp === 'anywhere' || (plainHttp === 'own machine' && isOwnMachine)
  return url.protocol === 'https:' || (url.protocol === 'http:' && mayBePlain) ? text : null
}
