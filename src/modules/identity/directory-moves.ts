/**
 * The ways in which a directory moves members: new, out, elsewhere, in again. Each takes a set and costs as many statements as one; each
 * leaves its trace and its events. Whether it may happen is decided in `service-directory.ts`.
 */
import type { Clock } from '../../kernel/clock.ts'
import { notFound } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { planeOf, type Role } from '../access/contract.ts'
import type { Tenancy } from '../tenancy/contract.ts'
import { directoryMoved, lastAdminCut, type Cut } from './contract-directory.ts'
import { memberDeactivated, roleAssigned } from './contract-members.ts'
import { recordRevoked } from './parts.ts'
import type { DirectoryRepo, DirectorySource, LinkedMember } from './repo-directory.ts'
import type { MembersRepo } from './repo-members.ts'

export interface Here {
  readonly source: DirectorySource
  readonly connectionId: string
}

export interface Newcomer {
  readonly externalId: string | null
  readonly email: string
  readonly locale?: string | undefined
}

export interface DirectoryParts {
  readonly directory: DirectoryRepo
  readonly members: MembersRepo
  readonly tenancy: Pick<Tenancy, 'front'>
  readonly clock: Clock
}

/** Members that one row of the audit trail names. */
const namesInARow = 500
const isIn = (status: string) => status === 'ACTIVE' || status === 'PENDING'

export function createDirectoryMoves({ directory: repo, members, tenancy, clock }: DirectoryParts) {
  const now = () => new Date(clock.nowMs())

  type Detail = Readonly<Record<string, string | number>>
  const trace = (scope: Scope, here: Here, membershipId: string, op: string, detail: Detail = {}): void => {
    scope.unit.record({
      action: `member.directory_${op}`,
      resource: 'Member',
      resourceId: membershipId,
      outcome: 'done',
      detail: { connectionId: here.connectionId, source: here.source, ...detail },
    })
    scope.unit.publish(directoryMoved, membershipId, { membershipId, connectionId: here.connectionId, op })
  }

  /** Tells that nobody administers the tenant any more, where that is so. Call it before the rows change. */
  const raiseLastAdmin = async (scope: Scope, { connectionId }: Here, leaving: readonly string[]): Promise<boolean> => {
    const gone = new Set(leaving)
    if (gone.size === 0 || !(await members.lockActiveAdmins(scope)).every((id) => gone.has(id))) return false
    for (const membershipId of leaving) {
      const detail = { connectionId }
      scope.unit.record({ action: 'member.last_admin_cut', resource: 'Member', resourceId: membershipId, outcome: 'done', detail })
      scope.unit.publish(lastAdminCut, membershipId, { membershipId, connectionId })
    }
    return true
  }

  /** Revokes, takes back and flags. Call it before the rows change: what is open is found by the role that they had. */
  const cutAccess = async (scope: Scope, here: Here, cut: readonly LinkedMember[], reason: string): Promise<ReadonlyMap<string, Cut>> => {
    const ids = cut.map(({ membershipId }) => membershipId)
    if (ids.length === 0) return new Map()
    const at = now()
    const sessions = await repo.revokeSessions(scope, ids, reason, at)
    recordRevoked(scope, sessions.map(({ id }) => id), reason)
    const invitations = countBy(await repo.revokeInvitations(scope, ids, at))
    const tokens = countBy(await repo.flagTokens(scope, ids, at))
    const admins = cut.filter(({ role, status }) => role === 'tenant_admin' && status === 'ACTIVE')
    const isLast = await raiseLastAdmin(scope, here, admins.map(({ membershipId }) => membershipId))
    const ended = countBy(sessions)
    return new Map(
      cut.map((one) => {
        const { membershipId } = one
        const counted = {
          sessions: ended.get(membershipId) ?? 0,
          invitations: invitations.get(membershipId) ?? 0,
          flaggedTokens: tokens.get(membershipId) ?? 0,
        }
        return [membershipId, { membershipId, ...counted, wasLastAdmin: isLast && admins.includes(one) }]
      }),
    )
  }

  /** Suspends or ends. A membership that was out already is only noted as ended where it is to end. */
  const shutOut = async (scope: Scope, here: Here, held: readonly LinkedMember[], to: 'SUSPENDED' | 'ENDED') => {
    const moving = held.filter(({ status }) => (to === 'ENDED' ? status !== 'ENDED' : status === 'ACTIVE' || status === 'PENDING'))
    const ids = moving.map(({ membershipId }) => membershipId)
    const cuts = await cutAccess(scope, here, held, `DIRECTORY_${to}`)
    await repo.setStatus(scope, ids, to)
    await repo.markLinks(scope, here.connectionId, ids, to === 'ENDED' ? { cutAt: now(), externalId: null } : { cutAt: now() })
    if (to === 'ENDED') {
      const gone = held.filter(({ status }) => status === 'ENDED').map(({ membershipId }) => membershipId)
      await repo.markLinks(scope, here.connectionId, gone, { externalId: null })
    }
    for (const { membershipId, role } of moving) {
      const { sessions, flaggedTokens } = cuts.get(membershipId)!
      trace(scope, here, membershipId, to === 'ENDED' ? 'ended' : 'cut', { role, sessions, flaggedTokens })
      scope.unit.publish(memberDeactivated, membershipId, { membershipId })
    }
    return cuts
  }

  /** Access of any number gone in a few statements; who is in the role wanted of them keeps it. */
  const cutMany = async (scope: Scope, here: Here, wanted: ReadonlyMap<string, Role | null>) => {
    const at = now()
    const { connectionId, source } = here
    if (await repo.anyAdmin(scope, [...wanted.keys()])) await members.lockActiveAdmins(scope)
    const held = await repo.holdMany(scope, connectionId, [...wanted.keys()])
    if (held.length < wanted.size) throw notFound()
    const moving = held.filter(({ membershipId, role, status }) => isIn(status) && role !== wanted.get(membershipId))
    const ids = moving.map(({ membershipId }) => membershipId)
    if (ids.length === 0) return { at, cuts: [] }
    const admins = moving.filter(({ role, status }) => role === 'tenant_admin' && status === 'ACTIVE').map(({ membershipId }) => membershipId)
    const isLast = await raiseLastAdmin(scope, here, admins)
    const sessions = countBy(await repo.revokeSessions(scope, ids, 'DIRECTORY_SUSPENDED', at))
    const invitations = countBy(await repo.revokeInvitations(scope, ids, at))
    const tokens = countBy(await repo.flagTokens(scope, ids, at))
    await repo.suspendMany(scope, connectionId, ids, at)
    for (let from = 0; from < ids.length; from += namesInARow) {
      const membershipIds = ids.slice(from, from + namesInARow)
      const detail = { connectionId, source, membershipIds }
      scope.unit.record({ action: 'member.directory_cut_many', resource: 'Member', resourceId: null, outcome: 'done', detail })
    }
    const last = new Set(isLast ? admins : [])
    const cuts = ids.map((membershipId) => ({
      membershipId,
      sessions: sessions.get(membershipId) ?? 0,
      invitations: invitations.get(membershipId) ?? 0,
      flaggedTokens: tokens.get(membershipId) ?? 0,
      wasLastAdmin: last.has(membershipId),
    }))
    return { at, cuts }
  }

  /** What `shutOut` would have said of each, said later. */
  const tell = async (scope: Scope, here: Here, membershipIds: readonly string[], at: Date): Promise<void> => {
    const sessions = await repo.sessionsEndedAt(scope, membershipIds, at)
    recordRevoked(scope, sessions.map(({ id }) => id), 'DIRECTORY_SUSPENDED')
    const ended = countBy(sessions)
    for (const membershipId of membershipIds) {
      trace(scope, here, membershipId, 'cut', { sessions: ended.get(membershipId) ?? 0, at: at.toISOString() })
      scope.unit.publish(memberDeactivated, membershipId, { membershipId })
    }
  }

  /** New memberships for people of one role; whoever holds it already is not in the answer. */
  const provision = async <Joining extends Newcomer>(scope: Scope, here: Here, people: readonly Joining[], role: Role) => {
    const { defaultLocale } = await tenancy.front(scope, {})
    const identities = await repo.ensureIdentities(scope, people.map(({ email, locale }) => ({ email, locale: locale ?? defaultLocale })))
    const first = new Map(people.toReversed().map((one) => [identities.get(one.email)!.id, one]))
    const plane = planeOf(role)
    const added = await repo.addMembers(scope, [...first.keys()].map((identityId) => ({ identityId, role, plane })))
    const made = [...added].map(([identityId, membershipId]) => ({ wanted: first.get(identityId)!, identityId, membershipId }))
    await repo.addLinks(
      scope,
      made.map(({ wanted, membershipId }) => ({ ...here, membershipId, origin: 'PROVISIONED', externalId: wanted.externalId })),
    )
    for (const { membershipId } of made) {
      trace(scope, here, membershipId, 'provisioned', { role, plane })
      scope.unit.publish(roleAssigned, membershipId, { membershipId, role })
    }
    return made.map((one) => ({ ...one, isNewAccount: identities.get(one.wanted.email)!.isNew }))
  }

  /** Another role for active members; answers whose role somebody holds elsewhere. */
  const assign = async (scope: Scope, here: Here, held: readonly LinkedMember[], role: Role) => {
    const holders = await repo.holdersOf(scope, role, held.map(({ identityId }) => identityId))
    const moving = held.filter(({ identityId }) => !holders.has(identityId))
    const plane = planeOf(role)
    const leaving = moving.filter((one) => one.plane !== plane || one.role === 'tenant_admin')
    const cuts = await cutAccess(scope, here, leaving, 'ROLE_CHANGED')
    await repo.setRole(scope, moving.map(({ membershipId }) => membershipId), role, plane)
    for (const { membershipId, role: from } of moving) {
      trace(scope, here, membershipId, 'role_changed', { from, to: role, plane, sessions: cuts.get(membershipId)?.sessions ?? 0 })
      scope.unit.publish(roleAssigned, membershipId, { membershipId, role })
    }
    return { cuts, refused: new Set(held.filter((one) => holders.has(one.identityId)).map(({ membershipId }) => membershipId)) }
  }

  /** Whatever was signed in when access was cut stays cut, also what slipped in at that moment. */
  const letIn = async (scope: Scope, here: Here, held: readonly LinkedMember[]): Promise<void> => {
    const ids = held.map(({ membershipId }) => membershipId)
    if (ids.length === 0) return
    recordRevoked(scope, (await repo.revokeSessions(scope, ids, 'DIRECTORY_REINSTATED', now())).map(({ id }) => id), 'DIRECTORY_REINSTATED')
    await repo.setStatus(scope, ids, 'ACTIVE')
    await repo.markLinks(scope, here.connectionId, ids, { cutAt: null })
    for (const { membershipId, role } of held) trace(scope, here, membershipId, 'reinstated', { role })
  }

  return { trace, shutOut, cutMany, tell, provision, assign, letIn }
}

function countBy(rows: readonly { readonly membershipId: string }[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { membershipId } of rows) counts.set(membershipId, (counts.get(membershipId) ?? 0) + 1)
  return counts
}
