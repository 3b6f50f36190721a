/** Takes from the database's logins every power with which the server refuses to start. It gives none, and touches no other role. */
import pg from 'pg'
import { logins } from '../platform/db/logins.ts'

const excessSql = `
  select r.rolname as login, power
  from pg_roles r, lateral (values
    (r.rolsuper, 'superuser'), (r.rolbypassrls, 'bypassrls'), (r.rolcreaterole, 'createrole'),
    (r.rolcreatedb, 'createdb'), (r.rolreplication, 'replication')) as held (is_held, power)
  where held.is_held and r.rolname = any($1) order by 1, 2`

const membershipSql = `
  select r.rolname as login, g.rolname as role
  from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles r on r.oid = m.member
  where r.rolname = any($1) order by 1, 2`

/** As the owner of the database. @returns what it ran. */
export async function mendLogins(client: pg.Client): Promise<string[]> {
  const names = [[...logins, 'maristan_gate']]
  const excess = await client.query<{ login: string; power: string }>(excessSql, names)
  const memberships = await client.query<{ login: string; role: string }>(membershipSql, names)
  const statements = [
    ...excess.rows.map(({ login, power }) => `alter role ${pg.escapeIdentifier(login)} no${power}`),
    ...memberships.rows.map(({ login, role }) => `revoke ${pg.escapeIdentifier(role)} from ${pg.escapeIdentifier(login)}`),
  ]
  for (const statement of statements) await client.query(statement)
  return statements
}
