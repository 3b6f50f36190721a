/**
 * Blind indexes: what stands for a sealed value where it is looked for. A value is normalised, so that ways of writing it meet, and
 * hashed with a key of the tenant and the name of its field: the same value in another field or tenant gives another token.
 *
 * What a token gives away without the key: that two rows have the same value. How much that is, `leakage` measures.
 */
import { frame } from '../../platform/crypto/framing.ts'
import { hmac } from '../../platform/crypto/hash.ts'

/** `identifier`: letters and digits count; `phone`: its last nine digits; `name`: each word by itself. */
export const blindKinds = ['identifier', 'phone', 'name'] as const
export type BlindKind = (typeof blindKinds)[number]

const tokenBytes = 16
/** Of one name; a longer one is found by its first words. */
const maxWords = 12
/** National numbers without their area's zero, and with or without the country before them, end alike. */
const phoneDigits = 9

// Latin accents; Arabic harakat, hamza and madda above or below their letter, dagger alef, Quranic marks.
const marks = /[\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed]/g
const tatweel = /\u0640/g
const letters: readonly (readonly [RegExp, string])[] = [
  // Alef wasla; alef maqsura and the Farsi yaa; taa marbuta and the Urdu and Kurdish haa; the Farsi kaf.
  [/\u0671/g, '\u0627'],
  [/[\u0649\u06cc]/g, '\u064a'],
  [/[\u0629\u06c1\u06d5]/g, '\u0647'],
  [/\u06a9/g, '\u0643'],
]

/** Ways of writing that mean the same become one: compatibility forms, case, accents, Arabic letters and digits. */
export function fold(text: string): string {
  // NFKD takes alef with hamza or madda, and waw and yaa with hamza, apart into letter and mark; presentation forms become letters.
  let folded = text.normalize('NFKD').toLowerCase().replace(marks, '').replace(tatweel, '')
  for (const [from, to] of letters) folded = folded.replace(from, to)
  return folded.replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) & 0xf)).normalize('NFC')
}

/** What is hashed of a value; empty when nothing of it is left. */
export function normalised(kind: BlindKind, value: string): string[] {
  const folded = fold(value)
  switch (kind) {
    case 'identifier':
      return one(folded.replace(/[^\p{L}\p{N}]/gu, ''))
    case 'phone':
      return one(folded.replace(/\D/g, '').replace(/^0+/, '').slice(-phoneDigits))
    case 'name':
      return [...new Set(folded.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== ''))].slice(0, maxWords)
  }
}

const one = (text: string): string[] => (text === '' ? [] : [text])

/** The tokens of one value: 22 characters of base64url each, in no order that tells anything. */
export function blindTokens(key: Uint8Array, tenantId: string, field: string, kind: BlindKind, value: string): string[] {
  const tokens = normalised(kind, value).map((part) =>
    hmac(key, frame(['maristan/blind-index/v1', tenantId, field, part])).subarray(0, tokenBytes).toString('base64url'),
  )
  return tokens.sort()
}
