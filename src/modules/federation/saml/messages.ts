/**
 * What we send: our metadata, sign-in requests, logout messages, all signed, built by samlify. It reads nothing that comes from outside:
 * only the guard does.
 */
import { LRUCache } from 'lru-cache'
import { Constants, IdentityProvider, SamlLib, ServiceProvider } from 'samlify'

const { binding } = Constants.namespace
const { format } = Constants.namespace
const rsaSha256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'

export type Binding = 'redirect' | 'post'

/** Our addresses in one tenant. */
export interface Addresses {
  readonly entityId: string
  readonly metadataUrl: string
  readonly acsUrl: string
  readonly loginUrl: string
  readonly logoutUrl: string
}

export interface OwnKeys {
  /** The key that signs now. */
  readonly signing: { readonly privateKeyPem: string; readonly certificatePem: string }
  /** Everything published, the one in use first. */
  readonly signingCertificates: readonly string[]
  readonly encryptionCertificates: readonly string[]
}

export interface Endpoint {
  readonly url: string
  readonly binding: Binding
}

/** A message on its way: an address to go to, or a form to post. */
export type Outgoing =
  | { readonly kind: 'REDIRECT'; readonly url: string }
  | { readonly kind: 'POST'; readonly action: string; readonly fields: Readonly<Record<string, string>> }

const afterIssuer = (message: string) => ({
  prefix: 'ds',
  location: { reference: `/*[local-name(.)='${message}']/*[local-name(.)='Issuer']`, action: 'after' as const },
})

/** The schema's order of a descriptor's parts (SAML metadata §2.4.2, §2.4.4); samlify's own is another, and its types do not know the option. */
const inOrder = { elementsOrder: ['KeyDescriptor', 'SingleLogoutService', 'NameIDFormat', 'AssertionConsumerService'] }

interface OwnOptions {
  readonly nameIdFormats?: readonly string[]
  /** The message that is to be signed. */
  readonly signs?: string
  readonly logoutTemplate?: string
}

function own(addresses: Addresses, keys: OwnKeys, options: OwnOptions = {}) {
  const { nameIdFormats = [format.persistent, format.emailAddress, format.unspecified], signs = 'AuthnRequest', logoutTemplate } = options
  return ServiceProvider({
    entityID: addresses.entityId,
    authnRequestsSigned: true,
    // Either signature will do: the guard asks for one that covers the assertion.
    wantAssertionsSigned: true,
    wantLogoutRequestSigned: true,
    wantLogoutResponseSigned: true,
    // A provider that makes a person's NameID when it first names her to us refuses newcomers without (SAML core §3.4.1.1).
    allowCreate: true,
    requestSignatureAlgorithm: rsaSha256,
    privateKey: keys.signing.privateKeyPem,
    signingCert: [...keys.signingCertificates],
    encryptCert: [...keys.encryptionCertificates],
    nameIDFormat: [...nameIdFormats],
    ...inOrder,
    signatureConfig: afterIssuer(signs),
    assertionConsumerService: [{ isDefault: true, Binding: binding.post, Location: addresses.acsUrl }],
    singleLogoutService: [
      { Binding: binding.redirect, Location: addresses.logoutUrl },
      { Binding: binding.post, Location: addresses.logoutUrl },
    ],
    ...(logoutTemplate === undefined ? {} : { logoutRequestTemplate: { context: logoutTemplate } }),
  })
}

type Own = ReturnType<typeof own>

/** The same with an id for its next message; what was read of its metadata is shared. */
function numbered(entity: Own, id: string): Own {
  const copy = Object.create(Object.getPrototypeOf(entity) as object) as Own
  return Object.assign(copy, entity, { entitySetting: { ...entity.entitySetting, generateID: () => id } })
}

interface Lasting {
  readonly addresses: Addresses
  readonly asking: Own
  readonly metadata: string
}

/**
 * What stays the same between sign-ins: samlify reads the metadata that it has just written anew for every entity, which takes longer than
 * all else of a request. Kept as long as the keys are held.
 */
const lasting = new WeakMap<OwnKeys, Lasting>()

function lastingOf(addresses: Addresses, keys: OwnKeys): Lasting {
  const held = lasting.get(keys)
  if (held && held.addresses.entityId === addresses.entityId) return held
  const made = { addresses, asking: own(addresses, keys, { nameIdFormats: [format.unspecified] }), metadata: own(addresses, keys).getMetadata() }
  lasting.set(keys, made)
  return made
}

const providers = new LRUCache<string, ReturnType<typeof theirs>>({ max: 1_000 })

/** An identity provider as it is asked to sign somebody in. */
function asked(entityId: string, sso: Endpoint): ReturnType<typeof theirs> {
  const what = JSON.stringify([entityId, sso.url, sso.binding])
  const made = providers.get(what) ?? theirs(entityId, { sso })
  providers.set(what, made)
  return made
}

function theirs(entityId: string, services: { sso?: Endpoint; slo?: Endpoint }) {
  const at = (endpoint: Endpoint | undefined) =>
    endpoint ? [{ Binding: binding[endpoint.binding], Location: endpoint.url }] : []
  return IdentityProvider({
    entityID: entityId,
    wantAuthnRequestsSigned: true,
    wantLogoutRequestSigned: true,
    wantLogoutResponseSigned: true,
    // samlify complains without both; the one that this message does not go to is never looked at.
    singleSignOnService: at(services.sso ?? services.slo),
    singleLogoutService: at(services.slo ?? services.sso),
  })
}

/** The message as samlify answers it: for POST the encoded message alone, for redirect the whole address. */
function outgoing(made: { context: string }, to: Endpoint, field: 'SAMLRequest' | 'SAMLResponse', relayState: string | null): Outgoing {
  if (to.binding === 'redirect') return { kind: 'REDIRECT', url: made.context }
  return { kind: 'POST', action: to.url, fields: { [field]: made.context, ...(relayState === null ? {} : { RelayState: relayState }) } }
}

const relay = (relayState: string | null) => (relayState === null ? {} : { relayState })

/** Our metadata (SAML metadata §2.4.4): every published certificate, the ACS by POST alone. */
export function ownMetadata(addresses: Addresses, keys: OwnKeys): string {
  return lastingOf(addresses, keys).metadata
}

/** A signed AuthnRequest (SAML core §3.4.1). `id` begins with a letter or underscore and is never used twice. */
export function authnRequest(options: {
  id: string
  addresses: Addresses
  keys: OwnKeys
  idp: { entityId: string; sso: Endpoint }
  forceAuthn: boolean
  relayState: string | null
}): Outgoing {
  const { id, addresses, keys, idp, forceAuthn, relayState } = options
  const made = numbered(lastingOf(addresses, keys).asking, id).createLoginRequest(
    asked(idp.entityId, idp.sso),
    idp.sso.binding,
    { ...relay(relayState), ...(forceAuthn ? { forceAuthn } : {}) },
  )
  return outgoing(made, idp.sso, 'SAMLRequest', relayState)
}

/** A signed LogoutRequest (SAML core §3.7.1) for one session. Its RelayState is its own id: an answer brings it back. */
export function logoutRequest(options: {
  id: string
  addresses: Addresses
  keys: OwnKeys
  idp: { entityId: string; slo: Endpoint }
  subject: { nameId: string; nameIdFormat: string; sessionIndex: string | null }
}): Outgoing {
  const { id, addresses, keys, idp, subject } = options
  const whole = SamlLib.defaultLogoutRequestTemplate.context
  // Without an index it means every session of the subject; an empty one would mean none.
  const logoutTemplate = subject.sessionIndex === null ? whole.replace(/<samlp:SessionIndex>.*<\/samlp:SessionIndex>/, '') : whole
  const from = numbered(own(addresses, keys, { nameIdFormats: [subject.nameIdFormat], signs: 'LogoutRequest', logoutTemplate }), id)
  const made = from.createLogoutRequest(
    theirs(idp.entityId, { slo: idp.slo }),
    idp.slo.binding,
    { logoutNameID: subject.nameId, ...(subject.sessionIndex === null ? {} : { sessionIndex: subject.sessionIndex }) },
    relay(id),
  )
  return outgoing(made, idp.slo, 'SAMLRequest', id)
}

/** A signed LogoutResponse (SAML core §3.7.2): our sessions have ended. */
export function logoutResponse(options: {
  id: string
  inResponseTo: string
  addresses: Addresses
  keys: OwnKeys
  idp: { entityId: string; slo: Endpoint }
  relayState: string | null
}): Outgoing {
  const { id, inResponseTo, addresses, keys, idp, relayState } = options
  const made = numbered(own(addresses, keys, { signs: 'LogoutResponse' }), id).createLogoutResponse(
    theirs(idp.entityId, { slo: idp.slo }),
    { extract: { request: { id: inResponseTo } } },
    idp.slo.binding,
    relay(relayState),
  )
  return outgoing(made, idp.slo, 'SAMLResponse', relayState)
}
