/**
 * Signing out, both ways. Ours ends the session here first and tells the identity provider then; theirs ends every session of the subject
 * they name, and only for a message that the guard has verified.
 */
import { unauthenticated } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { ServiceOf } from '../../../platform/contract.ts'
import { recoveryRefused, type signOnMethods } from './contract.ts'
import type { AttemptReason } from './reasons.ts'
import type { Connections } from './connections.ts'
import type { LogoutMessage } from './guard/verdict.ts'
import { logoutRequest, logoutResponse } from './messages.ts'
import { addressesOf, hashOf, idOfMessage, messageId, sloOf, verifiersOf, type Parts } from './parts.ts'
import { inAuthCommand, type Connection } from './repo.ts'
import { signingStates } from './rules.ts'

type Methods = ServiceOf<typeof signOnMethods>
const requestMs = 15 * 60_000

export function createLogoutService(parts: Parts, connections: Connections): Pick<Methods, 'signOut' | 'receiveLogout' | 'nameId' | 'recover'> {
  const { repo, traffic, keys, guard, identity, clock } = parts
  const now = () => new Date(clock.nowMs())

  const refuse = (scope: Scope, connectionId: string | null, reason: AttemptReason, detail: string) =>
    inAuthCommand(scope, async (inside) => {
      const { id } = await traffic.addAttempt(inside, { id: newId(), connectionId, purpose: 'LOGOUT', result: 'REFUSED', reason, detail })
      inside.unit.record({ action: 'saml.logout_refused', resource: 'SamlAttempt', resourceId: id, outcome: 'denied', detail: { connectionId, reason } })
      return { kind: 'REFUSED', attemptId: id, purpose: 'LOGOUT' } as const
    })

  /** Ends sessions here and says how many were live. */
  const end = async (inside: Scope, connectionId: string, sessionIds: readonly string[], reason: string): Promise<number> => {
    const ended = await identity.endSignOn(inside, { sessionIds: [...sessionIds], reason })
    await traffic.endSessions(inside, sessionIds, now())
    inside.unit.record({ action: 'saml.logged_out', resource: 'SsoConnection', resourceId: connectionId, outcome: 'done', detail: { ended: ended.length, reason } })
    return ended.length
  }

  /** Which connection a message is of: at most a hundred are tried, each with its own certificates; nothing in the message decides. */
  const verified = async <Verdict extends { readonly ok: boolean }>(
    scope: Scope,
    verify: (connection: Connection) => Verdict,
  ): Promise<{ connection: Connection; verdict: Verdict & { readonly ok: true } } | { verdict: (Verdict & { readonly ok: false }) | null; connection: Connection | null }> => {
    let last: { connection: Connection; verdict: Verdict } | null = null
    for (const connection of await repo.all(scope)) {
      if (!signingStates.includes(connection.state)) continue
      const verdict = verify(connection)
      if (verdict.ok) return { connection, verdict: verdict as Verdict & { readonly ok: true } }
      const { reason } = verdict as unknown as { reason: string }
      if (last === null || reason !== 'ISSUER') last = { connection, verdict }
    }
    return { connection: last?.connection ?? null, verdict: (last?.verdict ?? null) as (Verdict & { readonly ok: false }) | null }
  }

  return {
    async signOut(scope, { plane }) {
      const { actor } = scope
      if (actor.kind !== 'member') throw unauthenticated()
      const { sessionId } = actor
      const session = await traffic.findSession(scope, sessionId)
      const connection = session && (await repo.find(scope, session.connectionId))
      const { forgetCookie } = await identity.signOut(scope, { plane })
      const slo = connection && sloOf(connection, false)
      if (!session || !connection?.entityId || !slo) return { to: null, forgetCookie }
      const id = newId()
      const at = now()
      const addresses = await addressesOf(parts, scope)
      const own = await keys.current(scope)
      await inAuthCommand(scope, async (inside) => {
        await traffic.endSessions(inside, [sessionId], at)
        const expiresAt = new Date(at.getTime() + requestMs)
        // Its answer ends nothing, so it is bound to no browser.
        const browserHash = hashOf('browser', id)
        await traffic.addRequest(inside, { id, connectionId: connection.id, purpose: 'LOGOUT', sessionId, browserHash, createdAt: at, expiresAt })
        inside.unit.record({ action: 'saml.logout_sent', resource: 'SsoConnection', resourceId: connection.id, outcome: 'done' })
      })
      const idp = { entityId: connection.entityId, slo }
      return { to: logoutRequest({ id: messageId(id), addresses, keys: own, idp, subject: session }), forgetCookie }
    },

    async receiveLogout(scope, { received }) {
      const addresses = await addressesOf(parts, scope)
      const at = now()
      const common = { received: messageOf(received), now: at, destination: addresses.logoutUrl }
      if (received.field === 'SAMLResponse') {
        const awaited = await openLogout(scope, received)
        const connection = awaited && (await repo.find(scope, awaited.connectionId))
        if (!awaited || !connection?.entityId) return refuse(scope, null, 'UNKNOWN_REQUEST', '')
        const verdict = guard.verifyLogoutResponse({ ...common, idp: verifiersOf(connection), inResponseTo: messageId(awaited.id) })
        if (!verdict.ok) return refuse(scope, connection.id, verdict.reason, verdict.detail)
        return inAuthCommand(scope, async (inside) => {
          await traffic.answerRequest(inside, awaited.id, at)
          const detail = { success: verdict.response.success }
          inside.unit.record({ action: 'saml.logout_answered', resource: 'SsoConnection', resourceId: connection.id, outcome: 'done', detail })
          return { kind: 'DONE' } as const
        })
      }
      const found = await verified(scope, (connection) => guard.verifyLogoutRequest({ ...common, idp: verifiersOf(connection) }))
      const { connection, verdict } = found
      if (connection === null || verdict === null) return refuse(scope, null, 'UNKNOWN_PROVIDER', '')
      if (!verdict.ok) return refuse(scope, verdict.reason === 'ISSUER' ? null : connection.id, verdict.reason, verdict.detail)
      const { request } = verdict
      const ended = await inAuthCommand(scope, async (inside) => {
        const sessions = await traffic.sessionsOf(inside, { connectionId: connection.id, nameId: request.nameId, sessionIndexes: request.sessionIndexes })
        return end(inside, connection.id, sessions.map(({ sessionId }) => sessionId), 'IDP_LOGOUT')
      })
      const slo = sloOf(connection, true)
      if (slo === null || connection.entityId === null) return { kind: 'ANSWER', to: null, ended }
      const own = await keys.current(scope)
      const idp = { entityId: connection.entityId, slo }
      const to = logoutResponse({ id: messageId(newId()), inResponseTo: request.id, addresses, keys: own, idp, relayState: request.relayState })
      return { kind: 'ANSWER', to, ended }
    },

    async nameId(scope) {
      const { actor } = scope
      if (actor.kind !== 'member' || actor.via !== 'saml') return { nameId: null }
      return { nameId: (await traffic.findSession(scope, actor.sessionId))?.nameId ?? null }
    },

    async recover(scope, { code }) {
      const isRight = await inAuthCommand(scope, async (inside) => {
        const connectionId = await traffic.useRecovery(inside, hashOf('recovery', code.trim()), now())
        const outcome = connectionId === null ? 'denied' : 'done'
        inside.unit.record({ action: 'saml.recovery_used', resource: 'SsoConnection', resourceId: connectionId, outcome })
        if (connectionId !== null) await connections.relax(inside, connectionId)
        return connectionId !== null
      })
      // A guess of 144 bits: nothing to count.
      if (!isRight) throw recoveryRefused()
      return {}
    },
  }

  /** The open logout request that an answer's RelayState names: a hint, the guard verifies that it answers this one. */
  async function openLogout(scope: Scope, received: Received) {
    const relayState = received.binding === 'post' ? received.relayState : new URLSearchParams(received.query).get('RelayState')
    const id = idOfMessage(relayState)
    const request = id === null ? null : await traffic.findRequest(scope, id)
    return request?.purpose === 'LOGOUT' && request.answeredAt === null && request.expiresAt > now() ? request : null
  }
}

type Received = Parameters<Methods['receiveLogout']>[1]['received']

function messageOf(received: Received): LogoutMessage {
  if (received.binding === 'redirect') return { binding: 'redirect', query: received.query }
  return { binding: 'post', message: received.message, relayState: received.relayState }
}

