/** The words of the printed report, in English and Arabic. Codes of the trail stay as they are: they are what one searches for. */
import type { Locale } from '../../../kernel/locale.ts'

export interface Words {
  readonly title: string
  readonly recipient: string
  readonly actor: string
  readonly period: string
  readonly beginning: string
  readonly now: string
  readonly made: string
  readonly lines: string
  readonly head: string
  readonly proof: string
  readonly nothing: string
  readonly unsealed: string
  readonly columns: readonly [string, string, string, string, string, string, string, string]
  readonly outcome: Readonly<Record<string, string>>
  readonly kind: Readonly<Record<string, string>>
  readonly purpose: Readonly<Record<string, string>>
}

export const words: Readonly<Record<Locale, Words>> = {
  en: {
    title: 'Audit report',
    recipient: 'Recipient',
    actor: 'Acting person or program',
    period: 'Period',
    beginning: 'the beginning',
    now: 'now',
    made: 'Made',
    lines: 'Lines',
    head: 'Head of the chain',
    proof: 'Every line stands under its number in the hash chain of this tenant. Times are UTC.',
    nothing: 'Nothing happened here in this period.',
    unsealed: 'not yet',
    columns: ['No.', 'When', 'Who', 'What', 'Record', 'Outcome', 'Purpose', 'From where'],
    outcome: { done: 'done', denied: 'denied', failed: 'failed' },
    kind: { member: 'member', integration: 'program', directory: 'directory', system: 'the system', operator: 'operator', anonymous: 'nobody signed in' },
    purpose: { TREATMENT: 'treatment', PAYMENT: 'payment', OPERATIONS: 'operations', PATIENT_REQUEST: 'patient’s request' },
  },
  ar: {
    title: 'تقرير سجل التدقيق',
    recipient: 'متلقي الرعاية',
    actor: 'الشخص أو البرنامج الفاعل',
    period: 'الفترة',
    beginning: 'البداية',
    now: 'الآن',
    made: 'أُعِدّ في',
    lines: 'عدد الأسطر',
    head: 'رأس السلسلة',
    proof: 'كل سطر قائم برقمه في سلسلة البصمات الخاصة بهذه الجهة. الأوقات بالتوقيت العالمي المنسق.',
    nothing: 'لم يحدث شيء هنا في هذه الفترة.',
    unsealed: 'ليس بعد',
    columns: ['الرقم', 'الوقت', 'مَن', 'ماذا', 'السجل', 'النتيجة', 'الغرض', 'من أين'],
    outcome: { done: 'تمّ', denied: 'رُفض', failed: 'فشل' },
    kind: { member: 'عضو', integration: 'برنامج', directory: 'الدليل', system: 'النظام', operator: 'المشغّل', anonymous: 'من دون تسجيل دخول' },
    purpose: { TREATMENT: 'علاج', PAYMENT: 'دفع', OPERATIONS: 'تشغيل', PATIENT_REQUEST: 'طلب المريض' },
  },
}
