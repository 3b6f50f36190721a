/**
 * Signing in: a request goes out bound to one browser, a verified answer waits for that browser, and only then there is a session. A
 * refusal is recorded with its exact reason; the person is told its id and nothing else.
 */
import { notFound } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { ServiceOf } from '../../../platform/contract.ts'
import { isUniqueViolation } from '../../../platform/db/errors.ts'
import { candidateOf, reasonOfFault } from './admission.ts'
import { createConclusion, mayReceive, type Purpose, type Refusal } from './conclusion.ts'
import { setupLinkDead, type signOnMethods } from './contract.ts'
import { skewMs } from './guard/clock.ts'
import { authnRequest, ownMetadata } from './messages.ts'
import { addressesOf, bindingName, cookieOf, hashOf, idOfMessage, messageId, newSecret, packAssertion, readTestLink, ssoOf, unpackAssertion, verifiersOf, type Parts } from './parts.ts'
import { inAuthCommand, type Connection } from './repo.ts'
import type { SamlRequest } from './repo-traffic.ts'
import { connectionsFor, ownPath } from './rules.ts'
import type { Standing } from './standing.ts'

type Methods = ServiceOf<typeof signOnMethods>

/** Requests that an assertion may answer. */
const purposes: ReadonlySet<string> = new Set<Purpose>(['LOGIN', 'TEST', 'STEP_UP'])

/** How long a person may take at the identity provider, and an outcome waits for its browser. */
const requestMs = 15 * 60_000
const outcomeMs = 2 * 60_000
/** Replay is remembered past the end of the assertion by the skew. */
const replayMs = 2 * skewMs

const place = (rowId: string) => ({ model: 'SamlOutcome', field: 'assertion', rowId })

export function createSignOnService(parts: Parts, standing: Standing): Pick<Methods, 'metadata' | 'addresses' | 'begin' | 'receive' | 'finish'> {
  const { repo, traffic, keys, guard, vault, clock, config } = parts
  const { noteRefusal, conclude } = createConclusion(parts, standing)
  const now = () => new Date(clock.nowMs())

  const refuse = (scope: Scope, refusal: Refusal) => inAuthCommand(scope, (inside) => noteRefusal(inside, refusal))

  const send = async (scope: Scope, connection: Connection, ask: { purpose: Purpose; plane: string | null; returnTo: string; forceAuthn: boolean }) => {
    const sso = ssoOf(connection)
    if (sso === null || connection.entityId === null) throw notFound()
    const id = newId()
    const binding = newSecret('browser')
    const addresses = await addressesOf(parts, scope)
    const own = await keys.current(scope)
    const sessionId = ask.purpose === 'STEP_UP' && scope.actor.kind === 'member' ? scope.actor.sessionId : null
    const at = now()
    await inAuthCommand(scope, async (inside) => {
      const { purpose, plane, returnTo } = ask
      const expiresAt = new Date(at.getTime() + requestMs)
      const row = { id, connectionId: connection.id, purpose, plane, returnTo, sessionId, browserHash: binding.hash, createdAt: at, expiresAt }
      await traffic.addRequest(inside, row)
      inside.unit.record({ action: 'saml.requested', resource: 'SsoConnection', resourceId: connection.id, outcome: 'done', detail: { purpose } })
    })
    const to = authnRequest({
      id: messageId(id),
      addresses,
      keys: own,
      idp: { entityId: connection.entityId, sso },
      forceAuthn: ask.forceAuthn || ask.purpose === 'STEP_UP',
      relayState: ask.returnTo === '/' ? null : ask.returnTo,
    })
    const setCookie = cookieOf(bindingName(id), binding.value, { slug: addresses.slug, maxAgeSeconds: requestMs / 1_000, config })
    return { kind: 'SENT', to, setCookie } as const
  }

  /** The connection and request that an answer belongs to, by what it says of itself: nothing of it is believed yet. */
  const addressee = async (scope: Scope, samlResponse: string): Promise<{ connection: Connection; request: SamlRequest | null } | Refusal> => {
    const peeked = guard.peekResponse(samlResponse)
    if (!peeked.ok) return { connectionId: null, purpose: 'LOGIN', reason: peeked.reason, detail: peeked.detail }
    if (peeked.inResponseTo !== null) {
      const id = idOfMessage(peeked.inResponseTo)
      const request = id === null ? null : await traffic.findRequest(scope, id)
      const connection = request && (await repo.find(scope, request.connectionId))
      if (!request || !connection || !purposes.has(request.purpose)) return { connectionId: null, purpose: 'LOGIN', reason: 'UNKNOWN_REQUEST' }
      return { connection, request }
    }
    const connection = peeked.issuer === null ? null : await repo.findByEntity(scope, peeked.issuer)
    if (!connection) return { connectionId: null, purpose: 'LOGIN', reason: 'UNKNOWN_PROVIDER', detail: (peeked.issuer ?? '').slice(0, 200) }
    return { connection, request: null }
  }

  /** The connection that this caller may test. What a test proves is whose it is, so not everybody's will do. */
  const tested = async (scope: Scope, connectionId: string | undefined, { setup, link }: { setup?: string | undefined; link?: string | undefined }) => {
    if (link !== undefined) {
      const by = readTestLink(link)
      const used = by && (await inAuthCommand(scope, async (inside) => {
        const found = await traffic.useTestLink(inside, { ...by, now: now() })
        inside.unit.record({ action: 'saml.test_link_used', resource: 'SsoConnection', resourceId: found, outcome: found === null ? 'denied' : 'done' })
        return found
      }))
      if (!used) throw setupLinkDead()
      return used
    }
    const opened = setup === undefined ? null : await traffic.setupOf(scope, hashOf('setup-browser', setup), now())
    if (connectionId === undefined || (opened?.connectionId !== connectionId && !scope.permissions.has('sso:manage'))) throw setupLinkDead()
    return connectionId
  }

  return {
    async metadata(scope) {
      return { xml: ownMetadata(await addressesOf(parts, scope), await keys.current(scope)) }
    },

    addresses: (scope) => addressesOf(parts, scope),

    async begin(scope, { connectionId, email, plane, returnTo, stepUp, test, forceAuthn }) {
      const ask = { plane: plane ?? null, returnTo: ownPath(returnTo), forceAuthn }
      if (stepUp) {
        const session = scope.actor.kind === 'member' ? await traffic.findSession(scope, scope.actor.sessionId) : null
        const connection = session && (await repo.find(scope, session.connectionId))
        if (!connection || !mayReceive(connection, 'STEP_UP')) throw notFound()
        return send(scope, connection, { ...ask, purpose: 'STEP_UP' })
      }
      const named = test === undefined ? connectionId : await tested(scope, connectionId, test)
      if (named !== undefined) {
        const connection = await repo.find(scope, named)
        const purpose = test === undefined ? 'LOGIN' : 'TEST'
        if (!connection || !mayReceive(connection, purpose)) throw notFound()
        return send(scope, connection, { ...ask, purpose })
      }
      const usable = (await repo.all(scope)).filter((one) => mayReceive(one, 'LOGIN'))
      const wanted = connectionsFor(usable.map((one) => ({ ...candidateOf(one), connection: one })), email?.trim().toLowerCase() ?? null)
      const [only, ...others] = wanted
      if (only && others.length === 0) return send(scope, only.connection, { ...ask, purpose: 'LOGIN' })
      return { kind: 'ASK', connections: wanted.map(({ connection: { id, name } }) => ({ id, name })) }
    },

    async receive(scope, { samlResponse, relayState }) {
      const found = await addressee(scope, samlResponse)
      if ('reason' in found) return refuse(scope, found)
      const { connection, request } = found
      const purpose = (request?.purpose ?? 'LOGIN') as Purpose
      const base = { connectionId: connection.id, purpose, requestId: request?.id ?? null }
      if (!mayReceive(connection, purpose)) return refuse(scope, { ...base, reason: 'UNKNOWN_PROVIDER' })
      const addresses = await addressesOf(parts, scope)
      const at = now()
      const verdict = guard.verifyResponse({
        samlResponse,
        now: at,
        acsUrl: addresses.acsUrl,
        audience: addresses.entityId,
        idp: verifiersOf(connection),
        inResponseTo: request === null ? null : messageId(request.id),
        allowUnsolicited: connection.allowUnsolicited,
        decryptionKeys: (await keys.current(scope)).decryption,
      })
      if (!verdict.ok) return refuse(scope, { ...base, reason: verdict.reason, detail: verdict.detail })

      const { assertion } = verdict
      const id = newId()
      const ticket = newSecret('ticket')
      // Nothing was asked, so nothing is bound yet: the outcome waits for the browser that brought the answer.
      const binding = request === null ? newSecret('browser') : null
      const { sealed } = await vault.sealSecrets(scope, { items: [{ ...place(id), value: packAssertion(assertion) }] })
      return inAuthCommand(scope, async (inside) => {
        if (request !== null && !(await traffic.answerRequest(inside, request.id, at))) return noteRefusal(inside, { ...base, reason: 'UNKNOWN_REQUEST' })
        const notOnOrAfter = new Date(assertion.notOnOrAfter.getTime() + replayMs)
        const isFirst = await traffic.takeAssertion(inside, { connectionId: connection.id, assertionId: assertion.id.slice(0, 500), notOnOrAfter })
        if (!isFirst) return noteRefusal(inside, { ...base, reason: 'REPLAYED' })
        await standing.verifiedBy(inside, connection, assertion.certificateFingerprint)
        await traffic.addOutcome(inside, {
          id,
          connectionId: connection.id,
          requestId: request?.id ?? null,
          returnTo: request?.returnTo ?? ownPath(relayState),
          ticketHash: ticket.hash,
          browserHash: binding?.hash ?? request!.browserHash,
          assertion: sealed[0]!,
          createdAt: at,
          expiresAt: new Date(at.getTime() + outcomeMs),
        })
        const detail = { purpose, unsolicited: request === null }
        inside.unit.record({ action: 'saml.received', resource: 'SsoConnection', resourceId: connection.id, outcome: 'done', detail })
        const key = request?.id ?? id
        const options = { slug: addresses.slug, maxAgeSeconds: outcomeMs / 1_000, config }
        return {
          kind: 'TAKEN',
          ticket: `${key.replaceAll('-', '').slice(-12)}.${ticket.value}`,
          setCookie: binding === null ? null : cookieOf(bindingName(key), binding.value, options),
        } as const
      })
    },

    async finish(scope, { ticket, browser }) {
      const by = { ticketHash: hashOf('ticket', ticket.slice(ticket.indexOf('.') + 1)), browserHash: hashOf('browser', browser ?? '') }
      const once = () =>
        inAuthCommand(scope, async (inside) => {
          const outcome = await traffic.takeOutcome(inside, { ...by, now: now() })
          if (!outcome) return noteRefusal(inside, { connectionId: null, purpose: 'LOGIN', reason: 'OTHER_BROWSER' })
          const { values } = await vault.openSecrets(inside, { items: [{ ...place(outcome.id), sealed: outcome.assertion }] })
          return conclude(inside, outcome, unpackAssertion(values[0]!))
        })
      // Two tabs of one newcomer: whoever comes second finds the member that the first has made.
      return once()
        .catch((error: unknown) => (isUniqueViolation(error) || reasonOfFault(error) === 'NOT_LINKED' ? once() : Promise.reject(error)))
        .catch((error: unknown) => {
          const reason = reasonOfFault(error)
          if (reason === null) throw error
          return inAuthCommand(scope, async (inside) => {
            const outcome = await traffic.takeOutcome(inside, { ...by, now: now() })
            return noteRefusal(inside, { connectionId: outcome?.connectionId ?? null, purpose: 'LOGIN', reason, requestId: outcome?.requestId ?? null })
          })
        })
    },
  }
}
