/**
 * One-time codes (RFC 6238: SHA-1, six digits, thirty seconds) and recovery codes for the day the phone is lost.
 * A code is refused outside one step to either side, and in a step that was used already (RFC 6238 §5.2).
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { HOTP, Secret, TOTP } from 'otpauth'

const stepMs = 30_000
const windowSteps = 1
const secretBytes = 20
const codeDigits = 6

/** A new shared secret of 160 bits (RFC 4226 §4 R6), in base32. Store it sealed. */
export function newTotpSecret(): string {
  return new Secret({ size: secretBytes }).base32
}

/**
 * What the enrolment picture says to an authenticator app.
 * @param account shown beside the code, usually the e-mail address.
 * @param issuer the tenant's name. Colons and control characters of both become blanks: the format cannot carry them.
 */
export function otpauthUri({ secret, account, issuer }: { secret: string; account: string; issuer: string }): string {
  const totp = new TOTP({
    secret,
    label: label(account),
    issuer: label(issuer),
    algorithm: 'SHA1',
    digits: codeDigits,
    period: stepMs / 1_000,
  })
  return totp.toString()
}

function label(text: string): string {
  return text.replace(/[:\s\p{C}]+/gu, ' ').trim()
}

/** The code of one step. */
export function totpCode({ secret, step, digits = codeDigits }: { secret: string; step: number; digits?: number }): string {
  return HOTP.generate({ secret: Secret.fromBase32(secret), algorithm: 'SHA1', digits, counter: step })
}

/** The step that `nowMs` lies in. */
export function totpStep(nowMs: number): number {
  return Math.floor(nowMs / stepMs)
}

/**
 * Checks a typed code; Arabic-Indic digits count as digits.
 * @param lastStep the step accepted last for this device, null before the first.
 * @returns the accepted step, or null. Store it by a conditional update (`where last_step < step`): two requests with one code may both
 * come this far, only one of them may go on.
 */
export function checkTotp(input: { secret: string; code: string; nowMs: number; lastStep: number | null }): number | null {
  const typed = foldDigits(input.code.slice(0, 2 * codeDigits))
  if (input.code.length !== codeDigits || !/^[0-9]+$/.test(typed)) return null
  const now = totpStep(input.nowMs)
  let accepted: number | null = null
  // Every step is compared, and the latest match wins: two equal neighbours would else leave one of them to be replayed.
  for (let step = now - windowSteps; step <= now + windowSteps; step++) {
    const matches = timingSafeEqual(Buffer.from(totpCode({ secret: input.secret, step })), Buffer.from(typed))
    if (matches && (input.lastStep === null || step > input.lastStep)) accepted = step
  }
  return accepted
}

// Arabic-Indic (U+0660) and extended Arabic-Indic (U+06F0) digits, as keyboards in Arabic, Persian and Urdu give them.
function foldDigits(text: string): string {
  return text.replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) & 0xf))
}

const recoveryCount = 10
const recoveryBytes = 10
// Crockford's base 32: no I, L, O, U, so nothing is misread and no word appears.
const recoveryAlphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/**
 * Ten recovery codes of 80 bits, like `7K3M-Q0ZD-91RT-XW5A`. Show `codes` once; store `hashes`, in the same order.
 */
export function newRecoveryCodes(): { readonly codes: readonly string[]; readonly hashes: readonly string[] } {
  const codes = Array.from({ length: recoveryCount }, newRecoveryCode)
  return { codes, hashes: codes.map((code) => hashText(code.replaceAll('-', ''))) }
}

/**
 * The hash under which a typed recovery code is stored: case, dashes and blanks do not matter, O is 0, I and L are 1.
 * A plain hash suffices, because nobody can try 2^80 codes.
 * @returns null for what cannot be a recovery code.
 */
export function hashRecoveryCode(code: string): string | null {
  if (code.length > 64) return null
  const plain = foldDigits(code).toUpperCase().replace(/[\s\p{Pd}]/gu, '').replaceAll('O', '0').replace(/[IL]/g, '1')
  return /^[0-9A-HJKMNP-TV-Z]{16}$/.test(plain) ? hashText(plain) : null
}

function newRecoveryCode(): string {
  let bits = BigInt(`0x${randomBytes(recoveryBytes).toString('hex')}`)
  let text = ''
  for (let position = 0; position < (recoveryBytes * 8) / 5; position++) {
    text += recoveryAlphabet[Number(bits & 31n)]
    bits >>= 5n
  }
  return text.match(/.{4}/g)!.join('-')
}

function hashText(plain: string): string {
  return createHash('sha256').update(`maristan-recovery|${plain}`).digest('hex')
}
