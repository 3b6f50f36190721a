/** The ground the server stands on: the embedded Postgres or the configured one, migrated, its logins ready and no stronger than they should be. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Log } from '../http/log.ts'
import { Database } from './database.ts'
import { startEmbedded } from './embedded.ts'
import { provision, refuseLostOrder, refuseUnsafe } from './provision.ts'

export interface Foundation {
  readonly database: Database
  readonly databaseUrl: string
  readonly loginSecret: string
  /** For `migrate`, `backup` and `doctor`; null when only the logins' address was configured. */
  readonly ownerUrl: string | null
  stop(): Promise<void>
}

/** @throws UnsafeDatabase, BadConfiguration, or what the embedded Postgres has to say. Leaves nothing running then. */
export async function layFoundation(config: Config, log: Log): Promise<Foundation> {
  // Beside an own Postgres it holds the keys, the letters and the checkpoints, all of them for this user alone.
  if (config.databaseUrl !== null) await mkdir(config.dataDir, { recursive: true, mode: 0o700 })
  const embedded =
    config.databaseUrl === null
      ? await startEmbedded({ dataDir: config.dataDir, durable: true, log: (line) => log.info('database.embedded', { operation: line }) })
      : null
  try {
    const databaseUrl = config.databaseUrl ?? embedded!.ownerUrl
    const ownerUrl = embedded?.ownerUrl ?? config.databaseOwnerUrl
    const loginSecret = config.databaseLoginSecret ?? (await secretIn(config.dataDir))
    if (ownerUrl !== null) {
      const applied = await provision({ ownerUrl, loginSecret })
      for (const { name, ms } of applied) log.info('database.migrated', { migration: name, durationMs: Math.round(ms) })
    }
    await refuseUnsafe(databaseUrl, loginSecret)
    // With the owner's connection that was just mended.
    if (ownerUrl === null) await refuseLostOrder(databaseUrl, loginSecret)
    const database = new Database({ url: databaseUrl, loginSecret, preparedStatements: config.preparedStatements })
    return {
      database,
      databaseUrl,
      loginSecret,
      ownerUrl,
      async stop() {
        await database.close()
        await embedded?.stop()
      },
    }
  } catch (error) {
    await embedded?.stop()
    throw error
  }
}

/** Embedded mode's own login secret, made once. */
export async function secretIn(dataDir: string): Promise<string> {
  const path = join(dataDir, 'login.secret')
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  await mkdir(dataDir, { recursive: true })
  const secret = randomBytes(32).toString('base64url')
  await writeFile(path, `${secret}\n`, { mode: 0o600, flag: 'wx', flush: true })
  return secret
}
