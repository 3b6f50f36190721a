/**
 * Who calls, under which host and protocol. Forwarded headers (X-Forwarded-*, and Forwarded of RFC 7239) are believed from a
 * trusted proxy only; what contradicts itself is refused rather than guessed.
 */
import { BlockList, isIP } from 'node:net'
import type { IncomingMessage } from 'node:http'

export interface Client {
  /** An IPv4 or IPv6 address: the rightmost hop that is no trusted proxy. */
  readonly address: string
  /** Lower case, without port or final dot; an IPv6 literal keeps its brackets. */
  readonly host: string
  readonly protocol: 'http' | 'https'
  /** True when any forwarding header is present, believed or not. */
  readonly forwarded: boolean
}

export type ClientReader = (request: IncomingMessage) => Client | null

const labels = /^(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/
const forwardingHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via'] as const

/** The host of a Host header's value, or null when it is no valid `uri-host [":" port]` (RFC 9110 §7.2). */
export function hostOf(value: string): string | null {
  if (value.length > 300) return null
  const parts = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(\d{1,5}))?$/.exec(value.toLowerCase())
  if (!parts?.[1] || Number(parts[2] ?? 0) > 65_535) return null
  if (parts[1].startsWith('[')) return isIP(parts[1].slice(1, -1)) === 6 ? parts[1] : null
  const name = parts[1].endsWith('.') ? parts[1].slice(0, -1) : parts[1]
  if (/^[\d.]+$/.test(name)) return isIP(name) === 4 ? name : null
  return name.length <= 253 && labels.test(name) ? name : null
}

/** An address without port, brackets, quotes or zone; an IPv4-mapped one as IPv4. Null for anything else (`unknown`, `_hidden`). */
export function addressOf(text: string): string | null {
  const bare = text.trim().replace(/^"(.*)"$/, '$1')
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(bare)
  const address = (bracketed?.[1] ?? bare.replace(/^([\d.]+):\d{1,5}$/, '$1')).replace(/%[\w.-]+$/, '').toLowerCase()
  const mapped = address.replace(/^::ffff:(?=\d+\.)/, '')
  return isIP(mapped) ? mapped : null
}

/** The addresses and networks (`10.0.0.0/8`, `2001:db8::/32`, `127.0.0.1`) of the trusted proxies. @throws for any other text. */
export function proxyList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix, ...rest] = network.trim().split('/')
    const version = isIP(address)
    const bits = prefix === undefined ? (version === 6 ? 128 : 32) : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
    // A prefix of 0 would believe the whole world.
    if (!version || rest.length > 0 || bits < 1 || bits > (version === 6 ? 128 : 32)) {
      throw new Error(`TRUSTED_PROXIES holds "${network}", which is no address and no network like 10.0.0.0/8.`)
    }
    list.addSubnet(address, bits, version === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

interface Chain {
  readonly hops: readonly string[]
  readonly host: string | undefined
  readonly protocol: string | undefined
}

function listOf(header: string | string[] | undefined): string[] {
  return header === undefined ? [] : String(header).split(',')
}

function fromXForwarded({ headers }: IncomingMessage): Chain | null {
  const hops = listOf(headers['x-forwarded-for'])
  // Of several values the last is the word of the proxy that is known to be ours.
  const host = listOf(headers['x-forwarded-host']).at(-1)?.trim()
  const protocol = listOf(headers['x-forwarded-proto']).at(-1)?.trim()
  return hops.length > 0 || host !== undefined || protocol !== undefined ? { hops, host, protocol } : null
}

const pair = /^\s*([a-z]+)=("[^"\\]*"|[^\s",;=]+)\s*$/i

/** RFC 7239 §4. Undefined when it does not parse: a header that cannot be read cannot be believed. */
function fromForwarded({ headers }: IncomingMessage): Chain | null | undefined {
  if (headers.forwarded === undefined) return null
  const elements = listOf(headers.forwarded).map((element) => {
    const pairs = element.split(';').map((text) => pair.exec(text))
    return pairs.every((found) => found !== null)
      ? new Map(pairs.map((found) => [found[1]!.toLowerCase(), found[2]!.replace(/^"(.*)"$/, '$1')]))
      : null
  })
  if (!elements.every((element) => element !== null)) return undefined
  return {
    hops: elements.map((element) => element.get('for') ?? 'unknown'),
    host: elements.at(-1)?.get('host'),
    protocol: elements.at(-1)?.get('proto'),
  }
}

/**
 * Makes the reader of a request's client. It answers null when the Host is missing, repeated or malformed, or when a trusted
 * proxy's headers are malformed or name two different clients: such a request gets 400.
 * @throws when a trusted proxy is no address and no network.
 */
export function createClientReader(trustedProxies: readonly string[]): ClientReader {
  const proxies = proxyList(trustedProxies)
  const trusted = (address: string) => proxies.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

  const clientAddress = (peer: string, hops: readonly string[]): string => {
    let client = peer
    for (let hop = hops.length - 1; hop >= 0 && trusted(client); hop--) {
      const next = addressOf(hops[hop]!)
      if (next === null) break
      client = next
    }
    return client
  }

  return (request) => {
    const peer = addressOf(request.socket.remoteAddress ?? '')
    const ownHost = hostOf(request.headers.host ?? '')
    if (peer === null || ownHost === null) return null
    const forwarded = forwardingHeaders.some((name) => request.headers[name] !== undefined)
    if (!forwarded || !trusted(peer)) return { address: peer, host: ownHost, protocol: 'http', forwarded }

    const common = fromXForwarded(request)
    const standard = fromForwarded(request)
    if (standard === undefined) return null
    // A proxy that writes one of the two hands the other on as the stranger sent it.
    if (common && standard && clientAddress(peer, common.hops) !== clientAddress(peer, standard.hops)) return null
    const chain = common ?? standard
    const host = chain?.host === undefined ? ownHost : hostOf(chain.host)
    const protocol = chain?.protocol?.toLowerCase() ?? 'http'
    if (host === null || (protocol !== 'http' && protocol !== 'https')) return null
    return { address: clientAddress(peer, chain?.hops ?? []), host, protocol, forwarded }
  }
}

/** True for 127.0.0.0/8 and ::1. */
export function isLoopback(address: string): boolean {
  return (isIP(address) === 4 && address.startsWith('127.')) || address === '::1'
}
