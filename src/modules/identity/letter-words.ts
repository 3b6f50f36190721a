/** What the pages behind our letters' links say, in English and Arabic. */
import type { Fault } from '../../kernel/fault.ts'
import type { Locale } from '../../kernel/locale.ts'
import type { PasswordWeakness } from './credentials/password-rule.ts'

type Both = Readonly<Record<Locale, string>>

export const letterWords = {
  join: { en: 'You are invited to join', ar: 'أنت مدعوّ للانضمام إلى' },
  joinText: {
    en: 'Choose a password of at least 10 characters. If you already have a password here, type that one.',
    ar: 'اختر كلمة مرور من ١٠ أحرف على الأقل. إن كانت لديك كلمة مرور هنا فاكتبها.',
  },
  joinButton: { en: 'Accept the invitation', ar: 'اقبل الدعوة' },
  joined: { en: 'You have joined', ar: 'لقد انضممت إلى' },
  reset: { en: 'Choose a new password for', ar: 'اختر كلمة مرور جديدة لدى' },
  resetText: {
    en: 'At least 10 characters. Wherever you are signed in, you will be signed out.',
    ar: '١٠ أحرف على الأقل. سيتم تسجيل خروجك من كل الأجهزة.',
  },
  resetButton: { en: 'Set the password', ar: 'احفظ كلمة المرور' },
  resetDone: { en: 'Your new password works at', ar: 'كلمة مرورك الجديدة تعمل لدى' },
  signIn: { en: 'You can sign in with it now. You may close this window.', ar: 'يمكنك الآن تسجيل الدخول بها. يمكنك إغلاق هذه النافذة.' },
  code: { en: 'The part of the link after the sign #', ar: 'الجزء من الرابط بعد العلامة #' },
  password: { en: 'Password', ar: 'كلمة المرور' },
  show: { en: 'Show the password', ar: 'أظهر كلمة المرور' },
} as const satisfies Readonly<Record<string, Both>>

export type LetterWord = keyof typeof letterWords

const weaknesses: Readonly<Record<PasswordWeakness, string>> = {
  'too-short': 'اختر كلمة مرور من ١٠ أحرف على الأقل.',
  'too-long': 'اختر كلمة مرور من ٢٥٦ حرفًا على الأكثر.',
  unreadable: 'في كلمة المرور حرف لا يمكن حفظه. اكتبها من جديد.',
  common: 'كلمة المرور هذه من أول ما يجرّبه أي شخص. اختر غيرها.',
  'like-email': 'كلمة المرور هي بريدك الإلكتروني أو جزء منه. اختر غيرها.',
}

const refusals: Readonly<Record<string, Both>> = {
  INVALID_CREDENTIALS: {
    en: 'You already have a password here, and this is not it.',
    ar: 'لديك كلمة مرور هنا، وهذه ليست هي.',
  },
  INVITATION_INVALID: { en: 'This invitation is not valid any more. Ask for a new one.', ar: 'لم تعد هذه الدعوة صالحة. اطلب دعوة جديدة.' },
  RESET_LINK_DEAD: { en: 'This link was used or is too old. Ask for a new one.', ar: 'استُخدم هذا الرابط أو مضى وقته. اطلب رابطًا جديدًا.' },
  TOO_MANY_REQUESTS: { en: 'Too many attempts. Wait a little and try again.', ar: 'محاولات كثيرة. انتظر قليلًا ثم حاول مرة أخرى.' },
  STALE_VERSION: { en: 'Something changed meanwhile. Try once more.', ar: 'تغيّر شيء في هذه الأثناء. حاول مرة أخرى.' },
}

const otherwise = 'تعذّر ذلك. حاول مرة أخرى، وإذا تكرر الأمر فاذكر هذا الرمز:'

/** Why it was refused, for the person who tried. */
export function refusalIn(locale: Locale, fault: Fault): string {
  const known = refusals[fault.code]
  if (known) return known[locale]
  if (locale === 'en') return fault.message
  const weakness = (fault.data as { reason?: PasswordWeakness } | undefined)?.reason
  return (fault.code === 'PASSWORD_REFUSED' && weakness && weaknesses[weakness]) || `${otherwise} ${fault.code}`
}
