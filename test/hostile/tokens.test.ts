/** Credentials that nobody gave out: every one is refused, says nothing, and costs no look-up where the plane is wrong. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { importJWK, SignJWT, type JWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import { signInPlanes, type Plane } from '../../src/kernel/scope.ts'
import { rolesOf } from '../../src/modules/access/contract.ts'
import type { Keys } from '../../src/modules/identity/keys.ts'
import { freshHouse, password, type TestHouse, type TestTenant } from '../kit/house.ts'
import { ask, codeIn, cookieOf, send, signIn, statementsDuring, viewer, type Answered } from './arena.ts'

type Json = Record<string, unknown>

let house: TestHouse
let cedar: TestTenant
let zaytuna: TestTenant
/** A clinician's own token of each tenant. */
let token: string
let foreign: string
let header: Json
let claims: Json

const parse = (segment: string): Json => JSON.parse(Buffer.from(segment, 'base64url').toString()) as Json
const pack = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  zaytuna = await house.tenant()
  token = await house.signIn(cedar, 'clinician')
  foreign = await house.signIn(zaytuna, 'clinician')
  header = parse(token.split('.')[0]!)
  claims = parse(token.split('.')[1]!)
})
afterAll(() => house.close())

const show = (bearer: string, headers: Record<string, string> = {}, plane: Plane = 'clinician') =>
  ask(house, plane, { authorization: `Bearer ${bearer}`, ...headers }, viewer)

function expectRefused(answer: Answered, name: string): void {
  // Another credential would help, except where a good one is used at the wrong door.
  expect(answer.status, name).toBe(codeIn(answer) === 'TOKEN_WRONG_PLANE' ? 403 : 401)
  expect(codeIn(answer), name).toMatch(/^(UNAUTHENTICATED|TOKEN_[A-Z_]+|SESSION_ENDED)$/)
  expect(answer.text, name).not.toMatch(/"data":\{|@/)
}

/** A token of ours in every way but its claims or its times: signed with the plane's own key. */
async function signed(changes: Json, headerChanges: Json = {}, plane: Plane = 'clinician'): Promise<string> {
  const { keys } = house.composed.made['identity'] as unknown as { keys: Keys }
  const key = await keys.signingKey(plane)
  const payload = Object.fromEntries(Object.entries({ ...claims, ...changes }).filter(([, value]) => value !== undefined))
  const signer = await importJWK(key.privateJwk as JWK, 'EdDSA')
  return new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: key.kid, ...headerChanges } as never).sign(signer)
}

/** The token with another header or other claims, under a signature made by `how`. */
function forged(headerChanges: Json, claimChanges: Json, how: (input: string) => string): string {
  const input = `${pack({ ...header, ...headerChanges })}.${pack({ ...claims, ...claimChanges })}`
  return `${input}.${how(input)}`
}

const ownSignature = () => token.split('.')[2]!
const nowSeconds = () => Math.floor(Date.now() / 1000)

test('the token that all of them imitate is believed', async () => {
  for (const bearer of [token, await signed({}), await signed({ jti: newId() })]) {
    const answer = await show(bearer)
    expect(JSON.parse(answer.text), answer.text).toEqual({
      data: { viewer: { email: cedar.member.clinician.email, membership: { role: 'clinician', plane: 'clinician' } } },
    })
  }
})

describe('a forged token is refused', () => {
  test('without a signature, whatever it calls the algorithm', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', null]) {
      expectRefused(await show(forged({ alg }, {}, () => '')), `alg ${alg}, no signature`)
      expectRefused(await show(forged({ alg }, {}, ownSignature)), `alg ${alg}, the old signature`)
    }
  })

  test('signed with the published key as if it were a secret', async () => {
    const published = (await (await fetch(`${house.url}/.well-known/jwks.json`)).json()) as { keys: (JWK & { kid: string })[] }
    const key = published.keys.find(({ kid }) => kid === header['kid'])!
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(key.x!, 'base64url')])
    const pem = `-----BEGIN PUBLIC KEY-----\n${spki.toString('base64')}\n-----END PUBLIC KEY-----`
    const secrets = [key.x!, Buffer.from(key.x!, 'base64url'), spki, pem, `${pem}\n`, JSON.stringify(key), '']
    for (const [alg, hash] of [['HS256', 'sha256'], ['HS384', 'sha384'], ['HS512', 'sha512'], ['EdDSA', 'sha512']] as const) {
      for (const [at, secret] of secrets.entries()) {
        const bearer = forged({ alg }, {}, (input) => createHmac(hash, secret).update(input).digest('base64url'))
        expectRefused(await show(bearer), `${alg} with secret ${at}`)
      }
    }
  })

  test('signed with a key of the attacker, named or carried in the header', async () => {
    const mine = generateKeyPairSync('ed25519')
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = mine.publicKey.export({ format: 'jwk' })
    const withMine = (input: string) => sign(null, Buffer.from(input), mine.privateKey).toString('base64url')
    const headers: Json[] = [
      {},
      { jwk },
      { jwk: { ...jwk, kid: header['kid'] } },
      { jku: 'http://127.0.0.1:1/jwks.json' },
      { x5u: 'http://127.0.0.1:1/cert.pem' },
      { x5c: ['MIIB'] },
      { kid: 'clinician.AAAAAAAAAAAAAAAAAAAAAA' },
    ]
    for (const changes of headers) expectRefused(await show(forged(changes, {}, withMine)), JSON.stringify(changes))
    const withRsa = (input: string) => sign('sha256', Buffer.from(input), rsa.privateKey).toString('base64url')
    expectRefused(await show(forged({ alg: 'RS256' }, {}, withRsa)), 'RS256')
  })

  test('with a header of our own key that we would not have written', async () => {
    const headers: Json[] = [
      { jku: 'http://127.0.0.1:1/jwks.json' },
      { jwk: {} },
      { typ: 'JWT' },
      { typ: undefined },
      { cty: 'JWT' },
      { x5t: 'AAAA' },
    ]
    for (const changes of headers) expectRefused(await show(await signed({}, changes)), JSON.stringify(changes))
  })

  test('with a key id of another plane, of no plane, or of the file system', async () => {
    for (const plane of signInPlanes.filter((one) => one !== 'clinician')) {
      const { kid } = parse((await house.signIn(cedar, rolesOf(plane)[0]!)).split('.')[0]!)
      expectRefused(await show(forged({ kid }, {}, ownSignature)), `${plane}'s key id`)
    }
    const none = ['', '../../../dev/null', "' or 1=1--", 'clinician.', 'clinician', '__proto__', 'constructor', 7, null, ['clinician'], {}]
    for (const kid of none) {
      expectRefused(await show(forged({ kid }, {}, ownSignature)), JSON.stringify(kid))
    }
  })

  test('with one claim changed under its old signature', async () => {
    const theirs = parse(foreign.split('.')[1]!)
    const changes: Json[] = [
      { sub: cedar.member.tenant_admin.membershipId },
      { sub: theirs['sub'] },
      { tenant: zaytuna.id },
      { sid: theirs['sid'] },
      { identity: theirs['identity'] },
      { exp: nowSeconds() + 3000 },
      { iss: 'https://evil.example' },
      { via: 'saml' },
      { role: 'tenant_admin' },
      { permissions: ['*'] },
    ]
    for (const change of changes) expectRefused(await show(forged({}, change, ownSignature)), JSON.stringify(change))
  })

  test('with our own signature under claims that do not hold together', async () => {
    const theirs = parse(foreign.split('.')[1]!)
    const changes: Json[] = [
      { sub: cedar.member.tenant_admin.membershipId },
      { sub: newId() },
      { sid: newId() },
      { sid: theirs['sid'] },
      { identity: newId() },
      { tenant: zaytuna.id },
      { iss: 'https://evil.example' },
      { iss: undefined },
      { aud: undefined },
      { aud: ['maristan:clinician', 'maristan:console'] },
      { client_id: 'maristan:console' },
      { tenant: undefined },
      { tenant: '*' },
      { role: 'tenant_admin' },
      { via: 'magic' },
      { sub: `${claims['sub'] as string}'--` },
    ]
    for (const change of changes) expectRefused(await show(await signed(change)), JSON.stringify(change))
  })

  test('out of its time, with a minute of patience for crooked clocks and no more', async () => {
    const now = nowSeconds()
    const at = (from: number, until: number) => signed({ iat: from, nbf: from, exp: until })
    for (const bearer of [await at(now - 600, now - 30), await at(now + 30, now + 600)]) expect((await show(bearer)).status).toBe(200)
    const bad = {
      expired: await at(now - 900, now - 70),
      'long expired': await at(now - 90_000, now - 89_000),
      'not yet': await at(now + 90, now + 600),
      'too long': await at(now, now + 86_400),
      'without end': await signed({ exp: undefined }),
      backwards: await at(now, now - 1),
      'no number': await signed({ exp: 'tomorrow' }),
      enormous: await signed({ exp: 1e300 }),
    }
    for (const [name, bearer] of Object.entries(bad)) expectRefused(await show(bearer), name)
  })

  test('cut short, lengthened, bent or of five kibibytes', async () => {
    const bad = [0.1, 0.3, 0.5, 0.7, 0.9, 0.99].map((part) => token.slice(0, Math.floor(token.length * part)))
    bad.push(token.slice(0, -1), `${token}A`, `${token}=`, `${token}.`, `.${token}`, `${token}.${token}`)
    bad.push(token.replaceAll('.', ''), '..', 'a.b.c')
    const last = token.at(-2)!
    bad.push(`${token.slice(0, -2)}${last === 'A' ? 'B' : 'A'}${token.at(-1)}`)
    bad.push('A'.repeat(5 * 1024), `${token}${'A'.repeat(5 * 1024)}`, `mst_${'A'.repeat(66)}`, 'mst_', `${pack([])}.${pack([])}.AA`)
    for (const bearer of bad) expectRefused(await show(bearer), bearer.slice(0, 60))
  })
})

test('an Authorization header of any other kind is nobody, and never falls back to the host\'s stranger', async () => {
  const front = '{ tenant { slug } }'
  const host = { host: `${cedar.slug}.localhost` }
  expect((await ask(house, 'clinician', host, front)).status).toBe(200)
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    expect((await ask(house, 'clinician', { ...host, authorization: `${scheme} ${token}` }, front)).status).toBe(200)
  }
  const garbage = ['', 'Bearer', 'Bearer ', `Basic ${Buffer.from('a:b').toString('base64')}`, 'Negotiate YII=', `Token ${token}`, token]
  garbage.push(`Bearer ${token} ${token}`, `Bearer ${token},${token}`, `Bearer "${token}"`, 'Bearer \u00e9', `Bearer\u00a0${token}`)
  garbage.push('Digest username="x"')
  for (const authorization of garbage) {
    const answer = await ask(house, 'clinician', { ...host, authorization }, front)
    expect([answer.status, codeIn(answer)], authorization).toEqual([401, 'UNAUTHENTICATED'])
  }
})

test('the plane is judged before anything is looked up', async () => {
  expect(await statementsDuring(() => show(token))).toBeGreaterThan(0)
  for (const plane of signInPlanes.filter((one) => one !== 'clinician')) {
    const host = { host: `t${newId().slice(-8)}.localhost` }
    for (const headers of [{}, host]) {
      const count = await statementsDuring(async () => {
        const answer = await show(token, headers, plane)
        expect([answer.status, codeIn(answer)], plane).toEqual([403, 'TOKEN_WRONG_PLANE'])
      })
      expect(count, plane).toBe(0)
    }
  }
  const cookie = (await cookieOf(house, cedar, 'clinician')).replace(/^[a-z]+_sid/, 'k_sid')
  const moved = await statementsDuring(async () => {
    const answer = await ask(house, 'console', { cookie, 'x-maristan-csrf': '1' }, viewer)
    expect(codeIn(answer)).toBe('TOKEN_WRONG_PLANE')
  })
  expect(moved).toBe(0)
  const malformed = await statementsDuring(async () => expectRefused(await show('a.b.c'), 'malformed'))
  expect(malformed).toBe(0)
})

describe('a token of one tenant at the door of another', () => {
  /** What a tenant's trail says of credentials that were turned away. */
  const turnedAway = (tenant: TestTenant) =>
    house.at.owner(
      `select actor_kind, actor_id is not null as known, plane, outcome, detail ->> 'code' as code from audit.event
       where tenant_id = '${tenant.id}' and action = 'access.denied' and resource = 'Request'`,
    )

  test('is refused, and at its own door or at none believed', async () => {
    const own: Record<string, string>[] = [{}, { host: `${cedar.slug}.localhost` }, { 'x-maristan-tenant': cedar.slug }]
    for (const headers of own) expect((await show(token, headers)).status, JSON.stringify(headers)).toBe(200)
    const other: Record<string, string>[] = [{ host: `${zaytuna.slug}.localhost` }, { 'x-maristan-tenant': zaytuna.slug }]
    for (const headers of other) {
      const answer = await show(token, headers)
      expect([answer.status, codeIn(answer)], JSON.stringify(headers)).toEqual([403, 'WRONG_HOST'])
    }
    const session = await send(house, {
      method: 'GET',
      path: '/session',
      headers: { authorization: `Bearer ${token}`, host: `${zaytuna.slug}.localhost` },
    })
    expect([session.status, codeIn(session)]).toEqual([401, 'WRONG_HOST'])
    // Its holder's own tenant learns of each; the other one's trail is not a stranger's to write.
    const line = { actor_kind: 'member', known: true, plane: 'clinician', outcome: 'denied', code: 'WRONG_HOST' }
    expect(await turnedAway(cedar)).toEqual([line, line, line])
    expect(await turnedAway(zaytuna)).toEqual([])
  })

  test('leaves no line where it is forged: a stranger orders none', async () => {
    const before = await turnedAway(cedar)
    const fake = `${token.slice(0, -4)}AAAA`
    expect(codeIn(await show(fake, { host: `${zaytuna.slug}.localhost` }))).toBe('WRONG_HOST')
    expect(await turnedAway(cedar)).toEqual(before)
  })

  test('is refused as a cookie too', async () => {
    const cookie = await cookieOf(house, cedar, 'clinician')
    const csrf = { cookie, 'x-maristan-csrf': '1' }
    expect((await ask(house, 'clinician', { ...csrf, host: `${cedar.slug}.localhost` }, viewer)).status).toBe(200)
    expect(codeIn(await ask(house, 'clinician', { ...csrf, host: `${zaytuna.slug}.localhost` }, viewer))).toBe('WRONG_HOST')
  })
})

describe('a session cookie', () => {
  test('that is forged opens nothing', async () => {
    const cookie = await cookieOf(house, cedar, 'clinician')
    const other = await cookieOf(house, zaytuna, 'clinician')
    const [name, value] = cookie.split('=') as [string, string]
    const [tenant, session, secret] = value.split('.') as [string, string, string]
    const [theirTenant, theirSession, theirSecret] = other.split('=')[1]!.split('.') as [string, string, string]
    const host = { host: `${cedar.slug}.localhost`, 'x-maristan-csrf': '1' }
    expect((await ask(house, 'clinician', { ...host, cookie }, viewer)).status).toBe(200)
    const forgeries = [
      [tenant, session, theirSecret],
      [tenant, theirSession, theirSecret],
      [tenant, theirSession, secret],
      [theirTenant, session, secret],
      [tenant, session],
      [tenant, session, secret, 'x'],
      ['', '', ''],
      [tenant, session, secret.slice(0, -1)],
    ].map((parts) => parts.join('.'))
    for (const forgery of [...forgeries, '"', '%00', 'x'.repeat(5000), token]) {
      const answer = await ask(house, 'clinician', { ...host, cookie: `${name}=${forgery}` }, viewer)
      expect(answer.text, forgery.slice(0, 80)).not.toContain('@')
      expect(codeIn(answer), forgery.slice(0, 80)).toMatch(/^(UNAUTHENTICATED|WRONG_HOST|TOKEN_[A-Z_]+)$/)
    }
  })

  test('of a session that has ended lets its browser sign in again', async () => {
    const cookie = await cookieOf(house, cedar, 'clinician')
    const browser = { cookie, 'x-maristan-csrf': '1', host: `${cedar.slug}.localhost` }
    expect((await ask(house, 'clinician', browser, 'mutation { signOut { __typename } }')).status).toBe(200)
    expect(codeIn(await ask(house, 'clinician', browser, viewer))).toBe('UNAUTHENTICATED')
    expect((await send(house, { method: 'GET', path: '/session', headers: browser })).status).toBe(401)
    const input = { email: cedar.member.clinician.email, password, transport: 'COOKIE' }
    const again = await ask(house, 'clinician', browser, signIn, { input })
    expect(again.headers['set-cookie']?.[0], again.text).toMatch(/^d_sid=/)
  })
})
