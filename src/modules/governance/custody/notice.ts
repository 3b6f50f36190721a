/** Tells everybody who could still stop it that their organisation is to leave: its administrators and its compliance officers. */
import type { Locale } from '../../../kernel/locale.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { Letter, Mail } from '../../../platform/mail.ts'
import type { Identity } from '../../identity/contract.ts'
import type { CustodyRepo } from './repo.ts'

/** Isolated (Unicode UAX 9 §2.4), so that a date leaves the sentence around it in order. */
const isolated = (text: string): string => `\u2068${text}\u2069`

export function leavingLetter(to: string, locale: Locale, dueAt: Date): Letter {
  const when = isolated(`${dueAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`)
  if (locale === 'ar') {
    return {
      to,
      subject: 'طُلب إنهاء حساب مؤسستكم',
      text: [
        'السلام عليكم،',
        '',
        `طلب أحد مديري مؤسستكم إنهاءها في هذا النظام. بعد ${when} تُصدَّر بياناتها ثم تُتلف مفاتيحها، ولا رجوع عن ذلك.`,
        'حتى ذلك الوقت يستطيع أي مدير إلغاء الطلب في لوحة الإدارة، ويستطيع مسؤول الامتثال وضع حجز قانوني.',
        '',
      ].join('\n'),
    }
  }
  return {
    to,
    subject: 'Your organisation has been asked to leave this system',
    text: [
      'Hello,',
      '',
      `An administrator of your organisation asked for it to leave. After ${when} its data is exported, and then its keys are destroyed for good.`,
      'Until then any administrator can cancel this on the console, and a compliance officer can place a legal hold.',
      '',
    ].join('\n'),
  }
}

export function createNotice({ repo, identity, mail }: { repo: CustodyRepo; identity: Pick<Identity, 'addressesOf'>; mail: Mail }) {
  return {
    async asked(scope: Scope, { offboardingId }: { readonly offboardingId: string }): Promise<void> {
      const row = await repo.offboarding(scope)
      if (row?.id !== offboardingId || row.state !== 'WAITING') return
      const letters = new Map<string, Locale>()
      for (const role of ['tenant_admin', 'compliance_officer'] as const) {
        for (const { email, locale } of (await identity.addressesOf(scope, { role })).people) letters.set(email, locale)
      }
      for (const [email, locale] of letters) await mail.send(leavingLetter(email, locale, row.dueAt))
      const detail = { people: letters.size }
      scope.unit.record({ action: 'offboarding.notified', resource: 'Offboarding', resourceId: offboardingId, outcome: 'done', detail })
    },
  }
}
