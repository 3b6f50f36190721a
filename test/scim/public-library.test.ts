/**
 * A public SCIM library (scimmy, made for those who send SCIM as for those who receive it) beside us: it writes the messages that we are
 * sent, reads every document that we answer by schemas of its own, and says the same of a PATCH.
 */
import SCIMMY from 'scimmy'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { enterpriseUrn } from './dialects/scenario.ts'
import { groupUrn, scimRig, userBody, userUrn, type Directory, type ScimAnswer, type ScimRig } from '../kit/scim.ts'

let rig: ScimRig
let directory: Directory
beforeAll(async () => {
  rig = await scimRig()
  directory = await rig.directory(await rig.house.tenant())
  SCIMMY.Schemas.User.definition.extend(SCIMMY.Schemas.EnterpriseUser.definition, false)
})
afterAll(() => rig.close())

/** A message as the library writes it. */
const said = (message: object): unknown => JSON.parse(JSON.stringify(message))
/** A resource as the library understands it; it throws for what its schema does not know. */
const read = (schema: typeof SCIMMY.Schemas.User | typeof SCIMMY.Schemas.Group, { body }: Pick<ScimAnswer, 'body'>) =>
  said(new schema({ ...body }, 'both')) as Record<string, unknown>

const full = {
  externalId: 'hr-1',
  name: { givenName: 'Amal', familyName: 'Haddad', honorificPrefix: 'Dr' },
  displayName: 'Amal Haddad',
  title: 'Physician',
  preferredLanguage: 'ar-LB',
  active: true,
  phoneNumbers: [{ value: 'tel:+961-1-555555', type: 'work' }],
  addresses: [{ type: 'work', locality: 'Beirut', country: 'LB', primary: true }],
  [enterpriseUrn]: { employeeNumber: '17', department: 'Cardiology', manager: { value: 'hr-0' } },
}

describe('what we answer', () => {
  it('is a User, a Group, a list and an error as the library reads them', async () => {
    const made = await directory.ask('POST', '/Users', userBody('amal@library.test', full))
    expect(made.status).toBe(201)
    expect(read(SCIMMY.Schemas.User, made)).toMatchObject({ userName: 'amal@library.test', title: 'Physician', name: full.name })
    const doctors = { schemas: [groupUrn], displayName: 'Doctors', members: [{ value: made.body['id'] }] }
    const group = await directory.ask('POST', '/Groups', said(new SCIMMY.Schemas.Group(doctors)))
    expect(read(SCIMMY.Schemas.Group, group)).toMatchObject({ displayName: 'Doctors', members: [{ value: made.body['id'] }] })

    const listed = await directory.ask('GET', '/Users?count=10')
    const list = new SCIMMY.Messages.ListResponse(listed.body as never)
    expect([list.totalResults, list.startIndex, list.Resources.length]).toEqual([1, 1, 1])
    const refused = await directory.ask('POST', '/Users', userBody('AMAL@library.test'))
    // The library throws an error that it was answered, as its own kind.
    const thrown = () => new SCIMMY.Messages.ErrorResponse(refused.body as never)
    expect(thrown).toThrow(expect.objectContaining({ status: '409', scimType: 'uniqueness' }))
  })

  it('names every attribute of its schemas, of the same type and number', async () => {
    for (const schema of [SCIMMY.Schemas.User, SCIMMY.Schemas.Group, SCIMMY.Schemas.EnterpriseUser]) {
      const theirs = said(schema.definition.describe()) as { id: string; attributes: { name: string; type: string; multiValued: boolean }[] }
      const ours = await directory.ask('GET', `/Schemas/${theirs.id}`)
      const shape = (all: typeof theirs.attributes) => new Map(all.map(({ name, type, multiValued }) => [name, `${type} ${multiValued}`]))
      const known = shape(ours.body['attributes'] as typeof theirs.attributes)
      for (const [name, kind] of shape(theirs.attributes)) expect([theirs.id, name, known.get(name)]).toEqual([theirs.id, name, kind])
    }
  })
})

describe('what the library sends', () => {
  it('searches, and finds by a filter that it wrote', async () => {
    const filter = new SCIMMY.Types.Filter('userName eq "amal@library.test" and active eq true').expression
    const search = new SCIMMY.Messages.SearchRequest().prepare({ filter, attributes: ['userName'], count: 5 })
    const answer = await directory.ask('POST', '/Users/.search', said(search))
    expect(answer.body['Resources']).toMatchObject([{ userName: 'amal@library.test' }])
  })

  it('patches, and the result is what the library makes of it', async () => {
    const made = await directory.ask('POST', '/Users', userBody('patched@library.test', { ...full, externalId: 'hr-2' }))
    const Operations = [
      { op: 'replace', path: 'title', value: 'Head of department' },
      { op: 'add', path: 'nickName', value: 'Amal' },
      { op: 'remove', path: 'phoneNumbers[type eq "work"]' },
      { op: 'add', path: 'emails', value: [{ value: 'private@library.test', type: 'home' }] },
      { op: 'replace', path: 'name.familyName', value: 'Saleh' },
    ]
    const message = new SCIMMY.Messages.PatchOp({ schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations } as never)
    const patched = await directory.ask('PATCH', `/Users/${made.body['id']}`, said(message))
    expect(patched.status).toBe(200)
    const before = new SCIMMY.Schemas.User({ ...made.body }, 'both')
    const theirs = said(await message.apply(before as never, ((one: object) => one) as never)) as Record<string, unknown>
    const ours = read(SCIMMY.Schemas.User, patched)
    for (const one of [theirs, ours]) for (const name of ['schemas', 'meta', 'groups']) delete one[name]
    expect(ours).toEqual(theirs)
  })

  it('makes many at once', async () => {
    const data = (name: string) => ({ schemas: [userUrn], userName: `${name}@library.test` })
    const Operations = ['one', 'two'].map((name) => ({ method: 'POST', path: '/Users', bulkId: name, data: data(name) }))
    const bulk = new SCIMMY.Messages.BulkRequest({ schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'], Operations } as never)
    const answer = await directory.ask('POST', '/Bulk', said(bulk))
    const response = new SCIMMY.Messages.BulkResponse(answer.body as never)
    expect((response.Operations as unknown as { status: string }[]).map(({ status }) => status)).toEqual(['201', '201'])
  })
})
