import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { freshDatabase, loginSecret, type TestDatabase } from '../../../test/kit/postgres.ts'
import { newId } from '../../kernel/id.ts'
import type { Actor, Caller, Plane, Scope } from '../../kernel/scope.ts'
import { compose } from '../../platform/compose.ts'
import { openLocalKms } from '../../platform/crypto/kms-local.ts'
import { keysUnavailable, type Kms } from '../../platform/crypto/kms.ts'
import { Database } from '../../platform/db/database.ts'
import { withClient } from '../../platform/db/provision.ts'
import { sealedAlike } from '../../platform/envelopes.ts'
import { defineModule, type AnyModule, type Services } from '../../platform/module.ts'
import { planesOf, type Permission } from '../access/contract.ts'
import { tenancy } from '../tenancy/index.ts'
import type { Vault } from './contract.ts'
import { vault } from './index.ts'
import { drawSeals, mostSeals, sealsADraw } from './wear.ts'

const directory = mkdtempSync(join(tmpdir(), 'maristan-vault-'))
let at: TestDatabase
let database: Database
let keys: Vault
let kmsIsDown = false

/** Whose records these are. */
const records = defineModule({
  name: 'records',
  summary: 'Owns what is sealed here.',
  needs: [],
  owns: ['CareRecipient', 'CareParty'],
  envelopes: [
    {
      model: 'CareRecipient',
      column: 'phi',
      fields: sealedAlike(['a', 'givenName', 'canary', 'address', 'subjectId'], { permission: 'phi:read', erasedWith: 'subjectId' }),
    },
  ],
  build: () => ({ contract: {} }),
})

/** The vault as one process has it: its own caches, and the KMS of a key file. */
async function processWith(file: string) {
  const local = await openLocalKms({ file: join(directory, file), mayCreate: true })
  const kms: Kms = {
    ...local,
    unwrap: (...input) => (kmsIsDown ? Promise.reject(keysUnavailable({ reason: 'The KMS is down.' })) : local.unwrap(...input)),
  }
  const composed = compose({
    modules: [tenancy, vault, records] as unknown as AnyModule[],
    services: { kms } as Services,
    database,
    planesOf: (permission) => planesOf(permission as Permission),
  })
  return { vault: composed.made['vault']!.contract as Vault, boot: () => composed.boot() }
}

const callerOf = (tenantId: string, plane: Plane | null, actor: Actor): Caller => ({
  tenantId,
  plane,
  actor,
  permissions: new Set(),
  purpose: null,
  requestId: newId(),
  sourceAddress: null,
  userAgent: null,
})
const operator = (tenantId: string) => callerOf(tenantId, null, { kind: 'operator', name: 'test' })
const coordinator = (tenantId: string) =>
  callerOf(tenantId, 'console', {
    kind: 'member',
    membershipId: newId(),
    identityId: newId(),
    role: 'care_coordinator',
    sessionId: newId(),
    via: 'password',
    providerOrgId: null,
  })

const reading = <T>(tenantId: string, work: (scope: Scope) => Promise<T>): Promise<T> => {
  const unit = database.unit(coordinator(tenantId))
  return unit.read(() => work(unit.scope))
}
const commanding = <T>(caller: Caller, work: (scope: Scope) => Promise<T>): Promise<T> =>
  database.unit(caller).command(async (scope) => {
    const result = await work(scope)
    scope.unit.record({ action: 'test.done', resource: 'Test', outcome: 'done' })
    return result
  })

async function tenantWithKey(using = keys): Promise<string> {
  const tenantId = newId()
  await commanding(operator(tenantId), (scope) => using.provisionTenant(scope, {}))
  return tenantId
}
async function subjectIn(tenantId: string): Promise<string> {
  const subjectId = newId()
  await commanding(coordinator(tenantId), (scope) => keys.createSubjects(scope, { subjectIds: [subjectId] }))
  return subjectId
}
const placeOf = (subjectId: string, rowId = newId()) => ({ subjectId, model: 'CareRecipient', field: 'phi', rowId })

beforeAll(async () => {
  at = await freshDatabase()
  database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
  keys = (await processWith('kms.key')).vault
})
afterAll(async () => {
  await database.close()
  await at.drop()
  rmSync(directory, { recursive: true, force: true })
})

test('the operator gives a tenant one data key, once, even when two try at the same moment', async () => {
  const tenantId = newId()
  const attempt = () => commanding(operator(tenantId), (scope) => keys.provisionTenant(scope, {}))
  // Both have seen that there is none when the table becomes free to write.
  const outcomes = await withClient(at.ownerUrl, async (client) => {
    await client.query('begin')
    await client.query('lock table vault.tenant_key in share mode')
    const both = Promise.allSettled([attempt(), attempt()])
    const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    await expect.poll(async () => (await at.owner(waiting)).length, { timeout: 4_000 }).toBe(2)
    await client.query('commit')
    return both
  })
  const codes = outcomes.map((one) => (one.status === 'fulfilled' ? 'MADE' : (one.reason as { code?: string }).code))
  expect(codes.sort()).toEqual(['MADE', 'TENANT_KEY_EXISTS'])
  await expect(attempt()).rejects.toMatchObject({ code: 'TENANT_KEY_EXISTS' })
  const byAnother = commanding(coordinator(newId()), (scope) => keys.provisionTenant(scope, {}))
  await expect(byAnother).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const rows = await at.owner('select version, state from vault.tenant_key where tenant_id = $1', [tenantId])
  expect(rows).toEqual([{ version: 1, state: 'ACTIVE' }])
  // Rotated meanwhile: another first key would still be a second one.
  await at.owner('update vault.tenant_key set version = 2 where tenant_id = $1', [tenantId])
  await expect(attempt()).rejects.toMatchObject({ code: 'TENANT_KEY_EXISTS' })
})

test('a data key under which subjects have their keys cannot go away', async () => {
  const tenantId = await tenantWithKey()
  await subjectIn(tenantId)
  // restrict_violation; before Postgres 18, foreign_key_violation.
  const refused = { code: expect.stringMatching(/^(23001|23503)$/) }
  await expect(at.owner('delete from vault.tenant_key where tenant_id = $1', [tenantId])).rejects.toMatchObject(refused)
})

test('records open in the order they were sealed, and nothing of them can be read in the database', async () => {
  const tenantId = await tenantWithKey()
  const places = [placeOf(await subjectIn(tenantId)), placeOf(await subjectIn(tenantId))]
  const records = [{ givenName: 'قَمَر', canary: 'zanzibar' }, { address: ['b', { deep: null }] }]
  const { sealed } = await commanding(coordinator(tenantId), (scope) =>
    keys.seal(scope, { items: places.map((place, n) => ({ ...place, record: records[n]! })) }),
  )
  expect(sealed.join()).not.toContain('zanzibar')
  const items = places.map((place, n) => ({ ...place, sealed: sealed[n]! }))
  const opened = await reading(tenantId, (scope) => keys.open(scope, { items }))
  expect(JSON.parse(JSON.stringify(opened))).toEqual({ records, refusals: [null, null] })
})

test('check 66: a sealed record opens in its own place only, and one that does not open leaves the rest of the page alone', async () => {
  const [here, elsewhere] = [await tenantWithKey(), await tenantWithKey()]
  const place = placeOf(await subjectIn(here))
  const other = await subjectIn(here)
  const stranger = await subjectIn(elsewhere)
  const { sealed } = await commanding(coordinator(here), (scope) => keys.seal(scope, { items: [{ ...place, record: { a: 1 } }] }))
  const value = sealed[0]!
  const moved = [
    { ...place, rowId: newId(), sealed: value },
    { ...place, field: 'other', sealed: value },
    { ...place, model: 'CareParty', sealed: value },
    { ...place, subjectId: other, sealed: value },
    { ...place, sealed: value.replace(/.(?=.{21}$)/, (first) => (first === 'A' ? 'B' : 'A')) },
    { ...place, sealed: 'nonsense' },
    { ...place, sealed: value },
  ]
  const { records, refusals } = await reading(here, (scope) => keys.open(scope, { items: moved }))
  expect(refusals).toEqual([...Array.from({ length: 6 }, () => 'UNREADABLE'), null])
  expect(records[6]).toEqual({ a: 1 })
  const away = await reading(elsewhere, (scope) => keys.open(scope, { items: [{ ...place, subjectId: stranger, sealed: value }] }))
  expect(away.refusals).toEqual(['UNREADABLE'])
})

test('check 66: a wrapped key copied to another subject or tenant unwraps nothing', async () => {
  const [here, elsewhere] = [await tenantWithKey(), await tenantWithKey()]
  const [a, b, c] = [await subjectIn(here), await subjectIn(here), await subjectIn(elsewhere)]
  const copy = 'update vault.subject_key set wrapped = (select wrapped from vault.subject_key where subject_id = $1) where subject_id = $2'
  await at.owner(copy, [a, b])
  await at.owner(copy, [a, c])
  const seal = (tenantId: string, subjectId: string) =>
    commanding(coordinator(tenantId), (scope) => keys.seal(scope, { items: [{ ...placeOf(subjectId), record: {} }] }))
  await expect(seal(here, a)).resolves.toBeDefined()
  await expect(seal(here, b)).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
  await expect(seal(elsewhere, c)).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
})

test('a destroyed key erases its person at once, and nobody else', async () => {
  const tenantId = await tenantWithKey()
  const places = [placeOf(await subjectIn(tenantId)), placeOf(await subjectIn(tenantId))]
  const seal = (place: (typeof places)[number]) =>
    commanding(coordinator(tenantId), (scope) => keys.seal(scope, { items: [{ ...place, record: { a: 1 } }] }))
  const items = [] as ((typeof places)[number] & { sealed: string })[]
  for (const place of places) items.push({ ...place, sealed: (await seal(place)).sealed[0]! })
  await at.owner("update vault.subject_key set state = 'DESTROYED', wrapped = null, tenant_key_version = null where subject_id = $1", [places[0]!.subjectId])
  const { records, refusals } = await reading(tenantId, (scope) => keys.open(scope, { items }))
  expect(refusals).toEqual(['KEY_DESTROYED', null])
  expect(records[0]).toBeNull()
  await expect(seal(places[0]!)).rejects.toMatchObject({ code: 'SUBJECT_ERASED' })
})

test('keys that cannot be had are KEYS_UNAVAILABLE: no key row, another tenant\'s subject, a KMS that does not answer', async () => {
  const tenantId = await tenantWithKey()
  const place = placeOf(await subjectIn(tenantId))
  const { sealed } = await commanding(coordinator(tenantId), (scope) => keys.seal(scope, { items: [{ ...place, record: { a: 1 } }] }))
  const item = { ...place, sealed: sealed[0]! }
  const unavailable = { code: 'KEYS_UNAVAILABLE' }
  const open = (inTenant: string, one: typeof item) => reading(inTenant, (scope) => keys.open(scope, { items: [one] }))
  await expect(open(tenantId, { ...item, subjectId: newId() })).rejects.toMatchObject(unavailable)
  await expect(open(await tenantWithKey(), item)).rejects.toMatchObject(unavailable)
  await expect(
    commanding(coordinator(newId()), (scope) => keys.createSubjects(scope, { subjectIds: [newId()] })),
  ).rejects.toMatchObject(unavailable)
  // A process that has just started has nothing in its cache.
  const { vault: cold } = await processWith('kms.key')
  kmsIsDown = true
  try {
    await expect(reading(tenantId, (scope) => cold.open(scope, { items: [item] }))).rejects.toMatchObject(unavailable)
  } finally {
    kmsIsDown = false
  }
  expect((await reading(tenantId, (scope) => cold.open(scope, { items: [item] }))).records).toEqual([{ a: 1 }])
})

test('a subject\'s key commits with the command that made it, or not at all, and is never made twice', async () => {
  const tenantId = await tenantWithKey()
  const subjectId = newId()
  const failing = commanding(coordinator(tenantId), async (scope) => {
    await keys.createSubjects(scope, { subjectIds: [subjectId] })
    throw new Error('changed its mind')
  })
  await expect(failing).rejects.toThrow('changed its mind')
  const make = () => commanding(coordinator(tenantId), (scope) => keys.createSubjects(scope, { subjectIds: [subjectId] }))
  await make()
  await expect(make()).rejects.toMatchObject({ code: 'SUBJECT_KEY_EXISTS' })
})

test('what is not an id, a record or a bounded batch is refused before any key is touched', async () => {
  const tenantId = await tenantWithKey()
  const place = placeOf(newId())
  const bad: unknown[] = [
    { items: [{ ...place, subjectId: 'x', record: {} }] },
    { items: [{ ...place, record: { f: undefined } }] },
    { items: [{ ...place, record: [] }] },
    { items: [{ ...place, model: '', record: {} }] },
    { items: Array.from({ length: 1_001 }, () => ({ ...place, record: {} })) },
  ]
  for (const input of bad) {
    const attempt = commanding(coordinator(tenantId), (scope) => keys.seal(scope, input as never))
    await expect(attempt).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
})

test('nothing is sealed in a place, or under a name, that nobody declared: what shares an envelope is decided before', async () => {
  const tenantId = await tenantWithKey()
  const place = placeOf(await subjectIn(tenantId))
  const seal = (item: object) =>
    commanding(coordinator(tenantId), (scope) => keys.seal(scope, { items: [{ ...place, record: { a: 1 }, ...item }] }))
  await expect(seal({ record: { a: 1, diagnosis: 'x' } })).rejects.toThrow('The field diagnosis is not declared for the envelope CareRecipient.phi.')
  await expect(seal({ field: 'notes' })).rejects.toThrow('No module declares the envelope CareRecipient.notes.')
  await expect(seal({})).resolves.toBeDefined()
})

test('two processes that start at once end with one platform key, and open each other\'s secrets', async () => {
  const [one, two] = [await processWith('kms.key'), await processWith('kms.key')]
  const place = { model: 'TotpDevice', field: 'secret', rowId: newId() }
  const scope = database.unit(operator(newId())).scope
  const tooEarly = one.vault.sealSecrets(scope, { items: [{ ...place, value: 'x' }] })
  await expect(tooEarly).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
  await Promise.all([one.boot(), two.boot()])
  expect(await at.owner('select version from vault.platform_key')).toEqual([{ version: 1 }])
  const { sealed } = await one.vault.sealSecrets(scope, { items: [{ ...place, value: 'JBSWY3DP' }] })
  expect(sealed[0]).toMatch(/^v1\|/)
  expect(await two.vault.openSecrets(scope, { items: [{ ...place, sealed: sealed[0]! }] })).toEqual({ values: ['JBSWY3DP'] })
  for (const moved of [{ rowId: newId() }, { field: 'other' }, { model: 'SigningKey' }]) {
    const items = [{ ...place, ...moved, sealed: sealed[0]! }]
    await expect(two.vault.openSecrets(scope, { items })).rejects.toMatchObject({ code: 'SEALED_VALUE_UNREADABLE' })
  }
  const trail = await at.owner<{ action: string }>("select action from audit.event where resource = 'PlatformKey' order by action")
  expect(trail.map(({ action }) => action)).toEqual(['platform_key.created', 'platform_key.opened', 'platform_key.opened'])
})

test('a key file made anew beside an existing platform key stops the start and makes no second key', async () => {
  await (await processWith('kms.key')).boot()
  await expect((await processWith('another.key')).boot()).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
  expect(await at.owner('select version from vault.platform_key')).toHaveLength(1)
})

test('only the login that signs people in reaches the platform key, only the worker changes keys, and nobody removes one', async () => {
  const grants = await at.owner<{ grantee: string; privilege: string; table: string }>(
    `select grantee, privilege_type as privilege, table_name as table from information_schema.role_table_grants
     where table_schema = 'vault' and grantee like 'maristan%' and grantee <> current_user`,
  )
  const platform = grants.filter(({ table }) => table === 'platform_key').map(({ grantee, privilege }) => `${grantee} ${privilege}`)
  expect(platform.sort()).toEqual(['maristan_auth INSERT', 'maristan_auth SELECT'])
  const changing = grants.filter(({ privilege }) => privilege !== 'SELECT' && privilege !== 'INSERT')
  expect(new Set(changing.map(({ grantee, privilege }) => `${grantee} ${privilege}`))).toEqual(new Set(['maristan_worker UPDATE']))
  // Sellers read of the wrapped keys what opens what was disclosed to them, column by column and row by row (care/disclosure); programs read none.
  const sellers = grants.filter(({ grantee }) => /seller|integrator/.test(grantee)).map(({ grantee, privilege, table }) => `${grantee} ${privilege} ${table}`)
  expect(sellers).toEqual([])
})

test('what a key seals is counted; at the limit it seals no more, opens as before, and nobody else\'s is touched', async () => {
  const tenantId = await tenantWithKey()
  const [worn, fresh] = [await subjectIn(tenantId), await subjectIn(tenantId)]
  const itemOf = (subjectId: string) => ({ subjectId, model: 'CareRecipient', field: 'phi', rowId: subjectId, record: { subjectId } })
  const sealOne = (subjectId: string) => commanding(coordinator(tenantId), (scope) => keys.seal(scope, { items: [itemOf(subjectId)] }))
  const counts = (subjectId: string) => at.owner<{ seals: number }>('select seals from vault.subject_key where subject_id = $1', [subjectId])
  expect(await counts(worn)).toEqual([{ seals: 0 }])
  // One draw in 4096 counts for all: here every one is that one.
  const draw = vi.spyOn(Math, 'random').mockReturnValue(0)
  await sealOne(worn)
  await sealOne(worn)
  draw.mockRestore()
  expect(await counts(worn)).toEqual([{ seals: 2 * sealsADraw }])

  const set = (seals: number) => at.owner('update vault.subject_key set seals = $1 where subject_id = $2', [seals, worn])
  await set(mostSeals - 1)
  const { sealed } = await sealOne(worn)
  await set(mostSeals)
  await expect(sealOne(worn)).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
  await sealOne(fresh)
  const { record: _, ...place } = itemOf(worn)
  const opened = await reading(tenantId, (scope) => keys.open(scope, { items: [{ ...place, sealed: sealed[0]! }] }))
  expect(opened.records).toEqual([{ subjectId: worn }])
  // Nobody counts back, not the owner either.
  await expect(set(0)).rejects.toMatchObject({ code: '42501' })

  await at.owner('update vault.tenant_key set seals = $1 where tenant_id = $2', [mostSeals, tenantId])
  await expect(subjectIn(tenantId)).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
  await sealOne(fresh)
})

test('every login that writes and reads wrapped keys may count what it seals, and change nothing else of their rows', async () => {
  const rows = await at.owner<{ login: string; counts: boolean; changes: boolean }>(
    `select r.rolname as login, has_column_privilege(r.oid, t, 'seals', 'update') as counts, has_column_privilege(r.oid, t, 'wrapped', 'update') as changes
     from pg_roles r, unnest(array['vault.subject_key', 'vault.tenant_key']::regclass[]) t
     where r.rolname like 'maristan\\_%' and r.rolname !~ '_(read|owner|operator)$' and has_table_privilege(r.oid, t, 'select') order by 1`,
  )
  expect(rows.filter(({ counts }) => !counts)).toEqual([])
  expect(new Set(rows.map(({ login }) => login))).toEqual(
    new Set(['auth', 'clinician', 'console', 'consumer', 'courier', 'worker'].map((name) => `maristan_${name}`)),
  )
  expect(new Set(rows.filter(({ changes }) => changes).map(({ login }) => login))).toEqual(new Set(['maristan_worker']))
})

test('one draw in 4096 counts, for as many', () => {
  const draws = [0, 0.5, 1 / sealsADraw, 0.999 / sealsADraw]
  expect(drawSeals(4, () => draws.shift()!)).toBe(2 * sealsADraw)
  expect(drawSeals(0)).toBe(0)
  // Six deviations of two million draws.
  const counted = drawSeals(2_000_000)
  expect(Math.abs(counted - 2_000_000)).toBeLessThan(550_000)
})
