/**
 * `npm run bench -- scale`: how the cost of a read by id and of a list grows with the tenants of the building, the rows of one tenant and
 * the connections of the clients; the memory that an idle connection and a tenant take; and what a second server process on the same
 * database adds. The steps of one table are measured in turns, so that the machine's moods hit the smallest and the largest alike: numbers
 * of tenants are databases of one Postgres with a server each, numbers of rows are tenants of one database.
 * BENCH_SCALE=full goes to 50,000 tenants and a million rows.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { byId, list, type Asked, type Words } from '../graphql/cases.ts'
import { layGround, type BenchGround, type BenchTenant } from '../graphql/ground.ts'
import { encode, Load } from '../graphql/load.ts'
import { tokensOf, twoDigits } from '../graphql/measure.ts'
import { startOurs, type SideProcess } from '../graphql/sides.ts'
import { interleave, type Side } from '../kit/interleave.ts'
import type { Bench } from '../kit/report.ts'
import { withClient } from '../../../src/platform/db/provision.ts'
import { plotSvg, type Series } from './plot.ts'

const isFull = process.env['BENCH_SCALE'] === 'full'
const small = process.env['BENCH_SCALE'] === 'small'
const tenantSteps = isFull ? [10, 1_000, 50_000] : small ? [10, 100, 1_000] : [10, 1_000, 10_000]
const rowSteps = isFull ? [100, 10_000, 1_000_000] : small ? [100, 1_000, 10_000] : [100, 10_000, 100_000]
const connectionSteps = [1, 8, 64, 512]
const rounds = 7
const roundMs = 500
const usualConnections = 16
/** Of which the slope of memory is taken. */
const idleConnections = 1_500
const askedTenants = Math.min(2_000, tenantSteps.at(-1)!)

const addTenants = `
  with made as (
    insert into tenancy.tenant (tenant_id, slug, legal_name)
    select gen_random_uuid(), 'scale-' || n, 'Scale' from generate_series(1, $1::int) n returning tenant_id
  )
  insert into care.recipient (tenant_id, id, phi) select tenant_id, gen_random_uuid(), 'v1|none' from made, generate_series(1, 20)`

/** Rows that sort after the tenant's first: what is read stays the same. */
const addRows = `
  insert into care.recipient (tenant_id, id, phi)
  select $1::uuid, ('ffffffff-' || substr(gen_random_uuid()::text, 10))::uuid, 'v1|none' from generate_series(1, $2::int)`

const wordsOf: Readonly<Record<string, Words>> = { byId: byId.ours, list: list.ours }

interface Step {
  readonly step: number
  readonly server: SideProcess
  readonly tenant: BenchTenant
  readonly connections: number
}

interface Row {
  readonly step: number
  readonly perSecond: Record<string, number>
}

/** The median rate of each case at each step, all of them in turns. */
async function measure(steps: readonly Step[]): Promise<Row[]> {
  const loads: Load[] = []
  const sides: Side[] = []
  for (const { step, server, tenant, connections } of steps) {
    const token = (await tokensOf(server.port, [tenant])).get(tenant.id)!
    const load = new Load(server.port, connections)
    loads.push(load)
    for (const [name, words] of Object.entries(wordsOf)) {
      const requests = Array.from({ length: 32 }, (_, k) => encode(words.request({ tenant, token, k } satisfies Asked)))
      sides.push({ name: `${name} ${step}`, round: async () => (await load.burst(requests, roundMs)).done })
    }
  }
  const samples = await interleave(sides, rounds)
  for (const load of loads) load.close()
  return steps.map(({ step }) => ({
    step,
    perSecond: Object.fromEntries(Object.keys(wordsOf).map((name) => [name, Math.round(samples[`${name} ${step}`]!.median)])),
  }))
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

/** A copy of the ground's database with more tenants; the ground's own must not be in use. */
async function databaseWith(ground: BenchGround, tenants: number): Promise<string> {
  const url = new URL(ground.ownerUrl)
  const [from, name] = [url.pathname.slice(1), `scale_${tenants}`]
  url.pathname = '/postgres'
  await withClient(url.href, (client) => client.query(`create database ${name} template "${from}"`))
  url.pathname = `/${name}`
  await withClient(url.href, async (client) => {
    await client.query(addTenants, [tenants - ground.tenants.length])
    await client.query('vacuum analyze')
  })
  return url.href
}

/** Bytes after collection for each of `count`, as the slope between none and all of them, twice. */
async function slope(server: SideProcess, count: number, take: () => Promise<() => void>): Promise<number> {
  const grown: number[] = []
  for (let turn = 0; turn < 3; turn++) {
    const before = await server.memory()
    const release = await take()
    grown.push(((await server.memory()) - before) / count)
    release()
  }
  // The first turn also pays for what is made once.
  return Math.round(Math.max(...grown.slice(1)))
}

export const bench: Bench = async (say) => {
  const ground = await layGround(say, { tenants: rowSteps.length, recipients: 40 })
  const servers: SideProcess[] = []
  const gc = ['--expose-gc', '--import', join(import.meta.dirname, 'memory.ts')]
  const start = async (url: string): Promise<SideProcess> => {
    const server = await startOurs(ground, gc, { DATABASE_URL: url })
    servers.push(server)
    return server
  }
  try {
    const [first] = ground.tenants
    const byTenants: Step[] = []
    for (const step of tenantSteps) {
      say(`A database with ${step} tenants.`)
      byTenants.push({ step, server: await start(await databaseWith(ground, step)), tenant: first!, connections: usualConnections })
    }
    for (const [at, step] of rowSteps.entries()) {
      say(`A tenant with ${step} rows.`)
      const tenant = ground.tenants[at]!
      await ground.owner(addRows, [tenant.id, step - tenant.recipientIds.length])
    }
    await ground.owner('vacuum analyze')
    const server = await start(ground.ownerUrl)
    const tables: Record<string, Row[]> = {}
    const note = async (of: string, steps: readonly Step[]) => {
      tables[of] = await measure(steps)
      for (const { step, perSecond } of tables[of]) say(`${of} ${step}: ${JSON.stringify(perSecond)}`)
    }
    await note('tenants', byTenants)
    const widest = byTenants.at(-1)!.server
    const tenantBytes = await slope(widest, askedTenants, async () => {
      const load = new Load(widest.port, usualConnections)
      const requests = Array.from({ length: askedTenants }, (_, n) =>
        encode({ path: '/graphql/console', headers: { 'x-maristan-tenant': `scale-${n + 1}` }, body: '{"query":"{ __typename }"}' }),
      )
      for (let at = 0; at < requests.length; at += usualConnections) await load.once(requests.slice(at, at + usualConnections))
      return () => load.close()
    })
    for (const { server: done } of byTenants) await done.stop()
    servers.splice(0, byTenants.length)
    await note('rows', rowSteps.map((step, at): Step => ({ step, server, tenant: ground.tenants[at]!, connections: usualConnections })))
    await note('connections', connectionSteps.map((step): Step => ({ step, server, tenant: first!, connections: step })))
    const idleConnectionBytes = await slope(server, idleConnections, async () => {
      const idle = new Load(server.port, idleConnections)
      await idle.once([encode({ path: '/healthz', headers: {}, body: '' })])
      return () => idle.close()
    })
    const processes = await twoProcesses(ground, server)
    const ratio: Record<string, number> = { 'list two processes/one': twoDigits(processes['two']! / processes['one']!) }
    for (const kind of ['tenants', 'rows']) {
      for (const name of Object.keys(wordsOf)) {
        const [fewest, most] = [tables[kind]![0]!, tables[kind]!.at(-1)!]
        ratio[`${name} cost at most ${kind}/fewest`] = twoDigits(fewest.perSecond[name]! / most.perSecond[name]!)
      }
    }
    const series = Object.entries(tables).map(([title, steps]): Series => ({
      title,
      lines: Object.keys(wordsOf).map((name) => ({ name, points: steps.map(({ step, perSecond }) => [step, perSecond[name]!] as const) })),
    }))
    writeFileSync(join(import.meta.dirname, '../results/scale.svg'), plotSvg(series))
    return {
      ours: { idleConnectionBytes, tenantBytes, processes },
      peers: {},
      ratio,
      guards: { ours: 'everything on, production settings, one embedded Postgres' },
      tables,
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
    await ground.stop()
  }
}
