import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../../kernel/id.ts'
import type { Caller } from '../../kernel/scope.ts'
import { withClient } from '../../platform/db/provision.ts'
import { capabilities } from './rules.ts'
import { careHouse, daysFromNow, gid, membershipOf, pick, planting, type Answer, type CareHouse, type Planting } from '../../../test/kit/care.ts'
import { typed } from '../../../test/kit/typed.ts'

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

const recipientId = (id: string) => gid('CareRecipient', id)
const onFault = '... on Fault { code message } ... on InvalidFault { issues { path } }'
const create = `mutation ($input: CreateRecipientInput!) { done: createRecipient(input: $input) { __typename ${onFault}
  ... on CareRecipient { id givenName familyName birthYear version party { kind name } } } }`
const updatePhi = `mutation ($input: UpdatePhiInput!) { done: updatePhi(input: $input) { __typename ${onFault}
  ... on CareRecipient { givenName familyName phone birthYear version } } }`
const update = `mutation ($input: UpdateRecipientInput!) { done: updateRecipient(input: $input) { __typename ${onFault}
  ... on CareRecipient { preferredLocale areaGeohash5 version } } }`
const read = `query ($id: ID!) { recipient(id: $id) { givenName familyName phone address birthYear version state } }`

type Done = Readonly<Record<string, unknown>>
const done = async (who: Caller, source: string, variables: Record<string, unknown>): Promise<Done> => {
  const { data, errors } = await house.ask(who, source, variables)
  expect(errors).toBeUndefined()
  return data!['done'] as Done
}

/** A clinician with a link to the recipient that carries these capabilities. */
async function clinicianOf(recipient: { partyId: string }, ...carried: (typeof capabilities)[number][]): Promise<Caller> {
  const clinician = house.member(tenantId, 'clinician')
  await plant.link(await plant.party('CLINICIAN', clinician), recipient.partyId, carried)
  return clinician
}

describe('a recipient', () => {
  test('is made with her own party, an audit row with field names, and one event', async () => {
    const name = { givenName: 'فَاطِمَة'.normalize('NFC'), familyName: 'حدّاد'.normalize('NFC') }
    const made = await done(coordinator, create, { input: { ...name, birthDate: '1941-03-27', sex: 'FEMALE' } })
    expect(made).toMatchObject({ ...name, birthYear: 1941, version: 1 })
    expect(made['party']).toEqual({ kind: 'RECIPIENT', name: `${name.givenName} ${name.familyName}` })
    const trail = await house.at.owner(
      "select detail, subject_id = resource_id as hers from audit.event where tenant_id = $1 and action = 'recipient.created'",
      [tenantId],
    )
    expect(trail).toEqual([{ detail: { fields: ['givenName', 'familyName', 'birthDate', 'sex'] }, hers: true }])
    const events = await house.at.owner("select name, payload from outbox.event where tenant_id = $1 and name like 'care.%'", [tenantId])
    expect(events).toEqual([{ name: 'care.recipient.created', payload: { recipientId: expect.stringMatching(/^[0-9a-f-]{36}$/) } }])
  })

  test('has a name in any script, with marks, joiners and characters beyond the first plane', async () => {
    for (const givenName of ['قَمَرُ ٱلدِّين', 'می‌خواهم', '𠮷野', 'Ẹ̀ḷọ́', 'x'.repeat(120)]) {
      expect((await done(coordinator, create, { input: { givenName } }))['givenName']).toBe(givenName.normalize('NFC'))
    }
  })

  test('has no name that hides or forges what a reader sees, no day that is none, and nothing out of bounds', async () => {
    const names = ['', '   ', 'a\u202eb', '\u2067a', 'a\u0000b', 'a\nb', '\ud800', 'a\ufeffb', 'x'.repeat(121)]
    const bad = [
      ...names.map((givenName) => [{ givenName }, 'givenName']),
      ...['1941-02-30', '1849-12-31', '41-03-27', '2999-01-01', '1941-03-27T00:00:00Z'].map((birthDate) => [{ birthDate }, 'birthDate']),
      ...['+962 79\u0000', 'call me', '1', '٠٧٩'].map((phone) => [{ phone }, 'phone']),
      [{ areaGeohash5: 'abcde' }, 'areaGeohash5'],
      [{ preferredLocale: 'fr' }, 'preferredLocale'],
    ] as const
    for (const [wrong, path] of bad) {
      const answer = await done(coordinator, create, { input: { givenName: 'Amal', ...(wrong as object) } })
      expect(answer, JSON.stringify(wrong)).toMatchObject({ __typename: 'InvalidFault', code: 'INVALID_INPUT' })
      expect(new Set(pick(answer, 'issues.*.path') as string[])).toEqual(new Set([path]))
    }
    expect(await house.at.owner('select from care.recipient where tenant_id = $1', [tenantId])).toHaveLength(0)
  })

  test('takes no tenant, owner or prototype from its input', async () => {
    for (const smuggled of ['tenantId', 'createdBy', 'membershipId', 'phi', '__proto__']) {
      const source = `mutation { createRecipient(input: { givenName: "Amal", ${smuggled}: "${newId()}" }) { __typename } }`
      const { errors, data } = await house.ask(coordinator, source)
      expect(data).toBeUndefined()
      expect(errors![0]!.message).toContain(smuggled)
    }
  })

  test('is made by a relative for herself only, and only once', async () => {
    const relative = house.member(tenantId, 'family')
    const attempts = await Promise.all([1, 2].map(() => done(relative, create, { input: { givenName: 'Salma' } })))
    expect(attempts.map((one) => one['code'] ?? one['givenName']).sort()).toEqual(['ALREADY_RECIPIENT', 'Salma'])
    const membershipId = membershipOf(relative)
    const { parties } = await house.read(relative, (scope) => house.care.partiesOfMember(scope, { membershipId }))
    expect(parties).toEqual([{ id: expect.any(String), kind: 'RECIPIENT', recipientId: expect.any(String) }])
    const forAnother = house.command(house.member(tenantId, 'family'), (scope) =>
      house.care.createRecipient(scope, { givenName: 'Amal', membershipId: newId() }),
    )
    await expect(forAnother).rejects.toMatchObject({ code: 'LINK_REFUSED' })
    const other = await house.ask(house.member(tenantId, 'family'), '{ recipients { edges { node { id } } } }')
    expect(pick(other.data, 'recipients.edges')).toEqual([])
  })

  test('is listed in pages by cursors that stay, filtered by state, and only where the caller reaches', async () => {
    const made = [await plant.recipient(), await plant.recipient(), await plant.recipient()]
    const list = `query ($state: RecipientState) { recipients(state: $state) { edges { node { id } } } }`
    const idsOf = (answer: Answer) => pick(answer.data, 'recipients.edges.*.node.id') as string[]
    const { RecipientsDocument } = typed.console
    const first = (await house.ask(coordinator, RecipientsDocument, { first: 2 })).data!.recipients
    const second = (await house.ask(coordinator, RecipientsDocument, { first: 2, after: first.pageInfo.endCursor })).data!.recipients
    const ids = [...first.edges, ...second.edges].map(({ node }) => node.id)
    expect(ids).toEqual(made.map(({ id }) => recipientId(id)))
    expect([first, second].map(({ pageInfo }) => pageInfo.hasNextPage)).toEqual([true, false])
    const clinician = await clinicianOf(made[1]!, 'VIEW')
    expect(idsOf(await house.ask(clinician, list))).toEqual([recipientId(made[1]!.id)])
    await house.command(coordinator, (scope) => house.care.archiveRecipient(scope, { id: made[0]!.id, version: 1 }))
    expect(idsOf(await house.ask(coordinator, list, { state: 'ACTIVE' }))).toEqual(ids.slice(1))
  })

  test('changes under the version that was read, by those whose link carries EDIT', async () => {
    const one = await plant.recipient()
    const editor = await clinicianOf(one, 'EDIT')
    const viewer = await clinicianOf(one, 'VIEW', 'PHI', 'MANAGE')
    const input = { id: recipientId(one.id), version: 1, preferredLocale: 'ar', areaGeohash5: 'sv9k0' }
    expect(await done(viewer, update, { input })).toMatchObject({ code: 'CAPABILITY_MISSING' })
    expect(await done(house.member(tenantId, 'clinician'), update, { input })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await done(editor, update, { input })).toMatchObject({ preferredLocale: 'ar', areaGeohash5: 'sv9k0', version: 2 })
    expect(await done(editor, update, { input })).toMatchObject({ code: 'STALE_VERSION' })
  })

  test('once archived changes no more', async () => {
    const one = await plant.recipient()
    const input = { id: recipientId(one.id), version: 2 }
    const archive = (version: number) =>
      house.command(coordinator, (scope) => house.care.archiveRecipient(scope, { id: one.id, version }))
    await expect(archive(7)).rejects.toMatchObject({ code: 'STALE_VERSION' })
    expect((await archive(1)).state).toBe('ARCHIVED')
    await expect(archive(2)).rejects.toMatchObject({ code: 'INVALID_TRANSITION' })
    expect(await done(coordinator, update, { input: { ...input, preferredLocale: 'ar' } })).toMatchObject({ code: 'RECIPIENT_ARCHIVED' })
    expect(await done(coordinator, updatePhi, { input: { ...input, phone: '123' } })).toMatchObject({ code: 'RECIPIENT_ARCHIVED' })
    await expect(plant.link(await plant.party('FAMILY'), one.partyId, [])).rejects.toMatchObject({ code: 'RECIPIENT_ARCHIVED' })
  })
})

describe('protected fields', () => {
  test('change one by one: the given ones, the emptied ones, and no other', async () => {
    const one = await plant.recipient({ givenName: 'Amal', familyName: 'Haddad', phone: '+962 79 000', birthDate: '1941-03-27' })
    const editor = await clinicianOf(one, 'PHI', 'EDIT')
    const input = { id: recipientId(one.id), version: 1, familyName: 'Khoury', clear: ['phone', 'birthDate'] }
    expect(await done(editor, updatePhi, { input })).toEqual({
      __typename: 'CareRecipient', givenName: 'Amal', familyName: 'Khoury', phone: null, birthYear: null, version: 2,
    })
    const trail = "select detail from audit.event where tenant_id = $1 and action = 'recipient.phi_updated'"
    expect(await house.at.owner(trail, [tenantId])).toEqual([{ detail: { fields: ['familyName', 'phone', 'birthDate'] } }])
    const nameless = { ...input, version: 2, clear: ['givenName'] }
    expect(await done(editor, updatePhi, { input: nameless })).toMatchObject({ code: 'INVALID_INPUT' })
  })

  test('lose nothing when two change them at once: one is told to read again', async () => {
    const one = await plant.recipient({ phone: '111' })
    const change = (field: object) => done(coordinator, updatePhi, { input: { id: recipientId(one.id), version: 1, ...field } })
    // Both have opened the same envelope when the row becomes free.
    const outcomes = await withClient(house.at.ownerUrl, async (client) => {
      await client.query('begin')
      await client.query('select from care.recipient where id = $1 for update', [one.id])
      const both = [change({ phone: '222' }), change({ familyName: 'Khoury' })]
      const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
      await expect.poll(async () => (await house.at.owner(waiting)).length, { timeout: 4_000 }).toBe(2)
      await client.query('commit')
      return Promise.all(both)
    })
    expect(outcomes.map((made) => made['code'] ?? made['version']).sort()).toEqual([2, 'STALE_VERSION'])
    const { data } = await house.ask(coordinator, read, { id: recipientId(one.id) })
    const first = outcomes[0]!['version'] === 2
    expect(data!['recipient']).toMatchObject(first ? { phone: '222', familyName: null } : { phone: '111', familyName: 'Khoury' })
  })

  test('are written only over a link that carries EDIT, and never by a relative', async () => {
    const guardian = house.member(tenantId, 'family')
    const one = await plant.recipient()
    await plant.link(await plant.party('FAMILY', guardian), one.partyId, capabilities, { legalGuardian: true })
    const input = { id: recipientId(one.id), version: 1, phone: '123' }
    expect(await done(await clinicianOf(one, 'PHI'), updatePhi, { input })).toMatchObject({ code: 'CAPABILITY_MISSING' })
    expect(await done(house.member(tenantId, 'clinician'), updatePhi, { input })).toMatchObject({ code: 'NOT_FOUND' })
    expect((await house.ask(guardian, updatePhi, { input })).errors![0]!.message).toContain('UpdatePhiInput')
    const byContract = house.command(guardian, (scope) => house.care.updatePhi(scope, { ...input, id: one.id }))
    await expect(byContract).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })

  test('are read over a link that carries PHI; over another they are null with a code, and the record stays', async () => {
    const [open, shut] = [await plant.recipient({ givenName: 'Amal' }), await plant.recipient({ givenName: 'Salma' })]
    const clinician = house.member(tenantId, 'clinician')
    const party = await plant.party('CLINICIAN', clinician)
    await plant.link(party, open.partyId, ['PHI'])
    await plant.link(party, shut.partyId, ['EDIT', 'MANAGE'])
    const { data, codes, errors } = await house.ask(clinician, '{ recipients { edges { node { id givenName phone version } } } }')
    expect(pick(data, 'recipients.edges.*.node')).toEqual([
      { id: recipientId(open.id), givenName: 'Amal', phone: null, version: 1 },
      { id: recipientId(shut.id), givenName: null, phone: null, version: 1 },
    ])
    expect(codes).toEqual(['PHI_NOT_GRANTED', 'PHI_NOT_GRANTED'])
    expect(errors![0]!.path).toEqual(['recipients', 'edges', 1, 'node', 'givenName'])
  })

  test('take a link that is live itself: beside a live VIEW, a PHI that is over or yet to come opens nothing', async () => {
    const one = await plant.recipient()
    const clinician = house.member(tenantId, 'clinician')
    const party = await plant.party('CLINICIAN', clinician)
    await plant.link(party, one.partyId, ['VIEW'])
    await plant.link(party, one.partyId, capabilities, { validFrom: daysFromNow(1) })
    const over = await plant.link(party, one.partyId, capabilities)
    const see = async () => (await house.ask(clinician, `{ recipient(id: "${recipientId(one.id)}") { givenName party { name } } }`)).codes
    expect(await see()).toEqual([])
    await house.command(coordinator, (scope) => house.care.endLink(scope, { id: over }))
    expect(await see()).toEqual(['PHI_NOT_GRANTED', 'PHI_NOT_GRANTED'])
    const input = { id: recipientId(one.id), version: 1, phone: '123' }
    expect(await done(clinician, updatePhi, { input })).toMatchObject({ code: 'CAPABILITY_MISSING' })
  })

  test('of a carer who is a recipient herself are nothing she treats', async () => {
    const clinician = house.member(tenantId, 'clinician')
    const herself = await plant.recipient({}, clinician)
    const input = { id: recipientId(herself.id), version: 1, phone: '123' }
    expect(await done(clinician, updatePhi, { input })).toMatchObject({ code: 'NOT_FOUND' })
    expect((await house.ask(clinician, read, { id: recipientId(herself.id) })).codes).toContain('PHI_NOT_GRANTED')
  })

  test('leave one audit row a record and operation, with the names of the fields asked for and no other', async () => {
    const [a, b] = [await plant.recipient(), await plant.recipient()]
    const clinician = await clinicianOf(a, 'PHI')
    const viewed = await house.ask(clinician, `{ recipients { edges { node { givenName again: givenName birthYear } } }
      recipient(id: "${recipientId(a.id)}") { phone party { name } } }`)
    expect(viewed.errors).toBeUndefined()
    await house.ask(clinician, `{ recipient(id: "${recipientId(a.id)}") { id birthYear } }`)
    await house.ask(clinician, `{ recipient(id: "${recipientId(b.id)}") { givenName } }`)
    const rows = await house.at.owner<{ detail: { fields: string[] } }>(
      `select subject_id as id, outcome, detail, purpose, actor_id as actor from audit.event where tenant_id = $1 and action = 'phi.read'`,
      [tenantId],
    )
    expect(rows).toEqual([
      {
        id: a.id,
        outcome: 'done',
        detail: { fields: expect.arrayContaining(['givenName', 'familyName', 'phone']) },
        purpose: 'TREATMENT',
        actor: membershipOf(clinician),
      },
    ])
    expect(rows[0]!.detail.fields).toHaveLength(3)
  })

  test('that were refused leave a denied row, and roles without the permission get FORBIDDEN', async () => {
    const one = await plant.recipient()
    await house.ask(await clinicianOf(one, 'VIEW'), read, { id: recipientId(one.id) })
    const rows = await house.at.owner("select outcome, detail from audit.event where tenant_id = $1 and action = 'phi.read'", [tenantId])
    expect(rows).toEqual([{ outcome: 'denied', detail: { fields: ['givenName', 'familyName', 'phone', 'address'] } }])
    const source = `{ recipient(id: "${recipientId(one.id)}") { birthYear givenName } }`
    const officer = await house.ask(house.member(tenantId, 'compliance_officer'), source)
    expect([officer.data!['recipient'], officer.codes]).toEqual([{ birthYear: null, givenName: null }, ['FORBIDDEN']])
    const admin = await house.ask(house.member(tenantId, 'tenant_admin'), read, { id: recipientId(one.id) })
    expect([admin.data!['recipient'], admin.codes]).toEqual([null, ['FORBIDDEN']])
  })

  test('of two changes in one operation are each answered as they then were', async () => {
    const one = await plant.recipient()
    const change = (version: number, phone: string) =>
      `updatePhi(input: { id: "${recipientId(one.id)}", version: ${version}, phone: "${phone}" }) { ... on CareRecipient { phone } }`
    const { data } = await house.ask(coordinator, `mutation { a: ${change(1, '111')} b: ${change(2, '222')} }`)
    expect(data).toEqual({ a: { phone: '111' }, b: { phone: '222' } })
  })

  test('fail closed while the keys cannot be had, and everything else goes on', async () => {
    const one = await plant.recipient({ birthDate: '1941-03-27' })
    const { ask } = house.cold((kms) => ({ ...kms, unwrap: () => kms.unwrap('v1|x', kms.keyId, { tenant: 'none', purpose: 'none' }) }))
    const { data, codes } = await ask(coordinator, `{ recipient(id: "${recipientId(one.id)}") { birthYear givenName phone } }`)
    expect(data!['recipient']).toEqual({ birthYear: 1941, givenName: null, phone: null })
    expect(codes).toEqual(['KEYS_UNAVAILABLE', 'KEYS_UNAVAILABLE'])
    const refused = await ask(coordinator, create, { input: { givenName: 'Amal' } })
    expect(pick(refused.data, 'done.code')).toBe('KEYS_UNAVAILABLE')
  })

  test('of an erased person are gone, and her record stays', async () => {
    const one = await plant.recipient()
    await house.at.owner("update vault.subject_key set state = 'DESTROYED', wrapped = null, tenant_key_version = null where subject_id = $1", [one.id])
    const { data, codes } = await house.ask(coordinator, `{ recipient(id: "${recipientId(one.id)}") { version givenName } }`)
    expect([data!['recipient'], codes]).toEqual([{ version: 1, givenName: null }, ['SUBJECT_ERASED']])
  })
})

test('others learn whom a caller reaches by permission and capability, and nobody else', async () => {
  const [a, b] = [await plant.recipient(), await plant.recipient()]
  const clinician = await clinicianOf(a, 'PHI')
  const ids = [a.id, b.id, newId()]
  const reach = async (who: Caller, permission: 'phi:read' | 'careplan:write' | 'phi:write', capability: (typeof capabilities)[number]) =>
    (await house.read(who, (scope) => house.care.mayReach(scope, { recipientIds: ids, permission, capability }))).recipientIds
  expect(await reach(clinician, 'phi:read', 'PHI')).toEqual([a.id])
  expect(await reach(clinician, 'careplan:write', 'EDIT')).toEqual([])
  expect((await reach(coordinator, 'phi:write', 'EDIT')).sort()).toEqual([a.id, b.id].sort())
  for (const role of ['tenant_admin', 'compliance_officer', 'family'] as const) {
    expect(await reach(house.member(tenantId, role), 'phi:read', 'PHI')).toEqual([])
  }
  await plant.link(await plant.party('CLINICIAN', clinician), b.partyId, ['PHI'], { validFrom: daysFromNow(1) })
  expect(await reach(clinician, 'phi:read', 'PHI')).toEqual([a.id])
})
