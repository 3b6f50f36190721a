/** Sessions of people whom another sign-in page has proven. Refuses planes that single sign-on never reaches. */
import type { ServiceOf } from '../../platform/contract.ts'
import { checked } from '../../platform/contract.ts'
import { signOnMethods, type SignOn } from './contract-sign-on.ts'
import { recordRevoked } from './parts.ts'
import type { AdministrationParts } from './service-administration.ts'
import { createOperatorGuard } from './service-operator.ts'
import { createSessionOpener } from './session-opener.ts'

export function createSignOn(parts: AdministrationParts): SignOn {
  const { signOn: repo, sessions, clock } = parts
  const onlyOperator = createOperatorGuard({ repo: parts.members, tenancy: parts.tenancy, isDemo: parts.config.demo })
  const opener = createSessionOpener(parts)
  const now = () => new Date(clock.nowMs())

  const service: ServiceOf<typeof signOnMethods> = {
    async openSignOn(scope, { membershipId, endsAt }) {
      const member = await repo.activeMember(scope, membershipId)
      if (!member || (endsAt !== null && endsAt <= now())) return null
      const { identityId, ...membership } = member
      const opened = await opener.open(scope, { identityId, membership, transport: { kind: 'COOKIE' }, source: null, via: 'saml', endsAt })
      if (opened.setCookie === null) throw new Error('A cookie session has a cookie.')
      return { sessionId: opened.sessionId, role: membership.role, plane: membership.plane, setCookie: opened.setCookie }
    },

    isAddressKnown: async (scope, { email }) => ({ isKnown: (await parts.members.findIdentity(scope, email)) !== null }),

    async endSignOn(scope, { sessionIds, reason }) {
      const ended: string[] = []
      for (const id of sessionIds) ended.push(...(await sessions.revoke(scope, { id }, { reason, now: now() })))
      recordRevoked(scope, ended, reason)
      return ended
    },

    async noteStepUp(scope, { sessionId, at }) {
      await repo.noteStepUp(scope, sessionId, at)
      scope.unit.record({ action: 'session.stepped_up', resource: 'Session', resourceId: sessionId, outcome: 'done' })
      return {}
    },

    async setPasswordsOff(scope, { connectionIds, off }) {
      await repo.setRules(scope, connectionIds, off)
      return {}
    },

    async needOperator(scope) {
      await onlyOperator(scope)
      return {}
    },

    countAdmins: async (scope, { membershipIds }) => ({ count: await repo.countAdmins(scope, membershipIds) }),

    directories: (scope) => repo.directories(scope),

    adminAddresses: (scope) => repo.adminAddresses(scope),
  }
  return checked(signOnMethods, service)
}
