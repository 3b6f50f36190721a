/** Guessing over a real database: counted by two processes together, before anything is compared, and no lock-out at a stranger's wish. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../../kernel/id.ts'
import { createAttempts, type Attempt } from './attempts.ts'
import { totpCode, totpStep } from './credentials/totp.ts'
import { createThrottleRepo } from './repo-throttle.ts'
import { layGround, password, signedIn, type Ground, type Process, type TestPerson } from '../../../test/kit/sign-in.ts'

let ground: Ground
let one: Process
let two: Process

beforeAll(async () => {
  ground = await layGround()
  one = await ground.process()
  two = await ground.process()
})
afterAll(() => ground.close())

const code = (name: string) => expect.objectContaining({ code: name })
/** A tenant of its own has no history. */
const newTenant = () => newId()
let addresses = 0
const newAddress = () => `203.0.113.${(addresses = (addresses + 1) % 250)}`

interface Trying {
  readonly at?: Process
  readonly typed?: string
  readonly address: string
  readonly deviceToken?: string | null
}

const signIn = ({ email, tenantId }: TestPerson, { at = one, typed = password, address, deviceToken = null }: Trying) =>
  at.as(ground.nobody('clinician', { tenantId, address }), (identity, scope) =>
    identity.signIn(scope, { email, password: typed, plane: 'clinician', ...(deviceToken ? { deviceToken } : {}) }),
  )
const guess = (person: TestPerson, trying: Trying) =>
  signIn(person, { typed: 'a wrong guess', ...trying }).then(
    () => 'ok',
    (error: { code?: string }) => error.code ?? String(error),
  )
const waitsOf = async (work: () => Promise<unknown>): Promise<number[]> => {
  one.waits.length = 0
  two.waits.length = 0
  await work()
  return [...one.waits, ...two.waits]
}

test('failures that two processes saw are counted together: slowed from the third, refused from the tenth', async () => {
  const person = await ground.person({ tenantId: newTenant() })
  const address = newAddress()
  const waits = await waitsOf(async () => {
    for (let i = 0; i < 10; i++) expect(await guess(person, { at: i % 2 ? one : two, address })).toBe('INVALID_CREDENTIALS')
  })
  expect(waits.toSorted()).toEqual([1_000, 1_000, 4_000, 4_000, 4_000, 4_000, 4_000])
  for (const at of [one, two]) {
    await expect(signIn(person, { at, address })).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS', data: { retryAfterSeconds: 60 } })
  }
})

test('of thirty guesses at once, through two processes, ten are compared and not one more', async () => {
  const person = await ground.person({ tenantId: newTenant() })
  const address = newAddress()
  const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => guess(person, { at: i % 2 ? one : two, address })))
  expect(answers.filter((answer) => answer === 'INVALID_CREDENTIALS')).toHaveLength(10)
  expect(answers.filter((answer) => answer === 'TOO_MANY_REQUESTS')).toHaveLength(20)
})

test('a refused attempt is not counted: knocking does not keep the door shut', async () => {
  const person = await ground.person({ tenantId: newTenant() })
  const address = newAddress()
  for (let i = 0; i < 10; i++) await guess(person, { address })
  ground.clock.advance(10 * 60_000)
  for (let i = 0; i < 10; i++) expect(await guess(person, { address })).toBe('TOO_MANY_REQUESTS')
  ground.clock.advance(5 * 60_000)
  expect(await guess(person, { address })).toBe('INVALID_CREDENTIALS')
})

test('strangers who guess at an account neither slow nor refuse its owner\'s device, and a new device only a little', async () => {
  const person = await ground.person({ tenantId: newTenant() })
  const { deviceToken } = signedIn(await signIn(person, { address: newAddress() }))
  const hostile = newAddress()
  for (let i = 0; i < 12; i++) await guess(person, { address: hostile })
  for (let i = 0; i < 18; i++) await guess(person, { address: newAddress() })
  expect(await waitsOf(() => signIn(person, { address: newAddress(), deviceToken }))).toEqual([])
  expect(await waitsOf(() => signIn(person, { address: hostile, deviceToken }))).toEqual([])
  expect(await waitsOf(() => signIn(person, { address: newAddress() }))).toEqual([1_000])
})

test('right passwords leave no failure behind, however often they come', async () => {
  const person = await ground.person({ tenantId: newTenant() })
  const address = newAddress()
  const waits = await waitsOf(async () => {
    for (let i = 0; i < 12; i++) await signIn(person, { address })
  })
  expect(waits).toEqual([])
})

test('a hospital behind one address is not one guesser: eleven people mistype once and all get in', async () => {
  const tenantId = newTenant()
  const address = newAddress()
  const waits = await waitsOf(async () => {
    for (let i = 0; i < 11; i++) {
      const person = await ground.person({ tenantId })
      await guess(person, { address })
      await signIn(person, { address })
    }
  })
  expect(waits).toEqual([])
})

test('a device token is given by us: a planted one is replaced, one that signed somebody else in earns nothing here', async () => {
  const tenantId = newTenant()
  const [owner, other] = [await ground.person({ tenantId }), await ground.person({ tenantId })]
  const planted = 'p'.repeat(43)
  const given = signedIn(await signIn(owner, { address: newAddress(), deviceToken: planted })).deviceToken
  expect(given).not.toBe(planted)
  expect(signedIn(await signIn(owner, { address: newAddress(), deviceToken: given })).deviceToken).toBe(given)
  expect(signedIn(await signIn(other, { address: newAddress(), deviceToken: given })).deviceToken).not.toBe(given)
})

test('twenty wrong codes a day end a stranger’s guessing, and neither a known device’s code nor a recovery code', async () => {
  const person = await ground.person({ tenantId: newTenant() })
  const known = signedIn(await signIn(person, { address: newAddress() })).deviceToken
  const secret = await ground.withTotp(one, person)
  const rightCode = () => totpCode({ secret, step: totpStep(ground.clock.nowMs()) })
  const challenge = async (address: string, deviceToken: string | null = null): Promise<string> => {
    const result = await signIn(person, { address, deviceToken })
    if (result.kind !== 'SECOND_FACTOR_REQUIRED') throw new Error(result.kind)
    return result.challengeToken
  }
  const verify = (address: string, challengeToken: string, typed: string, deviceToken: string | null = null) =>
    one.as(ground.nobody('clinician', { tenantId: person.tenantId, address }), (identity, scope) =>
      identity.verifySecondFactor(scope, { plane: 'clinician', challengeToken, code: typed, ...(deviceToken ? { deviceToken } : {}) }),
    )
  for (let round = 0; round < 4; round++) {
    const address = newAddress()
    const token = await challenge(address)
    for (let i = 0; i < 5; i++) await expect(verify(address, token, 'abcdef')).rejects.toEqual(code('CODE_REFUSED'))
  }
  const address = newAddress()
  await expect(verify(address, await challenge(address), rightCode())).rejects.toEqual(code('TOO_MANY_REQUESTS'))
  expect(signedIn(await verify(address, await challenge(address, known), rightCode(), known)).kind).toBe('SIGNED_IN')
})

test('counters name nobody, and go when no window reaches them any more', async () => {
  const person = await ground.person({ tenantId: newTenant() })
  const address = newAddress()
  await guess(person, { address })
  const sql = 'select key, member from identity.throttle_count where tenant_id = $1'
  const before = await ground.at.owner<{ key: string; member: string }>(sql, [person.tenantId])
  expect(before.length).toBeGreaterThan(3)
  for (const { key, member } of before) {
    expect(key).toMatch(/^[\w-]{43}$/)
    expect(member).toMatch(/^([\w-]{43})?$/)
  }
  ground.clock.advance(2 * 86_400_000)
  await signIn(person, { address })
  const [old] = await ground.at.owner<{ count: number }>(
    'select count(*)::int as count from identity.throttle_count where tenant_id = $1 and expires_at < $2',
    [person.tenantId, new Date(ground.clock.nowMs())],
  )
  expect(old).toEqual({ count: 0 })
})

test('one tenant under attack does not take every waiting place, and whoever finds none is told when to come back', async () => {
  const release = Promise.withResolvers<void>()
  const attempts = createAttempts({
    repo: createThrottleRepo({ sql: () => ({}) as never }),
    secret: async () => new Uint8Array(32),
    clock: ground.clock,
    wait: () => release.promise,
  })
  const waiting = { slowdown: { delayMs: 4_000, refuseForMs: 0 } } as Attempt
  const at = (tenantId: string) => one.database.unit(ground.nobody('clinician', { tenantId })).scope
  const [attacked, calm] = [newTenant(), newTenant()]
  const held = Array.from({ length: 50 }, () => attempts.wait(at(attacked), waiting))
  await expect(attempts.wait(at(attacked), waiting)).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS', data: { retryAfterSeconds: 4 } })
  const calmOne = attempts.wait(at(calm), waiting)
  release.resolve()
  await Promise.all([...held, calmOne])
  await attempts.wait(at(attacked), waiting)
})
