/**
 * The one client for addresses that somebody else names (metadata, hooks). It refuses everything that is not the public internet by https:
 * addresses are judged after the name is resolved and the connection goes to the very address that was judged (no rebinding), redirects
 * are judged anew, and size and time are bounded. It sends no cookies, no credentials and no referrer.
 */
import { lookup } from 'node:dns'
import { rootCertificates } from 'node:tls'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import type { Agent, request } from 'undici'
import { fault } from '../../kernel/fault.ts'

export const egressRefused = fault<{ reason: string }>('invalid', 'EGRESS_REFUSED', ({ reason }) => `This address cannot be fetched: ${reason}.`)

export interface EgressAnswer {
  readonly status: number
  readonly body: Uint8Array
  readonly etag: string | null
}

export interface EgressOptions {
  readonly maxBytes: number
  readonly timeoutMs: number
  readonly etag?: string | null
  /**
   * Somebody responsible has vouched for this address: it, and nothing that it redirects to, may be private and plain http.
   */
  readonly vouched?: boolean
}

export interface EgressPost extends Pick<EgressOptions, 'maxBytes' | 'timeoutMs' | 'vouched'> {
  readonly headers: Readonly<Record<string, string>>
  /** Certificates (PEM) that count beside the public ones. */
  readonly authorities?: string | null
}

export interface Egress {
  /**
   * Sends a text, by https in any case, and follows no redirect: what is sent is for this address alone.
   * @throws EGRESS_REFUSED, with a reason that names no address of ours
   */
  post(url: string, body: string, options: EgressPost): Promise<Pick<EgressAnswer, 'status'>>
  /** @throws EGRESS_REFUSED, with a reason that names no address of ours */
  get(url: string, options: EgressOptions): Promise<EgressAnswer>
  close(): Promise<void>
}

const mostRedirects = 3

// RFC 6890 and its registries: everything that is not globally reachable, and what tunnels to it.
const notPublic = new BlockList()
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  notPublic.addSubnet(net, prefix, 'ipv4')
}
const publicV6 = new BlockList()
publicV6.addSubnet('2000::', 3, 'ipv6')
for (const [net, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  notPublic.addSubnet(net, prefix, 'ipv6')
}

/** Whether an address is of the public internet. IPv6 outside 2000::/3, mapped and translated ones included, is not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !notPublic.check(address, 'ipv4')
  if (family !== 6 || address.includes('%')) return false
  return publicV6.check(address, 'ipv6') && !notPublic.check(address, 'ipv6')
}

/** Resolves a name and refuses it whole when any of its addresses is not allowed. */
function guardedLookup(allowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true, verbatim: true }, (error, addresses) => {
      if (error) return callback(error, '', 4)
      const [first] = addresses
      if (!first || !addresses.every(({ address }) => allowed(address))) {
        return callback(Object.assign(new Error('private'), { code: 'EGRESS_PRIVATE' }), '', 4)
      }
      if (options.all) return callback(null, addresses)
      callback(null, first.address, first.family)
    })
  }
}

/** @param allowed which addresses may be reached when nobody vouched; the public ones unless told. */
export function createEgress(allowed: (address: string) => boolean = isPublicAddress): Egress {
  let client: Promise<Client> | undefined
  /** Loaded with the first address: it takes a seventh of a second, and most processes ask nobody. */
  const load = () => (client ??= loadClient(allowed))

  const judge = (text: string, vouched: boolean): URL => {
    const url = URL.parse(text)
    if (!url || (url.protocol !== 'https:' && !(vouched && url.protocol === 'http:'))) throw egressRefused({ reason: 'it is not an https address' })
    if (url.username !== '' || url.password !== '') throw egressRefused({ reason: 'it holds a user name' })
    const host = url.hostname.replace(/^\[|\]$/g, '')
    // Node connects to a literal address without asking the lookup.
    if (!vouched && isIP(host) !== 0 && !allowed(host)) throw egressRefused({ reason: 'it is a private address' })
    return url
  }

  const once = async (url: URL, options: EgressOptions, signal: AbortSignal) => {
    const headers = { 'user-agent': 'maristan', accept: '*/*', 'accept-encoding': 'identity', ...(options.etag ? { 'if-none-match': options.etag } : {}) }
    const { request, open, strict } = await load()
    const answer = await request(url, { method: 'GET', headers, signal, dispatcher: options.vouched ? open : strict })
    const { statusCode: status, headers: given } = answer
    const location = given['location']
    if (status >= 300 && status < 400 && status !== 304 && typeof location === 'string') {
      await answer.body.dump({ limit: 16 * 1024, signal }).catch(() => {})
      return { location: URL.parse(location, url)?.href ?? '' }
    }
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of answer.body) {
      size += (chunk as Buffer).length
      if (size > options.maxBytes) throw egressRefused({ reason: 'the answer is too large' })
      chunks.push(chunk as Buffer)
    }
    const etag = given['etag']
    return { location: undefined, status, body: Buffer.concat(chunks, size), etag: typeof etag === 'string' && etag.length <= 200 ? etag : null }
  }

  return {
    async get(text, options) {
      const signal = AbortSignal.timeout(options.timeoutMs)
      try {
        let next: URL = judge(text, options.vouched === true)
        for (let step = 0; step <= mostRedirects; step++) {
          // Nobody vouched for where a redirect leads.
          const answer = await once(next, step === 0 ? options : { ...options, vouched: false }, signal)
          if (answer.location === undefined) return answer
          next = judge(answer.location, false)
        }
        throw egressRefused({ reason: 'it redirects too often' })
      } catch (error) {
        if (egressRefused.is(error)) throw error
        throw egressRefused({ reason: signal.aborted ? 'it took too long' : whyFailed(error) })
      }
    },
    async post(text, body, { headers, authorities, maxBytes, timeoutMs, vouched = false }) {
      const signal = AbortSignal.timeout(timeoutMs)
      const url = judge(text, vouched)
      if (url.protocol !== 'https:') throw egressRefused({ reason: 'it is not an https address' })
      const { request, agentFor, open, strict } = await load()
      const own = authorities ? agentFor(vouched ? () => true : allowed, [...rootCertificates, authorities]) : null
      try {
        const dispatcher = own ?? (vouched ? open : strict)
        const answer = await request(url, { method: 'POST', headers: { 'user-agent': 'maristan', ...headers }, body, signal, dispatcher })
        await answer.body.dump({ limit: maxBytes, signal })
        return { status: answer.statusCode }
      } catch (error) {
        throw egressRefused({ reason: signal.aborted ? 'it took too long' : whyFailed(error) })
      } finally {
        await own?.destroy()
      }
    },
    async close() {
      if (client === undefined) return
      const { strict, open } = await client
      await Promise.all([strict.destroy(), open.destroy()])
    },
  }
}

interface Client {
  readonly request: typeof request
  agentFor(may: (address: string) => boolean, ca?: readonly string[]): Agent
  readonly strict: Agent
  readonly open: Agent
}

async function loadClient(allowed: (address: string) => boolean): Promise<Client> {
  const { Agent, request } = await import('undici')
  const agentFor: Client['agentFor'] = (may, ca) =>
    new Agent({
      connect: { lookup: guardedLookup(may), timeout: 5_000, ...(ca ? { ca: [...ca] } : {}) },
      connections: 4,
      pipelining: 0,
      maxHeaderSize: 16 * 1024,
    })
  return { request, agentFor, strict: agentFor(allowed), open: agentFor(() => true) }
}

function whyFailed(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  if (code === 'EGRESS_PRIVATE') return 'it is a private address'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its name is unknown'
  if (typeof code === 'string' && /CERT|SIGNED|ALTNAME/.test(code)) return 'its certificate is not one that is trusted'
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return 'it took too long'
  return 'it does not answer as it should'
}
