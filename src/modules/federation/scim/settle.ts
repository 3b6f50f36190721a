/**
 * What follows for people from what their directory says: the first rule that matches one of their groups gives the role, inactive people
 * and people without a rule have none. Every cut leaves a receipt; a mass of them is flagged, never delayed.
 */
import type { Clock } from '../../../kernel/clock.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { canonicalEmail, type directoryRoles, type Identity, type Settled } from '../../identity/contract.ts'
import { massChangeFlagged } from './contract.ts'
import type { AttributeMap } from './engine.ts'
import type { ConnectionsRepo, NewReceipt } from './repo-connections.ts'
import type { Stand, UsersRepo } from './repo-users.ts'
import { mostSettledAtOnce, type SettleLarge } from './settle-large.ts'

export interface SettleParts {
  readonly connections: ConnectionsRepo
  readonly users: UsersRepo
  readonly identity: Pick<Identity, 'settleMembers'>
  readonly large: Pick<SettleLarge, 'cut'>
  readonly clock: Clock
}

/**
 * `end`: the people are deleted, whatever their groups say. More than {@link mostSettledAtOnce} lose at once what they are to lose, and
 * the rest follows from the list of the unsettled.
 */
export type Settle = (
  scope: Scope,
  connectionId: string,
  userIds: readonly string[],
  options?: { end?: boolean; applyAll?: boolean },
) => Promise<void>

type DirectoryRole = (typeof directoryRoles)[number]

const hourMs = 3_600_000

/** The address a person is known by: the primary one, else the first, else a userName that is one. */
export function emailOf(attributes: AttributeMap, userName: string): string | null {
  const emails = (attributes['emails'] ?? []) as readonly AttributeMap[]
  const chosen = emails.find(({ primary }) => primary === true) ?? emails.find(({ value }) => typeof value === 'string')
  const value = chosen?.['value']
  return (typeof value === 'string' ? canonicalEmail(value) : null) ?? canonicalEmail(userName)
}

/** Our language for a person, where the directory says one of ours. */
function localeOf(attributes: AttributeMap): 'en' | 'ar' | undefined {
  const said = attributes['preferredLanguage'] ?? attributes['locale']
  const language = typeof said === 'string' ? said.slice(0, 2).toLowerCase() : ''
  return language === 'ar' || language === 'en' ? language : undefined
}

const standingBy: Readonly<Record<Settled['outcome'], string>> = {
  PROVISIONED: 'MEMBER',
  ROLE_CHANGED: 'MEMBER',
  REINSTATED: 'MEMBER',
  UNCHANGED: 'MEMBER',
  CUT: 'NO_ROLE',
  ENDED: 'NO_ROLE',
  HELD: 'HELD',
  SHUT_OUT: 'SHUT_OUT',
}

export function createSettle({ connections, users, identity, large, clock }: SettleParts): Settle {
  const flagMassChange = async (scope: Scope, connectionId: string): Promise<void> => {
    const connection = await connections.find(scope, connectionId)
    if (!connection || connection.flaggedAt !== null) return
    const changes = await connections.receiptsSince(scope, connectionId, new Date(clock.nowMs() - hourMs))
    if (changes < connection.massChangeAt) return
    if (!(await connections.flag(scope, connectionId, changes, new Date(clock.nowMs())))) return
    const detail = { changes }
    scope.unit.record({ action: 'scim.mass_change_flagged', resource: 'ScimConnection', resourceId: connectionId, outcome: 'done', detail })
    scope.unit.publish(massChangeFlagged, connectionId, { connectionId, changes })
  }

  const causeOf = (stand: Stand, { outcome }: Settled, end: boolean): string => {
    if (end) return 'DELETED'
    if (outcome === 'ROLE_CHANGED') return 'ROLE_CHANGED'
    return stand.active ? 'ROLE_LOST' : 'DEACTIVATED'
  }

  const settleSome = async (
    scope: Scope,
    connectionId: string,
    userIds: readonly string[],
    { end, hasRules }: { end: boolean; hasRules: boolean },
  ): Promise<number> => {
    const stands = await users.stands(scope, connectionId, userIds)
    const standings: { id: string; membershipId: string | null; standing: string }[] = []
    const wanted = stands.flatMap((stand) => {
      const { id, membershipId, attributes, userName, externalId } = stand
      const role = stand.active && !end ? stand.role : null
      const email = emailOf(attributes, userName)
      const standing = !stand.active ? 'INACTIVE' : role === null ? 'NO_ROLE' : 'NO_EMAIL'
      // Without any rule, roles are not this directory's: who was linked by hand keeps the role, and only loses it with the account.
      const isLeftAlone = membershipId !== null && stand.active && !end && !hasRules
      if (isLeftAlone) return []
      if (membershipId === null && (role === null || email === null)) {
        if (stand.standing !== standing) standings.push({ id, membershipId, standing })
        return []
      }
      const locale = localeOf(attributes)
      // The address of a member who is there is never written, so any will do where the directory gives none.
      const person = { key: id, membershipId, externalId, email: email ?? 'nobody@example.invalid', ...(locale ? { locale } : {}) }
      return [{ stand, person: { ...person, role: role as DirectoryRole | null, authorisedBy: stand.authorisedBy, end } }]
    })
    const source = 'SCIM' as const
    const here = { ...scope, actor: { kind: 'directory', source, connectionId } } as const
    const people = wanted.map(({ person }) => person)
    const settled = people.length > 0 ? await identity.settleMembers(here, { source, connectionId, people }) : []
    const receipts: NewReceipt[] = []
    for (const [at, one] of settled.entries()) {
      const { stand } = wanted[at]!
      const standing = stand.active ? standingBy[one.outcome] : 'INACTIVE'
      if (one.membershipId !== stand.membershipId || standing !== stand.standing) {
        standings.push({ id: stand.id, membershipId: one.membershipId, standing })
      }
      const isCut = one.outcome === 'CUT' || one.outcome === 'ENDED' || one.outcome === 'ROLE_CHANGED'
      if (!isCut || one.cut === null) continue
      const { membershipId, sessions, invitations, flaggedTokens, wasLastAdmin } = one.cut
      const { id: userId, userName } = stand
      const cut = { membershipId, sessions, invitations, flaggedTokens, wasLastAdmin, requestId: scope.requestId }
      receipts.push({ connectionId, userId, userName, cause: causeOf(stand, one, end), ...cut })
    }
    await users.setStandings(scope, connectionId, standings)
    await connections.addReceipts(scope, receipts)
    return receipts.length
  }

  return async (scope, connectionId, userIds, { end = false, applyAll = false } = {}) => {
    if (userIds.length === 0) return
    const hasRules = applyAll || (await connections.rules(scope, connectionId)).length > 0
    // One order for everybody: people by id, whichever group or request they come from.
    const ordered = [...new Set(userIds)].sort()
    users.hold(scope, connectionId, ordered)
    const receipts =
      ordered.length > mostSettledAtOnce
        ? await large.cut(scope, connectionId, ordered, hasRules)
        : await settleSome(scope, connectionId, ordered, { end, hasRules })
    if (receipts > 0) await flagMassChange(scope, connectionId)
  }
}
