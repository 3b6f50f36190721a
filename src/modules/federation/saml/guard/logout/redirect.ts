/**
 * The redirect binding (SAML bindings §3.4): a deflated message in the query, its signature over the query as it was sent.
 * Refuses doubled parameters, foreign encodings, what inflates beyond the bounds, and everything unsigned.
 */
import { inflateRawSync } from 'node:zlib'
import { Refusal, shown, type Laws } from '../laws.ts'
import { deflateEncoding } from '../names.ts'
import { signatureAlgorithms } from '../signature/algorithms.ts'
import { signingKeysOf } from '../signature/certificates.ts'
import { keyThatVerifies } from '../signature/enveloped.ts'
import { fromBase64 } from '../xml/decode.ts'
import { messageLimits } from '../xml/limits.ts'

/** Longer than browsers and servers carry. */
const mostQuery = 32 * 1024
const names = ['SAMLRequest', 'SAMLResponse', 'RelayState', 'SigAlg', 'Signature', 'SAMLEncoding'] as const
type Name = (typeof names)[number]

/** Values as they stand in the query, still encoded. */
function parametersOf(query: string, laws: Laws): ReadonlyMap<Name, string> {
  laws.demand(query.length <= mostQuery, 'MESSAGE_TOO_LARGE', () => `a query of ${query.length} characters`)
  const found = new Map<Name, string>()
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    const name = names.find((one) => one === (equals < 0 ? pair : pair.slice(0, equals)))
    if (name === undefined) continue
    laws.demand(!found.has(name), 'QUERY_MALFORMED', () => `${name} twice`)
    found.set(name, equals < 0 ? '' : pair.slice(equals + 1))
  }
  return found
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw new Refusal('QUERY_MALFORMED', 'a percent-encoding')
  }
}

function inflated(bytes: Buffer): Buffer {
  try {
    return inflateRawSync(bytes, { maxOutputLength: messageLimits.bytes })
  } catch (error) {
    const large = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    throw new Refusal(
      large ? 'MESSAGE_TOO_LARGE' : 'NOT_DEFLATED',
      large ? `more than ${messageLimits.bytes} bytes inflated` : 'the message',
    )
  }
}

export interface RedirectMessage {
  readonly bytes: Buffer
  readonly relayState: string | null
  readonly certificateFingerprint: string
}

/** @throws Refusal unless the query carries a message under `parameter` and one of the certificates signed both. */
export function verifyRedirect(
  query: string,
  parameter: 'SAMLRequest' | 'SAMLResponse',
  certificates: readonly string[],
  laws: Laws,
): RedirectMessage {
  const parameters = parametersOf(query, laws)
  const raw = (name: Name) => parameters.get(name) ?? null
  const message = raw(parameter)
  if (message === null) throw new Refusal('QUERY_MALFORMED', `no ${parameter}`)
  const other = parameter === 'SAMLRequest' ? 'SAMLResponse' : 'SAMLRequest'
  laws.demand(raw(other) === null, 'QUERY_MALFORMED', () => `${other} beside ${parameter}`)
  const encoding = raw('SAMLEncoding')
  laws.demand(encoding === null || decoded(encoding) === deflateEncoding, 'NOT_DEFLATED', () => shown(encoding))

  const [algorithm, signature] = [raw('SigAlg'), raw('Signature')]
  if (algorithm === null || signature === null) throw new Refusal('SIGNATURE_MISSING', 'no SigAlg or no Signature')
  const uri = decoded(algorithm)
  laws.demand(signatureAlgorithms.has(uri), 'SIGNATURE_ALGORITHM', () => shown(uri))
  const value = fromBase64(decoded(signature))
  if (value === null) throw new Refusal('NOT_BASE64', 'the Signature')
  const relay = raw('RelayState')
  // §3.4.4.1: these parameters in this order, each exactly as it was sent.
  const signed = `${parameter}=${message}${relay === null ? '' : `&RelayState=${relay}`}&SigAlg=${algorithm}`
  const key = keyThatVerifies(uri, Buffer.from(signed), value, signingKeysOf(certificates))
  laws.demand(key !== null, 'SIGNATURE_INVALID', () => 'the signature of the query')

  const bytes = fromBase64(decoded(message))
  if (bytes === null) throw new Refusal('NOT_BASE64', parameter)
  // A blank may be written as "+" in a query.
  const relayState = relay === null ? null : decoded(relay.replaceAll('+', ' '))
  return { bytes: inflated(bytes), relayState, certificateFingerprint: key?.fingerprint ?? '' }
}
