/** Documents that are too large, too deep, too dear or too curious: a clean refusal before anybody is looked up. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { guessableFields } from '../../src/modules/identity/contract.ts'
import { careRecipients } from './planted.ts'
import { freshHouse, type TestHouse, type TestTenant } from '../kit/house.ts'
import { ask, codeIn, cookieOf, json, send, signIn, statementsDuring, viewer, type Answered } from './arena.ts'

let house: TestHouse
let cedar: TestTenant
let bearer: { authorization: string }

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  bearer = { authorization: `Bearer ${await house.signIn(cedar, 'care_coordinator')}` }
})
afterAll(() => house.close())

const query = (text: string, variables: unknown = {}) => ask(house, 'console', bearer, text, variables)

/** Asserts a refusal with status 400 that cost no statement. */
async function expectUnasked(what: () => Promise<Answered>, code: string, name: string): Promise<void> {
  const count = await statementsDuring(async () => {
    const answer = await what()
    expect([answer.status, codeIn(answer)], `${name}: ${answer.text.slice(0, 200)}`).toEqual([400, code])
    expect(answer.text.length, name).toBeLessThan(8_000)
  })
  expect(count, name).toBe(0)
}

describe('a document', () => {
  test('of ordinary shape is answered', async () => {
    const aliases = Array.from({ length: 15 }, (_, at) => `a${at}: tenant { slug }`).join(' ')
    for (const text of [viewer, `{ ${aliases} }`, '{ tenant @include(if: true) { slug @skip(if: false) } }']) {
      expect((await query(text)).status, text.slice(0, 80)).toBe(200)
    }
  })

  test('of ten thousand aliases is refused', async () => {
    const many = (count: number) => `{ ${Array.from({ length: count }, (_, at) => `a${at}:tenant{slug}`).join(' ')} }`
    await expectUnasked(() => query(many(10_000)), 'QUERY_TOO_LARGE', '10,000')
    await expectUnasked(() => query(many(3_000)), 'TOO_MANY_TOKENS', '3,000')
    await expectUnasked(() => query(many(60)), 'TOO_MANY_ALIASES', '60')
    await expectUnasked(() => query(many(30)), 'TOO_MANY_ROOT_FIELDS', '30')
  })

  test('three thousand levels deep is refused, in selections, lists, objects, types and variables', async () => {
    const nest = (open: string, close: string, depth = 3_000) => open.repeat(depth) + close.repeat(depth)
    await expectUnasked(() => query(nest('{a', '}')), 'QUERY_TOO_DEEP', 'selections')
    await expectUnasked(() => query(`{ a(b: ${nest('[', ']', 900)}) }`), 'QUERY_TOO_DEEP', 'lists')
    await expectUnasked(() => query(`{ a(b: ${nest('{c:', '}', 600)}) }`), 'QUERY_TOO_DEEP', 'objects')
    await expectUnasked(() => query(`query ($v: ${nest('[', ']', 900)}) { a }`), 'QUERY_TOO_DEEP', 'types')
    const party = 'outgoing { edges { node { to { outgoing { edges { node { to { incoming { edges { cursor } } } } } } } } } }'
    await expectUnasked(() => query(`{ recipient(id: "x") { party { ${party} } } }`), 'QUERY_TOO_DEEP', 'real fields')
    const create = 'mutation ($i: CreatePartyInput!) { createParty(input: $i) { __typename } }'
    const deep = `{"query":"${create}","variables":{"i":${nest('[', ']', 60_000)}}}`
    const headers = { ...bearer, ...json }
    const answer = await send(house, { path: '/graphql/console', headers, body: deep })
    expect([answer.status, codeIn(answer)]).toEqual([400, 'QUERY_TOO_DEEP'])
  })

  test('of five thousand directives is refused', async () => {
    const many = (count: number, of: string) => `{ tenant { slug ${of.repeat(count)} } }`
    await expectUnasked(() => query(many(5_000, '@a ')), 'TOO_MANY_TOKENS', '5,000')
    await expectUnasked(() => query(many(500, '@a ')), 'TOO_MANY_DIRECTIVES', '500')
    await expectUnasked(() => query(many(30, '@skip(if: false) ')), 'TOO_MANY_DIRECTIVES', '30 of a real one')
  })

  test('whose fragments explode or go round is refused', async () => {
    const bomb = Array.from({ length: 40 }, (_, at) => `fragment f${at} on Query { ...f${at + 1} ...f${at + 1} }`).join(' ')
    const lit = `{ ...f0 } ${bomb} fragment f40 on Query { tenant { slug } }`
    await expectUnasked(() => query(lit), 'TOO_MANY_ROOT_FIELDS', 'bomb')
    const many = Array.from({ length: 60 }, (_, at) => `fragment f${at} on Query { tenant { slug } }`).join(' ')
    await expectUnasked(() => query(`{ ...f0 } ${many}`), 'QUERY_TOO_EXPENSIVE', '60 fragments')
    const round = '{ ...a } fragment a on Query { ...b } fragment b on Query { ...a tenant { slug } }'
    await expectUnasked(() => query(round), 'GRAPHQL_VALIDATION_FAILED', 'cycle')
    await expectUnasked(() => query('{ ...a } fragment a on Query { ...a }'), 'GRAPHQL_VALIDATION_FAILED', 'itself')
    const repeated = `{ ${'tenant { slug } '.repeat(25)} }`
    expect((await query(repeated)).status).toBe(400)
  })

  test('is one document: a batch is refused whole', async () => {
    const headers = { ...bearer, ...json }
    const batch = (items: unknown) => send(house, { path: '/graphql/console', headers, body: JSON.stringify(items) })
    expect((await batch({ query: viewer })).status).toBe(200)
    for (const items of [[{ query: viewer }], [{ query: viewer }, { query: viewer }], Array(1_000).fill({ query: viewer }), []]) {
      const count = await statementsDuring(async () => expect((await batch(items)).status).toBe(400))
      expect(count).toBe(0)
    }
  })

  test('that is no document, or names no operation of its own, is refused', async () => {
    const bad = ['', ' ', '{', '}', '{ tenant', 'query', 'fragment a on Query { tenant { slug } }']
    bad.push('{ tenant { slug } } { viewer { email } }')
    for (const text of [...bad, '{ nothing }', 'subscription { a }', '\u0000', '\ufeff', '{ tenant { slug } } # \ud800'.slice(0, 5)]) {
      const answer = await query(text)
      expect(answer.status, JSON.stringify(text) + answer.text).toBe(400)
      expect(codeIn(answer), JSON.stringify(text)).toMatch(/^[A-Z_]+$/)
    }
    const headers = { ...bearer, ...json }
    const bodies = ['', 'null', '1', '"x"', '{}', '[', '{"query":1}', '{"query":{}}', '{"query":"{ tenant { slug } }","variables":[]}']
    bodies.push('{"query":"{ tenant { slug } }","variables":"x"}', '{"query":"{ tenant { slug } }","operationName":"Other"}')
    bodies.push('{"query":"{ tenant { slug } }","strange":1}', '{"query":"{ tenant { slug } }"}x')
    for (const body of bodies) {
      const answer = await send(house, { path: '/graphql/console', headers, body })
      expect([answer.status, codeIn(answer) !== null], body).toEqual([400, true])
    }
  })
})

describe('a page', () => {
  beforeAll(() => careRecipients(house, cedar, 105))
  const names = (text: string, field = 'recipients') => {
    const { data } = JSON.parse(text) as { data: Record<string, { edges: unknown[] }> }
    return data[field]!.edges
  }
  const page = (how: string) => query(`{ recipients(${how}) { edges { cursor node { id } } } }`)

  test('is a hundred rows at most, however many are asked for', async () => {
    for (const how of ['first: 1000000000', 'first: 101', 'last: 2147483647']) expect(names((await page(how)).text), how).toHaveLength(100)
    const asked = await query('query ($n: Int) { recipients(first: $n) { edges { node { id } } } }', { n: 1_000_000_000 })
    expect(names(asked.text)).toHaveLength(100)
    expect(names((await page('first: 100')).text)).toHaveLength(100)
    expect(names((await page('first: 3')).text)).toHaveLength(3)
    const rest = names((await page('first: 100')).text) as { cursor: string }[]
    expect(names((await page(`first: 100, after: "${rest.at(-1)!.cursor}"`)).text)).toHaveLength(5)
    const audit = await query('{ auditEvents(first: 1000000000) { edges { node { id } } } }')
    const auditor = { authorization: `Bearer ${await house.signIn(cedar, 'tenant_admin')}` }
    const trail = await ask(house, 'console', auditor, '{ auditEvents(first: 1000000000) { edges { node { id } } } }')
    expect([codeIn(audit), names(trail.text, 'auditEvents').length]).toEqual(['FORBIDDEN', 100])
  })

  test('of no size, less than none, or no number is no page and no failure of ours', async () => {
    for (const how of ['first: -1', 'first: 0', 'last: -5', 'first: -2147483648']) {
      const answer = await page(how)
      expect([200, 400], how).toContain(answer.status)
      if (answer.status === 200) expect(names(answer.text), how).toEqual([])
      expect(codeIn(answer), how).not.toBe('INTERNAL')
    }
    for (const how of ['first: 1e9', 'first: 2147483648', 'first: "5"', 'first: 1.5', 'first: true']) {
      expect((await page(how)).status, how).toBe(400)
    }
    for (const n of [1e9 + 0.5, 2 ** 31, '5', true, [1, 2], {}]) {
      const answer = await query('query ($n: Int) { recipients(first: $n) { edges { node { id } } } }', { n })
      expect([answer.status, codeIn(answer) === 'INTERNAL'], JSON.stringify(n)).toEqual([400, false])
    }
  })

  test('of pages is priced, by variables too', async () => {
    const nested = 'query ($n: Int) { recipients(first: $n) { edges { node { consents(first: $n) { edges { node { id state } } } } } } }'
    expect((await query(nested, { n: 5 })).status).toBe(200)
    await expectUnasked(() => query(nested, { n: 100 }), 'QUERY_TOO_EXPENSIVE', '100 of 100')
    await expectUnasked(() => query(nested, { n: 1_000_000_000 }), 'QUERY_TOO_EXPENSIVE', 'a milliard')
    expect((await query(nested, { n: 5 })).status).toBe(200)
  })
})

test('one operation makes one guess', async () => {
  const input = `input: { email: "${cedar.member.clinician.email}", password: "wrong" }`
  const guess = (fields: string) => ask(house, 'clinician', { 'x-maristan-tenant': cedar.slug }, `mutation { ${fields} }`)
  const one = await guess(`a: signIn(${input}) { __typename ... on Fault { code } }`)
  expect(one.text).toContain('INVALID_CREDENTIALS')
  const twice = [
    `a: signIn(${input}) { __typename } b: signIn(${input}) { __typename }`,
    `signIn(${input}) { __typename } ... on Mutation { b: signIn(${input}) { __typename } }`,
    `...g b: signIn(${input}) { __typename } } fragment g on Mutation { signIn(${input}) { __typename }`,
  ]
  for (const fields of twice) await expectUnasked(() => guess(fields), 'TOO_MANY_ROOT_FIELDS', fields)
  for (const field of guessableFields) {
    await expectUnasked(() => guess(`a: ${field} { __typename } b: ${field} { __typename }`), 'TOO_MANY_ROOT_FIELDS', field)
  }
  const mixed = `signIn(${input}) { __typename } refreshSession(refreshToken: "x") { __typename }`
  await expectUnasked(() => guess(mixed), 'TOO_MANY_ROOT_FIELDS', 'two kinds of guesses')
})

describe('outside development', () => {
  test('the schema is not described, and not guessed from mistakes', async () => {
    const curious = ['{ __schema { types { name } } }', '{ __type(name: "Query") { name } }']
    curious.push('{ tenant { slug } __schema { queryType { name } } }')
    curious.push('{ ...f } fragment f on Query { __schema { queryType { name } } }')
    for (const text of curious) await expectUnasked(() => query(text), 'INTROSPECTION_DISABLED', text)
    expect((await query('{ __typename tenant { __typename slug } }')).status).toBe(200)
    const mistakes = ['{ tenan { slug } }', '{ tenant { slu } }', '{ recipients(frist: 1) { edges { cursor } } }']
    mistakes.push('{ node(id: "x") { ... on CareRecipien { id } } }', '{ recipients(state: ACTIV) { edges { cursor } } }')
    mistakes.push('query ($a: RecipientStat) { recipients(state: $a) { edges { cursor } } }')
    mistakes.push('mutation { createParty(input: { kin: FAMILY }) { __typename } }')
    for (const text of mistakes) {
      const answer = await query(text)
      expect([answer.status, /did you mean/i.test(answer.text)], answer.text).toEqual([400, false])
    }
    const value = await query('query ($s: RecipientState) { recipients(state: $s) { edges { cursor } } }', { s: 'ACTIV' })
    expect([value.status, /did you mean/i.test(value.text)], value.text).toEqual([400, false])
  })

  test('GraphiQL is not there', async () => {
    for (const path of ['/graphql', '/graphql/console', '/graphql/clinician?query=%7Btenant%7Bslug%7D%7D']) {
      const answer = await send(house, { method: 'GET', path, headers: { accept: 'text/html,*/*;q=0.1' } })
      expect(answer.text, path).not.toMatch(/graphiql|<html|<script/i)
      expect(answer.headers['content-type'], path).toContain('json')
    }
  })
})

test('in development the schema is described, guessed and shown in GraphiQL', async () => {
  const open = await freshHouse({ MARISTAN_DEMO: '1' })
  try {
    const tenant = await open.tenant()
    const headers = { 'x-maristan-tenant': tenant.slug }
    expect((await ask(open, 'console', headers, '{ __schema { queryType { name } } }')).text).toContain('"name":"Query"')
    expect((await ask(open, 'console', headers, '{ tenan { slug } }')).text).toContain('Did you mean \\"tenant\\"')
    const page = await send(open, { method: 'GET', path: '/graphql/console', headers: { accept: 'text/html' } })
    expect([page.status, /graphiql/i.test(page.text)]).toEqual([200, true])
    expect((await send(open, { method: 'GET', path: '/graphql' })).headers['location']).toBe('/graphql/console')
  } finally {
    await open.close()
  }
})

describe('by GET', () => {
  test('a query is answered and a mutation is not', async () => {
    const get = (text: string, headers: Record<string, string> = bearer) =>
      send(house, { method: 'GET', path: `/graphql/console?query=${encodeURIComponent(text)}`, headers })
    expect((await get('{ tenant { slug } }')).text).toContain(cedar.slug)
    const party = 'mutation { createParty(input: { kind: FAMILY, name: "x" }) { __typename } }'
    const cookie = await cookieOf(house, cedar, 'care_coordinator')
    const count = await house.at.owner('select count(*)::int as n from care.party')
    const browsers: Record<string, string>[] = [bearer, { cookie }, { cookie, 'x-maristan-csrf': '1' }]
    for (const headers of browsers) {
      const answer = await get(party, headers)
      expect([answer.status, answer.headers['allow']], answer.text).toEqual([405, 'POST'])
    }
    const two = `/graphql/console?query=${encodeURIComponent(`query A { tenant { slug } } ${party.replace('mutation', 'mutation B')}`)}`
    expect((await send(house, { method: 'GET', path: `${two}&operationName=A`, headers: bearer })).status).toBe(200)
    expect((await send(house, { method: 'GET', path: `${two}&operationName=B`, headers: bearer })).status).toBe(405)
    expect(await house.at.owner('select count(*)::int as n from care.party')).toEqual(count)
  })

  test('and by any method but POST nothing is done', async () => {
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']) {
      const body = method.startsWith('P') ? JSON.stringify({ query: viewer }) : ''
      const answer = await send(house, { method, path: '/graphql/console', headers: { ...bearer, ...json }, body })
      expect(answer.status, method).toBe(405)
    }
  })

  test('signing in is not possible', async () => {
    const variables = { input: { email: cedar.member.clinician.email, password: 'x' } }
    const path = `/graphql/clinician?query=${encodeURIComponent(signIn)}&variables=${encodeURIComponent(JSON.stringify(variables))}`
    expect((await send(house, { method: 'GET', path, headers: { 'x-maristan-tenant': cedar.slug } })).status).toBe(405)
  })
})
