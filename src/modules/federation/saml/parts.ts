/** What SAML's use cases are made of: our addresses, the cookie that binds a browser, and the shapes between them. */
import type { Clock } from '../../../kernel/clock.ts'
import { isUuid } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import { isLoopbackHost, type Config } from '../../../platform/config.ts'
import { randomToken, sha256Hex } from '../../../platform/crypto/hash.ts'
import type { Egress } from '../../../platform/http/egress.ts'
import type { Log } from '../../../platform/http/log.ts'
import type { Mail } from '../../../platform/mail.ts'
import type { Identity } from '../../identity/contract.ts'
import type { Tenancy } from '../../tenancy/contract.ts'
import type { Vault } from '../../vault/contract.ts'
import type { SamlGuard, VerifiedAssertion } from './guard/verdict.ts'
import type { Keys } from './keys.ts'
import type { Addresses, Endpoint } from './messages.ts'
import type { Connection, Repo } from './repo.ts'
import type { TrafficRepo } from './repo-traffic.ts'

export interface Parts {
  readonly repo: Repo
  readonly traffic: TrafficRepo
  readonly keys: Keys
  readonly guard: SamlGuard
  readonly identity: Identity
  readonly tenancy: Pick<Tenancy, 'front'>
  readonly vault: Pick<Vault, 'sealSecrets' | 'openSecrets'>
  readonly egress: Egress
  /** The texts of a name's TXT records; empty when there are none. */
  readonly txtOf: (name: string) => Promise<readonly string[]>
  readonly clock: Clock
  readonly config: Pick<Config, 'publicUrl' | 'host' | 'port' | 'trustedProxies'>
  readonly mail: Mail
  readonly log: Log
}

/** Where the outside reaches a tenant: made of the configuration only, a request's Host header could be anybody's. */
function baseOf(slug: string, { publicUrl, host, port }: Parts['config']): string {
  if (publicUrl !== null) {
    const url = new URL(publicUrl)
    return `${url.protocol}//${slug}.${url.host}`
  }
  // On one machine a name of its own for each tenant often does not resolve.
  const name = isLoopbackHost(host) ? host : '127.0.0.1'
  return `http://${name === '::1' ? '[::1]' : name}:${port}`
}

export async function addressesOf({ tenancy, config }: Pick<Parts, 'tenancy' | 'config'>, scope: Scope): Promise<Addresses & { readonly setupUrl: string; readonly slug: string }> {
  const { slug } = await tenancy.front(scope, {})
  const base = `${baseOf(slug, config)}/saml/${slug}`
  return {
    slug,
    entityId: `${base}/metadata`,
    metadataUrl: `${base}/metadata`,
    acsUrl: `${base}/acs`,
    loginUrl: `${base}/login`,
    logoutUrl: `${base}/logout`,
    setupUrl: `${base}/setup`,
  }
}

/** Whether our cookies are for https only: always, but on one machine by plain http. */
function isSecureOnly({ publicUrl, host, trustedProxies }: Parts['config']): boolean {
  if (publicUrl !== null) {
    const { protocol, hostname } = new URL(publicUrl)
    return protocol === 'https:' || !(hostname.endsWith('localhost') || isLoopbackHost(hostname))
  }
  return !isLoopbackHost(host) || trustedProxies.length > 0
}

/** A cookie below a tenant's SAML paths. Lax: another site's form cannot send it, coming back from the identity provider can. */
export function cookieOf(name: string, value: string, options: { slug: string; maxAgeSeconds: number; config: Parts['config'] }): string {
  const { slug, maxAgeSeconds, config } = options
  const parts = [`${name}=${value}`, `Path=/saml/${slug}`, 'HttpOnly', 'SameSite=Lax', `Max-Age=${maxAgeSeconds}`]
  return [...parts, ...(isSecureOnly(config) ? ['Secure'] : [])].join('; ')
}

export const setupCookie = 'saml_setup'

/** The cookie that binds one request to one browser. Each request has its own: two tabs do not disturb each other. */
export function bindingName(id: string): string {
  return `saml_${id.replaceAll('-', '').slice(-12)}`
}

export function newSecret(purpose: string): { readonly value: string; readonly hash: string } {
  const value = randomToken()
  return { value, hash: hashOf(purpose, value) }
}

export function hashOf(purpose: string, value: string): string {
  return sha256Hex(`maristan-saml-${purpose}|${value}`)
}

/** A link to a test sign-in carries its row's id and a secret. */
export const testLinkToken = (id: string, secret: string): string => `${id}.${secret}`
export function readTestLink(token: string): { id: string; hash: string } | null {
  const [id = '', secret = '', ...rest] = token.split('.')
  return isUuid(id) && rest.length === 0 ? { id, hash: hashOf('test-link', secret) } : null
}

/** Our ids in messages: an XML ID does not begin with a digit. */
export const messageId = (id: string): string => `_${id}`
export function idOfMessage(text: string | null): string | null {
  return text === null ? null : (/^_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(text)?.[1] ?? null)
}

export function ssoOf({ ssoUrl, ssoBinding }: Connection): Endpoint | null {
  return ssoUrl === null ? null : { url: ssoUrl, binding: ssoBinding === 'post' ? 'post' : 'redirect' }
}

/** @param answers where answers go: it may be another address. */
export function sloOf({ sloUrl, sloResponseUrl, sloBinding }: Connection, answers: boolean): Endpoint | null {
  const url = answers ? (sloResponseUrl ?? sloUrl) : sloUrl
  return url === null ? null : { url, binding: sloBinding === 'post' ? 'post' : 'redirect' }
}

/** Every certificate that a message may be signed with, those to come included. */
export function verifiersOf({ entityId, certificates }: Connection) {
  if (entityId === null) throw new Error('A connection in use knows its identity provider.')
  return { entityId, certificates: certificates.filter(({ state }) => state !== 'RETIRED').slice(0, 16).map(({ pem }) => pem) }
}

/** The assertion as text for its seal, and back. */
export function packAssertion(assertion: VerifiedAssertion): string {
  return JSON.stringify({ ...assertion, attributes: [...assertion.attributes] })
}

export function unpackAssertion(text: string): VerifiedAssertion {
  const packed = JSON.parse(text) as Record<keyof VerifiedAssertion, never> & { attributes: [string, string[]][] }
  const date = (value: string | null) => (value === null ? null : new Date(value))
  return {
    ...packed,
    attributes: new Map(packed.attributes),
    authnInstant: new Date(packed.authnInstant),
    notOnOrAfter: new Date(packed.notOnOrAfter),
    sessionNotOnOrAfter: date(packed.sessionNotOnOrAfter),
  }
}
