/** The review queue and emergency access: what waits for a person, and records opened outside one's reach. */
import { expect } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import type { Role } from '../../src/modules/access/contract.ts'
import { enrol } from '../kit/authenticator.ts'
import { expectList, mutation, nodeIds, query, reachIn, type Operation, type Operations } from './operation.ts'
import { gid, rawId, type Person, type Variables, type World } from './world.ts'

/** An item about a recipient, by whom nobody here is meant. */
async function item(world: World, { id: recipientId }: Person, claimedBy?: Role, tenantId = world.here.id): Promise<string> {
  const id = newId()
  const claimer = claimedBy ? world.here.member[claimedBy].membershipId : null
  await world.house.at.owner(
    `insert into hitl.review_item (tenant_id, id, kind, subject_type, subject_id, recipient_id, subject_digest, risk, state, claimed_by,
       claim_expires_at, sla_at)
     values ($1, $2::uuid, 'AI_OUTPUT', 'AiResponse', $2::uuid, $3, repeat('0', 64), 'LOW', $4::hitl.review_state, $5,
       case when $5::uuid is null then null else now() + interval '15 minutes' end, now() + interval '1 day')`,
    [tenantId, id, rawId(recipientId), claimer ? 'CLAIMED' : 'PENDING', claimer],
  )
  return gid('ReviewItem', id)
}

const personFor = (world: World, role: Role, permission: 'review:read' | 'review:decide'): Person =>
  reachIn(role, permission) === 'T' ? world.stranger : world.within.VIEW

/** Items beyond a role's reach. */
async function itemsBeyond(world: World, role: Role, permission: 'review:read' | 'review:decide', claimedBy?: Role): Promise<Record<string, { id: string }>> {
  const elsewhere = { 'an item of another tenant': { id: await item(world, world.foreign, undefined, world.there.id) } }
  if (reachIn(role, permission) === 'T') return elsewhere
  return { ...elsewhere, 'an item about a recipient outside the network': { id: await item(world, world.stranger, claimedBy) } }
}

const onItem = (field: 'claimReview' | 'releaseReview', claimed: boolean): Operation => ({
  ...mutation(field, '$id: ID!', 'ReviewItem { id state }'),
  inside: async (world, role) => ({ id: await item(world, personFor(world, role, 'review:decide'), claimed ? role : undefined) }),
  outside: (world, role) => itemsBeyond(world, role, 'review:decide', claimed ? role : undefined),
})

const approving = (id: string): Variables => ({ input: { id, verdict: 'APPROVE' } })

/** A live grant of a member; its reason is nothing that opens. */
async function grant(world: World, role: Role, recipient: Person): Promise<string> {
  const id = newId()
  await world.house.at.owner(
    `insert into emergency.break_glass_grant (tenant_id, id, recipient_id, membership_id, phi, expires_at, review_item_id)
     values ($1, $2::uuid, $3, $4, 'v1|planted', now() + interval '10 minutes', $2::uuid)`,
    [world.here.id, id, rawId(recipient.id), world.here.member[role].membershipId],
  )
  return gid('BreakGlassGrant', id)
}

const codes = new WeakMap<World, Map<Role, Promise<() => Promise<string>>>>()
/** A fresh code of a role's authenticator, enrolled when it is first asked for: whoever has one signs in with it from then on. */
export async function codeOf(world: World, role: Role): Promise<string> {
  const known = codes.get(world) ?? new Map<Role, Promise<() => Promise<string>>>()
  codes.set(world, known)
  if (!known.has(role)) known.set(role, enrol(world.house, world.here.member[role].caller))
  return (await known.get(role)!)()
}

const opening = async (world: World, role: Role, { id: recipientId }: Person): Promise<Variables> => ({
  input: { recipientId, reason: 'Found unconscious, nobody to ask', minutes: 30, code: await codeOf(world, role) },
})

const other = (role: Role): Role => (role === 'clinician' ? 'compliance_officer' : 'clinician')

export const governanceOperations: Operations = {
  'review:read': [
    {
      ...query('reviewQueue', '{ reviewQueue(first: 100) { edges { node { id state risk } } } }'),
      async inside(world) {
        for (const person of [world.within.VIEW, world.stranger]) await item(world, person)
        return {}
      },
      async check(world, role, payload) {
        const ids = nodeIds(payload)
        const rows = await world.house.at.owner<{ id: string; recipient: string; tenant: string }>(
          "select id, recipient_id as recipient, tenant_id as tenant from hitl.review_item where state in ('PENDING', 'CLAIMED', 'ESCALATED')",
        )
        const of = (wanted: (row: (typeof rows)[number]) => boolean) => rows.filter(wanted).map(({ id }) => gid('ReviewItem', id))
        const near = of(({ recipient }) => recipient === rawId(world.within.VIEW.id))
        const far = of(({ recipient, tenant }) => recipient === rawId(world.stranger.id) && tenant === world.here.id)
        const foreign = of(({ tenant }) => tenant !== world.here.id)
        if (reachIn(role, 'review:read') === 'T') expectList(ids, [...near, ...far], foreign)
        else expectList(ids, near, [...far, ...foreign])
      },
    },
    {
      ...query('reviewItem', 'query ($id: ID!) { reviewItem(id: $id) { id kind state decisions { verdict } } }'),
      inside: async (world, role) => ({ id: await item(world, personFor(world, role, 'review:read')) }),
      outside: (world, role) => itemsBeyond(world, role, 'review:read'),
    },
  ],
  'review:decide': [
    onItem('claimReview', false),
    onItem('releaseReview', true),
    {
      ...mutation('decideReview', 'DecideReviewInput', 'ReviewItem { id state }'),
      inside: async (world, role) => approving(await item(world, personFor(world, role, 'review:decide'), role)),
      async outside(world, role) {
        const beyond = await itemsBeyond(world, role, 'review:decide', role)
        return Object.fromEntries(Object.entries(beyond).map(([what, { id }]) => [what, approving(id)]))
      },
      check: (_, __, { state }) => expect(state).toBe('APPROVED'),
    },
  ],
  'phi:break_glass': [
    {
      ...mutation('openBreakGlass', 'OpenBreakGlassInput', 'BreakGlassGrant { id isLive reason memberId }'),
      inside: async (world, role) => opening(world, role, await world.plant.person()),
      outside: async (world, role) => ({ 'a recipient of another tenant': await opening(world, role, world.foreign) }),
      check: (world, role, payload) =>
        expect(payload).toMatchObject({ isLive: true, reason: 'Found unconscious, nobody to ask', memberId: world.member(role) }),
    },
    {
      ...query('breakGlassGrants', '{ breakGlassGrants(first: 100) { edges { node { id memberId } } } }'),
      async inside(world) {
        for (const role of ['clinician', 'compliance_officer'] as const) await grant(world, role, await world.plant.person())
        return {}
      },
      check(world, role, { edges }) {
        const holders = new Set(edges!.map(({ node }) => (node as unknown as { memberId: string }).memberId))
        const [mine, theirs] = [world.member(role), world.member(other(role))]
        // An officer reviews: she sees everybody's.
        expect(holders).toEqual(new Set(role === 'compliance_officer' ? [mine, theirs] : [mine]))
      },
    },
    {
      ...query('emergencyRecord', 'query ($id: ID!) { emergencyRecord(grantId: $id) { recipientId givenName familyName mrn } }'),
      inside: async (world, role) => ({ id: await grant(world, role, await world.plant.person()) }),
      outside: async (world, role) => ({ "somebody else's grant": { id: await grant(world, other(role), await world.plant.person()) } }),
      check: (_, __, payload) => expect(payload).toMatchObject({ mrn: 'MRN-17' }),
    },
    {
      ...mutation('endBreakGlass', '$id: ID!', 'BreakGlassGrant { id isLive endedAt }'),
      inside: async (world, role) => ({ id: await grant(world, role, await world.plant.person()) }),
      outside: async (world, role) => ({ "somebody else's grant": { id: await grant(world, other(role), await world.plant.person()) } }),
      check: (_, __, { isLive }) => expect(isLive).toBe(false),
    },
  ],
}
