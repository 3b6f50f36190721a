/**
 * A pgbouncer of the test's own in transaction mode with ONE server connection for each login, so that everybody meets on it.
 * Listens on 127.0.0.1 only; refuses to be skipped where the program is missing.
 */
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { deriveLoginPassword } from '../../src/platform/crypto/hash.ts'
import { logins } from '../../src/platform/db/logins.ts'
import { freePort, until } from '../kit/server.ts'

export interface Pgbouncer {
  /** The address of a database through the pooler; without a user. */
  urlOf(database: string): string
  /** Closes every server connection; resolves when they are gone. The next transaction opens another. */
  reconnect(): Promise<void>
  stop(): Promise<void>
}

/** pgbouncer refuses to run as root; this is the account without rights on every Linux. */
const nobody = 65534

const program = 'pgbouncer'
/** Debian puts it where only root's search path looks. */
const path = `${process.env['PATH']}:/usr/sbin`

/** @param postgresUrl any address on the Postgres to pool. @throws when pgbouncer is not installed or does not start. */
export async function startPgbouncer(postgresUrl: string, loginSecret: string): Promise<Pgbouncer> {
  if (spawnSync(program, ['--version'], { env: { PATH: path } }).error) {
    throw new Error('pgbouncer is not installed and nothing is skipped for want of it: apt-get install --no-install-recommends pgbouncer')
  }
  const postgres = new URL(postgresUrl)
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'maristan-pooler-'))
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 })
    if (process.getuid?.() === 0) chownSync(join(directory, name), nobody, nobody)
    return join(directory, name)
  }
  const admin = { user: 'pooler_admin', password: randomBytes(24).toString('hex') }
  const users = file(
    'users.txt',
    [...logins.map((login) => [login, deriveLoginPassword(loginSecret, login)]), [admin.user, admin.password]]
      .map(([user, password]) => `"${user}" "${password}"\n`)
      .join(''),
  )
  const settings = file(
    'pgbouncer.ini',
    [
      '[databases]',
      `* = host=${postgres.hostname} port=${postgres.port || 5432}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${users}`,
      `admin_users = ${admin.user}`,
      'pool_mode = transaction',
      'default_pool_size = 1',
      'server_idle_timeout = 0',
      '',
    ].join('\n'),
  )
  chmodSync(directory, 0o711)
  const child = spawn(program, [settings], {
    env: { PATH: path },
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}),
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk}`.slice(-4_000)))
  const ended = once(child, 'exit')
  const administer = async (...commands: string[]) => {
    const client = new pg.Client({ ...admin, host: '127.0.0.1', port, database: 'pgbouncer' })
    try {
      await client.connect()
      for (const command of commands) await client.query(command)
    } finally {
      await client.end().catch(() => {})
    }
  }
  await until('pgbouncer answers', async () => {
    if (child.exitCode !== null) throw new Error(`pgbouncer ended: ${said}`)
    return administer('SHOW VERSION').then(() => true, () => false)
  })
  return {
    urlOf: (database) => `postgres://127.0.0.1:${port}/${database}`,
    reconnect: () => administer('RECONNECT', 'WAIT_CLOSE'),
    async stop() {
      child.kill('SIGTERM')
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
