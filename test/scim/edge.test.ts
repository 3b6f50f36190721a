/** The edge of SCIM: who is let in, how often, and with what; every refusal in SCIM's own shape (RFC 7644 §3.12). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mostTokens } from '../../src/modules/federation/scim/contract.ts'
import { sha256Hex } from '../../src/platform/crypto/hash.ts'
import { authLogin } from '../../src/platform/module.ts'
import { codeOf } from '../kit/administration.ts'
import { groupBody, patchBody, scimRig, userBody, type Directory, type ScimAnswer, type ScimRig } from '../kit/scim.ts'

let rig: ScimRig
let entra: Directory
beforeAll(async () => {
  rig = await scimRig({ SCIM_REQUESTS_PER_MINUTE: '400' })
  entra = await rig.directory(await rig.house.tenant())
})
afterAll(() => rig.close())

const errorUrn = 'urn:ietf:params:scim:api:messages:2.0:Error'
const refusedWith = (status: number) => ({ schemas: [errorUrn], status: String(status), detail: expect.any(String) as string })
const raw = (path: string, init: RequestInit = {}) => fetch(`${rig.house.url}/scim/v2${path}`, init)

describe('a token', () => {
  it('that is missing, malformed, unknown, another scheme or another tenant\'s host answers 401 and how to mend it', async () => {
    const unknown = `${entra.token.slice(0, -3)}${entra.token.endsWith('A') ? 'EEE' : 'AAA'}`
    const other = await rig.house.tenant()
    const tries: Record<string, string>[] = [
      {},
      { authorization: 'Bearer' },
      { authorization: 'Basic YTpi' },
      { authorization: 'Bearer scm_nonsense' },
      { authorization: `Bearer ${unknown}` },
      { authorization: `Bearer ${entra.token}`, 'x-maristan-tenant': other.slug },
    ]
    for (const headers of tries) {
      const answer = await raw('/Users', { headers })
      expect([answer.status, answer.headers.get('content-type')]).toEqual([401, 'application/scim+json; charset=utf-8'])
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
      expect(await answer.json()).toMatchObject(refusedWith(401))
    }
    expect((await raw('/Users', { headers: { authorization: `Bearer ${entra.token}`, 'x-maristan-tenant': entra.tenant.slug } })).status).toBe(200)
  })

  it('is replaced with an overlap, and dead at the next request once revoked', async () => {
    const mine = await rig.directory(entra.tenant, 'Rotated')
    const admin = rig.house.database.unit(entra.tenant.member.tenant_admin.caller)
    const next = await admin.command((scope) => rig.scim.rotateToken(scope, { id: mine.tokenId }), authLogin)
    const status = async (token: string) => (await raw('/Users?count=0', { headers: { authorization: `Bearer ${token}` } })).status
    expect([await status(mine.token), await status(next.token)]).toEqual([200, 200])
    const [old] = await rig.house.at.owner('select expires_at > now() as lives, hash from scim.token where id = $1', [mine.tokenId])
    expect(old).toMatchObject({ lives: true })
    await rig.house.composed.settle()
    const shown = await admin.read(() => rig.scim.connections(admin.scope, {}))
    const tokens = shown.find(({ id }) => id === mine.connectionId)!.tokens
    expect(tokens.map(({ id, lastUsedAt }) => [id, lastUsedAt instanceof Date])).toEqual([[mine.tokenId, true], [next.id, true]])
    expect(old!['hash']).not.toContain(mine.token)
    await admin.command((scope) => rig.scim.revokeToken(scope, { id: mine.tokenId }), authLogin)
    expect([await status(mine.token), await status(next.token)]).toEqual([401, 200])
    // What the overlap gave is over by itself.
    await rig.house.at.owner("update scim.token set revoked_at = null, expires_at = now() + interval '1 minute' where id = $1", [mine.tokenId])
    expect(await status(mine.token)).toBe(200)
    await rig.house.at.owner("update scim.token set expires_at = now() - interval '1 second' where id = $1", [mine.tokenId])
    expect(await status(mine.token)).toBe(401)
  })

  it('has the name and the end that it was given, is kept as a hash alone, and is one of ten that live', async () => {
    const { connectionId, token: first } = await rig.directory(entra.tenant, 'Named')
    const admin = rig.house.database.unit(entra.tenant.member.tenant_admin.caller)
    const give = (name: string, at?: number) => {
      const wanted = { connectionId, name, ...(at === undefined ? {} : { expiresAt: new Date(at).toISOString() }) }
      return admin.command((scope) => rig.scim.createToken(scope, wanted), authLogin)
    }
    const end = Date.now() + 86_400_000
    const made = await give('Entra 2026', end)
    const shown = (await admin.read(() => rig.scim.connections(admin.scope, {}))).find(({ id }) => id === connectionId)!
    expect(shown.tokens.find(({ id }) => id === made.id)).toMatchObject({ name: 'Entra 2026', expiresAt: new Date(end), lastUsedAt: null, revokedAt: null })
    expect(await codeOf(give('Over already', Date.now() - 1_000))).toBe('INVALID_INPUT')
    while (shown.tokens.length < mostTokens) shown.tokens.push({ ...shown.tokens[0]!, id: (await give('Another')).id })
    expect(await codeOf(give('One too many'))).toBe('SCIM_TOKEN_LIMIT')
    await admin.command((scope) => rig.scim.revokeToken(scope, { id: made.id }), authLogin)
    expect(await codeOf(give('In its place'))).toBe('done')
    const rows = await rig.house.at.owner('select t::text as whole, hash from scim.token t where connection_id = $1', [connectionId])
    for (const token of [first, made.token]) {
      expect(rows.filter(({ hash }) => hash === sha256Hex(token))).toHaveLength(1)
      expect(rows.filter(({ whole }) => String(whole).includes(token.slice(-43)))).toEqual([])
    }
  })

  it('is asked for in the very transaction of a create: revoked or over a moment ago, it leaves neither a user nor a line of the trail', async () => {
    const mine = await rig.directory(entra.tenant, 'Confirmed')
    const { connectionId, tokenId } = mine
    const counts = async () =>
      (await rig.house.at.owner(
        `select (select count(*)::int from scim."user" where connection_id = $1) as users,
           (select count(*)::int from audit.event where actor_id = $1 and action = 'scim.user_created') as traced,
           (select last_used_at from scim.token where id = $2) as used`,
        [connectionId, tokenId],
      ))[0]!
    const create = (userName: string) => mine.ask('POST', '/Users', userBody(userName))
    // The first looks the token up, the second is confirmed by the database alone.
    for (const userName of ['first@example.org', 'second@example.org']) expect((await create(userName)).status).toBe(201)
    await rig.house.composed.settle()
    const before = await counts()
    expect(before).toMatchObject({ users: 2, traced: 2 })
    for (const [gone, back] of [['revoked_at = now()', 'revoked_at = null'], ["expires_at = now() - interval '1 second'", 'expires_at = null']]) {
      await rig.house.at.owner(`update scim.token set ${gone} where id = $1`, [tokenId])
      for (let k = 0; k < 2; k++) {
        const answer = await create('third@example.org')
        expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="scim", error="invalid_token"'])
        expect(answer.body).toMatchObject(refusedWith(401))
      }
      await rig.house.composed.settle()
      expect(await counts()).toEqual(before)
      await rig.house.at.owner(`update scim.token set ${back} where id = $1`, [tokenId])
      expect((await mine.ask('GET', '/Users?count=0')).status).toBe(200)
      await rig.house.composed.settle()
      before['used'] = (await counts())['used']
    }
    expect((await create('third@example.org')).status).toBe(201)
    expect((await create('THIRD@example.org')).body).toMatchObject({ status: '409', scimType: 'uniqueness' })
    expect(await counts()).toMatchObject({ users: 3, traced: 3 })
  })
})

it('is no user where its line of the trail cannot be written', async () => {
  await rig.house.at.owner("alter table audit.event add constraint broken check (action <> 'scim.user_created') not valid")
  expect((await entra.ask('POST', '/Users', userBody('untraced@example.org'))).status).toBe(500)
  await rig.house.at.owner('alter table audit.event drop constraint broken')
  expect((await entra.ask('POST', '/Users', userBody('untraced@example.org'))).status).toBe(201)
})

describe('an address', () => {
  it.each<[string, number]>([
    ['/Nothing', 404], ['/Users/x/y', 404], ['/Schemas/urn:nothing', 404], ['/__proto__', 404], ['/constructor', 404],
    ['/%E0%A4%A', 404], ['/Me', 501], ['/Users/00000000-0000-7000-8000-000000000000', 404], ['/Schemas?filter=name eq "User"', 403],
  ])('%s answers %d in the error schema', async (path, status) => {
    const answer = await entra.ask('GET', path)
    expect(answer.status).toBe(status)
    expect(answer.body).toMatchObject(refusedWith(status))
  })

  it.each<[number, string, RequestInit]>([
    [431, '/Users', { headers: { 'x-long': 'y'.repeat(20_000) } }],
    [400, '//Users', {}],
    [413, '/Users', { method: 'POST', headers: { 'content-type': 'application/scim+json' }, body: 'x'.repeat(5_000_000) }],
  ])('answers %d in the error schema where the request is refused before it is looked at (%s)', async (status, path, init) => {
    const answer = await raw(path, { ...init, headers: { ...init.headers, authorization: `Bearer ${entra.token}` } })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/scim+json; charset=utf-8'])
    expect(await answer.json()).toMatchObject(refusedWith(status))
  })

  it.each([
    ['DELETE', '/Users', 'GET, POST'], ['PUT', '/Groups', 'GET, POST'], ['POST', '/Users/x', 'GET, PUT, PATCH, DELETE'],
    ['POST', '/Schemas', 'GET'], ['PATCH', '/ServiceProviderConfig', 'GET'], ['GET', '/Bulk', 'POST'], ['GET', '/Users/.search', 'POST'],
  ])('takes its own methods and says which: no %s of %s', async (method, path, allow) => {
    const answer = await entra.ask(method, path, method === 'GET' || method === 'DELETE' ? undefined : {})
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
    expect(answer.body).toMatchObject(refusedWith(405))
  })

  it('tells what the server can (RFC 7643 §5 to §7)', async () => {
    const config = await entra.ask('GET', '/ServiceProviderConfig')
    const supported = { supported: true }
    const told = { patch: supported, bulk: supported, filter: supported, sort: supported, etag: supported }
    expect(config.body).toMatchObject({ ...told, pagination: { cursor: true } })
    expect((await entra.ask('GET', '/Schemas')).body['totalResults']).toBe(3)
    expect((await entra.ask('GET', '/ResourceTypes/user')).body['endpoint']).toBe('/Users')
  })
})

it('refuses a filter of 20,000 levels by its own name, in a body as in an address', async () => {
  const schemas = ['urn:ietf:params:scim:api:messages:2.0:SearchRequest']
  const deep = (levels: number) => `${'('.repeat(levels)}userName pr${')'.repeat(levels)}`
  expect((await entra.ask('POST', '/Users/.search', { schemas, filter: deep(20_000) })).body).toMatchObject({ scimType: 'invalidFilter' })
  expect((await entra.ask('GET', `/Users?filter=${deep(3_000)}`)).body).toMatchObject({ scimType: 'invalidFilter' })
  expect((await entra.ask('POST', '/Users/.search', { schemas, filter: deep(2) })).status).toBe(200)
})

describe('a body', () => {
  const count = async () => (await rig.house.at.owner('select count(*)::int as n from scim."user"'))[0]!['n'] as number
  it.each<[string, string, number, string | undefined]>([
    ['no JSON', '{"userName":', 400, 'invalidSyntax'],
    ['20,000 levels', `${'['.repeat(20_000)}${']'.repeat(20_000)}`, 400, 'invalidSyntax'],
    ['10 MB', JSON.stringify(userBody('x'.repeat(10_000_000))), 413, undefined],
    ['a lone surrogate', '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"a\\ud800b"}', 400, 'invalidValue'],
  ])('of %s is refused and changes nothing', async (_name, body, status, scimType) => {
    const before = await count()
    const answer = await entra.ask('POST', '/Users', body)
    expect([answer.status, answer.body['scimType']]).toEqual([status, scimType])
    expect(await count()).toBe(before)
  })

  it('of another media type is refused unread', async () => {
    expect((await entra.ask('POST', '/Users', userBody('a'), { 'content-type': 'text/plain' })).status).toBe(415)
    expect((await entra.ask('POST', '/Users', userBody('plain@example.org'), { 'content-type': 'application/json' })).status).toBe(201)
  })

  it('with paths into prototypes and SQL changes nothing but what it names', async () => {
    const { body } = await entra.ask('POST', '/Users', userBody("o'neil%_\\@example.org"))
    for (const path of ['__proto__.polluted', 'constructor.prototype.polluted', 'userName"; drop table scim.user; --']) {
      const answer = await entra.ask('PATCH', `/Users/${body['id']}`, patchBody({ op: 'add', path, value: 'x' }))
      expect([answer.status, answer.body['scimType']]).toEqual([400, 'invalidPath'])
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    const filter = encodeURIComponent(`userName eq ${JSON.stringify(body['userName'])}`)
    expect((await entra.ask('GET', `/Users?filter=${filter}`)).body['totalResults']).toBe(1)
  })
})

describe('a PATCH that is refused (RFC 7644 §3.12)', () => {
  it.each<[scimType: string, operation: object]>([
    ['mutability', { op: 'remove', path: 'userName' }],
    ['noTarget', { op: 'remove' }],
    ['noTarget', { op: 'replace', path: 'emails[type eq "other"].value', value: 'x@example.org' }],
    ['invalidPath', { op: 'add', path: 'favouriteColour', value: 'blue' }],
    ['invalidFilter', { op: 'remove', path: 'emails[type like "x"]' }],
    ['invalidValue', { op: 'replace', path: 'active', value: 'maybe' }],
    ['invalidSyntax', { op: 'move', path: 'title', value: 'x' }],
    ['uniqueness', { op: 'replace', path: 'userName', value: 'HOLDER@refused.test' }],
  ])('says %s, and nothing of it has happened', async (scimType, operation) => {
    await entra.ask('POST', '/Users', userBody('holder@refused.test'))
    const found = await entra.ask('GET', `/Users?filter=${encodeURIComponent('userName eq "refused@refused.test"')}`)
    const id = found.body['Resources'][0]?.id ?? (await entra.ask('POST', '/Users', userBody('refused@refused.test'))).body['id']
    const before = await entra.ask('GET', `/Users/${id}`)
    const title = { op: 'replace', path: 'title', value: before.body['meta'].version }
    const answer = await entra.ask('PATCH', `/Users/${id}`, patchBody(title, operation))
    const status = scimType === 'uniqueness' ? 409 : 400
    expect(answer.status).toBe(status)
    expect(answer.body).toMatchObject({ ...refusedWith(status), scimType })
    expect((await entra.ask('GET', `/Users/${id}`)).text).toBe(before.text)
    expect((await entra.ask('PATCH', `/Users/${id}`, patchBody(title))).body['title']).toBe(title.value)
  })
})

describe('Bulk (RFC 7644 §3.7)', () => {
  const bulkUrn = 'urn:ietf:params:scim:api:messages:2.0:BulkRequest'
  it('resolves bulkIds whatever the order, and stops after as many errors as it is told', async () => {
    const Operations = [
      { method: 'POST', path: '/Groups', bulkId: 'g', data: groupBody('Bulk', ['bulkId:u']) },
      { method: 'POST', path: '/Users', bulkId: 'u', data: userBody('bulk@example.org') },
      { method: 'PATCH', path: '/Users/bulkId:u', data: patchBody({ op: 'add', path: 'title', value: 'Dr' }) },
      { method: 'POST', path: '/Users', bulkId: 'twin', data: userBody('BULK@example.org') },
    ]
    const answer = await entra.ask('POST', '/Bulk', { schemas: [bulkUrn], Operations })
    const done = answer.body['Operations'] as { status: string; location: string; response?: { scimType: string } }[]
    expect(done.map(({ status }) => status)).toEqual(['201', '201', '200', '409'])
    expect(done[3]!.response!.scimType).toBe('uniqueness')
    const made = await entra.ask('GET', `/Groups/${done[0]!.location.split('/').at(-1)}`)
    expect(made.body['members']).toMatchObject([{ value: done[1]!.location.split('/').at(-1) }])
    const after = async (failOnErrors: number) => {
      const last = { method: 'POST', path: '/Users', bulkId: 'last', data: userBody('last@example.org') }
      const sent = await entra.ask('POST', '/Bulk', { schemas: [bulkUrn], failOnErrors, Operations: [Operations[3], last] })
      const found = await entra.ask('GET', `/Users?filter=${encodeURIComponent('userName eq "last@example.org"')}`)
      return [(sent.body['Operations'] as { status: string }[]).map(({ status }) => status), found.body['totalResults']]
    }
    expect(await after(1)).toEqual([['409'], 0])
    expect(await after(2)).toEqual([['409', '201'], 1])
    const circle = await entra.ask('POST', '/Bulk', {
      schemas: [bulkUrn],
      Operations: ['a', 'b'].map((bulkId) => ({
        method: 'POST', path: '/Users', bulkId, data: userBody(`${bulkId}@circle.org`, { nickName: `bulkId:${bulkId === 'a' ? 'b' : 'a'}` }),
      })),
    })
    expect((circle.body['Operations'] as { status: string }[]).map(({ status }) => status)).toEqual(['409', '409'])
  })

  it('replaces and deletes, each at the version it names, and takes no more operations than it says', async () => {
    const { body } = await entra.ask('POST', '/Users', userBody('bulk-version@example.org'))
    const path = `/Users/${body['id']}`
    const operation = (method: string, version: string, data?: object) => ({ method, path, version, ...(data ? { data } : {}) })
    const answer = await entra.ask('POST', '/Bulk', {
      schemas: [bulkUrn],
      Operations: [
        operation('PUT', 'W/"7"', userBody('bulk-version@example.org')),
        operation('PUT', 'W/"1"', userBody('bulk-version@example.org', { title: 'Dr' })),
        operation('DELETE', 'W/"1"'),
        operation('DELETE', 'W/"2"'),
        { method: 'GET', path },
      ],
    })
    expect((answer.body['Operations'] as { status: string }[]).map(({ status }) => status)).toEqual(['412', '200', '412', '204', '400'])
    const { body: config } = await entra.ask('GET', '/ServiceProviderConfig')
    const Operations = Array.from({ length: config['bulk'].maxOperations + 1 }, () => ({ method: 'DELETE', path }))
    expect((await entra.ask('POST', '/Bulk', { schemas: [bulkUrn], Operations })).body).toMatchObject(refusedWith(413))
  })
})

it('says 429 and when to come back, to every directory of this tenant and to no other', async () => {
  const other = await rig.directory(await rig.house.tenant())
  const beside = await rig.directory(entra.tenant, 'Beside')
  expect((await beside.ask('GET', '/ResourceTypes/User')).status).toBe(200)
  const burst = () => Promise.all(Array.from({ length: 40 }, () => entra.ask('GET', '/ResourceTypes/User')))
  let answer: ScimAnswer | undefined
  // Twice what is allowed: a minute may end in the middle of it.
  for (let k = 0; k < 21 && !answer; k++) answer = (await burst()).find(({ status }) => status === 429)
  if (!answer) throw new Error('840 requests in less than two minutes were answered.')
  expect(answer.body).toMatchObject(refusedWith(429))
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await beside.ask('GET', '/ResourceTypes/User')).status).toBe(429)
  expect((await other.ask('GET', '/ResourceTypes/User')).status).toBe(200)
})
