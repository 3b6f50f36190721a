/** Signing in as clients do it: over HTTP, on the planes they belong to. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freshHouse, password, type TestHouse, type TestTenant } from '../../../test/kit/house.ts'
import type { Plane } from '../../kernel/scope.ts'
import { encodeGlobalId } from '../../platform/graphql/global-id.ts'

let house: TestHouse
let cedar: TestTenant

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
})
afterAll(() => house.close())

interface Result {
  readonly __typename: string
  readonly code?: string
  readonly accessToken?: string | null
  readonly refreshToken?: string | null
  readonly membership?: { id: string; role: string; plane: string }
}
const fields = `__typename ... on SignedIn { accessToken refreshToken expiresInSeconds membership { id role plane } } ... on Fault { code }`

const signIn = async (plane: Plane, input: Record<string, unknown>) => {
  const reply = await house.ask<{ signIn: Result }>(
    { plane, tenant: cedar.slug },
    `mutation ($input: SignInInput!) { signIn(input: $input) { ${fields} } }`,
    { input },
  )
  return { result: reply.data!.signIn, cookie: reply.headers.get('set-cookie') }
}
const session = (headers: Record<string, string>) => fetch(`${house.url}/session`, { headers })

test('a bearer signs in, is believed on its own plane, refreshed, and forgotten when it signs out', async () => {
  const { email } = cedar.member.clinician
  const { result, cookie } = await signIn('clinician', { email, password })
  expect(result).toMatchObject({ __typename: 'SignedIn', membership: { role: 'clinician', plane: 'clinician' } })
  expect(cookie).toBeNull()
  const bearer = result.accessToken!
  const viewer = '{ viewer { email locale permissions membership { id role plane status identity { email } } sessions { id isCurrent } } }'
  const seen = await house.ask<{ viewer: { permissions: string[]; sessions: object[] } }>({ plane: 'clinician', bearer }, viewer)
  expect(seen.data!.viewer).toMatchObject({ email, membership: { id: result.membership!.id, status: 'ACTIVE', identity: { email } } })
  expect(seen.data!.viewer.permissions).toContain('note:sign')
  expect(seen.data!.viewer.sessions).toMatchObject([{ isCurrent: true }])
  const who = await session({ authorization: `Bearer ${bearer}` })
  expect(await who.json()).toEqual({ tenant: cedar.slug, email, nameId: null, role: 'clinician', plane: 'clinician', via: 'password' })

  const elsewhere = await house.ask({ plane: 'console', bearer }, viewer)
  expect(elsewhere.errors[0]!.extensions.code).toBe('TOKEN_WRONG_PLANE')

  const refresh = `mutation ($token: String!) { refreshSession(refreshToken: $token) { ${fields} } }`
  const refreshed = async (plane: Plane, token: string | null | undefined) =>
    (await house.ask<{ refreshSession: Result }>({ plane, tenant: cedar.slug }, refresh, { token })).data!.refreshSession
  const next = await refreshed('clinician', result.refreshToken)
  expect(next.__typename).toBe('SignedIn')
  expect(await refreshed('courier', next.refreshToken)).toMatchObject({ __typename: 'DeniedFault', code: 'TOKEN_WRONG_PLANE' })

  await house.ask({ plane: 'clinician', bearer }, 'mutation { signOut { __typename } }')
  const after = await session({ authorization: `Bearer ${bearer}` })
  expect(after.status).toBe(401)
  expect(await after.json()).toMatchObject({ error: { code: 'SESSION_ENDED' } })
})

test('a browser gets a cookie of its plane and no token; two planes in one browser do not disturb each other', async () => {
  const [nurse, admin] = [cedar.member.clinician, cedar.member.tenant_admin]
  const first = await signIn('clinician', { email: nurse.email, password, transport: 'COOKIE' })
  const second = await signIn('console', { email: admin.email, password, transport: 'COOKIE' })
  for (const { result } of [first, second]) expect(result).toMatchObject({ accessToken: null, refreshToken: null })
  expect(first.cookie).toMatch(/^d_sid=[^;]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=43200$/)
  expect(second.cookie).toMatch(/^k_sid=/)
  const jar = [first, second].map(({ cookie }) => cookie!.split(';')[0]).join('; ')
  const email = async (plane: Plane, cookie: string) =>
    (await house.ask<{ viewer: { email: string } }>({ plane, cookie }, '{ viewer { email } }')).data?.viewer.email
  expect(await email('clinician', jar)).toBe(nurse.email)
  expect(await email('console', jar)).toBe(admin.email)
  const moved = jar.replace(/^d_sid=/, 'k_sid=').split('; ')[0]!
  const refused = await house.ask({ plane: 'console', cookie: moved }, '{ viewer { email } }')
  expect(refused.data).toBeNull()
  const out = await house.ask({ plane: 'clinician', cookie: jar }, 'mutation { signOut { __typename } }')
  expect(out.headers.get('set-cookie')).toBe('d_sid=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0')
  expect(await email('console', jar)).toBe(admin.email)
})

test('the cookie of an ended session does not stand in the way of the next sign-in', async () => {
  const { email } = cedar.member.caregiver
  const cookie = (await signIn('courier', { email, password, transport: 'COOKIE' })).cookie!.split(';')[0]!
  await house.at.owner("update identity.session set revoked_at = now() where plane = 'courier'")
  expect((await session({ cookie })).status).toBe(401)
  const again = await house.ask<{ signIn: Result }>(
    { plane: 'courier', tenant: cedar.slug, cookie },
    `mutation ($input: SignInInput!) { signIn(input: $input) { ${fields} } }`,
    { input: { email, password } },
  )
  expect(again.data!.signIn.__typename).toBe('SignedIn')
})

test('a refusal says its code and nothing of the account', async () => {
  const answers = []
  for (const email of [cedar.member.clinician.email, 'nobody@ward.test']) {
    answers.push((await signIn('clinician', { email, password: 'not the password' })).result)
  }
  answers.push((await signIn('seller', { email: cedar.member.clinician.email, password })).result)
  for (const answer of answers) expect(answer).toEqual({ __typename: 'DeniedFault', code: 'INVALID_CREDENTIALS' })
  const malformed = await signIn('clinician', { email: 'no address', password })
  expect(malformed.result).toMatchObject({ __typename: 'InvalidFault', code: 'INVALID_INPUT' })
})

test('another one’s session, membership or a malformed id is not found', async () => {
  const bearer = await house.signIn(cedar, 'family')
  const mutation = 'mutation ($id: ID!) { revokeSession(id: $id) { __typename ... on Fault { code } } }'
  const revoke = (id: string) => house.ask<{ revokeSession: Result }>({ plane: 'consumer', bearer }, mutation, { id })
  const [foreign] = await house.at.owner<{ id: string }>("select id from identity.session where plane = 'console' limit 1")
  for (const id of [encodeGlobalId('Session', foreign!.id), encodeGlobalId('Membership', foreign!.id), foreign!.id, 'x', '']) {
    expect((await revoke(id)).data!.revokeSession).toEqual({ __typename: 'AbsentFault', code: 'NOT_FOUND' })
  }
})

test('nobody signed in is nobody: the viewer is refused and /session answers 401', async () => {
  const refused = await house.ask({ plane: 'clinician', tenant: cedar.slug }, '{ viewer { email } }')
  expect(refused.errors[0]!.extensions.code).toBe('UNAUTHENTICATED')
  for (const headers of [{}, { authorization: 'Bearer nonsense' }, { cookie: 'd_sid=nonsense' }]) {
    expect((await session(headers as Record<string, string>)).status).toBe(401)
  }
})

test('signing in does not exist for integrations, and one operation makes one guess', async () => {
  expect(house.composed.schemas.plane.integrator.getMutationType()?.getFields()['signIn']).toBeUndefined()
  expect(house.composed.schemas.plane.integrator.getQueryType()?.getFields()['viewer']).toBeUndefined()
  const two = `mutation { a: requestPasswordReset(email: "a@b.test") { __typename } b: refreshSession(refreshToken: "x") { __typename }
    c: refreshSession(refreshToken: "y") { __typename } }`
  expect((await house.ask({ plane: 'clinician', tenant: cedar.slug }, two)).status).toBe(400)
})

test('the published keys may be cached and show public parts only', async () => {
  const response = await fetch(`${house.url}/.well-known/jwks.json`)
  expect(response.headers.get('cache-control')).toBe('public, max-age=300')
  const { keys } = (await response.json()) as { keys: Record<string, string>[] }
  expect(keys.map(({ kid }) => kid!.split('.')[0]).sort()).toEqual(['clinician', 'console', 'consumer', 'courier', 'seller'])
  for (const key of keys) expect(key).not.toHaveProperty('d')
})
