/** What an attack of the corpus is: the valid message with one change, the reason it meets, and what its guard alone holds back. */
import type { ReasonCode } from '../../../src/modules/federation/saml/guard/reasons.ts'
import type {
  LogoutInput,
  LogoutResponseInput,
  MetadataInput,
  Refused,
  ResponseInput,
  SamlGuard,
} from '../../../src/modules/federation/saml/guard/verdict.ts'
import { asking, person } from '../../kit/saml-response.ts'

/** What is sent, and where to: a guard alone is asked it, and a server over HTTP. */
export type Message =
  | { readonly kind: 'response'; readonly input: ResponseInput }
  | { readonly kind: 'logout request'; readonly input: LogoutInput }
  | { readonly kind: 'logout answer'; readonly input: LogoutResponseInput }
  | { readonly kind: 'metadata'; readonly input: MetadataInput }

export interface Attack {
  readonly name: string
  readonly reason: ReasonCode
  message(): Message
  /** In a guard built without `reason` alone: accepted, or still refused by a second guard, and why that one holds. */
  readonly without: 'accepted' | Second
}

export interface Second {
  /** The reason itself where there is no law to leave out: the code that would go on does not exist. */
  readonly still: ReasonCode
  readonly because: string
}

export const still = (reason: ReasonCode, because: string): Second => ({ still: reason, because })

export function verdictOf(guard: SamlGuard, message: Message): { readonly ok: true } | Refused {
  switch (message.kind) {
    case 'response':
      return guard.verifyResponse(message.input)
    case 'logout request':
      return guard.verifyLogoutRequest(message.input)
    case 'logout answer':
      return guard.verifyLogoutResponse(message.input)
    case 'metadata':
      return guard.readMetadata(message.input)
  }
}

/** An attack by a posted response. */
export function byResponse(
  name: string,
  reason: ReasonCode,
  without: Attack['without'],
  xml: () => string,
  other: () => Partial<ResponseInput> = () => ({}),
): Attack {
  // Made once, when first asked for: every test of an attack sends the same bytes.
  let input: ResponseInput | undefined
  return { name, reason, without, message: () => ({ kind: 'response', input: (input ??= asking(xml(), other())) }) }
}

export const intruder = 'admin@hospital.example'

/** The same message in another's name. */
export function forged(xml: string): string {
  return replaced(xml, person, intruder)
}

/** Replaces once; a change that changes nothing would attack nothing. */
export function replaced(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`The message does not hold ${from}.`)
  return text.replace(from, () => to)
}

export function partOf(xml: string, pattern: RegExp): string {
  const found = pattern.exec(xml)
  if (found === null) throw new Error(`The message does not hold ${pattern}.`)
  return found[0]
}

export const signatureOf = (xml: string) => partOf(xml, /<ds:Signature [\s\S]*<\/ds:Signature>/)
export const assertionOf = (xml: string) => partOf(xml, /<saml:Assertion [\s\S]*<\/saml:Assertion>/)
export const unsigned = (xml: string) => replaced(xml, signatureOf(xml), '')
/** Another ID, so that a copy may stand beside its original. */
export const renamed = (xml: string, id: string) => replaced(xml, `ID="${id}"`, `ID="${id}-evil"`)
