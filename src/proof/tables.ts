/** What pg_catalog says of the building's tables: columns, keys, checks, restrictive policies and who holds which right. No lists of ours. */
import type pg from 'pg'
import { logins, type Login } from '../platform/db/logins.ts'

export interface Column {
  readonly name: string
  /** Name of the type, of the element's type for an array. */
  readonly type: string
  readonly isArray: boolean
  readonly labels: readonly string[] | null
  readonly notNull: boolean
  readonly hasDefault: boolean
}

/** A check or a unique key: what to vary when it refuses a row, and words its text mentions. */
export interface Constraint {
  readonly name: string
  readonly columns: readonly string[]
  readonly literals: readonly string[]
}

export interface ForeignKey {
  readonly name: string
  /** Pairs of a column here and its column in the parent, tenant_id left out. */
  readonly pairs: readonly (readonly [column: string, parentColumn: string])[]
  readonly parent: string
}

/** A restrictive policy: the columns and words that decide whom it lets see a row. */
export interface ActorPolicy {
  readonly columns: readonly string[]
  readonly literals: readonly string[]
  readonly mentionsRole: boolean
  readonly logins: readonly string[]
}

export type Verb = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE'

export interface Table {
  /** `schema.table`, as SQL takes it. */
  readonly name: string
  readonly bare: string
  readonly columns: readonly Column[]
  readonly primaryKey: readonly string[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly constraints: readonly Constraint[]
  readonly actorPolicies: readonly ActorPolicy[]
  readonly grants: ReadonlyMap<Login, ReadonlySet<Verb>>
}

const question = `
  select n.nspname as space, c.relname as bare,
    (select json_agg(json_build_object('name', a.attname, 'type', coalesce(e.typname, y.typname), 'isArray', e.oid is not null,
        'labels', (select json_agg(l.enumlabel order by l.enumsortorder) from pg_enum l where l.enumtypid = coalesce(e.oid, y.oid)),
        'notNull', a.attnotnull, 'hasDefault', a.atthasdef) order by a.attnum)
      from pg_attribute a join pg_type y on y.oid = a.atttypid left join pg_type e on e.oid = y.typelem and y.typcategory = 'A'
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity <> 'a') as columns,
    (select json_agg(a.attname order by array_position(k.conkey, a.attnum)) from pg_constraint k
      join pg_attribute a on a.attrelid = c.oid and a.attnum = any (k.conkey) where k.conrelid = c.oid and k.contype = 'p') as "primaryKey",
    coalesce((select json_agg(json_build_object('name', k.conname, 'parent', fn.nspname || '.' || f.relname,
        'pairs', (select json_agg(json_build_array(a.attname, b.attname)) from unnest(k.conkey, k.confkey) u (here, there)
          join pg_attribute a on a.attrelid = c.oid and a.attnum = u.here join pg_attribute b on b.attrelid = f.oid and b.attnum = u.there
          where a.attname <> 'tenant_id')))
      from pg_constraint k join pg_class f on f.oid = k.confrelid join pg_namespace fn on fn.oid = f.relnamespace
      where k.conrelid = c.oid and k.contype = 'f'), '[]') as "foreignKeys",
    coalesce((select json_agg(json_build_object('name', x.name, 'text', x.text, 'columns', (select coalesce(json_agg(a.attname), '[]')
        from pg_attribute a where a.attrelid = c.oid and a.attnum = any (x.keys))))
      from (select conname as name, conkey as keys, pg_get_constraintdef(oid) as text from pg_constraint where conrelid = c.oid and contype = 'c'
        union all select ic.relname, i.indkey::int2[], '' from pg_index i join pg_class ic on ic.oid = i.indexrelid
          where i.indrelid = c.oid and i.indisunique) x), '[]') as constraints,
    coalesce((select json_agg(json_build_object(
        'text', coalesce(pg_get_expr(p.polqual, c.oid), '') || ' ' || coalesce(pg_get_expr(p.polwithcheck, c.oid), ''),
        'columns', (select coalesce(json_agg(distinct a.attname), '[]') from pg_depend d
          join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
          where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refobjid = c.oid and a.attname <> 'tenant_id'),
        'logins', (select coalesce(json_agg(r.rolname), '[]') from pg_roles r where r.oid = any (p.polroles) or p.polroles = '{0}')))
      from pg_policy p where p.polrelid = c.oid and not p.polpermissive), '[]') as policies,
    coalesce((select json_agg(json_build_array(r.rolname, g.privilege_type)) from aclexplode(c.relacl) g join pg_roles r on r.oid = g.grantee), '[]')
      as grants
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id')
  order by 1, 2`

interface Raw {
  space: string
  bare: string
  columns: Column[]
  primaryKey: string[] | null
  foreignKeys: ForeignKey[]
  constraints: { name: string; columns: string[]; text: string }[]
  policies: { text: string; columns: string[]; logins: string[] }[]
  grants: [string, string][]
}

/** Words in single quotes of an SQL text, wildcards at the end dropped. */
const literalsOf = (text: string): string[] =>
  [...text.matchAll(/'((?:[^']|'')*)'/g)]
    .map(([, word]) => word!.replaceAll("''", "'").replace(/%$/, ''))
    .filter((word) => !/^(app\.|\^)|^$/.test(word))

/** Every table with a tenant_id. */
export async function readTables(client: pg.Client): Promise<Table[]> {
  const { rows } = await client.query<Raw>(question)
  return rows.map((raw) => {
    const grants = new Map<Login, Set<Verb>>()
    for (const [role, privilege] of raw.grants) {
      const login = logins.find((one) => one === role)
      if (login && /^(SELECT|INSERT|UPDATE|DELETE)$/.test(privilege))
        grants.set(login, (grants.get(login) ?? new Set()).add(privilege as Verb))
    }
    return {
      name: `${raw.space}.${raw.bare}`,
      bare: raw.bare,
      columns: raw.columns,
      primaryKey: raw.primaryKey ?? [],
      foreignKeys: raw.foreignKeys,
      constraints: raw.constraints.map(({ name, columns, text }) => ({ name, columns, literals: literalsOf(text) })),
      actorPolicies: raw.policies.map(({ text, columns, logins: to }) => ({
        columns,
        literals: literalsOf(text),
        mentionsRole: text.includes('app.role'),
        logins: to,
      })),
      grants,
    }
  })
}

/** How one row of a table is found again by its primary key. */
export function keyOf(table: Table, row: Readonly<Record<string, unknown>>): { where: string; values: unknown[] } {
  // A moment came through this language's date, which is coarser than the database's.
  const isMoment = (name: string) => table.columns.some((column) => column.name === name && column.type === 'timestamptz')
  const said = (name: string) => (isMoment(name) ? `date_trunc('milliseconds', ${name})` : name)
  return {
    where: table.primaryKey.map((name, i) => `${said(name)} = $${i + 1}`).join(' and '),
    values: table.primaryKey.map((name) => row[name]),
  }
}
