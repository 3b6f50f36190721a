/**
 * Connections, tokens and rules: for administrators, the operator and the edge. A privileged role is mapped only by an administrator whose
 * session began with a second factor; a secret is shown once.
 */
import type { Clock } from '../../../kernel/clock.ts'
import { invalidInput, notFound } from '../../../kernel/fault.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import { checked } from '../../../platform/contract.ts'
import { isUniqueViolation } from '../../../platform/db/errors.ts'
import { mostCutAtOnce, privilegedRoles, type Identity } from '../../identity/contract.ts'
import {
  connectionNameTaken,
  mostTokens,
  scimMethods,
  scimTokenLimit,
  scimTokenRefused,
  scimUserLinked,
  shownConnection,
  shownReceipt,
  type PreviewedChange,
  type RuleInput,
  type RulesPreview,
  type Scim,
} from './contract.ts'
import type { ConnectionsRepo, Rule } from './repo-connections.ts'
import type { UnsettledRepo } from './repo-unsettled.ts'
import type { UsersRepo } from './repo-users.ts'
import { foldText } from './schema/fold.ts'
import type { createExchangeService } from './service-exchanges.ts'
import type { Settle } from './settle.ts'
import { newScimToken, readScimToken } from './token.ts'

export interface AdminParts {
  readonly connections: ConnectionsRepo
  readonly users: UsersRepo
  readonly unsettled: Pick<UnsettledRepo, 'counts'>
  readonly settle: Settle
  readonly identity: Pick<Identity, 'proveAdministrator' | 'proveOperator' | 'linkMember' | 'findLinks'>
  readonly clock: Clock
  readonly exchangeService: ReturnType<typeof createExchangeService>
}

const shownChanges = 200
const chunk = 1_000

export function createAdmin({ connections, users, unsettled, settle, identity, clock, exchangeService }: AdminParts): Scim {
  const now = () => new Date(clock.nowMs())

  const existing = async (scope: Scope, connectionId: string) => {
    const connection = await connections.find(scope, connectionId)
    if (!connection) throw notFound()
    return connection
  }

  const trace = (scope: Scope, action: string, id: string, detail: Readonly<Record<string, string | number | boolean>> = {}): void =>
    scope.unit.record({
      action: `scim.${action}`,
      resource: action.startsWith('token') ? 'ScimToken' : 'ScimConnection',
      resourceId: id,
      outcome: 'done',
      detail,
    })

  const expiryOf = (given: string | undefined): Date | null => {
    if (given === undefined) return null
    const expiry = new Date(given)
    if (expiry <= now()) throw invalidInput({ issues: [{ path: 'expiresAt', message: 'is over already' }] })
    return expiry
  }

  const issue = async (scope: Scope, wanted: { connectionId: string; name: string; expiresAt?: string | undefined }) => {
    const { connectionId, name } = wanted
    const at = now()
    if ((await connections.countTokens(scope, connectionId, at)) >= mostTokens) throw scimTokenLimit()
    const { token, hash } = newScimToken(scope.tenantId)
    const expiresAt = expiryOf(wanted.expiresAt)
    const id = await connections.addToken(scope, { connectionId, name, hash, expiresAt, createdAt: at })
    trace(scope, 'token_created', id, { connectionId, expires: expiresAt !== null })
    return { id, token, connectionId }
  }

  const addConnection = async (scope: Scope, data: { name: string; massChangeAt?: number }): Promise<string> => {
    try {
      const id = await connections.add(scope, data)
      trace(scope, 'connection_created', id)
      return id
    } catch (error) {
      throw isUniqueViolation(error) ? connectionNameTaken() : error
    }
  }

  const keyed = (rule: RuleInput, authorisedBy: string | null): Rule => ({
    ...rule,
    valueKey: rule.match === 'DISPLAY_NAME' ? foldText(rule.value) : rule.value,
    authorisedBy: privilegedRoles.includes(rule.role) ? authorisedBy : null,
  })

  /** Everybody of a connection, a thousand at a time, with what they are now and what these rules say. */
  const compare = async (scope: Scope, connectionId: string, rules: readonly Rule[]): Promise<RulesPreview> => {
    const changes: PreviewedChange[] = []
    let people = 0
    let changing = 0
    for (let after: string | null = null; ; ) {
      const ids: string[] = await users.idsAfter(scope, connectionId, after, chunk)
      const roles = new Map((await users.rolesBy(scope, connectionId, ids, rules)).map((one) => [one.id, one]))
      const membershipIds = [...roles.values()].flatMap(({ membershipId }) => membershipId ?? [])
      const held = await identity.findLinks(scope, { connectionId, membershipIds })
      const present = new Map(held.map((one) => [one.membershipId, one]))
      for (const { id, userName, membershipId, role: to } of roles.values()) {
        people++
        const link = membershipId === null ? undefined : present.get(membershipId)
        const from = link?.status === 'ACTIVE' ? link.role : null
        if (from === to) continue
        changing++
        if (changes.length < shownChanges) changes.push({ userId: id, userName, from, to })
      }
      if (ids.length < chunk) return { people, changing, changes }
      after = ids.at(-1)!
    }
  }

  return checked(scimMethods, {
    ...exchangeService,

    async identify(scope, { token }) {
      const read = readScimToken(token)
      if (!read || read.tenantId !== scope.tenantId) throw scimTokenRefused()
      const found = await connections.tokenByHash(scope, read.hash, now())
      if (!found) throw scimTokenRefused()
      return { connectionId: found.connectionId, tokenId: found.id, lastUsedAt: found.lastUsedAt }
    },

    async connections(scope) {
      need(scope, 'sso:manage')
      const [found, waiting] = await Promise.all([connections.list(scope), unsettled.counts(scope)])
      return found.map(({ _count, ...one }) => shownConnection.parse({ ...one, ..._count, unsettled: waiting.get(one.id) ?? 0 }))
    },

    async receipts(scope, { connectionId, first }) {
      need(scope, 'sso:manage')
      await existing(scope, connectionId)
      return (await connections.receipts(scope, connectionId, first)).map((one) => shownReceipt.parse(one))
    },

    async createConnection(scope, { name, massChangeAt }) {
      need(scope, 'sso:manage')
      return { id: await addConnection(scope, { name, ...(massChangeAt ? { massChangeAt } : {}) }) }
    },

    async setMassChangeAt(scope, { connectionId, massChangeAt }) {
      need(scope, 'sso:manage')
      if (!(await connections.change(scope, connectionId, { massChangeAt }))) throw notFound()
      trace(scope, 'connection_changed', connectionId, { massChangeAt })
      return { id: connectionId }
    },

    async acknowledgeMassChange(scope, { connectionId }) {
      need(scope, 'sso:manage')
      const { flaggedChanges } = await existing(scope, connectionId)
      await connections.change(scope, connectionId, { flaggedAt: null, flaggedChanges: 0 })
      trace(scope, 'mass_change_acknowledged', connectionId, { changes: flaggedChanges })
      return { id: connectionId }
    },

    async createToken(scope, wanted) {
      need(scope, 'token:manage')
      await existing(scope, wanted.connectionId)
      return issue(scope, wanted)
    },

    async rotateToken(scope, { id, overlapHours, expiresAt }) {
      need(scope, 'token:manage')
      const old = await connections.findToken(scope, id)
      if (!old || old.revokedAt !== null) throw notFound()
      const made = await issue(scope, { connectionId: old.connectionId, name: old.name, expiresAt })
      const overlapEnds = new Date(clock.nowMs() + overlapHours * 3_600_000)
      if (old.expiresAt === null || old.expiresAt > overlapEnds) await connections.endToken(scope, id, { expiresAt: overlapEnds })
      trace(scope, 'token_rotated', id, { overlapHours })
      return made
    },

    async revokeToken(scope, { id }) {
      need(scope, 'token:manage')
      if (!(await connections.findToken(scope, id))) throw notFound()
      const repeated = !(await connections.endToken(scope, id, { revokedAt: now() }))
      trace(scope, 'token_revoked', id, { repeated })
      return { id }
    },

    async previewRules(scope, { connectionId, rules }) {
      need(scope, 'sso:manage')
      await existing(scope, connectionId)
      return compare(scope, connectionId, rules.map((rule) => keyed(rule, null)))
    },

    async setRules(scope, { connectionId, rules }) {
      need(scope, 'sso:manage')
      await existing(scope, connectionId)
      const isPrivileged = rules.some(({ role }) => privilegedRoles.includes(role))
      const authorisedBy = isPrivileged ? (await identity.proveAdministrator(scope, {})).membershipId : null
      const wanted = rules.map((rule) => keyed(rule, authorisedBy))
      const preview = await compare(scope, connectionId, wanted)
      await connections.setRules(scope, connectionId, wanted)
      trace(scope, 'rules_set', connectionId, { rules: rules.length, changing: preview.changing })
      for (let after: string | null = null; ; ) {
        const ids: string[] = await users.idsAfter(scope, connectionId, after, mostCutAtOnce)
        await settle(scope, connectionId, ids, { applyAll: true })
        if (ids.length < mostCutAtOnce) return preview
        after = ids.at(-1)!
      }
    },

    async linkUser(scope, { userId, membershipId }) {
      need(scope, 'sso:manage')
      const user = await users.findAnywhere(scope, userId)
      if (!user) throw notFound()
      if (user.membershipId !== null) throw scimUserLinked()
      const { connectionId, externalId } = user
      await identity.linkMember(scope, { source: 'SCIM', connectionId, membershipId, externalId })
      await users.setStandings(scope, connectionId, [{ id: userId, membershipId, standing: 'MEMBER' }])
      trace(scope, 'user_linked', connectionId, { userId, membershipId })
      return { userId }
    },

    async operatorCreateToken(scope, { connection, name, expiresAt }) {
      await identity.proveOperator(scope, {})
      const found = await connections.findByName(scope, connection)
      const connectionId = found?.id ?? (await addConnection(scope, { name: connection }))
      return issue(scope, { connectionId, name, expiresAt })
    },
  })
}
