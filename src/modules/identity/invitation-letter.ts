/** What an invited person receives: the letter in her language, and in it the only copy of the link's secret. */
import type { Locale } from '../../kernel/locale.ts'
import { randomToken, sha256Hex } from '../../platform/crypto/hash.ts'
import type { Letter } from '../../platform/mail.ts'

export const invitationLifeMs = 72 * 60 * 60_000

const tokenShape = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** A new secret with the hash to store. */
export function newInvitationToken(): { readonly token: string; readonly tokenHash: string } {
  const token = randomToken()
  return { token, tokenHash: hashOf(token) }
}

/** The hash a typed token is stored under; null for what {@link newInvitationToken} would not have made. */
export function invitationTokenHash(token: string): string | null {
  return tokenShape.test(token) ? hashOf(token) : null
}

const hashOf = (token: string): string => sha256Hex(`maristan-invitation|${token}`)

/** Behind the number sign, so that the secret reaches neither a proxy's log nor another site's Referer. */
export function acceptUrl(tenantUrl: string, token: string): string {
  return `${tenantUrl}/invite#${token}`
}

/** Isolated (Unicode UAX 9 §2.4), so that a name in the other direction leaves the sentence around it in order. */
const isolated = (text: string): string => `\u2068${text}\u2069`

export function invitationLetter(to: string, { locale, tenantName, url }: { locale: Locale; tenantName: string; url: string }): Letter {
  const name = isolated(tenantName)
  if (locale === 'ar') {
    return {
      to,
      subject: `دعوة للانضمام إلى ${name}`,
      text: [
        'السلام عليكم،',
        '',
        `تدعوك ${name} للانضمام إليها. لقبول الدعوة افتح هذا الرابط:`,
        '',
        url,
        '',
        'يعمل الرابط مرة واحدة ولمدة ٧٢ ساعة. إن لم تكن تنتظر هذه الدعوة فتجاهل هذه الرسالة.',
        '',
      ].join('\n'),
    }
  }
  return {
    to,
    subject: `Invitation to join ${name}`,
    text: [
      'Hello,',
      '',
      `${name} invites you to join. To accept, open this link:`,
      '',
      url,
      '',
      'The link works once and for 72 hours. If you did not expect this invitation, ignore this letter.',
      '',
    ].join('\n'),
  }
}
