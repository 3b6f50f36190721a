/**
 * The command line as a tool drives it: one JSON document, an exit code, beside a running server and without one. One command of every kind
 * (done, failed, misused, without a server) has a process of its own.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { migrationNames } from '../src/platform/db/migrate.ts'
import { done, run } from './kit/command-line.ts'
import { metadataOf } from './kit/saml-idp.ts'
import { makeProvider } from './kit/saml-provider.ts'
import { freePort, maristan, postmasterOf, ServerProcess, startServer, temporaryDirectory, until, type Environment } from './kit/server.ts'

const place = temporaryDirectory()
let environment: Environment & { PORT: string; DATA_DIR: string }
let server: ServerProcess

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
  const { admin } = await done(environment, ['tenant', 'create', '--slug', slug, '--name', `Clinic ${made}`])
  return { slug, ...admin }
}

beforeAll(async () => {
  environment = { PORT: String(await freePort()), DATA_DIR: place.dataDir, MARISTAN_DEMO: '0' }
  server = startServer(environment)
  await server.ready()
}, 120_000)
afterAll(async () => {
  await server.end('SIGTERM')
  place.remove()
})

describe('tenants', () => {
  test('are made with an administrator who can sign in, listed, shut and opened again', { timeout: 60_000 }, async () => {
    const tenant = await done(environment, ['tenant', 'create', '--slug', 'hazel', '--name', 'عيادة البندق', '--locale', 'ar'], { alone: true })
    expect(tenant).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      slug: 'hazel',
      host: 'hazel.localhost',
      admin: { email: 'admin@hazel.example', password: expect.stringMatching(/^[a-z2-9]{6}(-[a-z2-9]{6}){3}$/) },
    })
    expect((await done(environment, ['tenant', 'list']))['tenants']).toContainEqual({ id: tenant['id'], slug: 'hazel', status: 'ACTIVE' })
    const { email, password } = tenant['admin'] as { email: string; password: string }
    expect(await signIn('console', 'hazel', email, password)).toBe('SignedIn')

    expect(await done(environment, ['tenant', 'suspend', '--slug', 'hazel'])).toEqual({ slug: 'hazel', status: 'SUSPENDED' })
    await until('the door is shut', async () => (await signIn('console', 'hazel', email, password)) === 'TENANT_SUSPENDED')
    expect((await done(environment, ['tenant', 'list']))['tenants']).toContainEqual({ id: tenant['id'], slug: 'hazel', status: 'SUSPENDED' })

    expect(await done(environment, ['tenant', 'resume', '--slug', 'hazel'])).toEqual({ slug: 'hazel', status: 'ACTIVE' })
    await until('the door is open', async () => (await signIn('console', 'hazel', email, password)) === 'SignedIn')
  })

  test('have a slug that is taken once', async () => {
    const { slug } = await newTenant()
    const { code, document } = await run(environment, ['tenant', 'create', '--slug', slug, '--name', 'Another'], { alone: true })
    expect([code, document]).toEqual([1, { error: { code: 'SLUG_TAKEN', message: expect.stringContaining(slug) } }])
  })
})

describe('single sign-on', () => {
  test('is connected by a metadata file, active at once, and an attempt is looked up by its number', { timeout: 60_000 }, async () => {
    const { slug } = await newTenant()
    const file = join(place.parent, 'metadata.xml')
    writeFileSync(file, metadataOf('https://idp.hospital.example', 'https://idp.hospital.example', [makeProvider('https://idp.hospital.example').certificate]))
    const connect = ['saml', 'connect', '--tenant', slug, '--metadata', file, '--jit-role', 'clinician', '--domain', 'hospital.example']
    const made = await done(environment, connect)
    const base = `${server.url}/saml/${slug}`
    expect(made).toEqual({
      connectionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      entityId: `${base}/metadata`,
      metadataUrl: `${base}/metadata`,
      acsUrl: `${base}/acs`,
      loginUrl: `${base}/login`,
    })
    const metadata = await fetch(made['metadataUrl'] as string)
    expect([metadata.status, await metadata.text()]).toEqual([200, expect.stringContaining(`entityID="${base}/metadata"`)])
    const login = await fetch(made['loginUrl'] as string, { redirect: 'manual' })
    expect([login.status, login.headers.get('location')]).toEqual([302, expect.stringMatching(/^https:\/\/idp\.hospital\.example\/sso\?SAMLRequest=.*&Signature=/)])

    const page = await (await fetch(made['acsUrl'] as string, { method: 'POST', body: new URLSearchParams({ SAMLResponse: 'x' }) })).text()
    const number = /<code>([0-9a-f-]{36})<\/code>/.exec(page)![1]!
    expect(await done(environment, ['saml', 'attempt', number, '--tenant', slug])).toMatchObject({ id: number, result: 'REFUSED' })
    const again = await run(environment, connect)
    expect([again.code, again.document['error'].code]).toEqual([1, 'ENTITY_TAKEN'])
    const refused = await run(environment, [...connect.slice(0, -4), '--jit-role', 'tenant_admin'])
    expect(refused.code).toBe(2)
  })
})

describe('members', () => {
  test('are invited with a link that lets them in once', { timeout: 60_000 }, async () => {
    const { slug } = await newTenant()
    const email = `amal@${slug}.example`
    const invited = await done(environment, ['member', 'invite', '--tenant', slug, '--email', email, '--role', 'clinician'])
    expect(invited).toEqual({ membershipId: expect.stringMatching(/^[0-9a-f-]{36}$/), acceptUrl: expect.stringContaining(`http://${slug}.localhost`) })
    const token = new URL(invited['acceptUrl'] as string).hash.slice(1)
    expect(await signIn('clinician', slug, email, 'a long enough password')).toBe('INVALID_CREDENTIALS')
    const accept = `mutation { acceptInvitation(token: "${token}", password: "a long enough password") { __typename ... on Fault { code } } }`
    expect((await graphql('clinician', slug, accept)).data.acceptInvitation.code).toBeUndefined()
    expect(await signIn('clinician', slug, email, 'a long enough password')).toBe('SignedIn')
    expect((await graphql('clinician', slug, accept)).data.acceptInvitation.code).toBe('INVITATION_INVALID')
    const again = await run(environment, ['member', 'invite', '--tenant', slug, '--email', email, '--role', 'clinician'])
    expect([again.code, again.document['error'].code]).toEqual([1, 'ALREADY_MEMBER'])
  })

  test('with a password on standard input are active at once, until an administrator has signed in', { timeout: 60_000 }, async () => {
    const { slug, email, password } = await newTenant()
    const invite = (name: string) => ['member', 'invite', '--tenant', slug, '--email', `${name}@${slug}.example`, '--role', 'caregiver', '--password-stdin']
    expect(await done(environment, invite('nour'), { input: 'a long enough password\n' })).toEqual({ membershipId: expect.any(String), acceptUrl: null })
    expect(await signIn('courier', slug, `nour@${slug}.example`, 'a long enough password')).toBe('SignedIn')
    const weak = await run(environment, invite('sami'), { input: 'short\n' })
    expect([weak.code, weak.document['error'].code]).toEqual([2, 'PASSWORD_REFUSED'])

    expect(await signIn('console', slug, email, password)).toBe('SignedIn')
    const late = await run(environment, invite('sami'), { input: 'a long enough password\n' })
    expect([late.code, late.document['error'].code]).toEqual([1, 'TENANT_APPROVAL_NEEDED'])
  })

  test('of a tenant that is not there are not invited', async () => {
    const { code, document } = await run(environment, ['member', 'invite', '--tenant', 'nowhere', '--email', 'a@b.example', '--role', 'clinician'])
    expect([code, document]).toEqual([1, { error: { code: 'NO_SUCH_TENANT', message: expect.stringContaining('nowhere') } }])
  })
})

test('an API token opens its tenant at /graphql, with its permissions and no others', { timeout: 60_000 }, async () => {
  const { slug } = await newTenant()
  const create = ['api-token', 'create', '--tenant', slug, '--name', 'nightly', '--permissions', 'tenant:read']
  const made = await done(environment, [...create, '--expires', '90d'])
  expect(made).toEqual({ id: expect.stringMatching(/^[0-9a-f-]{36}$/), token: expect.any(String) })
  const ask = async (query: string) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${made['token']}` }
    return (await (await fetch(`${server.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) })).json()) as Record<string, any>
  }
  expect((await ask('{ tenant { slug } }'))['data']).toEqual({ tenant: { slug } })
  expect((await ask('{ members { edges { node { id } } } }'))['errors'][0].extensions.code).toBe('FORBIDDEN')
  for (const wrong of [['--expires', '0d'], ['--expires', 'soon'], ['--permissions', 'tenant:burn']]) {
    expect((await run(environment, [...create, ...wrong])).code, wrong.join(' ')).toBe(2)
  }
})

describe('wrong usage ends with 2 and says so', () => {
  const wrong: [string, string[], string][] = [
    ['an unknown command', ['tenant', 'explode'], 'USAGE'],
    ['an unknown option', ['tenant', 'list', '--loud'], 'USAGE'],
    ['a missing option', ['tenant', 'create', '--slug', 'elm'], 'USAGE'],
    ['a bad slug', ['tenant', 'create', '--slug', 'E!m', '--name', 'Elm'], 'INVALID_INPUT'],
    ['a bad locale', ['tenant', 'create', '--slug', 'elm', '--name', 'Elm', '--locale', 'xx'], 'USAGE'],
    ['a bad role', ['member', 'invite', '--tenant', 'hazel', '--email', 'a@b.example', '--role', 'king'], 'USAGE'],
  ]
  test.each(wrong)('%s', async (_, args, expected) => {
    const { code, document } = await run(environment, args)
    expect([code, document]).toEqual([2, { error: { code: expected, message: expect.any(String) } }])
  })

  test('a bad variable', async () => {
    const { code, document } = await run({ ...environment, PORT: 'many' }, ['tenant', 'list'], { alone: true })
    expect([code, document['error'].message]).toEqual([2, expect.stringContaining('PORT: ')])
  })

  test('without --json the sentence goes to stderr, and stdout stays empty', async () => {
    const { code, stdout, stderr } = await maristan(['tenant', 'suspend', '--slug', 'nowhere'], environment)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('There is no tenant nowhere.')
  })
})

test('without a server, a command starts the database for itself and stops it again', { timeout: 120_000 }, async () => {
  const { dataDir, remove } = temporaryDirectory()
  onTestFinished(remove)
  const alone = { DATA_DIR: dataDir, PORT: String(await freePort()), MARISTAN_DEMO: '0' }
  const { applied } = await done(alone, ['migrate'], { alone: true })
  expect(applied.map(({ name }: { name: string }) => name)).toEqual(await migrationNames())
  expect(await done(alone, ['migrate'])).toEqual({ applied: [], mended: [] })
  await done(alone, ['tenant', 'create', '--slug', 'rowan', '--name', 'Rowan'])
  expect((await done(alone, ['tenant', 'list']))['tenants']).toMatchObject([{ slug: 'rowan', status: 'ACTIVE' }])
  rmSync(join(dataDir, 'kms.json'))
  const sick = await run(alone, ['doctor'], { alone: true })
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
