/** Metadata of a double of an identity provider. */
import type { MetadataInput } from '../../src/modules/federation/saml/guard/verdict.ts'
import { at, hospital, now } from './saml-response.ts'

export const certificateLines = (pem: string) => pem.replace(/-----[^-]+-----/g, '').trim()

const keyInfo = (pem: string) =>
  `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>${certificateLines(pem)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
export const keyDescriptor = (pem: string, use = ' use="signing"') => `<md:KeyDescriptor${use}>${keyInfo(pem)}</md:KeyDescriptor>`

const binding = 'urn:oasis:names:tc:SAML:2.0:bindings'
export const entityXml =
  '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" ' +
  `ID="_metadata" entityID="${hospital.entityId}" validUntil="${at(86_400 * 7)}" cacheDuration="PT6H">` +
  '<md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">' +
  keyDescriptor(hospital.certificate) +
  `<md:SingleLogoutService Binding="${binding}:HTTP-Redirect" Location="https://idp.hospital.example/slo" ` +
  'ResponseLocation="https://idp.hospital.example/slo/done"/>' +
  '<md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</md:NameIDFormat>' +
  `<md:SingleSignOnService Binding="${binding}:HTTP-Redirect" Location="https://idp.hospital.example/sso"/>` +
  `<md:SingleSignOnService Binding="${binding}:HTTP-POST" Location="https://idp.hospital.example/sso"/>` +
  `<md:SingleSignOnService Binding="${binding}:SOAP" Location="https://idp.hospital.example/soap"/>` +
  '</md:IDPSSODescriptor></md:EntityDescriptor>'

export const reading = (xml: string, other: Partial<MetadataInput> = {}): MetadataInput => ({
  xml: Buffer.from(xml),
  now,
  ...other,
})
