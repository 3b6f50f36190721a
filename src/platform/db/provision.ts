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
    for (const login of logins) await setPassword(client, login, deriveLoginPassword(loginSecret, login))
    await keepTrail(client, urlFor(workerLogin, ownerUrl, loginSecret))
  })
  return applied
}

/**
 * Logins belong to the whole cluster, where no lock of one database holds another: who comes second while another database sets the same
 * one is told so, and goes again.
 */
async function setPassword(client: pg.Client, login: string, password: string): Promise<void> {
  for (let turns = 5; ; turns--) {
    try {
      await client.query(`alter role ${pg.escapeIdentifier(login)} login password ${pg.escapeLiteral(password)}`)
      return
    } catch (error) {
      if (turns === 0 || !(error instanceof pg.DatabaseError) || error.message !== 'tuple concurrently updated') throw error
    }
  }
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

const gateOwner = 'maristan_gate'

const powers = `
  select r.rolname as login, e.what, e.mending
  from pg_roles r
  cross join (select pg_get_userbyid(datdba) as owner from pg_database where datname = current_database()) d,
  lateral (
    select what, format('alter role %I no%s', r.rolname, power) from (values
      (r.rolsuper, 'is a superuser', 'superuser'), (r.rolbypassrls, 'bypasses Row Level Security', 'bypassrls'),
      (r.rolcreaterole, 'may create roles', 'createrole'), (r.rolcreatedb, 'may create databases', 'createdb'),
      (r.rolreplication, 'may replicate', 'replication')) as held (is_held, what, power)
    where is_held
    union all
    select format('is a member of %s', g.rolname), format('revoke %I from %I', g.rolname, r.rolname)
    from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid
    union all
    select format('owns %s', c.oid::regclass), format('alter table %s owner to %I', c.oid::regclass, d.owner)
    from pg_class c where c.relowner = r.oid and c.relkind in ('r', 'p', 'v', 'm')
    union all
    -- The gate's owner owns the functions of the gate, and nothing else.
    select format('owns the function %s', p.oid::regprocedure), format('alter routine %s owner to %I', p.oid::regprocedure, d.owner)
    from pg_proc p where p.proowner = r.oid and r.rolname <> '${gateOwner}'
    union all
    select 'may not sign in', format('alter role %I login', r.rolname) where not r.rolcanlogin and r.rolname <> '${gateOwner}'
  ) as e (what, mending)
  where r.rolname = any($1) order by 1, 2`

/** What a login has, or lacks, that the server does not start with. */
export interface Power {
  readonly login: string
  readonly what: string
  /** The statement that mends it, for the owner. */
  readonly mending: string
}

/** @returns the powers of the logins that exist, and which do not exist. */
export async function powersOf(client: pg.Client): Promise<{ powers: readonly Power[]; missing: readonly string[] }> {
  const names = [...logins, gateOwner]
  const { rows: roles } = await client.query<{ name: string }>('select rolname as name from pg_roles where rolname = any($1)', [names])
  const { rows } = await client.query<Power>(powers, [names])
  return { powers: rows, missing: names.filter((name) => !roles.some((role) => role.name === name)) }
}

/**
 * Sentences on what is wrong with the logins of this database, each with the mending command; empty when all is well.
 * @param least the oldest Postgres that will do, as `server_version_num`.
 */
export async function inspectLogins(client: pg.Client, least = leastPostgres): Promise<string[]> {
  const { rows: version } = await client.query<{ number: number }>("select current_setting('server_version_num')::int as number")
  const major = (number: number) => Math.floor(number / 10_000)
  const { powers: found, missing } = await powersOf(client)
  return [
    ...version.filter(({ number }) => number < least).map(({ number }) => `Postgres ${major(number)} is too old: use ${major(least)} or newer.`),
    ...missing.map((name) => `Login ${name} does not exist: run maristan migrate.`),
    ...found.map(({ login, what, mending }) => `Login ${login} ${what}: ${mending}.`),
  ]
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
