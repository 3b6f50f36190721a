/**
 * Backup and restore of the whole database as one sealed file. A backup counts only once it was restored into a scratch database and
 * every table had the same rows there. Restore goes into an empty database and nowhere else.
 */
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { migrate, migrationNames } from '../platform/db/migrate.ts'
import { withClient } from '../platform/db/provision.ts'
import { queueSchema } from '../platform/jobs/install.ts'
import { dataFrames, frame, frames, type Frame } from './frames.ts'
import { openStream, sealStream } from './sealed-stream.ts'

interface TableSum {
  readonly table: string
  readonly rows: number
  /** Sum of the rows' hashes: the same rows in any order give the same sum. */
  readonly sum: string
}

export interface BackupReport {
  readonly file: string
  readonly bytes: number
  readonly tables: readonly TableSum[]
  readonly verified: true
}

interface BackupHeader {
  readonly format: string
  readonly version: number
  readonly migrations: readonly string[]
  readonly tables: readonly TableSum[]
  /** When the audit trail begins. */
  readonly oldestLine: string | null
}

type Progress = (what: string) => void

/** The backup key: 32 random bytes, base64url, in a file of its own that only its owner reads. Made once. */
export async function backupKey(path: string, mayCreate: boolean): Promise<Buffer> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && mayCreate) return null
    throw new Error(`The backup key ${path} cannot be read (${error.code}). Bring it back: without it no backup opens.`)
  })
  if (text === null) {
    const key = randomBytes(32)
    await writeFile(path, `${key.toString('base64url')}\n`, { mode: 0o600, flag: 'wx', flush: true })
    return key
  }
  const key = Buffer.from(text.trim(), 'base64url')
  if (key.length !== 32) throw new Error(`The backup key ${path} is damaged: it must hold 32 bytes as base64url.`)
  return key
}

/** Every table of ours in an order in which what is referred to comes first. The job queue is laid anew by each start. */
const tablesSql = `
  with recursive ours as (
    select c.oid, format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema', 'public', 'pg_toast', '${queueSchema}')
  ), depth (oid, level) as (
    select oid, 0 from ours
    union
    select f.conrelid, d.level + 1 from depth d join pg_constraint f on f.contype = 'f' and f.confrelid = d.oid and f.conrelid <> d.oid
    where d.level < 50
  )
  select o.name from ours o join depth d using (oid) group by o.name order by max(d.level), o.name`

async function tableSums(client: pg.Client, tables: readonly string[]): Promise<TableSum[]> {
  const sums: TableSum[] = []
  for (const table of tables) {
    const { rows } = await client.query<{ rows: string; sum: string }>(
      `select count(*) as rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text as sum from ${table} t`,
    )
    sums.push({ table, rows: Number(rows[0]!.rows), sum: rows[0]!.sum })
  }
  return sums
}

async function tablesOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(tablesSql)
  return rows.map((row) => row.name)
}

/** What restoring takes, in its order: generated columns make themselves again. */
async function storedColumns(client: pg.Client, table: string): Promise<string> {
  const { rows } = await client.query<{ columns: string }>(
    `select string_agg(quote_ident(attname), ', ' order by attnum) as columns from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
    [table],
  )
  return rows[0]!.columns
}

async function* dump(client: pg.Client, tables: readonly string[], sums: readonly TableSum[], progress: Progress): AsyncGenerator<Buffer> {
  const { rows: oldest } = await client.query<{ at: string | null }>('select min(at)::text as at from audit.event')
  const header = { format: 'maristan-backup', version: 1, migrations: await migrationNames(), tables: sums, oldestLine: oldest[0]!.at }
  yield frame('H', Buffer.from(JSON.stringify(header)))
  for (const table of tables) {
    progress(`copying ${table}`)
    const columns = await storedColumns(client, table)
    const copying = client.query(copyTo(`copy (select ${columns} from ${table}) to stdout`))
    for await (const part of copying) yield* dataFrames(part as Buffer)
    yield frame('E')
  }
}

/**
 * Writes a backup of one moment (one snapshot) and proves it by restoring it into a scratch database beside.
 * @throws when the owner's connection is bound by Row Level Security: it would see nothing and say so by an empty backup.
 */
export async function backup(options: { ownerUrl: string; file: string; key: Uint8Array; progress: Progress }): Promise<BackupReport> {
  const { ownerUrl, file, key, progress } = options
  if (existsSync(file)) throw new Error(`${file} exists. A backup never replaces another: name a new file.`)
  const part = `${file}.part`
  await rm(part, { force: true }) // Of a run that was killed.
  const sums = await withClient(ownerUrl, async (client) => {
    // Off means: refuse rather than filter.
    await client.query('set row_security = off')
    await client.query('begin isolation level repeatable read, read only')
    const tables = await tablesOf(client)
    if (tables.length === 0) throw new Error('There is nothing to back up: the database has no table of ours.')
    const taken = await tableSums(client, tables)
    await pipeline(
      dump(client, tables, taken, progress),
      createGzip(),
      (zipped: AsyncIterable<Buffer>) => sealStream(zipped, key),
      createWriteStream(part, { mode: 0o600, flags: 'wx', flush: true }),
    )
    await client.query('commit')
    return taken
  }).catch(async (error: pg.DatabaseError) => {
    await rm(part, { force: true })
    if (error.code === '42501') {
      throw new Error('This owner connection is bound by Row Level Security. Use one that is not: alter role <owner> bypassrls.')
    }
    throw error
  })
  try {
    progress('verifying by restoring into a scratch database')
    await inScratch(ownerUrl, (scratchUrl) => restore({ ownerUrl: scratchUrl, file: part, key, progress }))
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  await rename(part, file)
  return { file, bytes: (await stat(file)).size, tables: sums, verified: true }
}

/**
 * Restores a backup into an empty database: its migrations first, then its rows, then the proof that they are the same.
 * @throws {DamagedFile}, or when the database is not empty or the backup is of migrations this version does not have.
 */
export async function restore(options: { ownerUrl: string; file: string; key: Uint8Array; progress: Progress }): Promise<{ tables: readonly TableSum[] }> {
  const { ownerUrl, file, key, progress } = options
  await withClient(ownerUrl, async (client) => {
    if ((await tablesOf(client)).length > 0) throw new Error('The database is not empty. Restore into a new one, then point the server to it.')
  })
  // Proven whole before the first row is written: a file cut short must not leave half a database.
  progress('reading the whole backup')
  await pipeline(createReadStream(file), opened(key), async (plain: AsyncIterable<Buffer>) => {
    for await (const _ of plain);
  })
  return pipeline(createReadStream(file), opened(key), createGunzip(), (plain: AsyncIterable<Buffer>) => restoreRows(ownerUrl, frames(plain), progress))
}

const opened = (key: Uint8Array) => (sealed: AsyncIterable<Buffer>) => openStream(sealed, key)

async function restoreRows(
  ownerUrl: string,
  parts: AsyncGenerator<Frame>,
  progress: Progress,
): Promise<{ tables: readonly TableSum[] }> {
  const first = await parts.next()
  if (first.done || first.value.kind !== 'H') throw new Error('This is not a Maristan backup.')
  const header = JSON.parse(first.value.payload.toString()) as BackupHeader
  const known = await migrationNames()
  if (header.format !== 'maristan-backup' || header.version !== 1) throw new Error('This is not a backup of a format this version reads.')
  if (header.migrations.join() !== known.slice(0, header.migrations.length).join()) {
    throw new Error('The backup has migrations that this version does not know. Restore it with the version that made it, or a newer one.')
  }
  if (header.migrations.length < known.length) {
    throw new Error('The backup is older than this version. Restore it with the version that made it, then run maristan migrate with this one.')
  }
  await migrate({ ownerUrl })
  return withClient(ownerUrl, async (client) => {
    await client.query('set row_security = off')
    await client.query('begin')
    // The months of the audit trail that there were, and not only those that a new database begins with.
    await client.query('select audit.keep_months(0, $1)', [header.oldestLine])
    for (const { table } of header.tables) {
      progress(`restoring ${table}`)
      const rows = (async function* () {
        for (;;) {
          const { value, done } = await parts.next()
          if (done) throw new Error('The backup ends in the middle.')
          if (value.kind === 'E') return
          yield value.payload
        }
      })()
      await pipeline(Readable.from(rows), client.query(copyFrom(`copy ${table} from stdin`)))
    }
    const found = await tableSums(client, header.tables.map(({ table }) => table))
    for (const [k, { table, rows, sum }] of header.tables.entries()) {
      if (found[k]!.rows !== rows || found[k]!.sum !== sum) throw new Error(`Table ${table} was not restored as it was saved.`)
    }
    await client.query('commit')
    return { tables: found }
  })
}

async function inScratch<T>(ownerUrl: string, work: (scratchUrl: string) => Promise<T>): Promise<T> {
  const name = `maristan_scratch_${randomBytes(6).toString('hex')}`
  const url = new URL(ownerUrl)
  url.pathname = `/${name}`
  await withClient(ownerUrl, (client) => client.query(`create database ${name}`))
  try {
    return await work(url.href)
  } finally {
    await withClient(ownerUrl, (client) => client.query(`drop database ${name} with (force)`))
  }
}
