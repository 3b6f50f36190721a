/** Recipients, their sealed fields, the people around them, consents, and the trail of who looked. */
import { expect } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import type { Reach, Role } from '../../src/modules/access/contract.ts'
import { expectList, mutation, nodeIds, onRecipient, query, reachIn, subscription, type Operations } from './operation.ts'
import { gid, planted, rawId, type Person, type Variables, type World } from './world.ts'

const createParty = mutation('createParty', 'CreatePartyInput', 'CareParty { id }')
const newParty = { input: { kind: 'FAMILY', name: 'Somebody' } }

/** A party that the role made itself, so that it may link it. */
async function partyOf(world: World, role: Role): Promise<string> {
  const { data } = await world.ask(role, createParty.document, newParty)
  return String(data!['createParty']!['id'])
}

const versioned = async (world: World, id: string): Promise<Variables> => ({ id, version: await world.versionOf('care.recipient', id) })

const linking = (fromId: string, toId: string): Variables => ({ input: { fromId, toId, relation: 'FRIEND', capabilities: ['VIEW'] } })

const consenting = (world: World, recipientId: string, granteeId = world.mine.clinician): Variables => ({
  input: { recipientId, granteeId, purpose: 'TREATMENT', fieldSet: ['phone'] },
})

const soon = (): string => new Date(Date.now() + 3_600_000).toISOString()

/** The party that the seller's member is, made visible by a link to the recipient, who consents to it. */
async function sellersParty({ house, here, plant, foreign }: World, person: Person, fieldSet: readonly string[] = ['phone']): Promise<string> {
  const party = await plant.party('ORG', here.member.provider_manager.membershipId)
  if (person === foreign) return party
  await plant.link(party, person.partyId, ['VIEW'])
  await house.at.owner(
    `insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set) values ($1, $2, $3, $4, 'OPERATIONS', $5)`,
    [here.id, newId(), rawId(person.id), rawId(party), fieldSet],
  )
  return party
}

/** A live grant to the seller's member. */
async function disclosure({ house, here }: World, person: Person, tenant: { readonly id: string } = here, fields: readonly string[] = ['phone']): Promise<string> {
  const id = newId()
  await house.at.owner(
    `insert into care.disclosure_grant (tenant_id, id, recipient_id, membership_id, fields, expires_at)
     values ($1, $2, $3, $4, $5, now() + interval '1 hour')`,
    [tenant.id, id, rawId(person.id), here.member.provider_manager.membershipId, fields],
  )
  return gid('DisclosureGrant', id)
}

/** Whether the recipients in a list are those within a role's reach. */
function expectReached(world: World, reach: Reach, listed: readonly string[]): void {
  const [mine, others, foreign] = [world.within.VIEW.id, world.stranger.id, world.foreign.id]
  if (reach === 'T') expectList(listed, [mine, others], [foreign])
  else expectList(listed, [mine], [others, foreign])
}

export const careOperations: Operations = {
  'recipient:read': [
    {
      ...query('recipients', '{ recipients(first: 100) { edges { node { id state version } } } }'),
      inside: () => ({}),
      check: (world, role, payload) => expectReached(world, reachIn(role, 'recipient:read'), nodeIds(payload)),
    },
    onRecipient('recipient:read', 'VIEW', {
      ...query('recipient', 'query ($id: ID!) { recipient(id: $id) { id state birthYear consents(first: 5) { edges { node { id } } } } }'),
      variables: (_, { id }) => ({ id }),
    }),
    onRecipient('recipient:read', 'VIEW', {
      ...subscription('recipientChanges', 'subscription ($id: ID!) { recipientChanges(id: $id) { id state } }'),
      variables: (_, { id }) => ({ id }),
    }),
  ],
  'recipient:create': [
    {
      ...mutation('createRecipient', 'CreateRecipientInput', 'CareRecipient { id }'),
      inside: () => ({ input: { givenName: 'Karim' } }),
      async check({ house, here }, role, { id }) {
        const made = await house.at.owner<{ tenant: string; member: string | null }>(
          'select tenant_id as tenant, membership_id as member from care.party where recipient_id = $1',
          [rawId(String(id))],
        )
        // S: whoever makes a recipient for herself is that recipient.
        const member = reachIn(role, 'recipient:create') === 'S' ? here.member[role].membershipId : null
        expect(made).toEqual([{ tenant: here.id, member }])
      },
    },
  ],
  'recipient:update': [
    onRecipient('recipient:update', 'EDIT', {
      ...mutation('updateRecipient', 'UpdateRecipientInput', 'CareRecipient { id preferredLocale }'),
      variables: async (world, { id }) => ({ input: { ...(await versioned(world, id)), preferredLocale: 'ar' } }),
    }),
  ],
  'recipient:archive': [
    {
      ...mutation('archiveRecipient', '$id: ID!, $version: Int!', 'CareRecipient { id state }'),
      inside: async (world) => versioned(world, (await world.plant.person()).id),
      outside: async (world) => ({ 'a recipient of another tenant': await versioned(world, world.foreign.id) }),
    },
  ],
  'network:read': [
    onRecipient('network:read', 'VIEW', {
      ...query('careNetwork', 'query ($id: ID!) { careNetwork(recipientId: $id) { depth members { distance party { id kind } } } }'),
      variables: (_, { id }) => ({ id }),
    }),
  ],
  'network:manage': [
    {
      ...createParty,
      inside: () => newParty,
      async check({ house, here }, role, { id }) {
        const rows = await house.at.owner<object>(
          'select tenant_id as tenant, created_by as by, membership_id as member from care.party where id = $1',
          [rawId(String(id))],
        )
        expect(rows).toEqual([{ tenant: here.id, by: here.member[role].membershipId, member: null }])
      },
    },
    onRecipient('network:manage', 'MANAGE', {
      ...mutation('linkParty', 'LinkPartyInput', 'CareLink { id live }'),
      variables: async (world, { partyId }, role) => linking(await partyOf(world, role), partyId),
    }),
    {
      ...mutation('linkParty', 'LinkPartyInput', 'CareLink { id }'),
      inside: async (world, role) => linking(await partyOf(world, role), world.within.MANAGE.partyId),
      outside: (world) => ({ 'a party of another tenant': linking(world.foreign.party, world.within.MANAGE.partyId) }),
    },
    onRecipient('network:manage', 'MANAGE', {
      ...mutation('endLink', '$id: ID!', 'EndedCareLink { linkId validTo }'),
      async variables({ plant, foreign, stranger, strangerLink }, person, role) {
        if (person === foreign) return { id: foreign.link }
        if (person === stranger && reachIn(role, 'network:manage') !== 'T') return { id: strangerLink }
        return { id: await plant.link(await plant.party('FAMILY'), person.partyId, ['VIEW']) }
      },
    }),
  ],
  'consent:manage': [
    onRecipient('consent:manage', 'MANAGE', {
      ...mutation('grantConsent', 'GrantConsentInput', 'Consent { id state }'),
      variables: (world, { id }) => consenting(world, id),
    }),
    {
      ...mutation('grantConsent', 'GrantConsentInput', 'Consent { id }'),
      inside: (world) => consenting(world, world.within.MANAGE.id),
      outside: (world) => ({ 'a grantee of another tenant': consenting(world, world.within.MANAGE.id, world.foreign.party) }),
    },
    onRecipient('consent:manage', 'MANAGE', {
      ...mutation('withdrawConsent', '$id: ID!', 'Consent { id state }'),
      async variables({ plant, mine, foreign, stranger, strangerConsent }, person, role) {
        if (person === foreign) return { id: foreign.consent }
        if (person === stranger && reachIn(role, 'consent:manage') !== 'T') return { id: strangerConsent }
        return { id: await plant.consent(person, mine.clinician) }
      },
    }),
    onRecipient('consent:manage', 'MANAGE', {
      ...query('recipientDisclosures', 'query ($id: ID!) { recipientDisclosures(recipientId: $id) { id fields } }'),
      variables: (_, { id }) => ({ id }),
    }),
    onRecipient('consent:manage', 'MANAGE', {
      ...mutation('openDisclosure', 'OpenDisclosureInput', 'DisclosureGrant { id fields }'),
      variables: async (world, person) => ({
        input: { recipientId: person.id, granteeId: await sellersParty(world, person), fields: ['phone'], expiresAt: soon() },
      }),
    }),
    onRecipient('consent:manage', 'MANAGE', {
      ...mutation('closeDisclosure', '$id: ID!', 'DisclosureGrant { id closedAt }'),
      variables: async (world, person) => ({ id: await disclosure(world, person, person === world.foreign ? world.there : world.here) }),
    }),
  ],
  'phi:read': [
    {
      ...query('disclosedRecord', `query ($id: ID!) { disclosedRecord(id: $id) { ${Object.keys(planted).join(' ')} } }`),
      only: 'seller',
      async inside(world) {
        await sellersParty(world, world.stranger, Object.keys(planted))
        return { id: await disclosure(world, world.stranger, world.here, Object.keys(planted)) }
      },
      outside: async (world) => ({
        'of another tenant': { id: await disclosure(world, world.foreign, world.there) },
        'without a consent': { id: await disclosure(world, world.within.VIEW) },
      }),
      check: (_, __, payload) => expect(payload).toEqual(planted),
    },
    {
      ...query('disclosedRecords', '{ disclosedRecords { id orderId fields expiresAt } }'),
      only: 'seller',
      async inside(world) {
        await sellersParty(world, world.stranger)
        return { id: await disclosure(world, world.stranger) }
      },
      check: (_, __, payload) => expect(payload.length).toBeGreaterThan(0),
    },
    onRecipient('phi:read', 'PHI', {
      ...query('recipient', `query ($id: ID!) { recipient(id: $id) { ${Object.keys(planted).join(' ')} } }`),
      below: 'recipient:read',
      lackingCode: 'PHI_NOT_GRANTED',
      variables: (_, { id }) => ({ id }),
      check: (_, __, payload) => expect(payload).toEqual(planted),
    }),
    onRecipient('phi:read', 'PHI', {
      ...query('careNetwork', 'query ($id: ID!) { careNetwork(recipientId: $id, depth: 1) { members { party { name phone } } } }'),
      below: 'network:read',
      lackingCode: 'PHI_NOT_GRANTED',
      variables: (_, { id }) => ({ id }),
      check(_, __, { members }) {
        const names = (members as { party: { name: string } }[]).map(({ party }) => party.name)
        expect(new Set(names)).toEqual(new Set([`${planted.givenName} ${planted.familyName}`, 'Somebody']))
      },
    }),
  ],
  'phi:write': [
    onRecipient('phi:write', 'EDIT', {
      ...mutation('updatePhi', 'UpdatePhiInput', 'CareRecipient { id version }'),
      // The same value: other tests read what was planted.
      variables: async (world, { id }) => ({ input: { ...(await versioned(world, id)), address: planted.address } }),
    }),
  ],
  'audit:read': [
    {
      ...query('auditEvents', '{ auditEvents(filter: { action: "recipient.created" }, first: 100) { edges { node { id subjectId } } } }'),
      inside: () => ({}),
      check(world, role, payload) {
        const subjects = payload.edges!.map(({ node }) => String(node.subjectId))
        expectReached(world, reachIn(role, 'audit:read'), subjects)
      },
    },
    onRecipient('audit:read', 'VIEW', {
      ...query('auditEvents', 'query ($id: ID!) { auditEvents(filter: { subjectId: $id }) { edges { node { id subjectId } } } }'),
      variables: (_, { id }) => ({ id }),
    }),
    onRecipient('audit:read', 'VIEW', {
      ...query('accountingOfDisclosures', 'query ($id: ID!) { accountingOfDisclosures(recipientId: $id) { edges { node { id } } } }'),
      variables: (_, { id }) => ({ id }),
    }),
  ],
  'audit:export': [
    {
      ...mutation('exportAudit', 'ExportAuditInput', 'AuditExport { content through complete }'),
      inside: () => ({ input: { first: 5 } }),
      check(world, _, payload) {
        const tenants = [...String(payload.content).matchAll(/"tenant":"([^"]+)"/g)].map(([, id]) => id)
        expect(tenants).toEqual([world.here.id])
      },
    },
    {
      ...mutation('verifyAuditChain', '$after: Int', 'AuditVerdict { ok rows }'),
      inside: () => ({}),
      check: (_, __, payload) => expect(payload.ok).toBe(true),
    },
    {
      ...mutation('setAuditStream', 'SetAuditStreamInput', 'ConfiguredAuditStream { secret stream { url standing } }'),
      inside: () => ({ input: { url: 'https://siem.example.org/in' } }),
      check: async ({ house, here }) =>
        expect(await house.at.owner('select tenant_id as tenant from audit.stream')).toEqual([{ tenant: here.id }]),
    },
    {
      ...query('auditStream', '{ auditStream { url standing cursor failures } }'),
      inside: () => ({}),
      check: (_, __, payload) => expect(payload.url).toBe('https://siem.example.org/in'),
    },
    {
      kind: 'mutation',
      field: 'stopAuditStream',
      document: 'mutation { stopAuditStream { __typename ... on StoppedAuditStream { cursor } ... on Fault { code } } }',
      inside: () => ({}),
      check: async ({ house }) => expect(await house.at.owner('select credentials from audit.stream')).toEqual([{ credentials: 'v1|stopped' }]),
    },
  ],
}
