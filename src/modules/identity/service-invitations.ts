/** Invitations' use cases for people. Who may invite whom says `access`; the link's secret exists in the letter only. */
import type { Clock } from '../../kernel/clock.ts'
import { forbidden, invalidInput, notFound, tooMany } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import type { Invitation } from '../../platform/db/generated/client.ts'
import { isRole, mayInvite, planeOf, type Role } from '../access/contract.ts'
import {
  alreadyMember,
  invitationShape,
  memberInvited,
  roleOutOfReach,
  type InvitationShown,
  type memberMethods,
} from './contract-members.ts'
import { invitationLifeMs } from './invitation-letter.ts'
import type { InvitationSender } from './invitation-sender.ts'
import { actingRole, existing, reachOf, type MemberReach } from './reach.ts'
import { invitationsWithin } from './repo-reach.ts'
import type { MembersRepo } from './repo-members.ts'
import { invitationMachine, type InvitationState } from './rules.ts'

type InvitationService = Pick<ServiceOf<typeof memberMethods>, 'inviteMember' | 'resendInvitation' | 'revokeInvitation'>

const dayMs = 24 * 60 * 60_000
/** Letters one member may cause in a day by inviting. */
export const mostInvitationsADay = 200
/** Between two letters of one invitation. */
export const resendPauseMs = 60_000

/** The state now: a link whose time is up is expired, whether or not anybody has noticed yet. */
export function stateAt({ state, expiresAt }: Pick<Invitation, 'state' | 'expiresAt'>, nowMs: number): InvitationState {
  const isOver = nowMs >= expiresAt.getTime()
  return isOver && invitationMachine.can(state, 'expire') ? invitationMachine.next(state, 'expire') : state
}

export function createInvitationService(parts: { repo: MembersRepo; sender: InvitationSender; clock: Clock }): InvitationService {
  const { repo, sender, clock } = parts

  const shown = (invitation: Invitation): InvitationShown =>
    invitationShape.parse({ ...invitation, state: stateAt(invitation, clock.nowMs()) })

  const record = (scope: Scope, act: string, { id, role, plane }: Invitation): void =>
    scope.unit.record({ action: `invitation.${act}`, resource: 'Invitation', resourceId: id, outcome: 'done', detail: { role, plane } })

  /** The inviting member's reach. A program invites nobody: it could let in somebody with more rights than its own. */
  const inviter = (scope: Scope): { reach: MemberReach; role: Role; membershipId: string } => {
    const reach = reachOf(scope, 'user:invite')
    const role = actingRole(scope)
    if (scope.actor.kind !== 'member' || !role || reach.rows === 'none') throw forbidden({ permission: 'user:invite' })
    return { reach, role, membershipId: scope.actor.membershipId }
  }

  const mine = async (scope: Scope, id: string): Promise<Invitation> => {
    const { reach, role } = inviter(scope)
    const invitation = existing(await repo.findInvitation(scope, { AND: [{ id }, invitationsWithin(reach)] }))
    if (!isRole(invitation.role) || !mayInvite(role, invitation.role)) throw roleOutOfReach()
    return invitation
  }

  const refuseFlood = async (scope: Scope, membershipId: string): Promise<void> => {
    const since = new Date(clock.nowMs() - dayMs)
    const count = await repo.countInvitationsSince(scope, membershipId, since)
    if (count >= mostInvitationsADay) throw tooMany({ retryAfterSeconds: 3_600 })
  }

  const checkRecipient = async (scope: Scope, reach: MemberReach, recipientId: string | undefined): Promise<void> => {
    if (recipientId === undefined) {
      if (reach.rows === 'own') throw invalidInput({ issues: [{ path: 'recipientId', message: 'name whom this person is to help' }] })
    } else if (!(await repo.mayInviteFor(scope, recipientId))) throw notFound()
  }

  return {
    async inviteMember(scope, { email, role, locale, providerOrgId, recipientId }) {
      const { reach, role: inviterRole, membershipId } = inviter(scope)
      if (!mayInvite(inviterRole, role)) throw roleOutOfReach()
      const org = organisationOf(reach, role, providerOrgId)
      await checkRecipient(scope, reach, recipientId)
      const place = { email, role, providerOrgId: org }
      // Who may not read members is not told who is one: the letter goes out, and accepting it changes nothing.
      if (reach.rows !== 'own' && (await repo.findHeld(scope, place))) throw alreadyMember()
      await refuseFlood(scope, membershipId)
      const more = { recipientId: recipientId ?? null, invitedBy: membershipId, plane: planeOf(role) }
      const { invitation } = await sender.send(scope, { ...place, ...more, ...(locale ? { locale } : {}) })
      record(scope, 'sent', invitation)
      scope.unit.publish(memberInvited, invitation.id, { invitationId: invitation.id })
      return shown(invitation)
    },

    async resendInvitation(scope, { id }) {
      const invitation = await mine(scope, id)
      // An open one expires early: that is what makes its link dead.
      const isOpen = invitationMachine.can(invitation.state, 'expire')
      const ended = isOpen ? invitationMachine.next(invitation.state, 'expire') : invitation.state
      const state = invitationMachine.next(ended, 'resend')
      const sinceMs = clock.nowMs() - (invitation.expiresAt.getTime() - invitationLifeMs)
      if (sinceMs < resendPauseMs) throw tooMany({ retryAfterSeconds: Math.ceil((resendPauseMs - sinceMs) / 1_000) })
      const resent = await sender.resend(scope, invitation, state)
      record(scope, 'resent', resent)
      return shown(resent)
    },

    async revokeInvitation(scope, { id }) {
      const invitation = await mine(scope, id)
      const state = invitationMachine.next(stateAt(invitation, clock.nowMs()), 'revoke')
      const revoked = await sender.move(scope, invitation, { state })
      await repo.endPending(scope, invitation)
      record(scope, 'revoked', revoked)
      return shown(revoked)
    },
  }
}

/** The organisation the newcomer is to belong to; only sellers belong to one. */
function organisationOf(reach: MemberReach, role: Role, asked: string | undefined): string | null {
  if (reach.rows === 'organisation') {
    if (asked !== undefined && asked !== reach.providerOrgId) throw notFound()
    return reach.providerOrgId
  }
  return onlySellers(role, asked)
}

/** @throws INVALID_INPUT for an organisation of somebody who cannot belong to one. */
export function onlySellers(role: Role, providerOrgId: string | undefined): string | null {
  if (providerOrgId === undefined) return null
  if (role === 'provider_manager') return providerOrgId
  throw invalidInput({ issues: [{ path: 'providerOrgId', message: 'only a provider_manager belongs to an organisation' }] })
}
