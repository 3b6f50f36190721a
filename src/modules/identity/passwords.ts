/** Forgotten and changed passwords. Whether an account exists is told neither by the answer nor by the time it takes. */
import { newId } from '../../kernel/id.ts'
import type { Locale } from '../../kernel/locale.ts'
import { randomToken, sha256Hex } from '../../platform/crypto/hash.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import { invalidCredentials, resetLinkDead, sessionLife } from './contract.ts'
import type { identityMethods } from './contract.ts'
import { checkNewPassword } from './credentials/password-rule.ts'
import { hashPassword } from './credentials/password.ts'
import { originOf, recordRefusal, recordRevoked, type Parts } from './parts.ts'
import { inAuthCommand } from './repo.ts'
import { memberOf } from './sessions.ts'
import type { SignIn } from './sign-in.ts'

type Methods = ServiceOf<typeof identityMethods>

/** Reset mails an account is sent in an hour: a mailbox is not flooded at a stranger's wish. */
const mostLinksAnHour = 3
/** Letters on their way at once; beyond, none is begun, and its absence is logged. */
const mostLetters = 100

export interface Passwords extends Pick<Methods, 'requestPasswordReset' | 'resetPassword' | 'changePassword'> {
  /** Resolves when every letter begun so far is spooled or has failed. */
  settled(): Promise<void>
}

export function createPasswords({ repo, sessions, attempts, clock, config, mail, log, tenancy }: Parts, { prove }: SignIn): Passwords {
  const letters = new Set<Promise<void>>()
  const now = () => new Date(clock.nowMs())

  /** Not awaited by the answer: writing a letter takes time, and there is none to write for an unknown account. */
  const post = (to: string, { subject, text }: { subject: string; text: string }, requestId: string): void => {
    if (letters.size >= mostLetters) {
      log.warn('identity.mail-dropped', { requestId })
      return
    }
    const letter: Promise<void> = mail
      .send({ to, subject, text })
      .catch((error: unknown) => log.error('identity.mail-failed', { requestId, error }))
      .finally(() => letters.delete(letter))
    letters.add(letter)
  }

  return {
    async settled() {
      await Promise.all(letters)
    },

    async requestPasswordReset(scope, { email }) {
      const token = randomToken()
      const { owner, front } = await inAuthCommand(scope, async (inside) => {
        const front = await tenancy.front(inside, {})
        const at = now()
        await repo.tidyTokens(inside, at)
        const expiresAt = new Date(at.getTime() + sessionLife.resetLinkMs)
        const wanted = { id: newId(), email, hash: sha256Hex(token), now: at, expiresAt, most: mostLinksAnHour }
        const owner = await repo.addResetToken(inside, wanted)
        inside.unit.record({
          action: 'password.reset-requested',
          resource: 'Identity',
          resourceId: owner?.identityId ?? null,
          outcome: owner ? 'done' : 'denied',
        })
        return { owner, front }
      })
      // After #, so that the token reaches no server's log and no Referer.
      const link = `${originOf(front.slug, config)}/reset-password#token=${token}`
      if (owner) post(owner.email, resetLetter(owner.locale, front.legalName, link), scope.requestId)
      return {}
    },

    async resetPassword(scope, { token, newPassword }) {
      const isDone = await inAuthCommand(scope, async (inside) => {
        const at = now()
        const holder = await repo.useToken(inside, 'PASSWORD_RESET', sha256Hex(token), at)
        const account = holder && (await repo.accountBy(inside, { id: holder.identityId }))
        if (!account?.isActive) {
          recordRefusal(inside, 'CHALLENGE_OVER', account?.id ?? null, 'password.reset-refused')
          return false
        }
        // A password that is refused undoes the command: the link still works for a better one.
        checkNewPassword(newPassword, { email: account.email })
        await repo.setPassword(inside, account.id, await hashPassword(newPassword), at)
        await repo.killTokens(inside, account.id, at)
        const ended = await sessions.revoke(inside, { identityId: account.id }, { reason: 'PASSWORD_RESET', now: at })
        recordRevoked(inside, ended, 'PASSWORD_RESET')
        inside.unit.record({ action: 'password.reset', resource: 'Identity', resourceId: account.id, outcome: 'done' })
        return true
      })
      if (!isDone) throw resetLinkDead()
      return {}
    },

    async changePassword(scope, { currentPassword, newPassword, deviceToken }) {
      const { identityId, sessionId } = memberOf(scope)
      const person = await repo.person(scope, identityId)
      if (!person) throw invalidCredentials()
      const { email } = person
      checkNewPassword(newPassword, { email })
      const source = { account: email, deviceToken: deviceToken ?? null }
      const { account, attempt } = await prove(scope, source, currentPassword, 'password.change-refused')
      const passwordHash = await hashPassword(newPassword)
      const isDone = await inAuthCommand(scope, async (inside) => {
        const at = now()
        if (!(await repo.holdCredential(inside, account))) {
          recordRefusal(inside, 'PASSWORD_REPLACED', identityId, 'password.change-refused')
          return false
        }
        await attempts.takeBack(inside, attempt)
        await repo.setPassword(inside, identityId, passwordHash, at)
        await repo.killTokens(inside, identityId, at)
        const ended = await sessions.revoke(inside, { identityId }, { reason: 'PASSWORD_CHANGED', now: at, except: sessionId })
        recordRevoked(inside, ended, 'PASSWORD_CHANGED')
        inside.unit.record({ action: 'password.changed', resource: 'Identity', resourceId: identityId, outcome: 'done' })
        return true
      })
      if (!isDone) throw invalidCredentials()
      return {}
    },
  }
}

function resetLetter(locale: Locale, tenant: string, link: string): { subject: string; text: string } {
  if (locale === 'ar') {
    return {
      subject: `${tenant}: كلمة مرور جديدة`,
      text: paragraphs(
        `طلب أحدهم كلمة مرور جديدة لحسابك لدى ${tenant}.`,
        `افتح هذا الرابط خلال نصف ساعة لاختيارها:\n${link}`,
        'إن لم تطلب ذلك فلا تفعل شيئًا؛ كلمة مرورك لم تتغيّر.',
      ),
    }
  }
  return {
    subject: `${tenant}: a new password`,
    text: paragraphs(
      `Somebody asked for a new password for your account at ${tenant}.`,
      `Open this link within half an hour to choose one:\n${link}`,
      'If it was not you, do nothing: your password has not changed.',
    ),
  }
}

const paragraphs = (...all: readonly string[]): string => `${all.join('\n\n')}\n`
