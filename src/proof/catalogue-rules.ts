/** The rules of `catalogue.ts`: each asks pg_catalog for whatever breaks it, as `object` and `why`. Nothing here is a list of tables. */
import { queueSchema } from '../platform/jobs/install.ts'

export interface CatalogueRule {
  readonly name: string
  /** What must hold, in one sentence. */
  readonly law: string
  /** Returns `object` and `why`; `$1`, where used, is the names of the server's logins. */
  readonly sql: string
}

const own = `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`

/** Every table of the building: ordinary and partitioned ones, partitions included. */
const tables = `
  select c.oid, n.nspname as space, n.nspname || '.' || c.relname as name, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relacl
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and ${own}`

/** Every right that somebody other than the owner holds on a table, view, sequence, schema, function or column. */
const grants = `
  select n.nspname || '.' || c.relname as name, c.relkind::text as kind, n.nspname as space, c.oid as oid, c.relowner as owner, a.*
    from pg_class c join pg_namespace n on n.oid = c.relnamespace,
      aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::"char" else 'r' end, c.relowner))) a
    where ${own} and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
  union all
  select n.nspname || '.' || c.relname || '.' || t.attname, 'column', n.nspname, c.oid, c.relowner, a.*
    from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace, aclexplode(t.attacl) a
    where ${own} and t.attacl is not null
  union all
  select n.nspname, 'schema', n.nspname, n.oid, n.nspowner, a.*
    from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a where ${own}
  union all
  select p.oid::regprocedure::text, 'function', n.nspname, p.oid, p.proowner, a.*
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    where ${own}`

const tenantPolicy = `(tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)`
const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`

/** Names of columns that hold what signs somebody in, or a key. */
const secretColumn = `(^|_)(hash|secret|password|private|wrapped)(_|$)`

export const rules: readonly CatalogueRule[] = [
  {
    name: 'tenant-column',
    law: 'Every table has the column tenant_id uuid not null.',
    sql: `select t.name as object, 'has no such column' as why from (${tables}) t where not exists (
      select from pg_attribute a where a.attrelid = t.oid and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype and a.attnotnull)`,
  },
  {
    name: 'primary-key',
    law: 'Every primary key begins with tenant_id.',
    sql: `select t.name as object, 'its primary key is missing or begins otherwise' as why from (${tables}) t where not exists (
      select from pg_constraint k join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
      where k.conrelid = t.oid and k.contype = 'p' and a.attname = 'tenant_id')`,
  },
  {
    name: 'row-security',
    law: 'Row Level Security is enabled and forced on every table.',
    sql: `select t.name as object, case when t.relrowsecurity then 'not forced' else 'not enabled' end as why
      from (${tables}) t where not (t.relrowsecurity and t.relforcerowsecurity)`,
  },
  {
    name: 'tenant-policy',
    law: 'Every table has the permissive policy `tenant` for all commands and logins, with the same USING and WITH CHECK on tenant_id.',
    sql: `select t.name as object, 'it is missing, or says something else' as why from (${tables}) t where not exists (
      select from pg_policy p where p.polrelid = t.oid and p.polname = 'tenant' and p.polpermissive and p.polcmd = '*' and p.polroles = '{0}'
        and pg_get_expr(p.polqual, p.polrelid) = ${quoted(tenantPolicy)} and pg_get_expr(p.polwithcheck, p.polrelid) = ${quoted(tenantPolicy)})`,
  },
  {
    name: 'other-policy',
    law: 'No other policy is permissive: it would add rows to what the tenant policy allows.',
    sql: `select t.name || ' ' || p.polname || ' to ' || (select string_agg(coalesce(r.rolname, 'public'), ', ' order by r.rolname)
        from unnest(p.polroles) x (id) left join pg_roles r on r.oid = x.id) as object, 'is permissive' as why
      from (${tables}) t join pg_policy p on p.polrelid = t.oid where p.polpermissive and p.polname <> 'tenant'`,
  },
  {
    name: 'unique-index',
    law: 'Every unique or excluding index begins with tenant_id: otherwise a taken value tells of another tenant.',
    sql: `select t.name || ' ' || x.relname as object, 'begins otherwise' as why
      from (${tables}) t join pg_index i on i.indrelid = t.oid join pg_class x on x.oid = i.indexrelid
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      where (i.indisunique or i.indisexclusion) and a.attname is distinct from 'tenant_id'`,
  },
  {
    name: 'foreign-key',
    law: 'A foreign key stays in its schema, joins tenant_id to tenant_id first, and never sets tenant_id to null.',
    sql: `select t.name || ' ' || k.conname as object,
        case when f.space <> t.space then 'leaves its schema' when k.confdeltype in ('n', 'd') then 'would reset tenant_id' else 'joins no tenant_id' end as why
      from (${tables}) t join pg_constraint k on k.conrelid = t.oid and k.contype = 'f' join (${tables}) f on f.oid = k.confrelid
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
        join pg_attribute b on b.attrelid = k.confrelid and b.attnum = k.confkey[1]
      where f.space <> t.space or a.attname <> 'tenant_id' or b.attname <> 'tenant_id'
        or ((k.confdeltype in ('n', 'd') or k.confupdtype in ('n', 'd')) and k.confdelsetcols is null)`,
  },
  {
    name: 'view',
    law: 'A view reads with the rights of whoever asks (security_invoker).',
    sql: `select n.nspname || '.' || c.relname as object, 'reads with its owner''s rights' as why
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'v' and ${own}
        and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)`,
  },
  {
    name: 'materialised-view',
    law: 'Nobody but its owner reads a materialised view or a foreign table: Row Level Security does not reach it.',
    sql: `select distinct g.name as object, 'is granted' as why from (${grants}) g where g.kind in ('m', 'f') and g.grantee <> g.owner`,
  },
  {
    name: 'sequence',
    law: 'There are no sequences: they count for all tenants together.',
    sql: `select n.nspname || '.' || c.relname as object, 'is one' as why
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S' and ${own}`,
  },
  {
    name: 'definer-function',
    law: "Only the functions that are written down run with other rights than the caller's.",
    sql: `select p.oid::regprocedure::text as object, 'is SECURITY DEFINER' as why
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.prosecdef and ${own}`,
  },
  {
    name: 'definer-shape',
    law: 'A SECURITY DEFINER function is in schema gate, owned by maristan_gate, with search_path pinned and nothing executable by everybody.',
    sql: `select p.oid::regprocedure::text as object, case
        when n.nspname <> 'gate' then 'is in another schema'
        when pg_get_userbyid(p.proowner) <> 'maristan_gate' then 'has another owner'
        else 'its search_path is not pinned to pg_catalog, pg_temp' end as why
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.prosecdef and ${own}
        and (n.nspname <> 'gate' or pg_get_userbyid(p.proowner) <> 'maristan_gate'
          or p.proconfig is distinct from array['search_path=pg_catalog, pg_temp'])`,
  },
  {
    name: 'public-grant',
    law: 'Nothing is granted to everybody.',
    sql: `select g.name || ' ' || g.privilege_type as object, 'is granted to PUBLIC' as why from (${grants}) g where g.grantee = 0`,
  },
  {
    name: 'unknown-grantee',
    law: "Only the server's logins and the gate's owner hold rights.",
    sql: `select distinct g.name || ' ' || r.rolname as object, 'is granted to somebody unknown' as why
      from (${grants}) g join pg_roles r on r.oid = g.grantee
      where g.grantee <> g.owner and r.rolname <> 'maristan_gate' and r.rolname <> all ($1) and r.rolname <> 'pg_database_owner'`,
  },
  {
    name: 'excess-privilege',
    law: 'No login empties a table, makes a trigger, a reference or an object, or hands its rights on: Row Level Security does not stop these.',
    sql: `select g.name || ' ' || g.privilege_type || ' ' || r.rolname as object,
        case when g.is_grantable then 'may be handed on' else 'is granted' end as why
      from (${grants}) g join pg_roles r on r.oid = g.grantee
      where g.grantee <> g.owner and r.rolname <> 'pg_database_owner'
        and (g.is_grantable or g.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN', 'CREATE'))`,
  },
  {
    name: 'column-grant',
    law: "Column grants are for the gate's owner only: they break whole-row reads of a login.",
    sql: `select distinct g.name || ' ' || r.rolname as object, 'is granted column by column' as why
      from (${grants}) g join pg_roles r on r.oid = g.grantee where g.kind = 'column' and r.rolname <> 'maristan_gate'`,
  },
  {
    name: 'gate-reach',
    law: "The gate's owner reads single columns and nothing more.",
    sql: `select g.name || ' ' || g.privilege_type as object, 'is granted to maristan_gate' as why
      from (${grants}) g join pg_roles r on r.oid = g.grantee where r.rolname = 'maristan_gate' and g.grantee <> g.owner
        and not (g.kind = 'column' and g.privilege_type = 'SELECT') and not (g.kind = 'schema' and g.privilege_type = 'USAGE')`,
  },
  {
    name: 'read-login-writes',
    law: 'A read login holds no right but to read.',
    sql: `select g.name || ' ' || g.privilege_type || ' ' || r.rolname as object, 'is granted' as why
      from (${grants}) g join pg_roles r on r.oid = g.grantee
      where r.rolname ~ '_read$' and g.privilege_type not in ('SELECT', 'USAGE', 'EXECUTE')`,
  },
  {
    name: 'secret-table',
    law: 'What signs somebody in is touched by maristan_auth alone.',
    sql: `select g.name || ' ' || g.privilege_type || ' ' || r.rolname as object, 'a table with a secret column is granted' as why
      from (${grants}) g join pg_roles r on r.oid = g.grantee
      where g.grantee <> g.owner and r.rolname !~ '^maristan_auth(_read)?$' and (
        (g.kind = 'column' and split_part(g.name, '.', 3) ~ '${secretColumn}')
        or (g.kind in ('r', 'p') and exists (select from pg_attribute a
          where a.attrelid = g.oid and a.attnum > 0 and not a.attisdropped and a.attname ~ '${secretColumn}')))`,
  },
  {
    name: 'queue-grant',
    law: "The job queue is the worker's alone: what is in it belongs to no tenant.",
    sql: `select g.name || ' ' || g.privilege_type || ' ' || r.rolname as object, 'is granted' as why
      from (${grants}) g join pg_roles r on r.oid = g.grantee
      where g.space = '${queueSchema}' and g.grantee <> g.owner and r.rolname <> 'maristan_worker'`,
  },
  {
    name: 'append-only-grant',
    law: 'The audit trail is written and read, never changed.',
    sql: `select g.name || ' ' || g.privilege_type || ' ' || r.rolname as object, 'is granted' as why
      from (${grants}) g join pg_roles r on r.oid = g.grantee
      where g.space = 'audit' and g.kind in ('r', 'p') and g.grantee <> g.owner and g.privilege_type not in ('INSERT', 'SELECT')`,
  },
  {
    name: 'append-only-trigger',
    law: 'A trigger refuses UPDATE, DELETE and TRUNCATE of every table of the audit trail, to its owner too.',
    sql: `select t.name as object, 'has no such trigger, or it is switched off' as why from (${tables}) t where t.space = 'audit' and not exists (
      select from pg_trigger g where g.tgrelid = t.oid and g.tgenabled in ('O', 'A') and g.tgtype & 59 = 58 and not g.tgisinternal)`,
  },
  {
    name: 'default-privilege',
    law: 'No default privileges: what is new belongs to nobody until it is granted.',
    sql: `select coalesce(n.nspname, 'everywhere') || ' ' || d.defaclobjtype::text as object, 'a default privilege is set' as why
      from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace`,
  },
  {
    name: 'login-setting',
    law: 'Every login has its bounds and its fixed search path in force, in every database.',
    sql: `with wanted (name, value) as (values ('statement_timeout', null), ('lock_timeout', null), ('idle_in_transaction_session_timeout', null),
        ('TimeZone', 'UTC'), ('plan_cache_mode', 'force_generic_plan'), ('search_path', 'pg_catalog'), ('default_transaction_read_only', 'on'))
      select r.rolname || ' ' || w.name as object, 'is not set, or set otherwise' as why
      from pg_roles r cross join wanted w
      where r.rolname = any ($1) and (w.name <> 'default_transaction_read_only' or r.rolname ~ '_read$') and not exists (
        select from pg_db_role_setting s, unnest(s.setconfig) c where s.setrole = r.oid and s.setdatabase = 0
          and lower(split_part(c, '=', 1)) = lower(w.name) and split_part(c, '=', 2) = coalesce(w.value, split_part(c, '=', 2))
          and split_part(c, '=', 2) not in ('0', '0s', '0ms'))
      union all
      select r.rolname || ' in ' || d.datname, 'has other settings there' from pg_db_role_setting s
        join pg_roles r on r.oid = s.setrole join pg_database d on d.oid = s.setdatabase where r.rolname = any ($1)`,
  },
]
