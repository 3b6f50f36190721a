/** The accounting of disclosures, joined by a module that this house does not have: who got to see one record, and by what. */
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
import { defineModule, disclosuresOf, type AnyModule } from '../../platform/module.ts'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'
import { permissionsOf, planesOf, type Permission, type Role } from '../access/contract.ts'
import { tenancy } from '../tenancy/index.ts'
import { vault } from '../vault/index.ts'
import { audit } from './index.ts'

/** A module of another house: it lends records to a model and declares that it does. */
const lending = defineModule({
  name: 'lending',
  summary: 'Lends records to a model, for this test.',
  needs: [],
  owns: [],
  disclosures: [{ action: 'record.lent', kind: 'MODEL' }],
  build: () => ({ contract: {} }),
})

const tenantId = newId()
const [mother, newcomer] = [newId(), newId()]
const [daughter, clinician, officer] = [newId(), newId(), newId()]
let at: TestDatabase
let database: Database
let house: Composed

const callerOf = (role: Role, plane: Plane, membershipId: string): Caller => ({
  tenantId,
  plane,
  actor: { kind: 'member', membershipId, identityId: newId(), role, sessionId: newId(), via: 'password', providerOrgId: null },
  permissions: permissionsOf(role),
  purpose: 'TREATMENT',
  requestId: newId(),
  sourceAddress: null,
  userAgent: null,
})
const family = callerOf('family', 'consumer', daughter)

async function leave(action: string, subjectId: string, outcome: 'done' | 'denied' = 'done'): Promise<void> {
  const unit = database.unit(callerOf('clinician', 'clinician', clinician))
  await unit.read(async () => unit.record({ action, resource: 'CareRecipient', resourceId: subjectId, subjectId, outcome }))
}

beforeAll(async () => {
  at = await freshDatabase()
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
  house = compose({
    modules: [tenancy, vault, audit, lending] as unknown as AnyModule[],
    services: { clock: systemClock, log: createLog({ level: 'silent' }) } as never,
    database,
    planesOf: (permission) => planesOf(permission as Permission),
  })
  await at.owner(`insert into care.recipient (tenant_id, id, phi) values ($1, $2, 'v1|test')`, [tenantId, mother])
  await at.owner(
    `insert into care.party (tenant_id, id, kind, phi, membership_id, recipient_id) values ($1, $2, 'RECIPIENT', 'v1|test', $3, $4)`,
    [tenantId, newId(), daughter, mother],
  )
  await leave('recipient.updated', mother)
  await leave('record.lent', mother)
  await leave('record.lent', mother, 'denied')
  await leave('operator.approved', tenantId)
  await leave('tenant.exported', tenantId)
  await leave('recipient.updated', newcomer)
  await leave('record.lent', newcomer)
})
afterAll(async () => {
  await database.close()
  await at.drop()
})

const account = `query ($id: ID!, $only: Boolean) { accountingOfDisclosures(recipientId: $id, disclosuresOnly: $only, first: 50) {
  edges { node { action disclosure subjectId } } } }`

async function accountOf(who: Caller, recipientId: string, only: boolean) {
  const unit = database.unit(who)
  const contextValue = createContext({ unit, plane: who.plane!, locale: 'en', answer: { setCookie() {} } })
  const variableValues = { id: encodeGlobalId('CareRecipient', recipientId), only }
  const answer = await unit.read(() => graphql({ schema: house.schemas.plane[who.plane!], source: account, variableValues, contextValue }))
  const data = answer.data as { accountingOfDisclosures: { edges: { node: Record<string, unknown> }[] } | null } | null
  return data?.accountingOfDisclosures?.edges.map(({ node }) => node).filter(({ action }) => action !== 'audit.read') ?? answer.errors!.map(({ message }) => message)
}

const about = encodeGlobalId('CareRecipient', mother)
const disclosed = [
  { action: 'tenant.exported', disclosure: 'EXPORT', subjectId: null },
  { action: 'operator.approved', disclosure: 'OPERATOR', subjectId: null },
  { action: 'record.lent', disclosure: 'MODEL', subjectId: about },
]

test('family sees what a later module declared, exports and operators of the tenant included, and nothing that disclosed nothing', async () => {
  expect(await accountOf(family, mother, true)).toEqual(disclosed)
  const whole = await accountOf(family, mother, false)
  expect(whole.map((line) => (line as { action: string }).action)).toEqual([
    'tenant.exported', 'operator.approved', 'record.lent', 'record.lent', 'recipient.updated',
  ])
  // Somebody tried and saw nothing.
  expect(whole.filter((line) => (line as { disclosure: unknown }).disclosure !== null)).toHaveLength(3)
})

test('what concerned everybody counts from a record’s first line on; another recipient’s account is not found', async () => {
  const admin = callerOf('compliance_officer', 'console', officer)
  expect(await accountOf(admin, newcomer, true)).toEqual([
    { action: 'record.lent', disclosure: 'MODEL', subjectId: encodeGlobalId('CareRecipient', newcomer) },
  ])
  expect(await accountOf(admin, mother, true)).toEqual(disclosed)
  expect(await accountOf(family, newcomer, true)).toEqual([expect.stringContaining('not yours to see')])
  // The tenant itself is nobody's record.
  expect(await accountOf(callerOf('family', 'consumer', newId()), tenantId, true)).toEqual([expect.stringContaining('not yours to see')])
})

test('two modules that declare one action are not put together', () => {
  const one = { name: 'one', disclosures: [{ action: 'record.lent', kind: 'MODEL' }] } as const
  expect(disclosuresOf([one]).get('record.lent')).toBe('MODEL')
  expect(() => disclosuresOf([one, { ...one, name: 'two' }])).toThrow('record.lent')
})
