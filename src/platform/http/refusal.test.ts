/** Refusals before a handler are said as the address says them, whatever stands in the way; and as ever everywhere else. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { startRig, type Rig } from '../../../test/kit/http.ts'
import { answerJson } from './answer.ts'
import { readBody } from './body.ts'
import { pathOf } from './client-error.ts'
import type { Route } from './router.ts'

let rig: Rig
afterEach(() => rig.server.close())

const own: Route = {
  method: '*',
  path: '/own/*',
  name: 'own',
  refusal: (status, message) => ({ contentType: 'application/own+json', body: { own: status, message } }),
  handle: async (request, response) => answerJson(response, 200, (await readBody(request)).length),
}
const plain: Route = { ...own, path: '/plain/*', name: 'plain', refusal: undefined as never }

const many = Array.from({ length: 120 }, (_, at) => `X-${at}: y`).join('\r\n')
const raw: Readonly<Record<number, (path: string) => string>> = {
  400: (path) => `GET ${path}//twice HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
  431: (path) => `GET ${path}/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${many}\r\n\r\n`,
}

async function talk(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  let received = ''
  socket.on('data', (chunk: string) => (received += chunk)).on('error', () => {})
  socket.write(text)
  await once(socket, 'close')
  return received
}
const ownWords = (status: number) => new RegExp(`^HTTP/1.1 ${status} [^]*content-type: application/own\\+json[^]*\\{"own":${status},`, 'i')

test.each([400, 431])('%d, malformed before anybody looked', async (status) => {
  rig = await startRig([own, plain])
  expect(await talk(rig.port, raw[status]!('/own'))).toMatch(ownWords(status))
  const other = await talk(rig.port, raw[status]!('/plain'))
  expect(other).toContain(`HTTP/1.1 ${status} `)
  expect(other).not.toContain('application/own')
})

test('431 where the head is so large that it is never parsed, and 400 where it is no HTTP', async () => {
  rig = await startRig([own, plain])
  const long = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\nX-Long: ${'y'.repeat(20_000)}\r\n\r\n`
  expect(await talk(rig.port, long('/own/x'))).toMatch(ownWords(431))
  expect(await talk(rig.port, long('/plain/x'))).toMatch(/^HTTP\/1.1 431 [^]*\r\n\r\n$/)
  expect(await talk(rig.port, 'GET /own/x HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n')).toMatch(ownWords(400))
  expect(await talk(rig.port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [^]*\r\n\r\n$/)
})

test('408 where the body does not arrive in time', async () => {
  rig = await startRig([own, plain], { headersTimeoutMs: 100, requestTimeoutMs: 150, timeoutCheckMs: 20 })
  const slow = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc`
  const [mine, other] = await Promise.all([talk(rig.port, slow('/own/x')), talk(rig.port, slow('/plain/x'))])
  expect(mine).toMatch(ownWords(408))
  expect(other).toMatch(/^HTTP\/1.1 408 [^]*\r\n\r\n$/)
})

test('503 under load, with when to come back', async () => {
  rig = await startRig([own, plain], { maxInFlight: 0 })
  const mine = await rig.get('/own/x')
  expect([mine.status, mine.headers.get('content-type'), JSON.parse(mine.body)]).toEqual([
    503,
    'application/own+json',
    { own: 503, message: expect.any(String) as string },
  ])
  expect(Number(mine.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(JSON.parse((await rig.get('/plain/x')).body)).toMatchObject({ error: { code: 'OVERLOADED' } })
})

test('the path of a packet is read from a request line and from nothing else', () => {
  expect(pathOf(Buffer.from('GET /own/x?y HTTP/1.1\r\n'))).toBe('/own/x')
  for (const text of ['', 'GET', 'get /own HTTP/1.1', ' GET /own ', 'X: /own ', `GET /${'y'.repeat(2_000)} `]) expect(pathOf(Buffer.from(text))).toBe(null)
  expect(pathOf(undefined)).toBe(null)
})
