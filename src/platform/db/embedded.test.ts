/** The life of the embedded Postgres on real clusters: made, kept, guarded, killed, found again. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { EmbeddedPostgres } from './embedded.ts'
import { inspectDirectories, startEmbedded } from './embedded.ts'

const asRoot = process.getuid?.() === 0
const nobody = 65534

const shared = emptyPlace()
let place: string
let dataDir: string
let lines: string[]
let servers: EmbeddedPostgres[]
let children: ChildProcess[]

function emptyPlace(): string {
  const directory = mkdtempSync(join(tmpdir(), 'maristan-embedded-'))
  chmodSync(directory, 0o711)
  return directory
}

// Making a cluster takes most of the time: whoever leaves it whole works on the shared one.
beforeAll(async () => {
  const server = await startEmbedded({ dataDir: join(shared, 'data'), durable: false, log: () => undefined })
  await server.stop()
})

afterAll(() => rmSync(shared, { recursive: true, force: true }))

beforeEach(() => {
  place = emptyPlace()
  dataDir = join(shared, 'data')
  lines = []
  servers = []
  children = []
})

/** For tests that make, damage or outgrow a cluster. */
function onNewData(): void {
  dataDir = join(place, 'data')
}

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  for (const child of children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(place, { recursive: true, force: true })
})

async function start({ durable = false } = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbedded({ dataDir, durable, log: (line) => lines.push(line) })
  servers.push(server)
  return server
}

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  // A killed orphan may stay a zombie where nobody collects it.
  return process.platform !== 'linux' || !/^\d+ \(.*\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

function postmasterPid(): number {
  return Number(readFileSync(join(dataDir, 'pg', 'postmaster.pid'), 'utf8').split('\n')[0])
}

function modeOf(...path: string[]): string {
  return (statSync(join(dataDir, ...path)).mode & 0o777).toString(8)
}

function runNode(source: string): ChildProcess {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return child
}

test('the first start makes a database that only its password opens, and a later start finds the same data', async () => {
  onNewData()
  const first = await start()
  await ask(first.ownerUrl, 'create table note as select 7 as id')
  const wrong = first.ownerUrl.replace(/:[\w-]{43}@/, ':wrong@')
  await expect(ask(wrong, 'select 1')).rejects.toMatchObject({ code: '28P01' })
  const [setting] = await ask(
    first.ownerUrl,
    `select current_setting('server_encoding') as encoding, current_setting('TimeZone') as zone,
       current_setting('listen_addresses') as host,
       (select rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = 'maristan_owner') as scram, 'ب' ~ '\\w' as letters`,
  )
  expect(setting).toEqual({ encoding: 'UTF8', zone: 'UTC', host: '127.0.0.1', scram: true, letters: true })
  await first.stop()

  const second = await start()
  expect(second.ownerUrl).toBe(first.ownerUrl)
  expect(await ask(second.ownerUrl, 'select id from note')).toEqual([{ id: 7 }])
  expect(lines).toEqual(['Making a new database.'])
})

test('a stop leaves nothing behind, and may be asked twice', async () => {
  const server = await start()
  const pid = postmasterPid()
  await Promise.all([server.stop(), server.stop()])
  expect(isAlive(pid)).toBe(false)
  expect(existsSync(join(dataDir, 'pg', 'postmaster.pid'))).toBe(false)
  await expect(ask(server.ownerUrl, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  expect(readdirSync(dataDir).sort()).toEqual(['owner.secret', 'pg', 'postgres.log', 'postgres.port'])
})

test('nobody else can read what is written', async () => {
  await start()
  expect(modeOf('pg')).toBe('700')
  for (const name of readdirSync(dataDir).filter((entry) => entry !== 'pg')) expect([name, modeOf(name)]).toEqual([name, '600'])
  expect(readdirSync(dataDir)).toContain('server.lock')
})

test('the log of Postgres holds no value of a statement that failed', async () => {
  const server = await start()
  await ask(server.ownerUrl, `create table person (name text unique check (name <> 'marker-c'))`)
  await ask(server.ownerUrl, `insert into person values ('marker-a')`)
  for (const sql of [
    `insert into person values ('marker-a')`,
    `insert into person values ('marker-c')`,
    `select 'marker-d'::date`,
    `do $$ begin raise warning 'marker-w'; raise 'marker-e'; end $$`,
    `select * from marker_table`,
  ]) {
    await expect(ask(server.ownerUrl, sql)).rejects.toThrow()
  }
  await server.stop()
  const log = readFileSync(join(dataDir, 'postgres.log'), 'utf8')
  expect(log).toContain('ready to accept connections')
  expect(log).not.toMatch(/marker/)
})

test('a second server on one data directory is refused by name while the first lives', async () => {
  const first = await start()
  await expect(start()).rejects.toThrow(`in use by the running Maristan of process ${process.pid}`)
  const other = runNode(`
    import { startEmbedded } from ${JSON.stringify(import.meta.resolve('./embedded.ts'))}
    await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, durable: false, log() {} }).catch((error) => console.log(error.message))`)
  const [said] = (await once(other.stdout!, 'data')) as [Buffer]
  expect(said.toString()).toContain(`process ${process.pid}`)
  expect(await ask(first.ownerUrl, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a lock of a process that is gone, of a recycled number, or without sense is taken over', async () => {
  const gone = runNode('')
  await once(gone, 'exit')
  const locks = [`{"pid":${gone.pid},"born":"alive"}`, `{"pid":${process.pid},"born":"another boot/1"}`, '{"pid":-1,"born":""}', '']
  for (const stale of locks) {
    writeFileSync(join(dataDir, 'server.lock'), stale)
    const server = await start()
    expect(JSON.parse(readFileSync(join(dataDir, 'server.lock'), 'utf8'))).toMatchObject({ pid: process.pid })
    await server.stop()
  }
})

test('after SIGKILL of its server the orphaned Postgres is found, stopped and followed by a new one with the same data', async () => {
  const holder = runNode(`
    import { startEmbedded } from ${JSON.stringify(import.meta.resolve('./embedded.ts'))}
    const server = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, durable: false, log() {} })
    console.log(server.ownerUrl)
    setInterval(() => {}, 60_000)`)
  const [url] = (await once(holder.stdout!, 'data')) as [Buffer]
  await ask(url.toString().trim(), 'create table orphaned as select 7 as id')
  const orphan = postmasterPid()
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  expect(isAlive(orphan)).toBe(true)

  const server = await start()
  expect(isAlive(orphan)).toBe(false)
  expect(postmasterPid()).not.toBe(orphan)
  expect(lines[0]).toContain(`process ${orphan}`)
  expect(server.ownerUrl).toBe(url.toString().trim())
  expect(await ask(server.ownerUrl, 'select id from orphaned')).toEqual([{ id: 7 }])
})

test('a left-over postmaster.pid with the number of a living stranger neither stops the start nor the stranger', async () => {
  await (await start()).stop()
  // The stranger runs as the same user as Postgres: only such a one makes Postgres itself refuse.
  // It is a program of the system's, for this Node may lie where that user cannot reach it.
  const account = asRoot ? { uid: nobody, gid: nobody } : {}
  const stranger = spawn('/bin/sh', ['-c', 'echo up; exec sleep 60'], { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'], ...account })
  children.push(stranger)
  await once(stranger.stdout!, 'data')
  const cluster = join(dataDir, 'pg')
  writeFileSync(join(cluster, 'postmaster.pid'), `${stranger.pid}\n${cluster}\n1\n1\n\n127.0.0.1\n        1         1\nready\n`)
  const server = await start()
  expect(await ask(server.ownerUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  expect(isAlive(stranger.pid!)).toBe(true)
})

test('a Postgres that is killed comes back on its port, again and again, and stays away after a stop', async () => {
  const server = await start({ durable: true })
  await ask(server.ownerUrl, 'create table killed as select 7 as id')
  for (const _round of [1, 2]) {
    const before = postmasterPid()
    const told = lines.length
    process.kill(before, 'SIGKILL')
    await until(() => lines.length === told + 2)
    expect(lines.slice(told)).toEqual([
      `Postgres ended by itself (SIGKILL): starting it again on port ${server.port}.`,
      `Postgres serves again on port ${server.port}.`,
    ])
    expect(postmasterPid()).not.toBe(before)
    expect(await ask(server.ownerUrl, 'select id from killed')).toEqual([{ id: 7 }])
  }
  const last = postmasterPid()
  process.kill(last, 'SIGKILL')
  await until(() => !isAlive(last))
  await server.stop()
  await expect(ask(server.ownerUrl, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('while a backend of a killed Postgres still writes, no other Postgres touches the data', async () => {
  const server = await start()
  const client = new pg.Client({ connectionString: server.ownerUrl })
  client.on('error', () => undefined)
  await client.connect()
  const [row] = (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows
  // Bounded by itself: a backend that loops does not notice that its postmaster, or this test, is gone.
  await client.query("set statement_timeout = '60s'")
  const busy = client.query('do $$ begin loop end loop; end $$').catch(() => 'cut off')
  const looping = `select 1 from pg_stat_activity where pid = ${row!.pid} and state = 'active' and query like 'do %'`
  await until(async () => (await ask(server.ownerUrl, looping)).length === 1)

  process.kill(postmasterPid(), 'SIGKILL')
  await until(() => lines.some((line) => line.includes('still in use')))
  expect(lines).not.toContain(`Postgres serves again on port ${server.port}.`)
  process.kill(row!.pid, 'SIGKILL')
  expect(await busy).toBe('cut off')
  await until(() => lines.includes(`Postgres serves again on port ${server.port}.`))
  expect(await ask(server.ownerUrl, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a process that ends without a stop takes its Postgres along', async () => {
  const careless = runNode(`
    import { startEmbedded } from ${JSON.stringify(import.meta.resolve('./embedded.ts'))}
    await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, durable: false, log() {} })
    process.exit(0)`)
  await once(careless, 'exit')
  await until(() => !existsSync(join(dataDir, 'pg', 'postmaster.pid')))
  expect(existsSync(join(dataDir, 'pg', 'PG_VERSION'))).toBe(true)
})

test('a making that was interrupted is cleaned away and repeated', async () => {
  onNewData()
  mkdirSync(join(dataDir, 'pg.init-torn', 'cluster'), { recursive: true, mode: 0o711 })
  writeFileSync(join(dataDir, 'pg.init-torn', 'password'), 'old')
  writeFileSync(join(dataDir, 'pg.init-torn', 'cluster', 'PG_VERSION'), '18')
  const server = await start()
  expect(await ask(server.ownerUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  expect(readdirSync(dataDir).filter((name) => name.startsWith('pg.init'))).toEqual([])
})

test('an existing database never gets a new secret or a new cluster: the loss is named with its mending', async () => {
  onNewData()
  await (await start()).stop()
  const secret = join(dataDir, 'owner.secret')
  const kept = readFileSync(secret, 'utf8')

  rmSync(secret)
  await expect(start()).rejects.toThrow(/owner\.secret is lost.*rm -r/)
  expect(existsSync(secret)).toBe(false)

  writeFileSync(secret, kept, { mode: 0o644 })
  await expect(start()).rejects.toThrow(`chmod 600 ${secret}`)
  chmodSync(secret, 0o600)
  writeFileSync(secret, 'short')
  await expect(start()).rejects.toThrow('owner.secret is damaged')
  writeFileSync(secret, 'x'.repeat(43))
  await expect(start()).rejects.toThrow('refuses the password in owner.secret')
  expect(existsSync(join(dataDir, 'server.lock'))).toBe(false)
  expect(existsSync(join(dataDir, 'pg', 'postmaster.pid'))).toBe(false)

  writeFileSync(secret, kept)
  rmSync(join(dataDir, 'pg', 'PG_VERSION'))
  await expect(start()).rejects.toThrow('neither empty nor a cluster')
})

test('a taken port is left to its owner, and an outgrown log becomes the previous one', async () => {
  onNewData()
  const first = await start()
  await first.stop()
  truncateSync(join(dataDir, 'postgres.log'), 10 * 1024 * 1024 + 1)
  const stranger = createServer().listen(first.port, '127.0.0.1')
  await once(stranger, 'listening')
  const second = await start().finally(() => stranger.close())
  expect(second.port).not.toBe(first.port)
  expect(readFileSync(join(dataDir, 'postgres.port'), 'utf8')).toBe(String(second.port))
  expect(await ask(second.ownerUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  expect(statSync(join(dataDir, 'postgres.log')).size).toBeLessThan(100_000)
  expect(statSync(join(dataDir, 'postgres.log.previous')).size).toBeGreaterThan(10 * 1024 * 1024)
})

test('a directory that this account cannot pass is named with its mending before anything is made; root has a way in', async () => {
  onNewData()
  expect(inspectDirectories(dataDir)).toEqual([])
  chmodSync(place, asRoot ? 0o700 : 0o600)
  if (asRoot) {
    expect(inspectDirectories(dataDir)).toEqual([])
  } else {
    expect(inspectDirectories(dataDir).join('\n')).toContain(`chmod o+x ${place}`)
    await expect(start()).rejects.toThrow(`chmod o+x ${place}`)
  }
  chmodSync(place, 0o711)
  expect(existsSync(dataDir)).toBe(false)

  writeFileSync(dataDir, '')
  expect(inspectDirectories(dataDir).join('\n')).toContain(`${dataDir} is not a directory`)
})
