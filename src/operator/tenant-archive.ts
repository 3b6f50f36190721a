/**
 * One tenant as one file: every row of every module as it is, sealed columns and wrapped keys included, sealed to a key of the tenant's.
 * Export reads one snapshot. Restore refuses a file that is not whole, was not written by this building (a voucher under the platform's
 * key says so), holds a row of another tenant, or meets a row of this one; it happens whole or not at all.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { z } from 'zod'
import { newId } from '../kernel/id.ts'
import { migrationNames } from '../platform/db/migrate.ts'
import { withClient } from '../platform/db/provision.ts'
import { dataFrames, frame, frames, type Frame } from './frames.ts'
import { sumOf } from './file-sum.ts'
import { openAgain, openWithKey, sealToKey, type FileKey } from './sealed-to-key.ts'
import { columnsSql, hashTenantRows, settle, tenantRows, tenantTables, type TableHash, type TenantTable } from './tenant-tables.ts'

/** The building's word that a digest is of an archive it wrote, and the check of that word. */
export interface Voucher {
  vouch(tenantId: string, digest: string): Promise<string>
  /** @throws when the word is not the building's. */
  check(tenantId: string, digest: string, voucher: string): Promise<void>
}

export interface ArchiveReport {
  readonly tenantId: string
  readonly slug: string
  readonly tables: readonly TableHash[]
}

interface Common {
  readonly ownerUrl: string
  readonly file: string
  readonly voucher: Voucher
  readonly progress: (what: string) => void
}

const headerShape = z.strictObject({
  format: z.literal('maristan-tenant'),
  version: z.literal(1),
  tenantId: z.uuid(),
  slug: z.string().max(64),
  migrations: z.array(z.string()).max(10_000),
  tables: z.array(z.strictObject({ table: z.string(), columns: z.array(z.string()), key: z.array(z.string()) })).max(10_000),
})
type Header = z.infer<typeof headerShape>

const manifestShape = z.strictObject({
  tables: z.array(z.strictObject({ table: z.string(), rows: z.number(), sha256: z.string() })).max(10_000),
  voucher: z.string(),
})

/** What is vouched for: the header and every table's count and hash. */
const digestOf = (header: Header, tables: readonly TableHash[]): string =>
  createHash('sha256').update(JSON.stringify([header, tables])).digest('hex')

const archiveBroken = (): Error => new Error('This is not a whole export of a tenant.')

/**
 * Writes a tenant's export; the file appears only when it is complete, and was read back from the disk, opened and found the same.
 * @throws when the file exists, or the owner's connection is bound by Row Level Security.
 */
export async function exportTenant(
  options: Common & { readonly tenantId: string; readonly slug: string; readonly recipient: KeyObject },
): Promise<ArchiveReport & { readonly file: string; readonly bytes: number; readonly sha256: string }> {
  const { ownerUrl, file, tenantId, slug, voucher, progress } = options
  if (existsSync(file)) throw new Error(`${file} exists. An export never replaces another: name a new file.`)
  const part = `${file}.part`
  await rm(part, { force: true }) // Of a run that was killed.
  const [hashes, kept]: [TableHash[], FileKey[]] = [[], []]
  async function* rows(client: pg.Client): AsyncGenerator<Buffer> {
    const tables = await tenantTables(client)
    const header: Header = {
      format: 'maristan-tenant', version: 1, tenantId, slug, migrations: [...(await migrationNames())],
      tables: tables.map(({ table, columns, key }) => ({ table, columns: [...columns], key: [...key] })),
    }
    yield frame('H', Buffer.from(JSON.stringify(header)))
    for (const table of tables) {
      progress(`copying ${table.table}`)
      const copied = tenantRows(client, table, tenantId)
      for (;;) {
        const { value, done } = await copied.next()
        if (done) {
          hashes.push(value)
          break
        }
        yield* dataFrames(value)
      }
      yield frame('E')
    }
    const manifest = { tables: hashes, voucher: await voucher.vouch(tenantId, digestOf(header, hashes)) }
    yield frame('M', Buffer.from(JSON.stringify(manifest)))
  }
  try {
    await withClient(ownerUrl, async (client) => {
      await settle(client)
      await client.query('begin isolation level repeatable read, read only')
      await pipeline(
        rows(client),
        createGzip(),
        (zipped: AsyncIterable<Buffer>) => sealToKey(zipped, options.recipient, (own) => void kept.push(own)),
        createWriteStream(part, { mode: 0o600, flags: 'wx', flush: true }),
      )
      await client.query('commit')
    })
    progress('reading the export back')
    await proveWhole(part, (sealed) => openAgain(sealed, kept[0]!), voucher)
    await rename(part, file)
    return { tenantId, slug, tables: hashes, file, ...(await sumOf(file)) }
  } catch (error) {
    await rm(part, { force: true })
    throw rowSecurity(error)
  } finally {
    kept[0]?.forget()
  }
}

function rowSecurity(error: unknown): unknown {
  const isBound = error instanceof pg.DatabaseError && error.code === '42501' && /row-level security/.test(error.message)
  if (!isBound) return error
  return new Error('This owner connection is bound by Row Level Security. Use one that is not: alter role <owner> bypassrls.')
}

type Unseal = (sealed: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>

/** The frames of a file, opened anew: it is read twice, once to be proven and once to be restored. */
function framesOf<T>(file: string, unseal: Unseal, work: (parts: AsyncGenerator<Frame>) => Promise<T>): Promise<T> {
  return pipeline(
    createReadStream(file),
    unseal,
    createGunzip(),
    (plain: AsyncIterable<Buffer>) => work(frames(plain)),
  )
}

async function headerFrom(parts: AsyncGenerator<Frame>): Promise<Header> {
  const { value, done } = await parts.next()
  if (done || value.kind !== 'H') throw archiveBroken()
  return parsed(headerShape, value.payload)
}

function parsed<T>(shape: z.ZodType<T>, payload: Buffer): T {
  try {
    return shape.parse(JSON.parse(payload.toString()))
  } catch {
    throw new Error('This is not an export of a format this version reads.')
  }
}

/** The data of the table at hand, up to its end. */
async function* tableData(parts: AsyncGenerator<Frame>): AsyncGenerator<Buffer> {
  for (;;) {
    const { value, done } = await parts.next()
    if (done) throw archiveBroken()
    if (value.kind === 'E') return
    if (value.kind !== 'D') throw archiveBroken()
    yield value.payload
  }
}

/** Reads the whole file and writes nothing. @throws unless every table has its hash and the building vouches for them */
function proveWhole(file: string, unseal: Unseal, voucher: Voucher): Promise<{ header: Header; tables: readonly TableHash[] }> {
  return framesOf(file, unseal, async (parts) => {
    const header = await headerFrom(parts)
    const found: string[] = []
    for (const _table of header.tables) {
      const hash = createHash('sha256')
      for await (const data of tableData(parts)) hash.update(data)
      found.push(hash.digest('hex'))
    }
    const { value, done } = await parts.next()
    if (done || value.kind !== 'M') throw archiveBroken()
    const { tables, voucher: word } = parsed(manifestShape, value.payload)
    const isListed = ({ table, sha256 }: TableHash, k: number) => table === header.tables[k]?.table && sha256 === found[k]
    if (tables.length !== found.length || !tables.every(isListed) || !(await parts.next()).done) throw archiveBroken()
    await voucher.check(header.tenantId, digestOf(header, tables), word)
    return { header, tables }
  })
}

/**
 * Restores a tenant of which no row exists. Its rows are compared with the manifest where they then are, and an audit row says who did it,
 * all in one transaction.
 * @throws {DamagedFile} for a broken file or a wrong key, and a sentence for everything else it refuses
 */
export async function restoreTenant(
  options: Common & { readonly privateKey: KeyObject; readonly operator: string },
): Promise<ArchiveReport> {
  const { ownerUrl, file, privateKey, progress } = options
  progress('reading the whole export')
  const unseal: Unseal = (sealed) => openWithKey(sealed, privateKey)
  const { header, tables: wanted } = await proveWhole(file, unseal, options.voucher)
  return withClient(ownerUrl, async (client) => {
    await settle(client)
    await client.query('begin')
    await client.query("select pg_advisory_xact_lock(hashtext('maristan tenant restore'))")
    const tables = await tenantTables(client)
    const known = JSON.stringify([await migrationNames(), tables.map(({ table, columns, key }) => ({ table, columns, key }))])
    if (known !== JSON.stringify([header.migrations, header.tables])) {
      throw new Error('The export is of another version of the tables. Restore it with the version that made it.')
    }
    for (const { table } of tables) {
      const sql = `select exists (select from ${table} where tenant_id = $1) as there`
      const { rows } = await client.query<{ there: boolean }>(sql, [header.tenantId])
      if (rows[0]!.there) throw new Error(`Rows of this tenant exist (${table}). A tenant is restored only where none of it is left.`)
    }
    await framesOf(file, unseal, async (parts) => {
      if (JSON.stringify(await headerFrom(parts)) !== JSON.stringify(header)) throw archiveBroken()
      for (const table of tables) {
        progress(`restoring ${table.table}`)
        await restoreTable(client, table, header.tenantId, tableData(parts))
      }
      // The manifest was proven before; the rest of the stream is read so that its last seal is checked.
      for await (const _ of parts);
    })
    for (const [k, table] of tables.entries()) {
      progress(`comparing ${table.table}`)
      const found = await hashTenantRows(client, table, header.tenantId)
      if (found.rows !== wanted[k]!.rows || found.sha256 !== wanted[k]!.sha256) {
        throw new Error(`Table ${table.table} was not restored as it was saved.`)
      }
    }
    await client.query(
      `insert into audit.event (tenant_id, id, actor_kind, action, resource, resource_id, outcome, request_id, user_agent, detail)
       values ($1, $2, 'operator', 'tenant.restored', 'Tenant', $1, 'done', $3, 'maristan command line', $4)`,
      [header.tenantId, newId(), newId(), JSON.stringify({ operator: options.operator, tables: tables.length })],
    )
    await client.query('commit')
    return { tenantId: header.tenantId, slug: header.slug, tables: wanted }
  })
}

/** Through a table of the transaction's own, so that no row is anywhere before its tenant is known. */
async function restoreTable(client: pg.Client, table: TenantTable, tenantId: string, data: AsyncGenerator<Buffer>): Promise<void> {
  const columns = columnsSql(table)
  await client.query(`create temp table arriving on commit drop as select ${columns} from ${table.table} with no data`)
  await pipeline(Readable.from(data), client.query(copyFrom(`copy pg_temp.arriving (${columns}) from stdin`)))
  const { rows } = await client.query<{ strangers: boolean }>(
    'select exists (select from pg_temp.arriving where tenant_id is distinct from $1) as strangers',
    [tenantId],
  )
  if (rows[0]!.strangers) throw new Error(`The export holds rows of another tenant (${table.table}). Nothing was restored.`)
  await client.query(`insert into ${table.table} (${columns}) overriding system value select ${columns} from pg_temp.arriving`)
  await client.query('drop table pg_temp.arriving')
}
