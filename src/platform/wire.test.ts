/** The wire without a database: what crosses it, and what it refuses. */
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SignJWT } from 'jose'
import { z } from 'zod'
import { ConflictFault, Fault, fault, invalidInput, notFound, overloaded } from '../kernel/fault.ts'
import { newId } from '../kernel/id.ts'
import type { Caller, Scope } from '../kernel/scope.ts'
import { checked, type ContractOf, type Methods } from './contract.ts'
import { createLog } from './http/log.ts'
import { createHttpMetrics } from './http/metrics.ts'
import { createHttpServer, type HttpServer } from './http/server.ts'
import { hmac, sha256Hex } from './crypto/hash.ts'
import { createScopeSigner, createScopeVerifier, wireRefused } from './wire-scope.ts'
import { connectContract, serveContract, wireFailed } from './wire.ts'

const secret = 'a secret of the wire that is long enough'
const audience = 'echo.test'
const tooEager = fault<{ seats: number }>('conflict', 'WIRE_TEST_FULL', ({ seats }) => `All ${seats} seats are taken.`)

const methods = {
  whoami: { input: z.object({ word: z.string().min(1).max(10).toUpperCase() }), output: z.object({ word: z.string(), caller: z.json() }) },
  tomorrow: {
    input: z.object({ at: z.iso.datetime() }),
    output: z.object({
      at: z.codec(z.iso.datetime(), z.date(), { decode: (text) => new Date(text), encode: (date) => date.toISOString() }),
    }),
  },
  fail: { input: z.object({ how: z.enum(['fault', 'absent', 'bug', 'shape', 'hang']) }), output: z.object({ fine: z.boolean() }) },
} satisfies Methods

const contract = checked(methods, {
  async whoami({ unit: _unit, permissions, ...caller }, { word }) {
    return { word, caller: { ...caller, permissions: [...permissions] } as never, extra: 'does not leave' }
  },
  tomorrow: async (_, { at }) => ({ at: new Date(Date.parse(at) + 86_400_000) }),
  async fail(_, { how }) {
    if (how === 'fault') throw tooEager({ seats: 12 })
    if (how === 'absent') throw notFound()
    if (how === 'bug') throw new Error('secret words of a bug')
    if (how === 'hang') await new Promise(() => {})
    return { fine: 'no' as never }
  },
})

const caller: Caller = {
  tenantId: newId(),
  plane: 'clinician',
  actor: {
    kind: 'member',
    membershipId: newId(),
    identityId: newId(),
    role: 'clinician',
    sessionId: newId(),
    via: 'password',
    providerOrgId: null,
  },
  permissions: new Set(['note:write', 'phi:read']),
  purpose: 'TREATMENT',
  requestId: newId(),
  sourceAddress: '192.0.2.7',
  userAgent: 'agent/1',
}
const scope: Scope = { ...caller, unit: { tenantId: caller.tenantId, record() {}, publish() {} } }

let server: HttpServer
let url: string
let opened = 0
const lines: string[] = []

beforeAll(async () => {
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } })
  const route = serveContract({
    name: 'echo',
    methods,
    contract,
    log,
    secret,
    audience,
    openScope: (from, work) => {
      opened++
      return work({ ...from, unit: scope.unit })
    },
  })
  server = createHttpServer({ routes: [route], log, metrics: createHttpMetrics(), trustedProxies: [] })
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' })
  url = `http://127.0.0.1:${port}`
})
afterAll(() => server.close())

const connected = (change: { secret?: string; audience?: string; url?: string; timeoutMs?: number } = {}): ContractOf<typeof methods> =>
  connectContract({ name: 'echo', methods, url, secret, audience, timeoutMs: 5_000, ...change })

/** One call as somebody on the network would make it. */
async function post(method: string, token: string | null, body: string): Promise<{ status: number; code: string | null }> {
  const response = await fetch(`${url}/wire/echo/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    body,
  })
  const answer = (await response.json()) as { fault?: { code: string }; error?: { code: string } }
  return { status: response.status, code: answer.fault?.code ?? answer.error?.code ?? null }
}

const body = JSON.stringify({ word: 'hello' })
const sign = createScopeSigner({ secret, audience })

test('a call arrives with its scope whole and its answer by its shape, dates as dates', async () => {
  const answer = await connected().whoami(scope, { word: 'salaam' })
  const { permissions, ...rest } = caller
  expect(answer).toEqual({ word: 'SALAAM', caller: { ...rest, permissions: [...permissions] } })
  const { at } = await connected().tomorrow(scope, { at: '2026-03-01T00:00:00Z' })
  expect(at).toEqual(new Date('2026-03-02T00:00:00Z'))
})

test('what the shape of an answer does not name does not leave', async () => {
  const response = await fetch(`${url}/wire/echo/whoami`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await sign(caller, 'echo.whoami', body)}` },
    body,
  })
  const { output } = (await response.json()) as { output: object }
  expect(Object.keys(output)).toEqual(['word', 'caller'])
})

test('a fault arrives as the fault it was, with its class, data and sentence', async () => {
  const failure = await connected().fail(scope, { how: 'fault' }).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(ConflictFault)
  expect(tooEager.is(failure)).toBe(true)
  expect(failure).toMatchObject({ data: { seats: 12 }, message: 'All 12 seats are taken.' })
  await expect(connected().fail(scope, { how: 'absent' })).rejects.toSatisfy(notFound.is)
})

test('a bug over there, an answer out of shape and a silence are WIRE_FAILED, with nothing of their words', async () => {
  for (const how of ['bug', 'shape', 'hang'] as const) {
    const patience = connected({ timeoutMs: how === 'hang' ? 200 : 5_000 })
    const failure = await patience.fail(scope, { how }).catch((error: unknown) => error as Fault)
    expect(wireFailed.is(failure), how).toBe(true)
    expect((failure as Fault).message).not.toContain('secret words')
  }
  expect(lines.join('')).not.toContain('secret words')
  for (const change of [{ url: 'http://127.0.0.1:2' }, { secret: `${secret}!` }, { audience: 'other.test' }]) {
    await expect(connected(change).whoami(scope, { word: 'x' }), JSON.stringify(change)).rejects.toSatisfy(wireFailed.is)
  }
})

test('a server that refuses for load is OVERLOADED here too', async () => {
  const busy = createServer((_, answer) => {
    answer.writeHead(503, { 'content-type': 'application/json' })
    answer.end(JSON.stringify({ error: { code: 'OVERLOADED', message: 'The server is busy.' }, requestId: 'x' }))
  })
  await new Promise<void>((resolve) => void busy.listen(0, '127.0.0.1', resolve))
  const { port } = busy.address() as AddressInfo
  await expect(connected({ url: `http://127.0.0.1:${port}` }).whoami(scope, { word: 'x' })).rejects.toSatisfy(overloaded.is)
  busy.closeAllConnections()
  await new Promise((resolve) => busy.close(resolve))
})

test('input out of shape is refused before it leaves, and again where it arrives', async () => {
  const before = opened
  await expect(connected().whoami(scope, { word: '' })).rejects.toSatisfy(invalidInput.is)
  expect(opened).toBe(before)
  const empty = JSON.stringify({ word: '' })
  expect(await post('whoami', await sign(caller, 'echo.whoami', empty), empty)).toEqual({ status: 400, code: 'INVALID_INPUT' })
  for (const word of ['not json', '[]', 'null']) {
    const { code } = await post('whoami', await sign(caller, 'echo.whoami', word), word)
    expect(code, word).toMatch(/^(WIRE_REFUSED|INVALID_INPUT)$/)
  }
})

test('a token opens its own call once: shown again, with another body or for another method, it is refused', async () => {
  const token = await sign(caller, 'echo.whoami', body)
  const attempts = async () => ({
    body: await post('whoami', token, JSON.stringify({ word: 'other' })),
    method: await post('tomorrow', token, body),
  })
  const refused = { status: 403, code: 'WIRE_REFUSED' }
  expect(await attempts()).toEqual({ body: refused, method: refused })
  expect(await post('whoami', token, body)).toEqual({ status: 200, code: null })
  expect(await post('whoami', token, body)).toEqual(refused)
})

test('forged, foreign, expired, unsigned and bent tokens are refused before any work', async () => {
  const now = Math.floor(Date.now() / 1000)
  const { permissions, ...rest } = caller
  const claims = { scope: { ...rest, permissions: [...permissions] }, call: 'echo.whoami', body: sha256Hex(body) }
  const key = hmac(secret, 'maristan/wire/v1')
  interface Bent {
    readonly with?: Uint8Array
    readonly claims?: object
    readonly header?: object
    readonly audience?: string
    readonly at?: number
    readonly life?: number
    readonly jti?: string
  }
  const token = (bent: Bent = {}) => {
    const at = bent.at ?? now
    return new SignJWT({ ...claims, ...bent.claims })
      .setProtectedHeader({ alg: 'HS256', typ: 'maristan-scope+jwt', ...bent.header })
      .setAudience(bent.audience ?? audience)
      .setIssuedAt(at)
      .setExpirationTime(at + (bent.life ?? 30))
      .setJti(bent.jti ?? crypto.randomUUID())
      .sign(bent.with ?? key)
  }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const whole = { ...claims, aud: audience, iat: now, exp: now + 30 }
  const good = (await token()).split('.') as [string, string, string]
  const otherScope = part({ ...whole, jti: crypto.randomUUID(), scope: { ...claims.scope, tenantId: newId() } })
  const head = part({ alg: 'HS512', typ: 'maristan-scope+jwt' })
  const claimed = part({ ...whole, jti: crypto.randomUUID() })

  const bad: Record<string, string | null> = {
    none: null,
    empty: '',
    'not a token': 'abc',
    'another secret': await createScopeSigner({ secret: `${secret}!`, audience })(caller, 'echo.whoami', body),
    'the bare secret as key': await token({ with: Buffer.from(secret) }),
    'another audience': await token({ audience: 'other.test' }),
    expired: await token({ at: now - 120 }),
    'from the future': await token({ at: now + 120 }),
    'a long life, but old': await token({ at: now - 120, life: 3_600 }),
    'another type': await token({ header: { typ: 'JWT' } }),
    'no id': await token({ jti: '' }),
    'an unknown plane': await token({ claims: { scope: { ...claims.scope, plane: 'kitchen' } } }),
    'an unknown actor': await token({ claims: { scope: { ...claims.scope, actor: { kind: 'god' } } } }),
    'a smuggled claim': await token({ claims: { scope: { ...claims.scope, superuser: true } } }),
    'alg none': `${part({ alg: 'none', typ: 'maristan-scope+jwt' })}.${good[1]}.`,
    'its scope exchanged': `${good[0]}.${otherScope}.${good[2]}`,
    'another algorithm': `${head}.${claimed}.${createHmac('sha512', key).update(`${head}.${claimed}`).digest('base64url')}`,
    'its signature bent': `${good[0]}.${good[1]}.${good[2].replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`,
  }
  const before = opened
  for (const [what, text] of Object.entries(bad)) {
    expect(await post('whoami', text, body), what).toEqual({ status: 403, code: 'WIRE_REFUSED' })
  }
  expect(opened).toBe(before)
  expect(await post('whoami', await token(), body)).toEqual({ status: 200, code: null })
})

test('methods that the contract does not have are not found, and only POST is answered', async () => {
  for (const method of ['nothing', 'constructor', '__proto__', 'toString', 'whoami/more']) {
    const answer = await post(method, await sign(caller, `echo.${method}`, body), body)
    expect(answer, method).toEqual({ status: 404, code: 'NOT_FOUND' })
  }
  expect((await fetch(`${url}/wire/echo/whoami`)).status).toBe(405)
})

test('a body past the bound is refused unread, and an endless answer is not read to its end', async () => {
  const large = JSON.stringify({ word: 'x'.repeat(2 * 1024 * 1024) })
  const response = await fetch(`${url}/wire/echo/whoami`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await sign(caller, 'echo.whoami', large)}` },
    body: large,
  })
  expect(response.status).toBe(413)

  let sent = 0
  const endless = createServer((_, answer) => {
    const chunk = Buffer.alloc(1024 * 1024, 0x20)
    const more = () => {
      while (!answer.destroyed && answer.write(chunk)) sent += chunk.length
    }
    answer.on('drain', more).on('close', () => answer.destroy())
    more()
  })
  await new Promise<void>((resolve) => void endless.listen(0, '127.0.0.1', resolve))
  const { port } = endless.address() as AddressInfo
  // So long that only the bound can end it.
  const patient = connected({ url: `http://127.0.0.1:${port}`, timeoutMs: 600_000 })
  await expect(patient.whoami(scope, { word: 'x' })).rejects.toSatisfy(wireFailed.is)
  expect(sent).toBeLessThan(64 * 1024 * 1024)
  endless.closeAllConnections()
  await new Promise((resolve) => endless.close(resolve))
})

test('a short secret and a nameless audience make no wire', () => {
  for (const bad of [{ secret: 'short', audience }, { secret: '', audience }, { secret, audience: '' }]) {
    expect(() => createScopeSigner(bad)).toThrow()
    expect(() => createScopeVerifier(bad)).toThrow()
  }
  expect(wireRefused.kind).toBe('denied')
})
