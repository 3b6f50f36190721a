/** Which of our languages a request asks for. */
import { locales, type Locale } from '../../kernel/locale.ts'

/** The reader's language out of `Accept-Language` (RFC 9110 §12.5.4); the tenant's own where it names none of ours. */
export function localeOf(acceptLanguage: string | undefined, fallback: Locale): Locale {
  for (const part of (acceptLanguage ?? '').slice(0, 200).split(',')) {
    const language = part.trim().slice(0, 2).toLowerCase()
    const found = locales.find((locale) => locale === language)
    if (found) return found
  }
  return fallback
}
