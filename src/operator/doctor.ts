/** What is wrong and how to mend it, from the outside in: machine, configuration, files, database, walls, keys; and what is not built yet. */
import { existsSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type pg from 'pg'
import type { Composed } from '../platform/compose.ts'
import { BadConfiguration, readConfig, type Config, type KmsConfig } from '../platform/config.ts'
import { inspectDirectories } from '../platform/db/embedded.ts'
import { runningEmbedded } from '../platform/db/reach.ts'
import { migrationStatus } from '../platform/db/migrate.ts'
import { authLogin, urlFor } from '../platform/db/logins.ts'
import { inspectLogins, withClient } from '../platform/db/provision.ts'
import { rightsToMend } from '../platform/db/rights.ts'
import { inspectCatalogue } from '../proof/catalogue.ts'
import { backupsState, type BackupsState } from './doctor-backups.ts'
import { lateCheckpoints, sinkProblems } from './doctor-ledger.ts'
import { complaint, listenProblem, mendLogins } from './complaint.ts'
import { withOwner } from './open.ts'
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
  /** Null where the database could not be asked, or was never made. */
  readonly backups: BackupsState | null
  readonly unbuilt: Unbuilt
}

const leastFreeBytes = 1024 ** 3
const mostClockSkewMs = 5_000
const privateFiles = ['kms.json', 'login.secret', 'owner.secret', 'backup.key', 'demo.json']

type Check = (name: string, look: () => Promise<readonly string[]> | readonly string[]) => Promise<void>

/** What the doctor looks at beside the configuration and the database. */
export interface Machine {
  /** Bytes that are free where a directory lies. */
  freeBytes(directory: string): Promise<number>
  nowMs(): number
}

const thisMachine: Machine = {
  async freeBytes(directory) {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  },
  nowMs: () => Date.now(),
}

/** Examines everything that can be examined; one check's failure never hides the next. Changes nothing. */
export async function diagnose(
  environment: Readonly<Record<string, string | undefined>>,
  house: Composed,
  machine: Machine = thisMachine,
): Promise<Diagnosis> {
  const findings: Finding[] = []
  const check: Check = async (name, look) => {
    try {
      const problems = await look()
      findings.push({ check: name, ok: problems.length === 0, problems })
    } catch (error) {
      findings.push({ check: name, ok: false, problems: error instanceof BadConfiguration ? error.problems : [complaint(error)] })
    }
  }

  let config: Config | null = null
  let backups: BackupsState | null = null
  await check('runtime', () => {
    const major = Number(process.versions.node.split('.')[0])
    return major >= 24 ? [] : [`This is Node ${process.version}; Maristan runs on 24. Repair the pinned one: npm ci --ignore-scripts`]
  })
  await check('configuration', () => {
    config = readConfig(environment)
    return []
  })
  if (config !== null) await examine(config, check, machine, (state) => (backups = state))
  return { healthy: findings.every((finding) => finding.ok), findings, backups, unbuilt: unbuilt(house) }
}

async function examine(config: Config, check: Check, machine: Machine, tell: (backups: BackupsState) => void): Promise<void> {
  const embedded = config.databaseUrl === null
  const isRunning = embedded && runningEmbedded(config.dataDir) !== null
  if (embedded) await check('directory mode', () => inspectDirectories(config.dataDir))
  await check('disk', () => freeSpace(config.dataDir, machine))
  await check('port', () => (isRunning ? [] : portFree(config)))
  await check('private files', () => exposedFiles(config))
  await check('sink', () => sinkProblems(config))
  if (embedded && !existsSync(join(config.dataDir, 'pg'))) {
    // Nothing was ever started here, and to look would be to make it.
    return check('database', () => [])
  }
  if (!embedded && config.databaseOwnerUrl === null) {
    const asLogin = urlFor(authLogin, config.databaseUrl, config.databaseLoginSecret!)
    await check('logins', () => withClient(asLogin, loginProblems))
    return check('database', () => ['DATABASE_OWNER_URL is not set, so migrations and walls were not examined. Set it and repeat.'])
  }
  await check('database', () =>
    withOwner(config, async (ownerUrl) => {
      await check('migrations', () => migrationProblems(ownerUrl))
      return withClient(ownerUrl, async (client) => {
        await check('logins', async () => [...(await loginProblems(client)), ...(await lockedOut(ownerUrl, config.databaseLoginSecret))])
        await check('rights', () => rightProblems(ownerUrl, client))
        await check('walls', async () => (await inspectCatalogue(client)).filter(({ rule }) => rule !== 'login-power').map((one) => one.message))
        await check('keys', () => lostKeys(client, config))
        await check('checkpoints', () => lateCheckpoints(client))
        await check('leaving', () => stuckOffboardings(client))
        await check('backups', async () => {
          tell(await backupsState(client, config.backupWarnHours))
          return []
        })
        return clockProblems(client, machine)
      })
    }),
  )
}

async function freeSpace(directory: string, machine: Machine): Promise<string[]> {
  let place = directory
  while (!existsSync(place)) place = join(place, '..')
  const free = await machine.freeBytes(place)
  return free < leastFreeBytes ? [`Only ${Math.round(free / 1024 ** 2)} MB are free at ${place}. Free some; below 1 GB Postgres may stop.`] : []
}

function portFree({ host, port, databaseUrl }: Config): Promise<string[]> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', async ({ code }: NodeJS.ErrnoException) => {
      // Over a database of its own the server leaves no lock to know it by.
      const isOurs = code === 'EADDRINUSE' && databaseUrl !== null && (await isMaristan(host, port))
      resolve(isOurs ? [] : [listenProblem({ host, port, code })])
    })
    probe.listen({ host, port }, () => probe.close(() => resolve([])))
  })
}

async function isMaristan(host: string, port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://${host.includes(':') ? `[${host}]` : host}:${port}/healthz`, { signal: AbortSignal.timeout(1_000) })
    return ((await answer.json()) as { alive?: unknown }).alive === true
  } catch {
    return false
  }
}

/** Windows keeps no modes; there the directory's access list is the protection. */
function exposedFiles({ dataDir }: Config): string[] {
  if (process.geteuid === undefined) return []
  const paths = privateFiles.map((name) => join(dataDir, name))
  const exposed = paths.filter((path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0)
  return exposed.map((path) => `${path} can be read by others. Close it: chmod 600 ${path}`)
}

async function migrationProblems(ownerUrl: string): Promise<string[]> {
  const status = await migrationStatus({ ownerUrl })
  return [
    ...status.pending.map((name) => `Migration ${name} is not applied: run maristan migrate.`),
    ...status.edited.map((name) => `Migration ${name} was edited after it was applied: bring the file back as it was.`),
    ...status.failed.map((name) => `Migration ${name} failed half-way: see maristan migrate.`),
    ...status.unknown.map((name) => `Migration ${name} is applied but not in this version: run the version that has it.`),
  ]
}

async function loginProblems(client: pg.Client): Promise<string[]> {
  const problems = await inspectLogins(client)
  return problems.length > 0 ? [...problems, mendLogins] : []
}

/** Whether the password that is derived for a login is the one it has; unknown where the secret is the embedded database's own. */
async function lockedOut(ownerUrl: string, secret: string | null): Promise<string[]> {
  if (secret === null) return []
  try {
    await withClient(urlFor(authLogin, ownerUrl, secret), (client) => client.query('select 1'))
    return []
  } catch (error) {
    return [`Login ${authLogin} cannot sign in (${complaint(error)}). Correct DATABASE_LOGIN_SECRET, or run maristan migrate, which sets every login's password by it.`]
  }
}

/** Held against the list of this version, so only where its migrations are applied. */
async function rightProblems(ownerUrl: string, client: pg.Client): Promise<string[]> {
  const { pending, unknown } = await migrationStatus({ ownerUrl })
  if (pending.length > 0 || unknown.length > 0) return []
  const statements = await rightsToMend(client)
  return statements.length > 0 ? [...statements.map((one) => `A login's rights are not those of the migrations: ${one};`), mendLogins] : []
}

async function clockProblems(client: pg.Client, machine: Machine): Promise<string[]> {
  const { rows } = await client.query<{ now: Date }>('select clock_timestamp() as now')
  const skew = Math.abs(rows[0]!.now.getTime() - machine.nowMs())
  if (skew <= mostClockSkewMs) return []
  return [`The database's clock is ${Math.round(skew / 1000)} s away from this machine's. Set both by NTP; tokens and locks depend on it.`]
}

/** Tenants whose leaving was begun and cut off: their door is shut and nobody is told. */
async function stuckOffboardings(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ slug: string; state: string }>(
    `select t.slug, o.state from custody.offboarding o join tenancy.tenant t on t.tenant_id = o.tenant_id
     where o.state in ('CLOSED', 'EXPORTED', 'SHREDDING', 'SWEPT') and o.closed_at < now() - interval '1 day' order by t.slug`,
  )
  return rows.map(({ slug, state }) => `The leaving of ${slug} stopped at ${state}. Go on with it: maristan tenant offboard --confirm ${slug} --out <its export>`)
}

async function kmsProblems(kms: Extract<KmsConfig, { provider: 'aws' }>): Promise<string[]> {
  const { openAwsKms } = await import('../platform/crypto/kms-aws.ts')
  const opened = await openAwsKms(kms)
  try {
    await opened.describe(kms.keyId)
    return []
  } finally {
    opened.close()
  }
}

async function lostKeys(client: pg.Client, config: Config): Promise<string[]> {
  const path = join(config.dataDir, 'kms.json')
  if (config.kms.provider === 'aws') return kmsProblems(config.kms)
  if (existsSync(path)) return []
  const { rows } = await client.query<{ sealed: boolean }>('select exists (select from vault.platform_key) as sealed')
  return rows[0]!.sealed ? [`${path} is missing, and sealed values exist. Bring it back from your backup; without it they stay unreadable.`] : []
}
