/** The tenant's own settings, and the tokens of its programs. */
import { expect } from 'vitest'
import { expectList, mutation, nodeIds, query, type Operations } from './operation.ts'
import { rawId, type World } from './world.ts'
import { newId } from '../../src/kernel/id.ts'
import { encodeGlobalId } from '../../src/platform/graphql/global-id.ts'

async function isRevoked({ house }: World, globalId: string): Promise<boolean> {
  const [row] = await house.at.owner<{ gone: boolean }>('select revoked_at is not null as gone from identity.api_token where id = $1', [
    rawId(globalId),
  ])
  return row!.gone
}

/** An approval of a tenant's, made past the contract. */
async function approval({ house }: World, tenantId: string): Promise<string> {
  const id = newId()
  await house.at.owner(
    `insert into tenancy.operator_approval (tenant_id, id, reason, granted_by, granted_at, expires_at)
     values ($1, $2, 'A reason', $2, now(), now() + interval '1 hour')`,
    [tenantId, id],
  )
  return encodeGlobalId('OperatorApproval', id)
}

const approvalsOf = ({ house }: World, tenantId: string, where: string) =>
  house.at.owner<{ id: string }>(`select id from tenancy.operator_approval where tenant_id = $1 and ${where}`, [tenantId])

export const tenantOperations: Operations = {
  'tenant:read': [
    {
      ...query('tenantSettings', '{ tenantSettings { slug legalName version } }'),
      inside: () => ({}),
      check: (world, _, { slug }) => expect(slug).toBe(world.here.slug),
    },
    {
      ...query('operatorApprovals', '{ operatorApprovals(first: 100) { edges { node { id reason } } } }'),
      async inside(world) {
        await approval(world, world.here.id)
        await approval(world, world.there.id)
        return {}
      },
      async check(world, _, payload) {
        const ids = async (tenantId: string) => (await approvalsOf(world, tenantId, 'true')).map(({ id }) => encodeGlobalId('OperatorApproval', id))
        expectList(nodeIds(payload), await ids(world.here.id), await ids(world.there.id))
      },
    },
  ],
  'tenant:update': [
    {
      ...mutation('updateTenant', 'UpdateTenantInput', 'TenantSettings { slug timezone }'),
      async inside(world) {
        const { house, here } = world
        const [row] = await house.at.owner<{ version: number }>('select version from tenancy.tenant where tenant_id = $1', [here.id])
        return { input: { version: row!.version, timezone: 'Asia/Beirut' } }
      },
      async check(world, _, payload) {
        expect(payload).toMatchObject({ slug: world.here.slug, timezone: 'Asia/Beirut' })
        const rows = await world.house.at.owner<{ slug: string }>(`select slug from tenancy.tenant where timezone = 'Asia/Beirut'`)
        expect(rows).toEqual([{ slug: world.here.slug }])
      },
    },
    {
      ...mutation('approveOperator', 'ApproveOperatorInput', 'OperatorApproval { id reason }'),
      inside: () => ({ input: { reason: 'The yearly import', hours: 72 } }),
      async check(world, _, { id }) {
        const made = { id: rawId(String(id)) }
        expect(await approvalsOf(world, world.here.id, `reason = 'The yearly import'`)).toContainEqual(made)
        expect(await approvalsOf(world, world.there.id, `reason = 'The yearly import'`)).toEqual([])
      },
    },
    {
      ...mutation('withdrawOperatorApproval', '$id: ID!', 'OperatorApproval { id withdrawnAt }'),
      inside: async (world) => ({ id: await approval(world, world.here.id) }),
      outside: async (world) => ({ 'an approval of another tenant': { id: await approval(world, world.there.id) } }),
      async check(world, _, { id }) {
        expect(await approvalsOf(world, world.here.id, 'withdrawn_at is not null')).toContainEqual({ id: rawId(String(id)) })
        expect(await approvalsOf(world, world.there.id, 'withdrawn_at is not null')).toEqual([])
      },
    },
  ],
  'token:manage': [
    {
      ...query('apiTokens', '{ apiTokens(first: 100) { edges { node { id name permissions } } } }'),
      inside: () => ({}),
      check: (world, _, payload) => expectList(nodeIds(payload), [world.apiToken], [world.foreign.apiToken]),
    },
    {
      ...mutation('createApiToken', 'CreateApiTokenInput', 'CreatedApiToken { token apiToken { id } }'),
      inside: () => ({ input: { name: 'Another program', permissions: ['tenant:read'] } }),
      async check(world, _, { apiToken }) {
        const id = rawId((apiToken as { id: string }).id)
        const rows = await world.house.at.owner<object>('select tenant_id as tenant from identity.api_token where id = $1', [id])
        expect(rows).toEqual([{ tenant: world.here.id }])
      },
    },
    {
      ...mutation('revokeApiToken', '$id: ID!', 'ApiToken { id revokedAt }'),
      inside: async (world) => ({ id: await world.plant.apiToken() }),
      outside: (world) => ({ 'a token of another tenant': { id: world.foreign.apiToken } }),
      async check(world, _, { id }) {
        expect(await isRevoked(world, String(id))).toBe(true)
        expect(await isRevoked(world, world.foreign.apiToken)).toBe(false)
      },
    },
  ],
}
