import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freshHouse, type TestHouse, type TestTenant } from '../../../test/kit/house.ts'
import { loginSecret } from '../../../test/kit/postgres.ts'
import { overloaded } from '../../kernel/fault.ts'
import { newId } from '../../kernel/id.ts'
import type { Caller, Scope } from '../../kernel/scope.ts'
import { Database } from '../../platform/db/database.ts'
import { createKeyCache } from '../../platform/crypto/key-cache.ts'
import { openLocalKms } from '../../platform/crypto/kms-local.ts'
import { systemCaller } from '../../platform/jobs/system.ts'
import type { Vault } from './contract.ts'
import type { vault as vaultModule } from './index.ts'
import { createKeyRing } from './key-ring.ts'
import { createRepo } from './repo.ts'
import { createRotation, type Rotation, type RotationParts } from './rotation.ts'
import { rotateWhenDue } from './rotate-when-due.ts'
import { wornSeals } from './wear.ts'
import { platformFor, type Services } from '../../platform/module.ts'

let house: TestHouse
/** With connections enough that two hundred writers are never told to come again. */
let database: Database
let keys: Vault
/** As the building has it, but for the wait at its end: a second, or, where nobody writes meanwhile, none. */
let rotation: Rotation
let quick: Rotation
let parts: RotationParts
const children: ChildProcess[] = []

beforeAll(async () => {
  house = await freshHouse()
  database = new Database({ url: house.at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true, writeConnections: 24 })
  keys = house.composed.made['vault']!.contract as Vault
  const kms = await openLocalKms({ file: join(house.dataDir, 'kms.json'), mayCreate: false })
  const module = house.composed.modules.find(({ name }) => name === 'vault')!
  const { db, sql } = platformFor(module as unknown as typeof vaultModule, {} as Services)
  parts = { repo: createRepo(db, sql), kms, ring: createKeyRing({ kms, cache: createKeyCache() }), settleMs: 1_000 }
  rotation = createRotation(parts)
  quick = createRotation({ ...parts, settleMs: 0 })
}, 60_000)
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await database.close()
  await house.close()
})

const system = (tenantId: string): Caller => systemCaller(tenantId, 'test', newId())
const command = <T>(caller: Caller, work: (scope: Scope) => Promise<T>): Promise<T> =>
  database.unit(caller).command(async (scope) => {
    const result = await work(scope)
    scope.unit.record({ action: 'test.done', resource: 'Test', outcome: 'done' })
    return result
  })
const reading = <T>(caller: Caller, work: (scope: Scope) => Promise<T>): Promise<T> => {
  const unit = database.unit(caller)
  return unit.read(() => work(unit.scope))
}

interface Sealed {
  readonly subjectId: string
  readonly model: string
  readonly field: string
  readonly rowId: string
  readonly sealed: string
}

/** New people, each with one record that says who it is of. */
async function people(tenant: TestTenant, many: number): Promise<Sealed[]> {
  const subjectIds = Array.from({ length: many }, () => newId())
  return command(tenant.member.care_coordinator.caller, async (scope) => {
    await keys.createSubjects(scope, { subjectIds })
    const items = subjectIds.map((subjectId) => ({ subjectId, model: 'CareRecipient', field: 'phi', rowId: subjectId, record: { givenName: subjectId } }))
    const { sealed } = await keys.seal(scope, { items })
    return items.map(({ subjectId, model, field, rowId }, at) => ({ subjectId, model, field, rowId, sealed: sealed[at]! }))
  })
}
async function expectOpen(tenant: TestTenant, items: readonly Sealed[]): Promise<void> {
  const { records, refusals } = await reading(tenant.member.care_coordinator.caller, (scope) => keys.open(scope, { items: [...items] }))
  expect(refusals.filter((one) => one !== null)).toEqual([])
  expect(records.map((record) => record!['givenName'])).toEqual(items.map(({ subjectId }) => subjectId))
}
async function finish(tenantId: string, size: number, by = quick): Promise<void> {
  for (;;) if ((await command(system(tenantId), (scope) => by.batch(scope, size))).state === 'DONE') return
}
/** Transactions with a number hold up the sealing of the audit trail, for everybody. */
const numbered = () => house.at.owner('select pid from pg_stat_activity where datname = current_database() and backend_xid is not null')
const versions = (tenantId: string) =>
  house.at.owner<{ version: number; state: string; gone: boolean; subjects: number }>(
    `select version, state, wrapped is null as gone,
       (select count(*)::int from vault.subject_key s where s.tenant_id = k.tenant_id and s.tenant_key_version = k.version) as subjects
     from vault.tenant_key k where tenant_id = $1 order by version`,
    [tenantId],
  )

test('a rotation ends with the old key destroyed, every record open, and no row that refers to it', async () => {
  const tenant = await house.tenant()
  const all = await people(tenant, 25)
  await command(system(tenant.id), (scope) => rotation.start(scope))
  expect((await versions(tenant.id)).map(({ state, subjects }) => [state, subjects])).toEqual([['RETIRED', 25], ['ACTIVE', 0]])
  await expectOpen(tenant, all)
  all.push(...(await people(tenant, 1)))
  await finish(tenant.id, 10)
  expect(await versions(tenant.id)).toEqual([
    { version: 1, state: 'DESTROYED', gone: true, subjects: 0 },
    { version: 2, state: 'ACTIVE', gone: false, subjects: 26 },
  ])
  await expectOpen(tenant, all)
  const run = await house.at.owner('select state, done, from_version, to_version from vault.reencryption_run where tenant_id = $1', [tenant.id])
  expect(run).toEqual([{ state: 'DONE', done: 25, from_version: 1, to_version: 2 }])
  const events = await house.at.owner("select payload from outbox.event where tenant_id = $1 and name = 'vault.key.rotated'", [tenant.id])
  expect(events).toEqual([{ payload: { version: 2 } }])
})

test('the old key waits twenty seconds for the last of those who wrote with it, and is destroyed then', async () => {
  const tenant = await house.tenant()
  await people(tenant, 1)
  const { settleMs: _, ...building } = parts
  const byDefault = createRotation(building)
  const batch = async (after: number) => {
    await house.at.owner("update vault.reencryption_run set created_at = clock_timestamp() - make_interval(secs => $1) where tenant_id = $2 and state = 'RUNNING'", [after, tenant.id])
    return (await command(system(tenant.id), (scope) => byDefault.batch(scope, 10))).state
  }
  await command(system(tenant.id), (scope) => byDefault.start(scope))
  expect([await batch(0), await batch(0), await batch(15)]).toEqual(['RUNNING', 'SETTLING', 'SETTLING'])
  expect((await versions(tenant.id)).map(({ state, subjects }) => [state, subjects])).toEqual([['RETIRED', 0], ['ACTIVE', 1]])
  expect(await batch(20)).toBe('DONE')
  expect((await versions(tenant.id)).map(({ state }) => state)).toEqual(['DESTROYED', 'ACTIVE'])
})

test('the database refuses to destroy a key that something refers to, and to bring a destroyed one back', async () => {
  const tenant = await house.tenant()
  const all = await people(tenant, 1)
  const destroy = "update vault.tenant_key set state = 'DESTROYED', wrapped = null where tenant_id = $1 and version = 1"
  await expect(house.at.owner(destroy, [tenant.id])).rejects.toMatchObject({ code: expect.stringMatching(/^(23001|23503)$/) })
  await command(system(tenant.id), (scope) => rotation.start(scope))
  await finish(tenant.id, 10)
  const revive = "update vault.tenant_key set state = 'ACTIVE', wrapped = 'x' where tenant_id = $1 and version = 1"
  await expect(house.at.owner(revive, [tenant.id])).rejects.toMatchObject({ code: '42501' })
  await expectOpen(tenant, all)
})

test('check 71: under 200 writers no read and no write fails, and at the end the old key is destroyed', { timeout: 120_000 }, async () => {
  const tenant = await house.tenant()
  const all = await people(tenant, 120)
  let busy = true
  const write = async (): Promise<void> => {
    try {
      all.push(...(await people(tenant, 1)))
    } catch (error) {
      // Two hundred at once may be told to come again, and do; nothing else may happen to them.
      if (!overloaded.is(error)) throw error
      await write()
    }
  }
  const writing = Promise.all(Array.from({ length: 200 }, write))
  const read = async () => {
    for (let n = 0; busy; n++) await expectOpen(tenant, all.slice((n * 20) % 120, ((n * 20) % 120) + 20))
  }
  const reads = read()
  await command(system(tenant.id), (scope) => rotation.start(scope))
  await finish(tenant.id, 40, rotation)
  busy = false
  await Promise.all([writing, reads])
  expect(all).toHaveLength(320)
  expect((await versions(tenant.id)).map(({ state, subjects }) => [state, subjects])).toEqual([['DESTROYED', 0], ['ACTIVE', 320]])
  for (let at = 0; at < all.length; at += 100) await expectOpen(tenant, all.slice(at, at + 100))
})

test('check 71: a rotation killed in the middle goes on where it was, in another process, and two of them take turns', async () => {
  const tenant = await house.tenant()
  const all = await people(tenant, 120)
  const program = join(import.meta.dirname, '../../../test/kit/rotation-process.ts')
  const settings = [house.at.ownerUrl, loginSecret(), join(house.dataDir, 'kms.json'), tenant.id]
  const child = fork(program, settings, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  children.push(child)
  // It says each batch that it has committed, and is killed at its third.
  await new Promise<void>((resolve, reject) => {
    let batches = 0
    child.on('message', () => {
      if (++batches === 3) child.kill('SIGKILL')
    })
    child.on('exit', (code, signal) => (signal === 'SIGKILL' ? resolve() : reject(new Error(`It ended by itself with ${code}.`))))
  })
  const [run] = await house.at.owner<{ state: string; done: number }>('select state, done from vault.reencryption_run where tenant_id = $1', [tenant.id])
  expect(run!.state).toBe('RUNNING')
  expect(run!.done).toBeGreaterThanOrEqual(15)
  expect(run!.done).toBeLessThan(120)
  await expectOpen(tenant, all)
  expect(await command(system(tenant.id), (scope) => rotation.start(scope))).toMatchObject({ state: 'RUNNING', fromVersion: 1, toVersion: 2 })
  await Promise.all([finish(tenant.id, 10), finish(tenant.id, 10)])
  const [ended] = await house.at.owner('select state, done from vault.reencryption_run where tenant_id = $1', [tenant.id])
  expect(ended).toEqual({ state: 'DONE', done: 120 })
  expect((await versions(tenant.id)).map(({ state }) => state)).toEqual(['DESTROYED', 'ACTIVE'])
  await expectOpen(tenant, all)
})

test('a key turns by itself when it is ninety days old, and not before', async () => {
  const tenant = await house.tenant()
  const all = await people(tenant, 2)
  const open = () => house.database.unit(system(tenant.id))
  await rotateWhenDue(quick, open)
  expect(await versions(tenant.id)).toHaveLength(1)
  await house.at.owner("update vault.tenant_key set created_at = now() - interval '90 days' where tenant_id = $1", [tenant.id])
  await rotateWhenDue(quick, open)
  expect((await versions(tenant.id)).map(({ state }) => state)).toEqual(['DESTROYED', 'ACTIVE'])
  await expectOpen(tenant, all)
})

test('a key turns by itself when it has wrapped half of what it may, and the next one counts what moved to it', async () => {
  const tenant = await house.tenant()
  const all = await people(tenant, 3)
  const wear = (seals: number) => house.at.owner('update vault.tenant_key set seals = $1 where tenant_id = $2 and version = 1', [seals, tenant.id])
  const open = () => house.database.unit(system(tenant.id))
  await wear(wornSeals - 1)
  await rotateWhenDue(quick, open)
  expect(await versions(tenant.id)).toHaveLength(1)
  await wear(wornSeals)
  await rotateWhenDue(quick, open)
  expect((await versions(tenant.id)).map(({ state }) => state)).toEqual(['DESTROYED', 'ACTIVE'])
  expect(await house.at.owner('select seals from vault.tenant_key where tenant_id = $1 and version = 2', [tenant.id])).toEqual([{ seals: 3 }])
  await expectOpen(tenant, all)
})

test('of two that begin at once one makes the next key, the other goes on with it, and writers wait for neither nor for the KMS', async () => {
  const tenant = await house.tenant()
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  const generate: RotationParts['kms']['generate'] = async (...input) => {
    asked.resolve()
    await answer.promise
    return parts.kms.generate(...input)
  }
  const one = command(system(tenant.id), (scope) => createRotation({ ...parts, kms: { ...parts.kms, generate } }).start(scope))
  await asked.promise
  const two = command(system(tenant.id), (scope) => rotation.start(scope))
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
  let between: Sealed[] = []
  try {
    await expect.poll(async () => (await house.at.owner(waiting)).length, { timeout: 8_000 }).toBe(1)
    expect(await numbered()).toEqual([])
    between = await people(tenant, 1)
  } finally {
    answer.resolve()
  }
  const begun = { state: 'RUNNING', fromVersion: 1, toVersion: 2, done: 0 }
  expect(await Promise.all([one, two])).toEqual([begun, begun])
  expect((await versions(tenant.id)).map(({ state, subjects }) => [state, subjects])).toEqual([['RETIRED', 1], ['ACTIVE', 0]])
  await expectOpen(tenant, between)
})

test('while a batch waits for the KMS it holds nothing: the trail is sealed, and another process goes on', async () => {
  const tenant = await house.tenant()
  const all = await people(tenant, 2)
  await command(system(tenant.id), (scope) => rotation.start(scope))
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  const kms: RotationParts['kms'] = {
    ...parts.kms,
    async unwrap(...input) {
      asked.resolve()
      await answer.promise
      return parts.kms.unwrap(...input)
    },
  }
  const cold = createRotation({ ...parts, kms, ring: createKeyRing({ kms, cache: createKeyCache() }) })
  const slow = command(system(tenant.id), (scope) => cold.batch(scope, 10))
  try {
    await asked.promise
    expect(await numbered()).toEqual([])
    await finish(tenant.id, 10)
  } finally {
    answer.resolve()
  }
  expect(await slow).toMatchObject({ state: 'DONE', toVersion: 2 })
  await expectOpen(tenant, all)
})

test('nobody but the operator and the system turns a key', async () => {
  const tenant = await house.tenant()
  for (const role of ['tenant_admin', 'care_coordinator'] as const) {
    const attempt = house.database.unit(tenant.member[role].caller).command((scope) => keys.startRotation(scope, {}))
    await expect(attempt).rejects.toMatchObject({ code: 'FORBIDDEN' })
  }
})
