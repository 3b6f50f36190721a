/** What directories mean: roles by ordered rules, access cut with its receipt, nothing that comes back silently. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import { codeOf } from '../kit/administration.ts'
import type { TestTenant } from '../kit/house.ts'
import { groupBody, patchBody, scimRig, userBody, type Directory, type ScimRig } from '../kit/scim.ts'

let rig: ScimRig
let tenant: TestTenant
beforeAll(async () => {
  rig = await scimRig()
  tenant = await rig.house.tenant()
})
afterAll(() => rig.close())

let count = 0
const fresh = async (at = tenant): Promise<Directory> => rig.directory(at, `Directory ${++count}`)
const rule = (value: string, role: 'clinician' | 'caregiver' | 'care_coordinator') => ({ match: 'DISPLAY_NAME', value, role }) as const
const add = async (directory: Directory, userName = `m${newId().slice(-10)}@example.org`, more = {}) =>
  (await directory.ask('POST', '/Users', userBody(userName, more))).body['id'] as string
const group = async (directory: Directory, name: string, members: readonly string[] = []) =>
  (await directory.ask('POST', '/Groups', groupBody(name, members))).body['id'] as string
const memberOf = async (userId: string) => {
  const [row] = await rig.house.at.owner(
    `select m.id, m.role, m.plane, m.status::text as status, u.standing, i.email from scim."user" u
     left join identity.membership m on m.id = u.membership_id left join identity.identity i on i.id = m.identity_id where u.id = $1`,
    [userId],
  )
  return row as { id: string; role: string; plane: string; status: string; standing: string; email: string }
}
const patchMembers = (directory: Directory, groupId: string, op: 'add' | 'remove', ids: readonly string[]) =>
  directory.ask('PATCH', `/Groups/${groupId}`, patchBody({ op, path: 'members', value: ids.map((value) => ({ value })) }))
const session = async (membershipId: string, plane: string) => {
  const id = newId()
  await rig.house.at.owner(
    `insert into identity.session (tenant_id, id, membership_id, plane, via, refresh_hash, expires_at)
     select tenant_id, $1, id, $3, 'saml', $4, now() + interval '1 hour' from identity.membership where id = $2`,
    [id, membershipId, plane, newId()],
  )
  return id
}
const live = async (membershipId: string) =>
  (await rig.house.at.owner('select 1 from identity.session where membership_id = $1 and revoked_at is null', [membershipId])).length
const receipts = (userId: string) => rig.house.at.owner('select * from scim.receipt where user_id = $1 order by id', [userId])

describe('roles', () => {
  it('come from the first rule that matches, never from several, and from none where none matches', async () => {
    const entra = await fresh()
    await rig.rules(entra, [rule('Coordinators', 'care_coordinator'), rule('Nurses', 'clinician')])
    const [both, nurse, nobody] = [await add(entra), await add(entra), await add(entra)]
    await group(entra, 'Nurses', [both, nurse])
    await group(entra, 'coordinators', [both])
    await group(entra, 'Gardeners', [nobody])
    expect(await memberOf(both)).toMatchObject({ role: 'care_coordinator', plane: 'console', status: 'ACTIVE', standing: 'MEMBER' })
    expect(await memberOf(nurse)).toMatchObject({ role: 'clinician', plane: 'clinician', status: 'ACTIVE' })
    expect(await memberOf(nobody)).toMatchObject({ id: null })
  })

  it('follow groups: moved, and gone with the last group that means one', async () => {
    const entra = await fresh()
    await rig.rules(entra, [rule('A', 'clinician'), rule('B', 'caregiver')])
    const person = await add(entra)
    const [a, b] = [await group(entra, 'A', [person]), await group(entra, 'B', [person])]
    expect(await memberOf(person)).toMatchObject({ role: 'clinician' })
    await patchMembers(entra, a, 'remove', [person])
    expect(await memberOf(person)).toMatchObject({ role: 'caregiver', plane: 'courier', status: 'ACTIVE' })
    await entra.ask('DELETE', `/Groups/${b}`)
    expect(await memberOf(person)).toMatchObject({ status: 'SUSPENDED', standing: 'NO_ROLE' })
  })

  it('follow a group that is renamed into a rule or out of it', async () => {
    const entra = await fresh()
    await rig.rules(entra, [rule('Nurses', 'clinician')])
    const person = await add(entra)
    const id = await group(entra, 'Ward 3', [person])
    expect(await memberOf(person)).toMatchObject({ id: null })
    await entra.ask('PATCH', `/Groups/${id}`, patchBody({ op: 'replace', value: { id, displayName: 'Nurses' } }))
    expect(await memberOf(person)).toMatchObject({ role: 'clinician', status: 'ACTIVE' })
    await entra.ask('PATCH', `/Groups/${id}`, patchBody({ op: 'replace', path: 'displayName', value: 'Ward 4' }))
    expect(await memberOf(person)).toMatchObject({ status: 'SUSPENDED' })
  })

  it('are previewed before they are applied, and the preview changes nothing', async () => {
    const entra = await fresh()
    const person = await add(entra, 'previewed@example.org')
    await group(entra, 'Nurses', [person])
    const unit = rig.house.database.unit(tenant.member.tenant_admin.caller)
    const asked = { connectionId: entra.connectionId, rules: [rule('Nurses', 'clinician')] }
    const preview = await unit.read(() => rig.scim.previewRules(unit.scope, asked))
    expect(preview).toEqual({
      people: 1,
      changing: 1,
      changes: [{ userId: person, userName: 'previewed@example.org', from: null, to: 'clinician' }],
    })
    expect(await memberOf(person)).toMatchObject({ id: null })
    expect(await rig.rules(entra, asked.rules)).toEqual(preview)
    expect(await memberOf(person)).toMatchObject({ role: 'clinician', status: 'ACTIVE' })
  })

  it('of an administrator or an officer are mapped only by an administrator with a second factor', async () => {
    const entra = await fresh()
    for (const role of ['tenant_admin', 'compliance_officer'] as const) {
      expect(await codeOf(rig.rules(entra, [{ match: 'DISPLAY_NAME', value: 'Chiefs', role }]))).toBe('SECOND_FACTOR_NEEDED')
    }
    expect(await codeOf(rig.rules(entra, [rule('Chiefs', 'care_coordinator')]))).toBe('done')
  })

  it('never take over a member who was there before, until an administrator links the two', async () => {
    const entra = await fresh()
    const clinician = tenant.member.clinician
    await rig.rules(entra, [rule('Nurses', 'clinician')])
    const person = await add(entra, clinician.email)
    await group(entra, 'Nurses', [person])
    expect(await memberOf(person)).toMatchObject({ id: null, standing: 'HELD' })
    await entra.ask('PATCH', `/Users/${person}`, patchBody({ op: 'replace', path: 'active', value: 'False' }))
    const [row] = await rig.house.at.owner('select status::text from identity.membership where id = $1', [clinician.membershipId])
    expect(row!['status']).toBe('ACTIVE')
  })
})

describe('deactivation', () => {
  const member = async (entra: Directory) => {
    await rig.rules(entra, [rule('Nurses', 'clinician')])
    const person = await add(entra)
    await group(entra, 'Nurses', [person])
    const { id } = await memberOf(person)
    await session(id, 'clinician')
    await session(id, 'clinician')
    return { person, id }
  }

  it.each<[string, (person: string) => readonly [string, string, unknown]]>([
    ['a PATCH', (person: string) => ['PATCH', `/Users/${person}`, patchBody({ op: 'Replace', path: 'active', value: 'False' })]],
    ['a PUT', (person: string) => ['PUT', `/Users/${person}`, userBody(`put${person}@example.org`, { active: false })]],
  ])('by %s ends every session at once and leaves a receipt', async (_name, request) => {
    const entra = await fresh()
    const { person, id } = await member(entra)
    expect((await entra.ask(...request(person))).status).toBe(200)
    expect(await memberOf(person)).toMatchObject({ status: 'SUSPENDED', standing: 'INACTIVE' })
    expect(await live(id)).toBe(0)
    expect(await receipts(person)).toMatchObject([{ cause: 'DEACTIVATED', membership_id: id, sessions: 2, was_last_admin: false }])
  })

  it('by DELETE ends the membership for good', async () => {
    const entra = await fresh()
    const { person, id } = await member(entra)
    expect((await entra.ask('DELETE', `/Users/${person}`)).status).toBe(204)
    expect(await live(id)).toBe(0)
    expect(await rig.house.at.owner('select status::text from identity.membership where id = $1', [id])).toEqual([{ status: 'ENDED' }])
    expect(await receipts(person)).toMatchObject([{ cause: 'DELETED', sessions: 2 }])
  })

  it('is taken back with the role of now, and no session comes back', async () => {
    const entra = await fresh()
    const { person, id } = await member(entra)
    const set = (active: boolean) => entra.ask('PATCH', `/Users/${person}`, patchBody({ op: 'replace', value: { active } }))
    await set(false)
    await rig.rules(entra, [rule('Nurses', 'caregiver')])
    await set(true)
    expect(await memberOf(person)).toMatchObject({ id, status: 'ACTIVE', role: 'caregiver', plane: 'courier' })
    expect(await live(id)).toBe(0)
  })

  it('is not taken back by a PUT that says nothing of it, nor does a PUT drop memberships', async () => {
    const entra = await fresh()
    const { person } = await member(entra)
    await entra.ask('PUT', `/Users/${person}`, userBody(`new${person}@example.org`))
    expect(await memberOf(person)).toMatchObject({ status: 'ACTIVE', role: 'clinician' })
    await entra.ask('PATCH', `/Users/${person}`, patchBody({ op: 'replace', value: { active: false } }))
    await entra.ask('PUT', `/Users/${person}`, userBody(`new${person}@example.org`))
    expect(await memberOf(person)).toMatchObject({ status: 'SUSPENDED' })
  })

  it('of many within an hour cuts each at once and flags the connection for a person', async () => {
    const mine = await rig.house.tenant()
    const entra = await fresh(mine)
    const unit = rig.house.database.unit(mine.member.tenant_admin.caller)
    const { connectionId } = entra
    await unit.command((scope) => rig.scim.setMassChangeAt(scope, { connectionId, massChangeAt: 3 }), 'maristan_auth')
    await rig.rules(entra, [rule('Nurses', 'clinician')])
    const people = [await add(entra), await add(entra), await add(entra)]
    const nurses = await group(entra, 'Nurses', people)
    const flagged = async () => (await rig.house.at.owner('select flagged_changes from scim.connection where id = $1 and flagged_at is not null', [connectionId]))
    await patchMembers(entra, nurses, 'remove', people.slice(0, 2))
    expect(await flagged()).toEqual([])
    await patchMembers(entra, nurses, 'remove', people.slice(2))
    expect(await flagged()).toEqual([{ flagged_changes: 3 }])
    for (const person of people) expect(await memberOf(person)).toMatchObject({ status: 'SUSPENDED' })
    const events = await rig.house.at.owner("select payload from outbox.event where tenant_id = $1 and name = 'scim.mass_change.flagged'", [mine.id])
    expect(events).toEqual([{ payload: { connectionId, changes: 3 } }])
    const looking = rig.house.database.unit(mine.member.tenant_admin.caller)
    const shownReceipts = await looking.read(() => rig.scim.receipts(looking.scope, { connectionId, first: 50 }))
    expect(shownReceipts.map(({ cause }) => cause)).toEqual(['ROLE_LOST', 'ROLE_LOST', 'ROLE_LOST'])
    await looking.command((scope) => rig.scim.acknowledgeMassChange(scope, { connectionId }), 'maristan_auth')
    expect(await flagged()).toEqual([])
  })
})

describe('the directory\'s own id of a person', () => {
  it('is followed by the link that single sign-on finds the member by, after a PUT and after a PATCH', async () => {
    const entra = await fresh()
    await rig.rules(entra, [rule('Nurses', 'clinician')])
    const person = await add(entra, 'renamed@example.org', { externalId: 'first' })
    await group(entra, 'Nurses', [person])
    const { id } = await memberOf(person)
    const linked = async () =>
      (await rig.house.at.owner('select membership_id, external_id from identity.directory_link where connection_id = $1', [entra.connectionId]))
    expect(await linked()).toEqual([{ membership_id: id, external_id: 'first' }])
    await entra.ask('PATCH', `/Users/${person}`, patchBody({ op: 'replace', path: 'externalId', value: 'second' }))
    expect(await linked()).toEqual([{ membership_id: id, external_id: 'second' }])
    await entra.ask('PUT', `/Users/${person}`, userBody('renamed@example.org', { externalId: 'third' }))
    expect(await linked()).toEqual([{ membership_id: id, external_id: 'third' }])
    await entra.ask('PATCH', `/Users/${person}`, patchBody({ op: 'remove', path: 'externalId' }))
    expect(await linked()).toEqual([{ membership_id: id, external_id: null }])
  })

  it('that another has answers 409, and nothing changes', async () => {
    const entra = await fresh()
    await rig.rules(entra, [rule('Nurses', 'clinician')])
    const [one, other] = [await add(entra, undefined, { externalId: 'one' }), await add(entra, undefined, { externalId: 'other' })]
    await group(entra, 'Nurses', [one, other])
    const to = (value: string) => entra.ask('PATCH', `/Users/${one}`, patchBody({ op: 'replace', path: 'externalId', value }))
    expect((await to('other')).body).toMatchObject({ status: '409', scimType: 'uniqueness' })
    // Of a link that an administrator made, or another sign-on wrote.
    await rig.house.at.owner("update identity.directory_link set external_id = 'taken' where membership_id = $1", [(await memberOf(other)).id])
    const before = (await entra.ask('GET', `/Users/${one}`)).text
    expect((await to('taken')).body).toMatchObject({ status: '409', scimType: 'uniqueness' })
    expect((await entra.ask('GET', `/Users/${one}`)).text).toBe(before)
    expect((await to('free')).status).toBe(200)
  })
})

describe('members of a group', () => {
  it('of another connection or tenant are absent, and nothing is changed', async () => {
    const [entra, okta] = [await fresh(), await fresh()]
    const abroad = await fresh(await rig.house.tenant())
    const mine = await add(entra)
    const id = await group(entra, 'Ward', [])
    for (const stranger of [await add(okta), await add(abroad), newId(), 'nobody']) {
      const answer = await patchMembers(entra, id, 'add', [mine, stranger])
      expect(answer.status).toBe(404)
      expect((await entra.ask('GET', `/Groups/${id}`)).body['members'] ?? []).toEqual([])
      const named = groupBody(`Ward of ${stranger}`, [mine, stranger])
      expect((await entra.ask('POST', '/Groups', named)).status).toBe(404)
      expect((await entra.ask('PUT', `/Groups/${id}`, named)).status).toBe(404)
      const found = await entra.ask('GET', `/Groups?filter=${encodeURIComponent(`displayName eq "${named.displayName}"`)}`)
      expect(found.body['totalResults']).toBe(0)
      // What the same message says of the group itself has not happened either.
      const rename = { op: 'replace', path: 'displayName', value: named.displayName }
      const before = (await entra.ask('GET', `/Groups/${id}`)).text
      const mixed = patchBody(rename, { op: 'add', path: 'members', value: [{ value: stranger }] })
      expect((await entra.ask('PATCH', `/Groups/${id}`, mixed)).status).toBe(404)
      expect((await entra.ask('GET', `/Groups/${id}`)).text).toBe(before)
    }
    expect((await entra.ask('PUT', `/Groups/${id}`, groupBody('Ward', []))).body['members']).toEqual([])
    expect((await patchMembers(entra, id, 'add', [mine])).status).toBe(204)
    expect((await entra.ask('GET', `/Groups/${id}`)).body['members']).toMatchObject([{ value: mine }])
  })
})
