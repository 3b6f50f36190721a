/** Users over HTTP against the running server (RFC 7644 §3.3 to §3.6, §3.14). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Attribute } from '../../src/modules/federation/scim/schema/attribute.ts'
import { enterpriseAttributes, enterpriseUrn, userAttributes } from '../../src/modules/federation/scim/schema/user-schema.ts'
import { groupBody, groupUrn, patchBody, scimRig, userBody, userUrn, type Directory, type ScimAnswer, type ScimRig } from '../kit/scim.ts'

let rig: ScimRig
let entra: Directory
beforeAll(async () => {
  rig = await scimRig()
  entra = await rig.directory(await rig.house.tenant())
})
afterAll(() => rig.close())

let count = 0
const name = () => `person${String(++count).padStart(3, '0')}@example.org`
const create = async (directory = entra, userName = name(), more = {}) => {
  const made = await directory.ask('POST', '/Users', userBody(userName, more))
  expect(made.status).toBe(201)
  return made
}

describe('creating a user', () => {
  it('answers 201 with the resource, its location and its version (RFC 7644 §3.3)', async () => {
    const made = await create(entra, 'amal@example.org', { name: { givenName: 'Amal', familyName: 'Haddad' }, externalId: 'x-1' })
    expect(made.headers.get('content-type')).toBe('application/scim+json; charset=utf-8')
    expect(made.headers.get('location')).toBe(`${rig.house.url}/scim/v2/Users/${made.body['id']}`)
    expect(made.headers.get('etag')).toBe('W/"1"')
    expect(made.body).toMatchObject({
      schemas: [userUrn],
      userName: 'amal@example.org',
      externalId: 'x-1',
      active: true,
      meta: { resourceType: 'User', version: 'W/"1"', location: made.headers.get('location') },
    })
    const read = await entra.ask('GET', `/Users/${made.body['id']}`)
    expect(read.status).toBe(200)
    expect(read.text).toBe(made.text)
  })

  it.each([0, 1, 4, 5])('is found by each of %i e-mails and telephones, and by none that is not among them', async (many) => {
    const mine = (kind: string, k: number) => ({ value: `${kind}${k}.of${many}@values.test`, type: 'work' })
    const kinds = ['emails', 'phoneNumbers'] as const
    const lists = kinds.map((kind, nth) => [kind, Array.from({ length: Math.ceil((many - nth) / 2) }, (_, k) => mine(kind, k))] as const)
    const made = await create(entra, name(), Object.fromEntries(lists))
    const ids = async (kind: string, value: string) => {
      const found = await entra.ask('GET', `/Users?filter=${encodeURIComponent(`${kind}.value eq "${value.toUpperCase()}"`)}`)
      return (found.body['Resources'] as { id: string }[]).map(({ id }) => id)
    }
    expect(lists.flatMap(([, list]) => list)).toHaveLength(many)
    for (const [kind, list] of lists) {
      for (const { value } of list) expect(await ids(kind, value)).toEqual([made.body['id']])
      expect(await ids(kind, mine(kind, list.length).value)).toEqual([])
    }
  })

  it('answers exactly one 201 to twenty at once, whatever the case of the letters (RFC 7643 §2.2)', async () => {
    const spellings = Array.from({ length: 20 }, (_, k) => (k % 2 === 0 ? 'twin@example.org' : 'TWIN@Example.ORG'))
    const answers = await Promise.all(spellings.map((userName) => entra.ask('POST', '/Users', userBody(userName))))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 19 }, () => 409)])
    expect(answers.find(({ status }) => status === 409)!.body).toMatchObject({ status: '409', scimType: 'uniqueness' })
  })

  it('gives a deleted name away again; an inactive one answers 409', async () => {
    const made = await create(entra, 'again@example.org')
    await entra.ask('PATCH', `/Users/${made.body['id']}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'replace', value: { active: false } }],
    })
    expect((await entra.ask('POST', '/Users', userBody('again@example.org'))).status).toBe(409)
    expect((await entra.ask('DELETE', `/Users/${made.body['id']}`)).status).toBe(204)
    expect((await entra.ask('POST', '/Users', userBody('again@example.org'))).status).toBe(201)
  })
})

describe('every attribute of the core and of the enterprise (RFC 7643 §4.1, §4.3)', () => {
  /** A value that the schema allows; undefined for what only the server says, and for a password. */
  const sampleOf = (one: Attribute, place: string): unknown => {
    if (one.mutability === 'readOnly' || one.returned === 'never') return undefined
    if (!one.subAttributes) {
      if (one.type === 'boolean') return true
      return one.type === 'binary' ? 'QUJD' : one.type === 'reference' ? `https://x.test/${place}` : `A ${place}`
    }
    const parts = one.subAttributes.map((part) => [part.name, sampleOf(part, `${place}.${part.name}`)] as const)
    const value = Object.fromEntries(parts.filter(([, sample]) => sample !== undefined))
    return one.multiValued ? [value] : value
  }
  const samplesOf = (attributes: readonly Attribute[]) =>
    Object.fromEntries(attributes.map((one) => [one.name, sampleOf(one, one.name)]).filter(([, sample]) => sample !== undefined))

  it('is held, shown and found again: by POST, GET and PUT the same, and by a PATCH of each', async () => {
    const enterprise = samplesOf(enterpriseAttributes)
    const whole = { schemas: [userUrn, enterpriseUrn], externalId: 'whole', ...samplesOf(userAttributes), [enterpriseUrn]: enterprise }
    expect(Object.keys(whole).length + Object.keys(enterprise).length).toBeGreaterThan(25)
    const bare = ({ body }: Pick<ScimAnswer, 'body'>) => {
      const { id: _, meta: __, ...rest } = body
      return rest
    }
    const made = await entra.ask('POST', '/Users', whole)
    expect(made.status).toBe(201)
    const path = `/Users/${made.body['id']}`
    expect(bare(made)).toEqual(whole)
    expect(bare(await entra.ask('GET', path))).toEqual(whole)
    expect(bare(await entra.ask('PUT', path, whole))).toEqual(whole)
    const { schemas: _, userName, ...others } = whole as Record<string, unknown>
    const slim = await create(entra, `${String(userName)} again`)
    const patched = await entra.ask('PATCH', `/Users/${slim.body['id']}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'replace', value: { ...others, externalId: 'again' } }],
    })
    expect(bare(patched)).toEqual({ ...whole, userName: `${String(userName)} again`, externalId: 'again' })
    for (const filter of [`${enterpriseUrn}:costCenter eq "a COSTCENTER"`, 'timezone eq "A timezone" and ims.value sw "a ims"']) {
      expect((await entra.ask('GET', `/Users?filter=${encodeURIComponent(filter)}`)).body['totalResults']).toBe(2)
    }
  })
})

describe('conditions (RFC 7644 §3.14)', () => {
  it.each(['Users', 'Groups'])('answers 304 to a reader of %s who has the version, and the resource to one who has another', async (kind) => {
    const path = `/${kind}/${(await entra.ask('POST', `/${kind}`, kind === 'Users' ? userBody(name()) : groupBody(name()))).body['id']}`
    const whole = await entra.ask('GET', path)
    const read = (tag: string) => entra.ask('GET', path, undefined, { 'if-none-match': tag })
    for (const tag of ['W/"1"', '"1"', 'W/"4", W/"1"', '*']) {
      const known = await read(tag)
      expect([known.status, known.text, known.headers.get('etag')], tag).toEqual([304, '', 'W/"1"'])
    }
    for (const tag of ['W/"2"', '"11"']) expect([(await read(tag)).status, (await read(tag)).text], tag).toEqual([200, whole.text])
    // Once it has changed, the version of before is another.
    await entra.ask('PATCH', path, patchBody({ op: 'replace', path: 'externalId', value: path }))
    expect([(await read('W/"1"')).status, (await read('W/"2"')).status]).toEqual([200, 304])
  })

  it('answers 412 to a writer who has an older version', async () => {
    const { body } = await create()
    const path = `/Users/${body['id']}`
    const put = (ifMatch: string) => entra.ask('PUT', path, userBody(body['userName'], { title: ifMatch }), { 'if-match': ifMatch })
    expect((await put('W/"7"')).status).toBe(412)
    const changed = await put('W/"1"')
    expect(changed.status).toBe(200)
    expect(changed.headers.get('etag')).toBe('W/"2"')
    expect((await entra.ask('DELETE', path, undefined, { 'if-match': 'W/"1"' })).status).toBe(412)
    expect((await entra.ask('DELETE', path, undefined, { 'if-match': 'W/"2"' })).status).toBe(204)
  })
})

describe('a version that is old by now (RFC 7644 §3.14)', () => {
  const bodies = { Users: () => userBody(name()), Groups: () => ({ schemas: [groupUrn], displayName: name() }) }
  const title = { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: [{ op: 'replace', value: { externalId: 'new' } }] }
  it.each([
    ['PUT', 'Users', 'W/"1"', 200], ['PATCH', 'Users', '"1"', 200], ['DELETE', 'Users', '*', 204],
    ['PUT', 'Groups', '"5", W/"1"', 200], ['PATCH', 'Groups', '*', 204], ['DELETE', 'Groups', 'W/"1"', 204],
  ] as const)('refuses a %s of %s with 412 and changes nothing; %s is the version of now', async (method, kind, good, status) => {
    const body = bodies[kind]()
    const path = `/${kind}/${(await entra.ask('POST', `/${kind}`, body)).body['id']}`
    const sent = method === 'PUT' ? { ...body, externalId: path } : method === 'PATCH' ? title : undefined
    const send = (ifMatch: string) => entra.ask(method, path, sent, { 'if-match': ifMatch })
    const before = (await entra.ask('GET', path)).text
    expect((await send('W/"2", "3"')).status).toBe(412)
    expect((await entra.ask('GET', path)).text).toBe(before)
    expect((await send(good)).status).toBe(status)
  })
})

describe('another tenant or another connection', () => {
  it("knows none of this one's users and groups, by whatever method", async () => {
    const { body } = await create()
    const path = `/Users/${body['id']}`
    const ward = groupBody('Ward', [body['id']])
    const group = `/Groups/${(await entra.ask('POST', '/Groups', ward)).body['id']}`
    const stolen = patchBody({ op: 'replace', path: 'externalId', value: 'stolen' })
    const whole = async () => [(await entra.ask('GET', path)).text, (await entra.ask('GET', group)).text]
    const before = await whole()
    const abroad = await rig.directory(await rig.house.tenant())
    const neighbour = await rig.directory(entra.tenant, 'Second')
    for (const stranger of [abroad, neighbour]) {
      expect((await stranger.ask('GET', path)).status).toBe(404)
      expect((await stranger.ask('PUT', path, userBody(body['userName']))).status).toBe(404)
      expect((await stranger.ask('DELETE', path)).status).toBe(404)
      expect((await stranger.ask('PATCH', path, stolen)).status).toBe(404)
      for (const [method, sent] of [['GET'], ['PUT', groupBody('Ward')], ['PATCH', stolen], ['DELETE']] as const) {
        expect([method, (await stranger.ask(method, group, sent)).status]).toEqual([method, 404])
      }
      expect((await stranger.ask('GET', '/Groups')).body['totalResults']).toBe(0)
      expect((await stranger.ask('GET', `/Users?filter=userName eq "${body['userName']}"`)).body['totalResults']).toBe(0)
      expect((await stranger.ask('POST', '/Users', userBody(body['userName']))).status).toBe(201)
    }
    expect(await whole()).toEqual(before)
    expect((await entra.ask('PATCH', group, stolen)).status).toBe(204)
  })
})

describe('what is shown (RFC 7644 §3.9)', () => {
  it('is cut to what is asked for, in a list as in an answer to a write; id and schemas always stay', async () => {
    const more = { title: 'Dr', name: { givenName: 'Amal', familyName: 'Haddad' }, password: 'never shown again' }
    const made = await entra.ask('POST', '/Users?attributes=name.givenName', userBody('cut@example.org', more))
    expect(made.body).toEqual({ schemas: [userUrn], id: made.body['id'], name: { givenName: 'Amal' } })
    const path = `/Users/${made.body['id']}`
    const without = (await entra.ask('GET', `${path}?excludedAttributes=name,emails,meta,id`)).body
    expect(Object.keys(without).toSorted()).toEqual(['active', 'id', 'schemas', 'title', 'userName'])
    const filter = encodeURIComponent('userName eq "cut@example.org"')
    expect((await entra.ask('GET', `/Users?filter=${filter}&attributes=USERNAME`)).body['Resources']).toEqual([
      { schemas: [userUrn], id: made.body['id'], userName: 'cut@example.org' },
    ])
    expect((await entra.ask('GET', `${path}?attributes=password,__proto__,nothing`)).body).toEqual({ schemas: [userUrn], id: made.body['id'] })
  })
})

describe('paging', () => {
  it('goes by index from 1 and says how many there are (RFC 7644 §3.4.2.4)', async () => {
    const mine = await rig.directory(await rig.house.tenant())
    for (let k = 0; k < 5; k++) await create(mine)
    const page = await mine.ask('GET', '/Users?startIndex=4&count=10')
    expect(page.body).toMatchObject({ totalResults: 5, itemsPerPage: 2, startIndex: 4 })
    expect((await mine.ask('GET', '/Users?startIndex=0&count=0')).body).toMatchObject({ totalResults: 5, itemsPerPage: 0, Resources: [] })
    expect((await mine.ask('GET', '/Users?count=many')).body).toMatchObject({ status: '400', scimType: 'invalidValue' })
  })

  it('goes by cursor through everybody once, sorted or not (RFC 9865)', async () => {
    const mine = await rig.directory(await rig.house.tenant())
    const all: string[] = []
    for (let k = 0; k < 5; k++) all.push(String((await create(mine)).body['id']))
    for (const sort of ['', '&sortBy=userName&sortOrder=descending']) {
      const seen: string[] = []
      let cursor: string | undefined = ''
      while (cursor !== undefined) {
        const page = await mine.ask('GET', `/Users?count=2&cursor=${cursor}${sort}`)
        expect(page.body['totalResults']).toBe(5)
        seen.push(...(page.body['Resources'] as { id: string }[]).map(({ id }) => id))
        cursor = page.body['nextCursor'] as string | undefined
      }
      expect(seen.toSorted()).toEqual(all.toSorted())
      // Names were given in rising order.
      if (sort !== '') expect(seen).toEqual(all.toReversed())
    }
    const ascending = await mine.ask('GET', '/Users?sortBy=userName')
    expect((ascending.body['Resources'] as { id: string }[]).map(({ id }) => id)).toEqual(all)
    const { body } = await mine.ask('GET', '/Users?count=2&cursor=')
    const elsewhere = await mine.ask('GET', `/Users?count=2&cursor=${body['nextCursor']}&filter=active eq true`)
    expect(elsewhere.body).toMatchObject({ status: '400', scimType: 'invalidCursor' })
    expect((await mine.ask('GET', '/Users?cursor=nonsense')).body).toMatchObject({ scimType: 'invalidCursor' })
    expect((await mine.ask('GET', '/Users?cursor=&count=0')).body).toMatchObject({ scimType: 'invalidCount' })
  })
})
