/** Languages of the product: English (left to right) and Arabic (right to left). */
export const locales = ['en', 'ar'] as const
export type Locale = (typeof locales)[number]

export function directionOf(locale: Locale): 'LTR' | 'RTL' {
  return locale === 'ar' ? 'RTL' : 'LTR'
}
