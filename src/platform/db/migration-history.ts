/**
 * What is on disk in prisma/migrations, what Prisma's history table says, and whether the two agree. Changes nothing.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'

const maxMigrations = 10_000
const maxHistoryRows = 20_000
const maxMigrationBytes = 16 * 1024 * 1024

/** Names of migrations, in their order. */
export interface MigrationStatus {
  readonly applied: readonly string[]
  readonly pending: readonly string[]
  /** Applied, and the file is not what was applied. */
  readonly edited: readonly string[]
  /** Started and not finished. */
  readonly failed: readonly string[]
  /** Applied, and not on disk. */
  readonly unknown: readonly string[]
}

/** Why migrations cannot go on. Never holds a value from the database. */
export class MigrationError extends Error {
  readonly migration: string | undefined
  /** SQLSTATE of the failed statement. */
  readonly sqlState: string | undefined
  /** Line of migration.sql, from 1, where Postgres says it. */
  readonly line: number | undefined

  constructor(message: string, at: { migration?: string; sqlState?: string | undefined; line?: number | undefined } = {}) {
    super(message)
    this.name = 'MigrationError'
    this.migration = at.migration
    this.sqlState = at.sqlState
    this.line = at.line
  }
}

/** One migration folder. */
export interface MigrationFile {
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

/** Every migration on disk, in order of name. */
export async function readMigrations(directory: string): Promise<readonly MigrationFile[]> {
  const lock = await readFile(join(directory, 'migration_lock.toml'), 'utf8').catch(() => '')
  if (!/^provider\s*=\s*"postgresql"\s*$/m.test(lock)) {
    throw new MigrationError(`${join(directory, 'migration_lock.toml')} is missing or does not say provider = "postgresql".`)
  }
  const entries = await readdir(directory, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  if (names.length > maxMigrations) throw new MigrationError(`More than ${maxMigrations} migrations in ${directory}.`)
  return Promise.all(names.sort().map((name) => readMigration(directory, name)))
}

async function readMigration(directory: string, name: string): Promise<MigrationFile> {
  if (!/^\d{14}_[a-z0-9_-]{1,200}$/.test(name)) {
    throw new MigrationError(`Migration folder ${JSON.stringify(name)} is not named <yyyymmddhhmmss>_<name>.`)
  }
  const bytes = await readFile(join(directory, name, 'migration.sql')).catch(() => undefined)
  if (bytes === undefined) throw new MigrationError(`Migration ${name} has no readable migration.sql.`, { migration: name })
  if (bytes.length > maxMigrationBytes) {
    throw new MigrationError(`Migration ${name} is larger than ${maxMigrationBytes} bytes.`, { migration: name })
  }
  const sql = bytes.toString('utf8')
  // A NUL would end the query early; a wrong byte would be replaced.
  if (sql.includes('\0') || !Buffer.from(sql, 'utf8').equals(bytes)) {
    throw new MigrationError(`Migration ${name} is not plain UTF-8 text.`, { migration: name })
  }
  return { name, sql, checksum: createHash('sha256').update(bytes).digest('hex') }
}

interface HistoryRow {
  readonly migration_name: string
  readonly checksum: string
  readonly finished: boolean
}

/** Compares `files` with the history; needs SELECT on the history table only. */
export async function readStatus(client: pg.Client, files: readonly MigrationFile[]): Promise<MigrationStatus> {
  const exists = await client.query<{ yes: boolean }>("SELECT to_regclass('public._prisma_migrations') IS NOT NULL AS yes")
  const history = exists.rows[0]?.yes
    ? await client.query<HistoryRow>(
        `SELECT migration_name, checksum, finished_at IS NOT NULL AS finished FROM public._prisma_migrations
          WHERE rolled_back_at IS NULL ORDER BY migration_name COLLATE "C", started_at LIMIT ${maxHistoryRows}`,
      )
    : { rows: [] }
  if (history.rows.length === maxHistoryRows) throw new MigrationError(`The history holds ${maxHistoryRows} rows or more.`)
  const checksums = new Map(history.rows.filter((row) => row.finished).map((row) => [row.migration_name, row.checksum]))
  const failed = new Set(history.rows.filter((row) => !row.finished).map((row) => row.migration_name))
  const onDisk = new Set(files.map(({ name }) => name))
  return {
    applied: [...checksums.keys()],
    pending: files.map(({ name }) => name).filter((name) => !checksums.has(name) && !failed.has(name)),
    edited: files.filter(({ name, checksum }) => checksums.has(name) && checksums.get(name) !== checksum).map(({ name }) => name),
    failed: [...failed],
    unknown: [...checksums.keys()].filter((name) => !onDisk.has(name)),
  }
}

/** @throws {MigrationError} when going on would build on something unknown. */
export function refuseUnsound({ failed, edited, unknown }: MigrationStatus): void {
  if (failed[0] !== undefined) {
    const where = `WHERE migration_name = '${failed[0].replaceAll("'", "''")}' AND finished_at IS NULL`
    throw new MigrationError(
      `Migration ${failed[0]} was started and never finished. Look at what it left behind. If you undo that (an index left ` +
        `INVALID must be dropped), say so with: UPDATE public._prisma_migrations SET rolled_back_at = now() ${where}; and ` +
        'migrate again. If you complete it by hand, set finished_at = now(), applied_steps_count = 1 in the same way.',
      { migration: failed[0] },
    )
  }
  if (edited[0] !== undefined) {
    throw new MigrationError(
      `Migration ${edited[0]} was edited after it was applied. Restore its file and put the change into a new migration.`,
      { migration: edited[0] },
    )
  }
  if (unknown[0] !== undefined) {
    throw new MigrationError(
      `Migration ${unknown[0]} was applied to this database but is not on disk: this release is older, or the file was lost.`,
      { migration: unknown[0] },
    )
  }
}
