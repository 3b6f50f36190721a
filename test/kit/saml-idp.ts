/**
 * A hospital's identity provider over real HTTP: it takes signed requests, verifies them with our published certificate, and answers with a
 * form to post. And a browser that keeps cookies as browsers do: an answer posted from another site carries none that is Lax.
 */
import { createHash, createPublicKey, randomUUID, verify, X509Certificate } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inflateRawSync } from 'node:zlib'
import { DOMParser } from '@xmldom/xmldom'
import { SignedXml } from 'xml-crypto'
import { encryptAssertion, makeProvider, signElement, type Provider } from './saml-provider.ts'

export interface Person {
  readonly nameId: string
  readonly format?: string
  readonly attributes?: Readonly<Record<string, readonly string[]>>
  readonly sessionIndex?: string
  /** Seconds from now. */
  readonly sessionEnds?: number
  /** When she proved herself there, in seconds from now; at once by default. */
  readonly authenticated?: number
}

export interface AnswerOptions {
  readonly acsUrl: string
  readonly audience: string
  readonly inResponseTo: string | null
  readonly person: Person
  readonly assertionId?: string
  readonly by?: Provider
  /** The PEM certificate of whom it is encrypted to. */
  readonly encryptTo?: string
  readonly issuer?: string
}

const at = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString()
const sign = (text: string) => text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`)
const emailFormat = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'

/** A signed response (base64) that says what it is told to. */
export function answerOf(provider: Provider, options: AnswerOptions): string {
  const { acsUrl, audience, inResponseTo, person, assertionId = `_${randomUUID()}`, by = provider, issuer = provider.entityId } = options
  const answers = inResponseTo === null ? '' : ` InResponseTo="${inResponseTo}"`
  const attributes = Object.entries(person.attributes ?? {}).map(
    ([name, values]) =>
      `<saml:Attribute Name="${sign(name)}">${values.map((value) => `<saml:AttributeValue>${sign(value)}</saml:AttributeValue>`).join('')}</saml:Attribute>`,
  )
  const ends = person.sessionEnds === undefined ? '' : ` SessionNotOnOrAfter="${at(person.sessionEnds)}"`
  const assertion =
    `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${assertionId}" Version="2.0" IssueInstant="${at(0)}">` +
    `<saml:Issuer>${issuer}</saml:Issuer><saml:Subject><saml:NameID Format="${person.format ?? emailFormat}">${sign(person.nameId)}</saml:NameID>` +
    `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData${answers} NotOnOrAfter="${at(300)}" Recipient="${acsUrl}"/></saml:SubjectConfirmation></saml:Subject>` +
    `<saml:Conditions NotBefore="${at(-30)}" NotOnOrAfter="${at(300)}"><saml:AudienceRestriction><saml:Audience>${audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
    `<saml:AuthnStatement AuthnInstant="${at(person.authenticated ?? 0)}" SessionIndex="${person.sessionIndex ?? '_s1'}"${ends}><saml:AuthnContext>` +
    '<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>' +
    `${attributes.length === 0 ? '' : `<saml:AttributeStatement>${attributes.join('')}</saml:AttributeStatement>`}</saml:Assertion>`
  const inside =
    options.encryptTo === undefined
      ? assertion
      : encryptAssertion(signElement(assertion, assertionId, by), new X509Certificate(options.encryptTo).publicKey)
  const response =
    `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r${randomUUID()}" Version="2.0" IssueInstant="${at(0)}" Destination="${acsUrl}"${answers}>` +
    `<saml:Issuer>${issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>${inside}</samlp:Response>`
  return Buffer.from(options.encryptTo === undefined ? signElement(response, assertionId, by) : response).toString('base64')
}

export interface IdpDouble {
  readonly provider: Provider
  readonly url: string
  /** Its metadata; several certificates while it rolls over. */
  metadata: string
  /** Who answers from now on. */
  person: Person
  /** Who signs from now on. */
  signsWith: Provider
  /** As whom it answers from now on. */
  issuer: string
  /** Our metadata as it has last read it; null: it reads it anew for every message. */
  held: string | null
  /** Whether it encrypts, to the first certificate for that in our metadata. */
  encrypts: boolean
  /** How many requests it has verified. */
  readonly seen: { id: string; forceAuthn: boolean; mayCreate: boolean; relayState: string | null }[]
  readonly logouts: string[]
  close(): Promise<void>
}

export function metadataOf(entityId: string, url: string, certificates: readonly string[], binding: 'Redirect' | 'POST' = 'Redirect'): string {
  const bare = (pem: string) => pem.replace(/-----[^-]+-----|\s/g, '')
  const keys = certificates.map(
    (pem) =>
      `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>${bare(pem)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`,
  )
  const service = (name: string, path: string) =>
    `<md:${name} Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-${binding}" Location="${url}${path}"/>`
  return (
    `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${entityId}">` +
    `<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">${keys.join('')}` +
    `${service('SingleLogoutService', '/slo')}${service('SingleSignOnService', '/sso')}</md:IDPSSODescriptor></md:EntityDescriptor>`
  )
}

const pemOf = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----`
/** The certificates of one use that a service provider's metadata names, in its order. */
export function certificatesIn(metadata: string, use: 'signing' | 'encryption'): string[] {
  return [...metadata.matchAll(/use="(signing|encryption)".*?X509Certificate>([^<]+)</gs)].filter((match) => match[1] === use).map((match) => pemOf(match[2]!))
}
const metadataAt = async (issuer: string): Promise<string> => (await fetch(issuer)).text()

/** A message that came by POST, if its own signature covers all of it and is its issuer's. @throws otherwise */
async function readPosted(message: string, ours: (issuer: string) => Promise<string>): Promise<string> {
  const xml = Buffer.from(message, 'base64').toString()
  const root = new DOMParser().parseFromString(xml, 'text/xml').documentElement!
  const signature = root.getElementsByTagNameNS('http://www.w3.org/2000/09/xmldsig#', 'Signature')[0]
  for (const publicCert of certificatesIn(await ours(/<saml:Issuer[^>]*>([^<]+)</.exec(xml)?.[1] ?? ''), 'signing')) {
    const signed = new SignedXml({ publicCert, getCertFromKeyInfo: () => null })
    signed.loadSignature(signature as never)
    if (signed.checkSignature(xml) && signed.getReferences()[0]?.uri === `#${root.getAttribute('ID')}`) return xml
  }
  throw new Error('The message is not signed by its issuer.')
}

/** Starts one. It fetches our metadata at the issuer's address to verify requests with. */
export async function startIdp(entityId = `https://idp-${randomUUID().slice(0, 8)}.example/metadata`): Promise<IdpDouble> {
  const provider = makeProvider(entityId)
  const seen: IdpDouble['seen'] = []
  const logouts: string[] = []

  const ours = async (issuer: string) => idp.held ?? metadataAt(issuer)

  const verified = async (url: URL): Promise<string> => {
    const raw = url.search.slice(1)
    const field = raw.startsWith('SAMLResponse') ? 'SAMLResponse' : 'SAMLRequest'
    const xml = inflateRawSync(Buffer.from(url.searchParams.get(field) ?? '', 'base64')).toString()
    const issuer = /<saml:Issuer[^>]*>([^<]+)</.exec(xml)?.[1] ?? ''
    const certificates = certificatesIn(await ours(issuer), 'signing')
    const signed = Buffer.from(raw.slice(0, raw.indexOf('&Signature=')))
    const signature = Buffer.from(url.searchParams.get('Signature') ?? '', 'base64')
    if (!certificates.some((pem) => verify('sha256', signed, createPublicKey(pem), signature))) throw new Error('The request is not signed by its issuer.')
    return xml
  }
  const attribute = (xml: string, name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(xml)?.[1] ?? null

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', idp.url)
    if (url.pathname === '/metadata') {
      const tag = `"${createHash('sha256').update(idp.metadata).digest('hex')}"`
      if (request.headers['if-none-match'] === tag) return void response.writeHead(304).end()
      return void response.setHeader('etag', tag).end(idp.metadata)
    }
    const form = request.method === 'POST' ? new URLSearchParams(await text(request)) : url.searchParams
    const xml = request.method === 'POST' ? await readPosted(form.get('SAMLRequest') ?? form.get('SAMLResponse') ?? '', ours) : await verified(url)
    if (url.pathname === '/slo') {
      logouts.push(xml)
      return void response.end('signed out')
    }
    const inResponseTo = attribute(xml, 'ID')!
    const relayState = form.get('RelayState')
    seen.push({ id: inResponseTo, forceAuthn: attribute(xml, 'ForceAuthn') === 'true', mayCreate: attribute(xml, 'AllowCreate') === 'true', relayState })
    const acsUrl = attribute(xml, 'AssertionConsumerServiceURL')!
    const audience = /<saml:Issuer[^>]*>([^<]+)</.exec(xml)![1]!
    const encryptTo = idp.encrypts ? certificatesIn(await ours(audience), 'encryption')[0] : undefined
    const answer = answerOf(provider, { acsUrl, audience, inResponseTo, person: idp.person, by: idp.signsWith, issuer: idp.issuer, ...(encryptTo === undefined ? {} : { encryptTo }) })
    const relay = relayState === null ? '' : `<input type="hidden" name="RelayState" value="${sign(relayState)}">`
    response.setHeader('content-type', 'text/html')
    response.end(`<form method="post" action="${acsUrl}"><input type="hidden" name="SAMLResponse" value="${answer}">${relay}<button id="go">go</button></form>`)
  }
  const server = createServer((request, response) => {
    handle(request, response).catch((error: Error) => response.writeHead(400).end(error.message))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const idp: IdpDouble = {
    provider,
    url,
    metadata: metadataOf(entityId, url, [provider.certificate]),
    person: { nameId: 'noor@hospital.example' },
    signsWith: provider,
    issuer: entityId,
    held: null,
    encrypts: false,
    seen,
    logouts,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  }
  return idp
}

export interface Page {
  readonly status: number
  readonly url: string
  readonly body: string
  readonly location: string | null
}

/** One browser: cookies by host and path, Lax ones left out of what another site posts. */
export class Browser {
  readonly #jar = new Map<string, { value: string; path: string; host: string }>()

  cookies(): readonly string[] {
    return [...this.#jar.values()].map(({ value }) => value)
  }

  has(name: string): boolean {
    return [...this.#jar.keys()].some((key) => key.endsWith(` ${name}`))
  }

  async open(url: string, init: { method?: 'GET' | 'POST'; form?: Readonly<Record<string, string>>; fromSite?: string } = {}): Promise<Page> {
    const at = new URL(url)
    const crossPost = init.method === 'POST' && init.fromSite !== undefined && new URL(init.fromSite).host !== at.host
    const mine = [...this.#jar.values()].filter(({ host, path }) => host === at.hostname && at.pathname.startsWith(path))
    const response = await fetch(url, {
      method: init.method ?? 'GET',
      redirect: 'manual',
      headers: {
        ...(crossPost || mine.length === 0 ? {} : { cookie: mine.map(({ value }) => value).join('; ') }),
        ...(init.form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      },
      ...(init.form ? { body: new URLSearchParams(init.form).toString() } : {}),
    })
    for (const header of response.headers.getSetCookie()) {
      const [pair = '', ...rest] = header.split('; ')
      const path = rest.find((one) => one.startsWith('Path='))?.slice(5) ?? '/'
      const key = `${at.hostname} ${path} ${pair.slice(0, pair.indexOf('='))}`
      if (rest.includes('Max-Age=0')) this.#jar.delete(key)
      else this.#jar.set(key, { value: pair, path, host: at.hostname })
    }
    const location = response.headers.get('location')
    return { status: response.status, url, body: await response.text(), location: location === null ? null : new URL(location, url).href }
  }

  /** Follows redirects as long as they lead to somewhere that `mayFollow` allows. */
  async follow(url: string, mayFollow: (url: string) => boolean = () => true): Promise<Page> {
    let page = await this.open(url)
    for (let step = 0; page.location !== null && mayFollow(page.location) && step < 10; step++) page = await this.open(page.location)
    return page
  }

  /** Presses the one button of a page: posts its form, from its site. */
  press(page: Page): Promise<Page> {
    const unescape = (text: string) => text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))).replace(/&amp;/g, '&')
    const action = unescape(/action="([^"]+)"/.exec(page.body)?.[1] ?? '')
    const fields = [...page.body.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)].map(([, name, value]) => [name!, unescape(value!)])
    return this.open(new URL(action, page.url).href, { method: 'POST', form: Object.fromEntries(fields), fromSite: page.url })
  }
}
