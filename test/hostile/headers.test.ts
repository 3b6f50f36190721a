/** Requests that pretend: from another site, from another host, from behind a proxy, at another tenant's door. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answersIn } from '../kit/http.ts'
import { freshHouse, password, type TestHouse, type TestTenant } from '../kit/house.ts'
import { newId } from '../../src/kernel/id.ts'
import { ask, codeIn, cookieOf, json, send, signIn, viewer } from './arena.ts'

const front = '{ tenant { slug } }'

let house: TestHouse
let cedar: TestTenant
let zaytuna: TestTenant
let bearer: { authorization: string }
let cookie: string

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  zaytuna = await house.tenant()
  bearer = { authorization: `Bearer ${await house.signIn(cedar, 'care_coordinator')}` }
  cookie = await cookieOf(house, cedar, 'care_coordinator')
})
afterAll(() => house.close())

const hostOf = ({ slug }: TestTenant) => `${slug}.localhost`
const slugIn = (text: string): string | undefined => (JSON.parse(text) as { data?: { tenant?: { slug: string } } }).data?.tenant?.slug
const parties = async () => (await house.at.owner<{ n: number }>('select count(*)::int as n from care.party'))[0]!.n
const party = 'mutation { createParty(input: { kind: FAMILY, name: "Nour" }) { __typename } }'

describe('a request that a browser was tricked into', () => {
  const fromBrowser = (headers: Record<string, string>) => ask(house, 'console', { host: hostOf(cedar), cookie, ...headers }, party)

  test('does nothing without the header that only our own page can add, from elsewhere, or by another\'s doing', async () => {
    const own = { 'x-maristan-csrf': '1' }
    const before = await parties()
    const good: Record<string, string>[] = [
      own,
      { ...own, origin: `http://${hostOf(cedar)}`, 'sec-fetch-site': 'same-origin' },
      { ...own, origin: `http://${hostOf(cedar)}:${new URL(house.url).port}` },
    ]
    for (const headers of good) expect((await fromBrowser(headers)).text, JSON.stringify(headers)).toContain('CareParty')
    expect(await parties()).toBe(before + good.length)
    const bad: Record<string, string>[] = [
      {},
      { origin: `http://${hostOf(cedar)}`, 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
      ...['cross-site', 'same-site', 'none', 'Same-Origin', ''].map((site) => ({ ...own, 'sec-fetch-site': site })),
      ...[
        'https://evil.example',
        'null',
        '',
        `http://${hostOf(zaytuna)}`,
        `http://${hostOf(cedar)}.evil.example`,
        `http://evil.example/${hostOf(cedar)}`,
        `http://${hostOf(cedar)}@evil.example`,
        'http://localhost',
        hostOf(cedar),
      ].map((origin) => ({ ...own, origin })),
    ]
    const lines = () => house.at.owner("select tenant_id, detail ->> 'code' as code from audit.event where action = 'access.denied' and resource = 'Request'")
    expect(await lines()).toEqual([])
    for (const headers of bad) {
      const answer = await fromBrowser(headers)
      expect([answer.status, codeIn(answer)], JSON.stringify(headers)).toEqual([403, 'CSRF_REFUSED'])
      const read = await ask(house, 'console', { host: hostOf(cedar), cookie, ...headers }, viewer)
      expect(read.text, JSON.stringify(headers)).not.toContain('@')
    }
    // Whose session it was, and so whose trail tells of it, is known.
    expect(await lines()).toEqual(Array.from({ length: 2 * bad.length }, () => ({ tenant_id: cedar.id, code: 'CSRF_REFUSED' })))
    expect(await parties()).toBe(before + good.length)
  })

  test('is of no use to who has a bearer, who needs none of it', async () => {
    const headers = { ...bearer, origin: 'https://app.example', 'sec-fetch-site': 'cross-site' }
    expect((await ask(house, 'console', headers, party)).text).toContain('CareParty')
  })

  test('gets no leave from us to be sent or read', async () => {
    const preflight = await send(house, {
      method: 'OPTIONS',
      path: '/graphql/console',
      headers: { host: hostOf(cedar), origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    })
    const answer = await ask(house, 'console', { ...bearer, origin: 'https://evil.example' }, viewer)
    for (const { headers } of [preflight, answer]) {
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([])
    }
  })
})

describe('a body of a type that a form can send', () => {
  const variables = { input: { email: 'x@y.test', password, transport: 'COOKIE' } }
  const body = JSON.stringify({ query: signIn, variables })

  test('is refused unread, JSON alone is taken', async () => {
    const post = (type: string | null, sent = body) => {
      const headers = { host: hostOf(cedar), ...(type === null ? {} : { 'content-type': type }) }
      return send(house, { path: '/graphql/console', headers, body: sent })
    }
    for (const type of ['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"']) {
      expect((await post(type)).text, type).toContain('INVALID_CREDENTIALS')
    }
    const form = `query=${encodeURIComponent(signIn)}&variables=${encodeURIComponent(JSON.stringify(variables))}`
    const multipart = `--b\r\ncontent-disposition: form-data; name="operations"\r\n\r\n${body}\r\n--b--\r\n`
    const refused: [string | null, string][] = [
      [null, body],
      ['', body],
      ['text/plain', body],
      ['text/plain; charset=utf-8', body],
      ['text/plain; application/json', body],
      ['application/x-www-form-urlencoded', form],
      ['multipart/form-data; boundary=b', multipart],
      ['application/graphql', signIn],
      ['text/json', body],
      ['application/jsonx', body],
      ['application/json, text/plain', body],
      ['application/json; charset=utf-16', body],
      ['application/json;, text/plain', body],
      ['application/graphql+json', body],
    ]
    for (const [type, sent] of refused) {
      const answer = await post(type, sent)
      expect([answer.status, codeIn(answer)], String(type)).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
      expect(answer.headers['set-cookie']).toBeUndefined()
    }
  })
})

describe('the tenant of a request', () => {
  test('is the host\'s or the header\'s, and never both of two', async () => {
    const good: Record<string, string>[] = [
      { host: hostOf(cedar) },
      { host: `${hostOf(cedar).toUpperCase()}:4000` },
      { host: `${hostOf(cedar)}.` },
      { 'x-maristan-tenant': cedar.slug },
      { host: hostOf(cedar), 'x-maristan-tenant': cedar.slug },
      { host: 'anything.example', 'x-maristan-tenant': cedar.slug },
    ]
    for (const headers of good) {
      expect(slugIn((await ask(house, 'consumer', headers, front)).text), JSON.stringify(headers)).toBe(cedar.slug)
    }
    const disagree: Record<string, string>[] = [
      { host: hostOf(cedar), 'x-maristan-tenant': zaytuna.slug },
      { host: hostOf(cedar), 'x-maristan-tenant': '' },
      { host: hostOf(cedar), 'x-maristan-tenant': `${cedar.slug}, ${zaytuna.slug}` },
    ]
    for (const headers of disagree) {
      const answer = await ask(house, 'consumer', headers, front)
      expect([answer.status, codeIn(answer)], JSON.stringify(headers)).toEqual([403, 'WRONG_HOST'])
    }
  })

  test('that nobody knows is not found, whatever is written there', async () => {
    const unknown: Record<string, string>[] = [
      {},
      { host: 'localhost' },
      { host: 'nobody.localhost' },
      { host: `a.${hostOf(cedar)}` },
      { host: `${cedar.slug}.localhost.evil.example` },
      { host: `${cedar.slug}.example` },
      ...['nobody', '', ' ', '*', '%', cedar.id, `${cedar.slug}'--`, '../etc', cedar.slug.toUpperCase(), 'x'.repeat(300), '__proto__'].map(
        (slug) => ({ 'x-maristan-tenant': slug }),
      ),
    ]
    for (const headers of unknown) {
      const answer = await ask(house, 'consumer', headers, front)
      expect([answer.status, codeIn(answer)], JSON.stringify(headers)).toEqual([404, 'UNKNOWN_TENANT'])
    }
  })

  test('is not chosen by headers sent twice or hosts that are none', async () => {
    const query = JSON.stringify({ query: front })
    const raw = async (head: string) => {
      const { hostname, port } = new URL(house.url)
      const socket = connect(Number(port), hostname)
      let received = ''
      socket.setEncoding('utf8').on('data', (chunk: string) => (received += chunk))
      const rest = `content-type: application/json\r\nconnection: close\r\ncontent-length: ${query.length}\r\n\r\n`
      socket.write(`POST /graphql/consumer HTTP/1.1\r\n${head}${rest}${query}`)
      await new Promise((resolve) => socket.on('close', resolve).on('error', resolve))
      return answersIn(received)[0]!
    }
    const host = `host: ${hostOf(cedar)}\r\n`
    expect((await raw(host)).status).toBe(200)
    const tenant = (slug: string) => `x-maristan-tenant: ${slug}\r\n`
    const hosts = ['a b', 'a/b', `${hostOf(cedar)}@evil.example`, `evil.example#${hostOf(cedar)}`, '[::1', 'ü.localhost', '']
    const bad = [
      '',
      `${host}host: ${hostOf(zaytuna)}\r\n`,
      `${host}${tenant(cedar.slug)}${tenant(zaytuna.slug)}`,
      `${host}authorization: ${bearer.authorization}\r\nauthorization: ${bearer.authorization}\r\n`,
      ...hosts.map((name) => `host: ${name}\r\n`),
    ]
    for (const head of bad) expect((await raw(head)).status, head).toBe(400)
  })

  test('that is suspended is shut at once, by host, header, token and cookie, and its neighbour is not', async () => {
    const shut = await house.tenant()
    const token = { authorization: `Bearer ${await house.signIn(shut, 'clinician')}` }
    const never = await house.tenant(`t${newId().slice(-8)}`)
    await house.at.owner(`update tenancy.tenant set status = 'SUSPENDED' where tenant_id = any($1::uuid[])`, [[shut.id, never.id]])
    const asks: Record<string, string>[] = [token, { host: hostOf(never) }, { 'x-maristan-tenant': never.slug }]
    for (const headers of asks) {
      const answer = await ask(house, 'clinician', headers, front)
      expect([answer.status, codeIn(answer)], JSON.stringify(headers)).toEqual([403, 'TENANT_SUSPENDED'])
    }
    const input = { email: never.member.clinician.email, password }
    expect(codeIn(await ask(house, 'clinician', { host: hostOf(never) }, signIn, { input }))).toBe('TENANT_SUSPENDED')
    expect(codeIn(await send(house, { method: 'GET', path: '/session', headers: token }))).toBe('TENANT_SUSPENDED')
    expect(slugIn((await ask(house, 'clinician', { host: hostOf(cedar) }, front)).text)).toBe(cedar.slug)
  })
})

const addressOfSignIn = async (at: TestHouse, tenant: TestTenant, headers: Record<string, string>) => {
  const { email } = tenant.member.clinician
  const answer = await ask(at, 'clinician', headers, signIn, { input: { email, password, transport: 'COOKIE' } })
  expect(answer.status, answer.text).toBe(200)
  const [row] = await at.at.owner<{ source_address: string }>(
    `select source_address from audit.event where tenant_id = $1 and action = 'signin.succeeded' order by id desc limit 1`,
    [tenant.id],
  )
  return { address: row?.source_address, cookie: answer.headers['set-cookie']?.[0] }
}

describe('forwarded headers', () => {
  const spoofs = (host: string): Record<string, string>[] => [
    { 'x-forwarded-host': host, 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' },
    { forwarded: `for=203.0.113.9;host=${host};proto=https` },
    { 'x-real-ip': '203.0.113.9', 'x-forwarded-server': host, 'x-original-host': host, 'x-host': host },
  ]

  test('of a stranger change nothing', async () => {
    for (const spoof of spoofs(hostOf(zaytuna))) {
      const answer = await ask(house, 'consumer', { host: hostOf(cedar), ...spoof }, front)
      expect(slugIn(answer.text), JSON.stringify(spoof)).toBe(cedar.slug)
      expect((await ask(house, 'console', { host: hostOf(cedar), ...bearer, ...spoof }, viewer)).status).toBe(200)
      const seen = await addressOfSignIn(house, cedar, { host: hostOf(cedar), ...spoof })
      expect(seen.address).toBe('127.0.0.1')
      expect(seen.cookie).not.toMatch(/Secure|Domain/)
      const tricked = { host: hostOf(cedar), cookie, 'x-maristan-csrf': '1', ...spoof, origin: `http://${hostOf(zaytuna)}` }
      expect(codeIn(await ask(house, 'console', tricked, party))).toBe('CSRF_REFUSED')
    }
  })

  test('of a trusted proxy say who asks and where, and what contradicts itself is refused', async () => {
    const behind = await freshHouse({ TRUSTED_PROXIES: '127.0.0.1' })
    try {
      const one = await behind.tenant()
      const other = await behind.tenant()
      const token = { authorization: `Bearer ${await behind.signIn(one, 'clinician')}` }
      for (const spoof of spoofs(hostOf(one)).slice(0, 2)) {
        const headers = { host: 'inside.example', ...spoof }
        expect(slugIn((await ask(behind, 'consumer', headers, front)).text), JSON.stringify(spoof)).toBe(one.slug)
        const seen = await addressOfSignIn(behind, one, headers)
        expect(seen.address).toBe('203.0.113.9')
        expect(seen.cookie).toContain('Secure')
        expect((await ask(behind, 'clinician', { ...headers, ...token }, viewer)).status).toBe(200)
      }
      for (const spoof of spoofs(hostOf(other)).slice(0, 2)) {
        expect(codeIn(await ask(behind, 'clinician', { host: hostOf(one), ...token, ...spoof }, viewer))).toBe('WRONG_HOST')
      }
      const bad: Record<string, string>[] = [
        { 'x-forwarded-for': '198.51.100.1', forwarded: 'for=203.0.113.9' },
        { 'x-forwarded-host': 'a@b' },
        { 'x-forwarded-proto': 'gopher' },
        { forwarded: 'host=' },
      ]
      for (const headers of bad) expect((await ask(behind, 'consumer', { host: hostOf(one), ...headers }, front)).status).toBe(400)
    } finally {
      await behind.close()
    }
  })
})

test('a purpose that is none is refused', async () => {
  const asked = (purpose: string) => ask(house, 'console', { ...bearer, 'x-maristan-purpose': purpose }, viewer)
  expect((await asked('TREATMENT')).status).toBe(200)
  for (const purpose of ['', 'treatment', 'MARKETING', 'TREATMENT, PAYMENT', '__proto__']) {
    const answer = await asked(purpose)
    expect([answer.status, codeIn(answer)], purpose).toEqual([400, 'BAD_PURPOSE'])
  }
})

test('headers beyond number and size are refused', async () => {
  const many = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`x-h${at}`, 'y']))
  expect((await ask(house, 'console', { ...json, ...bearer, ...many }, viewer)).status).toBe(431)
  expect((await ask(house, 'console', { ...bearer, 'x-long': 'y'.repeat(20_000) }, viewer)).status).toBe(431)
  expect((await ask(house, 'console', { ...bearer, 'x-long': 'y'.repeat(2_000) }, viewer)).status).toBe(200)
})
