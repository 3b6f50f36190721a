/** A sign-on response in parts, each of which a test may say otherwise. What it says by default is valid. */
import type { ResponseInput, SamlGuard } from '../../src/modules/federation/saml/guard/verdict.ts'
import { makeProvider, signElement, type Provider, type SigningOptions } from './saml-provider.ts'

/** The second in which the run began: a server over HTTP believes these messages too. */
export const now = new Date(Math.floor(Date.now() / 1_000) * 1_000)
/** The clock of the messages, in seconds from `now`. */
export const at = (seconds: number) => new Date(now.getTime() + seconds * 1000).toISOString()
export const acsUrl = 'https://north.care.example/saml/north/acs'
export const audience = 'https://north.care.example/saml/north/metadata'
export const requestId = '_0198f2a0-7f0c-7000-8000-7f0c2a7f0c2a'
export const person = 'noor.haddad@hospital.example'
export const hospital: Provider = makeProvider('https://idp.hospital.example/metadata')
export const stranger: Provider = makeProvider('https://idp.stranger.example/metadata')

const head = 'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
const defaults = {
  responseAttributes: `ID="_response" Version="2.0" IssueInstant="${at(-2)}" Destination="${acsUrl}" InResponseTo="${requestId}"`,
  responseIssuer: `<saml:Issuer>${hospital.entityId}</saml:Issuer>`,
  status: '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>',
  assertionAttributes: `ID="_assertion" Version="2.0" IssueInstant="${at(-2)}"`,
  issuer: `<saml:Issuer>${hospital.entityId}</saml:Issuer>`,
  nameId: `<saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">${person}</saml:NameID>`,
  confirmation:
    '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">' +
    `<saml:SubjectConfirmationData InResponseTo="${requestId}" NotOnOrAfter="${at(300)}" Recipient="${acsUrl}"/>` +
    '</saml:SubjectConfirmation>',
  conditions:
    `<saml:Conditions NotBefore="${at(-30)}" NotOnOrAfter="${at(300)}">` +
    `<saml:AudienceRestriction><saml:Audience>${audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>`,
  authn:
    `<saml:AuthnStatement AuthnInstant="${at(-10)}" SessionIndex="_session" SessionNotOnOrAfter="${at(28_800)}"><saml:AuthnContext>` +
    '<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef>' +
    '</saml:AuthnContext></saml:AuthnStatement>',
  attributes:
    '<saml:AttributeStatement><saml:Attribute Name="groups" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">' +
    '<saml:AttributeValue>nurses</saml:AttributeValue><saml:AttributeValue>ward 7 &amp; 8</saml:AttributeValue></saml:Attribute>' +
    '</saml:AttributeStatement>',
  /** Behind the subject, conditions and statements. */
  tail: '',
}
export type Said = typeof defaults

export function assertionXml(said: Partial<Said> = {}): string {
  const all = { ...defaults, ...said }
  const subject = `<saml:Subject>${all.nameId}${all.confirmation}</saml:Subject>`
  return (
    `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ${all.assertionAttributes}>${all.issuer}` +
    `${all.nameId + all.confirmation === '' ? '' : subject}${all.conditions}${all.authn}${all.attributes}${all.tail}</saml:Assertion>`
  )
}

/** A response around a serialised assertion, or around anything else. */
export function responseXml(said: Partial<Said> = {}, inside: string = assertionXml(said)): string {
  const all = { ...defaults, ...said }
  return `<samlp:Response ${head} ${all.responseAttributes}>${all.responseIssuer}${all.status}${inside}</samlp:Response>`
}

export const signedAssertion = (said: Partial<Said> = {}, options: SigningOptions = {}, by = hospital) =>
  signElement(responseXml(said), '_assertion', by, options)
export const signedResponse = (said: Partial<Said> = {}, options: SigningOptions = {}, by = hospital) =>
  signElement(responseXml(said), '_response', by, options)
/** The assertion signed by itself, apart from any response. */
export const loneAssertion = (said: Partial<Said> = {}, options: SigningOptions = {}, by = hospital) =>
  signElement(assertionXml(said), '_assertion', by, options)

export const post = (xml: string) => Buffer.from(xml).toString('base64')

/** What the house asks when that message arrives. */
export function asking(xml: string, other: Partial<ResponseInput> = {}): ResponseInput {
  return {
    samlResponse: post(xml),
    now,
    acsUrl,
    audience,
    idp: { entityId: hospital.entityId, certificates: [hospital.certificate] },
    inResponseTo: requestId,
    allowUnsolicited: false,
    decryptionKeys: [],
    ...other,
  }
}

/** The NameID a guard answers with, or its reason. */
export function outcomeOf(guard: SamlGuard, input: ResponseInput): string {
  const verdict = guard.verifyResponse(input)
  return verdict.ok ? verdict.assertion.nameId : `${verdict.reason}: ${verdict.detail}`
}
