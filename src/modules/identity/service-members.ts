/** Members' use cases: reading, changing, suspending, ending, and which role. A tenant never loses its last active administrator. */
import { forbidden, staleVersion } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Scope } from '../../kernel/scope.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import { mayAssign, planeOf, type Permission } from '../access/contract.ts'
import {
  alreadyMember,
  lastAdmin,
  memberDeactivated,
  memberEnded,
  memberShape,
  ownRole,
  roleAssigned,
  roleOutOfReach,
  type Member,
  type memberMethods,
} from './contract-members.ts'
import { recordRevoked } from './parts.ts'
import { actingRole, existing, reachOf } from './reach.ts'
import { membersWithin } from './repo-reach.ts'
import type { MemberRow, MembersRepo } from './repo-members.ts'
import type { SessionRepo } from './repo-sessions.ts'
import { membershipMachine, type MembershipEvent } from './rules.ts'

type MemberService = Pick<
  ServiceOf<typeof memberMethods>,
  'member' | 'updateMember' | 'deactivateMember' | 'suspendMember' | 'resumeMember' | 'assignRole' | 'addressesOf'
>

export const shownMember = ({ identity, ...membership }: MemberRow): Member =>
  memberShape.parse({ ...membership, email: identity.email, locale: identity.locale })

const placeOf = ({ identity, role, providerOrgId }: MemberRow) => ({ email: identity.email, role, providerOrgId })

export function createMemberService(parts: { repo: MembersRepo; sessions: SessionRepo; clock: Clock }): MemberService {
  const { repo, sessions, clock } = parts

  const within = async (scope: Scope, permission: Permission, id: string): Promise<MemberRow> =>
    existing(await repo.findMember(scope, id, membersWithin(reachOf(scope, permission))))

  /** Call before a member stops being an active administrator. What was read before the lock is checked by its version after. */
  const keepAnAdmin = async (scope: Scope, { id, role, status }: MemberRow): Promise<void> => {
    if (role !== 'tenant_admin' || status !== 'ACTIVE') return
    const others = (await repo.lockActiveAdmins(scope)).filter((one) => one !== id)
    if (others.length === 0) throw lastAdmin()
  }

  const change = async (scope: Scope, member: MemberRow, data: Parameters<MembersRepo['updateMember']>[2]): Promise<MemberRow> => {
    const changed = await repo.updateMember(scope, member, data)
    if (!changed) throw staleVersion()
    return changed
  }

  const endSessions = async (scope: Scope, membershipId: string, reason: string): Promise<number> => {
    const ended = await sessions.revoke(scope, { membershipId }, { reason, now: new Date(clock.nowMs()) })
    recordRevoked(scope, ended, reason)
    return ended.length
  }

  /** Moves a membership, and ends its sessions where the new state has none. */
  const move = async (scope: Scope, id: string, event: MembershipEvent, action: string): Promise<Member> => {
    const member = await within(scope, 'user:deactivate', id)
    const status = membershipMachine.next(member.status, event)
    await keepAnAdmin(scope, member)
    const moved = await change(scope, member, { status })
    const sessionsEnded = status === 'ACTIVE' ? 0 : await endSessions(scope, id, `MEMBER_${status}`)
    // A link still out there would bring the person back.
    if (status === 'ENDED') await repo.revokeOpenInvitations(scope, placeOf(member))
    scope.unit.record({
      action: `member.${action}`,
      resource: 'Member',
      resourceId: id,
      outcome: 'done',
      detail: { role: member.role, plane: member.plane, sessionsEnded },
    })
    if (status === 'ENDED') scope.unit.publish(memberDeactivated, id, { membershipId: id })
    return shownMember(moved)
  }

  return {
    async member(scope, { id }) {
      return shownMember(await within(scope, 'user:read', id))
    },

    async addressesOf(scope, { role }) {
      if (scope.actor.kind !== 'system') throw forbidden({ permission: 'system' })
      const people = await repo.addressesOf(scope, role)
      return { people: people.map(({ email, locale }) => ({ email, locale: memberShape.shape.locale.parse(locale) })) }
    },

    async updateMember(scope, { id, version, locale }) {
      const member = await within(scope, 'user:update', id)
      const changed = await change(scope, { ...member, version }, {})
      await repo.setLocale(scope, member.identityId, locale)
      scope.unit.record({ action: 'member.updated', resource: 'Member', resourceId: id, outcome: 'done', detail: { fields: ['locale'] } })
      return shownMember({ ...changed, identity: { ...changed.identity, locale } })
    },

    deactivateMember: (scope, { id }) => move(scope, id, 'end', 'deactivated'),
    suspendMember: (scope, { id }) => move(scope, id, 'suspend', 'suspended'),
    resumeMember: (scope, { id }) => move(scope, id, 'resume', 'resumed'),

    async assignRole(scope, { membershipId, role }) {
      const member = await within(scope, 'role:assign', membershipId)
      const assigner = actingRole(scope)
      if (!assigner || !mayAssign(assigner, role)) throw roleOutOfReach()
      // A person, not a membership: nobody lifts her own second membership either.
      if (scope.actor.kind !== 'member' || scope.actor.identityId === member.identityId) throw ownRole()
      if (member.status === 'ENDED') throw memberEnded()
      if (member.role === role) throw alreadyMember()
      await keepAnAdmin(scope, member)
      const plane = planeOf(role)
      let changed: MemberRow
      try {
        changed = await change(scope, member, { role, plane, providerOrgId: null })
      } catch (error) {
        if (isUniqueViolation(error)) throw alreadyMember()
        throw error
      }
      const sessionsEnded = plane === member.plane ? 0 : await endSessions(scope, membershipId, 'ROLE_CHANGED')
      await repo.revokeOpenInvitations(scope, placeOf(member))
      scope.unit.record({
        action: 'member.role_assigned',
        resource: 'Member',
        resourceId: membershipId,
        outcome: 'done',
        detail: { from: member.role, to: role, plane, sessionsEnded },
      })
      scope.unit.publish(roleAssigned, membershipId, { membershipId, role })
      return shownMember(changed)
    },
  }
}
