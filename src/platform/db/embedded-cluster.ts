/**
 * The files of the embedded Postgres: making a cluster once, its owner's secret, its port and its log.
 * Refuses a new cluster where one is, and a new secret for an old cluster.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync, chownSync, closeSync, existsSync, fsyncSync, mkdirSync, mkdtempSync, openSync, readdirSync, renameSync, rmSync, statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import type { Account, Binaries } from './embedded-binaries.ts'
import { entersByDirectory, ownDirectory, quoted } from './embedded-binaries.ts'
import { textOf, writePrivate } from './embedded-process.ts'

export const ownerName = 'maristan_owner'
const secretFile = 'owner.secret'
const portFile = 'postgres.port'
const making = 'pg.init-'
const maxLogBytes = 10 * 1024 * 1024

// The first choice gives text search every script's letters and sorts by code point everywhere alike.
// Where the system has no C.UTF-8 (macOS before 14) the second still folds case, but trigrams see Latin letters only.
const locales = [
  ['--locale=C.UTF-8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
  ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
]

/** The environment of Postgres: nothing of ours, neither secrets nor PG* settings. */
export const bareEnvironment = { PATH: '/usr/bin:/bin', TZ: 'UTC' }

/** Where the cluster of a data directory lives. */
export function clusterIn(dataDir: string): string {
  return join(dataDir, 'pg')
}

/** Makes the data directory; one that is new can be passed, but not read, by the account of Postgres. */
export function prepareDataDir(dataDir: string, account: Account): void {
  const first = mkdirSync(dataDir, { recursive: true, mode: account.lent ? 0o711 : 0o700 })
  if (first === undefined || !account.lent) return
  // A strict umask would have taken the bit away again.
  for (let directory = dataDir; directory.length >= first.length; directory = dirname(directory)) chmodSync(directory, 0o711)
}

/** What is wrong with an existing cluster and its secret; a sentence each. Changes nothing. */
export function clusterProblems(dataDir: string, account: Account): string[] {
  const cluster = clusterIn(dataDir)
  if (!existsSync(cluster)) return []
  const { uid } = statSync(cluster)
  if (uid !== account.uid) {
    return [`${cluster} belongs to uid ${uid}, but Postgres would run as uid ${account.uid}. Start as the user who made it, or: ` +
      `sudo chown -R ${account.uid}:${account.gid} ${quoted(cluster)}`]
  }
  const reset = `To begin anew with an empty database: rm -r ${quoted(cluster)}`
  if (!existsSync(join(cluster, 'PG_VERSION'))) {
    return readdirSync(cluster).length === 0 ? [] : [`${cluster} is neither empty nor a cluster. Bring back what it was. ${reset}`]
  }
  const path = join(dataDir, secretFile)
  const secret = statSync(path, { throwIfNoEntry: false })
  if (secret === undefined) {
    return [`${path} is lost, and the password of the existing database was in it. Bring it back from a backup. ${reset}`]
  }
  if ((secret.mode & 0o077) !== 0) return [`${path} can be read by others. Close it: chmod 600 ${quoted(path)}`]
  return []
}

/** The owner's password: read, or made where no cluster exists yet. */
function ownerSecret(dataDir: string): string {
  const path = join(dataDir, secretFile)
  const secret = textOf(path) ?? randomBytes(32).toString('base64url')
  if (!/^[\w-]{43}$/.test(secret)) throw new Error(`${path} is damaged. Bring it back from a backup.`)
  if (!existsSync(join(clusterIn(dataDir), 'PG_VERSION'))) writePrivate(dataDir, secretFile, secret)
  return secret
}

function run(command: string, args: readonly string[], cwd: string, account: Account): Promise<{ code: number | null; output: string }> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, {
      cwd,
      env: bareEnvironment,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(account.lent ? { uid: account.uid, gid: account.gid } : {}),
    })
    let output = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output = `${output}${text}`.slice(-4000)
    })
    child.on('error', fail)
    child.on('close', (code) => done({ code, output: output.trim() }))
  })
}

interface Making {
  readonly account: Account
  readonly binaries: Binaries
  readonly durable: boolean
  readonly log: (line: string) => void
}

async function initdb(directory: string, password: string, { account, binaries, durable }: Making): Promise<void> {
  const passwordFile = join(directory, 'password')
  writeFileSync(passwordFile, password, { mode: 0o600, flag: 'wx' })
  if (account.lent) {
    chownSync(passwordFile, account.uid, account.gid)
    chownSync(directory, account.uid, account.gid)
  }
  const cluster = join(directory, 'cluster')
  const inside = entersByDirectory(account)
  if (inside) {
    mkdirSync(cluster, { mode: 0o700 })
    chownSync(cluster, account.uid, account.gid)
  }
  let said = ''
  for (const locale of locales) {
    const args = [
      '-D', inside ? ownDirectory : cluster, '-U', ownerName, `--pwfile=${inside ? '../password' : passwordFile}`,
      '--auth=scram-sha-256', '--encoding=UTF8', ...locale,
      ...(durable ? [] : ['--no-sync']),
    ]
    const { code, output } = await run(binaries.initdb, args, inside ? cluster : '/', account)
    if (code === 0) return
    said = output
    if (!output.includes('invalid locale name')) break
  }
  throw new Error(`initdb could not make the database: ${said}`)
}

/**
 * Makes the cluster unless it exists, and answers its owner's password.
 * It is made aside and moved into place when complete, so an interrupted making is never taken for a cluster.
 */
export async function ensureCluster(dataDir: string, options: Making): Promise<string> {
  for (const left of readdirSync(dataDir).filter((name) => name.startsWith(making))) {
    rmSync(join(dataDir, left), { recursive: true, force: true, maxRetries: 10 })
  }
  const cluster = clusterIn(dataDir)
  const password = ownerSecret(dataDir)
  if (existsSync(join(cluster, 'PG_VERSION'))) return password

  options.log('Making a new database.')
  const aside = mkdtempSync(join(dataDir, making))
  try {
    await initdb(aside, password, options)
    renameSync(join(aside, 'cluster'), cluster)
    if (options.durable) syncDirectory(dataDir)
  } finally {
    rmSync(aside, { recursive: true, force: true, maxRetries: 10 })
  }
  return password
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/** Opens the log for appending (mode 0600); one that has grown past 10 MB becomes the previous one. */
export function openLog(dataDir: string): { file: number; path: string; size: number } {
  const path = join(dataDir, 'postgres.log')
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > maxLogBytes) renameSync(path, `${path}.previous`)
  return { file: openSync(path, 'a', 0o600), path, size: size > maxLogBytes ? 0 : size }
}

function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((done) => {
    const probe = createServer()
    probe.once('error', () => done(undefined))
    probe.listen({ port, host: '127.0.0.1' }, () => {
      const taken = (probe.address() as AddressInfo).port
      probe.close(() => done(taken))
    })
  })
}

/** A free loopback port: the remembered one if it is free, else another, which is remembered. */
export async function choosePort(dataDir: string): Promise<number> {
  const remembered = Number(textOf(join(dataDir, portFile)))
  const usable = Number.isInteger(remembered) && remembered >= 1024 && remembered <= 65_535
  const port = (usable ? await listenOnce(remembered) : undefined) ?? (await listenOnce(0))
  if (port === undefined) throw new Error('No free port on 127.0.0.1. Stop a program that listens there.')
  if (port !== remembered) writePrivate(dataDir, portFile, String(port))
  return port
}
