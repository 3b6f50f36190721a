/** RFC 7644 §3.4.2.2 and §3.4.2.3 case by case on a real Postgres: what every filter finds, what is refused, and how sorting orders. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ResourceName } from '../../src/modules/federation/scim/engine.ts'
import { Fault } from '../../src/kernel/fault.ts'
import { compileFilter } from '../../src/modules/federation/scim/filter/compile.ts'
import { joined, sql } from '../../src/modules/federation/scim/filter/fragment.ts'
import { compileSort } from '../../src/modules/federation/scim/filter/sort.ts'
import { patchGroup } from '../../src/modules/federation/scim/patch/patch-group.ts'
import { scimTypeOf } from '../../src/modules/federation/scim/schema/faults.ts'
import { readGroup } from '../../src/modules/federation/scim/schema/read-group.ts'
import { readUser } from '../../src/modules/federation/scim/schema/read-user.ts'
import { newConnection, numbered, scimTables, type ScimTables } from '../kit/scim-tables.ts'

const user = 'urn:ietf:params:scim:schemas:core:2.0:User'
const group = 'urn:ietf:params:scim:schemas:core:2.0:Group'
const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'

/** Four people; their names stand for their ids. */
const people = {
  amal: {
    userName: 'Amal.Nasser',
    externalId: 'E-1',
    name: { familyName: 'Nasser', givenName: 'Amal' },
    title: 'Nurse',
    active: true,
    profileUrl: 'https://x.test/Amal',
    emails: [
      { value: 'Amal@hospital.test', type: 'work', primary: true },
      { value: 'amal@home.test', type: 'home' },
    ],
    [enterprise]: { department: 'Surgery', manager: { value: 'm-1' } },
  },
  badr: {
    userName: 'badr',
    externalId: 'e-1',
    title: '100% \\ "quoted" _',
    active: false,
    emails: [{ value: 'badr@hospital.test', type: 'home' }],
    x509Certificates: [{ value: 'QUJD' }],
  },
  chloé: { userName: 'CHLOÉ', title: '', active: true, name: { familyName: 'Straße' }, phoneNumbers: [{ value: '+20 1' }] },
  dina: {
    userName: 'dina',
    active: true,
    name: { familyName: 'ΟΔΟΣ' },
    title: '\'; drop table scim."user"; --',
    addresses: [{ locality: 'Cairo' }],
  },
} as const
type Person = keyof typeof people

let ground: ScimTables
const ids = new Map<string, Person>()
let groupId = ''

beforeAll(async () => {
  ground = await scimTables()
  for (const [index, name] of (Object.keys(people) as Person[]).entries()) {
    const times = { createdAt: `2026-01-0${index + 1}T08:00:00.123456Z`, updatedAt: `2026-02-0${index + 1}T08:00:00Z` }
    const [id] = await ground.addUsers([readUser({ schemas: [user], ...people[name] })], times)
    ids.set(id!, name)
  }
  const members = [...ids].filter(([, name]) => name === 'amal' || name === 'dina').map(([id]) => id)
  groupId = await ground.addGroup(readGroup({ schemas: [group], displayName: 'Nürses', externalId: 'G' }).columns, members)
})
afterAll(() => ground.close())

const idOf = (wanted: Person) => [...ids].find(([, name]) => name === wanted)![0]
const found = async (filter: string) =>
  (await ground.find(filter.replaceAll('{group}', groupId).replaceAll('{amal}', idOf('amal')))).map((id) => ids.get(id)!).sort()

const all: Person[] = ['amal', 'badr', 'chloé', 'dina']

describe('finds (RFC 7644 §3.4.2.2)', () => {
  test.each<readonly [section: string, filter: string, found: readonly Person[]]>([
    ['eq ignores case where caseExact is false', 'userName eq "AMAL.nasser"', ['amal']],
    ['eq folds letters beyond ASCII', 'userName eq "chloé"', ['chloé']],
    ['eq folds compatibility forms', 'userName eq "ＢＡＤＲ"', ['badr']],
    ['eq folds letters that grow', 'name.familyName eq "STRASSE"', ['chloé']],
    ['eq folds a sigma wherever it stands', 'name.familyName eq "οδος"', ['dina']],
    ['sw folds a sigma that is not last in the row', 'name.familyName sw "ΟΔ"', ['dina']],
    ['eq keeps case where caseExact is true', 'externalId eq "e-1"', ['badr']],
    ['eq keeps the case of a reference', 'profileUrl eq "https://x.test/amal"', []],
    ['attribute names have any case', 'USERNAME eq "badr"', ['badr']],
    ['operators have any case', 'userName EQ "badr" OR userName Eq "dina"', ['badr', 'dina']],
    ['ne holds for what differs', 'userName ne "badr"', ['amal', 'chloé', 'dina']],
    ['ne holds for what is absent', 'externalId ne "E-1"', ['badr', 'chloé', 'dina']],
    ['co', 'title co "RS"', ['amal']],
    ['sw', 'title sw "nur"', ['amal']],
    ['ew', 'title ew "SE"', ['amal']],
    ['co of nothing is in everything that is there', 'externalId co ""', ['amal', 'badr']],
    ['gt', 'userName gt "badr"', ['chloé', 'dina']],
    ['ge', 'userName ge "badr"', ['badr', 'chloé', 'dina']],
    ['lt', 'userName lt "badr"', ['amal']],
    ['le', 'userName le "badr"', ['amal', 'badr']],
    ['pr of a simple attribute', 'externalId pr', ['amal', 'badr']],
    ['pr is not true of empty text', 'title pr', ['amal', 'badr', 'dina']],
    ['pr of a complex attribute', 'name pr', ['amal', 'chloé', 'dina']],
    ['pr of a multi-valued attribute', 'emails pr', ['amal', 'badr']],
    ['pr of a part', 'name.givenName pr', ['amal']],
    ['pr of an extension attribute', `${enterprise}:manager pr`, ['amal']],
    ['pr of what the server says', 'meta pr and meta.created pr and id pr and schemas pr', all],
    ['eq null is not pr', 'externalId eq null', ['chloé', 'dina']],
    ['ne null is pr', 'externalId ne null', ['amal', 'badr']],
    ['eq null of a complex attribute', 'name eq null', ['badr']],
    ['and', 'active eq true and title pr', ['amal', 'dina']],
    ['or', 'userName eq "badr" or userName eq "dina"', ['badr', 'dina']],
    ['and binds before or', 'userName eq "badr" or active eq true and title eq "Nurse"', ['amal', 'badr']],
    ['brackets change that', '(userName eq "badr" or active eq true) and title eq "Nurse"', ['amal']],
    ['not', 'not (active eq true)', ['badr']],
    ['not holds where the attribute is absent', 'not (name.givenName eq "Amal")', ['badr', 'chloé', 'dina']],
    ['not of not', 'not (not (userName eq "badr"))', ['badr']],
    ['not of an or of absences', 'not (name.givenName eq "x" or externalId eq "y")', all],
    ['blanks where none are needed', '(userName eq"badr")or(not(active eq true))', ['badr']],
    ['a boolean', 'active eq false', ['badr']],
    ['a boolean as text, as a dialect writes it', 'active eq "False"', ['badr']],
    ['a boolean by ne', 'active ne true', ['badr']],
    ['a boolean part', 'emails.primary eq true', ['amal']],
    ['a time, to the millisecond it is shown with', 'meta.created eq "2026-01-01T08:00:00.123Z"', ['amal']],
    ['a time in another zone', 'meta.created eq "2026-01-01T10:00:00.123+02:00"', ['amal']],
    ['times in order', 'meta.created gt "2026-01-02T08:00:00.123Z" and meta.lastModified le "2026-02-03T08:00:00Z"', ['chloé']],
    ['meta.resourceType', 'meta.resourceType eq "User"', all],
    ['meta.resourceType of another kind', 'meta.resourceType eq "Group"', []],
    ['meta.version', 'meta.version eq "W/\\"1\\""', all],
    ['id', 'id eq "{amal}"', ['amal']],
    ['an id that can be none', 'id eq "x"', []],
    ['a part of an id', 'id sw "zz" or id co "-"', all],
    ['a multi-valued attribute stands for its value', 'emails co "HOSPITAL"', ['amal', 'badr']],
    ['one value that fits is enough', 'emails.value sw "amal@home"', ['amal']],
    ['eq on an indexed value', 'emails eq "AMAL@hospital.test"', ['amal']],
    ['ne asks for one value that differs', 'emails.value ne "badr@hospital.test"', ['amal']],
    ['parts outside a value filter may be of two values', 'emails.type eq "home" and emails.value co "hospital"', ['amal', 'badr']],
    ['parts inside a value filter are of one', 'emails[type eq "home" and value co "hospital"]', ['badr']],
    ['a value filter with or and not', 'emails[not (type eq "home") or primary eq true]', ['amal']],
    ['a value filter on an indexed value', 'emails[type eq "work" and value eq "amal@hospital.test"]', ['amal']],
    ['a value filter on an indexed value of another type', 'emails[type eq "work" and value eq "amal@home.test"]', []],
    ['a sub-attribute after a value filter', 'emails[type eq "home"].value eq "amal@home.test"', ['amal']],
    ['its or stays inside its brackets', 'emails[type eq "work" or type eq "other"].value eq "amal@home.test"', []],
    ['a presence after a value filter', 'emails[type eq "home"].primary pr', []],
    ['a value filter on a complex attribute', 'name[familyName eq "nasser" and givenName pr]', ['amal']],
    ['a value filter on values without that part', 'addresses[type ne "work"]', ['dina']],
    ['an attribute under the URN of the core', `${user}:userName eq "badr"`, ['badr']],
    ['an attribute under the URN of an extension', `${enterprise}:department eq "surgery"`, ['amal']],
    ['a part under a URN in another case', `${enterprise.toUpperCase()}:Manager.Value eq "M-1"`, ['amal']],
    ['manager stands for its value', `${enterprise}:manager eq "m-1"`, ['amal']],
    ['schemas', `schemas eq "${enterprise}"`, ['amal']],
    ['schemas that all have', `schemas eq "${user}"`, all],
    ['groups of a user', 'groups.value eq "{group}"', ['amal', 'dina']],
    ['groups stand for their value', 'groups eq "{group}"', ['amal', 'dina']],
    ['groups by their name', 'groups[display eq "NÜRSES"]', ['amal', 'dina']],
    ['who is in no group', 'not (groups pr)', ['badr', 'chloé']],
    ['binary values', 'x509Certificates eq "QUJD"', ['badr']],
    ['binary values keep their case', 'x509Certificates eq "qujd"', []],
    ['per cent is text', 'title co "0% "', ['badr']],
    ['underscore is text', 'title co "N_rse"', []],
    ['an underscore that is there', 'title ew "_"', ['badr']],
    ['a backslash, escaped as JSON escapes it', 'title co "% \\\\ "', ['badr']],
    ['a quote, escaped as JSON escapes it', 'title co "\\"quoted\\""', ['badr']],
    ['an escape by number', 'userName eq "\\u0062adr"', ['badr']],
    ['signs of regular expressions are text', 'title co ".*"', []],
    ['SQL is text', 'title eq "\'; drop table scim.\\"user\\"; --"', ['dina']],
    ['comment signs are text', 'title co "*/ or true --"', []],
    ['a literal that looks like a parameter', 'title co "$1"', []],
    ['thirty levels', `${'('.repeat(30)}userName eq "badr"${')'.repeat(30)}`, ['badr']],
    [
      'a hundred comparisons',
      Array.from({ length: 100 }, (_, n) => `userName eq "u${n}"`).join(' or ') + ' or userName eq "badr"',
      ['badr'],
    ],
  ])('%s: %s', async (_, filter, expected) => expect(await found(filter)).toEqual([...expected].sort()))

  test.each([
    ['displayName in any case', 'displayName eq "NÜRSES"', true],
    ['displayName by its beginning', 'displayName sw "nü"', true],
    ['externalId with its case', 'externalId eq "g"', false],
    ['a member', 'members eq "{amal}"', true],
    ['a member by the value filter', 'members[value eq "{amal}"]', true],
    ['a member in capitals', 'members.value eq "{AMAL}"', true],
    ['a member who is none', 'members eq "00000000-0000-7000-8000-000000000000"', false],
    ['a member that can be none', 'members eq "x"', false],
    ['a member by name', 'members.display eq "amal.NASSER"', true],
    ['members of a type', 'members[type eq "User"]', true],
    ['id and member, as a dialect asks', 'id eq "{group}" and members eq "{amal}"', true],
    ['members at all', 'members pr', true],
  ])('groups by %s: %s', async (_, filter, expected) => {
    const asked = filter.replace('{amal}', idOf('amal')).replace('{AMAL}', idOf('amal').toUpperCase()).replace('{group}', groupId)
    expect(await ground.find(asked, 'Group')).toEqual(expected ? [groupId] : [])
  })
})

function refusal(filter: string, resource: ResourceName = 'User'): string | undefined {
  try {
    compileFilter(filter, resource, { tenantId: 't', connectionId: 'c' })
    return 'accepted'
  } catch (error) {
    if (error instanceof Fault) return scimTypeOf(error)
    throw error
  }
}

describe('refuses with invalidFilter (RFC 7644 §3.4.2.2, §3.12)', () => {
  test.each([
    ['nothing', ''],
    ['blanks', '   '],
    ['an attribute alone', 'userName'],
    ['an operator alone', 'eq "x"'],
    ['an unknown operator', 'userName like "x"'],
    ['a comparison without a value', 'userName eq'],
    ['a value without quotes', 'userName eq badr'],
    ['single quotes', "userName eq 'badr'"],
    ['a text left open', 'userName eq "badr'],
    ['a wrong escape', 'userName eq "\\x41"'],
    ['a raw line break in a text', 'userName eq "a\nb"'],
    ['a bracket left open', '(userName eq "x"'],
    ['a bracket too many', 'userName eq "x")'],
    ['brackets of two kinds', '(emails[type eq "x")]'],
    ['two comparisons side by side', 'userName eq "x" title pr'],
    ['a word between comparisons', 'userName eq "x" xor title pr'],
    ['and at the end', 'userName eq "x" and'],
    ['not without brackets', 'not userName eq "x"'],
    ['not between comparisons', 'userName pr not (title pr)'],
    ['a value filter in a value filter', 'emails[type[value eq "x"] pr]'],
    ['an empty value filter', 'emails[]'],
    ['a word that every object has', 'constructor pr'],
    ['a word that every object has, between comparisons', 'userName pr constructor title pr'],
    ['__proto__', '__proto__ eq "x"'],
    ['name.__proto__', 'name.__proto__ eq "x"'],
    ['an unknown attribute', 'shoeSize eq "x"'],
    ['an unknown part', 'name.petName eq "x"'],
    ['an unknown part in a value filter', 'emails[shoeSize eq "x"]'],
    ['an unknown URN', 'urn:example:2.0:User:userName eq "x"'],
    ['a value filter on a simple attribute', 'userName[value eq "x"]'],
    ['a value filter on meta', 'meta[created pr]'],
    ['a complex attribute without a value, compared', 'name eq "x"'],
    ['a password', 'password eq "x"'],
    ['a password by presence', 'password pr'],
    ['meta.location', 'meta.location eq "x"'],
    ['the address of a group', 'groups.$ref eq "x"'],
    ['order of a boolean', 'active gt true'],
    ['part of a boolean', 'active co "tr"'],
    ['a boolean compared with text', 'active eq "maybe"'],
    ['order of a binary value', 'x509Certificates gt "QUJD"'],
    ['text compared with a number', 'userName eq 5'],
    ['text compared with a negative number in brackets', '(userName eq -5)'],
    ['text compared with a boolean', 'userName eq true'],
    ['order of null', 'userName gt null'],
    ['a time without a zone', 'meta.created gt "2026-01-01T08:00:00"'],
    ['a time that is none', 'meta.created gt "2026-02-31T25:00:00Z"'],
    ['a time with SQL after it', 'meta.created gt "2026-01-01T08:00:00Z\'; select 1"'],
    ['part of a time', 'meta.created sw "2026"'],
    ['an unpaired surrogate', 'userName eq "\\ud800"'],
    ['NUL', 'userName eq "\\u0000"'],
    ['8,193 characters', `userName eq "${'x'.repeat(8180)}"`],
    ['33 levels', `${'('.repeat(33)}userName pr${')'.repeat(33)}`],
    ['20,000 levels', `${'('.repeat(20_000)}userName pr${')'.repeat(20_000)}`],
    ['33 levels of not', `${'not ('.repeat(33)}userName pr${')'.repeat(33)}`],
    ['129 comparisons', Array.from({ length: 129 }, () => 'id pr').join(' or ')],
    ['10 MB', 'x'.repeat(10_000_000)],
  ])('%s', (_, filter) => expect(refusal(filter)).toBe('invalidFilter'))

  test('beside them, a filter of every kind of sign is accepted', () => {
    expect(refusal('not (emails[type eq "a" and not (value sw "\\"")].value co "%") or (meta.created ge "2026-01-01T00:00:00Z")')).toBe(
      'accepted',
    )
  })

  test('no message repeats what was asked', () => {
    for (const filter of ['secretName eq "x"', 'userName like "secretName"', 'active eq "secretName"', 'meta.created eq "secretName"']) {
      expect(() => compileFilter(filter, 'User', { tenantId: 't', connectionId: 'c' })).toThrow(/^(?!.*secretName)/)
    }
  })
})

test('whatever a client writes, the SQL is the same text: all of it goes as values', () => {
  const shape = (text: string) =>
    compileFilter(`title co ${JSON.stringify(text)} and emails[type eq ${JSON.stringify(text)}]`, 'User', {
      tenantId: 't',
      connectionId: 'c',
    }).strings
  expect(shape(`'; drop table x; --`)).toEqual(shape('plain'))
})

describe('a row of another connection or tenant', () => {
  test('is found by no filter, not even by one that every row fits', async () => {
    await ground.ask(
      `insert into scim."user" (tenant_id, id, connection_id, user_name, user_name_key, active, attributes, search)
       values ($1, gen_random_uuid(), $2, 'stranger', 'stranger', true, '{}', '{}')`,
      [ground.tenantId, await newConnection(ground.at, ground.tenantId)],
    )
    expect(await found('userName eq "stranger" or id pr')).toEqual(all)
  })
})

describe('sorting (RFC 7644 §3.4.2.3)', () => {
  const order = async (sortBy: string, direction: 'asc' | 'desc') => {
    const { expression } = compileSort(sortBy, 'User')
    const mine = sql`r.tenant_id = ${ground.tenantId}::uuid and r.connection_id = ${ground.connectionId}::uuid`
    const { text, values } = numbered(
      direction === 'asc'
        ? sql`${joined([mine], 'and')} order by ${expression} asc, r.id`
        : sql`${joined([mine], 'and')} order by ${expression} desc, r.id`,
    )
    return (await ground.ask<{ id: string }>(`select r.id from scim."user" r where ${text}`, values)).map(({ id }) => ids.get(id))
  }

  test.each([
    ['userName', ['amal', 'badr', 'chloé', 'dina']],
    ['meta.created', ['amal', 'badr', 'chloé', 'dina']],
    ['id', null],
    ['active', null],
    ['schemas', 'invalidPath'],
  ] as const)('by %s', async (sortBy, expected) => {
    if (expected === 'invalidPath') expect(() => compileSort(sortBy, 'User')).toThrow(Fault)
    else if (expected) {
      expect(await order(sortBy, 'asc')).toEqual(expected)
      expect(await order(sortBy, 'desc')).toEqual([...expected].reverse())
    } else expect(await order(sortBy, 'asc')).toHaveLength(4)
  })

  test('absent values come last when ascending and first when descending', async () => {
    expect((await order('name.familyName', 'asc')).at(-1)).toBe('badr')
    expect((await order('name.familyName', 'desc'))[0]).toBe('badr')
  })

  test('of several values the primary one counts, else the first', async () => {
    expect((await order('emails', 'asc')).slice(0, 2)).toEqual(['amal', 'badr'])
    expect((await order('emails.type', 'asc')).slice(0, 2)).toEqual(['badr', 'amal'])
  })

  test.each(['password', 'groups', 'name', 'nowhere', '__proto__', 'meta.location', 'x509Certificates', `userName"; drop`])(
    '%s is refused',
    (sortBy) => {
      expect(() => compileSort(sortBy, 'User')).toThrow(Fault)
      expect(compileSort('userName', 'User').column).toBe('user_name_key')
    },
  )
})

test('§3.5.2.2 members removed by any filter are those the database finds', async () => {
  const [step] = patchGroup(
    { displayName: 'x' },
    {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'remove', path: 'members[display sw "AMAL" or not (type eq "User")]' }],
    },
  ).members
  if (step?.do !== 'removeWhere') throw new Error('Expected a removal by a condition.')
  const { text, values } = numbered(step.where, [groupId])
  const rows = await ground.ask<{ user_id: string }>(
    `select m.user_id from scim.group_member m join scim."user" u on u.tenant_id = m.tenant_id and u.id = m.user_id
     where m.group_id = $1 and ${text}`,
    values,
  )
  expect(rows.map((row) => ids.get(row.user_id))).toEqual(['amal'])
})
