/**
 * The laws over what a response says, each by its name (SAML profiles §4.1.4.2 and §4.1.4.3). They stand in the order in which they
 * are asked; every one has a test that a guard without it lets an attack pass, or names what else catches that attack.
 */
import { instantOf, isFuture, isOver, isStale } from '../clock.ts'
import { shown, type Check } from '../laws.ts'
import { entityFormat, saml, success } from '../names.ts'
import { attributeOf, childOf, textOf, type XmlElement } from '../xml/tree.ts'
import { audiencesOf, issuerOf, statusOf, type Parts } from './parts.ts'

/** Asked before any signature: a provider that refuses signs no assertion, and IT wants its word. */
export const envelopeChecks: readonly Check<XmlElement>[] = [
  { reason: 'VERSION', breach: (message) => versionBreach(message) },
  {
    reason: 'STATUS',
    breach: (response) => {
      const { codes, message } = statusOf(response)
      return codes[0]?.trim() === success ? null : `${codes.map(shown).join(', ')}${message === null ? '' : `: ${shown(message)}`}`
    },
  },
]

export function versionBreach(message: XmlElement): string | null {
  const version = attributeOf(message, 'Version')
  return version === '2.0' ? null : `version ${shown(version)} of ${message.local}`
}

/** Another format of Issuer than `entity` would name something else than a provider. */
export function issuerBreach(message: XmlElement, entityId: string): string | null {
  const said = issuerOf(message)
  const element = childOf(message, saml, 'Issuer')
  const format = element && attributeOf(element, 'Format')
  if (format !== null && format.trim() !== entityFormat) return `the format ${shown(format)} of the issuer`
  return said === entityId ? null : `${shown(said)} issued the ${message.local}`
}

/** An identity that can be compared and shown: no blanks around it, nothing invisible in it, at most 1024 characters. */
export function nameIdBreach(nameId: XmlElement | null): string | null {
  const value = nameId === null ? '' : textOf(nameId)
  const sound = value !== '' && value.length <= 1024 && value === value.trim() && !/[\p{C}\p{Zl}\p{Zp}]/u.test(value)
  return sound ? null : `a NameID of ${value.length} characters`
}

const answered = (element: XmlElement | null) => element && attributeOf(element, 'InResponseTo')
const end = (element: XmlElement | null) => element && instantOf(element, 'NotOnOrAfter')
const issued = ({ response, assertion }: Parts) => [response, assertion].map((one) => instantOf(one, 'IssueInstant'))

export const statementChecks: readonly Check<Parts>[] = [
  { reason: 'VERSION', breach: ({ assertion }) => versionBreach(assertion) },
  {
    reason: 'ISSUER',
    breach: ({ response, assertion, input }) =>
      issuerBreach(assertion, input.idp.entityId) ?? (issuerOf(response) === null ? null : issuerBreach(response, input.idp.entityId)),
  },
  {
    // Bindings §3.5.5.2: a signed message names its destination.
    reason: 'DESTINATION',
    breach: ({ response, responseSigned, input }) => {
      const destination = attributeOf(response, 'Destination')
      return destination === input.acsUrl || (destination === null && !responseSigned) ? null : shown(destination)
    },
  },
  {
    reason: 'ISSUED_IN_FUTURE',
    breach: (parts) => (issued(parts).some((at) => at === null || isFuture(at, parts.input.now)) ? times(issued(parts), parts) : null),
  },
  {
    reason: 'ISSUED_LONG_AGO',
    breach: (parts) => (issued(parts).some((at) => at === null || isStale(at, parts.input.now)) ? times(issued(parts), parts) : null),
  },
  {
    reason: 'UNSOLICITED',
    breach: ({ response, input }) =>
      input.inResponseTo !== null || input.allowUnsolicited || answered(response) !== null ? null : 'no InResponseTo',
  },
  {
    reason: 'IN_RESPONSE_TO',
    breach: ({ response, input }) => (answered(response) === input.inResponseTo ? null : `it answers ${shown(answered(response))}`),
  },
  { reason: 'SUBJECT_MISSING', breach: ({ assertion }) => (childOf(assertion, saml, 'Subject') ? null : 'no Subject') },
  { reason: 'NAME_ID', breach: ({ nameId }) => nameIdBreach(nameId) },
  {
    // Several would have to be judged each by itself; no provider sends more than one.
    reason: 'CONFIRMATION_METHOD',
    breach: ({ bearers }) => (bearers.length === 1 ? null : `${bearers.length} confirmations as bearer`),
  },
  {
    reason: 'CONFIRMATION_NOT_BEFORE',
    breach: ({ confirmationData: data }) => (data && attributeOf(data, 'NotBefore') !== null ? 'NotBefore' : null),
  },
  {
    reason: 'CONFIRMATION_EXPIRED',
    breach: (parts) => overBreach(end(parts.confirmationData), parts) ?? (end(parts.confirmationData) ? null : 'no NotOnOrAfter'),
  },
  {
    reason: 'RECIPIENT',
    breach: ({ confirmationData, input }) => {
      const recipient = confirmationData && attributeOf(confirmationData, 'Recipient')
      return recipient === input.acsUrl ? null : shown(recipient)
    },
  },
  {
    // The copy of it that every provider's signature covers: the one on the response may be outside.
    reason: 'CONFIRMATION_IN_RESPONSE_TO',
    breach: ({ confirmationData, input }) =>
      answered(confirmationData) === input.inResponseTo ? null : `it answers ${shown(answered(confirmationData))}`,
  },
  { reason: 'CONDITIONS_MISSING', breach: ({ conditions }) => (conditions ? null : 'no Conditions') },
  {
    reason: 'NOT_YET_VALID',
    breach: (parts) => {
      const start = parts.conditions && instantOf(parts.conditions, 'NotBefore')
      return start && isFuture(start, parts.input.now) ? times([start], parts) : null
    },
  },
  { reason: 'EXPIRED', breach: (parts) => overBreach(end(parts.conditions), parts) },
  {
    reason: 'AUDIENCE',
    breach: ({ conditions, input }) => {
      const restrictions = conditions ? audiencesOf(conditions) : []
      const ours = restrictions.length > 0 && restrictions.every((audiences) => audiences.includes(input.audience))
      return ours ? null : restrictions.flat().slice(0, 3).map(shown).join(', ') || 'no audience'
    },
  },
  {
    reason: 'AUTHN_STATEMENT',
    breach: ({ authnStatements }) => (authnStatements.length === 1 ? null : `${authnStatements.length} statements`),
  },
  {
    reason: 'AUTHN_IN_FUTURE',
    breach: (parts) => {
      const [at] = parts.authnStatements.map((statement) => instantOf(statement, 'AuthnInstant'))
      return at && isFuture(at, parts.input.now) ? times([at], parts) : null
    },
  },
  {
    reason: 'SESSION_OVER',
    breach: (parts) => overBreach(parts.authnStatements.map((one) => instantOf(one, 'SessionNotOnOrAfter'))[0] ?? null, parts),
  },
]

function overBreach(over: Date | null, parts: Parts): string | null {
  return over !== null && isOver(over, parts.input.now) ? times([over], parts) : null
}

function times(at: readonly (Date | null)[], { input }: Parts): string {
  return `${at.map((one) => one?.toISOString() ?? 'no instant').join(' and ')}; our clock says ${input.now.toISOString()}`
}
