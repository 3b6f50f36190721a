import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { enrol } from '../../../test/kit/authenticator.ts'
import { freshHouse, type TestHouse, type TestTenant } from '../../../test/kit/house.ts'
import { KmsDouble } from '../../../test/kit/kms-double.ts'
import { newId } from '../../kernel/id.ts'
import { systemCaller } from '../../platform/jobs/system.ts'
import { workerLogin } from '../../platform/module.ts'
import type { KeyStatus, Vault } from './contract.ts'
import type { OwnKeys } from './own-key.ts'
import type { Rotation } from './rotation.ts'

let double: KmsDouble
let house: TestHouse
let mine: TestTenant
let theirs: TestTenant
let building: string

beforeAll(async () => {
  double = await KmsDouble.start()
  building = double.createKey()
  for (const [name, value] of Object.entries(double.credentials)) vi.stubEnv(name, value)
  house = await freshHouse({ KMS_PROVIDER: 'aws', KMS_KEY_ID: building, ...double.environment })
  mine = await house.tenant()
  theirs = await house.tenant()
}, 60_000)
afterAll(async () => {
  await house?.close()
  vi.unstubAllEnvs()
  await double.stop()
})

const made = () => house.composed.made['vault'] as unknown as { contract: Vault; ownKeys: OwnKeys }
const vault = () => made().contract
const open = (tenant: TestTenant) => () => house.database.unit(systemCaller(tenant.id, 'vault.watch-own-keys', newId()))
const watch = (tenant: TestTenant) => made().ownKeys.watch(open(tenant))
const statusOf = (tenant: TestTenant): Promise<KeyStatus> => {
  const unit = open(tenant)()
  return unit.read(() => made().contract.keyStatus(unit.scope, {}))
}
const create = `mutation { createRecipient(input: { givenName: "Salma" }) { __typename ... on CareRecipient { id } ... on Fault { code } } }`
const names = '{ recipients(first: 5) { edges { node { givenName } } } }'

/** What a tenant's coordinator reads of its one recipient: her name, or why not. */
async function nameIn(tenant: TestTenant): Promise<string> {
  const bearer = await house.signIn(tenant, 'care_coordinator')
  const { data, errors } = await house.ask<{ recipients: { edges: { node: { givenName: string | null } }[] } }>({ plane: 'console', bearer }, names)
  return data?.recipients.edges[0]?.node.givenName ?? errors[0]?.extensions.code ?? 'nobody'
}
async function createIn(tenant: TestTenant): Promise<string> {
  const bearer = await house.signIn(tenant, 'care_coordinator')
  const { data } = await house.ask<{ createRecipient: { __typename: string; code?: string } }>({ plane: 'console', bearer }, create)
  return data!.createRecipient.code ?? data!.createRecipient.__typename
}
/** The administrators' authenticators, once enrolled, and the sessions they had before. */
const authenticators = new Map<TestTenant, () => Promise<string>>()
const bearers = new Map<TestTenant, string>()
async function administrator(tenant: TestTenant): Promise<string> {
  const bearer = bearers.get(tenant) ?? (await house.signIn(tenant, 'tenant_admin'))
  bearers.set(tenant, bearer)
  return bearer
}
async function useOwnKey(tenant: TestTenant, keyId: string, given?: string): Promise<string> {
  const bearer = await administrator(tenant)
  const { data, errors } = await house.ask<{ useOwnKey: { code?: string; message?: string; keys?: { keyId: string; own: boolean }[] } }>(
    { plane: 'console', bearer },
    `mutation ($keyId: String!, $code: String!) { useOwnKey(kmsKey: $keyId, code: $code) { ... on TenantKeyStatus { keys { keyId own } } ... on Fault { code message } } }`,
    { keyId, code: given ?? (await authenticators.get(tenant)?.()) ?? '000000' },
  )
  const answer = data?.useOwnKey
  return answer?.code ?? (answer?.keys ? answer.keys.map((key) => `${key.own} ${key.keyId}`).join() : JSON.stringify(errors))
}

test('a house on AWS KMS keeps its people, and what is new is wrapped by the building\'s key', async () => {
  expect([await createIn(mine), await createIn(theirs)]).toEqual(['CareRecipient', 'CareRecipient'])
  expect([await nameIn(mine), await nameIn(theirs)]).toEqual(['Salma', 'Salma'])
  const rows = await house.at.owner('select distinct kek_id, own_kek from vault.tenant_key')
  expect(rows).toEqual([{ kek_id: building, own_kek: false }])
  const contexts = double.calls.map(({ context }) => context).filter((context) => context !== null)
  expect(new Set(contexts.map(({ tenant }) => tenant))).toEqual(new Set(['platform', mine.id, theirs.id]))
})

test('without a fresh code of the administrator\'s own authenticator no key is changed, and the KMS is not even asked', async () => {
  const [own, asked] = [double.createKey(), double.calls.length]
  const before = await house.at.owner('select * from vault.tenant_key order by tenant_id')
  expect(await useOwnKey(mine, own)).toBe('TOTP_NOT_ENROLLED')
  const code = await enrol(house, mine.member.tenant_admin.caller)
  authenticators.set(mine, code)
  expect(await useOwnKey(mine, own, '000000')).toBe('CODE_REFUSED')
  // An empty code is no code at all: it neither stands for a step-up sign-in nor uses one up.
  expect(await useOwnKey(mine, own, '')).toBe('INVALID_INPUT')
  const factors = await house.at.owner("select from audit.event where action = 'factor.asked' and tenant_id = $1", [mine.id])
  expect(factors).toHaveLength(2)
  expect(double.calls).toHaveLength(asked)
  expect(await house.at.owner('select * from vault.tenant_key order by tenant_id')).toEqual(before)
})

test('a key that does not prove itself is not accepted, and nothing is changed', async () => {
  const before = await house.at.owner('select * from vault.tenant_key order by tenant_id')
  const own = double.createKey()
  for (const mood of ['deny', 'disable', 'wrong-plaintext', 'wrong-key', 'corrupt'] as const) {
    double.set(mood, own)
    expect(await useOwnKey(mine, own), mood).toBe('KEYS_UNAVAILABLE')
  }
  expect(await useOwnKey(mine, 'arn:aws:kms:eu-test-1:000000000000:key/nobody')).toBe('KEYS_UNAVAILABLE')
  expect(await house.at.owner('select * from vault.tenant_key order by tenant_id')).toEqual(before)
  expect(await nameIn(mine)).toBe('Salma')
})

test('only the administrator brings a key', async () => {
  const bearer = await house.signIn(mine, 'care_coordinator')
  const { data } = await house.ask<{ useOwnKey: { code: string } }>(
    { plane: 'console', bearer },
    `mutation { useOwnKey(kmsKey: "${double.createKey()}", code: "000000") { ... on Fault { code } } }`,
  )
  expect(data!.useOwnKey.code).toBe('FORBIDDEN')
})

test('check 69: with its own key disabled only that tenant is dark, never opened by another key, and it signs in and mends it', async () => {
  const own = double.createKey()
  expect(await useOwnKey(mine, own)).toBe(`true ${own}`)
  expect(await nameIn(mine)).toBe('Salma')
  await watch(mine)
  expect((await statusOf(mine)).timeToDark).toMatchObject({ boundMs: 300_000, trouble: null, darkSince: null })

  // Busy is no more than that: it is said, and what is in memory lives out its minutes.
  double.set('throttle', own)
  await watch(mine)
  const { darkSince } = (await statusOf(mine)).timeToDark
  expect((await statusOf(mine)).timeToDark).toMatchObject({ trouble: 'THROTTLED', darkSince: expect.any(String) })
  expect(await nameIn(mine)).toBe('Salma')

  double.set('disable', own)
  await watch(mine)
  const asked = double.calls.length
  expect(await nameIn(mine)).toBe('KEYS_UNAVAILABLE')
  expect(await createIn(mine)).toBe('KEYS_UNAVAILABLE')
  // Nobody tried the building's key, or anybody else's, for it.
  const about = double.calls.slice(asked).filter(({ context }) => context?.['tenant'] === mine.id)
  expect(new Set(about.map(({ keyId }) => keyId))).toEqual(new Set([own]))
  expect([await nameIn(theirs), await createIn(theirs)]).toEqual(['Salma', 'CareRecipient'])

  const { timeToDark } = await statusOf(mine)
  expect(timeToDark).toMatchObject({ trouble: 'DISABLED', darkSince, lastOpenAt: expect.any(String) })
  expect(Date.parse(timeToDark.darkEverywhereBy!) - Date.parse(timeToDark.darkSince!)).toBe(timeToDark.boundMs)
  expect(timeToDark.measuredMs).toBe(Date.parse(timeToDark.darkSince!) - Date.parse(timeToDark.lastOpenAt!))

  // The administrator is let in, sees it, and has the key described anew once it is enabled.
  expect(await useOwnKey(mine, own)).toBe('KEYS_UNAVAILABLE')
  double.set('well', own)
  expect(await useOwnKey(mine, own)).toBe(`true ${own}`)
  expect(await nameIn(mine)).toBe('Salma')
  expect((await statusOf(mine)).timeToDark).toMatchObject({ trouble: null, darkSince: null })
  const trail = await house.at.owner<{ action: string }>(
    "select action from audit.event where tenant_id = $1 and resource = 'TenantKey' order by at, id",
    [mine.id],
  )
  expect(trail.map(({ action }) => action)).toEqual([
    'tenant_key.created',
    'tenant_key.kek_changed',
    'tenant_key.dark',
    'tenant_key.dark',
    'tenant_key.kek_changed',
  ])
})

test('a data key that a rotation makes while the tenant brings its own key is wrapped with that one too', async () => {
  const tenant = await house.tenant()
  const own = double.createKey()
  const { rotation } = house.composed.made['vault'] as unknown as { rotation: Rotation }
  const made = Promise.withResolvers<void>()
  const commit = Promise.withResolvers<void>()
  const turning = open(tenant)().command(async (scope) => {
    await rotation.start(scope)
    made.resolve()
    await commit.promise
  })
  await made.promise
  const bringing = house.database.unit(tenant.member.tenant_admin.caller).command((scope) => vault().useOwnKey(scope, { keyId: own }), workerLogin)
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
  await expect.poll(async () => (await house.at.owner(waiting)).length, { timeout: 8_000 }).toBe(1).finally(commit.resolve)
  await Promise.all([turning, bringing])
  expect(await house.at.owner('select version, kek_id, own_kek from vault.tenant_key where tenant_id = $1 order by 1', [tenant.id])).toEqual([
    { version: 1, kek_id: own, own_kek: true },
    { version: 2, kek_id: own, own_kek: true },
  ])
})

test('a KMS that is away closes health data alone: people sign in, and what is no health data is read and written', async () => {
  const cold = await house.tenant()
  expect(await createIn(cold)).toBe('CareRecipient')
  double.set('cut')
  try {
    // As after five minutes: no key is in memory any more, the platform's own neither.
    ;(house.composed.made['vault'] as unknown as { cache: { evict(prefix: string): void } }).cache.evict('')
    expect(await nameIn(cold)).toBe('KEYS_UNAVAILABLE')
    const written = () => house.at.owner(
      `select (select count(*)::int from care.recipient where tenant_id = $1) as recipients, (select count(*)::int from vault.subject_key where tenant_id = $1) as keys,
         (select count(*)::int from outbox.event where tenant_id = $1 and name = 'care.recipient.created') as events`, [cold.id],
    )
    expect(await createIn(cold)).toBe('KEYS_UNAVAILABLE')
    expect(await written()).toEqual([{ recipients: 1, keys: 1, events: 1 }])
    const admin = await house.signIn(cold, 'tenant_admin')
    const { data, errors } = await house.ask<{ tenantSettings: { legalName: string } }>({ plane: 'console', bearer: admin }, '{ tenantSettings { legalName } }')
    expect([data?.tenantSettings.legalName, errors]).toEqual([`Tenant ${cold.slug}`, []])
  } finally {
    double.set('well')
  }
  await expect.poll(() => nameIn(cold), { timeout: 9_000 }).toBe('Salma')
})
