/** The parts of a response that its laws speak of. Reading them believes nothing. */
import { bearer, saml, samlp } from '../names.ts'
import { attributeOf, childOf, childrenOf, textOf, type XmlElement } from '../xml/tree.ts'
import type { ResponseInput } from '../verdict.ts'

export interface Parts {
  readonly input: ResponseInput
  readonly response: XmlElement
  /** Whether a verified signature covers the whole response. */
  readonly responseSigned: boolean
  readonly assertion: XmlElement
  readonly nameId: XmlElement | null
  /** SubjectConfirmation of the method bearer. */
  readonly bearers: readonly XmlElement[]
  readonly confirmationData: XmlElement | null
  readonly conditions: XmlElement | null
  readonly authnStatements: readonly XmlElement[]
}

export function partsOf(input: ResponseInput, response: XmlElement, responseSigned: boolean, assertion: XmlElement): Parts {
  const subject = childOf(assertion, saml, 'Subject')
  const confirmations = subject ? childrenOf(subject, saml, 'SubjectConfirmation') : []
  const bearers = confirmations.filter((one) => attributeOf(one, 'Method')?.trim() === bearer)
  const [first] = bearers.length > 0 ? bearers : confirmations
  return {
    input,
    response,
    responseSigned,
    assertion,
    nameId: subject && childOf(subject, saml, 'NameID'),
    bearers,
    confirmationData: first ? childOf(first, saml, 'SubjectConfirmationData') : null,
    conditions: childOf(assertion, saml, 'Conditions'),
    authnStatements: childrenOf(assertion, saml, 'AuthnStatement'),
  }
}

/** Text of the Issuer, or null. */
export function issuerOf(element: XmlElement): string | null {
  const issuer = childOf(element, saml, 'Issuer')
  return issuer && textOf(issuer)
}

/** Status codes from the outer to the inner one, with the message the provider gave. */
export function statusOf(response: XmlElement): { codes: string[]; message: string | null } {
  const status = childOf(response, samlp, 'Status')
  const codes: string[] = []
  for (let code = status && childOf(status, samlp, 'StatusCode'); code; code = childOf(code, samlp, 'StatusCode')) {
    codes.push(attributeOf(code, 'Value') ?? '')
  }
  const message = status && childOf(status, samlp, 'StatusMessage')
  return { codes, message: message && textOf(message) }
}

/** The audiences of each restriction: one of each must be ours (SAML core §2.5.1.4). */
export function audiencesOf(conditions: XmlElement): string[][] {
  return childrenOf(conditions, saml, 'AudienceRestriction').map((restriction) =>
    childrenOf(restriction, saml, 'Audience').map((audience) => textOf(audience).trim()),
  )
}
