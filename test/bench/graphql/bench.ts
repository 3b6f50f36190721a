/**
 * `npm run bench -- graphql`: our server in production settings against peers, on one Postgres, with the same rows and policies and the
 * same check of the token. Answers are compared for equality first; then short rounds of every side in turn are timed.
 */
import { isDeepStrictEqual } from 'node:util'
import { join } from 'node:path'
import { interleave, type Side } from '../kit/interleave.ts'
import { installPeers } from '../kit/peers.ts'
import type { Measured } from '../kit/report.ts'
import { cases, pages, signIn, ways, type Asked, type Case, type Words } from './cases.ts'
import { layGround, type BenchGround, type BenchTenant } from './ground.ts'
import { guards } from './guards.ts'
import { askOnce, encode, Load, percentile } from './load.ts'
import { peerNames, startOurs, startPeer, type PeerName, type SideProcess } from './sides.ts'

const wanted = (name: string, otherwise: readonly string[]): string[] => process.env[name]?.split(',') ?? [...otherwise]

const connectionCounts = wanted('BENCH_CONNECTIONS', ['16', '1', '64']).map(Number)
/** The one whose ratios are the report's. */
const shownConnections = 16
/** For pages of a hundred: sixteen of them at once is more than two cores answer in time. */
const ownConnections = 4
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 5)
const roundMs = Number(process.env['BENCH_ROUND_MS'] ?? 700)
const warmMs = Number(process.env['BENCH_WARM_MS'] ?? 1_500)
const variants = 64

interface Figures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time of the side's own process, without Postgres. */
  readonly cpuMicroseconds: number
  /** Requests that were not answered, for load or after a time limit; they count for nothing else. */
  readonly refused: number
}

/** Signs the tenants' coordinators in: tokens live ten minutes, so each case begins anew. */
export async function tokensOf(port: number, tenants: readonly BenchTenant[]): Promise<Map<string, string>> {
  const tokens = new Map<string, string>()
  for (const tenant of tenants) {
    const reply = await askOnce(port, signIn.request({ tenant, token: '', k: 0 }))
    const { data } = JSON.parse(reply.body) as { data?: { signIn?: { accessToken?: string } } }
    if (!data?.signIn?.accessToken) throw new Error(`Our server did not sign ${tenant.email} in: ${reply.status} ${reply.body}`)
    tokens.set(tenant.id, data.signIn.accessToken)
  }
  return tokens
}

async function recordsOf(process: SideProcess, words: Words, asked: Asked): Promise<unknown> {
  const reply = await askOnce(process.port, words.request(asked))
  const { data, errors } = JSON.parse(reply.body) as { data?: never; errors?: unknown }
  if (reply.status !== 200 || errors !== undefined || !data) throw new Error(`${process.name} answered ${reply.status} ${reply.body}`)
  return words.records(data)
}

interface Standing {
  readonly name: string
  readonly process: SideProcess
  readonly words: Words
}

/** @throws when two sides do not answer the same records. */
export async function compare(one: Case, standing: readonly Standing[], tenants: readonly BenchTenant[], tokens: Map<string, string>): Promise<void> {
  for (const tenant of tenants) {
    const asked = { tenant, token: tokens.get(tenant.id)!, k: 7 }
    const [first, ...others] = standing
    const expected = await recordsOf(first!.process, first!.words, asked)
    for (const { process, words } of others) {
      const found = await recordsOf(process, words, asked)
      if (isDeepStrictEqual(found, expected)) continue
      throw new Error(`${one.name}: ${process.name} answers otherwise:\n${JSON.stringify(found)}\n${JSON.stringify(expected)}`)
    }
  }
}

/** Times the sides in turn, at one number of connections. */
export async function time(
  standing: readonly Standing[],
  tenants: readonly BenchTenant[],
  tokens: Map<string, string>,
  connections: number,
): Promise<Record<string, Figures>> {
  const measured = new Map<string, { latenciesMs: number[]; cpuSeconds: number; done: number; refused: number }>()
  const loads: Load[] = []
  const sides = standing.map(({ name, process, words }): Side => {
    const load = new Load(process.port, connections)
    loads.push(load)
    const requests = Array.from({ length: variants }, (_, k) => {
      const tenant = tenants[k % tenants.length]!
      return encode(words.request({ tenant, token: tokens.get(tenant.id)!, k }))
    })
    let warm = false
    return {
      name,
      async round() {
        const before = process.cpuSeconds()
        // The first round is for the machine code of both ends, and is not measured.
        const burst = await load.burst(requests, warm ? roundMs : warmMs)
        const so = measured.get(name) ?? { latenciesMs: [], cpuSeconds: 0, done: 0, refused: 0 }
        if (warm) {
          for (const one of burst.latenciesMs) so.latenciesMs.push(one)
          so.cpuSeconds += process.cpuSeconds() - before
          so.done += burst.done
          so.refused += Object.values(burst.refused).reduce((sum, one) => sum + one, 0)
          measured.set(name, so)
        }
        warm = true
        return burst.done
      },
    }
  })
  try {
    const samples = await interleave(sides, rounds)
    return Object.fromEntries(
      Object.entries(samples).map(([name, sample]) => {
        const { latenciesMs, cpuSeconds, done, refused } = measured.get(name)!
        const figures: Figures = {
          perSecond: Math.round(sample.median),
          p50Ms: round(percentile(latenciesMs, 0.5)),
          p99Ms: round(percentile(latenciesMs, 0.99)),
          cpuMicroseconds: Math.round((cpuSeconds * 1e6) / done),
          refused,
        }
        return [name, figures]
      }),
    )
  } finally {
    for (const load of loads) load.close()
  }
}

const round = (value: number): number => Number(value.toFixed(2))

export async function bench(say: (sentence: string) => void): Promise<Measured> {
  installPeers(join(import.meta.dirname, 'peers'))
  const ground = await layGround(say, { tenants: 4, recipients: 100 })
  const running = new Map<string, SideProcess>()
  try {
    for (const process of await startAll(ground)) running.set(process.name, process)
    const ours: Record<string, Record<string, Figures>> = {}
    const peers: Record<string, Record<string, Record<string, Figures>>> = {}
    const ratio: Record<string, number> = {}
    const server = running.get('ours')!
    const note = (name: string, connections: number, figures: Record<string, Figures>) =>
      say(
        `${name} at ${connections}: ${Object.entries(figures)
          .map(([side, { perSecond, cpuMicroseconds, p99Ms }]) => `${side} ${perSecond}/s ${cpuMicroseconds} us p99 ${p99Ms} ms`)
          .join(', ')}`,
      )
    for (const one of cases.filter(({ name }) => wanted('BENCH_CASES', cases.map((each) => each.name)).includes(name))) {
      const tokens = await tokensOf(server.port, ground.tenants)
      const standing: Standing[] = [{ name: 'ours', process: server, words: one.ours }]
      for (const [name, words] of Object.entries(one.peers)) {
        const process = running.get(name)
        if (process) standing.push({ name, process, words })
      }
      await compare(one, standing, ground.tenants, tokens)
      for (const connections of connectionCounts) {
        const figures = await time(standing, ground.tenants, tokens, connections)
        note(one.name, connections, figures)
        for (const [name, figure] of Object.entries(figures)) {
          const of = name === 'ours' ? ours : (peers[name] ??= {})
          ;(of[one.name] ??= {})[`at${connections}`] = figure
          if (name === 'ours') continue
          const value = round(figures['ours']!.perSecond / figure.perSecond)
          ratio[connections === shownConnections ? `${one.name}/${name}` : `${one.name}@${connections}/${name}`] = value
        }
      }
    }
    // Our own ways against each other, at one number of connections: what sealing and the ordinary path cost.
    const own: Record<string, Record<string, Figures>> = {}
    for (const [name, words] of Object.entries({ page: pages, ways, signIn: { signIn } }).filter(([name]) => wanted('BENCH_OWN', ['page', 'ways', 'signIn']).includes(name))) {
      const tokens = await tokensOf(server.port, ground.tenants)
      const standing = Object.entries(words).map(([way, one]): Standing => ({ name: way, process: server, words: one }))
      own[name] = await time(standing, ground.tenants, tokens, name === 'signIn' ? 1 : ownConnections)
      note(name, name === 'signIn' ? 1 : ownConnections, own[name])
    }
    const page = own['page']
    if (page) {
      const dearer = (sealed: string, unsealed: string) => round(page[sealed]!.cpuMicroseconds / page[unsealed]!.cpuMicroseconds)
      ratio['page cpu sealed/unsealed'] = dearer('sealed', 'unsealed')
      ratio['page cpu sealed/unsealed, executed'] = dearer('sealed executed', 'unsealed executed')
      ratio['page cpu sealed compiled/unsealed executed'] = dearer('sealed', 'unsealed executed')
    }
    return { ours, peers, ratio, guards, tables: { own } }
  } finally {
    await Promise.all([...running.values()].map((process) => process.stop()))
    await ground.stop()
  }
}

async function startAll(ground: BenchGround): Promise<SideProcess[]> {
  const names = wanted('BENCH_PEERS', peerNames).filter((name): name is PeerName => peerNames.includes(name as PeerName))
  return Promise.all([startOurs(ground, process.env['BENCH_NODE_FLAGS']?.split(' ')), ...names.map((name) => startPeer(ground, name))])
}
