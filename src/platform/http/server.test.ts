import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fault, notFound, tooMany, unauthenticated } from '../../kernel/fault.ts'
import { answerJson } from './answer.ts'
import { readBody } from './body.ts'
import { createRouter, type Route } from './router.ts'
import { startRig, type Rig } from '../../../test/kit/http.ts'

const canary = 'Layla-Haddad-7731'
const stale = fault('conflict', 'HTTP_TEST_CONFLICT', 'Somebody was faster.')
const faults = { absent: notFound(), signIn: unauthenticated(), conflict: stale(), limited: tooMany({ retryAfterSeconds: 7.2 }) }

const routes: Route[] = [
  { method: 'GET', path: '/who', name: 'who', handle: (_request, response, context) => answerJson(response, 200, context.client) },
  {
    method: 'POST',
    path: '/echo',
    name: 'echo',
    handle: async (request, response) => answerJson(response, 200, { bytes: (await readBody(request, 1000)).length }),
  },
  {
    method: '*',
    path: '/tree/*',
    name: 'tree',
    handle: (_request, response, { path, query }) => answerJson(response, 200, { path, query }),
  },
  { method: 'GET', path: '/tree/leaf', name: 'leaf', handle: (_request, response) => answerJson(response, 200, 'leaf') },
  {
    method: 'GET',
    path: '/broken',
    name: 'broken',
    handle: () => {
      throw new TypeError(`cannot read ${canary}`)
    },
  },
  {
    method: 'GET',
    path: '/fault',
    name: 'fault',
    handle: (_request, _response, { query }) => {
      throw faults[query as keyof typeof faults]
    },
  },
]

let rig: Rig
beforeAll(async () => {
  rig = await startRig(routes)
})
afterAll(() => rig.server.close())

const head = (lines: string[], body = '') => `${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`
const codeOf = (body: string) => (JSON.parse(body) as { error: { code: string } }).error.code

describe('routes', () => {
  test('an exact path wins over a prefix, and the handler sees path and query', async () => {
    expect(JSON.parse((await rig.get('/tree/leaf')).body)).toBe('leaf')
    expect(JSON.parse((await rig.get('/tree/a/b?x=/../y')).body)).toEqual({ path: '/tree/a/b', query: 'x=/../y' })
    expect(JSON.parse((await rig.get('/tree')).body)).toEqual({ path: '/tree', query: '' })
  })

  test('what is not there is 404 and what takes another method 405, with the methods it takes', async () => {
    for (const path of ['/', '/treehouse', '/who/', '/WHO', '/who%20', '/__proto__']) expect((await rig.get(path)).status, path).toBe(404)
    const [answer] = await rig.send(head(['DELETE /who HTTP/1.1', 'Host: a']))
    expect([answer!.status, answer!.headers.get('allow'), codeOf(answer!.body)]).toEqual([405, 'GET, HEAD', 'METHOD_NOT_ALLOWED'])
    const [silent] = await rig.send(head(['HEAD /who HTTP/1.1', 'Host: a']))
    expect([silent!.status, silent!.body]).toEqual([200, ''])
  })

  test('a table with two answers to one question, or a malformed line, is refused at the start', () => {
    const at = (path: string, method: Route['method'] = 'GET', name = 'x'): Route => ({ method, path, name, handle: () => {} })
    expect(() => createRouter([at('/a'), at('/a', 'POST'), at('/a/*')])).not.toThrow()
    for (const pair of [[at('/a'), at('/a')], [at('/a'), at('/a', '*')], [at('/a', '*'), at('/a')]]) {
      expect(() => createRouter(pair)).toThrow('Two routes')
    }
    for (const path of ['', 'a', '/a/', '/*', '/a*', '/a/*/b', '/{tenant}']) {
      expect(() => createRouter([at(path)]), path).toThrow('Route path')
    }
    for (const name of ['', 'A', 'a b', 'x'.repeat(41)]) {
      expect(() => createRouter([at('/a', 'GET', name)]), name).toThrow('Route name')
    }
  })
})

describe('answers', () => {
  test('carry an id of ours and the security headers, whatever they say', async () => {
    for (const path of ['/who', '/nowhere', '/broken']) {
      const { headers } = await rig.get(path)
      expect(headers.get('x-request-id'), path).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.has('strict-transport-security')).toBe(false)
    }
  })

  test("a caller's own request id is logged beside ours and never answered; a strange one is forgotten", async () => {
    const { headers } = await rig.get('/who', { 'x-request-id': 'abc_DEF-12345678' })
    const line = rig.lines.find((text) => text.includes(headers.get('x-request-id')!))
    expect(JSON.parse(line!)).toMatchObject({ event: 'http.request', inboundRequestId: 'abc_DEF-12345678', route: 'who', status: 200 })
    for (const id of ['short', 'x'.repeat(65), 'with space 123', 'quote"quote"']) {
      const mine = (await rig.get('/who', { 'x-request-id': id })).headers.get('x-request-id')!
      expect(rig.lines.find((text) => text.includes(mine)), id).not.toContain('inboundRequestId')
    }
  })

  test('faults become statuses, and nothing of any other error leaves', async () => {
    const seen: Record<string, number> = {}
    for (const key of Object.keys(faults)) seen[key] = (await rig.get(`/fault?${key}`)).status
    expect(seen).toEqual({ absent: 404, signIn: 401, conflict: 409, limited: 429 })
    expect((await rig.get('/fault?limited')).headers.get('retry-after')).toBe('8')
    const answer = await rig.get('/broken')
    expect([answer.status, codeOf(answer.body)]).toEqual([500, 'INTERNAL'])
    expect(answer.body).not.toContain(canary)
    expect(rig.lines.join('')).not.toContain(canary)
    expect(rig.lines.join('')).toContain('"errorName":"TypeError"')
  })
})

describe('malformed requests', () => {
  const whole = ['POST /echo HTTP/1.1', 'Host: cedar.localhost', 'Content-Length: 4']

  test('the well-formed neighbour of them all is answered', async () => {
    const [answer] = await rig.send(head(whole, 'abcd'))
    expect([answer!.status, answer!.body]).toEqual([200, '{"bytes":4}'])
    const [chunked] = await rig.send(head([...whole.slice(0, 2), 'Transfer-Encoding: chunked'], '4\r\nabcd\r\n0\r\n\r\n'))
    expect([chunked!.status, chunked!.body]).toEqual([200, '{"bytes":4}'])
  })

  const smuggled = 'GET /who HTTP/1.1\r\nHost: smuggled.localhost\r\n\r\n'
  const bad: Record<string, string> = {
    'both a length and a transfer coding': head([...whole, 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`),
    'two lengths': head([...whole, 'Content-Length: 5'], `abcd${smuggled}`),
    'two equal lengths': head([...whole, 'Content-Length: 4'], `abcd${smuggled}`),
    'a length that is a list': head([...whole.slice(0, 2), 'Content-Length: 4, 4'], `abcd${smuggled}`),
    'a signed length': head([...whole.slice(0, 2), 'Content-Length: +4'], 'abcd'),
    'a hexadecimal length': head([...whole.slice(0, 2), 'Content-Length: 0x4'], 'abcd'),
    'a folded header': head([...whole.slice(0, 2), 'X-A: b', ' Content-Length: 4'], 'abcd'),
    'a space before the colon': head([...whole.slice(0, 2), 'Content-Length : 4'], 'abcd'),
    'a transfer coding we do not speak': head([...whole.slice(0, 2), 'Transfer-Encoding: gzip, chunked'], `0\r\n\r\n${smuggled}`),
    'a disguised transfer coding': head([...whole.slice(0, 2), 'Transfer-Encoding: xchunked'], `0\r\n\r\n${smuggled}`),
    'chunked twice': head([...whole.slice(0, 2), 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`),
    'chunks in HTTP/1.0': head(['POST /echo HTTP/1.0', whole[1]!, 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`),
    'a malformed chunk': head([...whole.slice(0, 2), 'Transfer-Encoding: chunked'], `4;\nx\r\nabcd\r\n0\r\n\r\n${smuggled}`),
    'a bare line feed between headers': `POST /echo HTTP/1.1\nHost: a\nContent-Length: 4\nConnection: close\n\nabcd`,
    'no host': head(['GET /who HTTP/1.1']),
    'two hosts': head(['GET /who HTTP/1.1', 'Host: a', 'Host: b']),
    'two equal hosts': head(['GET /who HTTP/1.1', 'Host: a', 'host: a']),
    'an empty host': head(['GET /who HTTP/1.1', 'Host:']),
    'a host with user and path': head(['GET /who HTTP/1.1', 'Host: a@b/c']),
    'two authorisations': head(['GET /who HTTP/1.1', 'Host: a', 'Authorization: Bearer a', 'Authorization: Bearer b']),
    'two tenants': head(['GET /who HTTP/1.1', 'Host: a', 'x-maristan-tenant: a', 'X-Maristan-Tenant: b']),
    'an absolute target': head(['GET http://cedar.localhost/who HTTP/1.1', 'Host: cedar.localhost']),
    'dot segments': head(['GET /tree/../who HTTP/1.1', 'Host: a']),
    'escaped dot segments': head(['GET /tree/%2E./who HTTP/1.1', 'Host: a']),
    'doubled slashes': head(['GET //who HTTP/1.1', 'Host: a']),
    'a backslash': head(['GET /tree\\..\\who HTTP/1.1', 'Host: a']),
    'a protocol we do not speak': head(['GET /who HTTP/3.7', 'Host: a']),
    'bytes that are no HTTP': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
  }

  test.each(Object.entries(bad))('%s is answered 400 once, and the connection ends', async (_name, bytes) => {
    const answers = await rig.send(bytes)
    expect(answers.map(({ status }) => status)).toEqual([400])
    expect(answers[0]!.headers.get('connection')).toBe('close')
  })

  test('too many headers or too long ones are 431', async () => {
    const many = Array.from({ length: 100 }, (_, at) => `X-${at}: y`)
    expect((await rig.send(head(['GET /who HTTP/1.1', 'Host: a', ...many.slice(0, 97)]))).map(({ status }) => status)).toEqual([200])
    expect((await rig.send(head(['GET /who HTTP/1.1', 'Host: a', ...many]))).map(({ status }) => status)).toEqual([431])
    const long = await rig.send(head(['GET /who HTTP/1.1', 'Host: a', `X-Long: ${'y'.repeat(17_000)}`]))
    expect(long.map(({ status }) => status)).toEqual([431])
  })
})

describe('bodies', () => {
  test('announced or grown past the bound are 413 and end the connection, unread', async () => {
    // Not a byte of it is sent: the answer does not wait for one.
    const [announced] = await rig.send(head(['POST /echo HTTP/1.1', 'Host: a', 'Content-Length: 1001']))
    const grown = `3e8\r\n${'x'.repeat(1000)}\r\n1\r\nx\r\n0\r\n\r\n`
    const [chunked] = await rig.send(head(['POST /echo HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked'], grown))
    for (const answer of [announced!, chunked!]) {
      expect([answer.status, answer.headers.get('connection'), codeOf(answer.body)]).toEqual([413, 'close', 'BODY_TOO_LARGE'])
    }
  })

  test('a flood that never ends is cut off though its sender still writes', async () => {
    const { socket, closed } = rig.open()
    socket.write(head(['POST /echo HTTP/1.1', 'Host: a', 'Content-Length: 100000000000']))
    const chunk = Buffer.alloc(64 * 1024)
    const flood = () => {
      while (socket.writable && socket.write(chunk));
    }
    socket.on('drain', flood)
    flood()
    expect(await closed).toContain('413 Payload Too Large')
    expect(socket.bytesWritten).toBeLessThan(64 * 1024 * 1024)
  })

  test('cut short by the caller are a typed fault, not an error of ours', async () => {
    const { socket, closed } = rig.open()
    await once(socket, 'connect')
    const before = rig.lines.length
    socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc', () => socket.destroy())
    await closed
    await expect.poll(() => rig.lines.slice(before).join('')).toContain('"status":499')
    expect(rig.lines.slice(before).join('')).not.toContain('http.failed')
  })
})
