/**
 * What was granted ends at once: a removed role, an ended membership and a link that is over, at the next call with an access token that
 * is still valid. And what nobody grants: PHI to an administrator, power to a program beyond its list, anything to oneself.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { permissionsOf, planeOf, type Role } from '../src/modules/access/contract.ts'
import type { Identity } from '../src/modules/identity/contract.ts'
import { operatorCaller } from '../src/operator/operator-scope.ts'
import { unbuilt } from '../src/operator/unbuilt.ts'
import { freshHouse, password, type TestHouse, type TestTenant } from './kit/house.ts'
import { codesOf } from './matrix/operation.ts'
import { everything, gid, planted, planter, rawId, type Answer, type Person, type Variables } from './matrix/world.ts'

let house: TestHouse
let cedar: TestTenant
let plant: ReturnType<typeof planter>
/** The administrator's other membership. */
let adminAsClinician: string
const tokens = new Map<Role, string>()

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  plant = planter(house, cedar)
  const identity = house.composed.made['identity']!.contract as Identity
  const { email } = cedar.member.tenant_admin
  const added = await house.database
    .unit(operatorCaller(cedar.id))
    .command((scope) => identity.operatorAddMember(scope, { email, password, role: 'clinician' }))
  adminAsClinician = gid('Membership', added.membershipId)
  for (const role of ['tenant_admin', 'care_coordinator', 'clinician', 'family'] as const) tokens.set(role, await house.signIn(cedar, role))
}, 60_000)
afterAll(() => house?.close())

const member = (role: Role): string => gid('Membership', cedar.member[role].membershipId)
const ask = (role: Role, document: string, variables: Variables = {}, bearer = tokens.get(role)!): Promise<Answer> =>
  house.ask({ plane: planeOf(role), bearer }, document, variables)
async function succeed(role: Role, document: string, variables: Variables = {}): Promise<Answer> {
  const answer = await ask(role, document, variables)
  expect(codesOf(answer, Object.keys(answer.data ?? {})[0] ?? ''), JSON.stringify(answer)).toEqual([])
  return answer
}

const assignRole = 'mutation ($id: ID!, $role: Role!) { assignRole(membershipId: $id, role: $role) { __typename ... on Fault { code } } }'
const deactivate = 'mutation ($id: ID!) { deactivateMember(id: $id) { __typename ... on Fault { code } } }'
const suspend = 'mutation ($id: ID!) { suspendMember(id: $id) { __typename ... on Fault { code } } }'
const resume = 'mutation ($id: ID!) { resumeMember(id: $id) { __typename ... on Fault { code } } }'
const auditEvents = '{ auditEvents(first: 1) { edges { node { id } } } }'
const createRecipient = `mutation { createRecipient(input: { givenName: "Rima" }) { __typename ... on Fault { code } } }`
const viewer = '{ viewer { permissions membership { role } } }'

describe('with an access token that is still valid', () => {
  test('a removed role is gone at the next call, and the new one is there', async () => {
    const bearer = await house.signIn(cedar, 'compliance_officer')
    const officer = (document: string) => ask('compliance_officer', document, {}, bearer)
    expect(codesOf(await officer(auditEvents), 'auditEvents')).toEqual([])
    expect(codesOf(await officer(createRecipient), 'createRecipient')).toEqual(['FORBIDDEN'])

    await succeed('tenant_admin', assignRole, { id: member('compliance_officer'), role: 'care_coordinator' })
    expect(codesOf(await officer(auditEvents), 'auditEvents')).toEqual(['FORBIDDEN'])
    expect(codesOf(await officer(createRecipient), 'createRecipient')).toEqual([])
    const seen = (await officer(viewer)).data!['viewer']!
    expect(seen['permissions']).toEqual([...permissionsOf('care_coordinator')].sort())
  })

  test('a role that signs in on another plane ends the session', async () => {
    const bearer = await house.signIn(cedar, 'caregiver')
    expect(codesOf(await ask('caregiver', viewer, {}, bearer), 'viewer')).toEqual([])
    await succeed('tenant_admin', assignRole, { id: member('caregiver'), role: 'clinician' })
    expect(codesOf(await ask('caregiver', viewer, {}, bearer), 'viewer')).toEqual(['SESSION_ENDED'])
    expect(codesOf(await ask('clinician', viewer, {}, bearer), 'viewer')).toEqual(['TOKEN_WRONG_PLANE'])
  })

  test('a suspended member is out at the next call, stays out with that token when resumed, and an ended one for good', async () => {
    const bearer = await house.signIn(cedar, 'provider_manager')
    const seller = () => ask('provider_manager', '{ members(first: 1) { edges { node { id } } } }', {}, bearer)
    expect(codesOf(await seller(), 'members')).toEqual([])
    await succeed('tenant_admin', suspend, { id: member('provider_manager') })
    expect(codesOf(await seller(), 'members')).toEqual(['SESSION_ENDED'])
    await succeed('tenant_admin', resume, { id: member('provider_manager') })
    expect(codesOf(await seller(), 'members')).toEqual(['SESSION_ENDED'])

    const again = await house.signIn(cedar, 'provider_manager')
    expect(codesOf(await ask('provider_manager', viewer, {}, again), 'viewer')).toEqual([])
    await succeed('tenant_admin', deactivate, { id: member('provider_manager') })
    expect(codesOf(await ask('provider_manager', viewer, {}, again), 'viewer')).toEqual(['SESSION_ENDED'])
    await expect(house.signIn(cedar, 'provider_manager')).rejects.toThrow('INVALID_CREDENTIALS')
  })
})

describe('a link', () => {
  const hoursFromNow = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()
  const recipient = 'query ($id: ID!) { recipient(id: $id) { id givenName } }'
  const network = 'query ($id: ID!) { careNetwork(recipientId: $id) { depth } }'
  const update = `mutation ($id: ID!) {
    updateRecipient(input: { id: $id, version: 1, preferredLocale: "ar" }) { __typename ... on Fault { code } } }`
  const node = 'query ($id: ID!) { node(id: $id) { id } }'
  let mine: { clinician: string; family: string }

  beforeAll(async () => {
    mine = {
      clinician: await plant.party('CLINICIAN', cedar.member.clinician.membershipId),
      family: await plant.party('FAMILY', cedar.member.family.membershipId),
    }
  })

  async function expectReach(role: 'clinician' | 'family', { id }: Person): Promise<void> {
    expect((await succeed(role, recipient, { id })).data!['recipient']).toEqual({ id, givenName: planted.givenName })
    await succeed(role, network, { id })
    expect((await succeed(role, node, { id })).data!['node']).toEqual({ id })
  }

  async function expectNoReach(role: 'clinician' | 'family', { id }: Person): Promise<void> {
    for (const [field, document] of Object.entries({ recipient, careNetwork: network, updateRecipient: update })) {
      expect(codesOf(await ask(role, document, { id }), field), field).toEqual(['NOT_FOUND'])
    }
    expect((await ask(role, node, { id })).data).toEqual({ node: null })
    const list = await succeed(role, '{ recipients(first: 100) { edges { node { id } } } }')
    expect(list.data!['recipients']!.edges!.map((edge) => edge.node.id)).not.toContain(id)
  }

  const endLink = 'mutation ($id: ID!) { endLink(id: $id) { __typename ... on Fault { code } } }'

  test.each(['clinician', 'family'] as const)('of a %s that is ended reaches nothing at the next call', async (role) => {
    const person = await plant.person()
    const link = await plant.link(mine[role], person.partyId, everything, { legalGuardian: role === 'family' })
    await expectReach(role, person)
    await succeed('care_coordinator', endLink, { id: link })
    await expectNoReach(role, person)
  })

  test.each(['clinician', 'family'] as const)('of a %s whose validTo is over reaches nothing, by the database’s clock', async (role) => {
    const person = await plant.person()
    const period = { validFrom: hoursFromNow(-2), validTo: hoursFromNow(1) }
    const link = await plant.link(mine[role], person.partyId, everything, { legalGuardian: role === 'family', ...period })
    await expectReach(role, person)
    // Stands for the hour to pass: the end it was made with now lies in the past, and nobody has ended it.
    await house.at.owner(`update care.edge set valid_to = now() - interval '1 second' where id = $1`, [rawId(link)])
    await expectNoReach(role, person)
  })

  test('that has not begun reaches nothing yet, and of two the one that is left still carries', async () => {
    const person = await plant.person()
    await plant.link(mine.clinician, person.partyId, everything, { validFrom: hoursFromNow(1) })
    await expectNoReach('clinician', person)
    await plant.link(mine.clinician, person.partyId, everything)
    const second = await plant.link(mine.clinician, person.partyId, everything)
    await succeed('care_coordinator', endLink, { id: second })
    await expectReach('clinician', person)
  })

  test('that ends takes the guardian’s view of the trail with it', async () => {
    const person = await plant.person()
    const link = await plant.link(mine.family, person.partyId, ['VIEW'], { legalGuardian: true })
    const account = 'query ($id: ID!) { accountingOfDisclosures(recipientId: $id) { edges { node { id } } } }'
    expect((await succeed('family', account, { id: person.id })).data!['accountingOfDisclosures']!.edges!.length).toBeGreaterThan(0)
    await succeed('care_coordinator', endLink, { id: link })
    expect(codesOf(await ask('family', account, { id: person.id }), 'accountingOfDisclosures')).toEqual(['NOT_FOUND'])
  })
})

describe('a tenant administrator', () => {
  test('holds no permission on health data and reads none on any way there is', async () => {
    expect([...permissionsOf('tenant_admin')].filter((one) => /^(phi|recipient|network|consent|note|careplan):/.test(one))).toEqual([])
    const person = await plant.person()
    const party = await plant.party('FAMILY')
    const link = await plant.link(party, person.partyId, everything)
    const consent = await plant.consent(person, party)
    const { id } = person
    const answers = [
      await ask('tenant_admin', `query ($id: ID!) { recipient(id: $id) { ${Object.keys(planted).join(' ')} } }`, { id }),
      await ask('tenant_admin', '{ recipients(first: 100) { edges { node { givenName } } } }'),
      await ask('tenant_admin', 'query ($id: ID!) { careNetwork(recipientId: $id) { members { party { name phone } } } }', { id }),
    ]
    for (const answer of answers) {
      expect(answer.errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN'])
      expect(JSON.stringify(answer.data)).not.toContain(planted.familyName)
    }
    const node = `query ($id: ID!) { node(id: $id) { __typename
      ... on CareRecipient { givenName state } ... on CareParty { name } ... on CareLink { relation } ... on Consent { purpose } } }`
    for (const one of [id, party, link, consent]) {
      expect((await ask('care_coordinator', node, { id: one })).data!['node']).toEqual(expect.any(Object))
      expect((await ask('tenant_admin', node, { id: one })).data).toEqual({ node: null })
    }
  })
})

describe('nobody grants to oneself', () => {
  test('a role: neither on the membership one acts with nor on another of one’s own', async () => {
    for (const id of [member('tenant_admin'), adminAsClinician]) {
      expect(codesOf(await ask('tenant_admin', assignRole, { id, role: 'compliance_officer' }), 'assignRole')).toEqual(['OWN_ROLE'])
    }
  })

  test('a link: not even a coordinator who reaches everybody', async () => {
    const person = await plant.person()
    const own = await plant.party('CLINICIAN', cedar.member.care_coordinator.membershipId)
    const link = `mutation ($fromId: ID!, $toId: ID!) {
      linkParty(input: { fromId: $fromId, toId: $toId, relation: NURSE, capabilities: [PHI] }) { __typename ... on Fault { code } } }`
    expect(codesOf(await ask('care_coordinator', link, { fromId: own, toId: person.partyId }), 'linkParty')).toEqual(['SELF_GRANT'])
  })

  test('a role by way of a letter: each role invites within its circle', async () => {
    const invite = `mutation ($role: Role!) {
      inviteMember(input: { email: "newcomer@cedar.test", role: $role }) { __typename ... on Fault { code } } }`
    for (const role of ['tenant_admin', 'compliance_officer', 'care_coordinator']) {
      expect(codesOf(await ask('care_coordinator', invite, { role }), 'inviteMember')).toEqual(['ROLE_OUT_OF_REACH'])
    }
  })

  test('what separates the deciding from the asking has no operation yet, and is said to be unbuilt', () => {
    const apart = ['phi:export', 'bid:accept']
    expect(unbuilt(house.composed).permissions).toEqual(expect.arrayContaining(apart))
  })
})
