/** Signing keys over a real database: made once however many processes begin, shared, rotated, and never shown. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keysUnavailable } from '../vault/contract.ts'
import { layGround, signedIn, password, type Ground, type Process } from '../../../test/kit/sign-in.ts'

let ground: Ground

beforeEach(async () => {
  ground = await layGround()
})
afterEach(() => ground.close())

const dayMs = 86_400_000
const code = (name: string) => expect.objectContaining({ code: name })
const kids = async () => (await ground.at.owner<{ kid: string }>('select kid from identity.signing_key order by kid')).map(({ kid }) => kid)

const bearerOf = async (at: Process): Promise<string> => {
  const { email } = await ground.person()
  const given = { email, password, plane: 'clinician' } as const
  const result = await at.as(ground.nobody('clinician'), (identity, scope) => identity.signIn(scope, given))
  return signedIn(result).accessToken!
}
const identify = (at: Process, bearer: string) =>
  at.as(ground.nobody('clinician'), (identity, scope) => identity.identify(scope, { bearer, plane: 'clinician' }))
const kidOf = (bearer: string) => (JSON.parse(Buffer.from(bearer.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid

test('processes that begin at once make one key a plane, and each believes what the other signs', async () => {
  const [one, two] = await Promise.all([ground.process(), ground.process()])
  expect((await kids()).map((kid) => kid.split('.')[0])).toEqual(['clinician', 'console', 'consumer', 'courier', 'seller', 'throttle'])
  expect(await identify(two, await bearerOf(one))).toMatchObject({ role: 'clinician' })
  expect(await identify(one, await bearerOf(two))).toMatchObject({ role: 'clinician' })
})

test('the published list holds every key and no private part; the stored private part is sealed for its own row', async () => {
  const one = await ground.process()
  const { keys } = await one.keys.published()
  expect(keys).toHaveLength(5)
  for (const key of keys) expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
  const rows = await ground.at.owner<{ private_jwk: string }>('select private_jwk from identity.signing_key')
  for (const row of rows) expect(row.private_jwk).toMatch(/^v1\|/)
  await ground.at.owner(`update identity.signing_key
    set private_jwk = (select private_jwk from identity.signing_key where plane = 'console') where plane = 'seller'`)
  await expect(ground.process()).rejects.toEqual(code('SEALED_VALUE_UNREADABLE'))
})

test('a key is succeeded before it retires; what it signed is believed until it dies, by processes that slept through it too', async () => {
  const [one, sleeper] = [await ground.process(), await ground.process()]
  const first = await bearerOf(one)
  ground.clock.advance(6.5 * dayMs)
  await one.keys.rotate()
  expect((await one.keys.published()).keys).toHaveLength(10)
  ground.clock.advance(0.5 * dayMs)
  const second = await bearerOf(one)
  expect(kidOf(second)).not.toBe(kidOf(first))
  expect(await identify(sleeper, second)).toMatchObject({ role: 'clinician' })
  await expect(identify(one, first)).rejects.toEqual(code('TOKEN_EXPIRED'))
  ground.clock.advance(2 * dayMs)
  await one.keys.rotate()
  expect(await kids()).not.toContain(kidOf(first))
})

test('a process that no job ever reminded still finds a key to sign with', async () => {
  const one = await ground.process()
  ground.clock.advance(30 * dayMs)
  expect(await identify(one, await bearerOf(one))).toMatchObject({ role: 'clinician' })
})

test('a KMS that is away keeps nobody from signing in: the key that is held signs until it retires, and not a day longer', async () => {
  const one = await ground.process()
  const kid = kidOf(await bearerOf(one))
  ground.clock.advance(31 * 60_000)
  const opening = vi.spyOn(one.vault, 'openSecrets').mockRejectedValue(keysUnavailable({ reason: 'The KMS is away.' }))
  const bearer = await bearerOf(one)
  expect([kidOf(bearer), opening.mock.calls.length]).toEqual([kid, 1])
  expect(await identify(one, bearer)).toMatchObject({ role: 'clinician' })
  opening.mockRejectedValue(new Error('something else'))
  await expect(bearerOf(one)).rejects.toThrow('something else')
  opening.mockRejectedValue(keysUnavailable({ reason: 'The KMS is away.' }))
  ground.clock.advance(30 * dayMs)
  await expect(bearerOf(one)).rejects.toEqual(code('KEYS_UNAVAILABLE'))
  opening.mockRestore()
  expect(kidOf(await bearerOf(one))).not.toBe(kid)
})
