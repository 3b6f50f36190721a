/** The schema engine against a real Postgres, and Prisma's own command line on top of it. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { migrate, migrationStatus } from './migrate.ts'
import { createDatabase, runAlone, withDatabase } from './schema-engine-adapter.ts'
import { openSchemaEngine, schemaDiff, schemaFromEmpty } from './schema-engine.ts'

const superUrl = process.env['TEST_OWNER_URL'] ?? ''
const repository = join(import.meta.dirname, '../../..')
const first = '20260101000000_tables'
const second = '20260102000000_extras'

const main = `
datasource db {
  provider = "postgresql"
  schemas  = ["care", "market"]
}
`
const care = `
enum Mood {
  calm
  tired

  @@schema("care")
}

model Recipient {
  tenantId String   @map("tenant_id") @db.Uuid
  id       String   @default(uuid(7)) @db.Uuid
  name     String
  mood     Mood     @default(calm)
  at       DateTime @default(now()) @db.Timestamptz(6)
  notes    Note[]

  @@id([tenantId, id])
  @@unique([tenantId, name])
  @@map("recipient")
  @@schema("care")
}

model Note {
  tenantId    String    @map("tenant_id") @db.Uuid
  id          String    @default(uuid(7)) @db.Uuid
  recipientId String    @map("recipient_id") @db.Uuid
  body        String
  recipient   Recipient @relation(fields: [tenantId, recipientId], references: [tenantId, id], onDelete: Restrict)

  @@id([tenantId, id])
  @@index([tenantId, recipientId])
  @@map("note")
  @@schema("care")
}
`
const market = `
model Bid {
  tenantId String                   @map("tenant_id") @db.Uuid
  id       String                   @default(dbgenerated("gen_random_uuid()")) @db.Uuid
  tags     String[]
  data     Json
  during   Unsupported("tstzrange")
  n        Int                      @default(dbgenerated("(1 + 1)"))
  len      Int                      @default(dbgenerated())
  search   Unsupported("tsvector")? @default(dbgenerated())

  @@id([tenantId, id])
  @@index([tags], type: Gin)
  @@index([data(ops: JsonbPathOps)], type: Gin, map: "bid_data")
  @@index([search], type: Gin)
  @@map("bid")
  @@schema("market")
}
`
// What the engine writes of this model is almost right: it cannot know how two columns are generated.
const generated = `
ALTER TABLE market.bid DROP COLUMN len, DROP COLUMN search;
ALTER TABLE market.bid ADD COLUMN len int NOT NULL GENERATED ALWAYS AS (cardinality(tags)) STORED,
  ADD COLUMN search tsvector GENERATED ALWAYS AS (array_to_tsvector(tags)) STORED;
CREATE INDEX bid_search_idx ON market.bid USING gin (search);
`
// Hand-written, and nothing of it in the datamodel.
const extras = `
CREATE FUNCTION care.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := ';'; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON care.note FOR EACH ROW EXECUTE FUNCTION care.stamp();
ALTER TABLE care.note ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON care.note USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
GRANT SELECT (id) ON care.note TO PUBLIC;
ALTER TABLE care.note ADD CONSTRAINT short CHECK (length(body) < 1000);
ALTER TABLE market.bid ADD CONSTRAINT apart EXCLUDE USING gist (during WITH &&);
CREATE UNIQUE INDEX one_open ON care.note (tenant_id, body) WHERE body <> '';
CREATE INDEX covering ON care.note (tenant_id, body) INCLUDE (recipient_id) WHERE tenant_id IS NOT NULL;
CREATE INDEX lower_name ON care.recipient (tenant_id, lower(name));
CREATE VIEW care.calm AS SELECT * FROM care.recipient WHERE mood = 'calm';
CREATE SEQUENCE care.counter;
CREATE DOMAIN care.word AS text CHECK (VALUE <> '');
CREATE TABLE public.elsewhere (id int);
COMMENT ON TABLE care.note IS 'x';
`

let name: string
let ownerUrl: string
let home: string
let schemaDirectory: string
let directory: string

beforeEach(async () => {
  if (!superUrl) throw new Error('TEST_OWNER_URL must name a superuser of a throw-away cluster.')
  name = `engine_${randomBytes(8).toString('hex')}`
  ownerUrl = withDatabase(superUrl, name)
  await createDatabase(ownerUrl)
  home = await mkdtemp(join(tmpdir(), 'maristan-engine-'))
  schemaDirectory = join(home, 'schema')
  directory = join(home, 'migrations')
  await mkdir(schemaDirectory)
  await mkdir(directory)
  await writeFile(join(schemaDirectory, 'main.prisma'), main)
  await writeFile(join(schemaDirectory, 'care.prisma'), care)
  await writeFile(join(schemaDirectory, 'market.prisma'), market)
  await writeFile(join(directory, 'migration_lock.toml'), 'provider = "postgresql"\n')
  await put(first, (await schemaFromEmpty({ schemaDirectory })) + generated)
  await put(second, extras)
})

afterEach(async () => {
  await rm(home, { recursive: true })
  // Without FORCE: it fails if the engine has left a connection behind.
  await runAlone(superUrl, `DROP DATABASE ${name}`)
})

async function put(migration: string, sql: string): Promise<void> {
  await mkdir(join(directory, migration))
  await writeFile(join(directory, migration, 'migration.sql'), sql)
}

describe('the diff', () => {
  test('is empty after the migrations, whatever hand-written SQL added that a datamodel cannot hold', async () => {
    await migrate({ ownerUrl, directory })
    expect(await schemaDiff({ ownerUrl, schemaDirectory })).toBe('')
  })

  test.each([
    ['a column', 'ALTER TABLE care.note ADD COLUMN extra int', 'DROP COLUMN "extra"'],
    ['a nullable column', 'ALTER TABLE care.note ALTER COLUMN body DROP NOT NULL', '"body" SET NOT NULL'],
    ['a default', 'ALTER TABLE market.bid ALTER COLUMN n SET DEFAULT 5', '"n" SET DEFAULT (1 + 1)'],
    ['a plain index', 'CREATE INDEX stray ON care.note (body)', 'DROP INDEX "care"."stray"'],
    ['a covering index', 'CREATE INDEX stray ON care.note (tenant_id) INCLUDE (body)', 'DROP INDEX "care"."stray"'],
    ['a missing index', 'DROP INDEX care.note_tenant_id_recipient_id_idx', 'CREATE INDEX "note_tenant_id_recipient_id_idx"'],
    ['a foreign key', 'ALTER TABLE market.bid ADD CONSTRAINT x FOREIGN KEY (tenant_id, id) REFERENCES care.recipient', 'DROP CONSTRAINT'],
    ['a table', 'CREATE TABLE care.stray (id int PRIMARY KEY)', 'DROP TABLE "care"."stray"'],
    ['a missing table', 'DROP TABLE care.note', 'CREATE TABLE "care"."note"'],
    ['an enum value', "ALTER TYPE care.\"Mood\" ADD VALUE 'awake'", 'CREATE TYPE "care"."Mood_new"'],
  ])('sees %s', async (_, sql, mend) => {
    await migrate({ ownerUrl, directory })
    await runAlone(ownerUrl, sql)
    expect(await schemaDiff({ ownerUrl, schemaDirectory })).toContain(mend)
  })

  test('says which database it cannot reach, and what is wrong in a datamodel', async () => {
    const nowhere = withDatabase(ownerUrl, `${name}_nowhere`)
    await expect(schemaDiff({ ownerUrl: nowhere, schemaDirectory })).rejects.toThrow(`${name}_nowhere`)
    await writeFile(join(schemaDirectory, 'care.prisma'), 'model {')
    await expect(schemaFromEmpty({ schemaDirectory })).rejects.toThrow('care.prisma')
    await rm(schemaDirectory, { recursive: true })
    await mkdir(schemaDirectory)
    await expect(schemaFromEmpty({ schemaDirectory })).rejects.toThrow('no .prisma file')
  })

  test('asks no database to create a datamodel from nothing, and refuses what would need one', async () => {
    expect(await schemaFromEmpty({ schemaDirectory })).toContain('CREATE TABLE "market"."bid"')
    const engine = await openSchemaEngine(undefined, [{ path: 'main.prisma', content: main }])
    const asked = engine.ask('dbExecute', { datasourceType: { tag: 'url', url: '' }, script: 'SELECT 1' })
    await expect(asked).rejects.toThrow('without a database')
    await engine.close()
  })
})

// Each command is a process of its own that starts slowly.
describe("Prisma's own command line on this engine", { timeout: 120_000 }, () => {
  const config = () => `export default {
    schema: ${JSON.stringify(schemaDirectory)},
    migrations: { path: ${JSON.stringify(directory)} },
    datasource: { url: ${JSON.stringify(ownerUrl)} },
  }`

  /** Runs one command; gives its exit code and what it said. */
  async function prisma(...args: string[]): Promise<{ code: number; said: string }> {
    await writeFile(join(home, 'prisma.config.mjs'), config())
    const cli = join(repository, 'node_modules/prisma/build/index.js')
    const env = {
      PATH: `${join(repository, 'node_modules/.bin')}:${process.env['PATH']}`,
      HOME: home,
      PRISMA_SCHEMA_ENGINE_BINARY: join(repository, 'scripts/schema-engine.mjs'),
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1',
    }
    const all = [cli, ...args, '--config', join(home, 'prisma.config.mjs')]
    return new Promise((resolve) => {
      execFile(process.execPath, all, { cwd: home, env }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), said: stdout + stderr })
      })
    })
  }

  test('agrees with the history that migrate() writes', async () => {
    const behind = await prisma('migrate', 'status')
    expect(behind.said).toContain(first)
    expect(behind.said).toContain('not yet been applied')
    expect(behind.code).toBe(1)

    await migrate({ ownerUrl, directory })
    const upToDate = await prisma('migrate', 'status')
    expect(upToDate.said).toContain('Database schema is up to date')
    expect(upToDate.code).toBe(0)
    expect((await prisma('migrate', 'deploy')).said).toContain('No pending migrations')
  })

  test('writes a history that migrate() accepts, in a table made the same way', async () => {
    expect(await prisma('migrate', 'deploy')).toMatchObject({ code: 0 })
    expect(await migrate({ ownerUrl, directory })).toEqual([])
    expect(await migrationStatus({ ownerUrl, directory })).toMatchObject({ applied: [first, second], pending: [], failed: [] })
    expect(await schemaDiff({ ownerUrl, schemaDirectory })).toBe('')

    const theirs = await historyColumns()
    await runAlone(ownerUrl, 'DROP TABLE _prisma_migrations; DROP SCHEMA care, market CASCADE; DROP TABLE elsewhere')
    await migrate({ ownerUrl, directory })
    expect(await historyColumns()).toEqual(theirs)
  })

  test('diffs the migrations by a shadow database and leaves none behind, even when they fail', async () => {
    const equal = await prisma('migrate', 'diff', '--from-migrations', directory, '--to-schema', schemaDirectory, '--exit-code')
    expect(equal).toMatchObject({ code: 0 })
    await writeFile(join(schemaDirectory, 'market.prisma'), market.replace('tags     String[]', 'tags String[]\n  extra Int?'))
    const added = await prisma('migrate', 'diff', '--from-migrations', directory, '--to-schema', schemaDirectory, '--script')
    expect(added.said).toContain('ADD COLUMN     "extra"')
    await put('20260103000000_bad', 'SELECT nowhere;')
    const failed = await prisma('migrate', 'diff', '--from-migrations', directory, '--to-schema', schemaDirectory, '--script')
    expect(failed.said).toContain('20260103000000_bad')
    expect(failed.code).toBe(1)
    const { rows } = await query(superUrl, "SELECT datname FROM pg_database WHERE datname LIKE 'prisma_migrate_shadow%'")
    expect(rows).toEqual([])
  })

  test('leaves a failed migration for migrate() to refuse', async () => {
    await put('20260103000000_bad', 'CREATE TABLE care.x (); SELECT nowhere;')
    expect((await prisma('migrate', 'deploy')).said).toContain('20260103000000_bad')
    await expect(migrate({ ownerUrl, directory })).rejects.toThrow('Migration 20260103000000_bad was started and never finished')
  })
})

async function query(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

async function historyColumns(): Promise<unknown[]> {
  const { rows } = await query(
    ownerUrl,
    `SELECT attname::text, format_type(atttypid, atttypmod) AS type, attnotnull, pg_get_expr(adbin, adrelid) AS default
       FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
      WHERE attrelid = 'public._prisma_migrations'::regclass AND attnum > 0 ORDER BY attnum`,
  )
  return rows
}
