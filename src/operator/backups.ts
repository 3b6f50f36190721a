/**
 * The register of backups and exports that this building wrote: what a certificate of destroyed keys says can still be opened, and until
 * when. Whoever wrote a file through the owner's connection notes it here; nothing is changed or removed. It opens no file.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { basename } from 'node:path'
import pg from 'pg'
import { newId } from '../kernel/id.ts'
import { noTenant } from '../kernel/scope.ts'
import { operatorLogin, urlFor } from '../platform/db/logins.ts'
import { withClient } from '../platform/db/provision.ts'
import type { KnownBackup } from '../platform/ledger/certificate.ts'
import { sumOf } from './file-sum.ts'
import type { Opened } from './open.ts'

export interface RegisteredBackup extends KnownBackup {
  /** Null: the whole database. */
  readonly tenantId: string | null
  readonly bytes: number
  /** Its name when it was written, without the directory. */
  readonly file: string
}

const day = 86_400_000

/** What a key is known by: it tells nothing of the key. */
export const fingerprintOf = (key: Uint8Array | KeyObject): string => {
  const bytes = key instanceof Uint8Array ? key : key.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update('maristan file key').update(bytes).digest('hex').slice(0, 16)
}

/**
 * Until when a file is kept: what was said, or so many days from now.
 * @throws when it is no date, or one that is over.
 */
export function keepUntilOf(text: string | undefined, days: number, now = new Date()): Date {
  const until = text === undefined ? new Date(now.getTime() + days * day) : new Date(text)
  if (Number.isNaN(until.getTime())) throw new Error('--keep-until is no date: write it as 2027-01-31.')
  if (until <= now) throw new Error('--keep-until is over already: what is not kept need not be written.')
  return until
}

const writingLock = "hashtext('maristan backup')"

/**
 * Runs what writes a file and notes it. Until that is over nothing is certified: the file may hold what was destroyed meanwhile, and is not in
 * the register yet.
 */
export function whileWriting<T>(ownerUrl: string, work: () => Promise<T>): Promise<T> {
  return withClient(ownerUrl, async (client) => {
    await client.query(`select pg_advisory_lock_shared(${writingLock})`)
    return work()
  })
}

interface Written {
  readonly ownerUrl: string
  /** Null: the whole database. */
  readonly tenantId: string | null
  /** Before the snapshot was taken: what came later may not be in it, what came before is. */
  readonly madeAt: Date
  readonly keepUntil: Date | null
  readonly openedBy: string
  readonly file: string
}

/** Notes a file that was written and proven. @returns its number in the register */
export async function registerBackup({ ownerUrl, tenantId, madeAt, keepUntil, openedBy, file }: Written): Promise<string> {
  const { sha256, bytes } = await sumOf(file)
  const id = newId()
  await withClient(ownerUrl, (client) =>
    client.query(
      `insert into custody.backup (tenant_id, id, about_tenant, made_at, keep_until, opened_by, sha256, bytes, file)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      [noTenant, id, tenantId, madeAt, keepUntil, openedBy, sha256, bytes, basename(file)],
    ),
  )
  return id
}

const columns = `id, case when about_tenant is null then 'backup' else 'export' end as kind, about_tenant as "tenantId", made_at as "madeAt",
  keep_until as "keepUntil", opened_by as "openedBy", sha256, bytes, file`

type Row = Omit<RegisteredBackup, 'madeAt' | 'keepUntil' | 'bytes'> & { readonly madeAt: Date; readonly keepUntil: Date | null; readonly bytes: string }

const read = async (client: pg.Client, where: string, values: unknown[]): Promise<RegisteredBackup[]> => {
  await client.query("select set_config('app.tenant_id', $1, false)", [noTenant])
  const { rows } = await client.query<Row>(`select ${columns} from custody.backup where ${where} order by made_at, id`, values)
  return rows.map(({ madeAt, keepUntil, bytes, ...row }) => ({
    ...row, madeAt: madeAt.toISOString(), keepUntil: keepUntil?.toISOString() ?? null, bytes: Number(bytes),
  }))
}

/** Those that are still kept, the oldest first. */
export const keptBackups = (client: pg.Client): Promise<RegisteredBackup[]> => read(client, 'keep_until is null or keep_until > now()', [])

/**
 * Those still kept that hold what a tenant, or one person of it, had between these moments.
 * @throws while a backup is being written: it would be left out.
 */
export async function backupsHolding(
  { foundation }: Pick<Opened, 'foundation'>,
  { tenantId, since, until }: { readonly tenantId: string; readonly since: Date; readonly until: Date },
): Promise<KnownBackup[]> {
  const url = urlFor(operatorLogin, foundation.databaseUrl, foundation.loginSecret)
  const found = await withClient(url, async (client) => {
    await client.query("set lock_timeout = '1s'")
    // Another certificate is over within that; a backup is not.
    await client.query(`select pg_advisory_lock(${writingLock})`).catch((error: pg.DatabaseError) => {
      throw error.code === '55P03' ? new Error('A backup is being written, and may hold what was destroyed. Repeat the command when it is done.') : error
    })
    const held = '(keep_until is null or keep_until > now()) and (about_tenant is null or about_tenant = $1) and made_at >= $2 and made_at <= $3'
    return read(client, held, [tenantId, since, until])
  })
  return found.map(({ id, kind, madeAt, keepUntil, openedBy, sha256 }) => ({ id, kind, madeAt, keepUntil, openedBy, sha256 }))
}
