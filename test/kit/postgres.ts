/** Fresh databases on the run's Postgres: cloned from a migrated template, dropped when the test file ends. */
import { createHash, randomBytes } from 'node:crypto'
import pg from 'pg'
import { provision, withClient } from '../../src/platform/db/provision.ts'

/** The run's login secret: logins belong to the cluster, so every database of the run shares it. */
export function loginSecret(): string {
  return createHash('sha256').update(`test logins of ${new URL(ownerUrlOf('postgres')).host}`).digest('hex')
}

/** The owner's address of one database on the run's Postgres. */
export function ownerUrlOf(database: string): string {
  const given = process.env['TEST_OWNER_URL']
  if (!given) throw new Error('TEST_OWNER_URL is not set: tests run under vitest with test/global-setup.ts.')
  const url = new URL(given)
  url.pathname = `/${database}`
  return url.href
}

const template = 'maristan_template'

export async function prepareTemplate(ownerUrl: string): Promise<void> {
  process.env['TEST_OWNER_URL'] = ownerUrl
  await withClient(ownerUrlOf('postgres'), async (client) => {
    await client.query(`drop database if exists ${template} with (force)`)
    await client.query(`create database ${template}`)
  })
  await provision({ ownerUrl: ownerUrlOf(template), loginSecret: loginSecret() })
}

export interface TestDatabase {
  readonly name: string
  readonly ownerUrl: string
  /** Runs SQL as the owner (a superuser in the embedded cluster). */
  owner<Row extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>
  drop(): Promise<void>
}

/** An empty, migrated database of its own. */
export async function freshDatabase(): Promise<TestDatabase> {
  const name = `maristan_test_${randomBytes(6).toString('hex')}`
  await withClient(ownerUrlOf('postgres'), async (client) => {
    // Cloning wants the template for itself; test files that start together take turns.
    await client.query("select pg_advisory_lock(hashtext('maristan template'))")
    await client.query(`create database ${name} template ${template}`)
  })
  const ownerUrl = ownerUrlOf(name)
  return {
    name,
    ownerUrl,
    owner: (sql, values = []) => withClient(ownerUrl, async (client) => (await client.query(sql, values)).rows as never),
    drop: () => withClient(ownerUrlOf('postgres'), async (client) => void (await client.query(`drop database if exists ${name} with (force)`))),
  }
}

/** Holds for one file at a time what belongs to the whole cluster: its logins. Advisory locks are a database's, so it is everybody's one. */
export async function withCluster<T>(work: () => Promise<T>): Promise<T> {
  return withClient(ownerUrlOf('postgres'), async (client) => {
    await client.query("select pg_advisory_lock(hashtext('maristan cluster'))")
    return work()
  })
}
