/**
 * Plane isolation, generated: what one plane gives out is worth nothing on another. Twelve ordered pairs of the client planes times the
 * checks whose subject exists, four positive controls and three structural ones; the console's pairs on top.
 */
import { readdirSync, readFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { isObjectType } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientPlanes, type Plane } from '../src/kernel/scope.ts'
import type { Access } from '../src/platform/graphql/access.ts'
import { cookieNameOf } from '../src/modules/identity/contract.ts'
import { permissionsOf, rolesOf, type Role } from '../src/modules/access/contract.ts'
import { clientPairs, consolePairs, planeChecks, planeTestCounts, structuralChecks, type PlaneCheck, type PlanePair } from '../src/proof/planes.ts'
import { subscribe } from './kit/stream.ts'
import { typed, type TypedPlane } from './kit/typed.ts'
import { freshHouse, password, type Asking, type TestHouse, type TestTenant } from './kit/house.ts'

let house: TestHouse
let tenant: TestTenant
/** What each plane's member was given at sign-in. */
const given = new Map<Plane, { access: string; refresh: string; cookie: string }>()

const viewer = '{ viewer { membership { plane role } } }'

async function signIn(plane: TypedPlane, transport: 'BEARER' | 'COOKIE') {
  const role = rolesOf(plane)[0]!
  const { email } = tenant.member[role]
  const reply = await house.ask({ plane, tenant: tenant.slug }, typed[plane].SignInDocument, { input: { email, password, transport } })
  if (reply.data?.signIn.__typename !== 'SignedIn') throw new Error(`${email} could not sign in: ${JSON.stringify(reply)}`)
  return { ...reply, ...reply.data.signIn }
}

beforeAll(async () => {
  house = await freshHouse({ MARISTAN_DEMO: '1' })
  tenant = await house.tenant()
  for (const plane of ['console', ...clientPlanes] as const) {
    const bearer = await signIn(plane, 'BEARER')
    const browser = await signIn(plane, 'COOKIE')
    given.set(plane, {
      access: bearer.accessToken!,
      refresh: bearer.refreshToken!,
      cookie: browser.headers.getSetCookie()[0]!.split(';')[0]!,
    })
  }
})
afterAll(() => house.close())

/** A root field that `from` has and `to` lacks; null where everything of `from` may be done on `to` as well. */
function onlyIn(from: Plane, to: Plane): { kind: 'query' | 'mutation'; field: string } | null {
  for (const kind of ['mutation', 'query'] as const) {
    const rootOf = (plane: Plane) => {
      const schema = house.composed.schemas.plane[plane]
      return Object.keys((kind === 'query' ? schema.getQueryType() : schema.getMutationType())?.getFields() ?? {})
    }
    const lacking = rootOf(from).find((field) => !rootOf(to).includes(field))
    if (lacking) return { kind, field: lacking }
  }
  return null
}

/** Fields of a plane's schema whose permission none of its roles holds: must be none. */
function strangeFields(plane: Plane): string[] {
  const held = new Set(rolesOf(plane).flatMap((role) => [...permissionsOf(role)] as string[]))
  return Object.values(house.composed.schemas.plane[plane].getTypeMap())
    .filter((type) => isObjectType(type))
    .flatMap((type) =>
      Object.values(type.getFields())
        .filter(({ extensions }) => {
          const access = extensions['access'] as Access | undefined
          return typeof access === 'object' && !held.has(access.permission)
        })
        .map((field) => `${type.name}.${field.name}`),
    )
}

/** The permissions of a role, or of a plane's roles, that guard something already. */
const guardedOf = (role: Role): Set<string> => (permissionsOf(role) as ReadonlySet<string>).intersection(house.composed.schemas.guarded)
const guardedOfPlane = (plane: Plane): Set<string> => new Set(rolesOf(plane).flatMap((role) => [...guardedOf(role)]))

const checks: Record<Exclude<PlaneCheck, 'persisted operation' | 'signed link'>, (pair: PlanePair) => Promise<void>> = {
  'access token': async ({ from, to }) => {
    const reply = await house.ask({ plane: to, bearer: given.get(from)!.access }, viewer)
    expect(reply.errors[0]?.extensions.code).toBe('TOKEN_WRONG_PLANE')
    expect(reply.data).toBeNull()
  },
  'refresh token': async ({ from, to }) => {
    const { RefreshSessionDocument } = typed[to as TypedPlane]
    const reply = await house.ask({ plane: to, tenant: tenant.slug }, RefreshSessionDocument, { refreshToken: given.get(from)!.refresh })
    expect(reply.data?.refreshSession).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/) })
    expect(reply.data?.refreshSession).not.toHaveProperty('accessToken')
  },
  cookie: async ({ from, to }) => {
    // Under its own name it is not looked at; under the other plane's name it opens nothing.
    const [, value] = given.get(from)!.cookie.split('=')
    const own = await house.ask({ plane: to, tenant: tenant.slug, cookie: given.get(from)!.cookie }, viewer)
    expect(own.errors[0]?.extensions.code).toBe('UNAUTHENTICATED')
    const renamed = await house.ask({ plane: to, tenant: tenant.slug, cookie: `${cookieNameOf(to)}=${value}` }, viewer)
    expect(renamed.data).toBeNull()
    expect(renamed.errors.length).toBeGreaterThan(0)
  },
  'absent field': async ({ from, to }) => {
    expect(strangeFields(to)).toEqual([])
    const lacking = onlyIn(from, to)
    if (lacking === null) return expect(rolesOf(from).every((role) => guardedOf(role).isSubsetOf(guardedOfPlane(to)))).toBe(true)
    const reply = await house.ask({ plane: to, bearer: given.get(to)!.access }, `${lacking.kind} { ${lacking.field} { __typename } }`)
    expect(reply.errors[0]?.message).toContain(`Cannot query field "${lacking.field}"`)
  },
  subscription: async ({ from, to }) => {
    const by = async (asking: Omit<Asking, 'plane'>) => {
      const stream = await subscribe(house, { plane: to, ...asking }, 'subscription { viewerChanges { email } }')
      const { data, errors } = (await stream.next())!
      expect(data).toBeNull()
      expect(await stream.next()).toBeNull()
      return errors[0]?.extensions.code
    }
    expect(await by({ bearer: given.get(from)!.access })).toBe('TOKEN_WRONG_PLANE')
    expect(await by({ tenant: tenant.slug, cookie: given.get(from)!.cookie })).toBe('UNAUTHENTICATED')
  },
  import: async ({ from, to }) => {
    const path = join(import.meta.dirname, '../schema/generated', `${from}.ts`)
    expect(existsSync(path), `schema/generated/${from}.ts`).toBe(true)
    const imports = [...readFileSync(path, 'utf8').matchAll(/from ["']([^"']+)["']/g)].map((match) => match[1]!)
    expect(imports.filter((one) => one.startsWith('.') || one.includes(to))).toEqual([])
  },
}

describe.each(clientPairs)('what $from gives out is nothing on $to', (pair) => {
  for (const { check, built } of planeChecks) if (built) test(check, () => checks[check as keyof typeof checks](pair))
})

describe.each(consolePairs)('what $from gives out is nothing on $to', (pair) => {
  for (const { check, built } of planeChecks) if (built) test(check, () => checks[check as keyof typeof checks](pair))
})

describe('positive controls', () => {
  test.each(clientPlanes)('on its own plane %s is at home: access token, cookie, subscription and refresh token', async (plane) => {
    const mine = given.get(plane)!
    for (const asking of [{ bearer: mine.access }, { tenant: tenant.slug, cookie: mine.cookie }]) {
      const stream = await subscribe<{ viewerChanges: { email: string } }>(house, { plane, ...asking }, 'subscription { viewerChanges { email } }')
      expect((await stream.next())!.data?.viewerChanges.email).toContain('@')
      stream.leave()
    }
    const { RefreshSessionDocument, ViewerDocument } = typed[plane]
    const bearer = await house.ask({ plane, bearer: mine.access }, ViewerDocument)
    expect(bearer.data?.viewer.membership.plane).toBe(plane)
    const browser = await house.ask({ plane, tenant: tenant.slug, cookie: mine.cookie }, ViewerDocument)
    expect(browser.data?.viewer.membership.plane).toBe(plane)
    const again = await signIn(plane, 'BEARER')
    const renewed = await house.ask({ plane, tenant: tenant.slug }, RefreshSessionDocument, { refreshToken: again.refreshToken! })
    expect(renewed.data?.refreshSession).toMatchObject({ __typename: 'SignedIn', accessToken: expect.stringMatching(/^eyJ/) })
  })
})

describe('structure', () => {
  test('keys distinct', async () => {
    const { keys } = (await (await fetch(`${house.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string; x: string }[] }
    const planes = [...new Set(keys.map(({ kid }) => kid.split('.')[0]))]
    for (const plane of clientPlanes) expect(planes).toContain(plane)
    expect(new Set(keys.map(({ x }) => x)).size).toBe(keys.length)
  })
  test('cookies distinct', () => {
    const names = (['console', ...clientPlanes] as const).map(cookieNameOf)
    expect(new Set(names).size).toBe(5)
    expect(names).not.toContain(null)
  })
  test('clients without shared code', () => {
    const directory = join(import.meta.dirname, '../schema/generated')
    const files = readdirSync(directory).filter((name) => name.endsWith('.ts'))
    for (const plane of clientPlanes) expect(files).toContain(`${plane}.ts`)
    for (const file of files) expect(readFileSync(join(directory, file), 'utf8')).not.toMatch(/from ["']\.{1,2}\//)
  })
})

test('the pinned number is 103, and what is unbuilt is said', () => {
  const { total, built, unbuilt } = planeTestCounts()
  expect(total).toBe(103)
  expect(built + unbuilt.reduce((sum, { tests }) => sum + tests, 0)).toBe(103)
  expect(structuralChecks).toHaveLength(3)
})
