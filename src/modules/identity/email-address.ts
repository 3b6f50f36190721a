/**
 * E-mail addresses: one spelling an account, whatever case, script form or keyboard it was typed with. It refuses what a mail server or
 * a reader could be deceived by: quoted local parts, comments, address literals, blanks, control and bidi characters.
 */
import { domainToASCII } from 'node:url'
import { z } from 'zod'

// RFC 5321 §4.5.3.1: 64 octets of local part, 255 of domain, 254 of both with the sign between.
const localBytes = 64
const domainBytes = 253
const addressBytes = 254

// RFC 6531 §3.3 dot-string: letters of any script, digits, their marks, and the signs of RFC 5322 atext.
const atom = /^[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~-]+)*$/u
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** The stored form: NFC, lower case, the domain in its ASCII form (RFC 5890); null for what is no address. */
export function canonicalEmail(typed: string): string | null {
  if (typed.length > 4 * addressBytes || !typed.isWellFormed()) return null
  const text = typed.normalize('NFC').trim()
  const at = text.lastIndexOf('@')
  const local = text.slice(0, at).toLowerCase().normalize('NFC')
  if (at < 1 || !atom.test(local) || Buffer.byteLength(local) > localBytes) return null
  const domain = domainToASCII(text.slice(at + 1))
  const labels = domain.split('.')
  if (domain.length > domainBytes || labels.length < 2 || !labels.every((one) => label.test(one))) return null
  // A last label of digits is an IPv4 address in some spelling.
  if (/^\d+$/.test(labels.at(-1)!)) return null
  const address = `${local}@${domain}`
  return Buffer.byteLength(address) > addressBytes ? null : address
}

/** An e-mail address in an input. */
export const emailInput = z.string().transform((typed, context) => {
  const address = canonicalEmail(typed)
  if (address !== null) return address
  context.addIssue({ code: 'custom', message: 'is not an e-mail address' })
  return z.NEVER
})
