/** The command line as a tool drives it: one JSON document, an exit code, beside a running server and without one. */
import { chmodSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { withClient } from '../src/platform/db/provision.ts'
import { runningEmbedded } from '../src/platform/db/reach.ts'
import { freePort, maristan, postmasterOf, ServerProcess, startServer, temporaryDirectory, until, type Environment } from './kit/server.ts'

interface Answer {
  readonly code: number | null
  readonly document: Record<string, any>
}

const place = temporaryDirectory()
let environment: Environment & { PORT: string; DATA_DIR: string }
let server: ServerProcess

/** Runs a command with --json; stdout must hold one JSON document and nothing else. */
async function run(args: readonly string[], env: Environment = environment, input = ''): Promise<Answer> {
  const { code, stdout } = await maristan([...args, '--json'], env, input)
  return { code, document: JSON.parse(stdout) as Record<string, any> }
}

async function done(args: readonly string[], env: Environment = environment, input = ''): Promise<Record<string, any>> {
  const { code, document } = await run(args, env, input)
  expect({ args, code, document }).toMatchObject({ code: 0 })
  return document
}

const owner = <T>(sql: string, database?: string): Promise<T[]> => {
  const url = new URL(runningEmbedded(place.dataDir)!)
  if (database) url.pathname = `/${database}`
  return withClient(url.href, async (client) => (await client.query(sql)).rows as T[])
}

async function graphql(plane: string, slug: string, query: string): Promise<Record<string, any>> {
  const answer = await fetch(`${server.url}/graphql/${plane}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-maristan-tenant': slug },
    body: JSON.stringify({ query }),
  })
  return (await answer.json()) as never
}

/** SignedIn, or the code of the refusal. */
async function signIn(plane: string, slug: string, email: string, password: string): Promise<string> {
  const query = `mutation { signIn(input: { email: "${email}", password: "${password}" }) { __typename ... on Fault { code } } }`
  const { data, errors } = await graphql(plane, slug, query)
  return data?.signIn.code ?? data?.signIn.__typename ?? errors[0].extensions.code
}

let made = 0
/** A tenant of a test's own. */
async function newTenant(): Promise<{ slug: string; email: string; password: string }> {
  const slug = `clinic-${++made}`
  const { admin } = await done(['tenant', 'create', '--slug', slug, '--name', `Clinic ${made}`])
  return { slug, ...admin }
}

beforeAll(async () => {
  environment = { PORT: String(await freePort()), DATA_DIR: place.dataDir, MARISTAN_DEMO: '0' }
  server = await startServer(environment).ready()
}, 120_000)
afterAll(async () => {
  await server.end('SIGTERM')
  place.remove()
})

describe('tenants', () => {
  test('are made with an administrator who can sign in, listed, shut and opened again', { timeout: 60_000 }, async () => {
    const tenant = await done(['tenant', 'create', '--slug', 'hazel', '--name', 'عيادة البندق', '--locale', 'ar'])
    expect(tenant).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      slug: 'hazel',
      host: 'hazel.localhost',
      admin: { email: 'admin@hazel.example', password: expect.stringMatching(/^[a-z2-9]{6}(-[a-z2-9]{6}){3}$/) },
    })
    expect((await done(['tenant', 'list']))['tenants']).toContainEqual({ id: tenant['id'], slug: 'hazel', status: 'ACTIVE' })
    const { email, password } = tenant['admin'] as { email: string; password: string }
    expect(await signIn('console', 'hazel', email, password)).toBe('SignedIn')

    expect(await done(['tenant', 'suspend', '--slug', 'hazel'])).toEqual({ slug: 'hazel', status: 'SUSPENDED' })
    await until('the door is shut', async () => (await signIn('console', 'hazel', email, password)) === 'TENANT_SUSPENDED')
    expect((await done(['tenant', 'list']))['tenants']).toContainEqual({ id: tenant['id'], slug: 'hazel', status: 'SUSPENDED' })

    expect(await done(['tenant', 'resume', '--slug', 'hazel'])).toEqual({ slug: 'hazel', status: 'ACTIVE' })
    await until('the door is open', async () => (await signIn('console', 'hazel', email, password)) === 'SignedIn')
  })

  test('have a slug that is taken once', async () => {
    const { slug } = await newTenant()
    const { code, document } = await run(['tenant', 'create', '--slug', slug, '--name', 'Another'])
    expect([code, document]).toEqual([1, { error: { code: 'SLUG_TAKEN', message: expect.stringContaining(slug) } }])
  })
})

describe('members', () => {
  test('are invited with a link that lets them in once', { timeout: 60_000 }, async () => {
    const { slug } = await newTenant()
    const email = `amal@${slug}.example`
    const invited = await done(['member', 'invite', '--tenant', slug, '--email', email, '--role', 'clinician'])
    expect(invited).toEqual({ membershipId: expect.stringMatching(/^[0-9a-f-]{36}$/), acceptUrl: expect.stringContaining(`http://${slug}.localhost`) })
    const token = new URL(invited['acceptUrl'] as string).hash.slice(1)
    expect(await signIn('clinician', slug, email, 'a long enough password')).toBe('INVALID_CREDENTIALS')
    const accept = `mutation { acceptInvitation(input: { token: "${token}", password: "a long enough password" }) { __typename ... on Fault { code } } }`
    expect((await graphql('clinician', slug, accept)).data.acceptInvitation.code).toBeUndefined()
    expect(await signIn('clinician', slug, email, 'a long enough password')).toBe('SignedIn')
    expect((await graphql('clinician', slug, accept)).data.acceptInvitation.code).toBe('INVITATION_INVALID')
    const again = await run(['member', 'invite', '--tenant', slug, '--email', email, '--role', 'clinician'])
    expect([again.code, again.document['error'].code]).toEqual([1, 'ALREADY_MEMBER'])
  })

  test('with a password on standard input are active at once, until an administrator has signed in', { timeout: 60_000 }, async () => {
    const { slug, email, password } = await newTenant()
    const invite = (name: string) => ['member', 'invite', '--tenant', slug, '--email', `${name}@${slug}.example`, '--role', 'caregiver', '--password-stdin']
    expect(await done(invite('nour'), environment, 'a long enough password\n')).toEqual({ membershipId: expect.any(String), acceptUrl: null })
    expect(await signIn('courier', slug, `nour@${slug}.example`, 'a long enough password')).toBe('SignedIn')
    const weak = await run(invite('sami'), environment, 'short\n')
    expect([weak.code, weak.document['error'].code]).toEqual([2, 'PASSWORD_REFUSED'])

    expect(await signIn('console', slug, email, password)).toBe('SignedIn')
    const late = await run(invite('sami'), environment, 'a long enough password\n')
    expect([late.code, late.document['error'].code]).toEqual([1, 'TENANT_APPROVAL_NEEDED'])
  })

  test('of a tenant that is not there are not invited', async () => {
    const { code, document } = await run(['member', 'invite', '--tenant', 'nowhere', '--email', 'a@b.example', '--role', 'clinician'])
    expect([code, document]).toEqual([1, { error: { code: 'NO_SUCH_TENANT', message: expect.stringContaining('nowhere') } }])
  })
})

describe('wrong usage ends with 2 and says so', () => {
  const wrong: [string, string[], string][] = [
    ['an unknown command', ['tenant', 'explode'], 'USAGE'],
    ['an unknown option', ['tenant', 'list', '--loud'], 'USAGE'],
    ['a missing option', ['tenant', 'create', '--slug', 'elm'], 'USAGE'],
    ['a bad slug', ['tenant', 'create', '--slug', 'E!m', '--name', 'Elm'], 'INVALID_INPUT'],
    ['a bad locale', ['tenant', 'create', '--slug', 'elm', '--name', 'Elm', '--locale', 'xx'], 'INVALID_INPUT'],
    ['a bad role', ['member', 'invite', '--tenant', 'hazel', '--email', 'a@b.example', '--role', 'king'], 'INVALID_INPUT'],
  ]
  test.each(wrong)('%s', async (_, args, expected) => {
    const { code, document } = await run(args)
    expect([code, document]).toEqual([2, { error: { code: expected, message: expect.any(String) } }])
  })

  test('a bad variable', async () => {
    const { code, document } = await run(['tenant', 'list'], { ...environment, PORT: 'many' })
    expect([code, document['error'].message]).toEqual([2, expect.stringContaining('PORT: ')])
  })

  test('without --json the sentence goes to stderr, and stdout stays empty', async () => {
    const { code, stdout, stderr } = await maristan(['tenant', 'suspend', '--slug', 'nowhere'], environment)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('There is no tenant nowhere.')
  })
})

describe('doctor', () => {
  const problemsOf = ({ findings }: Record<string, any>, check: string): string =>
    (findings as { check: string; problems: string[] }[]).find((one) => one.check === check)!.problems.join('\n')

  test('finds a well server well, and counts what is not built', async () => {
    const document = await done(['doctor'])
    expect(document['findings'].filter(({ ok }: { ok: boolean }) => !ok)).toEqual([])
    expect(document).toMatchObject({ healthy: true, unbuilt: { permissions: expect.any(Array), planeTests: { total: 103 } } })
    const checks = document['findings'].map(({ check }: { check: string }) => check)
    expect(checks).toEqual(
      expect.arrayContaining(['runtime', 'configuration', 'directory mode', 'disk', 'port', 'private files', 'database', 'migrations', 'logins', 'walls', 'keys']),
    )
  })

  test('names every planted fault with what mends it', { timeout: 60_000 }, async () => {
    const key = join(place.dataDir, 'kms.json')
    const [{ applied }] = (await owner<{ applied: object[] }>('select json_agg(m) as applied from _prisma_migrations m')) as [{ applied: object[] }]
    onTestFinished(async () => {
      chmodSync(key, 0o600)
      const rows = JSON.stringify(applied).replaceAll("'", "''")
      await owner(`alter role maristan_console nosuperuser; truncate _prisma_migrations;
        insert into _prisma_migrations select * from json_populate_recordset(null::_prisma_migrations, '${rows}')`)
    })
    chmodSync(key, 0o644)
    await owner(`alter role maristan_console superuser; delete from _prisma_migrations where migration_name like '%_walls'`)
    const { code, document } = await run(['doctor'])
    expect([code, document['healthy']]).toEqual([1, false])
    expect(problemsOf(document, 'private files')).toContain(`chmod 600 ${key}`)
    expect(problemsOf(document, 'logins')).toContain('alter role maristan_console nosuperuser')
    expect(problemsOf(document, 'migrations')).toMatch(/_walls is not applied: run maristan migrate/)
  })

  test('names a taken port, and makes nothing where nothing was', async () => {
    const { dataDir, remove } = temporaryDirectory()
    const stranger = createServer()
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      stranger.close()
      remove()
    })
    const { port } = stranger.address() as AddressInfo
    const { code, document } = await run(['doctor'], { DATA_DIR: dataDir, PORT: String(port) })
    expect([code, problemsOf(document, 'port')]).toEqual([1, `Port ${port} on 127.0.0.1 is taken by another program. Stop it, or set PORT to a free one.`])
    expect(existsSync(dataDir)).toBe(false)
  })

  test('says which variable is wrong', async () => {
    const { code, document } = await run(['doctor'], { ...environment, HOST: '0.0.0.0', MARISTAN_DEMO: '1' })
    expect([code, problemsOf(document, 'configuration')]).toEqual([1, expect.stringContaining('HOST: ')])
  })
})

describe('backup and restore', () => {
  const file = join(place.parent, 'house.backup')
  const targetUrl = (database: string): string => {
    const url = new URL(runningEmbedded(place.dataDir)!)
    url.pathname = `/${database}`
    return url.href
  }
  const tablesIn = async (database: string) => {
    const [row] = await owner<{ count: number }>("select count(*)::int as count from pg_class where relnamespace = to_regnamespace('tenancy')", database)
    return row!.count
  }
  let report: Record<string, any>
  beforeAll(async () => {
    await newTenant()
    await owner('create database empty')
    report = await done(['backup', '--file', file])
  }, 60_000)

  test('a backup is sealed, private, and proven before it counts', async () => {
    expect(report).toMatchObject({ file, bytes: statSync(file).size, verified: true })
    const rows = Object.fromEntries(report['tables'].map(({ table, rows }: { table: string; rows: number }) => [table, rows]))
    expect(rows['tenancy.tenant']).toBe((await owner<{ n: number }>('select count(*)::int as n from tenancy.tenant'))[0]!.n)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(join(place.dataDir, 'backup.key')).mode & 0o777).toBe(0o600)
    expect(readFileSync(file).includes('clinic')).toBe(false)
    expect(await owner("select datname from pg_database where datname like 'maristan_scratch%'")).toEqual([])
  })

  test('never replaces another', async () => {
    const { code, document } = await run(['backup', '--file', file])
    expect([code, document['error'].message]).toEqual([1, expect.stringContaining('A backup never replaces another')])
  })

  test('a restored database has the same rows', { timeout: 60_000 }, async () => {
    await owner('create database restored')
    const { tables } = await done(['restore', '--file', file, '--into', targetUrl('restored')])
    expect(tables).toEqual(report['tables'])
    const rows = 'select id::text, slug from tenancy.tenant order by slug'
    const restored = await owner<{ slug: string }>(rows, 'restored')
    expect(restored.length).toBeGreaterThan(0)
    expect(await owner(rows)).toEqual(expect.arrayContaining(restored))
  })

  const refusals: [string, () => string[]][] = [
    ['the wrong key', () => {
      const key = join(place.parent, 'other.key')
      writeFileSync(key, `${Buffer.alloc(32, 7).toString('base64url')}\n`, { mode: 0o600 })
      return ['--file', file, '--into', targetUrl('empty'), '--key-file', key]
    }],
    ['a file cut short', () => {
      const short = join(place.parent, 'short.backup')
      writeFileSync(short, readFileSync(file))
      truncateSync(short, statSync(short).size - 1)
      return ['--file', short, '--into', targetUrl('empty')]
    }],
    ['a file with one bit turned', () => {
      const bent = readFileSync(file)
      bent[bent.length >> 1]! ^= 1
      writeFileSync(join(place.parent, 'bent.backup'), bent)
      return ['--file', join(place.parent, 'bent.backup'), '--into', targetUrl('empty')]
    }],
    ['no file', () => ['--file', join(place.parent, 'none.backup'), '--into', targetUrl('empty')]],
  ]
  test.each(refusals)('%s is refused, and the target stays empty', async (_, args) => {
    const { code, document } = await run(['restore', ...args()])
    expect([code, document]).toEqual([1, { error: { code: 'FAILED', message: expect.any(String) } }])
    expect(await tablesIn('empty')).toBe(0)
  })

  test('a database that is not empty is refused', async () => {
    const { code, document } = await run(['restore', '--file', file, '--into', targetUrl('maristan')])
    expect([code, document['error'].message]).toEqual([1, expect.stringContaining('not empty')])
  })
})

test('without a server, a command starts the database for itself and stops it again', { timeout: 120_000 }, async () => {
  const { dataDir, remove } = temporaryDirectory()
  onTestFinished(remove)
  const alone = { DATA_DIR: dataDir, PORT: String(await freePort()), MARISTAN_DEMO: '0' }
  const { applied } = await done(['migrate'], alone)
  expect(applied.map(({ name }: { name: string }) => name)).toEqual([expect.stringMatching(/_tables$/), expect.stringMatching(/_walls$/)])
  expect(await done(['migrate'], alone)).toEqual({ applied: [], mended: [] })
  await done(['tenant', 'create', '--slug', 'rowan', '--name', 'Rowan'], alone)
  expect((await done(['tenant', 'list'], alone))['tenants']).toMatchObject([{ slug: 'rowan', status: 'ACTIVE' }])
  rmSync(join(dataDir, 'kms.json'))
  const sick = await run(['doctor'], alone)
  expect(sick.code).toBe(1)
  expect(sick.document['findings'].filter(({ ok }: { ok: boolean }) => !ok).map(({ check }: { check: string }) => check)).toEqual(['keys'])
  expect([existsSync(join(dataDir, 'server.lock')), postmasterOf(dataDir)]).toEqual([false, null])
})

test('serve is npm start', { timeout: 60_000 }, async () => {
  const { dataDir, remove } = temporaryDirectory()
  onTestFinished(remove)
  const served = new ServerProcess([process.execPath, 'src/cli.ts', 'serve'], { DATA_DIR: dataDir, PORT: String(await freePort()), MARISTAN_DEMO: '0' })
  try {
    await served.ready()
  } finally {
    served.child.kill('SIGTERM')
  }
  expect(await served.ended).toMatchObject({ code: 0, stderr: '' })
})
