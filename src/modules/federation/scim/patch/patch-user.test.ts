/** RFC 7644 §3.5.2 on users: what every operation does to every kind of attribute, and what it refuses. */
import { describe, expect, test } from 'vitest'
import type { AttributeMap } from '../engine.ts'
import { Fault } from '../../../../kernel/fault.ts'
import { scimTypeOf } from '../schema/faults.ts'
import { patchUser } from './patch-user.ts'

const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'
const core = 'urn:ietf:params:scim:schemas:core:2.0:User'
const work = { value: 'amal@example.test', type: 'work', primary: true }
const home = { value: 'amal.home@example.test', type: 'home' }
const office = { streetAddress: '1 Nile Street', locality: 'Cairo', type: 'work' }
const amal: AttributeMap = {
  userName: 'amal',
  active: true,
  displayName: 'Amal',
  name: { givenName: 'Amal', familyName: 'Nasser' },
  emails: [work, home],
  addresses: [office],
  [enterprise]: { department: 'Ward 3', manager: { value: 'm-1', $ref: '../Users/m-1' } },
}

const message = (...operations: unknown[]) => ({ schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: operations })
const after = (...operations: unknown[]) => patchUser(amal, message(...operations)).columns.attributes

function refusal(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof Fault) return scimTypeOf(error)
    throw error
  }
  return 'accepted'
}

type Case = readonly [law: string, operation: unknown, changed: Readonly<Record<string, unknown>>]

/** What differs from Amal afterwards; undefined: gone. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  '§3.5.2.1 add': [
    ['a single value is set', { op: 'add', path: 'title', value: 'Nurse' }, { title: 'Nurse' }],
    ['a single value is replaced', { op: 'add', path: 'displayName', value: 'A.' }, { displayName: 'A.' }],
    [
      'a part of a complex value is set',
      { op: 'add', path: 'name.middleName', value: 'B' },
      { name: { ...(amal['name'] as object), middleName: 'B' } },
    ],
    [
      'parts of a complex value are merged',
      { op: 'add', path: 'name', value: { givenName: 'A', honorificPrefix: 'Dr.' } },
      { name: { givenName: 'A', familyName: 'Nasser', honorificPrefix: 'Dr.' } },
    ],
    [
      'values are added to a list',
      { op: 'add', path: 'phoneNumbers', value: [{ value: '1' }, { value: '2' }] },
      { phoneNumbers: [{ value: '1' }, { value: '2' }] },
    ],
    ['a value alone is added to a list', { op: 'add', path: 'phoneNumbers', value: { value: '1' } }, { phoneNumbers: [{ value: '1' }] }],
    ['a value that is there is not added again', { op: 'add', path: 'emails', value: [home] }, {}],
    [
      'a value that is there in another case is renewed, not doubled',
      { op: 'add', path: 'emails', value: [{ ...home, value: 'AMAL.home@example.test' }] },
      { emails: [work, { ...home, value: 'AMAL.home@example.test' }] },
    ],
    [
      'without a path, every attribute of the value is added',
      { op: 'add', value: { title: 'Nurse', nickName: 'A' } },
      { title: 'Nurse', nickName: 'A' },
    ],
    [
      'an attribute of an extension is set by its URN',
      { op: 'add', path: `${enterprise}:division`, value: 'East' },
      { [enterprise]: { ...(amal[enterprise] as object), division: 'East' } },
    ],
    [
      'an extension is merged by its URN',
      { op: 'add', path: enterprise, value: { division: 'East' } },
      { [enterprise]: { ...(amal[enterprise] as object), division: 'East' } },
    ],
    ['an attribute may carry the URN of the core', { op: 'add', path: `${core}:title`, value: 'Nurse' }, { title: 'Nurse' }],
    ['the URN of the core is the resource itself', { op: 'add', path: core, value: { title: 'Nurse' } }, { title: 'Nurse' }],
    [
      'a filter that matches nothing makes what it describes',
      { op: 'add', path: 'phoneNumbers[type eq "work"].value', value: '1' },
      { phoneNumbers: [{ type: 'work', value: '1' }] },
    ],
    [
      'a filter of two parts makes both',
      { op: 'add', path: 'phoneNumbers[type eq "work" and primary eq true].value', value: '1' },
      { phoneNumbers: [{ type: 'work', primary: true, value: '1' }] },
    ],
    [
      'a filter makes a value from an object too',
      { op: 'add', path: 'addresses[type eq "home"]', value: { locality: 'Giza' } },
      { addresses: [office, { type: 'home', locality: 'Giza' }] },
    ],
  ],
  '§3.5.2.2 remove': [
    ['a single value goes', { op: 'remove', path: 'displayName' }, { displayName: undefined }],
    ['a part goes, its neighbours stay', { op: 'remove', path: 'name.givenName' }, { name: { familyName: 'Nasser' } }],
    ['a complex value goes whole', { op: 'remove', path: 'name' }, { name: undefined }],
    ['a list goes whole', { op: 'remove', path: 'emails' }, { emails: undefined }],
    ['the values a filter picks go', { op: 'remove', path: 'emails[type eq "work"]' }, { emails: [home] }],
    ['with its last value a list is unassigned', { op: 'remove', path: 'emails[value pr]' }, { emails: undefined }],
    [
      'a removal with a value takes only that value',
      { op: 'remove', path: 'emails', value: [{ value: 'AMAL@example.test' }] },
      { emails: [home] },
    ],
    ['a removal with an empty list takes nothing', { op: 'remove', path: 'emails', value: [] }, {}],
    [
      'a part of picked values goes',
      { op: 'remove', path: 'addresses[type eq "work"].locality' },
      { addresses: [{ streetAddress: '1 Nile Street', type: 'work' }] },
    ],
    ['a value of labels alone goes with its last part', { op: 'remove', path: 'emails[type eq "work"].value' }, { emails: [home] }],
    [
      'a part goes from every value',
      { op: 'remove', path: 'emails.type' },
      { emails: [{ value: work.value, primary: true }, { value: home.value }] },
    ],
    ['an extension goes by its URN', { op: 'remove', path: enterprise }, { [enterprise]: undefined }],
    ['what is not there may be removed', { op: 'remove', path: 'nickName' }, {}],
    ['a filter that picks nothing removes nothing', { op: 'remove', path: 'emails[type eq "other"]' }, {}],
  ],
  '§3.5.2.3 replace': [
    ['a single value is replaced', { op: 'replace', path: 'userName', value: 'amal.n' }, { userName: 'amal.n' }],
    ['what is not there is added', { op: 'replace', path: 'title', value: 'Nurse' }, { title: 'Nurse' }],
    [
      'parts not named are left',
      { op: 'replace', path: 'name', value: { familyName: 'N.' } },
      { name: { givenName: 'Amal', familyName: 'N.' } },
    ],
    ['a part named null is taken away', { op: 'replace', path: 'name', value: { givenName: null } }, { name: { familyName: 'Nasser' } }],
    ['null unassigns', { op: 'replace', path: 'displayName', value: null }, { displayName: undefined }],
    [
      'a list is replaced whole',
      { op: 'replace', path: 'emails', value: [{ value: 'x@example.test' }] },
      { emails: [{ value: 'x@example.test' }] },
    ],
    ['an empty list unassigns', { op: 'replace', path: 'emails', value: [] }, { emails: undefined }],
    [
      'a part of picked values is replaced',
      { op: 'replace', path: 'emails[type eq "work"].value', value: 'n@example.test' },
      { emails: [{ ...work, value: 'n@example.test' }, home] },
    ],
    [
      'a picked value is replaced whole',
      { op: 'replace', path: 'addresses[type eq "work"]', value: { type: 'work', locality: 'Giza' } },
      { addresses: [{ type: 'work', locality: 'Giza' }] },
    ],
    [
      'text for a picked value is its value',
      { op: 'replace', path: 'emails[type eq "home"]', value: 'h@example.test' },
      { emails: [work, { ...home, value: 'h@example.test' }] },
    ],
    [
      'a part without a filter is replaced in every value',
      { op: 'replace', path: 'emails.type', value: 'other' },
      {
        emails: [
          { ...work, type: 'other' },
          { ...home, type: 'other' },
        ],
      },
    ],
    [
      'without a path, named attributes are replaced',
      { op: 'replace', value: { displayName: 'A', emails: [home] } },
      { displayName: 'A', emails: [home] },
    ],
    [
      'an extension under its URN is merged',
      { op: 'replace', value: { [enterprise]: { department: 'Ward 4' } } },
      { [enterprise]: { ...(amal[enterprise] as object), department: 'Ward 4' } },
    ],
    ['dotted names reach parts', { op: 'replace', value: { 'name.givenName': 'A' } }, { name: { givenName: 'A', familyName: 'Nasser' } }],
    [
      'names under a URN reach extensions',
      { op: 'replace', value: { [`${enterprise}:department`]: 'Ward 5' } },
      { [enterprise]: { ...(amal[enterprise] as object), department: 'Ward 5' } },
    ],
    [
      'value filters work as names',
      { op: 'replace', value: { 'emails[type eq "work"].value': 'v@example.test' } },
      { emails: [{ ...work, value: 'v@example.test' }, home] },
    ],
    ['a null under a URN removes the extension', { op: 'replace', value: { [enterprise]: null } }, { [enterprise]: undefined }],
  ],
  'names, spellings and quirks': [
    ['operations have any case', { op: 'REPLACE', path: 'title', value: 'x' }, { title: 'x' }],
    ['members of an operation have any case', { OP: 'add', Path: 'title', Value: 'x' }, { title: 'x' }],
    ['attributes have any case', { op: 'add', path: 'DISPLAYNAME', value: 'x' }, { displayName: 'x' }],
    [
      'URNs have any case',
      { op: 'add', path: `${enterprise.toUpperCase()}:Department`, value: 'x' },
      { [enterprise]: { ...(amal[enterprise] as object), department: 'x' } },
    ],
    ['"False" is false', { op: 'replace', path: 'active', value: 'False' }, { active: false }],
    ['"true" is true', { op: 'replace', path: 'active', value: 'true' }, {}],
    [
      'a boolean of a filter may be text',
      { op: 'replace', path: 'emails[primary eq "True"].value', value: 'p@example.test' },
      { emails: [{ ...work, value: 'p@example.test' }, home] },
    ],
    [
      'Replace with a capital makes what its filter describes',
      { op: 'Replace', path: 'phoneNumbers[type eq "work"].value', value: '1' },
      { phoneNumbers: [{ type: 'work', value: '1' }] },
    ],
    ['a single value may come in a list of one', { op: 'add', path: 'title', value: ['x'] }, { title: 'x' }],
    ['a single value may come in an object of one', { op: 'add', path: 'title', value: [{ $ref: null, value: 'x' }] }, { title: 'x' }],
    ['an empty externalId is none', { op: 'replace', path: 'externalId', value: '' }, {}],
    [
      'a new primary takes it from the old',
      { op: 'add', path: 'emails', value: [{ value: 'z@example.test', primary: true }] },
      { emails: [{ ...work, primary: false }, home, { value: 'z@example.test', primary: true }] },
    ],
    [
      'a filter can move primary',
      { op: 'replace', path: 'emails[type eq "home"].primary', value: true },
      {
        emails: [
          { ...work, primary: false },
          { ...home, primary: true },
        ],
      },
    ],
    ['a password is taken and not kept', { op: 'replace', path: 'password', value: 'correct horse' }, {}],
    ['read-only names in a value are passed over', { op: 'replace', value: { id: 'x', groups: [], meta: {}, schemas: [] } }, {}],
    ['unknown names in a value are passed over', { op: 'replace', value: { favouriteColour: 'blue', constructor: 1 } }, {}],
  ],
  manager: [
    [
      'comes as text',
      { op: 'Add', path: `${enterprise}:manager`, value: 'm-2' },
      { [enterprise]: { department: 'Ward 3', manager: { value: 'm-2' } } },
    ],
    [
      'comes as an object',
      { op: 'add', path: `${enterprise}:manager`, value: { value: 'm-2', $ref: '../Users/m-2' } },
      { [enterprise]: { department: 'Ward 3', manager: { value: 'm-2', $ref: '../Users/m-2' } } },
    ],
    [
      'comes as a list of one',
      { op: 'Add', path: `${enterprise}:manager`, value: [{ $ref: null, value: 'm-2' }] },
      { [enterprise]: { department: 'Ward 3', manager: { value: 'm-2' } } },
    ],
    [
      'comes by manager.value, and its old address goes',
      { op: 'replace', path: `${enterprise}:manager.value`, value: 'm-2' },
      { [enterprise]: { department: 'Ward 3', manager: { value: 'm-2' } } },
    ],
    ['goes by remove', { op: 'remove', path: `${enterprise}:manager` }, { [enterprise]: { department: 'Ward 3' } }],
    ['goes by empty text', { op: 'replace', path: `${enterprise}:manager`, value: '' }, { [enterprise]: { department: 'Ward 3' } }],
    [
      'does not bring a display name: that is ours to say',
      { op: 'add', path: `${enterprise}:manager`, value: { value: 'm-2', displayName: 'Boss' } },
      { [enterprise]: { department: 'Ward 3', manager: { value: 'm-2' } } },
    ],
  ],
}

for (const [section, list] of Object.entries(cases)) {
  describe(section, () => {
    test.each(list)('%s', (_, operation, changed) => {
      const expected = Object.fromEntries(Object.entries({ ...amal, ...changed }).filter(([, value]) => value !== undefined))
      const { columns, changed: told } = patchUser(amal, message(operation))
      expect(columns.attributes).toEqual(expected)
      expect(told).toBe(Object.keys(changed).length > 0)
    })
  })
}

describe('refusals', () => {
  test.each([
    ['an unknown op', { op: 'move', path: 'title', value: 'x' }, 'invalidSyntax'],
    ['an operation that is no object', 'add', 'invalidSyntax'],
    ['a member given twice', { op: 'add', Op: 'add', path: 'title', value: 'x' }, 'invalidSyntax'],
    ['add without a value', { op: 'add', path: 'title' }, 'invalidValue'],
    ['remove without a path', { op: 'remove' }, 'noTarget'],
    ['a path that is no text', { op: 'add', path: 5, value: 'x' }, 'invalidPath'],
    ['an unknown attribute', { op: 'add', path: 'favouriteColour', value: 'x' }, 'invalidPath'],
    ['an unknown part', { op: 'add', path: 'name.petName', value: 'x' }, 'invalidPath'],
    ['an unknown extension', { op: 'add', path: 'urn:example:User:x', value: 'x' }, 'invalidPath'],
    ['__proto__ as a path', { op: 'add', path: '__proto__', value: { polluted: true } }, 'invalidPath'],
    ['__proto__.polluted as a path', { op: 'add', path: '__proto__.polluted', value: true }, 'invalidPath'],
    ['constructor.prototype as a path', { op: 'add', path: 'constructor.prototype.polluted', value: true }, 'invalidPath'],
    ['name.__proto__ as a path', { op: 'add', path: 'name.__proto__', value: 'x' }, 'invalidPath'],
    ['emails[constructor eq "x"]', { op: 'remove', path: 'emails[constructor eq "x"]' }, 'invalidFilter'],
    ['a path with a bracket left open', { op: 'add', path: 'emails[type eq "work"', value: 'x' }, 'invalidPath'],
    ['text after the bracket', { op: 'add', path: 'emails[type eq "work"]value', value: 'x' }, 'invalidPath'],
    ['a filter without an operator', { op: 'add', path: 'emails[type]', value: 'x' }, 'invalidFilter'],
    ['a filter on a plain attribute', { op: 'add', path: 'title[value eq "x"]', value: 'x' }, 'invalidPath'],
    ['a path with blanks and quotes', { op: 'add', path: `title'; drop table scim."user"; --`, value: 'x' }, 'invalidPath'],
    ['a filter that picks nothing, by replace', { op: 'replace', path: 'emails[type eq "other"].value', value: 'x' }, 'noTarget'],
    [
      'a filter that describes nothing, by add',
      { op: 'add', path: 'emails[type ne "other" and value co "q"].value', value: 'x' },
      'noTarget',
    ],
    ['id', { op: 'replace', path: 'id', value: 'x' }, 'mutability'],
    ['meta.created', { op: 'replace', path: 'meta.created', value: 'x' }, 'mutability'],
    ['groups', { op: 'add', path: 'groups', value: [{ value: 'g' }] }, 'mutability'],
    ['manager.displayName', { op: 'add', path: `${enterprise}:manager.displayName`, value: 'x' }, 'mutability'],
    ['userName removed', { op: 'remove', path: 'userName' }, 'mutability'],
    ['userName null', { op: 'replace', path: 'userName', value: null }, 'invalidValue'],
    ['userName blank', { op: 'replace', path: 'userName', value: ' ' }, 'invalidValue'],
    ['active null', { op: 'replace', path: 'active', value: null }, 'invalidValue'],
    ['active that is neither', { op: 'replace', path: 'active', value: 'maybe' }, 'invalidValue'],
    ['text that is a number', { op: 'replace', path: 'title', value: 5 }, 'invalidValue'],
    ['a complex value that is a number', { op: 'replace', path: 'name', value: 5 }, 'invalidValue'],
    ['a complex value without a value part as text', { op: 'replace', path: 'name', value: 'x' }, 'invalidValue'],
    ['a value without a path that is a list', { op: 'add', value: [{ title: 'x' }] }, 'invalidValue'],
    [
      'two primaries in one list',
      {
        op: 'add',
        path: 'emails',
        value: [
          { value: 'a', primary: true },
          { value: 'b', primary: true },
        ],
      },
      'invalidValue',
    ],
    [
      'primary for every value',
      { op: 'replace', path: 'emails[value co "amal" and type ne "work" or type eq "home"].primary', value: 'often' },
      'invalidValue',
    ],
    ['an unpaired surrogate', { op: 'add', path: 'title', value: '\ud800' }, 'invalidValue'],
    ['NUL', { op: 'add', path: 'title', value: 'a\0b' }, 'invalidValue'],
    ['a text of 5,000 characters', { op: 'add', path: 'title', value: 'x'.repeat(5000) }, 'invalidValue'],
    ['a userName whose key is too long for an index', { op: 'replace', path: 'userName', value: 'ﷺ'.repeat(60) }, 'invalidValue'],
    ['101 values', { op: 'add', path: 'emails', value: Array.from({ length: 101 }, (_, n) => ({ value: `${n}` })) }, 'invalidValue'],
    ['the whole resource removed', { op: 'remove', path: core }, 'mutability'],
    [
      'a name in a value that begins as no attribute does',
      { op: 'add', value: JSON.parse('{"__proto__":{"polluted":true}}') },
      'invalidPath',
    ],
  ])('%s', (_, operation, type) => {
    expect(refusal(() => after(operation))).toBe(type)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    // Beside it, the same message with a sound operation is accepted.
    expect(refusal(() => after({ op: 'add', path: 'title', value: 'x' }))).toBe('accepted')
  })

  test.each([
    ['no object', [], 'invalidSyntax'],
    ['no schemas', { Operations: [{ op: 'remove', path: 'title' }] }, 'invalidSyntax'],
    ['another schema', { schemas: [core], Operations: [{ op: 'remove', path: 'title' }] }, 'invalidSyntax'],
    ['no operations', message(), 'invalidSyntax'],
    ['operations that are no list', { ...message(), Operations: {} }, 'invalidSyntax'],
    ['1,001 operations', message(...Array.from({ length: 1001 }, () => ({ op: 'remove', path: 'title' }))), 'invalidValue'],
  ])('a message with %s', (_, body, type) => {
    expect(refusal(() => patchUser(amal, body))).toBe(type)
  })
})

test('§3.5.2 a message is atomic: a refused operation undoes those before it, and the given resource never changes', () => {
  const before = structuredClone(amal)
  expect(refusal(() => after({ op: 'replace', path: 'displayName', value: 'x' }, { op: 'add', path: 'nowhere', value: 1 }))).toBe(
    'invalidPath',
  )
  after({ op: 'replace', path: 'emails[type eq "work"].value', value: 'x' }, { op: 'remove', path: 'name.givenName' })
  expect(amal).toEqual(before)
})

test('operations apply in their order', () => {
  const patched = after(
    { op: 'remove', path: 'emails' },
    { op: 'add', path: 'emails', value: [home] },
    { op: 'add', path: 'emails', value: [{ value: 'n' }] },
  )
  expect(patched['emails']).toEqual([home, { value: 'n' }])
})

test('a thousand operations with filters of 30 levels end soon and well', () => {
  const path = `emails[${'('.repeat(30)}type eq "work"${')'.repeat(30)}].value`
  const many = Array.from({ length: 1000 }, (_, n) => ({ op: 'replace', path, value: `${n}@example.test` }))
  expect(after(...many)['emails']).toEqual([{ ...work, value: '999@example.test' }, home])
})
