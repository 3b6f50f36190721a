/** Which tables hold a tenant's rows, read from the catalogue: a table that a module adds is here by itself. */
import { createHash } from 'node:crypto'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { queueSchema } from '../platform/jobs/install.ts'

export interface TenantTable {
  /** Schema and name, quoted where they need it. */
  readonly table: string
  /** Stored columns in order; generated ones make themselves again. */
  readonly columns: readonly string[]
  /** The primary key, in order. */
  readonly key: readonly string[]
}

/** A table's rows of one tenant: how many, and the hash of their text in the order of the key. */
export interface TableHash {
  readonly table: string
  readonly rows: number
  readonly sha256: string
}

/** Every table of ours in an order in which what is referred to comes first. The job queue is laid anew by each start. */
const tablesSql = `
  with recursive ours as (
    select c.oid, format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition
      and n.nspname not in ('pg_catalog', 'information_schema', 'public', 'pg_toast', '${queueSchema}')
      and n.nspname not like 'pg\\_temp\\_%'
  ), depth (oid, level) as (
    select oid, 0 from ours
    union
    select f.conrelid, d.level + 1 from depth d join pg_constraint f on f.contype = 'f' and f.confrelid = d.oid and f.conrelid <> d.oid
    where d.level < 50
  )
  select o.name as "table",
    array(select a.attname::text from pg_attribute a
      where a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum) as columns,
    array(select a.attname::text from pg_index i cross join unnest(i.indkey::int2[]) with ordinality k(attnum, place)
      join pg_attribute a on a.attrelid = o.oid and a.attnum = k.attnum
      where i.indrelid = o.oid and i.indisprimary order by k.place) as key
  from ours o join depth d using (oid) group by o.oid, o.name order by max(d.level), o.name`

/** Tables with a `tenant_id`, what is referred to first. @throws when one of them has no primary key to order its rows by */
export async function tenantTables(client: pg.Client): Promise<TenantTable[]> {
  const { rows } = await client.query<TenantTable>(tablesSql)
  const tables = rows.filter(({ columns }) => columns.includes('tenant_id'))
  for (const { table, key } of tables) if (key.length === 0) throw new Error(`Table ${table} has no primary key.`)
  return tables
}

export const columnsSql = ({ columns }: TenantTable): string => columns.map(pg.escapeIdentifier).join(', ')

/** COPY's text depends on these; both ends say the same. Off means: refuse rather than filter. */
export async function settle(client: pg.Client): Promise<void> {
  await client.query(`set row_security = off; set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'iso_8601';
    set extra_float_digits = 3; set bytea_output = 'hex'; set search_path = pg_catalog; set lock_timeout = '5s'`)
}

/** A table's rows of one tenant as COPY's text, in the order of the key; hashed and counted as they pass. */
export async function* tenantRows(
  client: pg.Client,
  table: TenantTable,
  tenantId: string,
): AsyncGenerator<Buffer, TableHash> {
  const hash = createHash('sha256')
  const order = table.key.map(pg.escapeIdentifier).join(', ')
  const asked = `select ${columnsSql(table)} from ${table.table} where tenant_id = ${pg.escapeLiteral(tenantId)}::uuid order by ${order}`
  const copying = client.query(copyTo(`copy (${asked}) to stdout`))
  for await (const part of copying) {
    hash.update(part as Buffer)
    yield part as Buffer
  }
  return { table: table.table, rows: copying.rowCount ?? 0, sha256: hash.digest('hex') }
}

/** {@link tenantRows} for the hash alone. */
export async function hashTenantRows(client: pg.Client, table: TenantTable, tenantId: string): Promise<TableHash> {
  const rows = tenantRows(client, table, tenantId)
  for (;;) {
    const { value, done } = await rows.next()
    if (done) return value
  }
}
