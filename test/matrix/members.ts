/** Members and invitations: a seller reaches her own organisation, a family member the invitations that she made. */
import { newId } from '../../src/kernel/id.ts'
import type { Role } from '../../src/modules/access/contract.ts'
import { expectList, mutation, nodeIds, query, reachIn, type Operation, type Operations } from './operation.ts'
import { gid, rawId, type Variables, type World } from './world.ts'

type Named = Readonly<Record<string, Variables>>

/** Members beyond the reach of a role that holds a permission over members with T or O. */
const membersBeyond = (world: World, role: Role, variables: (id: string) => Variables): Named => ({
  'a member of another tenant': variables(world.member(role === 'provider_manager' ? role : 'clinician', world.there)),
  ...(role === 'provider_manager'
    ? {
        'a seller of another organisation': variables(world.otherSeller),
        'a member of no organisation': variables(world.member('clinician')),
      }
    : {}),
})

/** A member to be used up, within a role's reach. */
const spareFor = (world: World, role: Role): string => world.spare(role === 'provider_manager' ? 'seller' : 'clinician')

const suspend = 'mutation ($id: ID!) { suspendMember(id: $id) { __typename } }'

const endingBy = (field: string, prepare?: (world: World, id: string) => Promise<unknown>): Operation => ({
  ...mutation(field, '$id: ID!', 'Membership { id status }'),
  async inside(world, role) {
    const id = spareFor(world, role)
    await prepare?.(world, id)
    return { id }
  },
  outside: (world, role) => membersBeyond(world, role, (id) => ({ id })),
})

/** An invitation within a role's reach that somebody else made, where the reach goes beyond one's own. */
async function invitationFor({ plant, within, ownOrg }: World, role: Role): Promise<string> {
  if (role === 'tenant_admin') return plant.invitation('care_coordinator', 'clinician')
  if (role === 'care_coordinator') return plant.invitation('tenant_admin', 'clinician')
  if (role === 'provider_manager') return plant.invitation('tenant_admin', 'provider_manager', { providerOrgId: ownOrg })
  return plant.invitation('family', 'family', { recipientId: rawId(within.VIEW.id) })
}

const invitationsBeyond = ({ foreign, invitations }: World, role: Role): Named => {
  const reach = reachIn(role, 'user:invite')
  return {
    'an invitation of another tenant': { id: foreign.invitation },
    ...(reach === 'T' ? {} : { 'an invitation of the administrator': { id: invitations.byAdmin } }),
    ...(reach === 'O' ? { "another organisation's invitation": { id: invitations.ofOtherOrg } } : {}),
    ...(reach === 'N' ? { "a seller's invitation": { id: invitations.ofOwnOrg } } : {}),
  }
}

const inviting = (role: Role, more: Variables = {}): Variables => ({ input: { email: `${newId()}@newcomer.test`, role, ...more } })

export const memberOperations: Operations = {
  'user:read': [
    {
      ...query('members', '{ members(first: 100) { edges { node { id locale version providerOrgId identity { email } } } } }'),
      inside: () => ({}),
      check(world, role, payload) {
        const others = [world.member('clinician'), world.otherSeller]
        const elsewhere = (['tenant_admin', 'clinician', 'provider_manager'] as const).map((one) => world.member(one, world.there))
        const whole = reachIn(role, 'user:read') === 'T'
        const own = world.member('provider_manager')
        expectList(nodeIds(payload), whole ? [own, ...others] : [own], whole ? elsewhere : [...others, ...elsewhere])
      },
    },
    {
      ...query('member', 'query ($id: ID!) { member(id: $id) { id locale version identity { email } } }'),
      inside: (world, role) => ({ id: role === 'provider_manager' ? world.spare('seller') : world.member('clinician') }),
      outside: (world, role) => membersBeyond(world, role, (id) => ({ id })),
    },
  ],
  'user:invite': [
    {
      ...query('invitations', '{ invitations(first: 100) { edges { node { id email state } } } }'),
      inside: () => ({}),
      check({ invitations: { byAdmin, ofOwnOrg, ofOtherOrg, byFamily }, foreign }, role, payload) {
        const all = [byAdmin, ofOwnOrg, ofOtherOrg, byFamily]
        const seen: readonly string[] = { T: all, O: [ofOwnOrg], N: [byFamily], S: [], G: [] }[reachIn(role, 'user:invite')]
        expectList(nodeIds(payload), seen, [foreign.invitation, ...all.filter((one) => !seen.includes(one))])
      },
    },
    {
      ...mutation('inviteMember', 'InviteMemberInput', 'Invitation { id email }'),
      inside({ within, stranger }, role) {
        if (role === 'provider_manager') return inviting(role)
        if (role === 'family') return inviting(role, { recipientId: within.VIEW.id })
        return inviting('clinician', role === 'care_coordinator' ? { recipientId: stranger.id } : {})
      },
      outside({ foreign, stranger, otherOrg }, role): Named {
        if (role === 'provider_manager') {
          return { 'a place in another organisation': inviting(role, { providerOrgId: gid('ProviderOrg', otherOrg) }) }
        }
        const invited = role === 'family' ? role : 'clinician'
        return {
          'for a recipient of another tenant': inviting(invited, { recipientId: foreign.id }),
          ...(role === 'family' ? { 'for a recipient whom one does not represent': inviting(invited, { recipientId: stranger.id }) } : {}),
        }
      },
    },
    {
      ...mutation('resendInvitation', '$id: ID!', 'Invitation { id state }'),
      inside: async (world, role) => ({ id: await invitationFor(world, role) }),
      outside: invitationsBeyond,
    },
    {
      ...mutation('revokeInvitation', '$id: ID!', 'Invitation { id state }'),
      inside: async (world, role) => ({ id: await invitationFor(world, role) }),
      outside: invitationsBeyond,
    },
  ],
  'user:update': [
    {
      ...mutation('updateMember', 'UpdateMemberInput', 'Membership { id locale }'),
      async inside(world, role) {
        const id = spareFor(world, role)
        return { input: { id, locale: 'ar', version: await world.versionOf('identity.membership', id) } }
      },
      outside: (world, role) => membersBeyond(world, role, (id) => ({ input: { id, locale: 'ar', version: 1 } })),
    },
  ],
  'user:deactivate': [
    endingBy('deactivateMember'),
    endingBy('suspendMember'),
    endingBy('resumeMember', (world, id) => world.ask('tenant_admin', suspend, { id })),
  ],
  'role:assign': [
    {
      ...mutation('assignRole', '$membershipId: ID!, $role: Role!', 'Membership { id role }'),
      inside: (world) => ({ membershipId: world.spare('clinician'), role: 'caregiver' }),
      outside: (world, role) => membersBeyond(world, role, (membershipId) => ({ membershipId, role: 'caregiver' })),
    },
  ],
}
