/**
 * The identity provider of the whole logins. It writes its assertions in canonical form from the start, so that signing one is one digest and
 * one signature: a provider that parsed and canonicalised would take the machine from the server that is measured.
 */
import { createHash, randomUUID, sign } from 'node:crypto'
import type { Provider } from '../../kit/saml-provider.ts'

const saml = 'urn:oasis:names:tc:SAML:2.0:assertion'
const ds = 'http://www.w3.org/2000/09/xmldsig#'
const exclusive = 'http://www.w3.org/2001/10/xml-exc-c14n#'
const at = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString()
const empty = (name: string, attributes: string) => `<${name} ${attributes}></${name}>`

export interface Answer {
  readonly acsUrl: string
  readonly audience: string
  readonly inResponseTo: string
  readonly nameId: string
}

/** A response (base64) with a signed assertion. Attributes stand in the order of exclusive canonicalisation; no value needs escaping. */
export function signedAnswer({ entityId, key, certificate }: Provider, { acsUrl, audience, inResponseTo, nameId }: Answer): string {
  const id = `_${randomUUID()}`
  const issuer = `<saml:Issuer>${entityId}</saml:Issuer>`
  const head = `<saml:Assertion xmlns:saml="${saml}" ID="${id}" IssueInstant="${at(0)}" Version="2.0">${issuer}`
  const confirmation = empty('saml:SubjectConfirmationData', `InResponseTo="${inResponseTo}" NotOnOrAfter="${at(300)}" Recipient="${acsUrl}"`)
  const rest =
    `<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">${nameId}</saml:NameID>` +
    `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">${confirmation}</saml:SubjectConfirmation></saml:Subject>` +
    `<saml:Conditions NotBefore="${at(-30)}" NotOnOrAfter="${at(300)}"><saml:AudienceRestriction><saml:Audience>${audience}</saml:Audience>` +
    `</saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="${at(0)}" SessionIndex="_s1"><saml:AuthnContext>` +
    '<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef>' +
    '</saml:AuthnContext></saml:AuthnStatement></saml:Assertion>'
  const digest = createHash('sha256').update(head).update(rest).digest('base64')
  const info =
    empty('ds:CanonicalizationMethod', `Algorithm="${exclusive}"`) +
    empty('ds:SignatureMethod', 'Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"') +
    `<ds:Reference URI="#${id}"><ds:Transforms>${empty('ds:Transform', `Algorithm="${ds}enveloped-signature"`)}` +
    `${empty('ds:Transform', `Algorithm="${exclusive}"`)}</ds:Transforms>` +
    `${empty('ds:DigestMethod', 'Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"')}` +
    `<ds:DigestValue>${digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>`
  const value = sign('sha256', Buffer.from(`<ds:SignedInfo xmlns:ds="${ds}">${info}`), key).toString('base64')
  const bare = certificate.replace(/-----[^-]+-----|\s/g, '')
  const signature =
    `<ds:Signature xmlns:ds="${ds}"><ds:SignedInfo>${info}<ds:SignatureValue>${value}</ds:SignatureValue>` +
    `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>${bare}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>`
  const response =
    `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="${saml}" ID="_r${randomUUID()}" Version="2.0" ` +
    `IssueInstant="${at(0)}" Destination="${acsUrl}" InResponseTo="${inResponseTo}">${issuer}` +
    '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>'
  return Buffer.from(`${response}${head}${signature}${rest}</samlp:Response>`).toString('base64')
}
