/** What compliance officers receive when a record was opened in an emergency. It names no patient and nobody who opened it. */
import type { Locale } from '../../../kernel/locale.ts'
import type { Letter } from '../../../platform/mail.ts'

/** Isolated (Unicode UAX 9 §2.4), so that an id leaves the sentence around it in order. */
const isolated = (text: string): string => `\u2068${text}\u2069`

/** @param isOverdue nobody has taken the review up in time. */
export function emergencyLetter(to: string, { locale, grantId, isOverdue }: { locale: Locale; grantId: string; isOverdue: boolean }): Letter {
  const id = isolated(grantId)
  if (locale === 'ar') {
    return {
      to,
      subject: isOverdue ? 'مراجعة متأخرة لوصول طارئ' : 'فُتح سجل في حالة طارئة',
      text: [
        'السلام عليكم،',
        '',
        isOverdue ? `لم يراجع أحد بعدُ الوصول الطارئ ${id}.` : `فُتح سجل خارج صلاحية من فتحه، في حالة طارئة: ${id}.`,
        'الرجاء مراجعته في قائمة المراجعات في لوحة الإدارة. لا يسقط هذا البند من تلقاء نفسه.',
        '',
      ].join('\n'),
    }
  }
  return {
    to,
    subject: isOverdue ? 'An emergency access still waits for review' : 'A record was opened in an emergency',
    text: [
      'Hello,',
      '',
      isOverdue
        ? `Nobody has reviewed the emergency access ${id} yet.`
        : `A record was opened in an emergency, outside the reach of the person who opened it: ${id}.`,
      'Please review it in the review queue of the console. It does not lapse by itself.',
      '',
    ].join('\n'),
  }
}
