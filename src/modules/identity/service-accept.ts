/**
 * Accepting an invitation. Who has an account here proves its password: the link shows that the mailbox is hers, not that nobody else
 * reads it. Of those who come with one link, exactly one is let in; nobody is signed in by it.
 */
import { staleVersion } from '../../kernel/fault.ts'
import { newId } from '../../kernel/id.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import type { Invitation } from '../../platform/db/generated/client.ts'
import { invalidCredentials } from './contract.ts'
import { invitationAccepted, invitationInvalid, type memberMethods } from './contract-members.ts'
import { checkNewPassword } from './credentials/password-rule.ts'
import { hashPassword } from './credentials/password.ts'
import { invitationTokenHash } from './invitation-letter.ts'
import type { Parts } from './parts.ts'
import type { MembersRepo } from './repo-members.ts'
import { inAuthCommand } from './repo.ts'
import { invitationMachine, membershipMachine } from './rules.ts'
import { stateAt } from './service-invitations.ts'
import type { Proof, SignIn } from './sign-in.ts'
import type { SignInPlane } from './tokens/refresh.ts'

type AcceptService = Pick<ServiceOf<typeof memberMethods>, 'acceptInvitation'>
type Accepted = { readonly membershipId: string; readonly plane: SignInPlane }

/** How the person is known: by a password that was right, or by one that was just chosen. */
type Known = { readonly proof: Proof } | { readonly passwordHash: string }

export function createAcceptService(parts: Parts & { members: MembersRepo }, { prove }: Pick<SignIn, 'prove'>): AcceptService {
  const { repo, members, attempts, clock } = parts

  /** Inside a command: the invitation behind a link, if it can be accepted now. */
  const open = async (inside: Scope, tokenHash: string): Promise<Invitation> => {
    const found = await members.findInvitation(inside, { tokenHash })
    if (!found) throw invitationInvalid()
    const state = stateAt(found, clock.nowMs())
    if (state === 'SEEN') return found
    if (!invitationMachine.can(state, 'open')) throw invitationInvalid()
    const seen = await members.moveInvitation(inside, found, { state: invitationMachine.next(state, 'open') })
    if (!seen) throw staleVersion()
    return seen
  }

  const identityFor = async (inside: Scope, { email, locale }: Invitation, known: Known): Promise<string> => {
    if ('proof' in known) {
      if (!(await repo.holdCredential(inside, known.proof.account))) throw invalidCredentials()
      return known.proof.account.id
    }
    const { identity } = await members.ensureIdentity(inside, { id: newId(), email, locale })
    // Somebody chose a password for this address meanwhile: it has to be proven now.
    if (!(await members.addCredential(inside, identity.id, known.passwordHash))) throw staleVersion()
    return identity.id
  }

  const membershipFor = async (inside: Scope, invitation: Invitation, identityId: string): Promise<string> => {
    const { email, role, plane, providerOrgId } = invitation
    const held = await members.findHeld(inside, { email, role, providerOrgId })
    if (!held) return (await members.addMember(inside, { identityId, role, plane, providerOrgId, status: 'ACTIVE' })).id
    if (held.status === 'ACTIVE') return held.id
    // An invitation does not lift a suspension.
    if (!membershipMachine.can(held.status, 'activate')) throw invitationInvalid()
    const active = await members.updateMember(inside, held, { status: membershipMachine.next(held.status, 'activate') })
    if (!active) throw staleVersion()
    return held.id
  }

  const accept = async (inside: Scope, tokenHash: string, known: Known): Promise<Accepted> => {
    const invitation = await open(inside, tokenHash)
    const state = invitationMachine.next(invitation.state, 'accept')
    if (!(await members.moveInvitation(inside, invitation, { state }))) throw invitationInvalid()
    const identityId = await identityFor(inside, invitation, known)
    const membershipId = await membershipFor(inside, invitation, identityId)
    if ('proof' in known) await attempts.takeBack(inside, known.proof.attempt)
    inside.unit.record({
      action: 'invitation.accepted',
      resource: 'Invitation',
      resourceId: invitation.id,
      outcome: 'done',
      actor: { id: membershipId },
      detail: { role: invitation.role, plane: invitation.plane, isNewAccount: !('proof' in known) },
    })
    inside.unit.publish(invitationAccepted, invitation.id, { invitationId: invitation.id, membershipId })
    return { membershipId, plane: invitation.plane as SignInPlane }
  }

  return {
    async acceptInvitation(scope, { token, password }) {
      const tokenHash = invitationTokenHash(token)
      if (tokenHash === null) throw invitationInvalid()
      const { email, hasPassword } = await inAuthCommand(scope, async (inside) => {
        const invitation = await open(inside, tokenHash)
        const account = await repo.accountBy(inside, { email: invitation.email })
        if (account && !account.isActive) throw invitationInvalid()
        inside.unit.record({ action: 'invitation.opened', resource: 'Invitation', resourceId: invitation.id, outcome: 'done' })
        return { email: invitation.email, hasPassword: account !== null && account.passwordHash !== null }
      })
      if (!hasPassword) {
        checkNewPassword(password, { email })
        const passwordHash = await hashPassword(password)
        return inAuthCommand(scope, (inside) => accept(inside, tokenHash, { passwordHash }))
      }
      const proof = await prove(scope, { account: email, deviceToken: null }, password, 'invitation.refused')
      return inAuthCommand(scope, (inside) => accept(inside, tokenHash, { proof }))
    },
  }
}
