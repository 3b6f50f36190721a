/** `keys rotate` as the operator runs it: one JSON document, killed in the middle and run again, and what it answers where there is nothing to turn. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../src/kernel/id.ts'
import { contextOf } from '../src/modules/vault/key-ring.ts'
import { unwrapKey, wrapKey } from '../src/modules/vault/wrap.ts'
import { openLocalKms } from '../src/platform/crypto/kms-local.ts'
import { withClient } from '../src/platform/db/provision.ts'
import { done, environmentOver, run } from './kit/command-line.ts'
import { freshDatabase, type TestDatabase } from './kit/postgres.ts'
import { root, type Environment } from './kit/server.ts'

const directory = mkdtempSync(join(tmpdir(), 'maristan-cli-keys-'))
const rotate = ['keys', 'rotate', '--tenant', 'cedar']
let at: TestDatabase
let environment: Environment
let tenantId = ''
mkdirSync(join(directory, 'data'))

beforeAll(async () => {
  at = await freshDatabase()
  environment = environmentOver(at, join(directory, 'data'))
  tenantId = (await done(environment, ['tenant', 'create', '--slug', 'cedar', '--name', 'Cedar']))['id'] as string
}, 60_000)
afterAll(async () => {
  await at.drop()
  rmSync(directory, { recursive: true, force: true })
})

/** The tenant's data key, as the KMS gives it. */
async function dataKey(version: number): Promise<Buffer> {
  const kms = await openLocalKms({ file: join(directory, 'data/kms.json'), mayCreate: false })
  const [row] = await at.owner<{ wrapped: string; kek: string }>('select wrapped, kek_id as kek from vault.tenant_key where tenant_id = $1 and version = $2', [tenantId, version])
  return kms.unwrap(row!.wrapped, row!.kek, contextOf(tenantId))
}
const state = async () =>
  (await at.owner<{ state: string; done: number }>('select state, done from vault.reencryption_run where tenant_id = $1 order by id desc limit 1', [tenantId]))[0]
/** The old key waits for whoever may still use it; here nobody does. */
const settle = () => at.owner("update vault.reencryption_run set created_at = now() - interval '1 minute' where tenant_id = $1 and state = 'RUNNING'", [tenantId])

test('a tenant without people is on the next key at once; one that is not there is refused', { timeout: 60_000 }, async () => {
  const turning = done(environment, rotate)
  const [unknown] = await Promise.all([
    run(environment, ['keys', 'rotate', '--tenant', 'nowhere']),
    expect.poll(async () => (await settle(), (await state())?.state), { interval: 50, timeout: 50_000 }).toBe('DONE'),
  ])
  expect(await turning).toEqual({ tenant: 'cedar', fromVersion: 1, toVersion: 2, rewrapped: 0 })
  expect([unknown.code, unknown.document['error'].code]).toEqual([1, 'NO_SUCH_TENANT'])
})

test('killed between two batches it says how far it is, and run again it goes on there, to the end', { timeout: 60_000 }, async () => {
  const key = await dataKey(2)
  const ids = Array.from({ length: 1_200 }, newId).sort()
  const wraps = ids.map((subjectId) => wrapKey(key, { tenantId, subjectId, version: 2 }, randomBytes(32)))
  await at.owner('insert into vault.subject_key (tenant_id, subject_id, tenant_key_version, wrapped) select $1, s, 2, w from unnest($2::uuid[], $3::text[]) as x (s, w)', [tenantId, ids, wraps])
  // Somebody holds a row of the third batch: the command stands there, two batches committed.
  await withClient(at.ownerUrl, async (holder) => {
    await holder.query('begin')
    await holder.query('select from vault.subject_key where tenant_id = $1 and subject_id = $2 for update', [tenantId, ids[1_100]])
    const { PATH, HOME } = process.env
    const child = spawn(process.execPath, ['src/cli.ts', ...rotate], { cwd: root, env: { PATH, HOME, LOG_LEVEL: 'error', ...environment }, stdio: 'ignore' })
    const ended = once(child, 'exit')
    await expect.poll(state, { interval: 20, timeout: 50_000 }).toEqual({ state: 'RUNNING', done: 1_000 })
    child.kill('SIGKILL')
    expect(await ended).toEqual([null, 'SIGKILL'])
    await holder.query('rollback')
  })
  const status = await done(environment, ['keys', 'status', '--tenant', 'cedar'])
  expect(status['rotation']).toMatchObject({ state: 'RUNNING', toVersion: 3, done: 1_000 })
  await settle()
  expect(await done(environment, rotate)).toEqual({ tenant: 'cedar', fromVersion: 2, toVersion: 3, rewrapped: 1_200 })
  expect(await at.owner('select version, state::text from vault.tenant_key where tenant_id = $1 order by 1', [tenantId])).toEqual([
    { version: 1, state: 'DESTROYED' },
    { version: 2, state: 'DESTROYED' },
    { version: 3, state: 'ACTIVE' },
  ])
  const next = await dataKey(3)
  const rows = await at.owner<{ id: string; wrapped: string }>('select subject_id as id, wrapped from vault.subject_key where tenant_id = $1', [tenantId])
  expect(rows).toHaveLength(1_200)
  for (const { id, wrapped } of rows) expect(unwrapKey(next, { tenantId, subjectId: id, version: 3 }, wrapped)).toHaveLength(32)
})
