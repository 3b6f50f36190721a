/**
 * `npm start` on a Postgres of the operator's own: everything that the server runs (sealer, outbox, jobs, checkpoints, the demo) stands
 * on it, a second process serves beside it, and the stop leaves it alone. Runs on the suite's Postgres, and in CI on the oldest that is
 * promised as well.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Saml } from '../src/modules/federation/saml/contract.ts'
import { operatorCaller } from '../src/operator/operator-scope.ts'
import { authLogin } from '../src/platform/module.ts'
import { openHouse } from './kit/house.ts'
import { freshDatabase, loginSecret, withCluster, type TestDatabase } from './kit/postgres.ts'
import { answerOf, Browser, metadataOf } from './kit/saml-idp.ts'
import { makeProvider } from './kit/saml-provider.ts'
import { freePort, graphql, maristan, signIn, startServer, temporaryDirectory, until, type ServerProcess } from './kit/server.ts'

const unsealed = `select count(*)::int as unsealed from audit.event e
  where not exists (select from audit.link l where (l.tenant_id, l.event_id, l.at) = (e.tenant_id, e.id, e.at))`

const { parent, dataDir, remove } = temporaryDirectory()
let at: TestDatabase
let environment: Record<'PORT' | 'DATA_DIR' | 'DATABASE_URL' | 'DATABASE_OWNER_URL' | 'DATABASE_LOGIN_SECRET' | 'KMS_PROVIDER' | 'MARISTAN_DEMO', string>
let server: ServerProcess

beforeAll(async () => {
  at = await freshDatabase()
  environment = {
    PORT: String(await freePort()),
    DATA_DIR: dataDir,
    DATABASE_URL: at.ownerUrl,
    DATABASE_OWNER_URL: at.ownerUrl,
    DATABASE_LOGIN_SECRET: loginSecret(),
    KMS_PROVIDER: 'local',
    MARISTAN_DEMO: '1',
  }
  server = await withCluster(() => (server = startServer(environment)).ready())
}, 60_000)
afterAll(async () => {
  if (!server.hasEnded) await server.end('SIGTERM')
  await at.drop()
  remove()
})

test('an assertion that two processes receive at the same moment opens one session; all other answers say that it was used', { timeout: 60_000 }, async () => {
  const beside = await openHouse({ ...environment, MARISTAN_DEMO: '0' })
  onTestFinished(() => beside.close())
  const fronts = [server.url, beside.url]
  const [cedar] = server.demo().tenants
  const { id, slug, saml } = cedar!
  const provider = makeProvider('https://idp.twice.example/metadata')
  const xml = metadataOf(provider.entityId, 'https://idp.twice.example', [provider.certificate])
  const contract = beside.composed.made['saml']!.contract as Saml
  await beside.database
    .unit(operatorCaller(id))
    .command((scope) => contract.operatorConnect(scope, { xml, jitRole: 'clinician', allowIdpInitiated: true }), authLogin)

  const answer = (nameId: string) => answerOf(provider, { acsUrl: saml.acsUrl, audience: saml.entityId, inResponseTo: null, person: { nameId } })
  const browser = () => new Browser()
  const post = async (front: string, SAMLResponse: string, by = browser()) =>
    ({ by, page: await by.open(`${front}/saml/${slug}/acs`, { method: 'POST', form: { SAMLResponse }, fromSite: provider.entityId }) })
  const sessions = async (nameId: string): Promise<number> => {
    const live = 'select count(*)::int as n from saml.session s join identity.session i on i.id = s.session_id where s.name_id = $1'
    return (await at.owner<{ n: number }>(live, [nameId]))[0]!.n
  }

  for (const nameId of ['one@hospital.example', 'two@hospital.example']) {
    const once = answer(nameId)
    const posted = await Promise.all([...fronts, ...fronts, ...fronts].map((front) => post(front, once)))
    const [taken, ...more] = posted.filter(({ page }) => page.status === 303)
    expect([nameId, more]).toEqual([nameId, []])
    const numbers = posted.filter((one) => one !== taken).map(({ page }) => /<code>([0-9a-f-]{36})<\/code>/.exec(page.body)?.[1])
    const reasons = await at.owner<{ reason: string }>('select reason from saml.attempt where id = any($1::uuid[])', [numbers])
    expect(reasons.map(({ reason }) => reason)).toEqual(Array.from({ length: 5 }, () => 'REPLAYED'))

    // What was taken at one of them waits for its browser at both, and is taken up once.
    const { pathname, search } = new URL(taken!.page.location!)
    const done = await Promise.all(fronts.map((front) => taken!.by.open(front + pathname + search)))
    expect([done.map(({ status }) => status).toSorted(), taken!.by.has('d_sid'), await sessions(nameId)]).toEqual([[303, 403], true, 1])
  }
  // Either of them takes a new one: what was refused was refused for the other process's sake.
  for (const front of fronts) expect((await post(front, answer('one@hospital.example'))).page.status).toBe(303)
})

test('a server with DATABASE_URL serves from that Postgres, seals, anchors and backs it up, stops with 0, and the Postgres runs on', { timeout: 60_000 }, async () => {
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
