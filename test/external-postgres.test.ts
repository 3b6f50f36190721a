/**
 * `npm start` on a Postgres of the operator's own: everything that the server runs (sealer, outbox, jobs, checkpoints, the demo) stands
 * on it, and the stop leaves it alone. Runs on the suite's Postgres, and in CI on the oldest that is promised as well.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freshDatabase, loginSecret, withCluster } from './kit/postgres.ts'
import { freePort, graphql, maristan, signIn, startServer, temporaryDirectory, until } from './kit/server.ts'

const unsealed = `select count(*)::int as unsealed from audit.event e
  where not exists (select from audit.link l where (l.tenant_id, l.event_id, l.at) = (e.tenant_id, e.id, e.at))`

test('a server with DATABASE_URL serves from that Postgres, seals, anchors and backs it up, stops with 0, and the Postgres runs on', { timeout: 60_000 }, async () => {
  const at = await freshDatabase()
  onTestFinished(() => at.drop())
  const { parent, dataDir, remove } = temporaryDirectory()
  onTestFinished(remove)
  const environment = {
    PORT: String(await freePort()),
    DATA_DIR: dataDir,
    DATABASE_URL: at.ownerUrl,
    DATABASE_OWNER_URL: at.ownerUrl,
    DATABASE_LOGIN_SECRET: loginSecret(),
    KMS_PROVIDER: 'local',
    MARISTAN_DEMO: '1',
  }
  const server = await withCluster(async () => {
    const started = startServer(environment)
    onTestFinished(async () => void (started.hasEnded || (await started.end('SIGTERM'))))
    return started.ready()
  })
  const demo = server.demo()
  const [cedar] = demo.tenants
  const token = await signIn(demo, 'cedar', cedar!.members.find(({ role }) => role === 'care_coordinator')!)
  const { data } = await graphql(`${demo.url}/graphql/console`, { authorization: `Bearer ${token}` }, '{ recipients(first: 1) { edges { node { givenName } } } }')
  expect(data).toEqual({ recipients: { edges: [{ node: { givenName: expect.stringMatching(/^\p{L}+$/u) } }] } })
  // Its own logins, on that database: the planes, the sealer, the outbox and the queue.
  const logins = await at.owner<{ usename: string }>('select distinct usename from pg_stat_activity where datname = current_database()')
  expect(logins.map(({ usename }) => usename)).toEqual(expect.arrayContaining(['maristan_auth', 'maristan_worker']))
  await until('the outbox is empty', async () => {
    const [left] = await at.owner<{ undelivered: number }>('select count(*)::int as undelivered from outbox.event where processed_at is null')
    return left!.undelivered === 0
  })
  expect(await at.owner('select count(*) > 0 as planned from jobs_queue.schedule')).toEqual([{ planned: true }])

  const made = await maristan(['backup', '--file', join(parent, 'whole.backup'), '--json'], environment)
  expect([made.code, made.stderr]).toEqual([0, ''])

  expect(await server.end('SIGTERM')).toMatchObject({ code: 0, signal: null, stderr: '' })
  // The stop sealed all that was written and anchored it.
  expect(await at.owner(unsealed)).toEqual([{ unsealed: 0 }])
  expect(readdirSync(join(dataDir, 'checkpoints')).length).toBeGreaterThan(0)
  // No Postgres of its own was made, and no connection stayed on the operator's.
  expect(existsSync(join(dataDir, 'pg'))).toBe(false)
  expect(readFileSync(join(dataDir, 'demo.json'), 'utf8')).not.toContain(loginSecret())
  await until('no connection is left', async () => {
    const [left] = await at.owner<{ open: number }>('select count(*)::int as open from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()')
    return left!.open === 0
  })
})
