/**
 * Takes every row of a tenant that left out of every table, the queue's too, but for what has to stay. A table that a module adds is swept
 * by itself; one that stays is named here with its reason. It can be cut off anywhere and begun again.
 */
import pg from 'pg'
import { queueSchema } from '../platform/jobs/install.ts'
import { settle, tenantTables } from './tenant-tables.ts'

/** What stays of a tenant that left. None of it is health data, and none of it opens any. */
export const keptTables: Readonly<Record<string, string>> = {
  'tenancy.tenant': 'Its name stays taken and says that it left.',
  'vault.tenant_key': 'Which keys there were and when they were destroyed; their wraps are gone.',
  'vault.erasure_certificate': 'Certificates of people who were erased before.',
  'custody.legal_hold': 'What was held, and when it was lifted.',
  'custody.offboarding': 'The leaving itself, with its certificate.',
  'audit.event': 'The trail stays readable for its retention period.',
  'audit.link': 'Its chain.',
  'audit.checkpoint': 'Its anchors.',
  'audit.retired': 'Where the chain begins since its oldest months were let go.',
}

/** Ends every session at once: whoever is remembered as signed in is not any more. @returns how many were ended so, this time or before */
export async function endSessions(client: pg.Client, tenantId: string): Promise<number> {
  await client.query(
    "update identity.session set revoked_at = now(), revoked_reason = 'TENANT_LEFT' where tenant_id = $1 and revoked_at is null",
    [tenantId],
  )
  const { rows } = await client.query<{ ended: number }>(
    "select count(*)::int as ended from identity.session where tenant_id = $1 and revoked_reason = 'TENANT_LEFT'",
    [tenantId],
  )
  return rows[0]!.ended
}

/** Whether somebody who began before this moment, by the database's clock, is still at work in this database. */
export async function isBusySince(client: pg.Client, since: Date): Promise<boolean> {
  const { rows } = await client.query<{ busy: boolean }>(
    `select clock_timestamp() < $1 or exists (select from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' and xact_start < $1) as busy`,
    [since],
  )
  return rows[0]!.busy
}

/**
 * Deletes, what is referred to last, and proves that nothing is left.
 * @throws when a row appeared meanwhile or a key still has its wrap: repeating it takes that too.
 */
export async function sweepTenant(client: pg.Client, tenantId: string, progress: (what: string) => void): Promise<{ tables: number; jobs: number }> {
  await settle(client)
  const tables = (await tenantTables(client)).map(({ table }) => table).filter((table) => !(table in keptTables))
  for (const table of tables.toReversed()) {
    progress(`sweeping ${table}`)
    await client.query(`delete from ${table} where tenant_id = $1`, [tenantId])
  }
  const jobs = await sweepQueue(client, tenantId)
  for (const table of tables) {
    const { rows } = await client.query<{ there: boolean }>(`select exists (select from ${table} where tenant_id = $1) as there`, [tenantId])
    if (rows[0]!.there) throw new Error(`Rows of this tenant came back (${table}). Repeat the command.`)
  }
  const { rows: keys } = await client.query<{ live: boolean }>(
    'select exists (select from vault.tenant_key where tenant_id = $1 and wrapped is not null) as live',
    [tenantId],
  )
  if (keys[0]!.live) throw new Error('A key of this tenant came back. Repeat the command.')
  return { tables: tables.length, jobs }
}

async function sweepQueue(client: pg.Client, tenantId: string): Promise<number> {
  const { rows } = await client.query<{ laid: boolean }>(`select to_regclass('${queueSchema}.job') is not null as laid`)
  if (!rows[0]!.laid) return 0
  const { rowCount } = await client.query(`delete from ${queueSchema}.job where data ->> 'tenantId' = $1`, [tenantId])
  return rowCount ?? 0
}
