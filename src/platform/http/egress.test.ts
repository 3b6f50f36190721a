/** The one outbound client reaches the public internet by https, and a vouched address exactly: nothing else, however it is spelt. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startSiem, type Siem } from '../../../test/kit/siem.ts'
import { createEgress, isPublicAddress, type EgressPost } from './egress.ts'

const egress = createEgress()
afterAll(() => egress.close())
const bounds = { maxBytes: 1_000, timeoutMs: 2_000 }

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const refusedFor = (reason: string) => expect.objectContaining({ code: 'EGRESS_REFUSED', data: { reason: expect.stringContaining(reason) } })

describe('an address is public', () => {
  test.each(['8.8.8.8', '1.1.1.1', '2606:4700::1111', '2a00:1450:4001::1'])('%s is', (address) => expect(isPublicAddress(address)).toBe(true))
  test.each([
    '0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.31.255.255', '192.168.1.1', '198.18.0.1', '224.0.0.1', '255.255.255.255',
    '::', '::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '64:ff9b::7f00:1', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'ff02::1', '2001:db8::1', '2002:7f00:1::', 'localhost', '',
  ])('%s is not', (address) => expect(isPublicAddress(address)).toBe(false))
})

describe('without anybody vouching', () => {
  test.each([
    ['http://example.org/', 'https'],
    ['ftp://example.org/', 'https'],
    ['file:///etc/passwd', 'https'],
    ['not an address', 'https'],
    ['https://user:secret@example.org/', 'user name'],
    ['https://127.0.0.1/', 'private'],
    ['https://2130706433/', 'private'],
    ['https://0x7f.1/', 'private'],
    ['https://[::1]/', 'private'],
    ['https://[::ffff:169.254.169.254]/', 'private'],
    ['https://localhost:1/', 'private'],
  ])('%s is refused', async (url, reason) => {
    await expect(egress.get(url, bounds)).rejects.toThrow(refusedFor(reason))
  })
})

describe('a vouched address', () => {
  test('is read with its tag', async () => {
    const url = await serving((request, response) => {
      const isKnown = request.headers['if-none-match'] === '"a"'
      response.writeHead(isKnown ? 304 : 200, { etag: '"a"' }).end(isKnown ? undefined : 'metadata')
    })
    const first = await egress.get(url, { ...bounds, vouched: true })
    expect([first.status, Buffer.from(first.body).toString(), first.etag]).toEqual([200, 'metadata', '"a"'])
    expect((await egress.get(url, { ...bounds, vouched: true, etag: first.etag })).status).toBe(304)
  })

  test('does not vouch for where it redirects', async () => {
    const secret = await serving((_, response) => response.end('secret'))
    const url = await serving((_, response) => response.writeHead(302, { location: secret }).end())
    await expect(egress.get(url, { ...bounds, vouched: true })).rejects.toThrow(refusedFor('https'))
    const tls = await serving((_, response) => response.writeHead(302, { location: 'https://127.0.0.1:1/' }).end())
    await expect(egress.get(tls, { ...bounds, vouched: true })).rejects.toThrow(refusedFor('private'))
  })

  test('is bounded in size and time', async () => {
    const large = await serving((_, response) => response.end('x'.repeat(1_001)))
    await expect(egress.get(large, { ...bounds, vouched: true })).rejects.toThrow(refusedFor('too large'))
    const slow = await serving(() => {})
    await expect(egress.get(slow, { ...bounds, timeoutMs: 100, vouched: true })).rejects.toThrow(refusedFor('too long'))
  })
})

describe('a text is sent', () => {
  const sent = { ...bounds, headers: { 'content-type': 'text/plain' } }
  let siem: Siem
  beforeAll(async () => void (siem = await startSiem()))
  afterAll(() => siem.close())
  const post = (url: string, more: Partial<EgressPost> = {}) => egress.post(url, 'a text', { ...sent, authorities: siem.authority, vouched: true, ...more })

  test('to a vouched address whose certificate is known, with what it is asked to carry, and its answer is a number', async () => {
    siem.answer(202)
    expect(await post(siem.url, { headers: { ...sent.headers, authorization: 'Bearer a' } })).toEqual({ status: 202 })
    expect(siem.taken.at(-1)).toMatchObject({ body: 'a text', authorization: 'Bearer a' })
  })

  test('nowhere that is private where nobody vouched, by plain http not even then, and under no user name', async () => {
    const asked = siem.asked()
    for (const url of [siem.url, 'https://127.0.0.1/', 'https://[::1]/', 'https://169.254.169.254/latest', 'https://localhost:1/']) {
      await expect(post(url, { vouched: false }), url).rejects.toThrow(refusedFor('private'))
    }
    for (const url of [siem.url.replace('https', 'http'), 'ftp://example.org/', 'no address']) {
      for (const vouched of [true, false]) await expect(post(url, { vouched }), url).rejects.toThrow(refusedFor('https'))
    }
    await expect(post(siem.url.replace('localhost', 'me:pw@localhost'))).rejects.toThrow(refusedFor('user name'))
    expect(siem.asked()).toBe(asked)
  })

  test('not to where it is redirected, not past a certificate that nobody named, and not for ever', async () => {
    siem.answer(307)
    const asked = siem.asked()
    expect(await post(siem.url)).toEqual({ status: 307 })
    expect(siem.asked()).toBe(asked + 1)
    await expect(post(siem.url, { authorities: null })).rejects.toThrow(refusedFor('certificate'))
    siem.answer('hang')
    await expect(post(siem.url, { timeoutMs: 150 })).rejects.toThrow(refusedFor('too long'))
    siem.answer('lost')
    await expect(post(siem.url)).rejects.toThrow(refusedFor('does not answer'))
  })
})
