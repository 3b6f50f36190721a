/** The operator's side of SCIM: a token, the flight recorder, a dry run, and the way back when the last administrator is gone. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Scope } from '../../src/kernel/scope.ts'
import type { Identity } from '../../src/modules/identity/contract.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import { done, environmentOver } from '../kit/command-line.ts'
import { encodeGlobalId } from '../../src/platform/graphql/global-id.ts'
import { codeOf } from '../kit/administration.ts'
import { patchBody, scimRig, userBody, type ScimRig } from '../kit/scim.ts'
import type { Environment } from '../kit/server.ts'
import type { TestTenant } from '../kit/house.ts'

let rig: ScimRig
let tenant: TestTenant
let environment: Environment
beforeAll(async () => {
  rig = await scimRig()
  tenant = await rig.house.tenant()
  const { at, dataDir } = rig.house
  environment = { ...environmentOver(at, dataDir), PORT: '4000' }
})
afterAll(() => rig.close())

test('a token from the command line opens the directory\'s door, and a trace shows what came through it', { timeout: 120_000 }, async () => {
  const args = ['scim', 'token', 'create', '--tenant', tenant.slug, '--name', 'Entra', '--expires', '90d']
  const made = await done(environment, args)
  expect(made).toEqual({
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    token: expect.stringMatching(/^scm_/),
    baseUrl: 'http://127.0.0.1:4000/scim/v2',
  })
  const headers = { authorization: `Bearer ${made['token']}`, 'content-type': 'application/scim+json' }
  const body = JSON.stringify({ ...userBody('traced@example.org'), name: { familyName: 'Secretive' }, password: 'hunter2hunter2' })
  const created = await fetch(`${rig.house.url}/scim/v2/Users`, { method: 'POST', headers, body })
  expect(created.status).toBe(201)
  const { id } = (await created.json()) as { id: string }
  const wrong = JSON.stringify(patchBody({ op: 'replace', path: 'nonsense', value: 'x' }))
  await fetch(`${rig.house.url}/scim/v2/Users/${id}`, { method: 'PATCH', headers, body: wrong })
  const [shown, hidden] = ['userName eq "traced@example.org"', 'name.familyName co "Secretive" or emails[value eq "secretive@example.org"]']
  const asked = new URLSearchParams({ filter: `${shown} and (${hidden})`, attributes: 'userName', 'x-secret': 'y'.repeat(600) })
  expect((await fetch(`${rig.house.url}/scim/v2/Users?${asked}`, { headers })).status).toBe(200)
  expect((await fetch(`${rig.house.url}/scim/v2/Groups`, { headers })).status).toBe(200)
  await rig.house.composed.settle()

  // What is asked for: the last of one directory that went to Users, and not what went elsewhere.
  const { exchanges } = await done(environment, ['scim', 'trace', '--tenant', tenant.slug, '--path', '/Users', '--limit', '9'])
  expect(exchanges).toMatchObject([
    { method: 'GET', path: '/Users', status: 200 },
    { method: 'PATCH', path: `/Users/${id}`, status: 400, scimType: 'invalidPath' },
    { method: 'POST', path: '/Users', status: 201, scimType: null, body: { userName: 'traced@example.org', name: { familyName: '[redacted]' } } },
  ])
  expect(JSON.stringify(exchanges)).not.toMatch(/hunter2|secretive|scm_/i)
  const kept = new URLSearchParams(exchanges[0].query)
  expect([kept.get('filter'), kept.get('attributes'), kept.get('x-secret')!.length]).toEqual([
    `${shown} and (name.familyName co "[redacted]" or emails[value eq "[redacted]"])`,
    'userName',
    512,
  ])
  // The end that the command was given, ninety days from now.
  const [token] = await rig.house.at.owner('select expires_at, name from scim.token where id = $1', [made['id']])
  expect([token!['name'], Math.round(((token!['expires_at'] as Date).getTime() - Date.now()) / 86_400_000)]).toEqual(['Entra', 90])

  const operator = rig.house.database.unit(operatorCaller(tenant.id))
  const ask = <Result>(work: (scope: Scope) => Promise<Result>) => operator.read(() => work(operator.scope))
  expect(await ask((scope) => rig.scim.exchanges(scope, { status: 4 }))).toHaveLength(1)

  const count = async () => (await rig.house.at.owner('select count(*)::int as n from scim."user"'))[0]!['n'] as number
  const before = await count()
  const again = () => ask((scope) => rig.scim.replay(scope, { id: exchanges[2].id }))
  expect(await again()).toMatchObject({ status: 409, scimType: 'uniqueness' })
  await rig.house.at.owner('delete from scim."user"')
  const free = await again()
  expect([free.status, JSON.parse(free.answer)]).toMatchObject([201, { userName: 'traced@example.org' }])
  expect([before, await count()]).toEqual([1, 0])

  const replayed = await done(environment, ['scim', 'trace', '--tenant', tenant.slug, '--replay', exchanges[2].id])
  expect(replayed).toMatchObject({ status: 201, answer: { userName: 'traced@example.org' } })
  expect(await count()).toBe(0)
})

test('the recorder keeps the last 500 of each directory, shows them by what is asked for, and tries one again, in the graph', async () => {
  const here = await rig.house.tenant()
  const [entra, other] = [await rig.directory(here, 'Recorded'), await rig.directory(here, 'Beside')]
  const { connectionId, tokenId } = entra
  await other.ask('GET', '/Groups')
  await rig.house.at.owner(
    `insert into scim.exchange (tenant_id, id, connection_id, token_id, request_id, method, path, status, duration_ms, at)
     select $1, uuidv7(interval '-1 hour'), $2, $3, 'old', 'GET', '/Users', 200, 1, now() from generate_series(1, 520)`,
    [here.id, connectionId, tokenId],
  )
  expect((await entra.ask('POST', '/Users', userBody('kept@example.org'))).status).toBe(201)
  expect((await entra.ask('GET', '/Users?filter=nonsense')).status).toBe(400)
  await rig.house.composed.settle()
  const kept = 'select count(*)::int as n, count(*) filter (where request_id <> $2)::int as new from scim.exchange where connection_id = $1'
  expect(await rig.house.at.owner(kept, [connectionId, 'old'])).toEqual([{ n: 500, new: 2 }])
  expect(await rig.house.at.owner(kept, [other.connectionId, 'old'])).toEqual([{ n: 1, new: 1 }])

  const admin = { plane: 'console', bearer: await rig.house.signIn(here, 'tenant_admin') } as const
  const ask = async (more: string) => {
    const reply = await rig.house.ask<{ scimExchanges: { id: string; method: string; status: number; scimType: string | null }[] }>(
      admin,
      `query ($id: ID!) { scimExchanges(connectionId: $id${more}) { id method status scimType } }`,
      { id: encodeGlobalId('ScimConnection', connectionId) },
    )
    return reply.data!.scimExchanges
  }
  const refused = { method: 'GET', status: 400, scimType: 'invalidFilter' }
  expect(await ask(', status: 4')).toMatchObject([refused])
  expect(await ask(', scimType: "invalidFilter"')).toMatchObject([refused])
  expect(await ask(', method: GET, first: 1')).toMatchObject([refused])
  expect(await ask(', path: "/Groups"')).toEqual([])
  const [created] = await ask(', method: POST')
  const replayed = await rig.house.ask<{ replayScimExchange: { status: number; scimType: string } }>(
    admin,
    'mutation ($id: ID!) { replayScimExchange(id: $id) { ... on ReplayedScimExchange { status scimType } } }',
    { id: created!.id },
  )
  expect(replayed.data!.replayScimExchange).toEqual({ status: 409, scimType: 'uniqueness' })
})

test('the operator makes an administrator only of a tenant that has none any more', async () => {
  const password = 'a rescuing password, long'
  const email = 'rescue@example.org'
  const identity = rig.house.composed.made['identity']!.contract as Identity
  const recover = () => rig.house.database.unit(operatorCaller(tenant.id)).command((scope) => identity.recoverAdmin(scope, { email, password }))
  expect(await codeOf(recover())).toBe('ADMIN_PRESENT')
  await rig.house.at.owner("update identity.membership set status = 'SUSPENDED' where role = 'tenant_admin' and tenant_id = $1", [tenant.id])
  expect(await recover()).toMatchObject({ isNewAccount: true })
  const reply = await rig.house.ask<{ signIn: { __typename: string } }>(
    { plane: 'console', tenant: tenant.slug },
    'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }',
    { input: { email, password } },
  )
  expect(reply.data?.signIn.__typename).toBe('SignedIn')
})
