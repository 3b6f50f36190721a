/** RFC 7643 §2 and §3, RFC 7644 §3.3 and §3.5.1: what of a body is stored, and what is refused. */
import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { Fault } from '../../../../kernel/fault.ts'
import { scimTypeOf } from './faults.ts'
import { foldText } from './fold.ts'
import { readJson } from './json.ts'
import { readGroup } from './read-group.ts'
import { readUser } from './read-user.ts'

const user = 'urn:ietf:params:scim:schemas:core:2.0:User'
const group = 'urn:ietf:params:scim:schemas:core:2.0:Group'
const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'
const member = '00000000-0000-7000-8000-000000000001'

const read = (body: object) => readUser({ schemas: [user], userName: 'amal', ...body })
const stored = (body: object) => read(body).attributes

function code(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof Fault) return scimTypeOf(error) ?? error.code
    throw error
  }
  return 'accepted'
}

describe('§2.1 names', () => {
  test('have any case and are stored in the schema’s', () => {
    expect(stored({ DISPLAYNAME: 'A', Name: { GIVENNAME: 'B' }, [enterprise.toUpperCase()]: { Department: 'C' } })).toEqual({
      userName: 'amal',
      active: true,
      displayName: 'A',
      name: { givenName: 'B' },
      [enterprise]: { department: 'C' },
    })
  })

  test.each([
    ['an attribute', { displayName: 'a', DisplayName: 'b' }],
    ['a part', { name: { givenName: 'a', GivenName: 'b' } }],
    ['an extension', { [enterprise]: { department: 'a' }, [enterprise.toUpperCase()]: { department: 'b' } }],
  ])('%s in two spellings is refused: nobody may guess which counts', (_, body) => expect(code(() => read(body))).toBe('invalidSyntax'))

  test('that no schema knows are left behind, and leave objects as they are', () => {
    const body = JSON.parse(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"shoeSize":9,"name":{"__proto__":{"polluted":true}}}',
    )
    expect(stored(body)).toEqual({ userName: 'amal', active: true })
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})

describe('§2.5 null and unassigned', () => {
  test.each([
    ['null', { title: null }],
    ['an empty list', { emails: [] }],
    ['an object of nothing', { name: {} }],
    ['an object of nulls', { name: { givenName: null } }],
    ['a list of nothing', { emails: [null, {}] }],
    ['an extension of nothing', { [enterprise]: {} }],
    ['a null extension', { [enterprise]: null }],
    ['an empty externalId', { externalId: '' }],
  ])('%s is not stored', (_, body) => expect(stored(body)).toEqual({ userName: 'amal', active: true }))
})

describe('§2.2 mutability', () => {
  test('what only the server says is passed over', () => {
    const body = {
      id: 'x',
      meta: { created: 'yesterday' },
      groups: [{ value: 'g' }],
      [enterprise]: { manager: { value: 'm', displayName: 'M' } },
    }
    expect(stored(body)).toEqual({ userName: 'amal', active: true, [enterprise]: { manager: { value: 'm' } } })
  })

  test('a password is checked and never stored', () => {
    expect(JSON.stringify(read({ password: 'correct horse' }))).not.toContain('correct horse')
    expect(code(() => read({ password: 5 }))).toBe('invalidValue')
  })
})

describe('values', () => {
  test.each([
    ['true as text', { active: 'True' }, { active: true }],
    ['false as text', { active: 'false' }, { active: false }],
    ['one value without its list', { emails: { value: 'a' } }, { emails: [{ value: 'a' }] }],
    ['text for an object with a value', { emails: ['a'] }, { emails: [{ value: 'a' }] }],
    ['equal values once', { emails: [{ value: 'a' }, { value: 'a' }] }, { emails: [{ value: 'a' }] }],
    ['a primary as text', { emails: [{ value: 'a', primary: 'True' }] }, { emails: [{ value: 'a', primary: true }] }],
    ['line breaks', { addresses: [{ formatted: 'a\r\nb' }] }, { addresses: [{ formatted: 'a\r\nb' }] }],
    ['empty text', { title: '' }, { title: '' }],
    ['blanks around text: stored as sent', { title: ' a ' }, { title: ' a ' }],
    ['joined and lone marks of every script', { displayName: 'نور ‌👩🏽‍⚕️ é' }, { displayName: 'نور ‌👩🏽‍⚕️ é' }],
    ['a manager as text', { [enterprise]: { manager: 'm' } }, { [enterprise]: { manager: { value: 'm' } } }],
    ['a manager as empty text', { [enterprise]: { manager: '', division: 'd' } }, { [enterprise]: { division: 'd' } }],
    ['a certificate', { x509Certificates: [{ value: 'QUJD' }] }, { x509Certificates: [{ value: 'QUJD' }] }],
  ])('%s', (_, body, expected) => expect(stored(body)).toEqual({ userName: 'amal', active: true, ...expected }))

  test.each([
    ['a number for text', { title: 5 }],
    ['an object for text', { title: { value: 'x' } }],
    ['a list for text', { title: ['x'] }],
    ['text for an object without a value', { name: 'Amal' }],
    ['a number for an object', { name: 5 }],
    ['a number among values', { emails: [5] }],
    ['a list among values', { emails: [['a']] }],
    ['a word for a boolean', { active: 'yes' }],
    ['a number for a boolean', { active: 1 }],
    ['text for an extension', { [enterprise]: 'x' }],
    [
      'two primaries',
      {
        emails: [
          { value: 'a', primary: true },
          { value: 'b', primary: true },
        ],
      },
    ],
    ['what is no base64', { x509Certificates: [{ value: '<>' }] }],
    ['NUL', { title: 'a\0' }],
    ['a high surrogate alone', { title: '\ud83d' }],
    ['a low surrogate alone', { name: { givenName: '\ude00' } }],
    ['4,097 characters', { title: 'x'.repeat(4097) }],
    ['101 values', { emails: Array.from({ length: 101 }, (_, n) => ({ value: `${n}` })) }],
    ['an e-mail too long for an index', { emails: [{ value: 'x'.repeat(1025) }] }],
    ['an externalId too long for an index', { externalId: 'x'.repeat(1025) }],
    ['no userName', { userName: undefined }],
    ['a null userName', { userName: null }],
    ['a blank userName', { userName: '  ' }],
  ])('refused: %s', (_, body) => {
    expect(code(() => read(body))).toBe('invalidValue')
    expect(code(() => read({}))).toBe('accepted')
  })

  test.each([
    ['a list', []],
    ['text', 'x'],
    ['null', null],
    ['no schemas', { userName: 'a' }],
    ['schemas as text', { schemas: user, userName: 'a' }],
    ['schemas of another resource', { schemas: [group], userName: 'a' }],
    ['schemas of numbers', { schemas: [user, 5], userName: 'a' }],
    ['21 schemas', { schemas: Array.from({ length: 21 }, () => user), userName: 'a' }],
  ])('a body that is %s is refused', (_, body) => expect(code(() => readUser(body))).toBe('invalidSyntax'))

  test('no refusal repeats what was sent', () => {
    for (const body of [{ title: ['Mrs. Secret'] }, { active: 'Mrs. Secret' }, { name: 'Mrs. Secret' }]) {
      expect(() => read(body)).toThrow(/^(?!.*Secret)/)
    }
  })
})

describe('active', () => {
  test('is true for a new user, and stays as it is when a replacement leaves it out', () => {
    expect(read({}).active).toBe(true)
    expect(readUser({ schemas: [user], userName: 'a' }, { userName: 'a', active: false }).active).toBe(false)
    expect(readUser({ schemas: [user], userName: 'a', active: null }, { userName: 'a', active: false }).active).toBe(false)
    expect(readUser({ schemas: [user], userName: 'a', active: true }, { userName: 'a', active: false }).active).toBe(true)
    expect(readUser({ schemas: [user], userName: 'a' }, { userName: 'a' })).toMatchObject({ active: false, attributes: { userName: 'a' } })
  })
})

describe('columns', () => {
  test('fold what the schema says has no case, and keep what has', () => {
    const { userNameKey, externalId, search, values } = read({
      userName: 'AMAL',
      externalId: 'E',
      emails: [{ value: 'A@X' }, { value: 'a@x', type: 'work' }],
    })
    expect({ userNameKey, externalId }).toEqual({ userNameKey: 'amal', externalId: 'E' })
    expect(search).toEqual({ userName: 'amal', externalId: 'E', active: true, emails: [{ value: 'a@x' }, { value: 'a@x', type: 'work' }] })
    // Two values with one key are one row.
    expect(values).toEqual([{ path: 'emails.value', key: 'a@x' }])
  })

  test('folding twice is folding once, and case never tells two keys apart', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const once = foldText(text)
        expect(foldText(once)).toBe(once)
        expect(foldText(text.toUpperCase())).toBe(once)
      }),
      { numRuns: 500, seed: 5 },
    )
  })
})

describe('groups', () => {
  const body = (more: object) => ({ schemas: [group], displayName: 'Ward', ...more })

  test('members are ids once, whatever else they carry; left out is not none', () => {
    expect(readGroup(body({})).members).toBeNull()
    expect(readGroup(body({ members: null })).members).toBeNull()
    expect(readGroup(body({ members: [] })).members).toEqual([])
    const members = [
      { value: member, display: 'A', $ref: null },
      { value: member.toUpperCase(), type: 'user' },
    ]
    const { columns, members: ids } = readGroup(body({ members }))
    expect(ids).toEqual([member])
    expect(columns.attributes).toEqual({ displayName: 'Ward' })
  })

  test.each([
    ['no displayName', { displayName: null }, 'invalidValue'],
    ['a member that can be none of ours', { members: [{ value: 'u1' }] }, 'SCIM_NO_SUCH_MEMBER'],
    ['a group as a member', { members: [{ value: member, type: 'Group' }] }, 'invalidValue'],
    ['a member of text', { members: [member] }, 'invalidValue'],
    ['a member without a value', { members: [{}] }, 'invalidValue'],
    ['members twice', { members: [], MEMBERS: [] }, 'invalidSyntax'],
  ])('refused: %s', (_, more, expected) => expect(code(() => readGroup(body(more)))).toBe(expected))
})

describe('bodies as text', () => {
  test.each([
    ['32 levels', '['.repeat(32) + ']'.repeat(32), 'accepted'],
    ['33 levels', '['.repeat(33) + ']'.repeat(33), 'invalidSyntax'],
    ['20,000 levels', '['.repeat(20_000) + ']'.repeat(20_000), 'invalidSyntax'],
    ['20,000 levels left open', '{"a":'.repeat(20_000), 'invalidSyntax'],
    ['10 MB of brackets', '['.repeat(10_000_000), 'invalidSyntax'],
    ['10 MB of text', JSON.stringify({ a: 'x'.repeat(10_000_000) }), 'accepted'],
    ['brackets inside text', JSON.stringify('[{'.repeat(100) + '\\"['), 'accepted'],
    ['nothing', '', 'invalidSyntax'],
    ['half an object', '{"a":', 'invalidSyntax'],
    ['NaN', 'NaN', 'invalidSyntax'],
  ])('%s', (_, text, expected) => expect(code(() => readJson(text))).toBe(expected))
})
