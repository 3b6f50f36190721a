/**
 * What each of the server's logins may do, as the migrations grant it, held against a database: a right that is missing stops a plane, one
 * too many opens a wall. `prisma/rights.txt` lists them, one a line, as the end of a GRANT; a test keeps it true.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { logins } from './logins.ts'

const listed = join(import.meta.dirname, '../../../prisma/rights.txt')

// Months of the audit trail are reached through their parent; the queue's own tables come and go with it.
const rightsSql = `
  with login as (select oid, rolname from pg_roles where rolname = any($1)),
  held as (
    select a.grantee, lower(a.privilege_type) as verb, format('schema %I', n.nspname) as what
    from pg_namespace n, aclexplode(n.nspacl) a
    union all
    select a.grantee, lower(a.privilege_type), format('%s%I.%I', case when c.relkind = 'S' then 'sequence ' else '' end, n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a where not c.relispartition
    union all
    select a.grantee, format('%s (%I)', lower(a.privilege_type), t.attname), format('%I.%I', n.nspname, c.relname)
    from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace, aclexplode(t.attacl) a
    where not c.relispartition and not t.attisdropped
    union all
    select a.grantee, lower(a.privilege_type), format('function %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace, aclexplode(p.proacl) a
  )
  select format('%s on %s to %I', h.verb, h.what, l.rolname) as line
  from held h join login l on l.oid = h.grantee where h.what !~ '^(schema |function |sequence )?(pgboss|pg_catalog|information_schema)\\M'
  order by 1`

/** The rights that the server's logins hold in the connected database, one a line: `select on care.party to maristan_console_read`. */
export async function rightsOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(rightsSql, [[...logins]])
  return rows.map(({ line }) => line).sort()
}

/** Statements that make the connected database's rights those that are listed; none where they are. For a database with every migration. */
export async function rightsToMend(client: pg.Client): Promise<string[]> {
  const right = (await readFile(listed, 'utf8')).split('\n').filter((line) => line !== '')
  const held = await rightsOf(client)
  const [rightful, has] = [new Set(right), new Set(held)]
  return [
    ...held.filter((line) => !rightful.has(line)).map((line) => `revoke ${line.replace(/ to (?=\S+$)/, ' from ')}`),
    ...right.filter((line) => !has.has(line)).map((line) => `grant ${line}`),
  ]
}
