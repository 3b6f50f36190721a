/** Writes to a tenant's compliance officers when their receiver has stopped taking the trail. It names no address and no line. */
import type { Locale } from '../../../kernel/locale.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { Letter, Mail } from '../../../platform/mail.ts'
import type { Identity } from '../../identity/contract.ts'

export function failingLetter(to: string, locale: Locale, failures: number): Letter {
  if (locale === 'ar') {
    return {
      to,
      subject: 'تعذّر إرسال سجل التدقيق إلى نظامكم',
      text: [
        'السلام عليكم،',
        '',
        `لم يستلم نظامكم سجل التدقيق في ${failures} محاولات متتالية. لم يضِع شيء: يستمر الإرسال، ويُختم كل سطر هنا كالمعتاد.`,
        'السبب ظاهر في لوحة الإدارة عند بث سجل التدقيق.',
        '',
      ].join('\n'),
    }
  }
  return {
    to,
    subject: 'Your receiver does not take the audit trail',
    text: [
      'Hello,',
      '',
      `Your receiver has not taken the audit trail ${failures} times in a row. Nothing is lost: sending goes on, and every line is sealed here as before.`,
      'The console says why, where the stream of the audit trail is set.',
      '',
    ].join('\n'),
  }
}

export function createStreamNotice({ identity, mail }: { identity: Pick<Identity, 'addressesOf'>; mail: Mail }) {
  return {
    async failing(scope: Scope, { failures }: { readonly failures: number }): Promise<void> {
      const { people } = await identity.addressesOf(scope, { role: 'compliance_officer' })
      for (const { email, locale } of people) await mail.send(failingLetter(email, locale, failures))
      // An officer-less tenant shows here: somebody has to be made one.
      const outcome = people.length > 0 ? 'done' : 'failed'
      scope.unit.record({ action: 'audit.stream_notified', resource: 'AuditStream', resourceId: scope.tenantId, outcome, detail: { officers: people.length } })
    },
  }
}
