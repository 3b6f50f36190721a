/** Writes an invitation down and its letter out, in this order: a letter whose invitation does not commit holds a dead link. */
import type { Clock } from '../../kernel/clock.ts'
import { staleVersion } from '../../kernel/fault.ts'
import type { Locale } from '../../kernel/locale.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { Mail } from '../../platform/mail.ts'
import type { Tenancy } from '../tenancy/contract.ts'
import { acceptUrl, invitationLetter, invitationLifeMs, newInvitationToken } from './invitation-letter.ts'
import { originOf, type Parts } from './parts.ts'
import type { Invitation, InvitationChange, MembersRepo, Place } from './repo-members.ts'
import { invitationMachine, type InvitationState } from './rules.ts'

export interface NewInvitation extends Place {
  readonly plane: string
  readonly recipientId: string | null
  /** Null for the operator. */
  readonly invitedBy: string | null
  /** The tenant's own language without it. */
  readonly locale?: Locale
}

export interface InvitationSender {
  send(scope: Scope, wanted: NewInvitation): Promise<{ readonly invitation: Invitation; readonly url: string }>
  /** With a new secret; the old one is dead. @throws STALE_VERSION */
  resend(scope: Scope, invitation: Invitation, state: InvitationState): Promise<Invitation>
  /** @throws STALE_VERSION when somebody else moved it first. */
  move(scope: Scope, invitation: Invitation, data: InvitationChange): Promise<Invitation>
}

export function createInvitationSender(parts: {
  repo: MembersRepo
  mail: Mail
  tenancy: Pick<Tenancy, 'front'>
  config: Parts['config']
  clock: Clock
}): InvitationSender {
  const { repo, mail, tenancy, config, clock } = parts
  const expiry = () => new Date(clock.nowMs() + invitationLifeMs)

  const move: InvitationSender['move'] = async (scope, invitation, data) => {
    const moved = await repo.moveInvitation(scope, invitation, data)
    if (!moved) throw staleVersion()
    return moved
  }

  const post = async (scope: Scope, { email, locale }: Pick<Invitation, 'email' | 'locale'>, token: string): Promise<string> => {
    const { slug, legalName } = await tenancy.front(scope, {})
    const url = acceptUrl(originOf(slug, config), token)
    await mail.send(invitationLetter(email, { locale: locale === 'ar' ? 'ar' : 'en', tenantName: legalName, url }))
    return url
  }

  return {
    move,

    async send(scope, { locale: asked, ...place }) {
      const locale = asked ?? (await tenancy.front(scope, {})).defaultLocale
      const { token, tokenHash } = newInvitationToken()
      const createdAt = new Date(clock.nowMs())
      const data = { ...place, locale, tokenHash, expiresAt: expiry(), createdAt, state: invitationMachine.initial }
      const created = await repo.addInvitation(scope, data)
      const invitation = await move(scope, created, { state: invitationMachine.next(created.state, 'send') })
      return { invitation, url: await post(scope, invitation, token) }
    },

    async resend(scope, invitation, state) {
      const { token, tokenHash } = newInvitationToken()
      const resent = await move(scope, invitation, { state, tokenHash, expiresAt: expiry() })
      await post(scope, resent, token)
      return resent
    },
  }
}
