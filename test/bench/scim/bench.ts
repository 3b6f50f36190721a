/**
 * `npm run bench -- scim`: our server against scimmy with scimmy-routers and an in-memory store, each a process of its own asked over HTTP
 * by one client. Ours stores in a Postgres that writes through to disk, with its audit trail and flight recorder on. The tables show what
 * does not compare: a large group, how costs grow to a million users, and by which index. `SCIM_BENCH_ROWS` makes the largest smaller.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '../../../src/platform/db/embedded.ts'
import { prepareTemplate } from '../../kit/postgres.ts'
import { groupBody, patchBody, userBody } from '../../kit/scim.ts'
import { interleave } from '../kit/interleave.ts'
import { installPeers } from '../kit/peers.ts'
import type { Bench } from '../kit/report.ts'
import { measureGrowth, medianMs, plansAt } from './growth.ts'
import { asking, must, seed, startOurs, type Ask, type Ours } from './ours.ts'

const people = 10_000
const groupMembers = 50_000
const mostRows = Number(process.env['SCIM_BENCH_ROWS'] ?? 1_000_000)
/** A server answers for weeks: each side is asked for this long before it is measured. */
const warmMs = 8_000
const rounds = 7
/** A directory that sends several requests at a time. */
const atOnce = 8

/** How many requests each side makes in a round: as many as take it well below a second. */
interface Case {
  readonly ours: number
  readonly scimmy: number
  readonly connections: number
  readonly request: (k: number) => readonly [method: string, path: string, body?: unknown]
  readonly check: (answer: { status: number; text: string }) => void
}

const created = (answer: { status: number; text: string }) => void must(201, answer)
const newUser = (k: number) => ['POST', '/Users', userBody(`made${k}@example.org`)] as const
const cases: Readonly<Record<string, Case>> = {
  create: { ours: 60, scimmy: 60, connections: 1, request: newUser, check: created },
  createAtOnce: { ours: 160, scimmy: 160, connections: atOnce, request: newUser, check: created },
  filter: {
    ours: 20,
    scimmy: 10,
    connections: 1,
    request: (k) => ['GET', `/Users?filter=${encodeURIComponent(`userName eq "seed${(k * 997) % people}@example.org"`)}`],
    check: (answer) => {
      if (must(200, answer)['totalResults'] !== 1) throw new Error('The filter found nobody.')
    },
  },
  list: {
    ours: 10,
    scimmy: 1,
    connections: 1,
    request: (k) => ['GET', `/Users?startIndex=${1 + (k % 5) * 100}&count=100`],
    check: (answer) => {
      if ((must(200, answer)['Resources'] as unknown[]).length !== 100) throw new Error('The page is not full.')
    },
  },
}

/** A created user without what is each side's own: ids, times, addresses, and the order of members. */
function bare({ text }: { text: string }): string {
  const { id: _, meta, ...rest } = JSON.parse(text) as Record<string, unknown>
  const { resourceType, version } = meta as Record<string, unknown>
  const members = { ...rest, resourceType, version }
  return JSON.stringify(Object.entries(members).sort(([one], [other]) => (one < other ? -1 : 1)))
}

let asked = 0

/** One round of a case: so many requests over so many connections. */
function roundOf({ request, check, connections }: Case, ask: Ask, requests: number) {
  return async (): Promise<number> => {
    let left = requests
    const work = async () => {
      while (left-- > 0) check(await ask(...request(++asked)))
    }
    await Promise.all(Array.from({ length: connections }, work))
    return requests
  }
}

/** Milliseconds that a PATCH takes which adds a thousand members to a group of 50,000, as a median. */
async function addThousandMs(ours: Ours): Promise<number> {
  const rounds = 5
  const directory = ours.directories[1]!
  const { tenantId, connectionId } = directory
  const ask = ours.ask(directory)
  await seed(ours, directory, groupMembers + rounds * 1_000, 'member')
  const group = must(201, await ask('POST', '/Groups', groupBody('Everybody')))
  const rows = await ours.owner('select id from scim."user" where tenant_id = $1 and connection_id = $2 order by id', [tenantId, connectionId])
  const ids = rows.map((row) => String(row['id']))
  await ours.owner('insert into scim.group_member (tenant_id, connection_id, group_id, user_id) select $1, $2, $3, unnest($4::uuid[])', [
    tenantId,
    connectionId,
    group['id'],
    ids.slice(0, groupMembers),
  ])
  return medianMs(rounds, async (k) => {
    const some = ids.slice(groupMembers + k * 1_000, groupMembers + (k + 1) * 1_000)
    const value = some.map((id) => ({ value: id }))
    must(204, await ask('PATCH', `/Groups/${String(group['id'])}`, patchBody({ op: 'add', path: 'members', value })))
  })
}

export const bench: Bench = async (say) => {
  const folder = join(import.meta.dirname, 'peers')
  installPeers(folder)
  const dataDir = mkdtempSync(join(tmpdir(), 'maristan-bench-'))
  chmodSync(dataDir, 0o711)
  const postgres = await startEmbedded({ dataDir, durable: true, log: () => {} })
  const peer = spawn(process.execPath, ['server.js', String(people)], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  let ours: Ours | null = null
  const startedMs = performance.now()
  const tell = (sentence: string) => say(`${Math.round((performance.now() - startedMs) / 1_000)} s: ${sentence}`)
  try {
    const [line] = (await once(peer.stdout, 'data')) as [Buffer]
    const askPeer = asking(`http://127.0.0.1:${line.toString().trim()}/scim/v2`, 'bench')
    await prepareTemplate(postgres.ownerUrl)
    ours = await startOurs(postgres.ownerUrl)
    const [first, , ...growing] = ours.directories
    await seed(ours, first!, people, 'seed')

    const [mine, theirs] = [await ours.ask(first!)(...newUser(0)), await askPeer(...newUser(0))]
    if (bare(mine) !== bare(theirs)) throw new Error(`The sides answer a create differently: ${mine.text} ${theirs.text}`)
    const figures: Record<string, number> = {}
    const peers: Record<string, number> = {}
    const ratio: Record<string, number> = {}
    for (const [name, one] of Object.entries(cases)) {
      const sides = [
        { name: 'ours', round: roundOf(one, ours.ask(first!), one.ours) },
        { name: 'scimmy', round: roundOf(one, askPeer, one.scimmy) },
      ]
      const found = await interleave(sides, rounds, warmMs)
      figures[`${name}PerSecond`] = found['ours']!.median
      peers[`${name}PerSecond`] = found['scimmy']!.median
      ratio[`${name}/scimmy`] = found['ours']!.median / found['scimmy']!.median
      tell(`${name}: ${ratio[`${name}/scimmy`]!.toFixed(2)} of scimmy.`)
    }
    peer.kill()

    const addThousandMembersTo50000Ms = await addThousandMs(ours)
    tell(`1,000 members into a group of ${groupMembers}: ${addThousandMembersTo50000Ms} ms.`)

    const growth: Record<string, number>[] = []
    const sizes = [mostRows / 100, mostRows / 10, mostRows].map(Math.round)
    for (const [at, rows] of sizes.entries()) {
      growth.push(await measureGrowth(ours, growing[at]!, rows))
      tell(JSON.stringify(growth.at(-1)))
    }
    const plans = await plansAt(ours, growing.at(-1)!, mostRows)
    tell(JSON.stringify(plans))
    return {
      ours: { ...figures, addThousandMembersTo50000Ms },
      peers: { scimmy: peers },
      ratio,
      guards: {
        ours: 'bearer token looked up or confirmed in the database at every request, Row Level Security, rate limit, schema checks, unique names and external ids, audit row, flight recorder, write-through to disk',
        scimmy: 'bearer compared in constant time, schema checks, unique names; a Map in memory that a power cut empties',
      },
      tables: { growth, plans },
    }
  } finally {
    peer.kill()
    await ours?.end()
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}
