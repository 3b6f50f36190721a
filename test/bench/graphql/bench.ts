/**
 * `npm run bench -- graphql`: our server in production settings against peers, on one Postgres, with the same rows and policies and the
 * same check of the token. Answers are compared for equality first; then short rounds of every side in turn are timed.
 */
import { join } from 'node:path'
import { installPeers } from '../kit/peers.ts'
import type { Measured } from '../kit/report.ts'
import { cases, pages, ways } from './cases.ts'
import { layGround, type BenchGround } from './ground.ts'
import { guards } from './guards.ts'
import { guardsOff, oneGuardOff } from './guards-off.ts'
import { compare, time, tokensOf, twoDigits, usualWarmMs, type Figures, type Standing } from './measure.ts'
import { peerNames, startOurs, startPeer, type PeerName, type SideProcess } from './sides.ts'

const wanted = (name: string, otherwise: readonly string[]): string[] => process.env[name]?.split(',') ?? [...otherwise]

const connectionCounts = wanted('BENCH_CONNECTIONS', ['16', '1', '64']).map(Number)
/** The one whose ratios are the report's. */
const shownConnections = 16
/** Before the first case: what every request runs through takes a server half a minute to be compiled as well as it will be. */
const firstWarmMs = 4 * usualWarmMs
/** Warm already, from the first number of connections. */
const warmAgainMs = 1_000
/** For pages of a hundred: sixteen of them at once is more than two cores answer in time. */
const ownConnections = 4

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
    const wantedCases = cases.filter(({ name }) => wanted('BENCH_CASES', cases.map((each) => each.name)).includes(name))
    for (const one of wantedCases) {
      const tokens = await tokensOf(server.port, ground.tenants)
      const standing: Standing[] = [{ name: 'ours', process: server, words: one.ours }]
      for (const [name, words] of Object.entries(one.peers)) {
        const process = running.get(name)
        if (process) standing.push({ name, process, words })
      }
      await compare(one, standing, ground.tenants, tokens)
      for (const [at, connections] of connectionCounts.entries()) {
        const warmMs = at > 0 ? warmAgainMs : one === wantedCases[0] ? firstWarmMs : usualWarmMs
        const figures = await time(standing, { ground, tenants: ground.tenants, tokens, connections, warmMs })
        note(one.name, connections, figures)
        for (const [name, figure] of Object.entries(figures)) {
          const of = name === 'ours' ? ours : (peers[name] ??= {})
          ;(of[one.name] ??= {})[`at${connections}`] = figure
          if (name === 'ours') continue
          const value = twoDigits(figures['ours']!.perSecond / figure.perSecond)
          ratio[connections === shownConnections ? `${one.name}/${name}` : `${one.name}@${connections}/${name}`] = value
        }
      }
    }
    // Our own ways against each other, at one number of connections: what sealing and the ordinary path cost.
    const own: Record<string, Record<string, Figures>> = {}
    for (const [name, words] of Object.entries({ page: pages, ways }).filter(([name]) => wanted('BENCH_OWN', ['page', 'ways']).includes(name))) {
      const tokens = await tokensOf(server.port, ground.tenants)
      const standing = Object.entries(words).map(([way, one]): Standing => ({ name: way, process: server, words: one }))
      own[name] = await time(standing, { ground, tenants: ground.tenants, tokens, connections: ownConnections })
      note(name, ownConnections, own[name])
    }
    const page = own['page']
    if (page) {
      const dearer = (sealed: string, unsealed: string) => twoDigits(page[sealed]!.cpuMicroseconds / page[unsealed]!.cpuMicroseconds)
      ratio['page/without protected fields'] = dearer('sealed', 'unsealed')
      ratio['page/without protected fields, executed'] = dearer('sealed executed', 'unsealed executed')
    }
    // Their connections are needed for the servers that have one guard off.
    for (const [name, peer] of running) {
      if (name === 'ours') continue
      await peer.stop()
      running.delete(name)
    }
    const off = process.env['BENCH_GUARDS'] === '0' ? null : await oneGuardOff(ground, server, say)
    if (off) {
      const [sealed, plain] = [off.all['page']!, off.without['page']!['sealing']!]
      // Three names for three things: the same page and audit rows with plain text, and a page that holds nothing protected.
      ratio['page/unsealed'] = twoDigits(sealed.cpuMicroseconds / plain.cpuMicroseconds)
      ratio['page/unsealed with postgres'] = twoDigits(
        (sealed.cpuMicroseconds + sealed.postgresMicroseconds) / (plain.cpuMicroseconds + plain.postgresMicroseconds),
      )
    }
    return { ours, peers, ratio, guards, tables: { own, ...(off ? { oneGuardOff: off, guardsOff } : {}) } }
  } finally {
    await Promise.all([...running.values()].map((process) => process.stop()))
    await ground.stop()
  }
}

async function startAll(ground: BenchGround): Promise<SideProcess[]> {
  const names = wanted('BENCH_PEERS', peerNames).filter((name): name is PeerName => peerNames.includes(name as PeerName))
  return Promise.all([startOurs(ground, process.env['BENCH_NODE_FLAGS']?.split(' ')), ...names.map((name) => startPeer(ground, name))])
}
