/** What holds whatever SQL a plane's login sends, whatever lies in the tables, and whoever's ids are asked for. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { newId } from '../../kernel/id.ts'
import type { Caller } from '../../kernel/scope.ts'
import type { Login } from '../../platform/db/logins.ts'
import { capabilities } from './rules.ts'
import { careHouse, daysFromNow, gid, membershipOf, pick, planting, type CareHouse, type Planting } from '../../../test/kit/care.ts'

const canary = 'Zanzibar-7341'
const refusedByWall = { code: '42501' }

let house: CareHouse
let tenantId: string
let plant: Planting
let mine: { id: string; partyId: string }
let strangers: { id: string; partyId: string }
let clinician: Caller
let clinicianParty: string
let guardian: Caller
let herself: Caller
let relative: Caller

beforeAll(async () => {
  house = await careHouse()
})
beforeEach(async () => {
  tenantId = await house.tenant()
  plant = planting(house, tenantId)
  herself = house.member(tenantId, 'family')
  mine = await plant.recipient({ givenName: canary, phone: '+1 7341 7341 7341', birthDate: '1941-03-27' }, herself)
  strangers = await plant.recipient({ givenName: canary, familyName: canary })
  clinician = house.member(tenantId, 'clinician')
  guardian = house.member(tenantId, 'family')
  relative = house.member(tenantId, 'family')
  clinicianParty = await plant.party('CLINICIAN', clinician, canary)
  await plant.link(clinicianParty, mine.partyId, capabilities)
  await plant.link(await plant.party('FAMILY', guardian), mine.partyId, ['VIEW'], { legalGuardian: true })
  await plant.link(await plant.party('FAMILY', relative), mine.partyId, capabilities)
  await plant.link(await plant.party('CLINICIAN'), strangers.partyId, ['VIEW'])
  const coordinator = plant.coordinator
  for (const [recipientId, granteeId] of [[mine.id, clinicianParty], [strangers.id, clinicianParty]] as const) {
    await house.command(coordinator, (scope) =>
      house.care.grantConsent(scope, { recipientId, granteeId, purpose: 'TREATMENT', fieldSet: ['phone'] }),
    )
  }
})
afterAll(() => house.close())

const tables = ['recipient', 'party', 'edge', 'consent'] as const
const counts = async (login: Login, who: Caller): Promise<number[]> => {
  const sql = `select ${tables.map((table) => `(select count(*)::int from care.${table}) as ${table}`).join(', ')}`
  const [row] = await house.asLogin<Record<string, number>>(login, who, sql)
  return tables.map((table) => row![table]!)
}
const idsSeen = async (login: Login, who: Caller): Promise<string[]> =>
  (await house.asLogin<{ id: string }>(login, who, 'select id from care.recipient order by id')).map(({ id }) => id)

test('no sealed word lies readable in any table of care, vault, audit or outbox', async () => {
  const spaces = await house.at.owner<{ name: string }>(
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('care', 'vault', 'audit', 'outbox')",
  )
  const dumpOf = (name: string) => house.at.owner<{ row: string }>(`select to_jsonb(t)::text as row from ${name} t`)
  const rows = await Promise.all(spaces.map(({ name }) => dumpOf(name)))
  const dump = rows.flat().map(({ row }) => row).join()
  expect(dump).toContain('"birth_year": 1941')
  expect(dump).not.toContain(canary)
  expect(dump).not.toContain('7341 7341')
  expect(dump).not.toContain('1941-03-27')
})

test('a clinician\'s login reads her network\'s rows and no others; a coordinator\'s reads all of the tenant', async () => {
  expect(await counts('maristan_console_read', plant.coordinator)).toEqual([2, 6, 4, 2])
  for (const login of ['maristan_clinician_read', 'maristan_clinician'] as const) {
    expect(await counts(login, clinician)).toEqual([1, 4, 3, 1])
    expect(await idsSeen(login, clinician)).toEqual([mine.id])
    expect(await counts(login, house.member(tenantId, 'clinician'))).toEqual([0, 0, 0, 0])
  }
})

test('a relative\'s login reads herself and whom she legally represents, never whom she is merely linked to', async () => {
  for (const who of [herself, guardian]) expect(await idsSeen('maristan_consumer_read', who)).toEqual([mine.id])
  expect(await counts('maristan_consumer_read', relative)).toEqual([0, 1, 0, 0])
})

test('the console\'s login shows care to the roles that read it only', async () => {
  expect(await counts('maristan_console_read', house.member(tenantId, 'compliance_officer'))).toEqual([2, 6, 4, 2])
  expect(await counts('maristan_console_read', house.member(tenantId, 'tenant_admin'))).toEqual([0, 0, 0, 0])
})

test('sellers, integrations, the operator and the sign-in login have no grant on care, but for the envelopes disclosed to a seller', async () => {
  const strangersToCare: Login[] = [
    'maristan_seller', 'maristan_seller_read', 'maristan_integrator', 'maristan_integrator_read',
    'maristan_operator', 'maristan_auth', 'maristan_auth_read',
  ]
  for (const login of strangersToCare) {
    for (const table of tables) {
      if (login === 'maristan_seller_read' && table === 'recipient') continue
      const attempt = house.asLogin(login, plant.coordinator, `select from care.${table}`)
      await expect(attempt, `${login} ${table}`).rejects.toMatchObject(refusedByWall)
    }
  }
  expect(await house.asLogin('maristan_seller_read', plant.coordinator, 'select id, phi from care.recipient')).toEqual([])
  const wider = house.asLogin('maristan_seller_read', plant.coordinator, 'select birth_year from care.recipient')
  await expect(wider).rejects.toMatchObject(refusedByWall)
})

test('jobs read the recipients and parties of one tenant, for its blind index, and nothing else of care', async () => {
  const tables = ['recipient', 'party'] as const
  for (const table of tables) expect((await house.asLogin('maristan_worker', plant.coordinator, `select from care.${table}`)).length).toBeGreaterThan(0)
  const elsewhere = house.member(await house.tenant(), 'care_coordinator')
  for (const table of tables) expect(await house.asLogin('maristan_worker', elsewhere, `select from care.${table}`)).toEqual([])
  for (const statement of ['select from care.edge', 'select from care.consent', 'delete from care.recipient', 'delete from care.party']) {
    await expect(house.asLogin('maristan_worker', plant.coordinator, statement), statement).rejects.toMatchObject(refusedByWall)
  }
})

test('a login without a tenant, or of another tenant, reads nothing', async () => {
  const elsewhere = house.member(await house.tenant(), 'care_coordinator')
  expect(await counts('maristan_console_read', elsewhere)).toEqual([0, 0, 0, 0])
  expect(await counts('maristan_console_read', { ...plant.coordinator, tenantId: '' })).toEqual([0, 0, 0, 0])
})

test('an edge counts while it is valid, by the database\'s clock', async () => {
  const who = house.member(tenantId, 'clinician')
  const party = await plant.party('CLINICIAN', who)
  await plant.link(party, mine.partyId, ['VIEW'], { validFrom: daysFromNow(1) })
  await plant.link(party, strangers.partyId, ['VIEW'], { validFrom: daysFromNow(-2), validTo: daysFromNow(1) })
  expect(await idsSeen('maristan_clinician_read', who)).toEqual([strangers.id])
  const expire = "update care.edge set valid_to = now() - interval '1 second' where from_party_id = $1 and valid_to is not null"
  await house.at.owner(expire, [party])
  expect(await idsSeen('maristan_clinician_read', who)).toEqual([])
})

test('no login changes what it does not see, and the reading logins change nothing', async () => {
  const touch = 'update care.recipient set updated_at = now() returning id'
  const refused = { code: expect.stringMatching(/^(42501|25006)$/) }
  expect(await house.asLogin('maristan_clinician', clinician, touch)).toEqual([{ id: mine.id }])
  expect(await house.asLogin('maristan_consumer', relative, touch)).toEqual([])
  await expect(house.asLogin('maristan_clinician_read', clinician, touch)).rejects.toMatchObject(refused)
  const moved = 'update care.recipient set tenant_id = $1'
  await expect(house.asLogin('maristan_clinician', clinician, moved, [newId()])).rejects.toMatchObject(refusedByWall)
})

const insertEdge = `insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, capabilities, legal_guardian)
  values ($1, $2, $3, $4, 'OTHER', '{VIEW,PHI}', $5)`

test('no login makes an edge that grants to its own caller, and none to a recipient out of its reach', async () => {
  const accomplice = (who: Caller, login: Login) =>
    house.asLogin<{ id: string }>(
      login,
      who,
      `insert into care.party (tenant_id, id, kind, phi, created_by) select $1, $2, 'FAMILY', 'v1|x', $3 returning id`,
      [tenantId, newId(), membershipOf(who)],
    )
  const edge = (login: Login, who: Caller, from: string, to: string, guardianship = false) =>
    house.asLogin(login, who, insertEdge, [tenantId, newId(), from, to, guardianship])
  await expect(edge('maristan_clinician', clinician, clinicianParty, mine.partyId)).rejects.toMatchObject(refusedByWall)
  const [friend] = await accomplice(clinician, 'maristan_clinician')
  await expect(edge('maristan_clinician', clinician, friend!.id, mine.partyId)).resolves.toEqual([])
  await expect(edge('maristan_clinician', clinician, friend!.id, strangers.partyId)).rejects.toMatchObject(refusedByWall)
  // A recipient who helps another stands in her network, and is still out of reach.
  await plant.link(strangers.partyId, mine.partyId, ['VIEW'])
  for (const [login, who] of [['maristan_clinician', clinician], ['maristan_consumer', guardian]] as const) {
    const [other] = await accomplice(who, login)
    await expect(edge(login, who, other!.id, strangers.partyId, true)).rejects.toMatchObject(refusedByWall)
  }
})

test('no login makes an edge say more than it said, or a party somebody else\'s', async () => {
  const changes = [
    "capabilities = '{VIEW,PHI,EDIT,MANAGE}'",
    'legal_guardian = true',
    'valid_to = null',
    "valid_to = now() + interval '9 years'",
    "valid_from = now() - interval '9 years'",
    `to_party_id = '${strangers.partyId}'`,
  ]
  const party = await plant.party('CAREGIVER')
  const link = await plant.link(party, mine.partyId, ['VIEW'], { validTo: daysFromNow(1) })
  for (const change of changes) {
    const attempt = house.asLogin('maristan_console', plant.coordinator, `update care.edge set ${change} where id = $1`, [link])
    await expect(attempt, change).rejects.toMatchObject(refusedByWall)
  }
  await house.asLogin('maristan_console', plant.coordinator, 'update care.edge set valid_to = valid_from where id = $1', [link])
  for (const column of ['membership_id', 'recipient_id', 'created_by', 'kind']) {
    for (const [login, who] of [['maristan_consumer', guardian], ['maristan_console', plant.coordinator]] as const) {
      const attempt = house.asLogin(login, who, `update care.party set ${column} = null where ${column} is not null`)
      await expect(attempt, `${login} ${column}`).rejects.toMatchObject(refusedByWall)
    }
  }
})

test('a value that is not sealed, an edge without VIEW, a second self and a foreign key across tenants cannot be written', async () => {
  const away = planting(house, await house.tenant())
  const foreign = await away.party('FAMILY')
  const bare = newId()
  await house.at.owner("insert into care.recipient (tenant_id, id, phi) values ($1, $2, 'v1|x')", [tenantId, bare])
  const secondSelf = `insert into care.party (tenant_id, id, kind, phi, membership_id, recipient_id)
    values ($1, $2, 'RECIPIENT', 'v1|x', $3, $4)`
  const bad: [string, unknown[]][] = [
    ["update care.recipient set phi = 'Amal'", []],
    ["update care.party set phi = '{}'", []],
    [insertEdge.replace('{VIEW,PHI}', '{PHI}'), [tenantId, newId(), clinicianParty, mine.partyId, false]],
    [insertEdge, [tenantId, newId(), foreign, mine.partyId, false]],
    [insertEdge, [tenantId, newId(), mine.partyId, mine.partyId, false]],
    [secondSelf, [tenantId, newId(), membershipOf(herself), bare]],
    ['update care.consent set grantee_id = $1', [foreign]],
  ]
  const refused = { code: expect.stringMatching(/^23/) }
  for (const [sql, values] of bad) await expect(house.at.owner(sql, values), sql).rejects.toMatchObject(refused)
})

test('a sealed value moved to another row or tenant does not open, and its neighbours do', async () => {
  const elsewhere = await house.tenant()
  const away = planting(house, elsewhere)
  const [there, source, target] = [await away.recipient(), await plant.recipient({ givenName: 'Source' }), await plant.recipient()]
  const move = 'update care.recipient set phi = (select phi from care.recipient where id = $1) where id = $2'
  await house.at.owner(move, [source.id, target.id])
  await house.at.owner(move, [source.id, there.id])
  const read = async (who: Caller, id: string) => {
    const { data, codes } = await house.ask(who, `{ recipient(id: "${gid('CareRecipient', id)}") { givenName version } }`)
    return [pick(data, 'recipient.givenName'), codes]
  }
  expect(await read(plant.coordinator, source.id)).toEqual(['Source', []])
  expect(await read(plant.coordinator, target.id)).toEqual([null, ['SEALED_VALUE_UNREADABLE']])
  expect(await read(away.coordinator, there.id)).toEqual([null, ['SEALED_VALUE_UNREADABLE']])
})

test('another tenant\'s id is NOT_FOUND in every place that takes one; its own tenant\'s is found', async () => {
  const elsewhere = house.member(await house.tenant(), 'care_coordinator')
  const party = await plant.party('ORG')
  const own = {
    recipient: (await plant.recipient()).id,
    party,
    link: await plant.link(await plant.party('ORG'), party, []),
    consent: (await house.at.owner<{ id: string }>('select id from care.consent where tenant_id = $1', [tenantId]))[0]!.id,
  }
  const [recipient, someone, link, consent] = [
    gid('CareRecipient', own.recipient), gid('CareParty', own.party), gid('CareLink', own.link), gid('Consent', own.consent),
  ]
  const onFault = '{ __typename ... on Fault { code } }'
  const operations = [
    `{ node(id: "${recipient}") { id } }`,
    `{ node(id: "${someone}") { id } }`,
    `{ node(id: "${link}") { id } }`,
    `{ node(id: "${consent}") { id } }`,
    `{ recipient(id: "${recipient}") { id } }`,
    `{ careNetwork(recipientId: "${recipient}") { depth } }`,
    `mutation { updateRecipient(input: { id: "${recipient}", version: 1, preferredLocale: "ar" }) ${onFault} }`,
    `mutation { updatePhi(input: { id: "${recipient}", version: 2, phone: "123" }) ${onFault} }`,
    `mutation { grantConsent(input: {
      recipientId: "${recipient}", granteeId: "${someone}", purpose: TREATMENT, fieldSet: [phone] }) ${onFault} }`,
    `mutation { linkParty(input: {
      fromId: "${someone}", toId: "${gid('CareParty', mine.partyId)}", relation: OTHER, capabilities: [] }) ${onFault} }`,
    `mutation { endLink(id: "${link}") ${onFault} }`,
    `mutation { withdrawConsent(id: "${consent}") ${onFault} }`,
    `mutation { archiveRecipient(id: "${recipient}", version: 3) ${onFault} }`,
  ]
  const outcome = async (who: Caller, source: string) => {
    const { data, codes } = await house.ask(who, source)
    const [answer] = Object.values(data ?? {}) as ({ code?: string } | null)[]
    return codes[0] ?? answer?.code ?? (answer === null ? 'NOT_FOUND' : 'FOUND')
  }
  for (const source of operations) expect(await outcome(elsewhere, source), source).toBe('NOT_FOUND')
  for (const source of operations) expect(await outcome(plant.coordinator, source), source).toBe('FOUND')
})

test('without its audit row no protected field is answered and nothing changes', async () => {
  const scratch = await careHouse()
  try {
    const planted = planting(scratch, await scratch.tenant())
    const one = await planted.recipient({ givenName: canary })
    const id = gid('CareRecipient', one.id)
    const read = `{ recipient(id: "${id}") { givenName } }`
    expect((await scratch.ask(planted.coordinator, read)).data!['recipient']).toEqual({ givenName: canary })
    await scratch.at.owner('revoke insert on audit.event from maristan_console')
    await expect(scratch.ask(planted.coordinator, read)).rejects.toThrow()
    const unrecorded = await scratch.ask(planted.coordinator, `{ recipient(id: "${id}") { birthYear version } }`)
    expect(unrecorded.data!['recipient']).toEqual({ birthYear: null, version: 1 })
    const change = `mutation { updateRecipient(input: { id: "${id}", version: 1, preferredLocale: "ar" }) { __typename } }`
    expect((await scratch.ask(planted.coordinator, change)).errors).toHaveLength(1)
    const kept = await scratch.at.owner('select version, preferred_locale as locale from care.recipient')
    expect(kept).toEqual([{ version: 1, locale: 'en' }])
  } finally {
    await scratch.close()
  }
})
