/** The way to the database for a command beside the server: the running server's, the configured one, or the embedded one, started for it. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Log } from '../http/log.ts'
import { Database } from './database.ts'
import { ownerName } from './embedded-cluster.ts'
import { isHeld, textOf } from './embedded-process.ts'
import { database as databaseName } from './embedded-postmaster.ts'
import { layFoundation, type Foundation } from './foundation.ts'

/** The owner's address of the embedded Postgres of a server that runs now; null when none runs on this data directory. */
export function runningEmbedded(dataDir: string): string | null {
  if (!existsSync(join(dataDir, 'server.lock')) || !isHeld(dataDir)) return null
  const secret = textOf(join(dataDir, 'owner.secret'))?.trim()
  const port = textOf(join(dataDir, 'postgres.port'))?.trim()
  return secret && port ? `postgres://${ownerName}:${secret}@127.0.0.1:${port}/${databaseName}` : null
}

/** Joins a running server's database, or lays the foundation for as long as the command takes. */
export async function reachFoundation(config: Config, log: Log): Promise<Foundation> {
  const ownerUrl = config.databaseUrl === null ? runningEmbedded(config.dataDir) : null
  if (ownerUrl === null) return layFoundation(config, log)
  const loginSecret = config.databaseLoginSecret ?? readFileSync(join(config.dataDir, 'login.secret'), 'utf8').trim()
  const database = new Database({ url: ownerUrl, loginSecret, preparedStatements: config.preparedStatements })
  return { database, databaseUrl: ownerUrl, loginSecret, ownerUrl, stop: () => database.close() }
}
