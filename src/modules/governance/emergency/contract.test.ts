import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { enrol } from '../../../../test/kit/authenticator.ts'
import { freshHouse, type TestHouse, type TestTenant } from '../../../../test/kit/house.ts'
import { loginSecret } from '../../../../test/kit/postgres.ts'
import { newId } from '../../../kernel/id.ts'
import type { DeliveredEvent } from '../../../kernel/event.ts'
import type { Caller, Scope } from '../../../kernel/scope.ts'
import { urlFor, workerLogin } from '../../../platform/db/logins.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { systemCaller } from '../../../platform/jobs/system.ts'
import type { Care } from '../../care/contract.ts'
import type { Vault } from '../../vault/contract.ts'
import { operatorCaller } from '../../../operator/operator-scope.ts'
import { reviewEscalated } from '../hitl/contract.ts'
import { accessOpened } from './contract.ts'
import { emergency as manifest } from './index.ts'

let house: TestHouse
let tenant: TestTenant
let clinicianCode: () => Promise<string>
let officerCode: () => Promise<string>
let clinician: string
let officer: string
beforeAll(async () => {
  house = await freshHouse()
  tenant = await house.tenant()
  clinician = await house.signIn(tenant, 'clinician')
  officer = await house.signIn(tenant, 'compliance_officer')
  clinicianCode = await enrol(house, tenant.member.clinician.caller)
  officerCode = await enrol(house, tenant.member.compliance_officer.caller)
}, 60_000)
afterAll(() => house.close())

const as = <T>(who: Caller, work: (scope: Scope) => Promise<T>): Promise<T> => house.database.unit({ ...who, requestId: newId() }).command(work)
const recipient = async (givenName = 'Salma', more: { membershipId?: string } = {}): Promise<string> => {
  const care = house.composed.made['care']!.contract as Care
  return (await as(tenant.member.care_coordinator.caller, (scope) => care.createRecipient(scope, { givenName, mrn: 'MRN-9', ...more }))).id
}
const opening = `mutation ($input: OpenBreakGlassInput!) { done: openBreakGlass(input: $input) { __typename
  ... on BreakGlassGrant { id isLive reviewItemId } ... on Fault { code } } }`
type Done = { readonly done: Readonly<Record<string, string>> }
const asClinician = () => ({ plane: 'clinician' as const, bearer: clinician, tenant: tenant.slug })
const asOfficer = () => ({ plane: 'console' as const, bearer: officer, tenant: tenant.slug })
const open = async (recipientId: string, code: string, who = asClinician()): Promise<Done['done']> => {
  const input = { recipientId: encodeGlobalId('CareRecipient', recipientId), reason: 'لا قريب يُسأل عنها', minutes: 60, code }
  const { data, errors } = await house.ask<Done>(who, opening, { input })
  expect(errors ?? []).toEqual([])
  return data!.done
}
const reading = 'query ($id: ID!) { recipient(id: $id) { givenName mrn } }'
const read = (recipientId: string) => house.ask<{ recipient: unknown }>(asClinician(), reading, { id: encodeGlobalId('CareRecipient', recipientId) })
const raw = (globalId: string): string => Buffer.from(globalId, 'base64url').toString().split(':')[1]!

describe('a record outside a clinician’s network', () => {
  it('is not there, opens with a fresh code, and is not there again once given back', async () => {
    const id = await recipient()
    expect((await read(id)).errors[0]!.extensions.code).toBe('NOT_FOUND')
    const grant = await open(id, await clinicianCode())
    expect(grant).toMatchObject({ __typename: 'BreakGlassGrant', isLive: true })
    expect((await read(id)).data).toEqual({ recipient: { givenName: 'Salma', mrn: 'MRN-9' } })
    const end = 'mutation ($id: ID!) { done: endBreakGlass(id: $id) { ... on BreakGlassGrant { isLive } ... on Fault { code } } }'
    const ending = () => house.ask<Done>(asClinician(), end, { id: grant['id'] })
    expect((await ending()).data).toEqual({ done: { isLive: false } })
    expect((await ending()).data).toEqual({ done: { code: 'EMERGENCY_OVER' } })
    expect((await read(id)).errors[0]!.extensions.code).toBe('NOT_FOUND')
    const trail = await house.at.owner<{ action: string }>(
      'select action from audit.event where tenant_id = $1 and subject_id = $2 order by at, id', [tenant.id, id],
    )
    expect(trail.map(({ action }) => action)).toEqual([
      'recipient.created', 'review.opened', 'break_glass.opened', 'phi.read', 'break_glass.ended',
    ])
  })

  it('shows and opens, and lets nothing be changed', async () => {
    const id = await recipient()
    await open(id, await clinicianCode())
    const change = `mutation ($input: UpdatePhiInput!) { done: updatePhi(input: $input) { __typename ... on Fault { code } } }`
    const input = { id: encodeGlobalId('CareRecipient', id), version: 1, phone: '+962 79 000 0000' }
    expect((await house.ask<Done>(asClinician(), change, { input })).data!.done['code']).toBe('CAPABILITY_MISSING')
    expect((await read(id)).data).toMatchObject({ recipient: { mrn: 'MRN-9' } })
  })

  it('closes by itself when the time is over', async () => {
    const id = await recipient()
    const plant = (minutesAgo: number) =>
      house.at.owner(
        `insert into emergency.break_glass_grant (tenant_id, id, recipient_id, membership_id, phi, created_at, expires_at, review_item_id)
         values ($1, gen_random_uuid(), $2, $3, 'v1|planted', now() - make_interval(mins => $4), now() - make_interval(mins => $4 - 60),
           gen_random_uuid())`,
        [tenant.id, id, tenant.member.clinician.membershipId, minutesAgo],
      )
    await plant(61)
    expect((await read(id)).errors[0]!.extensions.code).toBe('NOT_FOUND')
    await plant(59)
    expect((await read(id)).data).toMatchObject({ recipient: { mrn: 'MRN-9' } })
    await expect(house.at.owner(
      "insert into emergency.break_glass_grant (tenant_id, id, recipient_id, membership_id, phi, expires_at, review_item_id) select tenant_id, "
      + "gen_random_uuid(), recipient_id, membership_id, phi, now() + interval '61 minutes', review_item_id from emergency.break_glass_grant limit 1",
    )).rejects.toThrow('an_hour_at_most')
  })

  it('stays closed to a wrong code, a used one and a person without an authenticator, and each try is counted', async () => {
    const id = await recipient()
    expect(await open(id, '000000')).toMatchObject({ code: 'CODE_REFUSED' })
    const code = await clinicianCode()
    expect(await open(id, code)).toMatchObject({ isLive: true })
    expect(await open(id, code)).toMatchObject({ code: 'CODE_REFUSED' })
    const refused = await house.at.owner("select from audit.event where tenant_id = $1 and action = 'break_glass.refused'", [tenant.id])
    expect(refused.length).toBeGreaterThanOrEqual(2)
    const bare = await house.tenant()
    const bearer = await house.signIn(bare, 'clinician')
    expect(await open(id, '000000', { plane: 'clinician', bearer, tenant: bare.slug })).toMatchObject({ code: 'TOTP_NOT_ENROLLED' })
  })

  it('opens for sixty minutes at most and for a reason that is a sentence; a code that came with anything else is not used up', async () => {
    const id = await recipient()
    const code = await clinicianCode()
    const wanted = { recipientId: encodeGlobalId('CareRecipient', id), reason: 'Found unconscious', minutes: 60, code }
    for (const wrong of [{ minutes: 61 }, { minutes: 0 }, { minutes: -5 }, { reason: 'because' }, { reason: '           ' }]) {
      const { data } = await house.ask<Done>(asClinician(), opening, { input: { ...wanted, ...wrong } })
      expect(data!.done, JSON.stringify(wrong)).toEqual({ __typename: 'InvalidFault', code: 'INVALID_INPUT' })
    }
    expect((await house.ask<Done>(asClinician(), opening, { input: wanted })).data!.done).toMatchObject({ isLive: true })
  })

  it('tells her family who read it, that it was an emergency, and for which purpose', async () => {
    const id = await recipient('Huda', { membershipId: tenant.member.family.membershipId })
    await open(id, await clinicianCode())
    await read(id)
    const { id: grantId } = await open(id, await officerCode(), asOfficer() as never)
    await house.ask(asOfficer(), 'query ($id: ID!) { emergencyRecord(grantId: $id) { givenName } }', { id: grantId })
    const family = { plane: 'consumer' as const, bearer: await house.signIn(tenant, 'family'), tenant: tenant.slug }
    const account = `query ($id: ID!) { accountingOfDisclosures(recipientId: $id, disclosuresOnly: true, first: 50) {
      edges { node { action disclosure actorId purpose outcome } } } }`
    type Account = { accountingOfDisclosures: { edges: { node: Record<string, string> }[] } }
    const { data, errors } = await house.ask<Account>(family, account, { id: encodeGlobalId('CareRecipient', id) })
    expect(errors).toEqual([])
    const [theirs, officers] = [tenant.member.clinician, tenant.member.compliance_officer].map(({ membershipId }) => membershipId)
    const told = data!.accountingOfDisclosures.edges.map(({ node }) => [node['action'], node['disclosure'], raw(node['actorId']!), node['purpose']])
    // The newest first.
    expect(told).toEqual([
      ['phi.read', 'READ', officers, 'OPERATIONS'],
      ['break_glass.read', 'EMERGENCY', officers, 'OPERATIONS'],
      ['break_glass.opened', 'EMERGENCY', officers, 'OPERATIONS'],
      ['phi.read', 'READ', theirs, 'TREATMENT'],
      ['break_glass.opened', 'EMERGENCY', theirs, 'TREATMENT'],
    ])
  })

  it('cannot be opened to oneself by whatever SQL a plane’s own login sends', async () => {
    const id = await recipient()
    const insert = `insert into emergency.break_glass_grant (tenant_id, id, recipient_id, membership_id, phi, expires_at, review_item_id)
      values ($1, gen_random_uuid(), $2, $3, 'v1|x', now() + interval '1 minute', gen_random_uuid())`
    const values = [tenant.id, id, tenant.member.clinician.membershipId]
    for (const login of ['maristan_clinician', 'maristan_console', 'maristan_consumer', 'maristan_worker', 'maristan_operator'] as const) {
      const client = new pg.Client({ connectionString: urlFor(login, house.at.ownerUrl, loginSecret()) })
      await client.connect()
      await client.query('select set_config($1, $2, false)', ['app.tenant_id', tenant.id])
      await expect(client.query(insert, values), login).rejects.toThrow('permission denied')
      await client.end()
    }
    await house.at.owner(insert, values)
  })
})

describe('a compliance officer', () => {
  it('reads what an emergency opens through the grant alone', async () => {
    const id = await recipient('Karim')
    const { id: grantId } = await open(id, await officerCode(), asOfficer() as never)
    const record = 'query ($id: ID!) { emergencyRecord(grantId: $id) { givenName familyName } }'
    expect((await house.ask(asOfficer(), record, { id: grantId })).data).toEqual({ emergencyRecord: { givenName: 'Karim', familyName: null } })
    const ordinary = await house.ask(asOfficer(), reading, { id: encodeGlobalId('CareRecipient', id) })
    expect(ordinary.errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN', 'FORBIDDEN'])
  })

  it('is told by a letter without names, reviews what others opened, and never what she opened herself', async () => {
    const id = await recipient()
    const theirs = await open(id, await clinicianCode())
    const handler = manifest.handles.find(({ event }) => event === accessOpened.name)!
    await as(systemCaller(tenant.id, 'outbox', newId()), (scope) =>
      handler.handle(house.composed.made['emergency'] as never, scope, { payload: { grantId: raw(theirs['id']!) } } as DeliveredEvent))
    const spool = join(house.dataDir, 'mail')
    const letters = readdirSync(spool).map((name) => readFileSync(join(spool, name), 'utf8'))
    const mine = letters.filter((letter) => letter.includes(`To: ${tenant.member.compliance_officer.email}`))
    expect(mine).toHaveLength(1)
    expect(mine[0]).not.toContain('Salma')
    expect(mine[0]).not.toContain(tenant.member.clinician.email)

    const claim = 'mutation ($id: ID!) { done: claimReview(id: $id) { ... on ReviewItem { state } ... on Fault { code } } }'
    const decide = `mutation ($input: DecideReviewInput!) { done: decideReview(input: $input) { ... on ReviewItem { state } ... on Fault { code } } }`
    expect((await house.ask<Done>(asOfficer(), claim, { id: theirs['reviewItemId'] })).data!.done).toEqual({ state: 'CLAIMED' })
    const input = { id: theirs['reviewItemId'], verdict: 'REJECT', comment: 'The ward was staffed.' }
    expect((await house.ask<Done>(asOfficer(), decide, { input })).data!.done).toEqual({ state: 'REJECTED' })
    const own = await open(id, await officerCode(), asOfficer() as never)
    expect((await house.ask<Done>(asOfficer(), claim, { id: own['reviewItemId'] })).data!.done).toEqual({ code: 'OWN_REQUEST' })
    expect((await house.ask<Done>(asClinician(), claim, { id: own['reviewItemId'] })).data!.done).toEqual({ code: 'OFFICERS_ONLY' })
  })

  it('is written to again when nobody takes the review up, which never lapses; about another kind of review she is not', async () => {
    const id = await recipient()
    const { reviewItemId } = await open(id, await clinicianCode())
    const [item] = await house.at.owner<{ expires_at: Date | null; hours: number }>(
      'select expires_at, extract(epoch from sla_at - created_at)::float8 / 3600 as hours from hitl.review_item where id = $1', [raw(reviewItemId!)],
    )
    expect([item!.expires_at, Math.round(item!.hours)]).toEqual([null, 24])
    const spool = join(house.dataDir, 'mail')
    const before = new Set(readdirSync(spool))
    const handler = manifest.handles.find(({ event }) => event === reviewEscalated.name)!
    const escalated = (itemId: string) =>
      as(systemCaller(tenant.id, 'outbox', newId()), async (scope) => {
        scope.unit.record({ action: 'job.run', resource: 'Job', outcome: 'done' })
        await handler.handle(house.composed.made['emergency'] as never, scope, { payload: { itemId } } as DeliveredEvent)
      })
    await escalated(newId())
    expect(readdirSync(spool)).toHaveLength(before.size)
    await escalated(raw(reviewItemId!))
    const letters = readdirSync(spool).filter((name) => !before.has(name)).map((name) => readFileSync(join(spool, name), 'utf8'))
    expect(letters.map((letter) => /^To: (.*)$/m.exec(letter)![1])).toEqual([tenant.member.compliance_officer.email])
    expect(letters[0]).toMatch(/^Subject: .*(still waits|متأخرة|=\?)/m)
    const told = await house.at.owner<{ detail: object }>(
      "select detail from audit.event where action = 'break_glass.notified' and tenant_id = $1 and detail ->> 'isOverdue' = 'true'", [tenant.id],
    )
    expect(told).toEqual([{ detail: { officers: 1, isOverdue: true } }])
  })
})

describe('a person of whom only the wristband’s number is known', () => {
  const opening = `mutation ($input: OpenBreakGlassInput!) { done: openBreakGlass(input: $input) { __typename
    ... on BreakGlassGrant { id isLive } ... on Fault { code } } }`
  const openBy = async (given: object): Promise<Done['done']> => {
    const input = { reason: 'Found unconscious, nobody to ask', minutes: 30, ...given }
    const { data, errors } = await house.ask<Done>(asClinician(), opening, { input })
    expect(errors ?? []).toEqual([])
    return data!.done
  }

  it('is found by it with a fresh code, where the tenant is searched by it, and only when it is one person', async () => {
    const vault = house.composed.made['vault']!.contract as Vault
    expect(await openBy({ mrn: 'W-17', code: await clinicianCode() })).toEqual({ __typename: 'ConflictFault', code: 'LOOKUP_OFF' })
    await house.database.unit(operatorCaller(tenant.id)).command(async (scope) => {
      await vault.addLookupGeneration(scope, {})
      await vault.turnLookupGeneration(scope, {})
    }, workerLogin)
    await house.at.owner(
      `insert into care.lookup_field (tenant_id, field, state, records, filled, distinct_values, top_count) values ($1, 'mrn', 'ON', 1, 1, 1, 1)`,
      [tenant.id],
    )
    const care = house.composed.made['care']!.contract as Care
    const make = (mrn: string) => as(tenant.member.care_coordinator.caller, (scope) => care.createRecipient(scope, { givenName: 'Nadia', mrn }))
    const { id } = await make('W-17')
    await make('W-18')
    await make('W-18')
    expect((await read(id)).errors[0]!.extensions.code).toBe('NOT_FOUND')
    // However it is written; and the code comes first: who has none learns nothing.
    expect(await openBy({ mrn: ' w-17 ', code: '000000' })).toMatchObject({ code: 'CODE_REFUSED' })
    expect(await openBy({ mrn: ' w-17 ', code: await clinicianCode() })).toMatchObject({ isLive: true })
    expect((await read(id)).data).toEqual({ recipient: { givenName: 'Nadia', mrn: 'W-17' } })
    expect(await openBy({ mrn: 'W-99', code: await clinicianCode() })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await openBy({ mrn: 'W-18', code: await clinicianCode() })).toMatchObject({ code: 'MRN_NOT_UNIQUE' })
    for (const neither of [{}, { mrn: 'W-17', recipientId: encodeGlobalId('CareRecipient', id) }]) {
      expect(await openBy({ ...neither, code: '000000' })).toMatchObject({ code: 'INVALID_INPUT' })
    }
    const trail = await house.at.owner<{ detail: object }>(
      `select detail from audit.event where tenant_id = $1 and subject_id = $2 and action = 'break_glass.opened'`, [tenant.id, id],
    )
    expect(trail).toEqual([{ detail: { minutes: 30, byMrn: 1 } }])
    const wrote = JSON.stringify(await house.at.owner('select * from audit.event where tenant_id = $1', [tenant.id]))
    expect(wrote).not.toContain('W-17')
  })
})
