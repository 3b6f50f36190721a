/** The tenant's directories: connections, rules, receipts and the flight recorder; and their tokens. */
import { expect } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import { expectList, mutation, query, type Operations } from './operation.ts'
import { rawId, type World } from './world.ts'

const rules = [{ match: 'DISPLAY_NAME', value: 'Nurses', role: 'clinician' }]
const idsOf = (payload: unknown): string[] => (payload as { id: string }[]).map(({ id }) => id)
const elsewhere = (more = {}) => (world: World) => ({
  'a connection of another tenant': { connectionId: world.foreign.scim.connection, ...more },
})
const here = (more = {}) => (world: World) => ({ connectionId: world.scim.connection, ...more })

export const scimOperations: Operations = {
  'sso:manage': [
    {
      ...query('scimConnections', '{ scimConnections { id name } }'),
      inside: () => ({}),
      check: (world, _, payload) => expectList(idsOf(payload), [world.scim.connection], [world.foreign.scim.connection]),
    },
    {
      ...query('scimReceipts', 'query ($connectionId: ID!) { scimReceipts(connectionId: $connectionId) { id } }'),
      inside: here(),
      outside: elsewhere(),
    },
    {
      ...query('scimExchanges', 'query ($connectionId: ID!) { scimExchanges(connectionId: $connectionId) { id } }'),
      inside: here(),
      check: (world, _, payload) => expectList(idsOf(payload), [world.scim.exchange], [world.foreign.scim.exchange]),
    },
    {
      ...query(
        'scimRulesPreview',
        'query ($connectionId: ID!, $rules: [ScimRoleRuleInput!]!) { scimRulesPreview(connectionId: $connectionId, rules: $rules) { people } }',
      ),
      inside: here({ rules }),
      outside: elsewhere({ rules }),
    },
    {
      ...mutation('createScimConnection', '$name: String!', 'ChangedScimConnection { id }'),
      inside: () => ({ name: `Another directory ${newId()}` }),
      async check(world, _, { id }) {
        const rows = await world.house.at.owner<object>('select tenant_id as tenant from scim.connection where id = $1', [rawId(String(id))])
        expect(rows).toEqual([{ tenant: world.here.id }])
      },
    },
    {
      ...mutation('setScimMassChangeAt', '$connectionId: ID!, $massChangeAt: Int!', 'ChangedScimConnection { id }'),
      inside: here({ massChangeAt: 7 }),
      outside: elsewhere({ massChangeAt: 7 }),
    },
    {
      ...mutation('acknowledgeScimMassChange', '$connectionId: ID!', 'ChangedScimConnection { id }'),
      inside: here(),
      outside: elsewhere(),
    },
    {
      ...mutation('setScimRoleRules', '$connectionId: ID!, $rules: [ScimRoleRuleInput!]!', 'ScimRulesPreview { people }'),
      inside: here({ rules }),
      outside: elsewhere({ rules }),
    },
    {
      ...mutation('linkScimUser', '$userId: ID!, $membershipId: ID!', 'LinkedScimUser { userId }'),
      inside: async (world) => ({ userId: (await world.plant.scim()).user, membershipId: world.member('clinician') }),
      outside: (world) => ({
        'a user of another tenant': { userId: world.foreign.scim.user, membershipId: world.member('clinician') },
        'a member of another tenant': { userId: world.scim.user, membershipId: world.member('clinician', world.there) },
      }),
    },
    {
      ...mutation('replayScimExchange', '$id: ID!', 'ReplayedScimExchange { status }'),
      inside: (world) => ({ id: world.scim.exchange }),
      outside: (world) => ({ 'an exchange of another tenant': { id: world.foreign.scim.exchange } }),
    },
  ],
  'token:manage': [
    {
      ...mutation('createScimToken', '$connectionId: ID!, $name: String!', 'CreatedScimToken { id token }'),
      inside: async (world) => ({ connectionId: (await world.plant.scim()).connection, name: 'Another token' }),
      outside: elsewhere({ name: 'Another token' }),
    },
    {
      ...mutation('rotateScimToken', '$id: ID!', 'CreatedScimToken { id token }'),
      inside: async (world) => ({ id: (await world.plant.scim()).token }),
      outside: (world) => ({ 'a token of another tenant': { id: world.foreign.scim.token } }),
    },
    {
      ...mutation('revokeScimToken', '$id: ID!', 'RevokedScimToken { id }'),
      inside: async (world) => ({ id: (await world.plant.scim()).token }),
      outside: (world) => ({ 'a token of another tenant': { id: world.foreign.scim.token } }),
      async check(world) {
        const [row] = await world.house.at.owner<{ gone: boolean }>('select revoked_at is not null as gone from scim.token where id = $1', [
          rawId(world.foreign.scim.token),
        ])
        expect(row!.gone).toBe(false)
      },
    },
  ],
}
