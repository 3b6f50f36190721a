/** What a provider may truly have signed and is still no sign-in here: for somebody else, for another time, to another question. */
import {
  acsUrl,
  assertionXml,
  at,
  audience,
  hospital,
  person,
  requestId,
  responseXml,
  signedAssertion,
  signedResponse,
  type Said,
} from '../../kit/saml-response.ts'
import { byResponse, partOf, replaced, still, type Attack } from './attack.ts'

const part = (pattern: RegExp) => partOf(assertionXml(), pattern)
const confirmation = part(/<saml:SubjectConfirmation [\s\S]*<\/saml:SubjectConfirmation>/)
const conditions = part(/<saml:Conditions [\s\S]*<\/saml:Conditions>/)
const authn = part(/<saml:AuthnStatement [\s\S]*<\/saml:AuthnStatement>/)
const responseAttributes = partOf(responseXml(), /(?<=xmlns:saml="[^"]*" )ID="_response"[^>]*/)
const assertionAttributes = part(/(?<=<saml:Assertion xmlns:saml="[^"]*" )ID="_assertion"[^>]*/)
const status = (code: string) => `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:${code}"/></samlp:Status>`
/** The valid message with one part said otherwise, signed so by the provider. */
const saying = (said: Partial<Said>) => () => signedAssertion(said)
const confirming = (from: string, to: string) => saying({ confirmation: replaced(confirmation, from, to) })
const on = (from: string, to: string) => saying({ conditions: replaced(conditions, from, to) })
const unsolicited = {
  responseAttributes: replaced(responseAttributes, ` InResponseTo="${requestId}"`, ''),
  confirmation: replaced(confirmation, ` InResponseTo="${requestId}"`, ''),
}

export const statements: readonly Attack[] = [
  byResponse('a response of SAML 1.1', 'VERSION', 'accepted', saying({ responseAttributes: replaced(responseAttributes, '2.0', '1.1') })),
  byResponse(
    'an assertion of SAML 1.1',
    'VERSION',
    'accepted',
    saying({ assertionAttributes: replaced(assertionAttributes, '2.0', '1.1') }),
  ),
  byResponse('a status other than success', 'STATUS', 'accepted', saying({ status: status('Responder') })),
  byResponse(
    'success inside a failure',
    'STATUS',
    'accepted',
    saying({
      status: replaced(
        status('Requester'),
        '/>',
        '><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:StatusCode>',
      ),
    }),
  ),
  byResponse('no assertion', 'ASSERTION_MISSING', still('ASSERTION_MISSING', 'there is nothing to read'), () => responseXml({}, '')),
  byResponse(
    "an assertion of another issuer, signed with our provider's key",
    'ISSUER',
    'accepted',
    saying({ issuer: '<saml:Issuer>https://idp.stranger.example/metadata</saml:Issuer>' }),
  ),
  byResponse(
    'a response of another issuer',
    'ISSUER',
    'accepted',
    saying({ responseIssuer: '<saml:Issuer>https://idp.stranger.example/metadata</saml:Issuer>' }),
  ),
  byResponse('an issuer with a slash more', 'ISSUER', 'accepted', saying({ issuer: `<saml:Issuer>${hospital.entityId}/</saml:Issuer>` })),
  byResponse(
    'an issuer in other letters',
    'ISSUER',
    'accepted',
    saying({ issuer: `<saml:Issuer>${hospital.entityId.toUpperCase()}</saml:Issuer>` }),
  ),
  byResponse(
    'an issuer that is an e-mail address by format',
    'ISSUER',
    'accepted',
    saying({ issuer: `<saml:Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">${hospital.entityId}</saml:Issuer>` }),
  ),
  byResponse(
    "another tenant's address as destination",
    'DESTINATION',
    'accepted',
    saying({ responseAttributes: replaced(responseAttributes, acsUrl, 'https://care.example/saml/south/acs') }),
  ),
  byResponse(
    'our address with a query as destination',
    'DESTINATION',
    'accepted',
    saying({ responseAttributes: replaced(responseAttributes, acsUrl, `${acsUrl}?x=1`) }),
  ),
  byResponse('a signed response without a destination', 'DESTINATION', 'accepted', () =>
    signedResponse({ responseAttributes: replaced(responseAttributes, `Destination="${acsUrl}" `, '') }),
  ),
  byResponse(
    'a response issued 61 seconds ahead',
    'ISSUED_IN_FUTURE',
    'accepted',
    saying({ responseAttributes: replaced(responseAttributes, at(-2), at(61)) }),
  ),
  byResponse(
    'an assertion issued 61 seconds ahead',
    'ISSUED_IN_FUTURE',
    'accepted',
    saying({ assertionAttributes: replaced(assertionAttributes, at(-2), at(61)) }),
  ),
  byResponse(
    'an assertion issued eleven minutes and a second ago',
    'ISSUED_LONG_AGO',
    'accepted',
    saying({ assertionAttributes: replaced(assertionAttributes, at(-2), at(-661)) }),
  ),
  byResponse(
    'a response issued eleven minutes and a second ago',
    'ISSUED_LONG_AGO',
    'accepted',
    saying({ responseAttributes: replaced(responseAttributes, at(-2), at(-661)) }),
  ),
  byResponse('an answer to no request', 'UNSOLICITED', 'accepted', saying(unsolicited), () => ({ inResponseTo: null })),
  byResponse(
    'an answer to no request where one was asked',
    'IN_RESPONSE_TO',
    still('CONFIRMATION_IN_RESPONSE_TO', 'the confirmation names no request either'),
    saying(unsolicited),
  ),
  byResponse(
    'an answer to another request',
    'IN_RESPONSE_TO',
    'accepted',
    saying({ responseAttributes: replaced(responseAttributes, requestId, '_another') }),
  ),
  byResponse(
    "an answer to somebody else's request, in a browser that asked nothing",
    'IN_RESPONSE_TO',
    still('CONFIRMATION_IN_RESPONSE_TO', 'the signed confirmation names that request too'),
    saying({}),
    () => ({ inResponseTo: null, allowUnsolicited: true }),
  ),
  byResponse(
    "an answer to somebody else's request, where nothing unsolicited is allowed",
    'IN_RESPONSE_TO',
    still('CONFIRMATION_IN_RESPONSE_TO', 'the signed confirmation names that request too'),
    saying({}),
    () => ({ inResponseTo: null }),
  ),
  byResponse(
    "an answer to somebody else's request, its InResponseTo taken off the unsigned response",
    'CONFIRMATION_IN_RESPONSE_TO',
    'accepted',
    saying({ responseAttributes: unsolicited.responseAttributes }),
    () => ({ inResponseTo: null, allowUnsolicited: true }),
  ),
  byResponse('a confirmation that answers another request', 'CONFIRMATION_IN_RESPONSE_TO', 'accepted', confirming(requestId, '_another')),
  byResponse(
    'a confirmation that answers no request',
    'CONFIRMATION_IN_RESPONSE_TO',
    'accepted',
    confirming(`InResponseTo="${requestId}" `, ''),
  ),
  byResponse(
    'no subject',
    'SUBJECT_MISSING',
    still('NAME_ID', 'without a subject there is no name'),
    saying({ nameId: '', confirmation: '' }),
  ),
  byResponse('a subject without a name', 'NAME_ID', still('NAME_ID', 'there is nothing to read'), saying({ nameId: '' })),
  byResponse('an empty name', 'NAME_ID', 'accepted', saying({ nameId: '<saml:NameID/>' })),
  byResponse('a name with blanks around it', 'NAME_ID', 'accepted', saying({ nameId: `<saml:NameID> ${person} </saml:NameID>` })),
  byResponse('a name with an invisible character', 'NAME_ID', 'accepted', saying({ nameId: `<saml:NameID>${person}\u200b</saml:NameID>` })),
  byResponse(
    'a name of ten thousand characters',
    'NAME_ID',
    'accepted',
    saying({ nameId: `<saml:NameID>${'a'.repeat(10_000)}</saml:NameID>` }),
  ),
  byResponse('an encrypted name', 'ELEMENT_UNEXPECTED', still('NAME_ID', 'there is no NameID'), saying({ nameId: '<saml:EncryptedID/>' })),
  byResponse('a holder-of-key confirmation', 'CONFIRMATION_METHOD', 'accepted', confirming('cm:bearer', 'cm:holder-of-key')),
  byResponse('a sender-vouches confirmation', 'CONFIRMATION_METHOD', 'accepted', confirming('cm:bearer', 'cm:sender-vouches')),
  byResponse(
    'no confirmation',
    'CONFIRMATION_METHOD',
    still('CONFIRMATION_EXPIRED', 'without a confirmation there is no end of it'),
    saying({ confirmation: '' }),
  ),
  byResponse('two bearer confirmations', 'CONFIRMATION_METHOD', 'accepted', saying({ confirmation: confirmation + confirmation })),
  byResponse(
    'a confirmation with NotBefore',
    'CONFIRMATION_NOT_BEFORE',
    'accepted',
    confirming('NotOnOrAfter=', `NotBefore="${at(-60)}" NotOnOrAfter=`),
  ),
  byResponse('a confirmation that is over', 'CONFIRMATION_EXPIRED', 'accepted', confirming(at(300), at(-61))),
  byResponse('a confirmation that ends exactly at the skew', 'CONFIRMATION_EXPIRED', 'accepted', confirming(at(300), at(-60))),
  byResponse('a confirmation without an end', 'CONFIRMATION_EXPIRED', 'accepted', confirming(`NotOnOrAfter="${at(300)}" `, '')),
  byResponse(
    'a confirmation without data',
    'CONFIRMATION_EXPIRED',
    still('RECIPIENT', 'without data there is no recipient'),
    saying({ confirmation: '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>' }),
  ),
  byResponse("another tenant's address as recipient", 'RECIPIENT', 'accepted', confirming(acsUrl, 'https://care.example/saml/south/acs')),
  byResponse('no recipient', 'RECIPIENT', 'accepted', confirming(` Recipient="${acsUrl}"`, '')),
  byResponse('a recipient that begins with ours', 'RECIPIENT', 'accepted', confirming(acsUrl, `${acsUrl}.stranger.example`)),
  byResponse(
    'no conditions',
    'CONDITIONS_MISSING',
    still('AUDIENCE', 'without conditions there is no audience'),
    saying({ conditions: '' }),
  ),
  byResponse('conditions that begin in 61 seconds', 'NOT_YET_VALID', 'accepted', on(at(-30), at(61))),
  byResponse('conditions that are over', 'EXPIRED', 'accepted', on(at(300), at(-61))),
  byResponse("another tenant's audience", 'AUDIENCE', 'accepted', on(audience, 'https://care.example/saml/south/metadata')),
  byResponse('no audience', 'AUDIENCE', 'accepted', on(part(/<saml:AudienceRestriction>[\s\S]*<\/saml:AudienceRestriction>/), '')),
  byResponse(
    'a second restriction to another audience',
    'AUDIENCE',
    'accepted',
    on(
      '</saml:AudienceRestriction>',
      '</saml:AudienceRestriction><saml:AudienceRestriction><saml:Audience>urn:else</saml:Audience></saml:AudienceRestriction>',
    ),
  ),
  byResponse(
    'a condition that we do not know',
    'ELEMENT_UNEXPECTED',
    'accepted',
    on('</saml:Conditions>', '<saml:Condition/></saml:Conditions>'),
  ),
  byResponse(
    'no statement of an authentication',
    'AUTHN_STATEMENT',
    still('AUTHN_STATEMENT', 'there is nothing to read'),
    saying({ authn: '' }),
  ),
  byResponse('two statements of an authentication', 'AUTHN_STATEMENT', 'accepted', saying({ authn: authn + authn })),
  byResponse('an authentication 61 seconds ahead', 'AUTHN_IN_FUTURE', 'accepted', saying({ authn: replaced(authn, at(-10), at(61)) })),
  byResponse('a session that is already over', 'SESSION_OVER', 'accepted', saying({ authn: replaced(authn, at(28_800), at(-61)) })),
]
