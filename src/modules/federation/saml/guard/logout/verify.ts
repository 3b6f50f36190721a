/** Logout messages: always signed, inside the message by POST, over the query by redirect. */
import { takeCensus } from '../census.ts'
import { instantOf, isFuture, isOver, isStale } from '../clock.ts'
import { asRefused, Refusal, shown, type Check, type Laws } from '../laws.ts'
import { ds, saml, samlp, success } from '../names.ts'
import { issuerBreach, nameIdBreach, versionBreach } from '../response/checks.ts'
import { statusOf } from '../response/parts.ts'
import { readNameId } from '../response/read.ts'
import { parseMessage, parsePosted } from '../response/verify.ts'
import { logoutRequest, logoutResponse } from '../shape/message-shapes.ts'
import { demandShape } from '../shape/shape.ts'
import { signingKeysOf } from '../signature/certificates.ts'
import { verifyEnveloped } from '../signature/enveloped.ts'
import type { LogoutInput, LogoutRequestVerdict, LogoutResponseInput, LogoutResponseVerdict } from '../verdict.ts'
import { attributeOf, childOf, childrenOf, textOf, type XmlElement } from '../xml/tree.ts'
import { verifyRedirect } from './redirect.ts'

const mostRelayState = 1024

interface Logout<Input extends LogoutInput = LogoutInput> {
  readonly input: Input
  readonly message: XmlElement
}

const checks: readonly Check<Logout>[] = [
  { reason: 'VERSION', breach: ({ message }) => versionBreach(message) },
  { reason: 'ISSUER', breach: ({ message, input }) => issuerBreach(message, input.idp.entityId) },
  {
    // Both are signed, and a signed message names its destination (bindings §3.4.5.2, §3.5.5.2).
    reason: 'DESTINATION',
    breach: ({ message, input }) => {
      const destination = attributeOf(message, 'Destination')
      return destination === input.destination ? null : shown(destination)
    },
  },
  {
    reason: 'ISSUED_IN_FUTURE',
    breach: ({ message, input }) => {
      const at = instantOf(message, 'IssueInstant')
      return at && !isFuture(at, input.now) ? null : shown(attributeOf(message, 'IssueInstant'))
    },
  },
  {
    reason: 'ISSUED_LONG_AGO',
    breach: ({ message, input }) => {
      const at = instantOf(message, 'IssueInstant')
      return at && !isStale(at, input.now) ? null : shown(attributeOf(message, 'IssueInstant'))
    },
  },
]

const requestChecks: readonly Check<Logout>[] = [
  ...checks,
  {
    reason: 'EXPIRED',
    breach: ({ message, input }) => {
      const end = instantOf(message, 'NotOnOrAfter')
      return end && isOver(end, input.now) ? shown(attributeOf(message, 'NotOnOrAfter')) : null
    },
  },
  { reason: 'NAME_ID', breach: ({ message }) => nameIdBreach(childOf(message, saml, 'NameID')) },
]

const responseChecks: readonly Check<Logout<LogoutResponseInput>>[] = [
  ...checks,
  {
    reason: 'IN_RESPONSE_TO',
    breach: ({ message, input }) => {
      const answered = attributeOf(message, 'InResponseTo')
      return answered === input.inResponseTo ? null : `it answers ${shown(answered)}`
    },
  },
]

interface Verified {
  readonly message: XmlElement
  readonly relayState: string | null
  readonly certificateFingerprint: string
}

function verified({ received, idp }: LogoutInput, local: 'LogoutRequest' | 'LogoutResponse', laws: Laws): Verified {
  const is = local === 'LogoutRequest' ? logoutRequest : logoutResponse
  if (received.binding === 'redirect') {
    const parameter = local === 'LogoutRequest' ? 'SAMLRequest' : 'SAMLResponse'
    const { bytes, relayState, certificateFingerprint } = verifyRedirect(received.query, parameter, idp.certificates, laws)
    const message = parseMessage(bytes, local, laws)
    takeCensus(message, new Set(), laws)
    demandShape(message, is, laws)
    // §3.4.4.1: a message by redirect carries no signature inside.
    laws.demand(childOf(message, ds, 'Signature') === null, 'SIGNATURE_MISPLACED', () => 'Signature in a redirected message')
    return { message, relayState, certificateFingerprint }
  }
  const message = parsePosted(received.message, local, laws)
  takeCensus(message, new Set(), laws)
  demandShape(message, is, laws)
  const signature = childOf(message, ds, 'Signature')
  if (signature === null) throw new Refusal('SIGNATURE_MISSING', `no signature on the ${local}`)
  const covered = verifyEnveloped(message, signature, signingKeysOf(idp.certificates), laws)
  return { message: covered.element, relayState: received.relayState, certificateFingerprint: covered.certificateFingerprint }
}

const bounded = (relayState: string | null) => relayState && relayState.slice(0, mostRelayState)

/** A request of the provider to end sessions. Never throws for what is in the message. */
export function verifyLogoutRequest(input: LogoutInput, laws: Laws): LogoutRequestVerdict {
  try {
    const { message, relayState, certificateFingerprint } = verified(input, 'LogoutRequest', laws)
    laws.hold(requestChecks, { message, input })
    const request = {
      id: attributeOf(message, 'ID') ?? '',
      issuer: input.idp.entityId,
      ...readNameId(childOf(message, saml, 'NameID')!),
      sessionIndexes: childrenOf(message, samlp, 'SessionIndex').map(textOf),
      notOnOrAfter: instantOf(message, 'NotOnOrAfter'),
      relayState: bounded(relayState),
      certificateFingerprint,
    }
    return { ok: true, request }
  } catch (error) {
    return asRefused(error)
  }
}

/** The provider's answer to our own request. Never throws for what is in the message. */
export function verifyLogoutResponse(input: LogoutResponseInput, laws: Laws): LogoutResponseVerdict {
  try {
    const { message, relayState, certificateFingerprint } = verified(input, 'LogoutResponse', laws)
    laws.hold(responseChecks, { message, input })
    const status = statusOf(message).codes[0]?.trim() ?? ''
    const response = {
      id: attributeOf(message, 'ID') ?? '',
      issuer: input.idp.entityId,
      inResponseTo: input.inResponseTo,
      status,
      success: status === success,
      relayState: bounded(relayState),
      certificateFingerprint,
    }
    return { ok: true, response }
  } catch (error) {
    return asRefused(error)
  }
}
