/**
 * Responses as widespread providers write them: their prefixes, orders, places of signatures and odd habits. Written by hand from
 * what their documents and messages show; names, keys and people are made up.
 */
import { exclusiveUri, envelopedUri, signElement } from './saml-provider.ts'
import { acsUrl, at, audience, hospital, person, requestId } from './saml-response.ts'

const success = 'urn:oasis:names:tc:SAML:2.0:status:Success'
const p = 'urn:oasis:names:tc:SAML:2.0:protocol'
const a = 'urn:oasis:names:tc:SAML:2.0:assertion'
const xs = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'
const xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
const password = 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport'
const emailFormat = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'
const bearer = 'urn:oasis:names:tc:SAML:2.0:cm:bearer'
const entity = hospital.entityId
const tags = `Version="2.0" IssueInstant="${at(-2)}" Destination="${acsUrl}" InResponseTo="${requestId}"`

/** No prefixes in the assertion and its signature; a Consent-less envelope; claims as URLs; the assertion alone is signed. */
export function entra(): string {
  const claims = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims'
  const xml =
    `<samlp:Response ID="_7e1c" ${tags} xmlns:samlp="${p}"><Issuer xmlns="${a}">${entity}</Issuer><samlp:Status>` +
    `<samlp:StatusCode Value="${success}"/></samlp:Status>` +
    `<Assertion ID="_a1c2" IssueInstant="${at(-2)}" Version="2.0" xmlns="${a}"><Issuer>${entity}</Issuer>` +
    `<Subject><NameID Format="${emailFormat}">${person}</NameID><SubjectConfirmation Method="${bearer}">` +
    `<SubjectConfirmationData InResponseTo="${requestId}" NotOnOrAfter="${at(3600)}" Recipient="${acsUrl}"/></SubjectConfirmation>` +
    '</Subject>' +
    `<Conditions NotBefore="${at(-300)}" NotOnOrAfter="${at(3600)}"><AudienceRestriction><Audience>${audience}</Audience>` +
    '</AudienceRestriction></Conditions>' +
    '<AttributeStatement><Attribute Name="http://schemas.microsoft.com/identity/claims/tenantid">' +
    '<AttributeValue>5b0c</AttributeValue></Attribute>' +
    `<Attribute Name="${claims}/name"><AttributeValue>${person}</AttributeValue></Attribute>` +
    '<Attribute Name="groups"><AttributeValue>nurses</AttributeValue><AttributeValue>ward-7</AttributeValue></Attribute>' +
    '</AttributeStatement>' +
    `<AuthnStatement AuthnInstant="${at(-600)}" SessionIndex="_a1c2"><AuthnContext><AuthnContextClassRef>` +
    `${password}</AuthnContextClassRef></AuthnContext></AuthnStatement>` +
    '</Assertion></samlp:Response>'
  return signElement(xml, '_a1c2', hospital, { prefix: '' })
}

/** saml2 prefixes, an XML declaration, both signed, an inclusive prefix list for the types of values, an Issuer with its format. */
export function okta(): string {
  const issuer = `<saml2:Issuer xmlns:saml2="${a}" Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity">${entity}</saml2:Issuer>`
  const xml =
    `<?xml version="1.0" encoding="UTF-8"?><saml2p:Response Destination="${acsUrl}" ID="id101" InResponseTo="${requestId}" ` +
    `IssueInstant="${at(-2)}" Version="2.0" xmlns:saml2p="${p}" ${xs}>${issuer}` +
    `<saml2p:Status xmlns:saml2p="${p}"><saml2p:StatusCode Value="${success}"/></saml2p:Status>` +
    `<saml2:Assertion ID="id202" IssueInstant="${at(-2)}" Version="2.0" xmlns:saml2="${a}" ${xs}>${issuer}` +
    `<saml2:Subject xmlns:saml2="${a}"><saml2:NameID Format="${emailFormat}">${person}</saml2:NameID>` +
    `<saml2:SubjectConfirmation Method="${bearer}">` +
    `<saml2:SubjectConfirmationData InResponseTo="${requestId}" NotOnOrAfter="${at(300)}" Recipient="${acsUrl}"/>` +
    '</saml2:SubjectConfirmation></saml2:Subject>' +
    `<saml2:Conditions NotBefore="${at(-300)}" NotOnOrAfter="${at(300)}" xmlns:saml2="${a}"><saml2:AudienceRestriction>` +
    `<saml2:Audience>${audience}</saml2:Audience></saml2:AudienceRestriction></saml2:Conditions>` +
    `<saml2:AuthnStatement AuthnInstant="${at(-30)}" SessionIndex="id303" xmlns:saml2="${a}"><saml2:AuthnContext>` +
    `<saml2:AuthnContextClassRef>${password}</saml2:AuthnContextClassRef></saml2:AuthnContext></saml2:AuthnStatement>` +
    `<saml2:AttributeStatement xmlns:saml2="${a}"><saml2:Attribute Name="groups" ` +
    'NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified">' +
    `<saml2:AttributeValue ${xs} ${xsi} xsi:type="xs:string">nurses</saml2:AttributeValue></saml2:Attribute>` +
    '</saml2:AttributeStatement></saml2:Assertion></saml2p:Response>'
  return signElement(signElement(xml, 'id202', hospital, { prefixes: ['xs'] }), 'id101', hospital, { prefixes: ['xs'] })
}

/** The whole response signed, a standalone declaration, values of any type, an AuthnStatement before the attributes' end. */
export function google(): string {
  const xml =
    `<?xml version="1.0" encoding="UTF-8" standalone="no"?><saml2p:Response xmlns:saml2p="${p}" ID="_g1" ${tags}>` +
    `<saml2:Issuer xmlns:saml2="${a}">${entity}</saml2:Issuer><saml2p:Status><saml2p:StatusCode Value="${success}"/></saml2p:Status>` +
    `<saml2:Assertion xmlns:saml2="${a}" ID="_g2" IssueInstant="${at(-2)}" Version="2.0"><saml2:Issuer>${entity}</saml2:Issuer>` +
    `<saml2:Subject><saml2:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">${person}</saml2:NameID>` +
    `<saml2:SubjectConfirmation Method="${bearer}">` +
    `<saml2:SubjectConfirmationData InResponseTo="${requestId}" NotOnOrAfter="${at(300)}" Recipient="${acsUrl}"/>` +
    '</saml2:SubjectConfirmation></saml2:Subject>' +
    `<saml2:Conditions NotBefore="${at(-300)}" NotOnOrAfter="${at(300)}"><saml2:AudienceRestriction><saml2:Audience>` +
    `${audience}</saml2:Audience></saml2:AudienceRestriction></saml2:Conditions>` +
    `<saml2:AttributeStatement><saml2:Attribute Name="groups"><saml2:AttributeValue ${xs} ${xsi} ` +
    'xsi:type="xs:anyType">nurses</saml2:AttributeValue></saml2:Attribute></saml2:AttributeStatement>' +
    `<saml2:AuthnStatement AuthnInstant="${at(-5)}" SessionIndex="_g2"><saml2:AuthnContext>` +
    '<saml2:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified</saml2:AuthnContextClassRef>' +
    '</saml2:AuthnContext></saml2:AuthnStatement>' +
    '</saml2:Assertion></saml2p:Response>'
  return signElement(xml, '_g1', hospital)
}

/** Keys beside certificates in KeyInfo, subject names, blanks around URIs, lines between elements. */
export function ping(): string {
  const xml = `<samlp:Response Version="2.0" ID="ping.1" IssueInstant="${at(-2)}" InResponseTo="${requestId}"
    Destination="${acsUrl}" xmlns:samlp="${p}">
  <saml:Issuer xmlns:saml="${a}">${entity}</saml:Issuer>
  <samlp:Status><samlp:StatusCode Value="${success}"/></samlp:Status>
  <saml:Assertion ID="ping.2" IssueInstant="${at(-2)}" Version="2.0" xmlns:saml="${a}">
    <saml:Issuer>${entity}</saml:Issuer>
    <saml:Subject>
      <saml:NameID Format="${emailFormat}">${person}</saml:NameID>
      <saml:SubjectConfirmation Method="${bearer}">
        <saml:SubjectConfirmationData Recipient="${acsUrl}" NotOnOrAfter="${at(300)}" InResponseTo="${requestId}"/>
      </saml:SubjectConfirmation>
    </saml:Subject>
    <saml:Conditions NotBefore="${at(-300)}" NotOnOrAfter="${at(300)}">
      <saml:AudienceRestriction><saml:Audience>
        ${audience}
      </saml:Audience></saml:AudienceRestriction>
    </saml:Conditions>
    <saml:AuthnStatement SessionIndex="ping.2" AuthnInstant="${at(-5)}">
      <saml:AuthnContext><saml:AuthnContextClassRef>${password}</saml:AuthnContextClassRef></saml:AuthnContext>
    </saml:AuthnStatement>
    <saml:AttributeStatement ${xs} ${xsi}>
      <saml:Attribute Name="groups" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">
        <saml:AttributeValue xsi:type="xs:string">nurses</saml:AttributeValue>
      </saml:Attribute>
    </saml:AttributeStatement>
  </saml:Assertion>
</samlp:Response>`
  const { n, e } = hospital.key.export({ format: 'jwk' })
  const [modulus, exponent] = [n, e].map((part) => Buffer.from(part!, 'base64url').toString('base64'))
  const rsa = `<ds:RSAKeyValue><ds:Modulus>${modulus}</ds:Modulus><ds:Exponent>${exponent}</ds:Exponent></ds:RSAKeyValue>`
  const keyValue = `<ds:KeyValue>${rsa}</ds:KeyValue>`
  return signElement(xml, 'ping.2', hospital).replace('</ds:KeyInfo>', `${keyValue}</ds:KeyInfo>`)
}

/** Consent on the envelope, milliseconds, one attribute for each group, foreign attributes on attributes, an unprefixed assertion. */
export function adfs(): string {
  const xml =
    `<samlp:Response ID="_f1" ${tags} Consent="urn:oasis:names:tc:SAML:2.0:consent:unspecified" xmlns:samlp="${p}">` +
    `<Issuer xmlns="${a}">${entity}</Issuer>` +
    `<samlp:Status><samlp:StatusCode Value="${success}" /></samlp:Status><Assertion ID="_f2" IssueInstant="${at(-2)}" ` +
    `Version="2.0" xmlns="${a}"><Issuer>${entity}</Issuer>` +
    `<Subject><NameID Format="${emailFormat}">${person}</NameID><SubjectConfirmation Method="${bearer}">` +
    `<SubjectConfirmationData InResponseTo="${requestId}" NotOnOrAfter="${at(300)}" Recipient="${acsUrl}" /></SubjectConfirmation>` +
    '</Subject>' +
    `<Conditions NotBefore="${at(-1)}" NotOnOrAfter="${at(3600)}"><AudienceRestriction><Audience>${audience}</Audience>` +
    '</AudienceRestriction></Conditions>' +
    `<AttributeStatement><Attribute Name="groups" a:OriginalIssuer="${entity}" ` +
    'xmlns:a="http://schemas.xmlsoap.org/ws/2009/09/identity/claims"><AttributeValue>nurses</AttributeValue></Attribute>' +
    `<Attribute Name="groups"><AttributeValue>ward-7</AttributeValue></Attribute></AttributeStatement>` +
    `<AuthnStatement AuthnInstant="${at(-1)}" SessionIndex="_f2"><AuthnContext><AuthnContextClassRef>` +
    `${password}</AuthnContextClassRef></AuthnContext></AuthnStatement></Assertion></samlp:Response>`
  return signElement(xml, '_f2', hospital)
}

/** A persistent name with qualifiers, a NameID as value, a locality, an authority, a carriage return in the signature. */
export function research(): string {
  const persistent = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'
  const xml =
    `<saml2p:Response xmlns:saml2p="${p}" ID="_s1" ${tags}><saml2:Issuer xmlns:saml2="${a}">${entity}</saml2:Issuer>` +
    `<saml2p:Status><saml2p:StatusCode Value="${success}"/></saml2p:Status><saml2:Assertion xmlns:saml2="${a}" ID="_s2" ` +
    `IssueInstant="${at(-2)}" Version="2.0"><saml2:Issuer>${entity}</saml2:Issuer>` +
    `<saml2:Subject><saml2:NameID Format="${persistent}" NameQualifier="${entity}" SPNameQualifier="${audience}">${person}</saml2:NameID>` +
    `<saml2:SubjectConfirmation Method="${bearer}"><saml2:SubjectConfirmationData Address="192.0.2.7" InResponseTo="${requestId}" ` +
    `NotOnOrAfter="${at(300)}" Recipient="${acsUrl}"/></saml2:SubjectConfirmation></saml2:Subject>` +
    `<saml2:Conditions NotBefore="${at(-2)}" NotOnOrAfter="${at(300)}"><saml2:AudienceRestriction><saml2:Audience>` +
    `${audience}</saml2:Audience><saml2:Audience>urn:other</saml2:Audience></saml2:AudienceRestriction><saml2:OneTimeUse/>` +
    '</saml2:Conditions>' +
    `<saml2:AuthnStatement AuthnInstant="${at(-9)}" SessionIndex="_s3" SessionNotOnOrAfter="${at(3600)}">` +
    '<saml2:SubjectLocality Address="192.0.2.7"/><saml2:AuthnContext><saml2:AuthnContextClassRef>' +
    `${password}</saml2:AuthnContextClassRef><saml2:AuthenticatingAuthority>${entity}</saml2:AuthenticatingAuthority>` +
    '</saml2:AuthnContext></saml2:AuthnStatement>' +
    '<saml2:AttributeStatement><saml2:Attribute FriendlyName="eduPersonTargetedID" Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.10" ' +
    'NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"><saml2:AttributeValue>' +
    `<saml2:NameID Format="${persistent}">opaque-7</saml2:NameID></saml2:AttributeValue></saml2:Attribute>` +
    '<saml2:Attribute Name="groups"><saml2:AttributeValue>nurses</saml2:AttributeValue></saml2:Attribute>' +
    '</saml2:AttributeStatement></saml2:Assertion></saml2p:Response>'
  const signed = signElement(xml, '_s2', hospital, { transforms: [envelopedUri, exclusiveUri], prefixes: ['xsd'] })
  return signed.replace(/(<ds:SignatureValue>)(.{76})/, '$1$2&#13;\n')
}
