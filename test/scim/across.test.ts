/** People and groups in one list: the server's root is asked, by GET (RFC 7644 §3.4.2.1) or by a search (§3.4.3). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { groupBody, patchBody, scimRig, userBody, type Directory, type ScimAnswer, type ScimRig } from '../kit/scim.ts'

let rig: ScimRig
let directory: Directory
const people = ['dora', 'amal', 'karim']
beforeAll(async () => {
  rig = await scimRig()
  directory = await rig.directory(await rig.house.tenant())
  const ids = []
  for (const name of people) {
    const made = await directory.ask('POST', '/Users', userBody(`${name}@root.test`, { displayName: name, externalId: `x-${name}` }))
    ids.push(String(made.body['id']))
  }
  await directory.ask('POST', '/Groups', groupBody('Beirut', ids.slice(0, 2)))
  await directory.ask('POST', '/Groups', groupBody('Everybody', ids))
  // A stranger's people are in no list of ours.
  const other = await rig.directory(await rig.house.tenant())
  await other.ask('POST', '/Users', userBody('stranger@root.test', { displayName: 'amal' }))
})
afterAll(() => rig.close())

const searchUrn = 'urn:ietf:params:scim:api:messages:2.0:SearchRequest'
const search = (asked: object) => directory.ask('POST', '/.search', { schemas: [searchUrn], ...asked })
const namesIn = ({ body }: ScimAnswer) => (body['Resources'] as { displayName: string }[]).map(({ displayName }) => displayName)

describe('a search of the root', () => {
  it('answers people and groups, each with its own attributes (RFC 7644 §3.4.3)', async () => {
    const answer = await search({ sortBy: 'displayName' })
    expect([answer.status, answer.body['totalResults'], answer.body['itemsPerPage']]).toEqual([200, 5, 5])
    expect(namesIn(answer)).toEqual(['amal', 'Beirut', 'dora', 'Everybody', 'karim'])
    const [amal, beirut] = answer.body['Resources'] as Record<string, any>[]
    expect([amal!['meta'].resourceType, amal!['userName'], amal!['groups'].length]).toEqual(['User', 'amal@root.test', 2])
    expect([beirut!['meta'].resourceType, beirut!['userName'], beirut!['members'].length]).toEqual(['Group', undefined, 2])
  })

  it('is what GET of the root answers (RFC 7644 §3.4.2.1)', async () => {
    const asked = { filter: 'displayName sw "b" or userName sw "k"', sortBy: 'displayName', sortOrder: 'descending', attributes: 'displayName' }
    const got = await directory.ask('GET', `/?${new URLSearchParams(asked)}`)
    expect(namesIn(got)).toEqual(['karim', 'Beirut'])
    expect((await search({ ...asked, attributes: ['displayName'] })).text).toBe(got.text)
  })

  // §3.4.2.1: an attribute that a kind does not have is one without a value.
  it.each<[filter: string, found: readonly string[]]>([
    ['meta.resourceType eq "Group"', ['Beirut', 'Everybody']],
    ['meta.resourceType eq "User" and displayName eq "AMAL"', ['amal']],
    ['userName pr', ['amal', 'dora', 'karim']],
    ['not (userName pr)', ['Beirut', 'Everybody']],
    ['userName eq null', ['Beirut', 'Everybody']],
    ['members pr', ['Beirut', 'Everybody']],
    ['emails[type eq "work"] or displayName eq "Beirut"', ['amal', 'Beirut', 'dora', 'karim']],
    ['userName ne "amal@root.test"', ['dora', 'karim']],
    ['externalId eq "x-dora"', ['dora']],
  ])('finds by %s', async (filter, found) => {
    const answer = await search({ filter, sortBy: 'displayName' })
    expect([answer.body['totalResults'], namesIn(answer)]).toEqual([found.length, found])
  })

  it('puts what has no value of the sorted attribute last, and first when descending (RFC 7644 §3.4.2.3)', async () => {
    expect(namesIn(await search({ sortBy: 'userName' }))).toEqual(['amal', 'dora', 'karim', 'Beirut', 'Everybody'])
    expect(namesIn(await search({ sortBy: 'userName', sortOrder: 'descending' }))).toEqual(['Beirut', 'Everybody', 'karim', 'dora', 'amal'])
  })

  it.each([{}, { sortBy: 'displayName' }])('is paged by index and by cursor without a gap or a repetition (RFC 7644 §3.4.2.4, RFC 9865): %o', async (sort) => {
    const whole = namesIn(await search(sort))
    const byIndex = [await search({ ...sort, startIndex: 1, count: 2 }), await search({ ...sort, startIndex: 3, count: 3 })]
    expect(byIndex.flatMap(namesIn)).toEqual(whole)
    const byCursor: string[] = []
    for (let cursor = ''; ; ) {
      const page: ScimAnswer = await search({ ...sort, cursor, count: 2 })
      expect(page.body['totalResults']).toBe(5)
      byCursor.push(...namesIn(page))
      if (page.body['nextCursor'] === undefined) break
      cursor = String(page.body['nextCursor'])
    }
    expect(byCursor).toEqual(whole)
    expect((await search({ ...sort, count: 0 })).body).toMatchObject({ totalResults: 5, Resources: [] })
  })

  it('refuses what no kind has, what is no search, and other methods', async () => {
    expect((await search({ filter: 'shoeSize eq "44"' })).body).toMatchObject({ status: '400', scimType: 'invalidFilter' })
    expect((await search({ sortBy: 'shoeSize' })).body).toMatchObject({ status: '400', scimType: 'invalidPath' })
    expect((await search({ filter: 'meta.location pr' })).body).toMatchObject({ status: '400', scimType: 'invalidFilter' })
    expect((await directory.ask('POST', '/.search', {})).body).toMatchObject({ status: '400', scimType: 'invalidSyntax' })
    for (const [method, path, allow] of [['GET', '/.search', 'POST'], ['DELETE', '/', 'GET']] as const) {
      const answer = await directory.ask(method, path)
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
    }
  })
})

describe('a search of one kind (RFC 7644 §3.4.3)', () => {
  it.each([
    ['/Users', ['amal', 'karim']],
    ['/Groups', ['Everybody']],
  ])('of %s answers what GET of the same question does, and of that kind alone', async (kind, names) => {
    const asked = { filter: 'displayName co "m" or displayName co "y"', sortBy: 'displayName' }
    const answer = await directory.ask('POST', `${kind}/.search`, { schemas: [searchUrn], ...asked, attributes: ['displayName'], startIndex: 1, count: 9 })
    expect([answer.status, answer.body['totalResults'], namesIn(answer)]).toEqual([200, names.length, names])
    const got = await directory.ask('GET', `${kind}?${new URLSearchParams({ ...asked, attributes: 'displayName', startIndex: '1', count: '9' })}`)
    expect(answer.text).toBe(got.text)
    expect((await directory.ask('POST', `${kind}/.search`, { schemas: [searchUrn], count: 1, startIndex: 2, excludedAttributes: ['displayName'] })).body).toMatchObject({
      itemsPerPage: 1,
      startIndex: 2,
      Resources: [expect.not.objectContaining({ displayName: expect.any(String) as string })],
    })
  })
})

describe('active taken away', () => {
  it('is not assigned (RFC 7644 §3.5.2.2), and whoever is not said to be active is not', async () => {
    const made = await directory.ask('POST', '/Users', userBody('unsaid@root.test'))
    const at = `/Users/${made.body['id']}`
    const patched = await directory.ask('PATCH', at, patchBody({ op: 'remove', path: 'active' }))
    expect([patched.status, 'active' in patched.body]).toEqual([200, false])
    const finds = async (filter: string) => (await search({ filter: `userName eq "unsaid@root.test" and ${filter}` })).body['totalResults']
    expect(await Promise.all(['active pr', 'active eq true', 'active eq false', 'active eq null'].map(finds))).toEqual([0, 0, 1, 1])
    const [row] = await rig.house.at.owner('select active from scim."user" where id = $1', [made.body['id']])
    expect(row).toEqual({ active: false })
    // A PUT that is silent about it brings nobody back; one that says so does.
    const silent = await directory.ask('PUT', at, userBody('unsaid@root.test', { title: 'Nurse' }))
    expect([silent.status, 'active' in silent.body]).toEqual([200, false])
    const said = await directory.ask('PUT', at, userBody('unsaid@root.test', { active: true }))
    expect([said.body['active'], await finds('active eq true')]).toEqual([true, 1])
  })
})
