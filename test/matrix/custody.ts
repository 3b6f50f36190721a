/** What a tenant decides about its keys and its data as a whole: legal holds, leaving, its own key at the KMS. */
import { generateKeyPairSync } from 'node:crypto'
import { expect } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import { encodeGlobalId } from '../../src/platform/graphql/global-id.ts'
import { codeOf } from './governance.ts'
import { expectList, mutation, nodeIds, query, type Operations } from './operation.ts'
import { rawId, type World } from './world.ts'

/** A hold of a tenant's, made past the contract. */
async function hold({ house }: World, tenantId: string): Promise<string> {
  const id = newId()
  await house.at.owner(
    "insert into custody.legal_hold (tenant_id, id, basis, reference, placed_by) values ($1, $2, 'REGULATOR', 'R-1', $2)",
    [tenantId, id],
  )
  return encodeGlobalId('LegalHold', id)
}

const holdsOf = ({ house }: World, tenantId: string, where = 'true') =>
  house.at.owner<{ id: string }>(`select id from custody.legal_hold where tenant_id = $1 and ${where}`, [tenantId])

/** The tenant is asked to leave, or nobody asks any more. */
async function offboarding({ house, here }: World, isAsked: boolean): Promise<void> {
  await house.at.owner("update custody.offboarding set state = 'CANCELLED' where tenant_id = $1 and state = 'WAITING'", [here.id])
  if (!isAsked) return
  await house.at.owner(
    `insert into custody.offboarding (tenant_id, id, reason, export_key, asked_by, due_at)
     values ($1, $2, 'A reason', 'a key', $2, now() + interval '30 days')`,
    [here.id, newId()],
  )
}

const exportKey = generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' })

export const custodyOperations: Operations = {
  'audit:export': [
    {
      ...query('legalHolds', '{ legalHolds(first: 100) { edges { node { id reference basis } } } }'),
      async inside(world) {
        await hold(world, world.here.id)
        await hold(world, world.there.id)
        return {}
      },
      async check(world, _, payload) {
        const ids = async (tenantId: string) => (await holdsOf(world, tenantId)).map(({ id }) => encodeGlobalId('LegalHold', id))
        expectList(nodeIds(payload), await ids(world.here.id), await ids(world.there.id))
      },
    },
    {
      ...mutation('placeLegalHold', 'PlaceLegalHoldInput', 'LegalHold { id recipientId }'),
      inside: (world) => ({ input: { recipientId: world.stranger.id, basis: 'LITIGATION', reference: 'L-2026/7' } }),
      outside: (world) => ({ 'a recipient of another tenant': { input: { recipientId: world.foreign.id, basis: 'LITIGATION', reference: 'L' } } }),
      async check(world, _, { id }) {
        expect(await holdsOf(world, world.here.id, "reference = 'L-2026/7'")).toContainEqual({ id: rawId(String(id)) })
        expect(await holdsOf(world, world.there.id, "reference like 'L%'")).toEqual([])
      },
    },
    {
      ...mutation('liftLegalHold', '$id: ID!', 'LegalHold { id liftedAt }'),
      inside: async (world) => ({ id: await hold(world, world.here.id) }),
      outside: async (world) => ({ 'a hold of another tenant': { id: await hold(world, world.there.id) } }),
      async check(world, _, { id }) {
        expect(await holdsOf(world, world.here.id, 'lifted_at is not null')).toContainEqual({ id: rawId(String(id)) })
        expect(await holdsOf(world, world.there.id, 'lifted_at is not null')).toEqual([])
      },
    },
  ],
  'tenant:read': [
    {
      ...query('offboarding', '{ offboarding { state held reason } }'),
      async inside(world) {
        await offboarding(world, true)
        return {}
      },
      check: (_, __, payload) => expect(payload).toMatchObject({ state: 'WAITING', reason: 'A reason' }),
    },
  ],
  'tenant:update': [
    {
      ...mutation('requestOffboarding', 'RequestOffboardingInput', 'Offboarding { state dueAt }'),
      async inside(world, role) {
        await offboarding(world, false)
        return { input: { reason: 'A house of our own', exportKey, code: await codeOf(world, role) } }
      },
      async check(world, _, { state }) {
        expect(state).toBe('WAITING')
        expect(await world.house.at.owner('select from custody.offboarding where tenant_id = $1', [world.there.id])).toEqual([])
      },
    },
    {
      kind: 'mutation',
      field: 'cancelOffboarding',
      document: 'mutation { cancelOffboarding { __typename ... on Offboarding { state } ... on Fault { code } } }',
      async inside(world) {
        await offboarding(world, true)
        return {}
      },
      check: (_, __, { state }) => expect(state).toBe('CANCELLED'),
    },
    {
      ...mutation('useOwnKey', '$kmsKey: String!, $code: String!', 'TenantKeyStatus { keys { version } }'),
      inside: async (world, role) => ({ kmsKey: 'alias/of-nobody', code: await codeOf(world, role) }),
      beyondGuard: {
        code: 'KEYS_UNAVAILABLE',
        provenBy: { file: 'src/modules/vault/own-key.test.ts', test: 'check 69: with its own key disabled only that tenant is dark, never opened by another key, and it signs in and mends it' },
      },
    },
  ],
}
