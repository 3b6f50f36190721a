import { afterEach, describe, expect, test } from 'vitest'
import { healthRoutes } from './health.ts'
import { createHttpMetrics, metricsRoute } from './metrics.ts'
import { answerRefusal } from './answer.ts'
import type { Route } from './router.ts'
import { startRig, type Rig } from '../../../test/kit/http.ts'

let rig: Rig
afterEach(() => rig.server.close())

describe('health', () => {
  test('liveness asks nobody; readiness names what fails, late or thrown, and never says why', async () => {
    let asked = 0
    const checks = {
      database: async () => {
        asked++
        throw new Error('password authentication failed for Layla-7731')
      },
      keys: () => {
        throw new Error('thrown at once')
      },
      hung: () => new Promise<void>(() => {}),
      migrations: async () => {},
    }
    rig = await startRig(healthRoutes(checks, 40))
    expect((await rig.get('/healthz')).status).toBe(200)
    expect(asked).toBe(0)
    const answers = await Promise.all([rig.get('/readyz'), rig.get('/readyz'), rig.get('/readyz')])
    for (const { status, body } of answers) {
      expect([status, JSON.parse(body)]).toEqual([503, { ready: false, failing: ['database', 'keys', 'hung'] }])
    }
    expect(rig.lines.join('') + answers.map(({ body }) => body).join('')).not.toContain('7731')
  })

  test('readiness follows its checks, and asks once however many ask', async () => {
    let asked = 0
    const first = Promise.withResolvers<void>()
    let check = () => first.promise
    const database = () => {
      asked++
      return check()
    }
    rig = await startRig(healthRoutes({ database }))
    const crowd = Array.from({ length: 20 }, () => rig.get('/readyz'))
    await expect.poll(() => rig.metrics.registry.getSingleMetricAsString('http_requests_in_flight')).toContain(' 20')
    first.resolve()
    for (const { status, body } of await Promise.all(crowd)) expect([status, body]).toEqual([200, '{"ready":true,"failing":[]}'])
    expect(asked).toBe(1)
    check = () => Promise.reject(new Error('gone'))
    expect((await rig.get('/readyz')).status).toBe(503)
  })
})

describe('metrics', () => {
  const secret = 'correct-horse-battery'
  const busy: Route = {
    method: 'GET',
    path: '/t/*',
    name: 'busy',
    handle: (_request, response) => answerRefusal(response, 409, 'X_Y', 'x'),
  }
  const start = (trusted: string[] = [], key: string | null = secret) =>
    startRig((metrics) => [metricsRoute(metrics, key), busy], {}, trusted)

  test('count by route, method and status class, with no label a stranger chose', async () => {
    rig = await start()
    await rig.get('/t/cedar/secret-path')
    await rig.send('PROPFIND /t/cedar HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await rig.get('/nowhere/cedar')
    const { body, headers } = await rig.get('/metrics')
    expect(headers.get('content-type')).toContain('text/plain')
    expect(body).toContain('http_requests_total{route="busy",method="GET",status="4xx"} 1')
    expect(body).toContain('http_requests_total{route="unmatched",method="OTHER",status="4xx"} 1')
    expect(body).toContain('http_requests_total{route="unmatched",method="GET",status="4xx"} 1')
    expect(body).toContain('http_request_duration_seconds_bucket')
    expect(body).toContain('nodejs_eventloop_lag_p99_seconds')
    expect(body).not.toMatch(/cedar|PROPFIND|tenant/)
  })

  test('open to this machine without a proxy, and to bearers of the secret', async () => {
    rig = await start(['127.0.0.1'])
    for (const host of ['cedar.localhost', 'localhost:4000', '127.0.0.1', '[::1]']) {
      expect((await rig.get('/metrics', { host })).status, host).toBe(200)
    }
    const strangers: Record<string, string>[] = [
      { host: 'care.example' },
      { 'x-forwarded-for': '203.0.113.9' },
      { 'x-forwarded-for': '127.0.0.1' },
      { forwarded: 'for=127.0.0.1' },
      { 'x-real-ip': '127.0.0.1' },
      { via: '1.1 cache' },
      { host: 'localhost.example' },
    ]
    for (const headers of strangers) {
      const name = JSON.stringify(headers)
      expect((await rig.get('/metrics', headers)).body, name).toContain('NOT_FOUND')
      expect((await rig.get('/metrics', { ...headers, authorization: `Bearer ${secret}` })).status, name).toBe(200)
      const nearly = [`Bearer ${secret}x`, `Bearer ${secret.slice(1)}`, `Basic ${secret}`, `Bearer a ${secret}`]
      for (const wrong of [...nearly, secret, 'Bearer', 'Bearer  ']) {
        expect((await rig.get('/metrics', { ...headers, authorization: wrong })).status, `${name} ${wrong}`).toBe(404)
      }
    }
  })

  test('without a secret no bearer opens them, and a short secret is refused', async () => {
    rig = await start([], null)
    for (const authorization of ['Bearer null', 'Bearer undefined', 'Bearer ', '']) {
      expect((await rig.get('/metrics', { host: 'care.example', authorization })).status, authorization).toBe(404)
    }
    for (const short of ['', 'x'.repeat(15)]) expect(() => metricsRoute(createHttpMetrics(), short)).toThrow('at least 16')
  })
})
