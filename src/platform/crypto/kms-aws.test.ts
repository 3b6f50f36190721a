import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { KmsDouble, type Mood } from '../../../test/kit/kms-double.ts'
import { openAwsKms, type AwsKmsOptions } from './kms-aws.ts'
import type { Kms, KeyTrouble } from './kms.ts'

const context = { tenant: 'tenant-a', purpose: 'tenant-data-key' }
const clock = { ms: 0, nowMs: () => clock.ms }
let double: KmsDouble
let building: string
const opened: Kms[] = []

async function open(more: Partial<AwsKmsOptions> = {}): Promise<Kms> {
  const limits = { attemptMs: 1_000, callMs: 3_000, attempts: 2 }
  const kms = await openAwsKms({ keyId: building, region: double.region, endpoint: double.url, clock, ...limits, ...more })
  opened.push(kms)
  return kms
}
const troubled = (trouble: KeyTrouble) => ({ code: 'KEYS_UNAVAILABLE', data: { trouble } })

beforeAll(async () => {
  double = await KmsDouble.start()
  building = double.createKey()
  for (const [name, value] of Object.entries(double.credentials)) vi.stubEnv(name, value)
})
afterEach(() => {
  double.set('well')
})
afterAll(async () => {
  for (const kms of opened) kms.close()
  vi.unstubAllEnvs()
  await double.stop()
})

test('a key is made, unwraps again, and every call names tenant and purpose', async () => {
  const kms = await open()
  const from = double.calls.length
  const { key, wrapped, keyId } = await kms.generate(context)
  expect([keyId, key.length]).toEqual([building, 32])
  expect((await kms.unwrap(wrapped, keyId, context)).equals(key)).toBe(true)
  expect(double.calls.slice(from).map((call) => [call.operation, call.context, call.answer])).toEqual([
    ['GenerateDataKey', context, 'ok'],
    ['Decrypt', context, 'ok'],
    ['Decrypt', context, 'ok'],
  ])
})

test('a key opens with its own context and key alone, and only whole', async () => {
  const kms = await open()
  const { key, wrapped, keyId } = await kms.generate(context)
  const other = await kms.generate(context)
  const [, blob, proof] = wrapped.split('|') as [string, string, string]
  const wrong: [string, string, typeof context][] = [
    [wrapped, keyId, { ...context, tenant: 'tenant-b' }],
    [wrapped, keyId, { ...context, purpose: 'platform-key' }],
    [wrapped, double.createKey(), context],
    [`a1|${blob.slice(4)}|${proof}`, keyId, context],
    [`a1|${blob.slice(0, -4)}|${proof}`, keyId, context],
    [`a1|${other.wrapped.split('|')[1]}|${proof}`, keyId, context],
    [`a1|${blob}|${other.wrapped.split('|')[2]}`, keyId, context],
    [wrapped.slice(0, -1), keyId, context],
    ['', keyId, context],
  ]
  for (const [bent, id, with_] of wrong) await expect(kms.unwrap(bent, id, with_)).rejects.toMatchObject(troubled('DIFFERENT'))
  expect((await kms.unwrap(wrapped, keyId, context)).equals(key)).toBe(true)
})

test('a key moves to another key of the KMS without being seen, and does not open with the former', async () => {
  const kms = await open()
  const { key, wrapped, keyId } = await kms.generate(context)
  const own = double.createKey()
  const moved = await kms.rewrap(wrapped, keyId, context, own)
  expect(moved.keyId).toBe(own)
  expect((await kms.unwrap(moved.wrapped, own, context)).equals(key)).toBe(true)
  await expect(kms.unwrap(moved.wrapped, building, context)).rejects.toMatchObject(troubled('DIFFERENT'))
  double.set('wrong-plaintext')
  await expect(kms.rewrap(wrapped, keyId, context, own)).rejects.toMatchObject(troubled('DIFFERENT'))
})

const failures: readonly (readonly [Mood, KeyTrouble])[] = [
  ['hang', 'UNREACHABLE'],
  ['cut', 'UNREACHABLE'],
  ['broken', 'UNREACHABLE'],
  ['corrupt', 'UNREACHABLE'],
  ['throttle', 'THROTTLED'],
  ['deny', 'REFUSED'],
  ['disable', 'DISABLED'],
  ['wrong-plaintext', 'DIFFERENT'],
  ['wrong-key', 'DIFFERENT'],
]
test.each(failures)('check 67: a KMS that answers with %s gives no key, and says %s; well again, it gives it', async (mood, trouble) => {
  const kms = await open({ openMs: 1 })
  const { key, wrapped, keyId } = await kms.generate(context)
  double.set(mood)
  const asked = double.count('Decrypt')
  await expect(kms.unwrap(wrapped, keyId, context)).rejects.toMatchObject(troubled(trouble))
  // What may pass by itself is tried again, as often as the limit says; what will not, once.
  expect(double.count('Decrypt') - asked).toBe(['UNREACHABLE', 'THROTTLED'].includes(trouble) ? 2 : 1)
  await expect(kms.generate(context)).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
  double.set('well')
  clock.ms += 10
  expect((await kms.unwrap(wrapped, keyId, context)).equals(key)).toBe(true)
})

test('credentials that the KMS does not know are refused at once', async () => {
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'another')
  const kms = await open()
  const from = double.calls.length
  await expect(kms.describe(building)).rejects.toMatchObject(troubled('REFUSED'))
  expect(double.calls.slice(from).map((call) => call.answer)).toEqual(['InvalidSignatureException'])
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', double.secretAccessKey)
  expect(await (await open()).describe(building)).toEqual({ keyId: building })
})

test('check 68: a throttled key is left alone after three failures, then asked once; another key is asked all the while', async () => {
  const kms = await open({ attempts: 1, openMs: 5_000 })
  const own = double.createKey()
  const mine = await kms.generate(context, own)
  const theirs = await kms.generate(context)
  double.set('throttle', own)
  const attempt = () => kms.unwrap(mine.wrapped, own, context)
  for (let n = 0; n < 3; n++) await expect(attempt()).rejects.toMatchObject(troubled('THROTTLED'))
  const asked = double.count('Decrypt', own)
  for (let n = 0; n < 20; n++) await expect(attempt()).rejects.toMatchObject(troubled('UNREACHABLE'))
  expect(double.count('Decrypt', own)).toBe(asked)
  expect((await kms.unwrap(theirs.wrapped, building, context)).equals(theirs.key)).toBe(true)
  // Its time is over: of ten who come at once, one asks.
  clock.ms += 5_001
  await Promise.allSettled(Array.from({ length: 10 }, attempt))
  expect(double.count('Decrypt', own)).toBe(asked + 1)
  double.set('well', own)
  await expect(attempt()).rejects.toMatchObject(troubled('UNREACHABLE'))
  // Whoever mended the key says so by asking for it.
  await kms.describe(own)
  expect((await attempt()).equals(mine.key)).toBe(true)
})

test('a disabled key is described as disabled, a stranger\'s as refused', async () => {
  const kms = await open()
  const own = double.createKey()
  expect(await kms.describe(own)).toEqual({ keyId: own })
  double.set('disable', own)
  await expect(kms.describe(own)).rejects.toMatchObject(troubled('DISABLED'))
  await expect(kms.describe(`${own}x`)).rejects.toMatchObject(troubled('REFUSED'))
})
