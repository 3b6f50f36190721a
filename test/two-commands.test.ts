/** The first of the two commands, as a stranger meets it: the real server, its own Postgres, signals, crashes and mistakes. */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { roles, planeOf } from '../src/modules/access/contract.ts'
import { demoRecipients } from '../src/operator/demo-people.ts'
import { closedTo, postgresAccount } from '../src/platform/db/embedded-binaries.ts'
import { withClient } from '../src/platform/db/provision.ts'
import { runningEmbedded } from '../src/platform/db/reach.ts'
import {
  freePort, graphql, isAlive, maristan, postmasterOf, root, ServerProcess, signIn, startServer, temporaryDirectory, until,
  type Demo, type Ended, type Environment, type Starter,
} from './kit/server.ts'

interface FirstStart {
  /** Every answer of `/readyz` until the first that said ready. */
  readonly answers: readonly { status: number; failing: string[] }[]
  /** What the demo file was at the moment the server first said ready. */
  readonly demo: Demo
  readonly demoMode: number
  /** What the metrics said first: bytes of the heap that hold something, and all of them. */
  readonly heap: { readonly used: number; readonly total: number }
  readonly signIns: readonly { role: string; plane: string; answer: string }[]
  readonly viewers: readonly { asked: string; email: string; role: string; plane: string }[]
  readonly integrators: readonly string[]
  /** What each tenant's compliance officer finds: how many recipients, holds and emergencies, and the kinds and states in her queue. */
  readonly officers: readonly object[]
  /** What each tenant's seller sees of recipients, for the purpose of operations, and what its directory and identity provider are. */
  readonly sellers: readonly object[]
  readonly directories: readonly object[]
  /** Every recipient's names, by tenant, and how many people each care network has. */
  readonly names: Readonly<Record<string, readonly string[]>>
  readonly parties: readonly number[]
  readonly postmaster: number
  readonly ended: Ended
}

const place = temporaryDirectory()
let first: FirstStart
let firstServer: ServerProcess

/** What the modules hold for the console of a compliance officer. */
async function officerFinds(demo: Demo, token: string): Promise<object> {
  const query = `{
    recipients(first: 100) { edges { node { id } } }
    legalHolds(first: 10) { edges { node { id } } }
    breakGlassGrants(first: 10) { edges { node { id } } }
    reviewQueue(first: 10) { edges { node { kind state } } }
  }`
  const { data } = await graphql(`${demo.url}/graphql/console`, { authorization: `Bearer ${token}` }, query)
  if (!data) throw new Error('The officer found nothing.')
  const nodes = (name: string) => (data[name] as unknown as { edges: { node: object }[] }).edges.map(({ node }) => node)
  return {
    recipients: nodes('recipients').length,
    holds: nodes('legalHolds').length,
    emergencies: nodes('breakGlassGrants').length,
    queue: nodes('reviewQueue'),
  }
}

const operations = { 'x-maristan-purpose': 'OPERATIONS' }
type Named = { readonly edges: readonly { readonly node: { readonly givenName: string; readonly familyName: string } }[] }

/** The very first start on this directory, watched from its first breath, used, and stopped. */
async function startFirst(): Promise<FirstStart> {
  const server = (firstServer = startServer({ PORT: String(await freePort()), DATA_DIR: place.dataDir }))
  const answers: FirstStart['answers'][number][] = []
  await until('the first start', async () => {
    if (server.hasEnded) throw new Error(server.said)
    const answer = await server.readiness()
    if (answer) answers.push(answer)
    return answer?.status === 200
  })
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  const bytes = (name: string) => Number(new RegExp(`^nodejs_heap_size_${name}_bytes (\\S+)$`, 'm').exec(metrics)?.[1])
  const heap = { used: bytes('used'), total: bytes('total') }
  const demoMode = statSync(join(place.dataDir, 'demo.json')).mode & 0o777
  const demo = server.demo()
  const signIns: FirstStart['signIns'][number][] = []
  const viewers: FirstStart['viewers'][number][] = []
  const integrators: string[] = []
  const officers: object[] = []
  const sellers: object[] = []
  const directories: object[] = []
  const names: Record<string, string[]> = {}
  for (const { slug, host, members, apiToken } of demo.tenants) {
    for (const member of members) {
      const token = await signIn(demo, slug, member)
      signIns.push({ role: member.role, plane: member.plane, answer: token })
      const answer = await fetch(`${demo.url}/session`, { headers: { authorization: `Bearer ${token}` } })
      viewers.push({ asked: member.email, ...((await answer.json()) as Omit<FirstStart['viewers'][number], 'asked'>) })
      if (member.role === 'compliance_officer') officers.push(await officerFinds(demo, token))
      const asks = async (query: string) => (await graphql(`${demo.url}/graphql/${member.plane}`, { ...operations, authorization: `Bearer ${token}` }, query)).data!
      if (member.role === 'provider_manager') sellers.push(await asks('{ disclosedRecords { fields givenName phone } }'))
      if (member.role === 'tenant_admin') directories.push(await asks('{ scimConnections { name users groups } ssoConnections { state } }'))
      if (member.role === 'care_coordinator') {
        const { recipients } = (await asks('{ recipients(first: 100) { edges { node { givenName familyName } } } }')) as unknown as { recipients: Named }
        names[slug] = recipients.edges.flatMap(({ node }) => [node.givenName, node.familyName])
      }
    }
    const { data } = await graphql(`${demo.url}/graphql`, { authorization: `Bearer ${apiToken}` }, '{ tenant { slug } }')
    integrators.push(`${host} ${(data?.['tenant'] as { slug?: string } | undefined)?.slug}`)
  }
  const postmaster = postmasterOf(place.dataDir)!
  const parties = (await owner<{ people: number }>(place.dataDir, 'select count(*)::int as people from care.party group by tenant_id')).map(({ people }) => people)
  const found = { signIns, viewers, integrators, officers, sellers, directories, names, parties }
  return { answers, demo, demoMode, heap, ...found, postmaster, ended: await server.end('SIGTERM') }
}

beforeAll(async () => {
  first = await startFirst()
}, 120_000)
afterAll(async () => {
  if (!firstServer.hasEnded) await firstServer.end('SIGTERM')
  place.remove()
})

/** A copy of the stopped server's directory, for one test. What still runs on it at the end is stopped. */
async function copy(more: Environment = {}): Promise<{ dataDir: string; environment: Environment & { PORT: string; DATA_DIR: string }; start(): ServerProcess }> {
  const { parent, dataDir, remove } = temporaryDirectory()
  execFileSync('cp', ['-a', place.dataDir, parent])
  const environment = { PORT: String(await freePort()), DATA_DIR: dataDir, ...more }
  const started: ServerProcess[] = []
  onTestFinished(async () => {
    for (const server of started) if (!server.hasEnded) await server.end('SIGTERM')
    remove()
  })
  const start = () => {
    const server = startServer(environment)
    started.push(server)
    return server
  }
  return { dataDir, environment, start }
}

const owner = <T>(dataDir: string, sql: string): Promise<T[]> =>
  withClient(runningEmbedded(dataDir)!, async (client) => (await client.query(sql)).rows as T[])

/** As whom a process runs. */
function ownerOf(pid: number): number {
  if (process.platform !== 'linux') return Number(execFileSync('ps', ['-o', 'uid=', '-p', String(pid)], { encoding: 'utf8' }))
  return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
}

/** Why a start was refused: it ended with 1, said a sentence without a stack, and left no Postgres behind. */
async function refusal(server: ServerProcess, dataDir: string): Promise<string> {
  const { code, stderr } = await server.ended
  expect(code).toBe(1)
  expect(stderr).not.toMatch(/^ +at /m)
  const postmaster = postmasterOf(dataDir)
  expect(postmaster === null || !isAlive(postmaster)).toBe(true)
  return stderr
}

describe('the first start', () => {
  test('is not ready before the demo is there, and says that it is starting', () => {
    const before = first.answers.slice(0, -1)
    expect(before.every(({ status, failing }) => status === 503 && failing.includes('starting'))).toBe(true)
    expect(first.answers.at(-1)).toEqual({ status: 200, failing: [] })
  })

  test('writes a whole demo file that nobody else reads: two tenants, one member of every role', () => {
    expect(first.demoMode).toBe(0o600)
    expect(first.demo.tenants.map(({ slug, host }) => [slug, host])).toEqual([
      ['cedar', 'cedar.localhost'],
      ['zaytuna', 'zaytuna.localhost'],
    ])
    for (const { members } of first.demo.tenants) {
      expect(members.map(({ role }) => role).sort()).toEqual([...roles].sort())
      for (const { role, plane, totpSecret } of members) expect([plane, totpSecret]).toEqual([planeOf(role as never), null])
    }
  })

  test('lets every listed member in on the listed plane, and the API token at /graphql', () => {
    expect(first.signIns.map(({ answer }) => answer.split('.').length)).toEqual(first.signIns.map(() => 3))
    expect(first.signIns).toHaveLength(2 * roles.length)
    for (const [k, { asked, email, role, plane }] of first.viewers.entries()) {
      expect([email, role, plane]).toEqual([asked, first.signIns[k]!.role, first.signIns[k]!.plane])
    }
    expect(first.integrators).toEqual(['cedar.localhost cedar', 'zaytuna.localhost zaytuna'])
  })

  test('gives every tenant records in every module', () => {
    const found = { recipients: demoRecipients, holds: 1, emergencies: 1, queue: [{ kind: 'BREAK_GLASS', state: 'PENDING' }] }
    expect(first.officers).toEqual([found, found])
  })

  test('gives the seller a disclosed record, and the administrator a directory with groups and a connection to be set up', () => {
    const record = { fields: ['givenName', 'phone'], givenName: expect.stringMatching(/^\p{L}+$/u), phone: expect.stringMatching(/^\+[\d ]+$/) }
    expect(first.sellers).toEqual([{ disclosedRecords: [record] }, { disclosedRecords: [record] }])
    const found = { scimConnections: [{ name: 'Demo directory', users: 0, groups: 3 }], ssoConnections: [{ state: 'DRAFT' }] }
    expect(first.directories).toEqual([found, found])
  })

  test('has some thirty people in each care network, and writes Arabic names in Arabic', () => {
    expect(first.parties.map((people) => people >= 30)).toEqual([true, true])
    expect(first.names['zaytuna']).toHaveLength(2 * demoRecipients)
    for (const name of first.names['zaytuna']!) expect(name).toMatch(/^[\p{Script=Arabic}\p{Mn}]+$/u)
    for (const name of first.names['cedar']!) expect(name).toMatch(/^\p{Script=Latin}+$/u)
  })

  test('has given back the memory that only starting took', () => {
    expect(first.heap.used).toBeGreaterThan(20e6)
    expect(first.heap.total / first.heap.used).toBeLessThan(1.5)
  })

  test('stops on SIGTERM with 0, and takes its Postgres along', () => {
    expect(first.ended).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(isAlive(first.postmaster)).toBe(false)
    expect(existsSync(join(place.dataDir, 'server.lock'))).toBe(false)
  })
})

test('a second start keeps every row, the keys and the demo', { timeout: 120_000 }, async () => {
  const { dataDir, start } = await copy()
  const server = await start().ready()
  const again = server.demo()
  // The port is another one, and addresses name it.
  const anywhere = ({ url, tenants }: typeof again): unknown => JSON.parse(JSON.stringify(tenants).replaceAll(url, ''))
  expect(anywhere(again)).toEqual(anywhere(first.demo))
  const member = again.tenants[0]!.members.find(({ role }) => role === 'care_coordinator')!
  const token = await signIn(again, 'cedar', member)
  const query = '{ recipients(first: 50) { edges { node { givenName } } } }'
  const { data } = await graphql(`${again.url}/graphql/console`, { authorization: `Bearer ${token}` }, query)
  const names = (data?.['recipients'] as { edges: { node: { givenName: string | null } }[] } | undefined)?.edges.map(({ node }) => node.givenName)
  expect(names).toHaveLength(10)
  expect(names).toContain('Ada')
  expect(await owner(dataDir, 'select count(*)::int as made from tenancy.tenant')).toEqual([{ made: 2 }])
})

test('a start after SIGKILL finds the orphaned Postgres and recovers', { timeout: 120_000 }, async () => {
  const { dataDir, start } = await copy()
  const killed = await start().ready()
  const orphan = postmasterOf(dataDir)!
  await killed.end('SIGKILL')
  expect(isAlive(orphan)).toBe(true)
  const server = await start().ready()
  expect(isAlive(orphan)).toBe(false)
  expect(await signIn(server.demo(), 'cedar', server.demo().tenants[0]!.members[0]!)).toMatch(/^ey/)
})

/**
 * An ordinary user who can enter this checkout, or a copy of it where only root may. A suite that is no root is that user itself: then
 * every test here that starts a server is this proof too.
 */
function ordinaryUser(): Partial<Starter> {
  const { uid, gid, lent } = postgresAccount()
  if (!lent) return {}
  if (closedTo({ uid, gid, lent }, root).length === 0) return { uid, gid }
  const checkout = mkdtempSync(join(tmpdir(), 'maristan-checkout-'))
  onTestFinished(() => rmSync(checkout, { recursive: true, force: true }))
  chmodSync(checkout, 0o755)
  const parts = readdirSync(root).filter((name) => !name.startsWith('.')).map((name) => join(root, name))
  execFileSync('cp', ['-a', ...parts, checkout])
  execFileSync('chmod', ['-R', 'o+rX', checkout])
  return { uid, gid, checkout }
}

test('an ordinary user starts and stops the server as root does, and nothing of it runs as anybody else', { timeout: 120_000 }, async () => {
  const { dataDir, remove } = temporaryDirectory()
  onTestFinished(remove)
  const user = ordinaryUser()
  mkdirSync(dataDir)
  if (user.uid && user.gid) chownSync(dataDir, user.uid, user.gid)
  const server = startServer({ PORT: String(await freePort()), DATA_DIR: dataDir, MARISTAN_DEMO: '0' }, user)
  onTestFinished(async () => void (server.hasEnded || (await server.end('SIGTERM'))))
  await server.ready()
  const postmaster = postmasterOf(dataDir)!
  const own = user.uid ?? process.getuid!()
  expect(own).not.toBe(0)
  expect([server.child.pid!, postmaster].map((pid) => ownerOf(pid))).toEqual([own, own])
  const kept = ['kms.json', 'login.secret', 'owner.secret'].map((name) => statSync(join(dataDir, name)))
  expect(kept.map(({ uid, mode }) => [uid, mode & 0o777])).toEqual(kept.map(() => [own, 0o600]))
  expect(await server.end('SIGTERM')).toMatchObject({ code: 0, signal: null, stderr: '' })
  expect(isAlive(postmaster)).toBe(false)
})

test('a start that is broken off leaves nothing running', { timeout: 120_000 }, async () => {
  const { dataDir, start } = await copy()
  const server = start()
  let postmaster: number | null = null
  await until('Postgres runs', () => (postmaster = postmasterOf(dataDir)) !== null && isAlive(postmaster))
  expect((await server.end('SIGINT')).code).toBe(0)
  expect(isAlive(postmaster!)).toBe(false)
})

test('SIGTERM to npm stops the server that npm started', { timeout: 120_000 }, async () => {
  const { dataDir, environment } = await copy()
  const server = new ServerProcess(['npm', 'start', '--silent'], environment)
  try {
    await server.ready()
  } finally {
    server.child.kill('SIGTERM')
  }
  const postmaster = postmasterOf(dataDir)!
  await server.ended
  await until('the server is gone', () => !existsSync(join(dataDir, 'server.lock')))
  expect(await server.readiness()).toBe(null)
  expect(isAlive(postmaster)).toBe(false)
})

test('a second server on the same directory is refused, and the first serves on', async () => {
  const { dataDir, start, environment } = await copy()
  const server = await start().ready()
  const second = await startServer({ ...environment, PORT: String(await freePort()) }).ended
  expect(second.code).toBe(1)
  expect(second.stderr).toContain(`${dataDir} is in use by the running Maristan of process ${server.child.pid}.`)
  expect((await server.readiness())?.status).toBe(200)
})

test('a taken port is said, and leaves no Postgres running', async () => {
  const { dataDir, start, environment } = await copy()
  const stranger = createServer()
  await new Promise<void>((resolve) => stranger.listen(Number(environment.PORT), '127.0.0.1', resolve))
  try {
    expect(await refusal(start(), dataDir)).toContain(`Port ${environment.PORT} on 127.0.0.1 is taken by another program.`)
  } finally {
    stranger.close()
  }
})

describe('a wrong variable stops the start and is named', () => {
  const wrong: [string, Environment][] = [
    ['PORT', { PORT: '70000' }],
    ['LOG_LEVEL', { LOG_LEVEL: 'loud' }],
    ['HOST', { HOST: '0.0.0.0' }],
    ['DATABASE_LOGIN_SECRET', { DATABASE_URL: 'postgres://127.0.0.1:1/none' }],
  ]
  test.each(wrong)('%s', async (name, environment) => {
    const { parent, dataDir, remove } = temporaryDirectory()
    onTestFinished(remove)
    const { code, stderr } = await startServer({ PORT: '0', DATA_DIR: dataDir, ...environment }).ended
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`^ {2}${name}: `, 'm'))
    expect(stderr).not.toMatch(/^ +at /m)
    expect(existsSync(join(parent, '.data'))).toBe(false)
  })
})

test('a login with too much power stops the start, named with the command that mends it, and the command mends it', { timeout: 120_000 }, async () => {
  const { dataDir, environment, start } = await copy()
  const server = await start().ready()
  await owner(dataDir, 'alter role maristan_console bypassrls; grant pg_read_all_data to maristan_seller_read')
  await server.end('SIGTERM')
  const said = await refusal(start(), dataDir)
  expect(said).toContain('alter role maristan_console nobypassrls')
  expect(said).toContain('revoke pg_read_all_data from maristan_seller_read')
  expect(said).toContain('maristan migrate --mend-logins')
  const mended = await maristan(['migrate', '--mend-logins', '--json'], environment)
  expect([mended.code, JSON.parse(mended.stdout)]).toEqual([
    0,
    { applied: [], mended: ['alter role maristan_console nobypassrls', 'revoke pg_read_all_data from maristan_seller_read'] },
  ])
  await start().ready()
})

test('a lost key file stops the start where sealed rows exist; a new key is never made in its place', { timeout: 120_000 }, async () => {
  const { dataDir, start } = await copy()
  rmSync(join(dataDir, 'kms.json'))
  expect(await refusal(start(), dataDir)).toContain('a key is never made where sealed rows already exist')
  expect(existsSync(join(dataDir, 'kms.json'))).toBe(false)
})

test('npm start and npm test are the two commands, and each prepares the checkout first', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  expect([scripts['prestart'], scripts['pretest']]).toEqual(['node scripts/ensure.mjs', 'node scripts/ensure.mjs'])
  expect(scripts['start']).toBe('exec node scripts/serve.mjs')
})
