/** Which characters may stand in a document, and what references to characters mean. */
import { Refusal } from '../laws.ts'

/** XML 1.0 §2.2, production Char. A lone surrogate is outside of it. */
const forbidden = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u
const reference = /&(?:(amp|lt|gt|quot|apos)|#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7}));|&([A-Za-z_][\w.-]{0,40};)?/g
const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

export function isXmlText(text: string): boolean {
  return !forbidden.test(text)
}

/**
 * Text with its references resolved, once: what they stand for is not read again.
 * @throws Refusal for an entity beyond the five (none can be declared) and for a character that XML forbids.
 */
export function resolve(written: string): string {
  if (!written.includes('&')) return written
  return written.replace(reference, (_, name?: string, hex?: string, decimal?: string, other?: string) => {
    if (name !== undefined) return named[name]!
    if (other !== undefined) throw new Refusal('XML_ENTITY', `the entity &${other}`)
    if (hex === undefined && decimal === undefined) throw new Refusal('XML_MALFORMED', 'an "&" that begins no reference')
    const code = hex === undefined ? Number.parseInt(decimal!, 10) : Number.parseInt(hex, 16)
    const character = code <= 0x10ffff ? String.fromCodePoint(code) : '\0'
    if (!isXmlText(character)) throw new Refusal('XML_CHARACTER', `a reference to character ${code}`)
    return character
  })
}
