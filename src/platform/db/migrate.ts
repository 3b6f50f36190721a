/**
 * Applies prisma/migrations to a database and keeps Prisma's own history of it, so that `prisma migrate deploy` and `status`
 * agree wherever they can run. Refuses an edited, vanished or half-applied migration, and names it.
 *
 * A migration and its history row are one transaction. One whose first line is `-- maristan:no-transaction` (for CREATE INDEX
 * CONCURRENTLY; one statement a file) is recorded as started before it runs. Needs a direct connection: the session lock
 * does not survive a transaction pooler.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { MigrationError, readMigrations, readStatus, refuseUnsound } from './migration-history.ts'
import type { MigrationFile, MigrationStatus } from './migration-history.ts'

export { MigrationError } from './migration-history.ts'
export type { MigrationStatus } from './migration-history.ts'

/** Where the migrations live, one folder each. */
export const defaultMigrationsDirectory = join(import.meta.dirname, '../../../prisma/migrations')

const connectTimeoutMs = 10_000
const statementTimeoutMs = 60 * 60_000
const idleTimeoutMs = 60_000
const defaultLockTimeoutMs = 5_000
const defaultTurnTimeoutMs = 10 * 60_000
const turnPollMs = 200
// Prisma's own key: its engine and this one never run at once.
const turnKey = 72707369
// What a migration SET must reach neither its history row nor the next one.
const resetSession = 'RESET ROLE; RESET ALL'
const noTransactionMark = '-- maristan:no-transaction'
const guard = 'maristan_migration_guard'
const unfinished = 'maristan_migration_unfinished'

// Column for column as Prisma's engine makes it.
const createHistory = `CREATE TABLE public._prisma_migrations (
  id varchar(36) PRIMARY KEY NOT NULL,
  checksum varchar(64) NOT NULL,
  finished_at timestamptz,
  migration_name varchar(255) NOT NULL,
  logs text,
  rolled_back_at timestamptz,
  started_at timestamptz NOT NULL DEFAULT now(),
  applied_steps_count integer NOT NULL DEFAULT 0
)`

const recordStarted = 'INSERT INTO public._prisma_migrations (id, checksum, migration_name) VALUES ($1, $2, $3)'
const recordFinished = 'UPDATE public._prisma_migrations SET finished_at = clock_timestamp(), applied_steps_count = 1 WHERE id = $1'
const recordFailed = 'UPDATE public._prisma_migrations SET logs = $2 WHERE id = $1'

// A deferred unique constraint that is violated until the very end: a migration that commits by itself fails and leaves nothing.
const openGuard = `CREATE TEMP TABLE ${guard} (one int CONSTRAINT ${unfinished} UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP;
  INSERT INTO pg_temp.${guard} VALUES (1), (1)`
const closeGuard = `DELETE FROM pg_temp.${guard}`

/** One migration that this run applied. */
export interface AppliedMigration {
  readonly name: string
  /** How long it took, in milliseconds. */
  readonly ms: number
}

export interface MigrateOptions {
  /** Connection URL of the login that owns the schemas; it need not be a superuser. */
  readonly ownerUrl: string
  /** Folder of the migrations; prisma/migrations by default. */
  readonly directory?: string
  /** How long a statement waits for a table that others use, in milliseconds; 5000 by default. */
  readonly lockTimeoutMs?: number
  /** How long to wait for another migrator to finish, in milliseconds; ten minutes by default. */
  readonly turnTimeoutMs?: number
  /** Called before each migration; `index` counts from 0. */
  readonly onProgress?: (name: string, index: number, total: number) => void
}

/**
 * Applies what is missing, in order, and gives what it applied. Safe to run twice, at once, and after a crash.
 * @throws {MigrationError} naming the migration; what ran before it stays applied.
 */
export async function migrate(options: MigrateOptions): Promise<readonly AppliedMigration[]> {
  const files = await readMigrations(options.directory ?? defaultMigrationsDirectory)
  return withClient(options.ownerUrl, options.lockTimeoutMs ?? defaultLockTimeoutMs, async (client) => {
    await takeTurn(client, options.turnTimeoutMs ?? defaultTurnTimeoutMs)
    const status = await readStatus(client, files)
    refuseUnsound(status)
    const exists = await client.query("SELECT 1 FROM pg_class WHERE oid = to_regclass('public._prisma_migrations')")
    if (exists.rowCount === 0) await client.query(createHistory)
    const pending = files.filter(({ name }) => status.pending.includes(name))
    const applied: AppliedMigration[] = []
    for (const [index, file] of pending.entries()) {
      options.onProgress?.(file.name, index, pending.length)
      const startedAt = performance.now()
      await apply(client, file)
      applied.push({ name: file.name, ms: Math.round(performance.now() - startedAt) })
    }
    return applied
  })
}

/** Compares disk and database without changing anything. Any login that may read the history table will do. */
export async function migrationStatus(options: { readonly ownerUrl: string; readonly directory?: string }): Promise<MigrationStatus> {
  const files = await readMigrations(options.directory ?? defaultMigrationsDirectory)
  return withClient(options.ownerUrl, defaultLockTimeoutMs, (client) => readStatus(client, files))
}

/** Names of the migrations on disk, in order; needs no database. */
export async function migrationNames(directory = defaultMigrationsDirectory): Promise<readonly string[]> {
  return (await readMigrations(directory)).map(({ name }) => name)
}

async function withClient<T>(ownerUrl: string, lockTimeoutMs: number, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: ownerUrl,
    application_name: 'maristan-migrate',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    lock_timeout: lockTimeoutMs,
    statement_timeout: statementTimeoutMs,
    // A migrator whose machine vanished in mid-transaction must not hold its locks for ever.
    idle_in_transaction_session_timeout: idleTimeoutMs,
  })
  // A lost connection also rejects the query that runs; unheard, this event would end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

// Polled, not awaited in Postgres: a waiting statement holds a snapshot, for which CREATE INDEX CONCURRENTLY would wait in turn.
async function takeTurn(client: pg.Client, turnTimeoutMs: number): Promise<void> {
  const deadline = performance.now() + turnTimeoutMs
  for (;;) {
    const { rows } = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock($1) AS mine', [turnKey])
    if (rows[0]?.mine) return
    if (performance.now() > deadline) throw new MigrationError(`Another migrator is still at work after ${turnTimeoutMs} ms.`)
    await delay(turnPollMs)
  }
}

async function apply(client: pg.Client, file: MigrationFile): Promise<void> {
  const alone = file.sql.split(/\r?\n/, 1)[0]?.trimEnd() === noTransactionMark
  await (alone ? applyAlone(client, file) : applyInTransaction(client, file))
}

async function applyInTransaction(client: pg.Client, file: MigrationFile): Promise<void> {
  const id = randomUUID()
  try {
    await client.query(`BEGIN; ${openGuard}`)
    await client.query(file.sql)
    await client.query(resetSession)
    await client.query(closeGuard)
    await client.query(recordStarted, [id, file.checksum, file.name])
    await client.query(recordFinished, [id])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw explain(error, file)
  }
}

async function applyAlone(client: pg.Client, file: MigrationFile): Promise<void> {
  const id = randomUUID()
  await client.query(recordStarted, [id, file.checksum, file.name])
  try {
    await client.query(file.sql)
    await client.query(resetSession)
    await client.query(recordFinished, [id])
  } catch (error) {
    const failure = explain(error, file)
    await client.query(`ROLLBACK; ${resetSession}`).catch(() => {})
    await client.query(recordFailed, [id, failure.message]).catch(() => {})
    throw failure
  }
}

// Classes of SQLSTATE whose messages speak of names and settings only. Others may quote data, and so may any RAISE.
const speakable = /^(0A|25|28|2B|3D|3F|42|53|54|55|57|58)/

function explain(error: unknown, { name, sql }: MigrationFile): MigrationError {
  if (!(error instanceof pg.DatabaseError)) {
    return new MigrationError(`Migration ${name}: the connection was lost. Migrate again.`, { migration: name })
  }
  const sqlState = error.code ?? 'XX000'
  const at = { migration: name, sqlState, line: lineOf(sql, error.position) }
  const guardIsGone = sqlState === '42P01' && error.message.includes(guard)
  if (error.constraint === unfinished || guardIsGone) {
    const law = 'it may not end its own transaction, nor set ALL constraints immediate (name them)'
    return new MigrationError(`Migration ${name} failed: ${law}.`, at)
  }
  const inBlock = /^PL\/pgSQL function inline_code_block line (\d+)/m.exec(error.where ?? '')?.[1]
  const place = at.line !== undefined ? ` at line ${at.line}` : inBlock !== undefined ? ` at line ${inBlock} of its DO block` : ''
  const names = [error.schema, error.table, error.column, error.constraint].filter((part) => part !== undefined).join('.')
  const isSpeakable = speakable.test(sqlState) && error.routine !== 'exec_stmt_raise'
  const said = isSpeakable ? error.message : names || 'its message may quote data: see the log of Postgres'
  return new MigrationError(`Migration ${name} failed${place} with SQLSTATE ${sqlState}: ${said}`, at)
}

/** Postgres counts characters from 1, JavaScript UTF-16 units from 0. */
function lineOf(sql: string, position: string | undefined): number | undefined {
  if (position === undefined) return undefined
  const before = Array.from(sql).slice(0, Number(position) - 1)
  return before.filter((character) => character === '\n').length + 1
}
