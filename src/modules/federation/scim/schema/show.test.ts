/** RFC 7643 §5 to §8 and RFC 7644 §3.9: how resources and the discovery documents are shown. */
import { describe, expect, test } from 'vitest'
import type { ResourceName } from '../engine.ts'
import { discovery } from './discovery.ts'
import { present } from './present.ts'
import { readProjection } from './projection.ts'
import { resolve } from './resource.ts'

const user = 'urn:ietf:params:scim:schemas:core:2.0:User'
const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'
const base = 'https://x.test/scim/v2'
const at = { createdAt: new Date('2026-01-01T00:00:00Z'), updatedAt: new Date('2026-01-02T00:00:00Z'), version: 3 }

const amal = {
  ...at,
  id: 'u-1',
  attributes: {
    // As jsonb hands members out: in no order of the schema.
    [enterprise]: { manager: { value: 'm', $ref: 'r' }, department: 'D' },
    emails: [{ type: 'work', primary: true, value: 'a' }],
    name: { givenName: 'A', formatted: 'F' },
    active: true,
    userName: 'amal',
    externalId: 'e',
  },
  groups: [{ id: 'g-1', display: 'G' }],
}
const whole = present('User', amal, base)

describe('a resource', () => {
  test('is shown in the order of its schema, with what the server knows', () => {
    expect(JSON.stringify(whole)).toBe(
      JSON.stringify({
        schemas: [user, enterprise],
        id: 'u-1',
        externalId: 'e',
        userName: 'amal',
        name: { formatted: 'F', givenName: 'A' },
        active: true,
        emails: [{ value: 'a', type: 'work', primary: true }],
        groups: [{ value: 'g-1', $ref: `${base}/Groups/g-1`, display: 'G', type: 'direct' }],
        [enterprise]: { department: 'D', manager: { value: 'm', $ref: 'r' } },
        meta: {
          resourceType: 'User',
          created: '2026-01-01T00:00:00.000Z',
          lastModified: '2026-01-02T00:00:00.000Z',
          location: `${base}/Users/u-1`,
          version: 'W/"3"',
        },
      }),
    )
  })

  test('names the schemas it has values of', () => {
    expect(present('User', { ...at, id: 'u', attributes: { userName: 'a' } }, base)['schemas']).toEqual([user])
  })

  test('shows members with their type, none as an empty list, and nothing when they were not loaded', () => {
    const shown = (members?: readonly { id: string; display: string }[]) =>
      present('Group', { ...at, id: 'g', attributes: { displayName: 'G' }, ...(members ? { members } : {}) }, base)['members']
    expect(shown([{ id: 'u', display: 'U' }])).toEqual([{ value: 'u', $ref: `${base}/Users/u`, type: 'User', display: 'U' }])
    expect(shown([])).toEqual([])
    expect(shown()).toBeUndefined()
  })
})

describe('§3.9 attributes and excludedAttributes', () => {
  const names = (asked: object, resource: ResourceName = 'User') => Object.keys(readProjection(asked, resource).cut(whole))

  test.each([
    ['nothing asked shows all', {}, Object.keys(whole)],
    ['attributes show themselves and what is always shown', { attributes: 'userName' }, ['schemas', 'id', 'userName']],
    ['names have any case and blanks', { attributes: ' USERNAME , emails ' }, ['schemas', 'id', 'userName', 'emails']],
    ['names may carry their URN', { attributes: `${user}:userName` }, ['schemas', 'id', 'userName']],
    ['an extension by its URN', { attributes: enterprise }, ['schemas', 'id', enterprise]],
    ['lists, as in a search', { attributes: ['userName', 'active'] }, ['schemas', 'id', 'userName', 'active']],
    ['unknown names show nothing', { attributes: 'shoeSize,__proto__' }, ['schemas', 'id']],
    ['an empty text asks nothing', { attributes: '' }, Object.keys(whole)],
    [
      'excluded attributes are left out',
      { excludedAttributes: 'groups,emails,meta' },
      ['schemas', 'id', 'externalId', 'userName', 'name', 'active', enterprise],
    ],
    ['what is always shown cannot be left out', { excludedAttributes: 'id,schemas' }, Object.keys(whole)],
    [
      'both: the second is taken off the first',
      { attributes: 'userName,emails', excludedAttributes: 'emails' },
      ['schemas', 'id', 'userName'],
    ],
  ])('%s', (_, asked, expected) => expect(names(asked)).toEqual(expected))

  test.each([
    ['a part is shown alone', { attributes: 'name.givenName' }, 'name', { givenName: 'A' }],
    ['a part of values is shown alone', { attributes: 'emails.value' }, 'emails', [{ value: 'a' }]],
    ['a part is left out', { excludedAttributes: 'name.givenName' }, 'name', { formatted: 'F' }],
    ['a part of values is left out', { excludedAttributes: 'emails.type' }, 'emails', [{ value: 'a', primary: true }]],
    ['an attribute of an extension is shown alone', { attributes: `${enterprise}:department` }, enterprise, { department: 'D' }],
    [
      'a part in an extension is left out',
      { excludedAttributes: `${enterprise}:manager.$ref` },
      enterprise,
      { department: 'D', manager: { value: 'm' } },
    ],
    ['a part of meta', { attributes: 'meta.version' }, 'meta', { version: 'W/"3"' }],
  ])('%s', (_, asked, name, expected) => expect(readProjection(asked, 'User').cut(whole)[name]).toEqual(expected))

  test('what is not wanted need not be loaded', () => {
    expect(readProjection({ excludedAttributes: 'members' }, 'Group').wants('members')).toBe(false)
    expect(readProjection({ attributes: 'members.value' }, 'Group').wants('members')).toBe(true)
    expect(readProjection({ attributes: 'displayName' }, 'Group').wants('members')).toBe(false)
    expect(readProjection({}, 'Group').wants('members')).toBe(true)
  })

  test('201 names are refused', () => {
    expect(() => readProjection({ attributes: Array.from({ length: 201 }, () => 'userName') }, 'User')).toThrow('200')
  })
})

describe('discovery', () => {
  const limits = {
    bulkMaxOperations: 1,
    bulkMaxPayloadBytes: 2,
    filterMaxResults: 3,
    defaultPageSize: 4,
    maxPageSize: 5,
    cursorTimeoutSeconds: 6,
  }

  test('§5 the service says what it can', () => {
    expect(discovery.serviceProviderConfig(base, limits)).toMatchObject({
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
      patch: { supported: true },
      bulk: { supported: true, maxOperations: 1, maxPayloadSize: 2 },
      filter: { supported: true, maxResults: 3 },
      changePassword: { supported: false },
      sort: { supported: true },
      etag: { supported: true },
      authenticationSchemes: [{ type: 'oauthbearertoken' }],
      meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
    })
  })

  test('RFC 9865 §4 it says how pages are asked for', () => {
    expect(discovery.serviceProviderConfig(base, limits)['pagination']).toEqual({
      cursor: true,
      index: true,
      defaultPaginationMethod: 'index',
      defaultPageSize: 4,
      maxPageSize: 5,
      cursorTimeout: 6,
    })
  })

  test('§6 resource types name their schema, their extension and where they are', () => {
    expect(
      discovery.resourceTypes(base).map(({ id, endpoint, schema, schemaExtensions }) => ({ id, endpoint, schema, schemaExtensions })),
    ).toEqual([
      { id: 'User', endpoint: '/Users', schema: user, schemaExtensions: [{ schema: enterprise, required: false }] },
      { id: 'Group', endpoint: '/Groups', schema: 'urn:ietf:params:scim:schemas:core:2.0:Group', schemaExtensions: undefined },
    ])
  })

  const schemas = discovery.schemas(base)
  const described = schemas.flatMap(({ id, attributes }) =>
    (attributes as Record<string, unknown>[]).flatMap((one) => [
      [String(id), String(one['name']), one] as const,
      ...((one['subAttributes'] ?? []) as Record<string, unknown>[]).map(
        (sub) => [String(id), `${String(one['name'])}.${String(sub['name'])}`, sub] as const,
      ),
    ]),
  )

  test('§7 every schema is there', () => {
    expect(schemas.map(({ id }) => id)).toEqual([user, enterprise, 'urn:ietf:params:scim:schemas:core:2.0:Group'])
  })

  test('§4.1, §4.2, §4.3 every attribute of the core and of the enterprise is there', () => {
    const top = (id: string) =>
      (schemas.find((one) => one['id'] === id)!['attributes'] as readonly { name: string }[]).map(({ name }) => name)
    expect(top(user)).toEqual(
      (
        'userName name displayName nickName profileUrl title userType preferredLanguage locale timezone active password emails ' +
        'phoneNumbers ims photos addresses groups entitlements roles x509Certificates'
      ).split(' '),
    )
    expect(top(enterprise)).toEqual('employeeNumber costCenter organization division department manager'.split(' '))
    expect(top('urn:ietf:params:scim:schemas:core:2.0:Group')).toEqual(['displayName', 'members'])
  })

  test.each(described)('§7 %s %s has every characteristic, and can be found by its path', (id, path, one) => {
    const { type, multiValued, required, mutability, returned } = one
    expect(typeof one['description']).toBe('string')
    expect({ multiValued: typeof multiValued, required: typeof required }).toEqual({ multiValued: 'boolean', required: 'boolean' })
    expect(['readOnly', 'readWrite', 'immutable', 'writeOnly']).toContain(mutability)
    expect(['always', 'never', 'default', 'request']).toContain(returned)
    const textual = ['string', 'reference', 'binary'].includes(String(type))
    expect({ caseExact: 'caseExact' in one, uniqueness: 'uniqueness' in one }).toEqual({ caseExact: textual, uniqueness: textual })
    expect('referenceTypes' in one).toBe(type === 'reference')
    expect('subAttributes' in one).toBe(type === 'complex')
    const target = resolve(id.endsWith(':Group') ? 'Group' : 'User', `${id}:${path}`)
    expect((target?.sub ?? target?.attribute)?.name).toBe(one['name'])
  })

  test('a password is writable and never returned; what others say is read-only', () => {
    const of = (path: string) => described.find(([, name]) => name === path)![2]
    expect(of('password')).toMatchObject({ mutability: 'writeOnly', returned: 'never' })
    expect(of('groups')).toMatchObject({ mutability: 'readOnly' })
    expect(of('userName')).toMatchObject({ required: true, uniqueness: 'server', caseExact: false })
    expect(of('members.value')).toMatchObject({ mutability: 'immutable' })
  })
})
