/** The trail in the graph: which planes have it, how it is paged, and whose it is. */
import { graphql } from 'graphql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { newId } from '../../kernel/id.ts'
import type { Caller, Plane } from '../../kernel/scope.ts'
import { compose, type Composed } from '../../platform/compose.ts'
import { Database } from '../../platform/db/database.ts'
import { createContext } from '../../platform/graphql/context.ts'
import { encodeGlobalId } from '../../platform/graphql/global-id.ts'
import { createLog } from '../../platform/http/log.ts'
import type { AnyModule } from '../../platform/module.ts'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'
import { permissionsOf, planesOf, type Permission, type Role } from '../access/contract.ts'
import { tenancy } from '../tenancy/index.ts'
import { vault } from '../vault/index.ts'
import { audit } from './index.ts'

const tenantId = newId()
const recipient = newId()
let at: TestDatabase
let database: Database
let house: Composed

beforeAll(async () => {
  at = await freshDatabase()
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
  house = compose({
    modules: [tenancy, vault, audit] as unknown as AnyModule[],
    services: { clock: systemClock, log: createLog({ level: 'silent' }) } as never,
    database,
    planesOf: (permission) => planesOf(permission as Permission),
  })
  for (let i = 0; i < 5; i++) {
    const unit = database.unit(callerOf('clinician', 'clinician'))
    const about = { resource: 'CareRecipient', resourceId: recipient, subjectId: recipient }
    await unit.read(async () => unit.record({ action: 'phi.read', ...about, outcome: 'done', detail: { n: i } }))
  }
})
afterAll(async () => {
  await database.close()
  await at.drop()
})

const callerOf = (role: Role, plane: Plane): Caller => ({
  tenantId,
  plane,
  actor: { kind: 'member', membershipId: newId(), identityId: newId(), role, sessionId: newId(), via: 'password', providerOrgId: null },
  permissions: permissionsOf(role),
  purpose: null,
  requestId: newId(),
  sourceAddress: '192.0.2.7',
  userAgent: null,
})

interface Page {
  edges: { cursor: string; node: { id: string; action: string; subjectId: string; detail: { name: string; value: string }[] } }[]
  pageInfo: { hasNextPage: boolean; endCursor: string | null }
}

type Variables = Record<string, unknown>

async function ask(source: string, variableValues: Variables = {}, role: Role = 'compliance_officer', plane: Plane = 'console') {
  const unit = database.unit(callerOf(role, plane))
  const contextValue = createContext({ unit, plane, locale: 'en', answer: { setCookie() {} } })
  const answer = await unit.read(() => graphql({ schema: house.schemas.plane[plane], source, variableValues, contextValue }))
  const data = answer.data as Record<string, Page | null> | null | undefined
  const codes = (answer.errors ?? []).map(({ originalError, message }) => (originalError as { code?: string } | undefined)?.code ?? message)
  return { page: data ? Object.values(data)[0]! : null, codes }
}

const listed = `edges { cursor node { id action subjectId detail { name value } } } pageInfo { hasNextPage endCursor }`
const trail = `query ($first: Int, $after: String, $filter: AuditEventFilter) {
  auditEvents(first: $first, after: $after, filter: $filter) { ${listed} }
}`
const account = `query ($id: ID!, $first: Int, $after: String) {
  accountingOfDisclosures(recipientId: $id, first: $first, after: $after) { ${listed} }
}`
const recipientId = encodeGlobalId('CareRecipient', recipient)

test('the trail exists in the planes of its readers and in no other', () => {
  const has = (plane: Plane) => {
    const fields = house.schemas.plane[plane].getQueryType()!.getFields()
    return ['auditEvents', 'accountingOfDisclosures'].filter((field) => field in fields)
  }
  for (const plane of ['console', 'consumer', 'integrator'] as const) expect(has(plane), plane).toHaveLength(2)
  for (const plane of ['clinician', 'courier', 'seller'] as const) {
    expect(has(plane), plane).toHaveLength(0)
    expect(house.schemas.plane[plane].getType('AuditEvent'), plane).toBeUndefined()
  }
})

test('pages follow each other by cursors that hold no tenant', async () => {
  const seen: string[] = []
  const filter = { action: 'phi.read', subjectId: recipientId, outcome: 'DONE', from: '2020-01-01T00:00:00.000Z' }
  for (let after: string | null = null, more = true; more; ) {
    const { page, codes } = await ask(trail, { first: 2, after, filter })
    expect(codes).toEqual([])
    for (const { cursor, node } of page!.edges) {
      expect(cursor).toMatch(/^[\w-]{22}$/)
      expect(node.subjectId).toBe(recipientId)
      seen.push(node.detail[0]!.value)
    }
    after = page!.pageInfo.endCursor
    more = page!.pageInfo.hasNextPage
  }
  expect(seen).toEqual(['4', '3', '2', '1', '0'])
})

test('an account of disclosures is one recipient’s; a stranger’s, a malformed and another kind’s id are not found', async () => {
  const { page } = await ask(account, { id: recipientId, first: 100 })
  expect(page!.edges.filter(({ node }) => node.action === 'phi.read')).toHaveLength(5)
  for (const id of [encodeGlobalId('CareRecipient', newId()), 'nonsense', encodeGlobalId('Membership', recipient), recipient]) {
    expect((await ask(account, { id })).codes, id).toEqual(['NOT_FOUND'])
  }
  expect((await ask(account, { id: recipientId }, 'family', 'consumer')).codes).toEqual(['NOT_FOUND'])
})

test('who lacks the permission is refused, and the refusal is in the trail', async () => {
  expect((await ask(trail, {}, 'care_coordinator')).codes).toEqual(['FORBIDDEN'])
  const { page } = await ask(trail, { filter: { action: 'access.denied' } })
  expect(page!.edges[0]!.node.detail).toContainEqual({ name: 'permission', value: 'audit:read' })
})

test('what the list does not accept is said', async () => {
  expect((await ask(trail.replace('first: $first,', 'last: $first,'), { first: 2 })).codes).toEqual(['INVALID_INPUT'])
  expect((await ask(trail, { after: 'x' })).codes).toEqual(['BAD_CURSOR'])
  expect((await ask(trail, { filter: { actorId: 'x' } })).codes).toEqual(['NOT_FOUND'])
  expect((await ask(trail, { filter: { action: "'; --" } })).codes).toEqual(['INVALID_INPUT'])
  expect((await ask(trail, { first: 1_000_000_000 })).page!.edges.length).toBeLessThanOrEqual(100)
})
