/**
 * The operator's use cases: the first people of a tenant, and those an earlier system brings. Once an administrator of the tenant has
 * signed in, the operator adds nobody without the tenant's approval. It never reads a password and never changes one.
 */
import { forbidden, invalidInput } from '../../kernel/fault.ts'
import { newId } from '../../kernel/id.ts'
import type { Locale } from '../../kernel/locale.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import { planeOf, type Role } from '../access/contract.ts'
import type { Tenancy } from '../tenancy/contract.ts'
import { adminPresent, alreadyMember, memberInvited, tenantApprovalNeeded, type memberMethods } from './contract-members.ts'
import { checkNewPassword } from './credentials/password-rule.ts'
import { hashPassword, isUsableHash } from './credentials/password.ts'
import type { InvitationSender } from './invitation-sender.ts'
import type { MembersRepo } from './repo-members.ts'
import { onlySellers } from './service-invitations.ts'

type OperatorService = Pick<
  ServiceOf<typeof memberMethods>,
  'provisionAdmin' | 'recoverAdmin' | 'operatorInvite' | 'operatorAddMember' | 'importMember'
>

interface Newcomer {
  readonly email: string
  readonly role: Role
  readonly locale?: Locale | undefined
  readonly providerOrgId?: string | undefined
}

/** What the audit trail says of a deed of the operator's: the approval it stands on, where the tenant can decide for itself. */
export interface Leave {
  readonly approvalId?: string
}

/**
 * Lets the operator pass: until the tenant can decide for itself, and then while it approves.
 * @throws FORBIDDEN, TENANT_APPROVAL_NEEDED
 */
export type OperatorGuard = (scope: Scope) => Promise<Leave>

/** @param isDemo a demo's operator is whoever tries it out, and its tenants are nobody's. */
export function createOperatorGuard(parts: {
  repo: MembersRepo
  tenancy: Pick<Tenancy, 'operatorApproval'>
  isDemo: boolean
}): OperatorGuard {
  const { repo, tenancy, isDemo } = parts
  return async (scope) => {
    if (scope.actor.kind !== 'operator') throw forbidden({ permission: 'operator' })
    if (isDemo || !(await repo.adminHasSignedIn(scope))) return {}
    const { approval } = await tenancy.operatorApproval(scope, {})
    if (!approval) throw tenantApprovalNeeded()
    return { approvalId: approval.id }
  }
}

export function createOperatorService(parts: {
  repo: MembersRepo
  sender: InvitationSender
  tenancy: Pick<Tenancy, 'front'>
  onlyOperator: OperatorGuard
}): OperatorService {
  const { repo, sender, tenancy, onlyOperator } = parts

  const join = async (scope: Scope, newcomer: Newcomer, status: 'PENDING' | 'ACTIVE') => {
    const { email, role } = newcomer
    const providerOrgId = onlySellers(role, newcomer.providerOrgId)
    const held = await repo.findHeld(scope, { email, role, providerOrgId })
    if (held) throw alreadyMember()
    const locale = newcomer.locale ?? (await tenancy.front(scope, {})).defaultLocale
    const { identity, isNew } = await repo.ensureIdentity(scope, { id: newId(), email, locale })
    const member = await repo.addMember(scope, { identityId: identity.id, role, plane: planeOf(role), providerOrgId, status })
    return { member, isNew, place: { email, role, providerOrgId } }
  }

  /** An account that is there keeps what it has: only its owner replaces a password. */
  const add = async (scope: Scope, newcomer: Newcomer, passwordHash: string, action: string, leave: Leave) => {
    const { member, isNew } = await join(scope, newcomer, 'ACTIVE')
    if (isNew) await repo.addCredential(scope, member.identityId, passwordHash)
    scope.unit.record({
      action: `member.${action}`,
      resource: 'Member',
      resourceId: member.id,
      outcome: 'done',
      detail: { role: newcomer.role, plane: member.plane, isNewAccount: isNew, ...leave },
    })
    return { membershipId: member.id, isNewAccount: isNew }
  }

  const addWithPassword = async (scope: Scope, { password, ...newcomer }: Newcomer & { password: string }) => {
    const leave = await onlyOperator(scope)
    checkNewPassword(password, newcomer)
    return add(scope, newcomer, await hashPassword(password), 'added', leave)
  }

  return {
    provisionAdmin: (scope, input) => addWithPassword(scope, { ...input, role: 'tenant_admin' }),

    operatorAddMember: addWithPassword,

    async recoverAdmin(scope, { email, password }) {
      if (scope.actor.kind !== 'operator') throw forbidden({ permission: 'operator' })
      if ((await repo.lockActiveAdmins(scope)).length > 0) throw adminPresent()
      const newcomer = { email, role: 'tenant_admin' } as const
      checkNewPassword(password, newcomer)
      return add(scope, newcomer, await hashPassword(password), 'recovered', {})
    },

    async operatorInvite(scope, newcomer) {
      const leave = await onlyOperator(scope)
      const { member, place } = await join(scope, newcomer, 'PENDING')
      const { plane, id: membershipId } = member
      const { locale } = newcomer
      const wanted = { ...place, plane, recipientId: null, invitedBy: null, ...(locale ? { locale } : {}) }
      const { invitation, url } = await sender.send(scope, wanted)
      scope.unit.record({
        action: 'invitation.sent',
        resource: 'Invitation',
        resourceId: invitation.id,
        outcome: 'done',
        detail: { role: newcomer.role, plane, ...leave },
      })
      scope.unit.publish(memberInvited, invitation.id, { invitationId: invitation.id })
      return { membershipId, invitationId: invitation.id, acceptUrl: url }
    },

    async importMember(scope, { passwordHash, ...newcomer }) {
      const leave = await onlyOperator(scope)
      if (!isUsableHash(passwordHash)) {
        throw invalidInput({ issues: [{ path: 'passwordHash', message: 'is no bcrypt or argon2 hash that can be verified here' }] })
      }
      return add(scope, newcomer, passwordHash, 'imported', leave)
    },
  }
}
