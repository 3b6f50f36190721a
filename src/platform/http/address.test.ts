import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addressOf, createClientReader, hostOf, isLoopback, type Client } from './address.ts'
import { answerJson } from './answer.ts'
import type { Route } from './router.ts'
import { startRig, type Rig } from '../../../test/kit/http.ts'

const who: Route = {
  method: 'GET',
  path: '/who',
  name: 'who',
  handle: (_request, response, { client }) => answerJson(response, 200, client),
}

describe('a host', () => {
  test('is lower case, without port or final dot', () => {
    const good: [string, string][] = [
      ['cedar.localhost', 'cedar.localhost'],
      ['Cedar.Example:4000', 'cedar.example'],
      ['cedar.example.', 'cedar.example'],
      ['127.0.0.1:80', '127.0.0.1'],
      ['[2001:DB8::1]:443', '[2001:db8::1]'],
      ['xn--mgbh0fb.example', 'xn--mgbh0fb.example'],
    ]
    for (const [given, host] of good) expect(hostOf(given), given).toBe(host)
  })

  test('is nothing else', () => {
    const bad = ['', '.', '..', 'a..b', '.a', '-a', 'a-', 'a b', 'a/b', 'a@b', 'a:b', 'a:', 'a:65536', 'a:80:80', 'a,b', 'a\tb']
    bad.push('ä.example', 'a_b')
    bad.push('[::1', '::1', '[1.2.3.4]', '[::1]x', '1.2.3', '256.1.1.1', '1.2.3.4.5', '%41', `${'a'.repeat(64)}.b`, `${'a.'.repeat(127)}ab`)
    for (const given of bad) expect(hostOf(given), given).toBeNull()
  })
})

test('an address is read without port, brackets, quotes and zone, and words are none', () => {
  const good = { '10.1.2.3': '10.1.2.3', ' 10.1.2.3:55 ': '10.1.2.3', '::ffff:10.1.2.3': '10.1.2.3', '"[2001:db8::1]:47"': '2001:db8::1' }
  for (const [given, address] of Object.entries({ ...good, '2001:DB8::1': '2001:db8::1', 'fe80::1%eth0': 'fe80::1' })) {
    expect(addressOf(given), given).toBe(address)
  }
  for (const given of ['', 'unknown', '_hidden', '10.1.2', '10.1.2.3.4', '[10.1.2.3', 'localhost', '10.1.2.3, 10.1.2.4', '0x7f.1']) {
    expect(addressOf(given), given).toBeNull()
  }
  expect(['127.0.0.1', '127.9.9.9', '::1'].every(isLoopback)).toBe(true)
  expect(['128.0.0.1', '10.0.0.1', '::2', '127.x', 'localhost'].some(isLoopback)).toBe(false)
})

test('a trusted proxy is an address or a network, and never the whole world', () => {
  for (const network of ['10.0.0.0/8', '127.0.0.1', '2001:db8::/32', '::1']) {
    expect(() => createClientReader([network]), network).not.toThrow()
  }
  for (const network of ['', 'proxy', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '0.0.0.0/0', '::/0', '10.0.0.0/-1', '*']) {
    expect(() => createClientReader([network]), network).toThrow('TRUSTED_PROXIES')
  }
})

const forged = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-host': 'zaytuna.localhost', 'x-forwarded-proto': 'https' }

describe('behind nobody', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig([who], {}, ['192.0.2.0/24'])
  })
  afterAll(() => rig.server.close())

  test('forwarded headers are not believed, however they are spelt', async () => {
    const standard = { forwarded: 'for=203.0.113.9;host=zaytuna.localhost;proto=https' }
    for (const headers of [forged, standard, { ...forged, ...standard }, { forwarded: 'nonsense;;' }, { 'x-forwarded-host': 'a@b' }]) {
      const answer = await rig.get('/who', headers)
      expect(JSON.parse(answer.body)).toEqual({ address: '127.0.0.1', host: 'cedar.localhost', protocol: 'http', forwarded: true })
      expect(answer.headers.has('strict-transport-security')).toBe(false)
    }
  })
})

describe('behind trusted proxies', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig([who], {}, ['127.0.0.1', '10.0.0.0/8', '2001:db8:1::/48'])
  })
  afterAll(() => rig.server.close())
  const seen = async (headers: Record<string, string>) => JSON.parse((await rig.get('/who', headers)).body) as Client

  test('the client is the rightmost hop that is none of them', async () => {
    const chains: [string, string][] = [
      ['203.0.113.9', '203.0.113.9'],
      ['198.51.100.1, 203.0.113.9', '203.0.113.9'],
      ['198.51.100.1, 203.0.113.9, 10.1.1.1', '203.0.113.9'],
      ['127.0.0.1, 203.0.113.9, 10.1.1.1, 2001:db8:1::7', '203.0.113.9'],
      ['2001:db8:2::9, 10.1.1.1', '2001:db8:2::9'],
      ['10.2.2.2, 10.1.1.1', '10.2.2.2'],
      ['203.0.113.9, unknown, 10.1.1.1', '10.1.1.1'],
      ['203.0.113.9, ', '127.0.0.1'],
    ]
    for (const [header, address] of chains) expect((await seen({ 'x-forwarded-for': header })).address, header).toBe(address)
  })

  test('host and protocol are theirs, https brings HSTS, and both spellings say the same', async () => {
    const client = { address: '203.0.113.9', host: 'zaytuna.localhost', protocol: 'https', forwarded: true }
    const standard = { forwarded: 'for=198.51.100.1, For="203.0.113.9:4711";HOST=zaytuna.localhost;proto=HTTPS' }
    for (const headers of [forged, standard, { ...forged, ...standard }]) expect(await seen(headers)).toEqual(client)
    expect((await rig.get('/who', forged)).headers.get('strict-transport-security')).toBe('max-age=31536000')
    expect(await seen({ forwarded: 'for="[2001:db8:2::9]:1"' })).toMatchObject({ address: '2001:db8:2::9', host: 'cedar.localhost' })
  })

  test('what contradicts itself or cannot be read is refused', async () => {
    const bad: Record<string, string>[] = [
      { ...forged, forwarded: 'for=198.51.100.1' },
      { forwarded: 'for=203.0.113.9;;' },
      { forwarded: 'for="203.0.113.9' },
      { forwarded: '203.0.113.9' },
      { 'x-forwarded-host': 'a@b' },
      { 'x-forwarded-host': '' },
      { 'x-forwarded-proto': 'gopher' },
      { forwarded: 'for=203.0.113.9;host="a/b"' },
    ]
    for (const headers of bad) expect((await rig.get('/who', headers)).status, JSON.stringify(headers)).toBe(400)
  })
})
