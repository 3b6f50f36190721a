/** The few pages that a person who signs in may see. Whatever went wrong, she sees the same one, with a number for her IT. */
import type { Locale } from '../../../kernel/locale.ts'
import { documentOf, html, type Html } from '../../../platform/http/page.ts'

const words = {
  refused: { en: 'You could not be signed in', ar: 'تعذّر تسجيل دخولك' },
  refusedText: {
    en: 'Nothing is wrong with your device. Try once more; if it happens again, give this number to your IT department.',
    ar: 'لا توجد مشكلة في جهازك. حاول مرة أخرى، وإذا تكرر الأمر فأعطِ هذا الرقم لقسم تقنية المعلومات لديك.',
  },
  number: { en: 'Number', ar: 'الرقم' },
  again: { en: 'Try again', ar: 'حاول مرة أخرى' },
  ask: { en: 'Sign in with your organisation', ar: 'سجّل الدخول عبر مؤسستك' },
  askEmail: { en: 'Your work e-mail address', ar: 'بريدك الإلكتروني في العمل' },
  askWhich: { en: 'Choose where you sign in', ar: 'اختر جهة تسجيل الدخول' },
  none: { en: 'No sign-in page of your organisation is set up here.', ar: 'لم تُعدّ هنا صفحة دخول لمؤسستك.' },
  go: { en: 'Continue', ar: 'متابعة' },
  post: { en: 'On to your organisation’s sign-in page', ar: 'إلى صفحة الدخول في مؤسستك' },
  out: { en: 'You are signed out', ar: 'تم تسجيل خروجك' },
  recoveredText: {
    en: 'The members of this connection can sign in with their passwords again. This code is used up; make another before passwords are switched off again.',
    ar: 'يستطيع أعضاء هذا الاتصال الدخول بكلمات مرورهم من جديد. استُهلك هذا الرمز؛ أنشئ رمزًا آخر قبل إيقاف كلمات المرور مرة أخرى.',
  },
  outText: { en: 'You can close this window.', ar: 'يمكنك إغلاق هذه النافذة.' },
  outAsk: { en: 'Sign out?', ar: 'تسجيل الخروج؟' },
  outButton: { en: 'Sign out', ar: 'تسجيل الخروج' },
  absent: { en: 'There is nothing here', ar: 'لا يوجد شيء هنا' },
  absentText: { en: 'Check the address with your IT department.', ar: 'تحقّق من العنوان مع قسم تقنية المعلومات.' },
  recover: { en: 'Let passwords in again', ar: 'إعادة السماح بكلمات المرور' },
  recoverText: {
    en: 'For the day on which your identity provider is gone. Type the recovery code that was stored when passwords were switched off.',
    ar: 'لليوم الذي يتعطل فيه مزوّد الهوية. اكتب رمز الاسترداد الذي حُفظ عند إيقاف كلمات المرور.',
  },
  code: { en: 'Recovery code', ar: 'رمز الاسترداد' },
  recovered: { en: 'Passwords work again', ar: 'كلمات المرور تعمل من جديد' },
} as const satisfies Readonly<Record<string, Readonly<Record<Locale, string>>>>

type Word = keyof typeof words

const inPersonsWords = (locale: Locale) => (word: Word) => words[word][locale]

export function refusedPage(locale: Locale, attemptId: string | null, loginPath: string): string {
  const say = inPersonsWords(locale)
  const number = attemptId === null ? null : html`<p>${say('number')}: <span class="number"><code>${attemptId}</code></span></p>`
  return documentOf({
    locale,
    title: say('refused'),
    body: html`<p>${say('refusedText')}</p>${number}<p><a class="button" href="${loginPath}">${say('again')}</a></p>`,
  })
}

export function askPage(locale: Locale, loginPath: string, connections: readonly { id: string; name: string }[], kept: Readonly<Record<string, string>>): string {
  const say = inPersonsWords(locale)
  const query = (id: string) => new URLSearchParams({ ...kept, connection: id }).toString()
  const links = connections.map(({ id, name }) => html`<p><a class="button" href="${loginPath}?${query(id)}">${name}</a></p>`)
  const hidden = Object.entries(kept).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)
  const form = html`<form method="get" action="${loginPath}">${hidden}<label>${say('askEmail')}<input type="email" name="email" required dir="ltr"></label>
<button>${say('go')}</button></form>`
  const body = connections.length === 0 ? html`<p>${say('none')}</p>` : html`<section>${form}</section><section><h2>${say('askWhich')}</h2>${links}</section>`
  return documentOf({ locale, title: say('ask'), body })
}

/** All that runs in {@link postPage}. */
export const postScript = 'document.forms[0].submit()'

/** A message on its way by the browser: sent by itself where scripts run, by one press of a button where none does. */
export function postPage(locale: Locale, action: string, fields: Readonly<Record<string, string>>): string {
  const say = inPersonsWords(locale)
  const inputs: Html[] = Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)
  const form = html`<form method="post" action="${action}">${inputs}<button autofocus>${say('go')}</button></form>`
  return documentOf({ locale, title: say('post'), body: form, script: postScript })
}

export function signedOutPage(locale: Locale): string {
  const say = inPersonsWords(locale)
  return documentOf({ locale, title: say('out'), body: html`<p>${say('outText')}</p>` })
}

export function signOutAskPage(locale: Locale, path: string): string {
  const say = inPersonsWords(locale)
  return documentOf({ locale, title: say('outAsk'), body: html`<p><a class="button" href="${path}">${say('outButton')}</a></p>` })
}

export function absentPage(locale: Locale): string {
  const say = inPersonsWords(locale)
  return documentOf({ locale, title: say('absent'), body: html`<p>${say('absentText')}</p>` })
}

export function recoverPage(locale: Locale, path: string, state: 'ask' | 'done'): string {
  const say = inPersonsWords(locale)
  if (state === 'done') return documentOf({ locale, title: say('recovered'), body: html`<p>${say('recoveredText')}</p>` })
  const form = html`<form method="post" action="${path}"><label>${say('code')}<input name="code" required autocomplete="off" dir="ltr"></label><button>${say('go')}</button></form>`
  return documentOf({ locale, title: say('recover'), body: html`<p>${say('recoverText')}</p>${form}` })
}
