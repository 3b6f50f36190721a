/** What is wrong and how to mend it, from the outside in: machine, configuration, files, database, walls, keys; and what is not built yet. */
import { existsSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Composed } from '../platform/compose.ts'
import { BadConfiguration, readConfig, type Config } from '../platform/config.ts'
import { inspectDirectories } from '../platform/db/embedded.ts'
import { runningEmbedded } from '../platform/db/reach.ts'
import { migrationStatus } from '../platform/db/migrate.ts'
import { inspectLogins, withClient } from '../platform/db/provision.ts'
import { inspectCatalogue } from '../proof/catalogue.ts'
import { unbuilt, type Unbuilt } from './unbuilt.ts'

export interface Finding {
  readonly check: string
  readonly ok: boolean
  /** Sentences; each says what to do. Empty when all is well. */
  readonly problems: readonly string[]
}

export interface Diagnosis {
  readonly healthy: boolean
  readonly findings: readonly Finding[]
  readonly unbuilt: Unbuilt
}

const leastFreeBytes = 1024 ** 3
const mostClockSkewMs = 5_000

/** Examines everything that can be examined; one check's failure never hides the next. Changes nothing. */
export async function diagnose(environment: Readonly<Record<string, string | undefined>>, house: Composed): Promise<Diagnosis> {
  const findings: Finding[] = []
  const check = async (name: string, look: () => Promise<readonly string[]> | readonly string[]) => {
    try {
      const problems = await look()
      findings.push({ check: name, ok: problems.length === 0, problems })
    } catch (error) {
      findings.push({ check: name, ok: false, problems: [(error as Error).message] })
    }
  }

  let config: Config | null = null
  await check('runtime', () => {
    const major = Number(process.versions.node.split('.')[0])
    return major >= 24 ? [] : [`This is Node ${process.version}; Maristan runs on 24. Repair the pinned one: npm ci --ignore-scripts`]
  })
  await check('configuration', () => {
    try {
      config = readConfig(environment)
      return []
    } catch (error) {
      if (error instanceof BadConfiguration) return error.problems
      throw error
    }
  })
  if (config !== null) await examine(config, check)
  return { healthy: findings.every((finding) => finding.ok), findings, unbuilt: unbuilt(house) }
}

type Check = (name: string, look: () => Promise<readonly string[]> | readonly string[]) => Promise<void>

async function examine(config: Config, check: Check): Promise<void> {
  const embedded = config.databaseUrl === null
  const running = embedded ? runningEmbedded(config.dataDir) : null
  if (embedded) await check('directory mode', () => inspectDirectories(config.dataDir))
  await check('disk', () => freeSpace(config.dataDir))
  await check('port', () => (running === null ? portFree(config.host, config.port) : []))
  await check('key file', () => keyFile(config))
  const ownerUrl = embedded ? running : config.databaseOwnerUrl
  if (ownerUrl === null) {
    await check('database', () =>
      embedded ? [] : ['DATABASE_OWNER_URL is not set, so migrations and rights could not be examined. Set it and repeat.'],
    )
    return
  }
  await check('database', () =>
    withClient(ownerUrl, async (client) => {
      const { rows } = await client.query<{ now: Date }>('select clock_timestamp() as now')
      const skew = Math.abs(rows[0]!.now.getTime() - Date.now())
      return skew > mostClockSkewMs
        ? [`The database's clock is ${Math.round(skew / 1000)} s away from this machine's. Set both by NTP; tokens and locks depend on it.`]
        : []
    }),
  )
  await check('migrations', async () => {
    const status = await migrationStatus({ ownerUrl })
    return [
      ...status.pending.map((name) => `Migration ${name} is not applied: run maristan migrate.`),
      ...status.edited.map((name) => `Migration ${name} was edited after it was applied: bring the file back as it was.`),
      ...status.failed.map((name) => `Migration ${name} failed half-way: see maristan migrate.`),
      ...status.unknown.map((name) => `Migration ${name} is applied but not in this version: run the version that has it.`),
    ]
  })
  await check('logins', () => withClient(ownerUrl, inspectLogins))
  await check('walls', () => withClient(ownerUrl, async (client) => (await inspectCatalogue(client)).map((one) => one.message)))
}

async function freeSpace(directory: string): Promise<string[]> {
  let place = directory
  while (!existsSync(place)) place = join(place, '..')
  const { bavail, bsize } = await statfs(place)
  const free = bavail * bsize
  return free < leastFreeBytes ? [`Only ${Math.round(free / 1024 ** 2)} MB are free at ${place}. Free some; below 1 GB Postgres may stop.`] : []
}

function portFree(host: string, port: number): Promise<string[]> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve([
        error.code === 'EADDRINUSE'
          ? `Port ${port} on ${host} is taken by another program. Stop it, or set PORT to a free one.`
          : `Port ${port} on ${host} cannot be used (${error.code}). Set PORT or HOST to others.`,
      ]),
    )
    probe.listen({ host, port }, () => probe.close(() => resolve([])))
  })
}

function keyFile(config: Config): string[] {
  if (config.kmsProvider !== 'local') return []
  const path = join(config.dataDir, 'kms.json')
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) return []
  return (stat.mode & 0o077) !== 0 ? [`${path} can be read by others. Close it: chmod 600 ${path}`] : []
}
