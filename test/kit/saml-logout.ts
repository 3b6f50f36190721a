/** Logout messages of a double of an identity provider, by both bindings. */
import { sign } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import type { LogoutInput, LogoutResponseInput } from '../../src/modules/federation/saml/guard/verdict.ts'
import { ecdsaSha256, rsaSha256, signElement, type Provider } from './saml-provider.ts'
import { at, hospital, now, person, post } from './saml-response.ts'

export const logoutUrl = 'https://north.care.example/saml/north/logout'
export const logoutId = '_0198f2a0-7f0c-7000-8000-10900010900a'
const namespaces = 'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
const issuer = `<saml:Issuer>${hospital.entityId}</saml:Issuer>`

export const logoutRequestXml =
  `<samlp:LogoutRequest ${namespaces} ID="_request" Version="2.0" IssueInstant="${at(-2)}" Destination="${logoutUrl}" ` +
  `NotOnOrAfter="${at(300)}">` +
  `${issuer}<saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">${person}</saml:NameID>` +
  '<samlp:SessionIndex>_session</samlp:SessionIndex></samlp:LogoutRequest>'
export const logoutResponseXml =
  `<samlp:LogoutResponse ${namespaces} ID="_answer" Version="2.0" IssueInstant="${at(-2)}" Destination="${logoutUrl}" ` +
  `InResponseTo="${logoutId}">` +
  `${issuer}<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:LogoutResponse>`

export const posted = (xml: string, id: string, by: Provider = hospital) => post(signElement(xml, id, by))

export interface Redirected {
  readonly relayState?: string
  readonly algorithm?: string
  /** Percent-encoding in lower case, as some providers write it: the signature covers what was sent. */
  readonly lowerCase?: boolean
}

/** A signed query (SAML bindings §3.4.4.1). */
export function redirected(
  xml: string,
  parameter: 'SAMLRequest' | 'SAMLResponse',
  by: Provider = hospital,
  options: Redirected = {},
): string {
  const isEc = by.key.asymmetricKeyType === 'ec'
  const encode = (text: string) => {
    const encoded = encodeURIComponent(text)
    return options.lowerCase ? encoded.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()) : encoded
  }
  const pairs = [
    `${parameter}=${encode(deflateRawSync(Buffer.from(xml)).toString('base64'))}`,
    ...(options.relayState === undefined ? [] : [`RelayState=${encode(options.relayState)}`]),
    `SigAlg=${encode(options.algorithm ?? (isEc ? ecdsaSha256 : rsaSha256))}`,
  ]
  const query = pairs.join('&')
  const signature = sign('sha256', Buffer.from(query), { key: by.key, dsaEncoding: 'ieee-p1363' })
  return `${query}&Signature=${encode(signature.toString('base64'))}`
}

const idp = { entityId: hospital.entityId, certificates: [hospital.certificate] }

export function leaving(received: LogoutInput['received'], other: Partial<LogoutInput> = {}): LogoutInput {
  return { received, now, destination: logoutUrl, idp, ...other }
}

export function answering(received: LogoutInput['received'], other: Partial<LogoutResponseInput> = {}): LogoutResponseInput {
  return { ...leaving(received), inResponseTo: logoutId, ...other }
}

export const byPost = (message: string, relayState = 'state-1'): LogoutInput['received'] => ({ binding: 'post', message, relayState })
export const byRedirect = (query: string): LogoutInput['received'] => ({ binding: 'redirect', query })
