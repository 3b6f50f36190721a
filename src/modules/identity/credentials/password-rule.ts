/**
 * Which new passwords are taken: long enough, not a very common one, not the owner's e-mail. There are no composition rules
 * (NIST SP 800-63B 5.1.1.2), and a passphrase in any script is welcome.
 */
import { fault } from '../../../kernel/fault.ts'

/** Bounds of a new password in code points, counted after NFKC. */
export const passwordLength = { min: 10, max: 256 } as const

export type PasswordWeakness = 'too-short' | 'too-long' | 'unreadable' | 'common' | 'like-email'

const advice: Record<PasswordWeakness, string> = {
  'too-short': `Choose a password of at least ${passwordLength.min} characters.`,
  'too-long': `Choose a password of at most ${passwordLength.max} characters.`,
  unreadable: 'The password holds a character that cannot be stored. Type it again.',
  common: 'This password is one of the first that anybody would try. Choose another.',
  'like-email': 'The password is your e-mail address or a part of it. Choose another.',
}

export const passwordRefused = fault<{ reason: PasswordWeakness }>('invalid', 'PASSWORD_REFUSED', ({ reason }) => advice[reason])

/**
 * Accepts a new password or says what is wrong with it.
 * @param email the owner's e-mail address.
 * @throws PASSWORD_REFUSED with the reason; neither password nor address is part of it.
 */
export function checkNewPassword(plain: string, { email }: { readonly email: string }): void {
  const reason = weaknessOf(plain, email)
  if (reason) throw passwordRefused({ reason })
}

function weaknessOf(plain: string, email: string): PasswordWeakness | null {
  // Four units a code point is more than NFKC ever saves; bounds the work of normalising.
  if (plain.length > passwordLength.max * 4) return 'too-long'
  if (!plain.isWellFormed() || plain.includes('\0')) return 'unreadable'
  const normal = plain.normalize('NFKC')
  const length = [...normal].length
  if (length < passwordLength.min) return 'too-short'
  if (length > passwordLength.max) return 'too-long'
  const folded = fold(plain)
  if (common.has(folded) || repetitive.test(folded)) return 'common'
  const address = fold(email)
  if (folded === address || folded === address.slice(0, address.lastIndexOf('@'))) return 'like-email'
  return null
}

function fold(text: string): string {
  return text.normalize('NFKC').toLowerCase().trim()
}

// One to four characters over and over (NIST names repetitive passwords beside common ones).
const repetitive = /^(.{1,4})\1+$/u

/** Very common passwords that are long enough to pass the length rule; shorter ones need no list. */
const common: ReadonlySet<string> = new Set(
  `
  0123456789 1234567890 12345678910 123456789a 123456789q 1234567891 0987654321 9876543210 1029384756 1357924680 1q2w3e4r5t 1q2w3e4r5t6y
  1qaz2wsx3edc 1qazxsw23edc q1w2e3r4t5 q1w2e3r4t5y6 qazwsxedcrfv qwertyuiop qwertyuiop123 qwerty1234 qwerty12345 qwerty123456 1234qwerasdf
  asdfghjkl; asdfghjkl1 asdfghjkl123 zxcvbnm123 abcdefghij abcdefghijk abcd123456 abc1234567 a123456789 aa12345678 aa123456789
  password12 password123 password1234 password12345 password123456 password!! password1! password@123 passw0rd123 p@ssw0rd123 p@ssword123
  p@ssword1234 passwordpassword mypassword mypassword1 changeme123 changemenow changeit123 letmein123 letmein1234 welcome123 welcome1234
  welcome@123 welcome2024 welcome2025 welcome2026 iloveyou12 iloveyou123 iloveyou1234 administrator admin12345 admin123456 admin@1234
  superadmin1 superman123 football123 baseball123 basketball sunshine123 princess123 trustno1trustno1 monkey1234 dragon1234 master1234
  shadow1234 michael123 jennifer123 computer123 internet123 starwars123 whatever123 secret1234 test123456 testtest123 guest12345
  hospital123 doctor12345 nurse12345 maristan123 maristan1234 correcthorsebatterystaple
  ١٢٣٤٥٦٧٨٩٠ ٠١٢٣٤٥٦٧٨٩ كلمةالمرور كلمةالسر١٢٣ كلمةالسر123
  `
    .trim()
    .split(/\s+/)
    .map(fold),
)
