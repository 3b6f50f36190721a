/** Reads the identity, from what a signature covers and from nothing else: the type of its argument cannot be made elsewhere. */
import { instantOf } from '../clock.ts'
import { Refusal } from '../laws.ts'
import { saml, unspecifiedFormat } from '../names.ts'
import type { Covered } from '../signature/enveloped.ts'
import type { ResponseInput, VerifiedAssertion } from '../verdict.ts'
import { attributeOf, childOf, childrenOf, textOf, type XmlElement } from '../xml/tree.ts'
import { issuerOf, partsOf } from './parts.ts'

/** @param response only completes the parts; nothing that is answered comes from it. */
export function readAssertion(covered: Covered, response: XmlElement, input: ResponseInput): VerifiedAssertion {
  const { element: assertion, certificateFingerprint } = covered
  const { nameId, confirmationData, conditions, authnStatements } = partsOf(input, response, false, assertion)
  const [statement] = authnStatements
  const authnInstant = statement && instantOf(statement, 'AuthnInstant')
  const ends = [confirmationData, conditions].flatMap((part) => (part && instantOf(part, 'NotOnOrAfter')) ?? [])
  // The laws have asked all of this; without it there is nothing to answer, whatever laws a guard has.
  if (nameId === null) throw new Refusal('NAME_ID', 'no NameID')
  if (!statement || !authnInstant) throw new Refusal('AUTHN_STATEMENT', 'no statement')
  if (ends.length === 0) throw new Refusal('CONFIRMATION_EXPIRED', 'no end')
  const context = childOf(statement, saml, 'AuthnContext')
  const classRef = context && childOf(context, saml, 'AuthnContextClassRef')
  return {
    id: attributeOf(assertion, 'ID') ?? '',
    issuer: issuerOf(assertion) ?? '',
    ...readNameId(nameId),
    sessionIndex: attributeOf(statement, 'SessionIndex'),
    authnInstant,
    authnContextClassRef: classRef && textOf(classRef).trim(),
    sessionNotOnOrAfter: instantOf(statement, 'SessionNotOnOrAfter'),
    notOnOrAfter: new Date(Math.min(...ends.map((end) => end.getTime()))),
    inResponseTo: confirmationData && attributeOf(confirmationData, 'InResponseTo'),
    attributes: readAttributes(assertion),
    certificateFingerprint,
  }
}

export function readNameId(nameId: XmlElement): Pick<VerifiedAssertion, 'nameId' | 'nameIdFormat' | 'nameQualifier' | 'spNameQualifier'> {
  return {
    nameId: textOf(nameId),
    nameIdFormat: attributeOf(nameId, 'Format')?.trim() ?? unspecifiedFormat,
    nameQualifier: attributeOf(nameId, 'NameQualifier'),
    spNameQualifier: attributeOf(nameId, 'SPNameQualifier'),
  }
}

/** Attributes of one name are one: some providers write each group as an attribute of its own. */
function readAttributes(assertion: XmlElement): ReadonlyMap<string, readonly string[]> {
  const attributes = new Map<string, string[]>()
  for (const statement of childrenOf(assertion, saml, 'AttributeStatement')) {
    for (const attribute of childrenOf(statement, saml, 'Attribute')) {
      const name = attributeOf(attribute, 'Name') ?? ''
      const values = attributes.get(name) ?? []
      attributes.set(name, values)
      for (const value of childrenOf(attribute, saml, 'AttributeValue')) {
        const nameId = childOf(value, saml, 'NameID')
        values.push(textOf(nameId ?? value))
      }
    }
  }
  return attributes
}
