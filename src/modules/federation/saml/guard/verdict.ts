/** What the guard is asked and what it answers. Types only; the guard itself is guard.ts. */
import type { KeyObject } from 'node:crypto'
import type { ReasonCode } from './reasons.ts'

/** The identity provider of the connection; nothing of it is ever taken from a message. */
export interface IdentityProvider {
  readonly entityId: string
  /** PEM certificates, at most 16. All are tried, whatever the message names; their dates are not asked. */
  readonly certificates: readonly string[]
}

/** A refusal: `reason` is stable, `detail` is for IT, names what was found and holds no secret. At most 300 characters. */
export interface Refused {
  readonly ok: false
  readonly reason: ReasonCode
  readonly detail: string
}

export interface ResponseInput {
  /** The form field `SAMLResponse` as posted (base64). */
  readonly samlResponse: string
  readonly now: Date
  /** Our own address that took the message: Destination and Recipient must be it, character by character. */
  readonly acsUrl: string
  /** Our entityId for this connection. */
  readonly audience: string
  readonly idp: IdentityProvider
  /** Id of the request that this message must answer; null when this browser asked nothing. */
  readonly inResponseTo: string | null
  /** Whether a message that answers no request is taken. */
  readonly allowUnsolicited: boolean
  /** Our private RSA keys, newest first, all tried; empty when the connection encrypts nothing. */
  readonly decryptionKeys: readonly KeyObject[]
}

/** What the verified signature covers, and nothing else. */
export interface VerifiedAssertion {
  /** For one-time use: keep it until `notOnOrAfter` plus the skew, and refuse it a second time. */
  readonly id: string
  readonly issuer: string
  readonly nameId: string
  /** The URI of the format; the SAML default when the message names none. */
  readonly nameIdFormat: string
  readonly nameQualifier: string | null
  readonly spNameQualifier: string | null
  readonly sessionIndex: string | null
  readonly authnInstant: Date
  readonly authnContextClassRef: string | null
  readonly sessionNotOnOrAfter: Date | null
  /** The earliest end that confirmation and conditions give. */
  readonly notOnOrAfter: Date
  /** The request it answers; null when unsolicited. */
  readonly inResponseTo: string | null
  /** Values by attribute Name, in the order of the message. */
  readonly attributes: ReadonlyMap<string, readonly string[]>
  /** SHA-256 of the DER of the connection's certificate that verified it, 64 lower-case hex digits. */
  readonly certificateFingerprint: string
}

export type ResponseVerdict = { readonly ok: true; readonly assertion: VerifiedAssertion } | Refused

/** Untrusted: good for choosing the connection, for nothing else. */
export type Peeked = { readonly ok: true; readonly issuer: string | null; readonly inResponseTo: string | null } | Refused

/** A logout message as it came. */
export type LogoutMessage =
  | { readonly binding: 'post'; /** base64 */ readonly message: string; readonly relayState: string | null }
  /** `query` is the raw query string without `?`: the signature covers its bytes, not a decoded form. */
  | { readonly binding: 'redirect'; readonly query: string }

export interface LogoutInput {
  readonly received: LogoutMessage
  readonly now: Date
  /** Our own address that took the message. */
  readonly destination: string
  readonly idp: IdentityProvider
}

export interface VerifiedLogoutRequest {
  readonly id: string
  readonly issuer: string
  readonly nameId: string
  readonly nameIdFormat: string
  readonly nameQualifier: string | null
  readonly spNameQualifier: string | null
  /** Empty: every session of the subject. */
  readonly sessionIndexes: readonly string[]
  readonly notOnOrAfter: Date | null
  /** As it came, at most 1024 characters; signed with the redirect binding only. To be returned, never followed. */
  readonly relayState: string | null
  readonly certificateFingerprint: string
}

export type LogoutRequestVerdict = { readonly ok: true; readonly request: VerifiedLogoutRequest } | Refused

export interface VerifiedLogoutResponse {
  readonly id: string
  readonly issuer: string
  readonly inResponseTo: string
  /** The top status code's URI. Whatever it says, our own session is already over. */
  readonly status: string
  readonly success: boolean
  readonly relayState: string | null
  readonly certificateFingerprint: string
}

export interface LogoutResponseInput extends LogoutInput {
  /** Id of the LogoutRequest that this must answer. */
  readonly inResponseTo: string
}

export type LogoutResponseVerdict = { readonly ok: true; readonly response: VerifiedLogoutResponse } | Refused

export interface MetadataEndpoint {
  readonly binding: 'redirect' | 'post'
  readonly url: string
  /** Where answers go when it is another address (logout). */
  readonly responseUrl: string | null
}

export interface MetadataCertificate {
  readonly pem: string
  /** SHA-256 of the DER, 64 lower-case hex digits. */
  readonly fingerprint: string
  readonly notBefore: Date
  readonly notAfter: Date
}

export interface IdpMetadata {
  readonly entityId: string
  /** Signing certificates, in the order of the document, without doubles. At least one. */
  readonly certificates: readonly MetadataCertificate[]
  /** At least one. */
  readonly singleSignOn: readonly MetadataEndpoint[]
  readonly singleLogout: readonly MetadataEndpoint[]
  /** The earliest validUntil of what was read. */
  readonly validUntil: Date | null
}

export interface MetadataInput {
  readonly xml: Uint8Array
  readonly now: Date
  readonly plainHttp?: PlainHttp
}

/**
 * Which addresses may be plain http: none (the default); those of the browser's own machine, which nothing leaves, for a server that is tried
 * out there; or any, where the operator vouched for the document (a provider of an inner network).
 */
export type PlainHttp = 'nowhere' | 'own machine' | 'anywhere'

export type MetadataVerdict = { readonly ok: true; readonly metadata: IdpMetadata } | Refused

/** The whole door, as the house holds it. */
export interface SamlGuard {
  verifyResponse(input: ResponseInput): ResponseVerdict
  peekResponse(samlResponse: string): Peeked
  verifyLogoutRequest(input: LogoutInput): LogoutRequestVerdict
  verifyLogoutResponse(input: LogoutResponseInput): LogoutResponseVerdict
  readMetadata(input: MetadataInput): MetadataVerdict
  /** For samlify's `setSchemaValidator`: resolves when the text has the shape of a SAML message or of metadata, else rejects. */
  validate(xml: string): Promise<string>
}
