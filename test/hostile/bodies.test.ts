/** Bodies that are too large, too slow, no text, or hold more than was asked for. */
import { connect, type Socket } from 'node:net'
import { getNamedType, isInputObjectType } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import { planes } from '../../src/kernel/scope.ts'
import { rolesOf } from '../../src/modules/access/contract.ts'
import { maxBodyBytes } from '../../src/platform/graphql/endpoint.ts'
import { argumentsOf } from '../../src/proof/graph-shape.ts'
import { answersIn } from '../kit/http.ts'
import { freshHouse, type TestHouse, type TestTenant } from '../kit/house.ts'
import { ask, codeIn, json, send, statementsDuring, viewer } from './arena.ts'

let house: TestHouse
let cedar: TestTenant
let zaytuna: TestTenant
let bearer: { authorization: string }

beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant()
  zaytuna = await house.tenant()
  bearer = { authorization: `Bearer ${await house.signIn(cedar, 'care_coordinator')}` }
})
afterAll(() => house.close())

const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
  send(house, { path: '/graphql/console', headers: { ...json, ...bearer, ...headers }, body })

function open(): { socket: Socket; closed: Promise<string> } {
  const { hostname, port } = new URL(house.url)
  const socket = connect(Number(port), hostname)
  const closed = new Promise<string>((resolve) => {
    let received = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => (received += chunk))
    socket.on('error', () => resolve(received))
    socket.on('close', () => resolve(received))
  })
  return { socket, closed }
}

const head = (framing: string, path = '/graphql/console') =>
  `POST ${path} HTTP/1.1\r\nhost: ${cedar.slug}.localhost\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`

describe('a body of fifty mebibytes', () => {
  const piece = Buffer.alloc(64 * 1024, 'x')
  const total = 50 * 1024 * 1024

  /** Writes as fast as the other side takes it, until all is sent or the connection ends. @returns the bytes that were taken. */
  async function flood(path: string, chunked: boolean): Promise<{ status: number; code: string | null; sent: number }> {
    const { socket, closed } = open()
    socket.write(head(chunked ? 'transfer-encoding: chunked' : `content-length: ${total}`, path))
    let over = false
    void closed.then(() => (over = true))
    const frame = chunked ? Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]) : piece
    let sent = 0
    while (sent < total && !over && !socket.destroyed) {
      sent += piece.length
      if (!socket.write(frame)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed])
    }
    const [answer] = answersIn(await closed)
    socket.destroy()
    return { status: answer?.status ?? 0, code: answer ? codeIn({ text: answer.body }) : null, sent }
  }

  test('is refused, announced or not, and never held', async () => {
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const sample = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers - before)), 5)
    try {
      const floods = ['/graphql/console', '/graphql/consumer'].flatMap((path) => [flood(path, true), flood(path, false), flood(path, true)])
      for (const { status, code, sent } of await Promise.all(floods)) {
        expect([status, code]).toEqual([413, 'BODY_TOO_LARGE'])
        expect(sent).toBeLessThan(total / 2)
      }
    } finally {
      clearInterval(sample)
    }
    expect(most).toBeLessThan(total / 2)
    expect((await post(JSON.stringify({ query: viewer }))).status).toBe(200)
  })

  test('is refused one byte past the bound, which itself is taken', async () => {
    const exactly = (bytes: number) => {
      const bare = JSON.stringify({ query: viewer, variables: { pad: '' } })
      return JSON.stringify({ query: viewer, variables: { pad: 'x'.repeat(bytes - bare.length) } })
    }
    expect((await post(exactly(maxBodyBytes))).status).toBe(200)
    expect((await post(exactly(maxBodyBytes + 1))).status).toBe(413)
  })
})

test('slow bodies keep nobody else waiting, hold no connection to the database, and are forgotten when they go', async () => {
  const query = JSON.stringify({ query: viewer })
  const slow = Array.from({ length: 200 }, () => open())
  await Promise.all(slow.map(({ socket }) => new Promise<void>((resolve) => socket.once('connect', () => resolve()))))
  const count = await statementsDuring(async () => {
    const drip = (text: string) => Promise.all(slow.map(({ socket }) => new Promise((resolve) => socket.write(text, resolve))))
    await drip(head(`content-length: ${query.length}`) + query.slice(0, 5))
    for (let at = 5; at < 10; at++) await drip(query[at]!)
  })
  expect(count).toBe(0)
  for (let at = 0; at < 5; at++) expect((await post(query)).status).toBe(200)
  const [first, ...rest] = slow
  first!.socket.end(query.slice(10))
  expect(answersIn(await first!.closed)[0]!.body).toContain('UNAUTHENTICATED')
  for (const { socket } of rest) socket.destroy()
  await Promise.all(rest.map(({ closed }) => closed))
  expect((await post(query)).status).toBe(200)
})

describe('a body that is no text', () => {
  const before = Buffer.from('{"query":"{ viewer { email } }","variables":{"a":"')
  const named = (bytes: Buffer) => Buffer.concat([before, bytes, Buffer.from('"}}')])

  test('is refused where it is not UTF-8', async () => {
    for (const good of ['é', 'نُور', '🌿', '\ufffd']) expect((await post(named(Buffer.from(good)))).status, good).toBe(200)
    const bad = {
      'latin1 é': 'e9',
      'cut short': 'f09f8c',
      'overlong slash': 'c0af',
      'surrogate half': 'eda080',
      'beyond Unicode': 'f4908080',
      'lone continuation': '80',
      'never a byte': 'ff',
    }
    for (const [name, hex] of Object.entries(bad)) {
      const answer = await post(named(Buffer.from(hex, 'hex')))
      expect([answer.status, codeIn(answer)], name).toEqual([400, 'BODY_NOT_UTF8'])
    }
    const wide = await post(Buffer.from(JSON.stringify({ query: viewer }), 'utf16le'))
    expect(wide.status).toBe(400)
  })

  test('or does not parse is refused without a word of it', async () => {
    const bodies = ['{"query":"CANARY', 'CANARY', '{CANARY:1}', '{"query":"{ viewer { email } }",}CANARY', '[1,CANARY]', '{"a":1}CANARY']
    for (const body of bodies) {
      for (const accept of ['application/json', 'application/graphql-response+json', '*/*']) {
        const answer = await post(body, { accept })
        const found = [answer.status, answer.text.includes('CANARY'), codeIn(answer)]
        expect(found, `${body} ${answer.text}`).toEqual([400, false, 'BAD_REQUEST'])
      }
    }
  })
})

describe('names that JavaScript knows', () => {
  const create = 'mutation ($input: CreatePartyInput!) { createParty(input: $input) { __typename } }'
  const input = (more: string) => post(`{"query":"${create}","variables":{"input":{"kind":"FAMILY","name":"Nour"${more}}}}`)
  const clean = () => {
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    expect(Object.keys(Object.prototype)).toEqual([])
  }

  test('are no fields of an input', async () => {
    expect((await input('')).text).toContain('CareParty')
    const keys = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__', 'valueOf']
    for (const key of keys) {
      for (const value of ['{"polluted":1}', '{"prototype":{"polluted":1}}', '"x"', 'null', '[]']) {
        const answer = await input(`,"${key}":${value}`)
        expect([answer.status, answer.text.includes(`Field \\"${key}\\" is not defined`)], answer.text).toEqual([400, true])
      }
    }
    clean()
  })

  test('are variables, aliases, fragments and operations like any other', async () => {
    const strange = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype']
    for (const name of strange) {
      const variables = `{"${name}":{"polluted":1}}`
      const query = (text: string, more = '') => post(`{"query":${JSON.stringify(text)},"variables":${variables}${more}}`)
      expect((await query('{ tenant { slug } }')).status).toBe(200)
      expect((await query(`{ ${name}: tenant { ${name}: slug } }`)).text).toContain(`"${name}":{"${name}":"${cedar.slug}"}`)
      expect((await query(`{ ...${name} } fragment ${name} on Query { tenant { slug } }`)).text).toContain(cedar.slug)
      expect((await query(`query ${name} { tenant { slug } }`, `,"operationName":"${name}"`)).text).toContain(cedar.slug)
      expect((await query('{ tenant { slug } }', `,"operationName":"${name}"`)).status).toBe(400)
      const counted = `query ($${name}: Int) { recipients(first: $${name}) { edges { cursor } } }`
      const typed = await post(`{"query":"${counted}","variables":{"${name}":1}}`)
      expect(typed.status, `${name}: ${typed.text}`).toBe(200)
      expect((await query(`{ ${name} }`)).status).toBe(400)
      expect((await query(`{ tenant @${name} { slug } }`)).status).toBe(400)
    }
    clean()
  })

  test('are no parameters of a request', async () => {
    for (const key of ['__proto__', 'constructor', 'tenantId', 'context', 'schema']) {
      const answer = await post(`{"query":"{ tenant { slug } }","${key}":{"tenantId":"${zaytuna.id}","polluted":1}}`)
      if (answer.status === 200) expect(answer.text, key).toBe(`{"data":{"tenant":{"slug":"${cedar.slug}"}}}`)
      else expect([answer.status, codeIn(answer)], key).toEqual([400, 'BAD_REQUEST'])
    }
    clean()
  })
})

describe.each(planes.filter((plane) => plane !== 'integrator'))('what is not asked for, smuggled into the %s plane', (plane) => {
  const smuggled = () => ({
    tenantId: zaytuna.id,
    tenant_id: zaytuna.id,
    tenant: zaytuna.slug,
    actorId: newId(),
    permissions: ['*'],
    isAdmin: true,
    providerOrg: newId(),
    createdById: newId(),
  })

  test('is a validation error in every input and argument, and costs no look-up', async () => {
    const authorization = `Bearer ${await house.signIn(cedar, rolesOf(plane)[0]!)}`
    const schema = house.composed.schemas.plane[plane]
    let inputs = 0
    for (const [kind, root] of [['query', schema.getQueryType()], ['mutation', schema.getMutationType()]] as const) {
      for (const field of Object.values(root?.getFields() ?? {})) {
        const passed = field.args.map(({ name }) => `${name}: $${name}`).join(', ')
        const variables = field.args.map((one) => `$${one.name}: ${String(one.type)}`).join(', ')
        const given = argumentsOf(field, {}, [])
        const strange = Object.entries(smuggled()).filter(([key]) => !field.args.some(({ name }) => name === key))
        const more = strange.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(', ')
        const call = `${field.name}(${passed ? `${passed}, ` : ''}${more})`
        const literal = `${kind} ${variables ? `(${variables})` : ''} { ${call} { __typename } }`
        const count = await statementsDuring(async () => {
          const answer = await ask(house, plane, { authorization }, literal, given)
          expect([answer.status, codeIn(answer)], `${literal}: ${answer.text}`).toEqual([400, 'GRAPHQL_VALIDATION_FAILED'])
          for (const [key] of strange) expect(answer.text, literal).toContain(`Unknown argument \\"${key}\\"`)
        })
        expect(count, literal).toBe(0)
        for (const argument of field.args) {
          const type = getNamedType(argument.type)
          if (!isInputObjectType(type)) continue
          inputs++
          const extra = Object.entries({ ...smuggled(), role: 'tenant_admin' }).filter(([key]) => !type.getFields()[key])
          const document = `${kind} (${variables}) { ${field.name}(${passed}) { __typename } }`
          const input = { ...(given[argument.name] as object | undefined), ...Object.fromEntries(extra) }
          const answer = await ask(house, plane, { authorization }, document, { ...given, [argument.name]: input })
          expect(answer.status, `${document}: ${answer.text}`).toBe(400)
          for (const [key] of extra) expect(answer.text).toContain(`Field \\"${key}\\" is not defined by type \\"${type.name}\\"`)
        }
      }
    }
    expect(inputs).toBeGreaterThan(0)
  })
})
