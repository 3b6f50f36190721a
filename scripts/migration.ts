/**
 * Keeps prisma/migrations in step with prisma/schema, for developers.
 *
 *     node scripts/migration.ts new <name>   writes the next migration, to be completed by hand
 *     node scripts/migration.ts check        prints what is missing, and exits 1 if anything is
 *
 * MIGRATION_OWNER_URL is the connection of an owner who may create databases, on any Postgres: everything happens in a scratch
 * database there, which is dropped at the end. Refuses to overwrite a migration or to write an empty one.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defaultMigrationsDirectory, migrate } from '../src/platform/db/migrate.ts'
import { runAlone, withDatabase } from '../src/platform/db/schema-engine-adapter.ts'
import { schemaDiff } from '../src/platform/db/schema-engine.ts'

const lockFile = `# Made with the first migration. Prisma refuses migrations of another kind of database.
provider = "postgresql"
`

/** What the migrations lack of the datamodel, as SQL. */
async function missingSql(ownerUrl: string): Promise<string> {
  const database = `maristan_scratch_${randomBytes(8).toString('hex')}`
  const scratchUrl = withDatabase(ownerUrl, database)
  await runAlone(ownerUrl, `CREATE DATABASE ${database}`)
  try {
    await migrate({ ownerUrl: scratchUrl })
    return await schemaDiff({ ownerUrl: scratchUrl })
  } finally {
    await runAlone(ownerUrl, `DROP DATABASE ${database} WITH (FORCE)`)
  }
}

async function writeMigration(ownerUrl: string, name: string): Promise<void> {
  await mkdir(defaultMigrationsDirectory, { recursive: true })
  const lockPath = join(defaultMigrationsDirectory, 'migration_lock.toml')
  await writeFile(lockPath, lockFile, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const sql = await missingSql(ownerUrl)
  if (sql === '') throw new Error('The migrations already give the datamodel: there is nothing to write.')
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  const folder = join(defaultMigrationsDirectory, `${timestamp}_${name}`)
  await mkdir(folder)
  await writeFile(join(folder, 'migration.sql'), sql, { flag: 'wx' })
  console.log(`Wrote ${join(folder, 'migration.sql')}. Complete it by hand: policies, grants, checks, triggers.`)
}

async function check(ownerUrl: string): Promise<void> {
  const sql = await missingSql(ownerUrl)
  if (sql === '') return console.log('The migrations give the datamodel.')
  console.log(sql)
  process.exitCode = 1
}

const [command, name, ...rest] = process.argv.slice(2)
const ownerUrl = process.env['MIGRATION_OWNER_URL']
const wellFormed =
  rest.length === 0 && ((command === 'new' && /^[a-z0-9_]{1,60}$/.test(name ?? '')) || (command === 'check' && name === undefined))

try {
  if (!wellFormed || !ownerUrl) {
    console.error('Usage: MIGRATION_OWNER_URL=postgres://… node scripts/migration.ts new <name_in_snake_case> | check')
    process.exitCode = 2
  } else if (command === 'new') {
    await writeMigration(ownerUrl, name ?? '')
  } else {
    await check(ownerUrl)
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
