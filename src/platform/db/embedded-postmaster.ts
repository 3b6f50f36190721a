/** The main process of the embedded Postgres: its settings, one start, one stop. It listens on 127.0.0.1 alone and logs no values. */
import { spawn } from 'node:child_process'
import { closeSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Account, Binaries } from './embedded-binaries.ts'
import { entersByDirectory, ownDirectory } from './embedded-binaries.ts'
import { bareEnvironment, openLog, ownerName } from './embedded-cluster.ts'
import { disownPostmasterFile, fastShutdownMs, immediateShutdownMs, pollMs, postmasterState } from './embedded-process.ts'

/** The database that Maristan lives in. */
export const database = 'maristan'
/** How long one start may take before it is given up. */
export const startBoundMs = 60_000

/** A cluster that is ready to be started. */
export interface Cluster {
  readonly dataDir: string
  /** The real path of the cluster inside it. */
  readonly directory: string
  readonly account: Account
  readonly binaries: Binaries
  readonly password: string
  readonly durable: boolean
}

export interface Postmaster {
  readonly pid: number
  /** Resolves with how it ended; never rejects. */
  readonly ended: Promise<string>
  hasEnded(): boolean
  kill(signal: NodeJS.Signals): void
}

function settings(durable: boolean, port: number): string[] {
  const values: Record<string, string | number> = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    max_connections: 200,
    shared_buffers: '128MB',
    wal_level: 'replica',
    password_encryption: 'scram-sha-256',
    logging_collector: 'off',
    log_destination: 'stderr',
    // Errors and warnings quote the values they stumble over ("invalid input syntax for type date: ..."), so only the server's own
    // events are logged; terse leaves out details, which quote keys and statements.
    log_min_messages: 'log',
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
    log_statement: 'none',
    log_parameter_max_length: 0,
    log_parameter_max_length_on_error: 0,
    log_checkpoints: 'off',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

function spawnPostmaster(cluster: Cluster, port: number, logFile: number): Postmaster {
  const inside = entersByDirectory(cluster.account)
  const child = spawn(cluster.binaries.postgres, ['-D', inside ? ownDirectory : cluster.directory, ...settings(cluster.durable, port)], {
    cwd: inside ? cluster.directory : '/',
    env: bareEnvironment,
    // Its own session: Ctrl-C on the terminal is for us, and Postgres ends only after we have drained.
    detached: true,
    stdio: ['ignore', logFile, logFile],
    ...(cluster.account.lent ? { uid: cluster.account.uid, gid: cluster.account.gid } : {}),
  })
  let over = false
  const ended = new Promise<string>((done) => {
    child.once('error', (error) => done(error.message))
    child.once('exit', (code, signal) => done(signal ?? `exit code ${code}`))
  }).then((how) => {
    over = true
    return how
  })
  return { pid: child.pid ?? 0, ended, hasEnded: () => over, kill: (signal) => void child.kill(signal) }
}

/** Logs in as the owner, which proves that clients are served, and creates the database where it is missing. */
async function enter(port: number, password: string, name = database): Promise<void> {
  const client = new pg.Client({
    host: '127.0.0.1', port, user: ownerName, password, database: name, ssl: false, connectionTimeoutMillis: startBoundMs,
  })
  // A connection that breaks is seen by the awaited call; without a listener it would also end the process.
  client.on('error', () => undefined)
  try {
    await client.connect()
    if (name !== database) await client.query(`create database ${database}`)
  } finally {
    await client.end()
  }
}

function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined
}

async function served(cluster: Cluster, port: number): Promise<boolean> {
  try {
    await enter(port, cluster.password)
    return true
  } catch (error) {
    const state = sqlState(error)
    if (state === '28P01') {
      throw new Error('The existing database refuses the password in owner.secret. Bring that file back from a backup of this database.')
    }
    // 3D000: no such database. It is absent once, after initdb; then the next look finds it.
    if (state === '3D000') await enter(port, cluster.password, 'postgres')
    return false
  }
}

async function endsWithin(postmaster: Postmaster, boundMs: number): Promise<boolean> {
  const bound = new AbortController()
  const late = delay(boundMs, undefined, { signal: bound.signal }).catch(() => undefined)
  await Promise.race([postmaster.ended, late])
  bound.abort()
  return postmaster.hasEnded()
}

/**
 * Fast shutdown (clients are cut off, nothing is lost), then an immediate one.
 * @throws when it outlives both bounds.
 */
export async function shutDown(postmaster: Postmaster): Promise<void> {
  if (postmaster.hasEnded()) return
  postmaster.kill('SIGINT')
  if (await endsWithin(postmaster, fastShutdownMs)) return
  postmaster.kill('SIGQUIT')
  if (await endsWithin(postmaster, immediateShutdownMs)) return
  throw new Error(`Postgres does not stop. End it by hand: kill -QUIT ${postmaster.pid}`)
}

/** Why a start failed, and whether the reason passes by itself (backends of a killed postmaster that still run). */
export class StartFailure extends Error {
  readonly passing: boolean

  constructor(how: string, logPath: string, said: string) {
    super(`Postgres did not start (${how}): ${said.trim().split('\n').slice(-3).join(' ') || 'it said nothing'}. Its log is ${logPath}.`)
    this.passing = said.includes('still in use')
  }
}

/** One attempt: spawns Postgres and awaits that it serves. Nothing is left running when it throws. */
export async function launch(cluster: Cluster, port: number, stopping?: AbortSignal): Promise<Postmaster> {
  disownPostmasterFile(cluster.directory, cluster.dataDir, cluster.account)
  const log = openLog(cluster.dataDir)
  let postmaster: Postmaster
  try {
    postmaster = spawnPostmaster(cluster, port, log.file)
  } finally {
    closeSync(log.file)
  }
  try {
    for (const until = performance.now() + startBoundMs; performance.now() < until; await delay(pollMs)) {
      stopping?.throwIfAborted()
      if (postmaster.hasEnded()) {
        const said = readFileSync(log.path).subarray(log.size).toString('utf8')
        throw new StartFailure(await postmaster.ended, log.path, said)
      }
      // Asked of the file first: on the port itself a stranger may listen.
      const state = postmasterState(cluster.directory)
      if (state?.pid === postmaster.pid && state.ready && (await served(cluster, port))) return postmaster
    }
    throw new Error(`Postgres was not ready within ${startBoundMs / 1000} s. Its log is ${log.path}.`)
  } catch (error) {
    await shutDown(postmaster)
    throw error
  }
}
