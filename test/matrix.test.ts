/**
 * The permission matrix, generated and over HTTP: every permission whose operation exists, by every role. A granted cell succeeds within
 * its reach and finds nothing beyond it; a denied one is FORBIDDEN and in the audit trail, or does not exist on that plane.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isObjectType } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signInPlanes, type Plane } from '../src/kernel/scope.ts'
import { matrix, permissions, planeOf, roles, scopeOf, type Permission, type Role } from '../src/modules/access/contract.ts'
import { unbuilt } from '../src/operator/unbuilt.ts'
import type { Access } from '../src/platform/graphql/access.ts'
import { careOperations } from './matrix/care.ts'
import { custodyOperations } from './matrix/custody.ts'
import { governanceOperations } from './matrix/governance.ts'
import { memberOperations } from './matrix/members.ts'
import { codesOf, type Operation } from './matrix/operation.ts'
import { samlOperations } from './matrix/saml.ts'
import { scimOperations } from './matrix/scim.ts'
import { tenantOperations } from './matrix/tenant.ts'
import { rootFields } from '../src/proof/graph-shape.ts'
import { makeWorld, planted, type Answer, type Variables, type World } from './matrix/world.ts'

/** Several modules may guard something with one permission. */
const operations: Partial<Record<Permission, readonly Operation[]>> = {}
for (const group of [tenantOperations, memberOperations, careOperations, governanceOperations, custodyOperations, scimOperations, samlOperations]) {
  for (const [permission, calls] of Object.entries(group) as [Permission, readonly Operation[]][]) {
    operations[permission] = [...(operations[permission] ?? []), ...calls]
  }
}
const built = matrix.filter(({ key }) => operations[key] !== undefined)

const rootTypes = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' } as const

/** What no answer holds that was refused. */
const opened = new RegExp([planted.givenName, planted.familyName, planted.nationalId, planted.mrn].join('|'))

let world: World
beforeAll(async () => {
  world = await makeWorld()
}, 120_000)
afterAll(() => world?.house.close())

const schemaOf = (plane: Plane) => world.house.composed.schemas.plane[plane]
const existsFor = (role: Role, asked: Operation): boolean =>
  rootFields(schemaOf(planeOf(role))).some(({ kind, field }) => kind === asked.kind && field.name === asked.field)

/** `Type.field` of everything on the people's planes that a permission guards. */
function guardedFields(): { field: string; permission: string }[] {
  const found = signInPlanes.flatMap((plane) =>
    Object.values(schemaOf(plane).getTypeMap())
      .filter((type) => isObjectType(type))
      .flatMap((type) =>
        Object.values(type.getFields()).flatMap(({ name, extensions }) => {
          const access = extensions['access'] as Access | undefined
          return typeof access === 'object' ? [{ field: `${type.name}.${name}`, permission: access.permission }] : []
        }),
      ),
  )
  return [...new Map(found.map((one) => [one.field, one])).values()]
}

async function expectSuccess(role: Role, operation: Operation): Promise<void> {
  const { field, document } = operation
  const variables = await operation.inside(world, role)
  const elsewhere = await world.ask(role, document, variables, world.there)
  expect(codesOf(elsewhere, field), "named by another tenant's host").toEqual(['WRONG_HOST'])
  expect(elsewhere.data).toBeNull()

  const answer = await world.ask(role, document, variables)
  if (operation.beyondGuard) return expect(codesOf(answer, field)).toEqual([operation.beyondGuard.code])
  expect(codesOf(answer, field), JSON.stringify(answer.errors)).toEqual([])
  const payload = answer.data?.[field]
  expect(payload, JSON.stringify(answer)).toEqual(expect.any(Object))
  if (payload!.edges) expect(payload!.edges.length).toBeGreaterThan(0)
  await operation.check?.(world, role, payload!)
  if (operation.kind !== 'mutation') return
  const done = (await world.trail(answer)).filter(({ outcome }) => outcome === 'done')
  expect(done.map(({ actor_id }) => actor_id)).toContain(world.here.member[role].membershipId)
}

/** A record that is not the role's to see is not there: no code but NOT_FOUND, no row, and nothing done. */
async function expectNothing(role: Role, { kind, field, document }: Operation, variables: Variables): Promise<void> {
  const answer = await world.ask(role, document, variables)
  const codes = codesOf(answer, field)
  const payload = answer.data?.[field]
  if (codes.length > 0) expect(new Set(codes)).toEqual(new Set(['NOT_FOUND']))
  else expect(payload === null || payload?.edges?.length === 0, JSON.stringify(answer)).toBe(true)
  if (kind !== 'mutation') return
  expect(codes).toEqual(['NOT_FOUND'])
  expect((await world.trail(answer)).filter(({ outcome }) => outcome === 'done')).toEqual([])
}

/** In the network, but by a link that does not carry what it takes: refused by that name, and in the trail. */
async function expectLacking(role: Role, { kind, field, document, lacking }: Operation): Promise<void> {
  const answer = await world.ask(role, document, await lacking!.variables(world, role))
  expect(new Set(codesOf(answer, field))).toEqual(new Set([lacking!.code]))
  expect(JSON.stringify(answer.data)).not.toMatch(opened)
  const trail = await world.trail(answer)
  expect(trail.map(({ outcome }) => outcome)).toContain('denied')
  if (kind === 'mutation') expect(trail.filter(({ outcome }) => outcome === 'done')).toEqual([])
}

async function expectAbsent(role: Role, { field, document }: Operation): Promise<void> {
  const answer: Answer = await world.ask(role, document, {})
  expect(answer.data).toBeNull()
  expect(answer.errors.map(({ message }) => message).join('\n')).toContain(`Cannot query field "${field}"`)
}

// What somebody else may do, so that nothing but the permission is in the way. Nobody uses it up.
const othersRecord = new Map<Operation, Promise<Variables>>()
function othersVariables(permission: Permission, operation: Operation): Promise<Variables> {
  const holder = roles.find((role) => scopeOf(role, permission) === 'T')!
  const known = othersRecord.get(operation) ?? Promise.resolve(operation.inside(world, holder))
  othersRecord.set(operation, known)
  return known
}

async function expectForbidden(role: Role, permission: Permission, operation: Operation): Promise<void> {
  const answer = await world.ask(role, operation.document, await othersVariables(permission, operation))
  const codes = codesOf(answer, operation.field)
  expect(new Set(codes), JSON.stringify(answer)).toEqual(new Set(['FORBIDDEN']))
  // The first field on the way that the role may not ask for is the one that is refused.
  const refused = operation.below && scopeOf(role, operation.below) === null ? operation.below : permission
  const trail = await world.trail(answer)
  expect(trail).toContainEqual({
    action: 'access.denied',
    outcome: 'denied',
    permission: refused,
    actor_id: world.here.member[role].membershipId,
  })
  expect(trail.filter(({ outcome }) => outcome === 'done')).toEqual([])
  expect(JSON.stringify(answer.data)).not.toMatch(opened)
}

/** What a role calls of a permission it holds: what is its own plane's alone, where there is such, else what is everybody's. */
function callsOf(role: Role, calls: readonly Operation[]): readonly Operation[] {
  const own = calls.filter(({ only }) => only === planeOf(role))
  return own.length > 0 ? own : calls.filter(({ only }) => only === undefined)
}

describe.each(built)('$key', ({ key, cells }) => {
  const calls = operations[key]!
  for (const role of roles) {
    const reach = cells[role]
    if (reach === null) {
      test(`${role} - is refused`, async () => {
        for (const operation of calls) {
          if (existsFor(role, operation)) await expectForbidden(role, key, operation)
          else await expectAbsent(role, operation)
        }
      })
      continue
    }
    const mine = callsOf(role, calls)
    test(`${role} ${reach} succeeds within reach and finds nothing beyond`, async () => {
      for (const operation of calls) if (!mine.includes(operation)) await expectAbsent(role, operation)
      for (const operation of mine) {
        expect(operation.outside ?? operation.check ?? operation.beyondGuard, 'a granted cell is judged on what is beyond it').toBeDefined()
        await expectSuccess(role, operation)
        const beyond = (await operation.outside?.(world, role)) ?? {}
        for (const variables of Object.values(beyond)) await expectNothing(role, operation, variables)
        if (reach === 'N' && operation.lacking) await expectLacking(role, operation)
      }
    })
  }
})

describe('completeness', () => {
  test('every permission that guards something is tried here, and those left are exactly what is unbuilt', () => {
    const tried = new Set(Object.keys(operations))
    expect([...world.house.composed.schemas.guarded].sort()).toEqual([...tried].sort())
    expect(unbuilt(world.house.composed).permissions).toEqual(permissions.filter((permission) => !tried.has(permission)))
  })

  test('what is built of a permission may lack operations that the matrix names: each is said to be unbuilt, and no other', () => {
    const there = new Set(signInPlanes.flatMap((plane) => rootFields(schemaOf(plane)).map(({ field }) => field.name)))
    const named = matrix.flatMap(({ operations: names }) => names).filter((name) => !name.startsWith('@'))
    const { operations: lacking } = unbuilt(world.house.composed)
    expect([...lacking, ...named.filter((name) => there.has(name))].sort()).toEqual([...named].sort())
    expect(lacking).toContain('recordObservation')
  })

  test('a success that is shown elsewhere is shown by a test that exists, and asks for the operation', () => {
    const elsewhere = Object.values(operations).flatMap((calls) => calls.filter(({ beyondGuard }) => beyondGuard))
    expect(elsewhere.map(({ field }) => field).sort()).toEqual(['enforceSsoConnection', 'useOwnKey'])
    for (const { field, beyondGuard } of elsewhere) {
      const { file, test: name } = beyondGuard!.provenBy
      const source = readFileSync(join(import.meta.dirname, '..', file), 'utf8')
      expect(source).toContain(`test('${name}'`)
      expect(source).toMatch(new RegExp(`\\b${field}\\(`))
    }
  })

  test('every guarded root field is tried under its permission', () => {
    const roots = guardedFields().filter(({ field }) => /^(Query|Mutation|Subscription)\./.test(field))
    const tried = Object.entries(operations).flatMap(([permission, calls]) =>
      calls.filter(({ below }) => !below).map(({ kind, field }) => `${rootTypes[kind]}.${field} ${permission}`),
    )
    expect([...new Set(tried)].sort()).toEqual(roots.map(({ field, permission }) => `${field} ${permission}`).sort())
  })

  test('every field that opens sealed health data is asked for', () => {
    const sealed = guardedFields().filter(({ permission }) => permission === 'phi:read').map(({ field }) => field)
    expect(sealed.length).toBeGreaterThan(0)
    const asked = operations['phi:read']!.map(({ document }) => document).join(' ')
    expect(sealed.filter((field) => !new RegExp(`\\b${field.split('.')[1]}\\b`).test(asked))).toEqual([])
  })

  test('a granted cell has its fields on the role’s plane', () => {
    const fieldless = built.flatMap(({ key, cells }) =>
      roles
        .filter((role) => cells[role] !== null && callsOf(role, operations[key]!).some((operation) => !existsFor(role, operation)))
        .map((role) => ({ permission: key, role })),
    )
    expect(fieldless).toEqual([])
  })

  test('the matrix that is tried has 7 cells a permission', () => {
    expect(roles).toHaveLength(7)
    expect(matrix).toHaveLength(58)
    expect(built.flatMap(({ cells }) => Object.keys(cells))).toHaveLength(built.length * roles.length)
  })
})
