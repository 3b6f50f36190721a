/** The tenant's own settings, and the tokens of its programs. */
import { expect } from 'vitest'
import { expectList, mutation, nodeIds, query, type Operations } from './operation.ts'
import { rawId, type World } from './world.ts'

async function isRevoked({ house }: World, globalId: string): Promise<boolean> {
  const [row] = await house.at.owner<{ gone: boolean }>('select revoked_at is not null as gone from identity.api_token where id = $1', [
    rawId(globalId),
  ])
  return row!.gone
}

export const tenantOperations: Operations = {
  'tenant:read': [
    {
      ...query('tenantSettings', '{ tenantSettings { slug legalName version } }'),
      inside: () => ({}),
      check: (world, _, { slug }) => expect(slug).toBe(world.here.slug),
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
