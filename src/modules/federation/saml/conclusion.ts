/** What comes of a verified answer in the hands of the browser that asked: a session, a finished test, a step-up; or a refusal with its reason. */
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { admit, foresee, linkOf, shownOf, subjectOf, type Subject } from './admission.ts'
import { skewMs } from './guard/clock.ts'
import type { VerifiedAssertion } from './guard/verdict.ts'
import { addressesOf, bindingName, cookieOf, type Parts } from './parts.ts'
import type { AttemptReason } from './reasons.ts'
import type { Connection } from './repo.ts'
import type { SamlOutcome } from './repo-traffic.ts'
import { signingStates } from './rules.ts'
import type { Standing } from './standing.ts'

export type Purpose = 'LOGIN' | 'TEST' | 'STEP_UP'

export interface Refusal {
  readonly connectionId: string | null
  readonly purpose: Purpose
  readonly reason: AttemptReason
  readonly detail?: string
  readonly requestId?: string | null
  readonly shown?: ReturnType<typeof shownOf>
}

/** Tests run before a connection signs anybody in. */
export const mayReceive = (connection: Connection, purpose: Purpose): boolean =>
  connection.entityId !== null && (purpose === 'TEST' ? connection.state !== 'DRAFT' && connection.state !== 'DISABLED' : signingStates.includes(connection.state))

export function createConclusion(parts: Parts, standing: Standing) {
  const { repo, traffic, identity, clock, config } = parts
  const now = () => new Date(clock.nowMs())

  /** Inside a command: what IT finds by the id that the person is told. */
  const noteRefusal = async (inside: Scope, refusal: Refusal) => {
    const { detail = null, requestId = null, shown, ...rest } = refusal
    const { id } = await traffic.addAttempt(inside, { id: newId(), ...rest, result: 'REFUSED', detail, requestId, ...(shown ? { shown } : {}) })
    const { connectionId, reason, purpose } = refusal
    inside.unit.record({ action: 'saml.refused', resource: 'SamlAttempt', resourceId: id, outcome: 'denied', detail: { connectionId, reason, purpose } })
    return { kind: 'REFUSED', attemptId: id, purpose } as const
  }
  /** Inside a command: what comes of a right answer in the hands of the right browser. */
  const conclude = async (inside: Scope, outcome: SamlOutcome, assertion: VerifiedAssertion) => {
    const request = outcome.requestId === null ? null : await traffic.findRequest(inside, outcome.requestId)
    const purpose = (request?.purpose ?? 'LOGIN') as Purpose
    const connection = await repo.find(inside, outcome.connectionId)
    const { requestId, connectionId } = outcome
    const refused = (reason: AttemptReason, subject: Subject | null) =>
      noteRefusal(inside, { connectionId, purpose, reason, requestId, shown: shownOf(assertion, subject) })
    // Switched off, or of another provider, while the answer waited for its browser.
    if (!connection || !mayReceive(connection, purpose) || connection.entityId !== assertion.issuer) return refused('UNKNOWN_PROVIDER', null)
    const subject = subjectOf(connection, assertion)
    if ('reason' in subject) return refused(subject.reason, null)
    const shown = shownOf(assertion, subject)
    const note = async (result: 'SIGNED_IN' | 'TESTED' | 'STEPPED_UP', who: { role: string | null; membershipId: string | null; reason?: AttemptReason | null }) => {
      const { id } = await traffic.addAttempt(inside, { id: newId(), connectionId, purpose, result, requestId, shown, ...who })
      const detail = { connectionId, role: who.role, ...(who.reason ? { reason: who.reason } : {}) }
      inside.unit.record({ action: `saml.${result.toLowerCase()}`, resource: 'SamlAttempt', resourceId: id, outcome: 'done', detail })
      return id
    }

    const others = purpose === 'STEP_UP' ? [] : await repo.all(inside)
    const arrival = { connection, others, subject, plane: request?.plane ?? null, identity }
    if (purpose === 'TEST') {
      // The message is right, and that is what is tested; whether this person would come in is said beside it.
      const attemptId = await note('TESTED', { ...(await foresee(inside, arrival)), membershipId: null })
      await standing.passed(inside, connection)
      return { kind: 'TESTED', attemptId } as const
    }
    const forget = request === null ? [] : [await forgetBinding(inside, request.id)]
    if (purpose === 'STEP_UP') {
      const session = request?.sessionId ? await traffic.findSession(inside, request.sessionId) : null
      const link = await linkOf(inside, arrival)
      const isSame = session?.connectionId === connectionId && session.membershipId === link?.membershipId && session.endedAt === null
      // Anew means after we asked: an older authentication is what ForceAuthn refuses.
      const isFresh = request !== null && assertion.authnInstant.getTime() >= request.createdAt.getTime() - skewMs
      if (!session || !isSame || !isFresh) return refused('OTHER_PERSON', subject)
      await identity.noteStepUp(inside, { sessionId: session.sessionId, at: now() })
      await note('STEPPED_UP', { role: session.role, membershipId: session.membershipId })
      return { kind: 'STEPPED_UP' as const, setCookies: forget, returnTo: outcome.returnTo }
    }

    const admitted = await admit(inside, arrival)
    if ('reason' in admitted) return refused(admitted.reason, subject)
    const { membershipId } = admitted
    const opened = await identity.openSignOn(inside, { membershipId, endsAt: assertion.sessionNotOnOrAfter })
    if (!opened) return refused('MEMBER_INACTIVE', subject)
    const { nameId, nameIdFormat, sessionIndex } = assertion
    const { sessionId, role } = opened
    await traffic.addSession(inside, { sessionId, connectionId, membershipId, role, nameId, nameIdFormat, sessionIndex, createdAt: now() })
    await note('SIGNED_IN', { role, membershipId })
    return { kind: 'SIGNED_IN' as const, setCookies: [opened.setCookie, ...forget], returnTo: outcome.returnTo }
  }

  const forgetBinding = async (scope: Scope, id: string): Promise<string> => {
    const { slug } = await addressesOf(parts, scope)
    return cookieOf(bindingName(id), '', { slug, maxAgeSeconds: 0, config })
  }

  return { noteRefusal, conclude }
}
