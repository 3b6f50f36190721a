import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { KmsDouble } from '../../../test/kit/kms-double.ts'
import { newId } from '../../kernel/id.ts'
import { createKeyCache, maxTtlMs } from '../../platform/crypto/key-cache.ts'
import { openAwsKms } from '../../platform/crypto/kms-aws.ts'
import { keysUnavailable, type Kms } from '../../platform/crypto/kms.ts'
import type { TenantKey } from '../../platform/db/generated/client.ts'
import { contextOf, createKeyRing, type KeyRing, type SubjectKeyRow } from './key-ring.ts'
import { wrapKey } from './wrap.ts'

const clock = { ms: 0, nowMs: () => clock.ms }
let double: KmsDouble
let kms: Kms
let ring: KeyRing

beforeAll(async () => {
  double = await KmsDouble.start()
  for (const [name, value] of Object.entries(double.credentials)) vi.stubEnv(name, value)
  // The breaker's clock stands still: every refusal here is the KMS's own.
  const limits = { attemptMs: 2_000, callMs: 4_000, attempts: 1, failuresToOpen: 1_000 }
  kms = await openAwsKms({ keyId: double.createKey(), region: double.region, endpoint: double.url, clock, ...limits })
  ring = createKeyRing({ kms, cache: createKeyCache({ clock }) })
})
afterAll(async () => {
  kms.close()
  vi.unstubAllEnvs()
  await double.stop()
})

/** A tenant with its own key at the KMS, and people whose keys its data key wraps. */
async function tenantWith(people: number) {
  const [tenantId, kekId] = [newId(), double.createKey()]
  const { key, wrapped } = await kms.generate(contextOf(tenantId), kekId)
  const row: TenantKey = {
    tenantId, version: 1, wrapped, kekId, ownKek: true, state: 'ACTIVE', createdAt: new Date(), destroyedAt: null,
    openedAt: null, darkSince: null, trouble: null, liveVersion: 1, seals: 0,
  }
  const subject = (): SubjectKeyRow => {
    const subjectId = newId()
    const fresh = wrapKey(key, { tenantId, subjectId, version: 1 }, randomBytes(32))
    return { tenantId, subjectId, wrapped: fresh, state: 'ACTIVE', seals: 0, tenantKey: row }
  }
  return { kekId, row, subjects: Array.from({ length: people }, subject) }
}
const opens = (row: SubjectKeyRow): Promise<boolean> =>
  ring.useSubjectKey(row, (key) => key.length === 32).catch((error: unknown) => {
    if (keysUnavailable.is(error)) return false
    throw error
  })

test('check 68: a thousand reads of a hundred people at once ask the KMS once', async () => {
  const { kekId, subjects } = await tenantWith(100)
  const asked = double.count('Decrypt', kekId)
  const rows = Array.from({ length: 10 }, () => subjects).flat()
  expect(new Set(await Promise.all(rows.map(opens)))).toEqual(new Set([true]))
  expect(double.count('Decrypt', kekId) - asked).toBe(1)
})

test.each(['disable', 'deny', 'hang'] as const)(
  'with its own key (%s) a tenant is dark within the cache time, whenever its people were last read; nobody else is',
  async (mood) => {
    const mine = await tenantWith(3)
    const others = await tenantWith(1)
    const startMs = clock.ms
    expect(await opens(mine.subjects[0]!)).toBe(true)
    double.set(mood, mine.kekId)
    // The last moment at which the data key is still there: this person's key must not start five minutes of its own.
    clock.ms = startMs + maxTtlMs - 1
    expect(await opens(mine.subjects[1]!)).toBe(true)
    let darkMs = 0
    for (let second = Math.floor(maxTtlMs / 1_000) - 2; darkMs === 0; second++) {
      clock.ms = startMs + second * 1_000
      const open = await Promise.all([opens(mine.subjects[0]!), opens(mine.subjects[1]!)])
      expect(await opens(others.subjects[0]!)).toBe(true)
      if (open.every((one) => !one)) darkMs = clock.ms - startMs
      else expect(open).toEqual([true, true])
    }
    expect(darkMs).toBe(maxTtlMs)
    expect(await opens(mine.subjects[2]!)).toBe(false)
    double.set('well', mine.kekId)
    expect(await Promise.all(mine.subjects.map(opens))).toEqual([true, true, true])
  },
)

test('check 70: a data key that came wrong is not kept: what it cannot open evicts it, and the next read asks anew', async () => {
  const { kekId, row, subjects } = await tenantWith(1)
  const good = subjects[0]!
  expect(await opens(good)).toBe(true)
  const asked = double.count('Decrypt', kekId)
  // Another tenant's subject, copied here: its wrap does not open with this data key.
  expect(await opens({ ...good, subjectId: newId() })).toBe(false)
  expect(await ring.useTenantKey(row, (key) => key.length)).toBe(32)
  expect(double.count('Decrypt', kekId) - asked).toBe(1)
})

test('check 70: a wrong key from the KMS poisons nothing: not its tenant\'s next read once the KMS is well, and nobody else at all', async () => {
  const [mine, others] = [await tenantWith(1), await tenantWith(1)]
  expect(await opens(others.subjects[0]!)).toBe(true)
  const asked = double.count('Decrypt', others.kekId)
  double.set('wrong-plaintext', mine.kekId)
  expect(await opens(mine.subjects[0]!)).toBe(false)
  expect(await opens(others.subjects[0]!)).toBe(true)
  double.set('well', mine.kekId)
  expect(await opens(mine.subjects[0]!)).toBe(true)
  expect(await opens(others.subjects[0]!)).toBe(true)
  expect(double.count('Decrypt', others.kekId)).toBe(asked)
})

test('a wrap moved to another version of the data key opens nothing', async () => {
  const { row, subjects } = await tenantWith(1)
  expect(await opens(subjects[0]!)).toBe(true)
  expect(await opens({ ...subjects[0]!, tenantKey: { ...row, version: 2 } })).toBe(false)
})

test('keys that move are overwritten behind the move, also when one of them does not open', async () => {
  const { row, subjects } = await tenantWith(3)
  const keys = subjects.map(({ subjectId, wrapped }) => ({ subjectId, wrapped: wrapped! }))
  const to = { ...row, version: 2 }
  expect(await ring.moveKeys(row, to, keys)).toHaveLength(3)
  const wiped = vi.spyOn(Buffer.prototype, 'fill')
  const bent = keys.with(2, { ...keys[2]!, subjectId: newId() })
  await expect(ring.moveKeys(row, to, bent)).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
  const keyBuffers = wiped.mock.contexts.filter((buffer) => (buffer as Buffer).length === 32)
  wiped.mockRestore()
  // The two that opened, and the one that did not.
  expect(keyBuffers).toHaveLength(3)
})
