/**
 * What the owner's connection is for: migrations, and the logins' passwords. And what every start checks with a login of the
 * server's own: that no login has more power than its grants.
 */
import pg from 'pg'
import { deriveLoginPassword } from '../crypto/hash.ts'
import { installQueue } from '../jobs/install.ts'
import { authLogin, logins, urlFor, workerLogin } from './logins.ts'
import { migrate, type AppliedMigration } from './migrate.ts'

/** The oldest Postgres whose features the walls use (NULLS NOT DISTINCT, security_invoker). */
export const leastPostgres = 150_000

/** Months of the audit trail that exist ahead of this one: a server without the owner's connection lives on them. */
export const monthsAhead = 12

export interface ProvisionOptions {
  readonly ownerUrl: string
  readonly loginSecret: string
  readonly onProgress?: (name: string, index: number, total: number) => void
}

/**
 * Applies missing migrations, installs the job queue, sets every login's derived password and keeps the audit trail's months ahead. Safe
 * to repeat and to run twice at once.
 */
export async function provision({ ownerUrl, loginSecret, onProgress }: ProvisionOptions): Promise<readonly AppliedMigration[]> {
  const applied = await migrate({ ownerUrl, ...(onProgress ? { onProgress } : {}) })
  await installQueue(ownerUrl)
  await withClient(ownerUrl, async (client) => {
    await client.query('begin')
    // Logins belong to the whole cluster: two databases of one cluster provisioned at once must not collide.
    await client.query("select pg_advisory_xact_lock(hashtext('maristan logins'))")
    for (const login of logins) {
      const password = pg.escapeLiteral(deriveLoginPassword(loginSecret, login))
      await client.query(`alter role ${pg.escapeIdentifier(login)} login password ${password}`)
    }
    await client.query('commit')
    await keepTrail(client, urlFor(workerLogin, ownerUrl, loginSecret))
  })
  return applied
}

/** The months of the audit trail, and a new epoch where the trail was restored from a database that had counted further. */
async function keepTrail(owner: pg.Client, workerUrl: string): Promise<void> {
  await owner.query('select audit.keep_months($1)', [monthsAhead])
  const stands = await withClient(workerUrl, async (worker) => {
    const { rows } = await worker.query<{ epoch: number; ahead: boolean }>('select epoch, ahead from gate.seal_cursor()')
    return rows[0]
  })
  if (stands?.ahead) await owner.query('select audit.begin_epoch($1)', [stands.epoch + 1])
}

/** A login that could step over a wall, or a Postgres that is too old: the server does not start. */
export class UnsafeDatabase extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The database is not safe to serve from:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'UnsafeDatabase'
    this.problems = problems
  }
}

const powers = `
  select r.rolname as login,
    array_remove(array[
      case when r.rolsuper then 'is a superuser: alter role %I nosuperuser' end,
      case when r.rolbypassrls then 'bypasses Row Level Security: alter role %I nobypassrls' end,
      case when r.rolcreaterole then 'may create roles: alter role %I nocreaterole' end,
      case when r.rolcreatedb then 'may create databases: alter role %I nocreatedb' end,
      case when r.rolreplication then 'may replicate: alter role %I noreplication' end
    ], null) as excess,
    array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid) as member_of,
    array(select c.oid::regclass::text from pg_class c where c.relowner = r.oid limit 5) as owns_tables,
    array(select p.oid::regprocedure::text from pg_proc p where p.proowner = r.oid limit 20) as owns_functions
  from pg_roles r where r.rolname = any($1)`

interface Power {
  login: string
  excess: string[]
  member_of: string[]
  owns_tables: string[]
  owns_functions: string[]
}

/** Sentences on what is wrong with the logins of this database, each with the mending command; empty when all is well. */
export async function inspectLogins(client: pg.Client): Promise<string[]> {
  const problems: string[] = []
  const { rows: version } = await client.query<{ number: number }>("select current_setting('server_version_num')::int as number")
  if (version[0]!.number < leastPostgres) problems.push(`Postgres ${Math.floor(version[0]!.number / 10_000)} is too old: use 15 or newer.`)
  const names = [...logins, 'maristan_gate']
  const { rows } = await client.query<Power>(powers, [names])
  for (const missing of names.filter((name) => !rows.some((row) => row.login === name))) {
    problems.push(`Login ${missing} does not exist: run maristan migrate.`)
  }
  for (const { login, excess, member_of, owns_tables, owns_functions } of rows) {
    for (const one of excess) problems.push(`Login ${login} ${one.replace('%I', login)}.`)
    for (const role of member_of) problems.push(`Login ${login} is a member of ${role}: revoke ${role} from ${login}.`)
    for (const table of owns_tables) problems.push(`Login ${login} owns ${table}: alter table ${table} owner to the database's owner.`)
    for (const one of login === 'maristan_gate' ? [] : owns_functions) problems.push(`Login ${login} owns the function ${one}.`)
  }
  return problems
}

/** @throws {UnsafeDatabase} */
export async function refuseUnsafe(databaseUrl: string, loginSecret: string): Promise<void> {
  await withClient(urlFor(authLogin, databaseUrl, loginSecret), async (client) => {
    const problems = await inspectLogins(client)
    if (problems.length > 0) throw new UnsafeDatabase(problems)
  })
}

/** @throws where the audit trail would be sealed in the wrong order: restored, and not migrated since. */
export async function refuseLostOrder(databaseUrl: string, loginSecret: string): Promise<void> {
  await withClient(urlFor(workerLogin, databaseUrl, loginSecret), async (client) => {
    const { rows } = await client.query<{ ahead: boolean }>('select ahead from gate.seal_cursor()')
    if (rows[0]?.ahead) throw new UnsafeDatabase(['The audit trail was restored from another database: run maristan migrate, which begins a new epoch.'])
  })
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, application_name: 'maristan' })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
