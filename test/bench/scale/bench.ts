/**
 * `npm run bench -- scale`: how the cost of a read by id and of a list grows with the tenants of the building, the rows of one tenant and
 * the connections of the clients; the memory that an idle connection takes; and what a second server process on the same database adds.
 * BENCH_SCALE=full goes to 50,000 tenants and a million rows.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { byId, list, type Asked, type Words } from '../graphql/cases.ts'
import { tokensOf } from '../graphql/bench.ts'
import { layGround, type BenchGround, type BenchTenant } from '../graphql/ground.ts'
import { encode, Load } from '../graphql/load.ts'
import { startOurs, type SideProcess } from '../graphql/sides.ts'
import { interleave, type Side } from '../kit/interleave.ts'
import type { Bench } from '../kit/report.ts'
import { plotSvg, type Series } from './plot.ts'

const isFull = process.env['BENCH_SCALE'] === 'full'
const tenantSteps = isFull ? [10, 1_000, 50_000] : [10, 1_000, 10_000]
const rowSteps = isFull ? [100, 10_000, 1_000_000] : [100, 10_000, 100_000]
const connectionSteps = [1, 8, 64, 512]
const rounds = 5
const roundMs = 500
const usualConnections = 16

const addTenants = `
  with made as (
    insert into tenancy.tenant (tenant_id, slug, legal_name)
    select gen_random_uuid(), 's' || $1 || 'x' || n, 'Scale' from generate_series(1, $2::int) n returning tenant_id
  )
  insert into care.recipient (tenant_id, id, phi) select tenant_id, gen_random_uuid(), 'v1|none' from made, generate_series(1, 20)`

/** Rows that sort after the tenant's first: what is read stays the same. */
const addRows = `
  insert into care.recipient (tenant_id, id, phi)
  select $1::uuid, ('ffffffff-' || substr(gen_random_uuid()::text, 10))::uuid, 'v1|none' from generate_series(1, $2::int)`

const wordsOf: Readonly<Record<string, Words>> = { byId: byId.ours, list: list.ours }

/** The median rate of each case, in one interleaved run. */
async function measure(server: SideProcess, tenant: BenchTenant, connections: number): Promise<Record<string, number>> {
  const tokens = await tokensOf(server.port, [tenant])
  const loads: Load[] = []
  const sides = Object.entries(wordsOf).map(([name, words]): Side => {
    const load = new Load(server.port, connections)
    loads.push(load)
    const requests = Array.from({ length: 32 }, (_, k) => encode(words.request({ tenant, token: tokens.get(tenant.id)!, k } satisfies Asked)))
    return { name, round: async () => (await load.burst(requests, roundMs)).done }
  })
  const samples = await interleave(sides, rounds)
  for (const load of loads) load.close()
  return Object.fromEntries(Object.entries(samples).map(([name, { median }]) => [name, Math.round(median)]))
}

async function twoProcesses(ground: BenchGround, one: SideProcess): Promise<Record<string, number>> {
  const two = await startOurs(ground)
  try {
    const tenant = ground.tenants[0]!
    const requests = async (server: SideProcess) => {
      const tokens = await tokensOf(server.port, [tenant])
      return Array.from({ length: 32 }, (_, k) => encode(list.ours.request({ tenant, token: tokens.get(tenant.id)!, k })))
    }
    const servers = [one, two]
    const asked = await Promise.all(servers.map(requests))
    const loads = servers.map((server) => new Load(server.port, 8))
    const both = async () => (await Promise.all(loads.map((load, k) => load.burst(asked[k]!, roundMs)))).reduce((sum, { done }) => sum + done, 0)
    const alone = new Load(one.port, 16)
    const samples = await interleave([
      { name: 'one', round: async () => (await alone.burst(asked[0]!, roundMs)).done },
      { name: 'two', round: both },
    ], rounds)
    for (const load of [...loads, alone]) load.close()
    return { one: Math.round(samples['one']!.median), two: Math.round(samples['two']!.median) }
  } finally {
    await two.stop()
  }
}

export const bench: Bench = async (say) => {
  const ground = await layGround(say, { tenants: 1, recipients: 40 })
  const tables: Record<string, { step: number; perSecond: Record<string, number> }[]> = { tenants: [], rows: [], connections: [] }
  try {
    const server = await startOurs(ground)
    const tenant = ground.tenants[0]!
    const note = async (of: string, step: number, connections: number) => {
      const perSecond = await measure(server, tenant, connections)
      tables[of]!.push({ step, perSecond })
      say(`${of} ${step}: ${JSON.stringify(perSecond)}`)
    }
    for (const connections of connectionSteps) await note('connections', connections, connections)
    const before = server.residentMb()
    const idle = new Load(server.port, 500)
    await idle.burst([encode({ path: '/healthz', headers: {}, body: '' })], 1)
    const idleConnectionKb = Math.round(((server.residentMb() - before) * 1024) / 500)
    idle.close()
    const processes = await twoProcesses(ground, server)
    let tenants = 1
    const beforeTenants = server.residentMb()
    for (const step of tenantSteps) {
      await ground.owner(addTenants, [String(step), step - tenants])
      tenants = step
      await ground.owner('analyze')
      await note('tenants', step, usualConnections)
    }
    const tenantKb = Number((((server.residentMb() - beforeTenants) * 1024) / tenants).toFixed(2))
    let rows = tenant.recipientIds.length
    for (const step of rowSteps) {
      await ground.owner(addRows, [tenant.id, step - rows])
      rows = step
      await ground.owner('analyze')
      await note('rows', step, usualConnections)
    }
    await server.stop()
    const ratio: Record<string, number> = { 'list two processes/one': Number((processes['two']! / processes['one']!).toFixed(2)) }
    for (const kind of ['tenants', 'rows']) {
      for (const name of Object.keys(wordsOf)) {
        const [first, last] = [tables[kind]![0]!, tables[kind]!.at(-1)!]
        ratio[`${name} cost at most ${kind}/fewest`] = Number((first.perSecond[name]! / last.perSecond[name]!).toFixed(2))
      }
    }
    const series = Object.entries(tables).map(([title, steps]): Series => ({
      title,
      lines: Object.keys(wordsOf).map((name) => ({ name, points: steps.map(({ step, perSecond }) => [step, perSecond[name]!] as const) })),
    }))
    writeFileSync(join(import.meta.dirname, '../results/scale.svg'), plotSvg(series))
    return {
      ours: { idleConnectionKb, tenantKb, processes },
      peers: {},
      ratio,
      guards: { ours: 'everything on, production settings, one embedded Postgres' },
      tables,
    }
  } finally {
    await ground.stop()
  }
}
