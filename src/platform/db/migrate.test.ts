/** Migrations against a real Postgres, as an owner who is no superuser. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { migrate, MigrationError, migrationStatus } from './migrate.ts'
import { runAlone, withDatabase } from './schema-engine-adapter.ts'

const superUrl = process.env['TEST_OWNER_URL'] ?? ''
const turnKey = 72707369
const first = '20260101000000_first'
const second = '20260102000000_second'
const third = '20260103000000_third'

let name: string
let ownerUrl: string
let directory: string
let admin: pg.Client

beforeEach(async () => {
  if (!superUrl) throw new Error('TEST_OWNER_URL must name a superuser of a throw-away cluster.')
  name = `migrate_${randomBytes(8).toString('hex')}`
  await runAlone(superUrl, `CREATE ROLE ${name} LOGIN PASSWORD '${name}'`)
  await runAlone(superUrl, `CREATE DATABASE ${name} OWNER ${name}`)
  const url = new URL(withDatabase(superUrl, name))
  url.username = name
  url.password = name
  ownerUrl = url.href
  admin = new pg.Client({ connectionString: withDatabase(superUrl, name) })
  await admin.connect()
  directory = await mkdtemp(join(tmpdir(), 'maristan-migrate-'))
  await writeFile(join(directory, 'migration_lock.toml'), 'provider = "postgresql"\n')
})

afterEach(async () => {
  await admin.end()
  await rm(directory, { recursive: true })
  await runAlone(superUrl, `DROP DATABASE ${name} WITH (FORCE)`)
  await runAlone(superUrl, `DROP ROLE ${name}`)
})

async function put(migration: string, sql: string | Buffer): Promise<void> {
  await mkdir(join(directory, migration), { recursive: true })
  await writeFile(join(directory, migration, 'migration.sql'), sql)
}

async function column(sql: string): Promise<unknown[]> {
  const { rows } = await admin.query<unknown[]>({ text: sql, rowMode: 'array' })
  return rows.map((row) => row[0])
}

const tables = () => column("SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1")
const names = async (running: Promise<readonly { name: string }[]>) => (await running).map((one) => one.name)

async function refusal(running: Promise<unknown>): Promise<MigrationError> {
  const error = await running.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof MigrationError)) throw new Error(`Not refused by a MigrationError but: ${String(error)}`)
  return error
}

/** Resolves when the migrator's backend waits for a lock; gives its process id. */
async function blockedMigrator(): Promise<number> {
  for (;;) {
    const { rows } = await admin.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'maristan-migrate' AND wait_event_type = 'Lock'`,
    )
    if (rows[0]) return rows[0].pid
  }
}

describe('an empty database', () => {
  test('gets every migration in order, once, with the history that Prisma keeps', async () => {
    const sql = `-- ٱلرِّعَاية\nCREATE TABLE a (id int);\nDO $$ BEGIN PERFORM 1; INSERT INTO a VALUES (7); END $$;\n`
    await put(second, 'CREATE TABLE b ();')
    await put(first, sql)
    const progress: unknown[] = []
    const applied = migrate({ ownerUrl, directory, onProgress: (...at) => progress.push(at) })
    expect(await names(applied)).toEqual([first, second])
    expect(progress).toEqual([[first, 0, 2], [second, 1, 2]])
    expect(await column('SELECT id FROM a')).toEqual([7])

    const { rows } = await admin.query('SELECT * FROM _prisma_migrations ORDER BY migration_name')
    expect(rows).toHaveLength(2)
    expect(rows[0]).toMatchObject({ migration_name: first, logs: null, rolled_back_at: null, applied_steps_count: 1 })
    expect(rows[0].checksum).toBe(createHash('sha256').update(sql).digest('hex'))
    expect(rows[0].id).toMatch(/^[0-9a-f-]{36}$/)
    expect(rows[0].finished_at >= rows[0].started_at).toBe(true)

    expect(await migrate({ ownerUrl, directory })).toEqual([])
    await put(third, 'CREATE TABLE c ();')
    expect(await names(migrate({ ownerUrl, directory }))).toEqual([third])
  })

  test('is not touched by asking for its status', async () => {
    await put(first, 'CREATE TABLE a ();')
    expect(await migrationStatus({ ownerUrl, directory })).toEqual({ applied: [], pending: [first], edited: [], failed: [], unknown: [] })
    expect(await tables()).toEqual([])
  })

  test('gets migrations that do not see what an earlier one SET', async () => {
    await put(first, 'CREATE SCHEMA x; SET search_path = x;')
    await put(second, 'CREATE TABLE b ();')
    await migrate({ ownerUrl, directory })
    expect(await tables()).toEqual(['_prisma_migrations', 'b'])
  })
})

describe('a failing migration', () => {
  test('leaves nothing, keeps what ran before it, and names itself, the SQLSTATE and the line', async () => {
    await put(first, 'CREATE TABLE a ();')
    await put(second, 'CREATE TABLE b ();\n-- 🌲🌲\n\nSELECT\nnowhere FROM a;\nCREATE TABLE c ();')
    const error = await refusal(migrate({ ownerUrl, directory }))
    expect(error).toMatchObject({ migration: second, sqlState: '42703', line: 5 })
    expect(error.message).toContain(second)
    expect(error.message).toContain('line 5')
    expect(error.message).toContain('42703')
    expect(await tables()).toEqual(['_prisma_migrations', 'a'])
    expect(await migrationStatus({ ownerUrl, directory })).toMatchObject({ applied: [first], pending: [second], failed: [] })

    await put(second, 'CREATE TABLE b ();')
    expect(await names(migrate({ ownerUrl, directory }))).toEqual([second])
  })

  test.each([
    ['a cast', "SELECT 'Zahra'::uuid;", '22P02'],
    ['a duplicate', "CREATE TABLE p (n text UNIQUE); INSERT INTO p VALUES ('Zahra'), ('Zahra');", '23505'],
    ['a check', "CREATE TABLE p (n text CHECK (n = '')); INSERT INTO p VALUES ('Zahra');", '23514'],
    ['a missing value', "CREATE TABLE p (n text, m int NOT NULL); INSERT INTO p VALUES ('Zahra', NULL);", '23502'],
    ['a raised sentence', "DO $$ BEGIN\nRAISE EXCEPTION 'Not %', 'Zahra'; END $$;", 'P0001'],
    ['a raised sentence with a harmless code', "DO $$ BEGIN\nRAISE EXCEPTION 'Not %', 'Zahra' USING ERRCODE = '42501'; END $$;", '42501'],
  ])('does not repeat the data that %s quotes', async (_, sql, sqlState) => {
    await put(first, sql)
    const error = await refusal(migrate({ ownerUrl, directory }))
    expect(error.sqlState).toBe(sqlState)
    expect(`${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain('Zahra')
  })

  test('names the line within a DO block, where Postgres knows no other', async () => {
    await put(first, 'DO $$\nBEGIN\n  DROP TABLE nowhere;\nEND $$;')
    expect((await refusal(migrate({ ownerUrl, directory }))).message).toContain('line 3 of its DO block')
  })

  test.each([
    ['commits', 'CREATE TABLE a (); COMMIT; CREATE TABLE b ();'],
    ['commits and begins again', 'CREATE TABLE a (); COMMIT; BEGIN; CREATE TABLE b ();'],
    ['rolls back', 'CREATE TABLE a (); ROLLBACK;'],
    ['sets all constraints immediate', 'CREATE TABLE a (); SET CONSTRAINTS ALL IMMEDIATE;'],
  ])('that %s by itself leaves nothing', async (_, sql) => {
    await put(first, sql)
    expect((await refusal(migrate({ ownerUrl, directory }))).message).toContain('may not end its own transaction')
    expect(await tables()).toEqual(['_prisma_migrations'])
    expect(await column('SELECT 1 FROM _prisma_migrations')).toEqual([])
  })

  test('gives up after lockTimeoutMs when others hold the table', async () => {
    await put(first, 'CREATE TABLE a ();')
    await migrate({ ownerUrl, directory })
    await put(second, 'ALTER TABLE a ADD COLUMN n int;')
    await admin.query('BEGIN; LOCK TABLE a')
    expect(await refusal(migrate({ ownerUrl, directory, lockTimeoutMs: 50 }))).toMatchObject({ migration: second, sqlState: '55P03' })
    await admin.query('ROLLBACK')
    expect(await names(migrate({ ownerUrl, directory, lockTimeoutMs: 50 }))).toEqual([second])
  })
})

describe('a history that does not fit the disk', () => {
  beforeEach(async () => {
    await put(first, 'CREATE TABLE a ();')
    await put(second, 'CREATE TABLE b ();')
    await migrate({ ownerUrl, directory })
    await put(third, 'CREATE TABLE c ();')
  })

  test('is refused when an applied migration was edited', async () => {
    await put(first, 'CREATE TABLE a (); ')
    expect(await refusal(migrate({ ownerUrl, directory }))).toMatchObject({ migration: first, message: expect.stringContaining('edited') })
    expect(await migrationStatus({ ownerUrl, directory })).toMatchObject({ applied: [first, second], pending: [third], edited: [first] })
    expect(await tables()).not.toContain('c')
  })

  test('is refused when an applied migration is gone', async () => {
    await rm(join(directory, second), { recursive: true })
    const error = await refusal(migrate({ ownerUrl, directory }))
    expect(error).toMatchObject({ migration: second, message: expect.stringContaining('not on disk') })
    expect(await migrationStatus({ ownerUrl, directory })).toMatchObject({ pending: [third], unknown: [second] })
    expect(await tables()).not.toContain('c')
  })

  test('is accepted when the migration was rolled back by hand, and it runs again', async () => {
    await admin.query('DROP TABLE b')
    await admin.query('UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = $1', [second])
    expect(await names(migrate({ ownerUrl, directory }))).toEqual([second, third])
  })
})

test.each([
  ['a folder of another name', () => put('2026_first', 'SELECT 1')],
  ['a folder that would leave its place', () => put(`${first}'; --`, 'SELECT 1')],
  ['a folder without migration.sql', () => mkdir(join(directory, second))],
  ['a NUL', () => put(second, 'SELECT 1;\0 SELECT 2')],
  ['a wrong byte', () => put(second, Buffer.from([0x2d, 0x2d, 0xff]))],
  ['no lock file', () => rm(join(directory, 'migration_lock.toml'))],
  ['another kind of database', () => writeFile(join(directory, 'migration_lock.toml'), 'provider = "mysql"\n')],
])('%s is refused before anything runs', async (_, bend) => {
  await put(first, 'CREATE TABLE a ();')
  await bend()
  await refusal(migrate({ ownerUrl, directory }))
  expect(await tables()).toEqual([])
})

describe('several migrators', () => {
  test('take turns: one applies, the others find nothing to do, even where an index is built concurrently', async () => {
    await put(first, 'CREATE TABLE a (id int);')
    await put(second, '-- maristan:no-transaction\nCREATE INDEX CONCURRENTLY a_id ON a (id);')
    const runs = await Promise.all([1, 2, 3].map(() => names(migrate({ ownerUrl, directory }))))
    expect(runs.sort((a, b) => a.length - b.length)).toEqual([[], [], [first, second]])
    expect(await column('SELECT 1 FROM _prisma_migrations')).toHaveLength(2)
  })

  test('do not wait for ever', async () => {
    await put(first, 'CREATE TABLE a ();')
    await admin.query('SELECT pg_advisory_lock($1)', [turnKey])
    expect((await refusal(migrate({ ownerUrl, directory, turnTimeoutMs: 0 }))).message).toContain('Another migrator')
    expect(await tables()).toEqual([])
  })

  test('that lose their backend in mid-migration leave nothing, and the next one resumes', async () => {
    await put(first, 'CREATE TABLE a ();')
    await put(second, 'CREATE TABLE b (); SELECT pg_advisory_xact_lock(1); CREATE TABLE c ();')
    await admin.query('SELECT pg_advisory_lock(1)')
    const killed = refusal(migrate({ ownerUrl, directory, lockTimeoutMs: 60_000 }))
    await admin.query('SELECT pg_terminate_backend($1)', [await blockedMigrator()])
    expect((await killed).migration).toBe(second)
    expect(await tables()).toEqual(['_prisma_migrations', 'a'])
    await admin.query('SELECT pg_advisory_unlock(1)')
    expect(await names(migrate({ ownerUrl, directory }))).toEqual([second])
    expect(await tables()).toEqual(['_prisma_migrations', 'a', 'b', 'c'])
  })
})

describe('a migration without a transaction', () => {
  const sql = '-- maristan:no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY a_id ON a (id);\n'

  beforeEach(async () => {
    await put(first, 'CREATE TABLE a (id int); INSERT INTO a VALUES (1), (1);')
    await put(second, sql)
  })

  test('that failed is refused from then on, with the sentence that mends it', async () => {
    const failure = await refusal(migrate({ ownerUrl, directory }))
    expect(failure).toMatchObject({ migration: second, sqlState: '23505' })
    expect(await column('SELECT logs FROM _prisma_migrations WHERE finished_at IS NULL')).toEqual([failure.message])
    expect(await migrationStatus({ ownerUrl, directory })).toMatchObject({ applied: [first], pending: [], failed: [second] })

    const refused = await refusal(migrate({ ownerUrl, directory }))
    expect(refused.migration).toBe(second)
    const mend = /UPDATE .*?;/.exec(refused.message)?.[0] ?? ''
    await admin.query(`DROP INDEX a_id; DELETE FROM a; ${mend}`)
    expect(await names(migrate({ ownerUrl, directory }))).toEqual([second])
    expect(await column("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass")).toEqual([true])
  })

  test('that lost its backend is refused in the same way', async () => {
    await put(second, '-- maristan:no-transaction\nSELECT pg_advisory_lock(1)')
    await admin.query('SELECT pg_advisory_lock(1)')
    const killed = refusal(migrate({ ownerUrl, directory, lockTimeoutMs: 60_000 }))
    await admin.query('SELECT pg_terminate_backend($1)', [await blockedMigrator()])
    await killed
    expect((await refusal(migrate({ ownerUrl, directory }))).message).toContain('never finished')
  })
})
