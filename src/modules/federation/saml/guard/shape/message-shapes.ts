/**
 * Shapes of the SAML 2.0 messages that sign-on and logout receive. Left out on purpose: Extensions and Advice (they may hold a second
 * assertion), BaseID, EncryptedID, EncryptedAttribute, unknown Conditions (SAML core §2.5.1.5: whoever does not know one refuses).
 */
import { ds, saml, samlp, xsi } from '../names.ts'
import { many, maybe, one, opaque, shape, some, valued, type Shape } from './shape.ts'
import { encrypted, signature } from './signature-shapes.ts'
import { anything, instant, ncName, uri } from './values.ts'

const nameAttributes = { NameQualifier: anything, SPNameQualifier: anything, Format: uri, SPProvidedID: anything }
const nameId = valued(anything, { optional: nameAttributes })
const issuer = nameId

const confirmationData = shape({
  optional: { NotBefore: instant, NotOnOrAfter: instant, Recipient: uri, InResponseTo: ncName, Address: anything },
})
const subject = shape({
  inside: [
    [maybe(saml, 'NameID', nameId)],
    [
      many(
        saml,
        'SubjectConfirmation',
        shape({
          required: { Method: uri },
          inside: [[maybe(saml, 'NameID', nameId)], [maybe(saml, 'SubjectConfirmationData', confirmationData)]],
        }),
      ),
    ],
  ],
})

const conditions = shape({
  optional: { NotBefore: instant, NotOnOrAfter: instant },
  inside: [
    [
      many(saml, 'AudienceRestriction', shape({ inside: [[some(saml, 'Audience', valued(uri))]] })),
      maybe(saml, 'OneTimeUse', shape({})),
      maybe(saml, 'ProxyRestriction', shape({ optional: { Count: anything }, inside: [[many(saml, 'Audience', valued(uri))]] })),
    ],
  ],
})

const authnStatement = shape({
  required: { AuthnInstant: instant },
  optional: { SessionIndex: anything, SessionNotOnOrAfter: instant },
  inside: [
    [maybe(saml, 'SubjectLocality', shape({ optional: { Address: anything, DNSName: anything } }))],
    [
      one(
        saml,
        'AuthnContext',
        shape({
          inside: [
            [maybe(saml, 'AuthnContextClassRef', valued(uri))],
            [maybe(saml, 'AuthnContextDeclRef', valued(uri))],
            [many(saml, 'AuthenticatingAuthority', valued(uri))],
          ],
        }),
      ),
    ],
  ],
})

// Attributes of other namespaces stand on saml:Attribute by its schema (X.500 encodings, original issuers); they are not read.
const attribute = shape({
  required: { Name: anything },
  optional: { NameFormat: uri, FriendlyName: anything },
  foreign: '*',
  inside: [[many(saml, 'AttributeValue', valued(anything, { foreign: [xsi], inside: [[maybe(saml, 'NameID', nameId)]] }))]],
})

export const assertion = shape({
  required: { ID: ncName, Version: anything, IssueInstant: instant },
  inside: [
    [one(saml, 'Issuer', issuer)],
    [maybe(ds, 'Signature', signature)],
    [maybe(saml, 'Subject', subject)],
    [maybe(saml, 'Conditions', conditions)],
    [
      many(saml, 'AuthnStatement', authnStatement),
      many(saml, 'AttributeStatement', shape({ inside: [[many(saml, 'Attribute', attribute)]] })),
    ],
  ],
})

const statusCode: Shape = shape({ required: { Value: uri }, inside: [[maybe(samlp, 'StatusCode', () => statusCode)]] })
const status = shape({
  inside: [
    [one(samlp, 'StatusCode', statusCode)],
    [maybe(samlp, 'StatusMessage', valued(anything))],
    [maybe(samlp, 'StatusDetail', opaque)],
  ],
})

const envelope = {
  required: { ID: ncName, Version: anything, IssueInstant: instant },
  optional: { Destination: uri, Consent: uri, InResponseTo: ncName },
}
const head = [[maybe(saml, 'Issuer', issuer)], [maybe(ds, 'Signature', signature)]]

export const response = shape({
  ...envelope,
  inside: [...head, [one(samlp, 'Status', status)], [many(saml, 'Assertion', assertion), many(saml, 'EncryptedAssertion', encrypted)]],
})

export const logoutResponse = shape({ ...envelope, inside: [...head, [one(samlp, 'Status', status)]] })

export const logoutRequest = shape({
  required: envelope.required,
  optional: { Destination: uri, Consent: uri, NotOnOrAfter: instant, Reason: anything },
  inside: [...head, [one(saml, 'NameID', nameId)], [many(samlp, 'SessionIndex', valued(anything))]],
})
