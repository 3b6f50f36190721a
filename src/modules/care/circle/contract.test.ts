import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { newId } from '../../../kernel/id.ts'
import type { Caller } from '../../../kernel/scope.ts'
import { ReadLane } from '../../../platform/db/read-lane.ts'
import { decodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { maxNetworkParties } from '../contract.ts'
import { capabilities, type Capability } from '../rules.ts'
import { careHouse, daysFromNow, gid, membershipOf, pick, planting, type CareHouse, type Planting } from '../../../../test/kit/care.ts'

let house: CareHouse
let tenantId: string
let plant: Planting
let coordinator: Caller
beforeAll(async () => {
  house = await careHouse()
})
beforeEach(async () => {
  tenantId = await house.tenant()
  plant = planting(house, tenantId)
  coordinator = plant.coordinator
})
afterAll(() => house.close())

const onFault = '... on Fault { code }'
const createParty = `mutation ($input: CreatePartyInput!) { done: createParty(input: $input) { __typename ${onFault}
  ... on CareParty { id kind name phone } } }`
const linkParty = `mutation ($input: LinkPartyInput!) { done: linkParty(input: $input) { __typename ${onFault}
  ... on CareLink { id relation capabilities legalGuardian live from { kind } to { kind recipient { id } } } } }`
const endLink = `mutation ($id: ID!) { done: endLink(id: $id) { __typename ${onFault} ... on EndedCareLink { linkId validTo } } }`
const grantConsent = `mutation ($input: GrantConsentInput!) { done: grantConsent(input: $input) { __typename ${onFault}
  ... on Consent { id state purpose fieldSet version grantee { kind } } } }`
const withdrawConsent = `mutation ($id: ID!) { done: withdrawConsent(id: $id) { __typename ${onFault} ... on Consent { state } } }`
const networkOf = `query ($id: ID!, $depth: Int) { careNetwork(recipientId: $id, depth: $depth) { depth truncated
  members { distance path capabilities combined relations legalGuardian party { id kind name } } } }`

type Done = Readonly<Record<string, unknown>>
const done = async (who: Caller, source: string, variables: Record<string, unknown>): Promise<Done> => {
  const { data, errors } = await house.ask(who, source, variables)
  expect(errors).toBeUndefined()
  return data!['done'] as Done
}
const edge = (from: string, to: string, carried: readonly string[], more: object = {}) => ({
  input: { fromId: gid('CareParty', from), toId: gid('CareParty', to), relation: 'OTHER', capabilities: carried, ...more },
})
const kindOf = { clinician: 'CLINICIAN', caregiver: 'CAREGIVER', family: 'FAMILY' } as const
async function memberLinked(role: keyof typeof kindOf, partyId: string, carried: readonly Capability[], more = {}) {
  const member = house.member(tenantId, role)
  const party = await plant.party(kindOf[role], member)
  const link = await plant.link(party, partyId, carried, more)
  return { member, party, link }
}

describe('a link', () => {
  test('is made by staff, with an audit row about the recipient and one event', async () => {
    const one = await plant.recipient()
    const made = await done(coordinator, linkParty, edge(await plant.party('FAMILY'), one.partyId, ['PHI'], { legalGuardian: true }))
    expect(made).toMatchObject({ capabilities: ['VIEW', 'PHI'], legalGuardian: true, live: true, from: { kind: 'FAMILY' } })
    expect(made['to']).toEqual({ kind: 'RECIPIENT', recipient: { id: gid('CareRecipient', one.id) } })
    const trail = "select subject_id, detail from audit.event where tenant_id = $1 and action = 'edge.linked'"
    const [row] = await house.at.owner(trail, [tenantId])
    expect(row).toEqual({ subject_id: one.id, detail: { capabilities: ['VIEW', 'PHI'], legalGuardian: true } })
    const events = await house.at.owner("select 1 from outbox.event where tenant_id = $1 and name = 'care.edge.linked'", [tenantId])
    expect(events).toHaveLength(1)
  })

  test('that leads from oneself is refused to everybody', async () => {
    const one = await plant.recipient()
    const clinician = await memberLinked('clinician', one.partyId, ['MANAGE'])
    expect(await done(clinician.member, linkParty, edge(clinician.party, one.partyId, ['VIEW']))).toMatchObject({ code: 'SELF_GRANT' })
    const own = await plant.party('FAMILY', coordinator)
    expect(await done(coordinator, linkParty, edge(own, one.partyId, ['VIEW']))).toMatchObject({ code: 'SELF_GRANT' })
  })

  test('in one\'s network takes MANAGE, hands on no more than one holds, and no guardianship', async () => {
    const one = await plant.recipient()
    const manager = (await memberLinked('clinician', one.partyId, ['MANAGE', 'PHI'])).member
    const viewer = (await memberLinked('clinician', one.partyId, ['VIEW', 'PHI', 'EDIT'])).member
    const { id } = await done(manager, createParty, { input: { kind: 'CAREGIVER', name: 'Omar' } })
    const from = decodeGlobalId(String(id)).id
    expect(await done(viewer, linkParty, edge(await ownParty(viewer), one.partyId, []))).toMatchObject({ code: 'CAPABILITY_MISSING' })
    expect(await done(manager, linkParty, edge(from, one.partyId, ['EDIT']))).toMatchObject({ code: 'LINK_REFUSED' })
    expect(await done(manager, linkParty, edge(from, one.partyId, [], { legalGuardian: true }))).toMatchObject({ code: 'LINK_REFUSED' })
    expect(await done(manager, linkParty, edge(from, one.partyId, ['PHI']))).toMatchObject({ __typename: 'CareLink' })
  })
  const ownParty = async (member: Caller) => {
    const { id } = await done(member, createParty, { input: { kind: 'ORG', name: 'Somebody' } })
    return decodeGlobalId(String(id)).id
  }

  test('has both ends in the caller\'s sight: a stranger\'s, another tenant\'s and an unknown party are NOT_FOUND', async () => {
    const [one, other] = [await plant.recipient(), await plant.recipient()]
    const { member } = await memberLinked('clinician', one.partyId, capabilities)
    const mine = await ownParty(member)
    const away = planting(house, await house.tenant())
    const [awayRecipient, awayParty] = [await away.recipient(), await away.party('FAMILY')]
    const hidden = await plant.party('FAMILY')
    const ends: [Caller, string, string][] = [
      [member, mine, other.partyId],
      [member, hidden, one.partyId],
      ...[member, coordinator].flatMap((who): [Caller, string, string][] => [
        [who, mine, awayRecipient.partyId],
        [who, awayParty, one.partyId],
        [who, newId(), one.partyId],
      ]),
    ]
    for (const [who, from, to] of ends) expect(await done(who, linkParty, edge(from, to, ['VIEW']))).toMatchObject({ code: 'NOT_FOUND' })
    const wrongType = { input: { ...edge(mine, one.partyId, []).input, toId: gid('CareRecipient', one.id) } }
    expect(await done(member, linkParty, wrongType)).toMatchObject({ code: 'NOT_FOUND' })
  })

  test('of a relative: the recipient and her legal guardian link others, an ordinary relative finds nobody', async () => {
    const guarded = await plant.recipient()
    const guardian = (await memberLinked('family', guarded.partyId, ['VIEW'], { legalGuardian: true })).member
    const relative = (await memberLinked('family', guarded.partyId, capabilities)).member
    expect(await done(guardian, linkParty, edge(await ownParty(guardian), guarded.partyId, capabilities))).toMatchObject({ live: true })
    expect(await done(relative, linkParty, edge(await ownParty(relative), guarded.partyId, []))).toMatchObject({ code: 'NOT_FOUND' })
    const herself = house.member(tenantId, 'family')
    const self = await plant.recipient({}, herself)
    expect(await done(herself, linkParty, edge(await ownParty(herself), self.partyId, ['PHI']))).toMatchObject({ live: true })
  })

  test('once ended grants nothing at the very next call, and ends once', async () => {
    const one = await plant.recipient()
    const { member, link } = await memberLinked('clinician', one.partyId, ['PHI'])
    const see = async () => (await house.ask(member, `{ recipient(id: "${gid('CareRecipient', one.id)}") { givenName } }`)).codes
    expect(await see()).toEqual([])
    expect(await done(member, endLink, { id: gid('CareLink', link) })).toMatchObject({ code: 'CAPABILITY_MISSING' })
    expect(await done(house.member(tenantId, 'clinician'), endLink, { id: gid('CareLink', link) })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await done(coordinator, endLink, { id: gid('CareLink', link) })).toMatchObject({ linkId: gid('CareLink', link) })
    expect(await see()).toEqual(['NOT_FOUND'])
    expect(await done(coordinator, endLink, { id: gid('CareLink', link) })).toMatchObject({ code: 'EDGE_ENDED' })
  })

  test('that has ended stays on record, without the party that has left the caller\'s sight', async () => {
    const one = await plant.recipient()
    const { member } = await memberLinked('clinician', one.partyId, ['PHI'])
    const gone = await memberLinked('caregiver', one.partyId, ['PHI'])
    await done(coordinator, endLink, { id: gid('CareLink', gone.link) })
    const source = `{ recipient(id: "${gid('CareRecipient', one.id)}") { party { incoming { edges { node { live from { kind } } } } } } }`
    const links = async (who: Caller) => {
      const { data, errors } = await house.ask(who, source)
      expect(errors).toBeUndefined()
      return pick(data, 'recipient.party.incoming.edges.*.node')
    }
    const live = { live: true, from: { kind: 'CLINICIAN' } }
    expect(await links(member)).toEqual([live, { live: false, from: null }])
    expect(await links(coordinator)).toEqual([live, { live: false, from: { kind: 'CAREGIVER' } }])
  })

  test('counts from its first moment until its last, and may be ended before it begins', async () => {
    const one = await plant.recipient()
    const future = await memberLinked('clinician', one.partyId, ['PHI'], { validFrom: daysFromNow(1) })
    const past = await memberLinked('clinician', one.partyId, ['PHI'], { validFrom: daysFromNow(-2), validTo: daysFromNow(2) })
    const see = async (who: Caller) => pick((await house.ask(who, '{ recipients { edges { node { id } } } }')).data, 'recipients.edges')
    expect([await see(future.member), await see(past.member)]).toEqual([[], [{ node: { id: gid('CareRecipient', one.id) } }]])
    await house.at.owner("update care.edge set valid_to = now() - interval '1 day' where id = $1", [past.link])
    expect(await see(past.member)).toEqual([])
    expect(await done(coordinator, endLink, { id: gid('CareLink', future.link) })).toMatchObject({ __typename: 'EndedCareLink' })
    const nonsense = edge(await plant.party('ORG'), one.partyId, [], { validTo: daysFromNow(-1) })
    expect(await done(coordinator, linkParty, nonsense)).toMatchObject({ code: 'INVALID_INPUT' })
  })
})

describe('a party', () => {
  test('says its name to those who may open PHI of somebody it stands around, to its maker and to itself', async () => {
    const [one, other] = [await plant.recipient({ givenName: 'Amal' }), await plant.recipient({ givenName: 'Salma' })]
    const sister = await plant.party('FAMILY', undefined, 'Layla')
    await plant.link(sister, one.partyId, ['VIEW'])
    await plant.link(other.partyId, one.partyId, ['VIEW'])
    const opener = (await memberLinked('clinician', one.partyId, ['PHI'])).member
    const viewer = (await memberLinked('clinician', one.partyId, ['VIEW'])).member
    const names = (who: Caller) =>
      house.ask(who, `{ x: careNetwork(recipientId: "${gid('CareRecipient', one.id)}") { members { party { name } } } }`)
    const opened = await names(opener)
    expect(pick(opened.data, 'x.members.*.party.name')).toEqual(expect.arrayContaining(['Amal', 'Layla', 'Somebody', null]))
    // The neighbour is a recipient herself, and not this clinician's.
    expect(opened.codes).toEqual(['PHI_NOT_GRANTED'])
    const shut = await names(viewer)
    expect((pick(shut.data, 'x.members.*.party.name') as unknown[]).filter(Boolean)).toEqual(['Somebody'])
    const trail = "select resource, outcome, subject_id as of from audit.event where resource_id = $1 and action = 'phi.read' order by at"
    expect(await house.at.owner(trail, [sister])).toEqual([
      { resource: 'CareParty', outcome: 'done', of: one.id },
      { resource: 'CareParty', outcome: 'denied', of: one.id },
    ])
  })

  test('tells whoever it is linked to that its name was read, of those the reader sees; a name in nobody\'s record tells nobody', async () => {
    const [one, other, hidden] = [await plant.recipient(), await plant.recipient(), await plant.recipient()]
    const son = await plant.party('FAMILY', undefined, 'Karim')
    for (const { partyId } of [one, other, hidden]) await plant.link(son, partyId, ['VIEW'])
    const nurse = await plant.party('CAREGIVER', undefined, 'Dina')
    for (let count = 0; count < 9; count++) await plant.link(nurse, (await plant.recipient()).partyId, ['VIEW'])
    const alone = await plant.party('ORG', undefined, 'Cedar Pharmacy')
    const clinician = house.member(tenantId, 'clinician')
    const hers = await plant.party('CLINICIAN', clinician)
    for (const { partyId } of [one, other]) await plant.link(hers, partyId, ['VIEW', 'PHI'])
    const read = async (who: Caller, id: string) =>
      pick((await house.ask(who, `{ node(id: "${gid('CareParty', id)}") { ... on CareParty { name } } }`)).data, 'node.name')
    const told = async (id: string) => {
      const sql = "select subject_id as of, detail->'fields' as fields from audit.event where resource_id = $1 and action = 'phi.read'"
      return (await house.at.owner<{ of: string | null; fields: string[] }>(`${sql} order by at, subject_id`, [id])).map(({ of, fields }) => [of, fields])
    }
    expect(await read(clinician, son)).toBe('Karim')
    expect(await told(son)).toEqual([one.id, other.id].sort().map((id) => [id, ['name']]))
    expect([await read(coordinator, nurse), await read(coordinator, alone)]).toEqual(['Dina', 'Cedar Pharmacy'])
    expect([await told(nurse), await told(alone)]).toEqual([[[null, ['name']]], [[null, ['name']]]])

    // The guardian of one of them finds the reader in the trail; the guardian of the hidden one, whom the reader cannot see, does not.
    const guardian = async (of: { id: string; partyId: string }) => {
      const member = house.member(tenantId, 'family')
      await plant.link(await plant.party('FAMILY', member), of.partyId, ['VIEW'], { legalGuardian: true })
      const sql = "select actor_id as reader from audit.event where action = 'phi.read' and resource = 'CareParty'"
      return (await house.asLogin<{ reader: string }>('maristan_consumer_read', member, sql)).map(({ reader }) => reader)
    }
    expect(await guardian(one)).toEqual([membershipOf(clinician)])
    expect(await guardian(hidden)).toEqual([])
  })

  test('is bound to a member by staff only, and a recipient\'s own is made with the recipient', async () => {
    for (const role of ['clinician', 'family'] as const) {
      const bind = house.command(house.member(tenantId, role), (scope) =>
        house.care.createParty(scope, { kind: 'FAMILY', name: 'Layla', membershipId: newId() }),
      )
      await expect(bind).rejects.toMatchObject({ code: 'LINK_REFUSED' })
    }
    const { errors } = await house.ask(coordinator, createParty, { input: { kind: 'RECIPIENT', name: 'Layla' } })
    expect(errors![0]!.message).toContain('OtherPartyKind')
  })
})

describe('a consent', () => {
  test('is given by the recipient or her guardian, read by her network, withdrawn once, and tells both in events', async () => {
    const herself = house.member(tenantId, 'family')
    const one = await plant.recipient({}, herself)
    const clinician = await memberLinked('clinician', one.partyId, ['VIEW'])
    const input = {
      recipientId: gid('CareRecipient', one.id),
      granteeId: gid('CareParty', clinician.party),
      purpose: 'TREATMENT',
      fieldSet: ['phone', 'givenName', 'phone'],
    }
    const given = await done(herself, grantConsent, { input })
    expect(given).toMatchObject({ state: 'GRANTED', fieldSet: ['phone', 'givenName'], grantee: { kind: 'CLINICIAN' } })
    const seen = await house.ask(clinician.member, `{ node(id: "${String(given['id'])}") { ... on Consent { state } } }`)
    expect(seen.data!['node']).toEqual({ state: 'GRANTED' })
    expect((await house.ask(clinician.member, withdrawConsent, { id: given['id'] })).errors![0]!.message).toContain('withdrawConsent')
    expect(await done(house.member(tenantId, 'family'), withdrawConsent, { id: given['id'] })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await done(herself, withdrawConsent, { id: given['id'] })).toMatchObject({ state: 'WITHDRAWN' })
    expect(await done(herself, withdrawConsent, { id: given['id'] })).toMatchObject({ code: 'INVALID_TRANSITION' })
    expect(await done(house.member(tenantId, 'family'), grantConsent, { input })).toMatchObject({ code: 'NOT_FOUND' })
    const events = await house.at.owner<{ payload: { state: string } }>(
      "select payload from outbox.event where tenant_id = $1 and name = 'care.consent.changed' order by at",
      [tenantId],
    )
    expect(events.map(({ payload }) => payload.state)).toEqual(['GRANTED', 'WITHDRAWN'])
  })

  test('ends by itself at its date', async () => {
    const one = await plant.recipient()
    const input = {
      recipientId: gid('CareRecipient', one.id),
      granteeId: gid('CareParty', await plant.party('ORG')),
      purpose: 'OPERATIONS',
      fieldSet: ['givenName'],
      validTo: daysFromNow(1),
    }
    const given = await done(coordinator, grantConsent, { input })
    await house.at.owner("update care.consent set valid_to = now() - interval '1 hour' where tenant_id = $1", [tenantId])
    const seen = await house.ask(coordinator, `{ node(id: "${String(given['id'])}") { ... on Consent { state } } }`)
    expect(seen.data!['node']).toEqual({ state: 'EXPIRED' })
    expect(await done(coordinator, withdrawConsent, { id: given['id'] })).toMatchObject({ code: 'INVALID_TRANSITION' })
    const past = { input: { ...input, validTo: daysFromNow(-1) } }
    expect(await done(coordinator, grantConsent, past)).toMatchObject({ code: 'INVALID_INPUT' })
  })
})

describe('the care network', () => {
  interface Member {
    readonly distance: number
    readonly path: readonly string[]
    readonly capabilities: readonly string[]
    readonly combined: readonly string[]
    readonly party: { readonly id: string }
  }
  const shape = async (who: Caller, id: string, depth?: number) => {
    const { data, errors } = await house.ask(who, networkOf, { id: gid('CareRecipient', id), ...(depth === undefined ? {} : { depth }) })
    expect(errors).toBeUndefined()
    return data!['careNetwork'] as { depth: number; truncated: boolean; members: Member[] }
  }

  test('goes from near to far, once round every cycle, and combines what each way carries', async () => {
    const one = await plant.recipient()
    const [a, b, c] = [await plant.party('CAREGIVER'), await plant.party('ORG'), await plant.party('ORG')]
    await plant.link(a, one.partyId, ['PHI', 'EDIT'])
    await plant.link(b, a, ['PHI', 'MANAGE'])
    await plant.link(c, b, ['EDIT'])
    await plant.link(one.partyId, c, capabilities)
    await plant.link(a, b, capabilities)
    const { members, truncated, depth } = await shape(coordinator, one.id)
    const id = (party: string) => gid('CareParty', party)
    expect({ depth, truncated }).toEqual({ depth: 3, truncated: false })
    expect(members.map((one) => [one.distance, one.party.id, one.path])).toEqual([
      [0, id(one.partyId), [id(one.partyId)]],
      [1, id(a), [id(a), id(one.partyId)]],
      [2, id(b), [id(b), id(a), id(one.partyId)]],
      [3, id(c), [id(c), id(b), id(a), id(one.partyId)]],
    ])
    expect(members.map((one) => one.capabilities.join())).toEqual(['', 'VIEW,PHI,EDIT', 'VIEW,PHI,MANAGE', 'VIEW,EDIT'])
    expect(members.map((one) => one.combined.join())).toEqual(['', 'VIEW,PHI,EDIT', 'VIEW,PHI', 'VIEW'])
  })

  test('is as deep as asked, at most six hops, and says when more was asked', async () => {
    const one = await plant.recipient()
    let last = one.partyId
    for (let hop = 1; hop <= 8; hop++) {
      const next = await plant.party('ORG')
      await plant.link(next, last, [])
      last = next
    }
    const deepest = async (depth?: number) => {
      const network = await shape(coordinator, one.id, depth)
      return [network.members.at(-1)!.distance, network.truncated]
    }
    expect([await deepest(), await deepest(1), await deepest(6), await deepest(7), await deepest(2 ** 31 - 1)]).toEqual([
      [3, false],
      [1, false],
      [6, false],
      [6, true],
      [6, true],
    ])
    for (const depth of [0, -1]) {
      expect((await house.ask(coordinator, networkOf, { id: gid('CareRecipient', one.id), depth })).codes).toEqual(['INVALID_INPUT'])
    }
  })

  test('holds who is linked now: an ended, expired or future link is not there, and several links of two parties add up', async () => {
    const one = await plant.recipient()
    const [now, ended, future] = [await plant.party('CAREGIVER'), await plant.party('CAREGIVER'), await plant.party('CAREGIVER')]
    await plant.link(now, one.partyId, ['PHI'])
    await plant.link(now, one.partyId, ['EDIT'])
    await plant.link(now, one.partyId, ['MANAGE'], { validFrom: daysFromNow(1) })
    await plant.link(future, one.partyId, [], { validFrom: daysFromNow(1) })
    await done(coordinator, endLink, { id: gid('CareLink', await plant.link(ended, one.partyId, [])) })
    const { members } = await shape(coordinator, one.id)
    expect(members.slice(1).map((member) => [member.party.id, member.capabilities])).toEqual([
      [gid('CareParty', now), ['VIEW', 'PHI', 'EDIT']],
    ])
  })

  test('shows at most five hundred parties and says that there are more', async () => {
    const one = await plant.recipient()
    await house.at.owner(
      `with made as (
         insert into care.party (tenant_id, id, kind, phi) select $1, gen_random_uuid(), 'ORG', phi
         from care.party, generate_series(1, $3::int) where id = $2 returning id
       )
       insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, capabilities, valid_from)
       select $1, gen_random_uuid(), id, $2, 'OTHER', '{VIEW}', now() - interval '1 day' from made`,
      [tenantId, one.partyId, maxNetworkParties],
    )
    const ask = (who: Caller) => house.read(who, (scope) => house.care.network(scope, { recipientId: one.id }))
    const network = await ask(coordinator)
    expect([network.members.length, network.truncated]).toEqual([maxNetworkParties, true])
  })

  test('and a page of recipients cost as many statements as the question is deep, not as there are rows', async () => {
    const statements = vi.spyOn(ReadLane.prototype, 'run')
    const page = '{ recipients { edges { node { givenName party { name incoming { edges { node { from { name phone } } } } } } } } }'
    const costs: number[] = []
    for (let rows = 0; rows < 3; rows++) {
      const one = await plant.recipient()
      for (let around = 0; around <= rows; around++) await plant.link(await plant.party('FAMILY'), one.partyId, [])
      for (const source of [page, `{ careNetwork(recipientId: "${gid('CareRecipient', one.id)}") { members { party { name } } } }`]) {
        statements.mockClear()
        expect((await house.ask(coordinator, source)).codes).toEqual([])
        costs.push(statements.mock.calls.length)
      }
    }
    statements.mockRestore()
    expect(costs).toEqual([...costs.slice(0, 2), ...costs.slice(0, 2), ...costs.slice(0, 2)])
  })

  test('is shown to those in it as far as they may see, and to nobody else', async () => {
    const one = await plant.recipient()
    const clinician = await memberLinked('clinician', one.partyId, ['VIEW'])
    const caregiver = await memberLinked('caregiver', one.partyId, ['VIEW'])
    const guardian = await memberLinked('family', one.partyId, [], { legalGuardian: true })
    const relative = await memberLinked('family', one.partyId, capabilities)
    const look = async (who: Caller) => {
      const source = `{ careNetwork(recipientId: "${gid('CareRecipient', one.id)}") { members { distance } } }`
      const { data, codes } = await house.ask(who, source)
      return (pick(data, 'careNetwork.members') as unknown[] | undefined)?.length ?? codes[0]
    }
    for (const { member } of [clinician, caregiver, guardian]) expect(await look(member)).toBe(5)
    expect(await look(house.member(tenantId, 'compliance_officer'))).toBe(5)
    expect(await look(relative.member)).toBe('NOT_FOUND')
    expect(await look(house.member(tenantId, 'clinician'))).toBe('NOT_FOUND')
    expect(await look(house.member(await house.tenant(), 'care_coordinator'))).toBe('NOT_FOUND')
    expect(await look(house.member(tenantId, 'tenant_admin'))).toBe('FORBIDDEN')
  })
})
