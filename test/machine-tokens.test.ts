/**
 * Machine tokens: a chosen part of an administrator's permissions, on `/graphql` with the integrator's schema alone. Decisions that stay
 * with people are on none, whoever asks and whatever its row says.
 */
import { isObjectType } from 'graphql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signInPlanes } from '../src/kernel/scope.ts'
import { neverOnTokens, permissionsOf } from '../src/modules/access/contract.ts'
import type { Access } from '../src/platform/graphql/access.ts'
import { freshHouse, type TestHouse, type TestTenant } from './kit/house.ts'
import { codesOf } from './matrix/operation.ts'
import { gid, rawId, type Answer, type Variables } from './matrix/world.ts'

let house: TestHouse
let cedar: TestTenant
let admin: string

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  admin = await house.signIn(cedar, 'tenant_admin')
})
afterAll(() => house?.close())

const ask = (document: string, variables: Variables = {}): Promise<Answer> =>
  house.ask({ plane: 'console', bearer: admin }, document, variables)

const create = `mutation ($permissions: [String!]!) { createApiToken(input: { name: "A program", permissions: $permissions }) {
  __typename ... on CreatedApiToken { token apiToken { id } } ... on Fault { code } } }`
const make = async (permissions: readonly string[]) => {
  const made = (await ask(create, { permissions })).data!['createApiToken']!
  return { bearer: String(made['token']), id: rawId((made['apiToken'] as { id: string }).id) }
}
const post = async (path: string, bearer: string, document: string) => {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${bearer}` }
  const response = await fetch(`${house.url}${path}`, { method: 'POST', headers, body: JSON.stringify({ query: document }) })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text }
}
const auditEvents = '{ auditEvents(first: 1) { edges { node { id } } } }'
const settings = '{ tenantSettings { slug } }'

test.each([...neverOnTokens])('a machine token never carries %s', async (permission) => {
  const count = () => house.at.owner('select id from identity.api_token')
  const before = (await count()).length
  for (const permissions of [[permission], ['tenant:read', permission]]) {
    expect(codesOf(await ask(create, { permissions }), 'createApiToken')).toEqual(['TOKEN_PERMISSION_REFUSED'])
  }
  expect(await count()).toHaveLength(before)
})

test('a machine token cannot carry more than its maker holds', async () => {
  for (const permission of ['phi:read', 'recipient:read', 'audit:export']) {
    expect(codesOf(await ask(create, { permissions: [permission] }), 'createApiToken')).toEqual(['TOKEN_PERMISSION_REFUSED'])
  }
})

test('a machine token acts on /graphql alone, on no plane of people, and they not on its', async () => {
  const { bearer } = await make(['tenant:read'])
  const own = await post('/graphql', bearer, settings)
  expect(JSON.parse(own.text)).toEqual({ data: { tenantSettings: { slug: cedar.slug } } })
  for (const plane of signInPlanes) {
    const refused = await house.ask({ plane, bearer }, '{ tenant { slug } }')
    expect(refused.errors[0]!.extensions.code, plane).toBe('TOKEN_WRONG_PLANE')
    expect(refused.data).toBeNull()
  }
  expect((await post('/graphql/integrator', bearer, settings)).status).toBe(404)
  // A member's token opens her own plane there: nothing of hers is on the integrator's.
  const members = await post('/graphql', await house.signIn(cedar, 'family'), settings)
  expect(members.text).toContain('Cannot query field \\"tenantSettings\\"')
})

test('a machine token does what is on its list, and is refused and written down for the rest of its schema', async () => {
  const { bearer, id } = await make(['tenant:read'])
  for (const document of [auditEvents, '{ members(first: 1) { edges { node { id } } } }']) {
    const refused = await post('/graphql', bearer, document)
    expect(JSON.parse(refused.text).errors[0].extensions.code).toBe('FORBIDDEN')
    const trail = await house.at.owner('select action, actor_kind, actor_id from audit.event where request_id = $1', [
      refused.headers.get('x-request-id'),
    ])
    expect(trail).toContainEqual({ action: 'access.denied', actor_kind: 'integration', actor_id: id })
  }
})

test('a machine token gains nothing from a list that was tampered with', async () => {
  const { bearer, id } = await make(['tenant:read'])
  await house.at.owner('update identity.api_token set permissions = $2 where id = $1', [
    id,
    ['role:assign', 'phi:read', 'recipient:read', 'all'],
  ])
  expect(JSON.parse((await post('/graphql', bearer, settings)).text).errors[0].extensions.code).toBe('FORBIDDEN')
  for (const field of ['recipients', 'assignRole', 'createApiToken', 'inviteMember', 'viewer', 'signIn']) {
    const kind = /^(assign|create|invite|sign)/.test(field) ? 'mutation' : 'query'
    expect((await post('/graphql', bearer, `${kind} { ${field} { __typename } }`)).text).toContain(`Cannot query field \\"${field}\\"`)
  }
})

test('a machine token has no field in its schema for what stays with people, or that its makers may not do', () => {
  const makers = permissionsOf('tenant_admin') as ReadonlySet<string>
  const guards = Object.values(house.composed.schemas.plane.integrator.getTypeMap())
    .filter((type) => isObjectType(type))
    .flatMap((type) => Object.values(type.getFields()))
    .map(({ extensions }) => extensions['access'] as Access | undefined)
    .flatMap((access) => (typeof access === 'object' ? [access.permission] : []))
  expect(guards).not.toEqual([])
  expect(guards.filter((one) => !makers.has(one) || (neverOnTokens as ReadonlySet<string>).has(one))).toEqual([])
})

test('a machine token is dead at the next call when it is revoked', async () => {
  const { bearer, id } = await make(['tenant:read'])
  expect((await post('/graphql', bearer, settings)).status).toBe(200)
  await ask('mutation ($id: ID!) { revokeApiToken(id: $id) { __typename ... on Fault { code } } }', { id: gid('ApiToken', id) })
  expect(JSON.parse((await post('/graphql', bearer, settings)).text).errors[0].extensions.code).toBe('SESSION_ENDED')
})
