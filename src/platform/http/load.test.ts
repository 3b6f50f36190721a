import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { answerJson } from './answer.ts'
import { healthRoutes } from './health.ts'
import type { Route } from './router.ts'
import { answersIn, startRig, type Rig } from '../../../test/kit/http.ts'

let rig: Rig
afterEach(() => rig.server.close())

/** A route whose answers wait until they are let go. */
function gate() {
  const entered: (() => void)[] = []
  const route: Route = {
    method: 'GET',
    path: '/gate',
    name: 'gate',
    handle: async (_request, response, { signal }) => {
      await new Promise<void>((resolve) => {
        entered.push(resolve)
        signal.addEventListener('abort', () => resolve())
      })
      answerJson(response, 200, 'through')
    },
  }
  const reach = (count: number) => expect.poll(() => entered.length).toBe(count)
  const open = () => entered.splice(0).forEach((go) => go())
  return { route, entered, reach, open }
}
const quick: Route = { method: 'GET', path: '/quick', name: 'quick', handle: (_request, response) => answerJson(response, 200, 'quick') }
const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

describe('under load', () => {
  test('one request too many is 503 with Retry-After before any work, and liveness still answers', async () => {
    const { route, open, reach, entered } = gate()
    rig = await startRig([route, quick, ...healthRoutes({})], { maxInFlight: 2 })
    const held = [rig.get('/gate'), rig.get('/gate')]
    await reach(2)
    for (const path of ['/gate', '/quick', '/nowhere']) {
      const refused = await rig.get(path)
      expect([refused.status, JSON.parse(refused.body).error.code], path).toEqual([503, 'OVERLOADED'])
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    expect(entered).toHaveLength(2)
    expect([(await rig.get('/healthz')).status, (await rig.get('/readyz')).status]).toEqual([200, 200])
    open()
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200])
    expect((await rig.get('/quick')).status).toBe(200)
    expect(await rig.metrics.registry.metrics()).toContain('http_requests_shed_total 3')
  })

  test('a stalled event loop sheds, and recovers by itself', async () => {
    const stall: Route = {
      ...quick,
      path: '/stall',
      name: 'stall',
      handle: (_request, response) => {
        const until = performance.now() + 700
        while (performance.now() < until);
        answerJson(response, 200, 'stalled')
      },
    }
    rig = await startRig([stall, quick, ...healthRoutes({})], { maxEventLoopDelayMs: 350 })
    expect((await rig.get('/quick')).status).toBe(200)
    // The delay is measured from the monitor's first tick on.
    const stallThenAsk = async () => [(await rig.get('/stall')).status, (await rig.get('/quick')).status]
    await expect.poll(stallThenAsk, { timeout: 10_000 }).toContain(503)
    expect((await rig.get('/healthz')).status).toBe(200)
    await expect.poll(async () => (await rig.get('/quick')).status, { timeout: 10_000 }).toBe(200)
  })

  test('streams leave the requests in flight and have a bound of their own', async () => {
    const stream: Route = {
      ...quick,
      path: '/stream',
      name: 'stream',
      handle: async (_request, response, { holdStream, signal, stopping }) => {
        if (!holdStream()) return answerJson(response, 503, 'too many')
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n')
        await new Promise((resolve) => AbortSignal.any([signal, stopping]).addEventListener('abort', resolve))
        response.end()
      },
    }
    rig = await startRig([stream, quick], { maxInFlight: 1, maxStreams: 2 })
    const streams = []
    for (let count = 0; count < 2; count++) {
      const { socket, closed } = rig.open()
      socket.write(request('/stream'))
      await once(socket, 'data')
      streams.push({ socket, closed })
    }
    expect([(await rig.get('/quick')).status, (await rig.get('/stream')).body]).toEqual([200, '"too many"'])
    streams[0]!.socket.destroy()
    await expect.poll(() => rig.lines.join('')).toContain('"status":499')
    const { socket } = rig.open()
    socket.write(request('/stream'))
    expect(String((await once(socket, 'data'))[0])).toContain('200 OK')
    await rig.server.close()
    expect(await streams[1]!.closed).toContain('200 OK')
  })

  test('more connections than the bound are closed unserved', async () => {
    rig = await startRig([quick], { maxConnections: 2 })
    const kept = [rig.open(), rig.open()]
    for (const { socket } of kept) {
      socket.write(request('/quick'))
      await once(socket, 'data')
    }
    expect(await rig.open().closed).toBe('')
    kept[0]!.socket.destroy()
    await expect.poll(async () => (await rig.send(`${request('/quick').trimEnd()}\r\nConnection: close\r\n\r\n`))[0]?.status).toBe(200)
  })

  test('a connection has a last request: its answer says so, and the connection is closed', async () => {
    let handled = 0
    const counted: Route = { ...quick, handle: (incoming, response, context) => (handled++, quick.handle(incoming, response, context)) }
    rig = await startRig([counted], { maxRequestsPerSocket: 3 })
    const { socket, closed } = rig.open()
    for (let k = 0; k < 3; k++) {
      socket.write(request('/quick'))
      await once(socket, 'data')
    }
    const answers = answersIn(await closed)
    expect(answers.map(({ status, headers }) => [status, headers.get('connection')])).toEqual([
      [200, 'keep-alive'],
      [200, 'keep-alive'],
      [200, 'close'],
    ])
    // Sent at once, without waiting: what follows the last is not begun.
    const pipelined = await rig.send(request('/quick').repeat(9))
    expect([pipelined.map(({ status }) => status), handled]).toEqual([[200, 200, 200], 6])
  })
})

describe('slow clients', () => {
  const limits = { headersTimeoutMs: 80, requestTimeoutMs: 160, timeoutCheckMs: 20 }

  test('that trickle a head, a body, or nothing at all are cut off, and others are served meanwhile', async () => {
    const swallow: Route = {
      ...quick,
      method: 'POST',
      path: '/swallow',
      name: 'swallow',
      handle: async (incoming, response) => {
        await incoming.toArray()
        answerJson(response, 200, 'swallowed')
      },
    }
    rig = await startRig([quick, swallow], limits)
    const starts = ['GET /quick HTTP/1.1\r\nHost: a\r\nX-Slow: ', 'POST /swallow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n', '']
    const slow = Array.from({ length: 60 }, (_, at) => {
      const { socket, closed } = rig.open()
      const start = starts[at % 3]!
      socket.write(start)
      const drip = setInterval(() => start && socket.writable && socket.write('x'), 10)
      return closed.finally(() => clearInterval(drip))
    })
    expect((await rig.get('/quick')).status).toBe(200)
    for (const received of await Promise.all(slow)) expect(received === '' || received.startsWith('HTTP/1.1 408')).toBe(true)
    expect((await rig.get('/quick')).status).toBe(200)
  })

  test('that do not read their answer are cut off', async () => {
    const big: Route = { ...quick, handle: (_request, response) => void response.end(Buffer.alloc(64 * 1024 * 1024)) }
    rig = await startRig([big], { stalledTimeoutMs: 100 })
    const socket = connect(rig.port, '127.0.0.1').pause()
    socket.on('error', () => {})
    socket.write(request('/quick'))
    await expect.poll(() => rig.lines.join('')).toContain('"status":499')
    socket.destroy()
  })
})

describe('a stop', () => {
  test('lets what is in flight finish, ends kept connections and takes no new ones', async () => {
    const { route, open, reach } = gate()
    rig = await startRig([route, quick, ...healthRoutes({})])
    const idle = rig.open()
    idle.socket.write(request('/quick'))
    await once(idle.socket, 'data')
    const silent = rig.open()
    await once(silent.socket, 'connect')
    const busy = rig.open()
    busy.socket.write(request('/gate'))
    await reach(1)
    // Queued behind the one in flight on the same connection.
    busy.socket.write(request('/readyz'))
    const stopped = rig.server.close()
    expect(rig.server.close()).toBe(stopped)
    expect(await idle.closed).not.toContain('503')
    expect(await rig.open().closed).toBe('')
    open()
    const answers = answersIn(await busy.closed)
    expect([answers[0]!.status, answers[0]!.body, answers[0]!.headers.get('connection')]).toEqual([200, '"through"', 'close'])
    await stopped
    expect(await silent.closed).toBe('')
  })

  test('is first told to load balancers, while requests are still taken', async () => {
    const { route, open, reach } = gate()
    rig = await startRig([route, quick, ...healthRoutes({})], { stopNoticeMs: 300 })
    const held = rig.get('/gate')
    await reach(1)
    const stopped = rig.server.close()
    const ready = await rig.get('/readyz')
    expect([ready.status, JSON.parse(ready.body)]).toEqual([503, { ready: false, failing: ['stopping'] }])
    const kept = rig.open()
    kept.socket.write(request('/quick'))
    expect(answersIn(await kept.closed)[0]!.headers.get('connection')).toBe('close')
    open()
    expect((await held).status).toBe(200)
    await stopped
  })

  test('ends within its bound, and tells the handlers that it will wait no longer', async () => {
    let told = false
    const stuck: Route = {
      ...quick,
      path: '/stuck',
      name: 'stuck',
      handle: (_request, _response, { signal }) => void signal.addEventListener('abort', () => (told = true)),
    }
    rig = await startRig([stuck], { stopGraceMs: 60 })
    const { socket, closed } = rig.open()
    socket.write(request('/stuck'))
    await expect.poll(async () => rig.metrics.registry.getSingleMetricAsString('http_requests_in_flight')).toContain(' 1')
    await rig.server.close()
    expect([await closed, told]).toEqual(['', true])
    expect(rig.lines.join('')).toContain('http.cut-off')
  })
})
