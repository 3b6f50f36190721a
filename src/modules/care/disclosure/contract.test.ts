/** Disclosure over a real database: exactly the granted fields, cut by consent at every read, until the moment; and the walls below. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../../kernel/id.ts'
import type { Caller } from '../../../kernel/scope.ts'
import { careHouse, daysFromNow, gid, membershipOf, pick, planting, type CareHouse, type Planting } from '../../../../test/kit/care.ts'
import { phiFields, type PhiField } from '../contract.ts'

let house: CareHouse
let tenantId: string
let plant: Planting
let coordinator: Caller
let mother: { id: string; partyId: string }
beforeAll(async () => {
  house = await careHouse()
  tenantId = await house.tenant()
  plant = planting(house, tenantId)
  coordinator = plant.coordinator
  mother = await plant.recipient({ givenName: 'Amal', familyName: 'Haddad', phone: '+962 6 555', address: 'Hill road 3', mrn: 'M-1' })
})
afterAll(() => house.close())

interface Seller {
  readonly who: Caller
  readonly party: string
}
async function seller(): Promise<Seller> {
  const who = { ...house.member(tenantId, 'provider_manager'), purpose: 'OPERATIONS' as const }
  return { who, party: await plant.party('ORG', who) }
}
const consent = async ({ party }: Seller, fieldSet: PhiField[], more: { validTo?: string; purpose?: 'OPERATIONS' | 'TREATMENT' } = {}) =>
  (await house.command(coordinator, (scope) =>
    house.care.grantConsent(scope, { recipientId: mother.id, granteeId: party, purpose: 'OPERATIONS', fieldSet, ...more }),
  )).id
const open = (to: Seller, fields: PhiField[], expiresAt = daysFromNow(1), by = coordinator) =>
  house.command(by, (scope) => house.care.openDisclosure(scope, { recipientId: mother.id, granteeId: to.party, fields, expiresAt }))

const record = `query ($id: ID!) { disclosedRecord(id: $id) { fields ${phiFields.join(' ')} } }`
const list = `{ disclosedRecords { id fields ${phiFields.join(' ')} } }`
const read = ({ who }: Seller, id: string) => house.ask(who, record, { id: gid('DisclosureGrant', id) })

describe('a seller', () => {
  test('reads exactly the granted fields that consent covers; every other is null, with a code and a line of the trail', async () => {
    const them = await seller()
    await consent(them, ['givenName', 'phone', 'address'])
    // The surname is asked for and consented to by nobody: it is left out from the start.
    const grant = await open(them, ['givenName', 'phone', 'familyName'])
    expect(grant.fields).toEqual(['givenName', 'phone'])
    const { data, codes } = await read(them, grant.id)
    expect(pick(data, 'disclosedRecord')).toEqual({
      fields: ['givenName', 'phone'],
      ...Object.fromEntries(phiFields.map((name) => [name, null])),
      givenName: 'Amal',
      phone: '+962 6 555',
    })
    expect(codes).toEqual(Array.from({ length: 6 }, () => 'PHI_NOT_GRANTED'))
    const trail = await house.at.owner(
      `select outcome, purpose, count(*)::int as n from audit.event
       where tenant_id = $1 and actor_id = $2 and action = 'phi.read' and subject_id = $3 group by 1, 2 order by 1 desc`,
      [tenantId, membershipOf(them.who), mother.id],
    )
    expect(trail).toEqual([{ outcome: 'done', purpose: 'OPERATIONS', n: 1 }, { outcome: 'denied', purpose: 'OPERATIONS', n: 6 }])
  })

  test('sees the wrapped key of whom is disclosed to it, of nobody else, and the data key while anything is', async () => {
    const them = await seller()
    const stranger = await plant.recipient({ givenName: 'Nour' })
    const [subjects, data] = ['select subject_id as id from vault.subject_key', 'select version from vault.tenant_key']
    const asThem = (statement: string) => house.asLogin('maristan_seller_read', them.who, statement)
    expect([await asThem(subjects), await asThem(data)]).toEqual([[], []])
    await expect(asThem('select created_at from vault.subject_key')).rejects.toMatchObject({ code: '42501' })
    const held = await consent(them, ['givenName'])
    const { id } = await open(them, ['givenName'])
    const elsewhere = { ...them.who, tenantId: await house.tenant() }
    for (const statement of [subjects, data]) expect(await house.asLogin('maristan_seller_read', elsewhere, statement)).toEqual([])
    expect([await asThem(subjects), await asThem(data)]).toEqual([[{ id: mother.id }], [{ version: 1 }]])
    expect(pick((await read(them, id)).data, 'disclosedRecord.givenName')).toBe('Amal')
    await house.command(coordinator, (scope) => house.care.withdrawConsent(scope, { id: held }))
    expect([await asThem(subjects), await asThem(data)]).toEqual([[], []])
    const coordinators = await house.asLogin('maristan_console_read', coordinator, subjects)
    expect(coordinators).toEqual(expect.arrayContaining([{ id: mother.id }, { id: stranger.id }]))
  })

  test('reads less at the very next read when the consent is withdrawn or narrower, and nothing without one', async () => {
    const them = await seller()
    const [first, second] = [await consent(them, ['givenName']), await consent(them, ['phone'])]
    const { id } = await open(them, ['givenName', 'phone'])
    expect(pick((await read(them, id)).data, 'disclosedRecord.fields')).toEqual(['givenName', 'phone'])
    await house.command(coordinator, (scope) => house.care.withdrawConsent(scope, { id: first }))
    const narrowed = await read(them, id)
    expect(pick(narrowed.data, 'disclosedRecord')).toMatchObject({ fields: ['phone'], givenName: null, phone: '+962 6 555' })
    await house.command(coordinator, (scope) => house.care.withdrawConsent(scope, { id: second }))
    expect(await read(them, id)).toMatchObject({ data: { disclosedRecord: null }, codes: ['NOT_FOUND'] })
    expect((await house.ask(them.who, list)).data).toEqual({ disclosedRecords: [] })
  })

  test('reads nothing once the consent has lapsed, the grant has expired or was closed, or for another purpose', async () => {
    const them = await seller()
    await consent(them, ['givenName'])
    const { id } = await open(them, ['givenName'])
    const names = async (who = them.who) => pick((await house.ask(who, list)).data, 'disclosedRecords.*.givenName')
    expect(await names()).toEqual(['Amal'])
    expect(await names({ ...them.who, purpose: 'PAYMENT' })).toEqual([])
    expect(await names({ ...them.who, purpose: null })).toEqual([])
    const past = async (table: string, column: string, where: string, value: string) => {
      const move = (by: string) =>
        house.at.owner(`set session_replication_role = replica; update ${table} set ${column} = now() + interval '${by}' where ${where} = '${value}'`)
      await move('-1 second')
      const found = await names()
      await move('1 hour')
      return found
    }
    expect(await past('care.consent', 'valid_to', 'grantee_id', them.party)).toEqual([])
    expect(await past('care.disclosure_grant', 'expires_at', 'id', id)).toEqual([])
    expect(await names()).toEqual(['Amal'])
    await house.command(coordinator, (scope) => house.care.closeDisclosure(scope, { id }))
    expect(await names()).toEqual([])
    const again = house.command(coordinator, (scope) => house.care.closeDisclosure(scope, { id }))
    await expect(again).rejects.toMatchObject({ code: 'DISCLOSURE_CLOSED' })
  })

  test('sees no other seller’s grant, and below the graph no envelope or person that is not disclosed to it', async () => {
    const [them, others] = [await seller(), await seller()]
    await consent(them, ['phone'])
    const { id } = await open(them, ['phone'])
    expect((await read(others, id)).codes).toEqual(['NOT_FOUND'])
    const raw = (who: Caller, sql: string) => house.asLogin('maristan_seller_read', who, sql)
    expect(await raw(them.who, 'select id from care.recipient')).toEqual([{ id: mother.id }])
    expect(await raw(others.who, 'select id from care.recipient')).toEqual([])
    for (const table of ['care.party', 'care.consent', 'care.disclosure_grant']) {
      await expect(raw(them.who, `select 1 from ${table}`), table).rejects.toMatchObject({ code: '42501' })
    }
    await expect(raw(them.who, 'select birth_year from care.recipient')).rejects.toMatchObject({ code: '42501' })
  })
})

describe('a grant', () => {
  test('is opened and closed by a coordinator or the recipient herself, listed, told by an event, and never widened', async () => {
    const [them, herself] = [await seller(), house.member(tenantId, 'family')]
    const hers = await plant.recipient({ givenName: 'Salma' }, herself)
    await house.command(coordinator, (scope) =>
      house.care.grantConsent(scope, { recipientId: hers.id, granteeId: them.party, purpose: 'OPERATIONS', fieldSet: ['givenName'] }),
    )
    const input = { recipientId: hers.id, granteeId: them.party, fields: ['givenName' as const], expiresAt: daysFromNow(2) }
    const grant = await house.command(coordinator, (scope) => house.care.openDisclosure(scope, input))
    const listed = `query ($id: ID!) { recipientDisclosures(recipientId: $id) { id fields closedAt membershipId } }`
    const shown = await house.ask(herself, listed, { id: gid('CareRecipient', hers.id) })
    expect(pick(shown.data, 'recipientDisclosures')).toEqual([
      { id: gid('DisclosureGrant', grant.id), fields: ['givenName'], closedAt: null, membershipId: gid('Membership', membershipOf(them.who)) },
    ])
    await expect(house.at.owner(`update care.disclosure_grant set fields = '{mrn}' where id = '${grant.id}'`)).rejects.toThrow('only ever closed')
    await house.command(herself, (scope) => house.care.closeDisclosure(scope, { id: grant.id }))
    const events = await house.at.owner(
      "select name, payload from outbox.event where tenant_id = $1 and aggregate_id = $2 order by id", [tenantId, grant.id],
    )
    expect(events).toEqual([
      { name: 'care.disclosure.opened', payload: { grantId: grant.id, orderId: null } },
      { name: 'care.disclosure.closed', payload: { grantId: grant.id, reason: 'REVOKED' } },
    ])
    const stranger = house.member(tenantId, 'family')
    await expect(house.command(stranger, (scope) => house.care.openDisclosure(scope, input))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('is refused without consent, to nobody who signs in, to oneself, to a stranger, in the past and for longer than a year', async () => {
    const [them, granted] = [await seller(), await seller()]
    await consent(granted, ['phone'])
    expect((await open(granted, ['phone'])).fields).toEqual(['phone'])
    const nobody = { ...them, party: await plant.party('ORG') }
    const mine = { ...them, party: await plant.party('FAMILY', coordinator) }
    const refused: [() => Promise<unknown>, string][] = [
      [() => open(them, ['phone']), 'DISCLOSURE_NOT_CONSENTED'],
      [() => open(granted, ['mrn']), 'DISCLOSURE_NOT_CONSENTED'],
      [() => open(nobody, ['phone']), 'GRANTEE_NO_MEMBER'],
      [() => open(mine, ['phone']), 'SELF_GRANT'],
      [() => open({ ...them, party: newId() }, ['phone']), 'NOT_FOUND'],
      [() => open(granted, ['phone'], daysFromNow(-1)), 'INVALID_INPUT'],
      [() => open(granted, ['phone'], daysFromNow(400)), 'INVALID_INPUT'],
      [() => open(granted, ['phone'], daysFromNow(1), granted.who), 'FORBIDDEN'],
      [() => open(granted, ['phone'], daysFromNow(1), house.member(tenantId, 'tenant_admin')), 'FORBIDDEN'],
    ]
    for (const [attempt, code] of refused) await expect(attempt(), code).rejects.toMatchObject({ code })
  })
})
