/**
 * `npm run bench -- start`: from nothing to the first answer. The embedded server is started on an empty data directory, again on the one
 * it made, and against a database that runs; its memory is read when idle and under a load of reads; the packages are weighed.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, chmodSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, startServer, temporaryDirectory, type ServerProcess } from '../../kit/server.ts'
import { reads, type Words } from '../graphql/cases.ts'
import { tokensOf } from '../graphql/measure.ts'
import { layGround } from '../graphql/ground.ts'
import { encode, Load } from '../graphql/load.ts'
import { startOurs } from '../graphql/sides.ts'
import { median } from '../kit/interleave.ts'
import type { Bench } from '../kit/report.ts'

const starts = Number(process.env['BENCH_STARTS'] ?? 5)
const settleMs = 3_000
const loadMs = 10_000
const root = join(import.meta.dirname, '../../..')

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return Math.round(performance.now() - startedMs)
}

export const bench: Bench = async (say) => {
  const first: number[] = []
  const again: number[] = []
  for (let k = 0; k < starts; k++) {
    const { dataDir, remove } = temporaryDirectory()
    const startOne = async (): Promise<ServerProcess> => startServer({ PORT: String(await freePort()), DATA_DIR: dataDir, MARISTAN_DEMO: '0' }).ready()
    let server: ServerProcess | null = null
    first.push(await timed(async () => (server = await startOne())))
    await server!.end('SIGTERM')
    again.push(await timed(async () => (server = await startOne())))
    await server!.end('SIGTERM')
    remove()
    say(`Start ${k + 1}: ${first.at(-1)} ms with an empty data directory, ${again.at(-1)} ms after that.`)
  }
  const ground = await layGround(say, { tenants: 4, recipients: 100 })
  try {
    const server = await startOurs(ground)
    await delay(settleMs)
    const idleMb = server.residentMb()
    const tokens = await tokensOf(server.port, ground.tenants)
    const load = new Load(server.port, 16)
    const requests = reads.flatMap(({ ours }: { ours: Words }) =>
      ground.tenants.map((tenant, k) => encode(ours.request({ tenant, token: tokens.get(tenant.id)!, k }))),
    )
    const { done } = await load.burst(requests, loadMs)
    const loadedMb = server.residentMb()
    load.close()
    await server.stop()
    const install = weigh(say)
    return {
      ours: {
        firstStartMs: median(first),
        laterStartMs: median(again),
        idleMb,
        loadedMb,
        requestsUnderLoad: done,
        ...install,
      },
      peers: {},
      ratio: { 'idle memory/goal of 300 MB': Number((idleMb / 300).toFixed(2)) },
      guards: { ours: 'everything on; the database is the embedded Postgres, whose memory is not counted' },
    }
  } finally {
    await ground.stop()
  }
}

/** What `npm ci` brings without what only development needs, from npm's own cache where it has it. */
function weigh(say: (sentence: string) => void): { installMb: number; installMs: number } {
  say('Installing the packages that a server needs, elsewhere.')
  const folder = mkdtempSync(join(tmpdir(), 'maristan-install-'))
  chmodSync(folder, 0o711)
  try {
    mkdirSync(join(folder, 'copy'))
    spawnSync('cp', ['package.json', 'package-lock.json', '.npmrc', join(folder, 'copy')], { cwd: root })
    const startedMs = performance.now()
    const done = spawnSync('npm', ['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'], {
      cwd: join(folder, 'copy'),
      stdio: ['ignore', 2, 2],
    })
    if (done.status !== 0) throw new Error('npm could not install the packages.')
    const installMs = Math.round(performance.now() - startedMs)
    const size = spawnSync('du', ['-sm', 'node_modules'], { cwd: join(folder, 'copy'), encoding: 'utf8' })
    return { installMb: Number.parseInt(size.stdout, 10), installMs }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
