import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { careHouse, gid, pick, planting, type CareHouse, type Planting } from '../../../../test/kit/care.ts'
import type { Caller, Scope } from '../../../kernel/scope.ts'
import { operatorCaller } from '../../../operator/operator-scope.ts'
import { platformFor, workerLogin, type Services } from '../../../platform/module.ts'
import type { LookupField } from '../contract.ts'
import type { care as careModule } from '../index.ts'
import { createReach } from '../reach.ts'
import { createRepo } from '../repo.ts'
import { createIndexWriter } from './index-writer.ts'
import { createLookupRepo } from './repo.ts'
import { measure, noteOf, riskOf } from './rules.ts'
import { lookupUseCases } from './service.ts'

let house: CareHouse
/** As the building has it, but for the wait before it verifies. */
let lookup: ReturnType<typeof lookupUseCases>
let tenantId: string
let plant: Planting
let coordinator: Caller

beforeAll(async () => {
  house = await careHouse()
  const module = house.composed.modules.find(({ name }) => name === 'care')!
  const { db, sql } = platformFor(module as unknown as typeof careModule, {} as Services)
  const repo = createLookupRepo(db, sql)
  const writer = createIndexWriter({ repo, vault: house.vault })
  lookup = lookupUseCases({ repo, writer, vault: house.vault, reach: createReach(createRepo(db, sql)), settleMs: 0 })
  tenantId = await house.tenant()
  plant = planting(house, tenantId)
  coordinator = plant.coordinator
}, 60_000)
afterAll(() => house.close())

const operate = <T>(tenant: string, work: (scope: Scope) => Promise<T>): Promise<T> =>
  house.database.unit(operatorCaller(tenant)).command(work, workerLogin)
async function drive(tenant: string, size = 7): Promise<void> {
  for (;;) if ((await operate(tenant, (scope) => lookup.indexBatch(scope, { size }))).phase === 'DONE') return
}
async function switchOn(tenant: string, fields: readonly LookupField[]): Promise<void> {
  await operate(tenant, (scope) => lookup.measureLeakage(scope, {}))
  await operate(tenant, (scope) => lookup.switchOnLookup(scope, { fields: [...fields] }))
  await drive(tenant)
}
const query = 'query ($lookup: RecipientLookup) { recipients(first: 20, lookup: $lookup) { edges { node { id } } } }'
/** Ids of who is found, or the code of why not. */
async function found(who: Caller, by: Partial<Record<LookupField, string>>): Promise<unknown> {
  const { data, codes } = await house.ask(who, query, { lookup: by })
  return codes.length > 0 ? codes : pick(data, 'recipients.edges.*.node.id')
}
const idOf = (one: { id: string }) => gid('CareRecipient', one.id)

describe('what an index gives away is measured before it is switched on', () => {
  test('nobody is found by a field that is off, and none is switched on unmeasured', async () => {
    const tenant = await house.tenant()
    const someone = house.member(tenant, 'care_coordinator')
    expect(await found(someone, { mrn: '1' })).toEqual(['LOOKUP_OFF'])
    const on = operate(tenant, (scope) => lookup.switchOnLookup(scope, { fields: ['mrn'] }))
    await expect(on).rejects.toMatchObject({ code: 'LOOKUP_NOT_MEASURED' })
    await operate(tenant, (scope) => lookup.measureLeakage(scope, {}))
    await house.at.owner("update care.lookup_field set measured_at = now() - interval '2 days' where tenant_id = $1", [tenant])
    const late = operate(tenant, (scope) => lookup.switchOnLookup(scope, { fields: ['mrn'] }))
    await expect(late).rejects.toMatchObject({ code: 'LOOKUP_NOT_MEASURED' })
  })

  test('it counts records, values and the most frequent one, tells how risky that is, and never a value', async () => {
    const tenant = await house.tenant()
    const at = planting(house, tenant)
    for (let n = 0; n < 12; n++) await at.recipient({ givenName: 'محمد', familyName: `Family${n}`, mrn: `MRN ${n}`, ...(n < 3 ? { phone: '0791234567' } : {}) })
    const { fields } = await operate(tenant, (scope) => lookup.measureLeakage(scope, {}))
    const by = Object.fromEntries(fields.map((one) => [one.field, one]))
    expect(by['mrn']).toMatchObject({ records: 12, filled: 12, distinct: 12, topCount: 1, risk: 'LOW', state: 'MEASURED' })
    expect(by['name']).toMatchObject({ records: 12, filled: 12, distinct: 13, topCount: 12, risk: 'HIGH' })
    expect(by['phone']).toMatchObject({ records: 12, filled: 3, distinct: 1, topCount: 3, risk: 'MEDIUM' })
    expect(by['nationalId']).toMatchObject({ filled: 0, distinct: 0, topCount: 0, risk: 'LOW' })
    expect(JSON.stringify(fields)).not.toMatch(/محمد|Family1|791234567/)
    expect(by['phone']!.note).toContain('3 of 12 records have a value, 1 differ, and 3 share the most frequent (100 %)')
  })

  test('the rules of risk', () => {
    const values = (counts: readonly number[]) => counts.flatMap((many, n) => Array.from({ length: many }, () => [`v${n}`]))
    expect(riskOf(measure(values(Array.from({ length: 100 }, () => 1))))).toBe('LOW')
    expect(riskOf(measure(values([20, ...Array.from({ length: 80 }, () => 1)])))).toBe('HIGH')
    expect(riskOf(measure(values(Array.from({ length: 50 }, () => 2))))).toBe('MEDIUM')
    expect(noteOf('mrn', measure([]))).toContain('(0 %)')
  })
})

describe('a recipient is found', () => {
  let amal: { id: string; partyId: string }
  let omar: { id: string; partyId: string }

  beforeAll(async () => {
    // One was there before the fields were switched on, the other comes after.
    amal = await plant.recipient({ givenName: 'أَمَل', familyName: 'الخطيب', mrn: 'MRN-٠٠٧', nationalId: '9851 0023', phone: '+962 79 123 4567' })
    await switchOn(tenantId, ['mrn', 'nationalId', 'phone', 'name'])
    omar = await plant.recipient({ givenName: 'عمر', familyName: 'الخطيب', mrn: 'MRN-008', phone: '0790000000' })
  })

  test('by each field, however it is written, by whole words of a name, and by nothing else', async () => {
    for (const by of [{ mrn: 'mrn 007' }, { nationalId: '٩٨٥١٠٠٢٣' }, { phone: '0791234567' }, { name: 'امل الخطيب' }, { name: 'أمـل' }]) {
      expect(await found(coordinator, by), JSON.stringify(by)).toEqual([idOf(amal)])
    }
    expect(await found(coordinator, { name: 'الخطيب' })).toEqual([idOf(amal), idOf(omar)])
    expect(await found(coordinator, { mrn: 'MRN008' })).toEqual([idOf(omar)])
    for (const by of [{ mrn: 'MRN-00' }, { name: 'ام' }, { phone: '123' }, { nationalId: 'MRN-007' }, { name: 'امل عمر' }]) {
      expect(await found(coordinator, by), JSON.stringify(by)).toEqual([])
    }
    expect(await found(coordinator, {})).toEqual(['INVALID_INPUT'])
    expect(await found(coordinator, { mrn: '1', phone: '2' })).toEqual(['INVALID_INPUT'])
  })

  test('by what is true now: a changed value finds, the former does not', async () => {
    const one = await plant.recipient({ mrn: 'OLD-1' })
    const change = `mutation ($id: ID!) { updatePhi(input: { id: $id, version: 1, mrn: "NEW-1" }) { ... on CareRecipient { id } ... on Fault { code } } }`
    expect((await house.ask(coordinator, change, { id: idOf(one) })).codes).toEqual([])
    expect(await found(coordinator, { mrn: 'NEW-1' })).toEqual([idOf(one)])
    expect(await found(coordinator, { mrn: 'OLD-1' })).toEqual([])
  })

  test('by those only who may open her protected fields, and each one found leaves a trace', async () => {
    const clinician = house.member(tenantId, 'clinician')
    const officer = house.member(tenantId, 'compliance_officer')
    expect(await found(officer, { mrn: 'MRN-007' })).toEqual(['FORBIDDEN'])
    expect(await found(clinician, { mrn: 'MRN-007' })).toEqual([])
    const party = await plant.party('CLINICIAN', clinician)
    await plant.link(party, amal.partyId, ['VIEW'])
    expect(await found(clinician, { mrn: 'MRN-007' })).toEqual([])
    await plant.link(party, amal.partyId, ['VIEW', 'PHI'])
    expect(await found(clinician, { mrn: 'MRN-007' })).toEqual([idOf(amal)])
    const trail = await house.at.owner(
      "select detail from audit.event where action = 'phi.found' and actor_id = $1 and subject_id = $2",
      [(clinician.actor as { membershipId: string }).membershipId, amal.id],
    )
    expect(trail).toEqual([{ detail: { fields: ['mrn'] } }])
  })

  test('in her own tenant alone: the same values give other tokens in another', async () => {
    const other = await house.tenant()
    const at = planting(house, other)
    const twin = await at.recipient({ givenName: 'أَمَل', familyName: 'الخطيب', mrn: 'MRN-٠٠٧' })
    await switchOn(other, ['mrn', 'name'])
    expect(await found(at.coordinator, { mrn: 'MRN-007' })).toEqual([idOf(twin)])
    expect(await found(coordinator, { mrn: 'MRN-007' })).toEqual([idOf(amal)])
    const shared = await house.at.owner(
      'select count(*)::int as many from care.blind_index a join care.blind_index b on a.token = b.token and a.tenant_id <> b.tenant_id',
    )
    expect(shared).toEqual([{ many: 0 }])
  })
})

describe('a blind index is keyed anew while everybody works', () => {
  test('two generations stand side by side, the former answers until the end, and writers in the middle are in both', async () => {
    const tenant = await house.tenant()
    const at = planting(house, tenant)
    const before = []
    for (let n = 0; n < 20; n++) before.push(await at.recipient({ mrn: `K-${n}` }))
    await switchOn(tenant, ['mrn'])
    await operate(tenant, (scope) => lookup.rekeyLookup(scope, {}))
    await operate(tenant, (scope) => lookup.indexBatch(scope, { size: 15 }))
    const during = await at.recipient({ mrn: 'K-during' })
    const generations = () =>
      house.at.owner('select generation, count(*)::int as many from care.blind_index where tenant_id = $1 group by 1 order by 1', [tenant])
    expect(await generations()).toEqual([
      { generation: 1, many: 21 },
      { generation: 2, many: expect.any(Number) },
    ])
    expect(await found(at.coordinator, { mrn: 'K-19' })).toEqual([idOf(before[19]!)])
    expect(await found(at.coordinator, { mrn: 'K-during' })).toEqual([idOf(during)])
    await expect(operate(tenant, (scope) => lookup.rekeyLookup(scope, {}))).rejects.toMatchObject({ code: 'INDEX_RUNNING' })
    await drive(tenant)
    expect(await generations()).toEqual([{ generation: 2, many: 21 }])
    for (const [n, one] of before.entries()) expect(await found(at.coordinator, { mrn: `K-${n}` })).toEqual([idOf(one)])
    const keys = await house.at.owner('select generation, state, wrapped is null as gone from vault.lookup_key where tenant_id = $1 order by 1', [tenant])
    expect(keys).toEqual([
      { generation: 1, state: 'DESTROYED', gone: true },
      { generation: 2, state: 'ACTIVE', gone: false },
    ])
  })

  test('the verifier mends what does not agree with the records, and passes again until nothing does', async () => {
    const tenant = await house.tenant()
    const at = planting(house, tenant)
    const [one, two] = [await at.recipient({ mrn: 'V-1' }), await at.recipient({ mrn: 'V-2' })]
    await switchOn(tenant, ['mrn'])
    await operate(tenant, (scope) => lookup.rekeyLookup(scope, {}))
    const phases: [string, number][] = []
    for (let phase = ''; phase !== 'DONE'; ) {
      const step = await operate(tenant, (scope) => lookup.indexBatch(scope, { size: 50 }))
      phase = step.phase
      phases.push([phase, step.mended])
      // Behind the builder's back, as a writer who did not know of the run would leave it.
      if (phases.length === 2) {
        await house.at.owner('delete from care.blind_index where tenant_id = $1 and party_id = $2 and generation = 2', [tenant, one.partyId])
        const swap = "update care.blind_index set token = 'AAAAAAAAAAAAAAAAAAAAAA' where tenant_id = $1 and party_id = $2 and generation = 2"
        await house.at.owner(swap, [tenant, two.partyId])
      }
    }
    expect(phases).toEqual([['BUILDING', 0], ['VERIFYING', 0], ['VERIFYING', 2], ['VERIFYING', 2], ['VERIFYING', 0], ['DONE', 0]])
    expect([await found(at.coordinator, { mrn: 'V-1' }), await found(at.coordinator, { mrn: 'V-2' })]).toEqual([[idOf(one)], [idOf(two)]])
  })
})

describe('a recipient who is erased', () => {
  test('opens never again and is found no more, and a certificate says what was destroyed; her neighbour stays', async () => {
    const one = await plant.recipient({ givenName: 'Canary', mrn: 'E-1', birthDate: '1941-03-27' })
    const two = await plant.recipient({ givenName: 'Neighbour', mrn: 'E-2' })
    const names = `{ a: recipient(id: "${idOf(one)}") { givenName birthYear state } b: recipient(id: "${idOf(two)}") { givenName } }`
    const byAnother = house.command(coordinator, (scope) => lookup.eraseRecipient(scope, { id: one.id, backupsUntil: null }))
    await expect(byAnother).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(pick((await house.ask(coordinator, names)).data, 'a.givenName')).toBe('Canary')

    const until = '2027-01-31T00:00:00.000Z'
    const certified = await operate(tenantId, (scope) => lookup.eraseRecipient(scope, { id: one.id, backupsUntil: until }))
    const { data, codes } = await house.ask(coordinator, names)
    expect(data).toEqual({ a: { givenName: null, birthYear: null, state: 'ARCHIVED' }, b: { givenName: 'Neighbour' } })
    expect(codes).toEqual(['SUBJECT_ERASED'])
    expect([await found(coordinator, { mrn: 'E-1' }), await found(coordinator, { mrn: 'E-2' })]).toEqual([[], [idOf(two)]])
    // Not only past finding: of her no token is left, which would tell that somebody has her number.
    const tokens = 'select party_id as party, count(*)::int as many from care.blind_index where party_id = any($1::uuid[]) group by 1'
    expect(await house.at.owner(tokens, [[one.partyId, two.partyId]])).toEqual([{ party: two.partyId, many: 2 }])
    const certificate = await house.at.owner('select id, subject_id, key_ids, backups_until from vault.erasure_certificate where subject_id = $1', [one.id])
    expect(certificate).toEqual([{ id: certified.certificateId, subject_id: one.id, key_ids: certified.keyIds, backups_until: new Date(until) }])
    const again = operate(tenantId, (scope) => lookup.eraseRecipient(scope, { id: one.id, backupsUntil: null }))
    await expect(again).rejects.toMatchObject({ code: 'SUBJECT_ERASED' })
  })
})
