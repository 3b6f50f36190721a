/** RFC 7644 §3.5.2 on groups: attributes change as a user's do, members become steps and are never loaded. */
import { describe, expect, test } from 'vitest'
import type { AttributeMap } from '../engine.ts'
import { Fault } from '../../../../kernel/fault.ts'
import { patchGroup } from './patch-group.ts'

const ward: AttributeMap = { displayName: 'Ward', externalId: 'g-1' }
const id = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`
const [a, b, c] = [id(1), id(2), id(3)]

const message = (...operations: unknown[]) => ({ schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: operations })
const steps = (...operations: unknown[]) => patchGroup(ward, message(...operations)).members

function code(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
  return 'accepted'
}

describe('members', () => {
  test.each([
    ['are added', [{ op: 'add', path: 'members', value: [{ value: a }, { value: b }] }], [{ do: 'add', userIds: [a, b] }]],
    [
      'are added without a type, with a null address',
      [{ op: 'Add', path: 'members', value: [{ $ref: null, value: a }] }],
      [{ do: 'add', userIds: [a] }],
    ],
    [
      'are added one alone, without its list',
      [{ op: 'add', path: 'members', value: { value: a, type: 'User' } }],
      [{ do: 'add', userIds: [a] }],
    ],
    ['are added without a path', [{ op: 'add', value: { members: [{ value: a }] } }], [{ do: 'add', userIds: [a] }]],
    ['are added by a filter that names one', [{ op: 'add', path: `members[value eq "${a}"]`, value: {} }], [{ do: 'add', userIds: [a] }]],
    [
      'named twice are added once, in any case',
      [{ op: 'add', path: 'members', value: [{ value: a }, { value: a.toUpperCase() }] }],
      [{ do: 'add', userIds: [a] }],
    ],
    ['are replaced', [{ op: 'replace', path: 'members', value: [{ value: a }] }], [{ do: 'set', userIds: [a] }]],
    ['are replaced by none', [{ op: 'replace', path: 'members', value: [] }], [{ do: 'set', userIds: [] }]],
    ['are removed by a filter', [{ op: 'remove', path: `members[value eq "${a}"]` }], [{ do: 'remove', userIds: [a] }]],
    [
      'are removed by a filter of several',
      [{ op: 'remove', path: `members[value eq "${a}" or value eq "${b}"]` }],
      [{ do: 'remove', userIds: [a, b] }],
    ],
    [
      'are removed by value: those and no other',
      [{ op: 'Remove', path: 'members', value: [{ value: a }] }],
      [{ do: 'remove', userIds: [a] }],
    ],
    ['are not removed by an empty value', [{ op: 'remove', path: 'members', value: [] }], [{ do: 'remove', userIds: [] }]],
    ['are all removed without a value', [{ op: 'remove', path: 'members' }], [{ do: 'set', userIds: [] }]],
    [
      'that can be no ids of ours are in no group',
      [{ op: 'remove', path: 'members', value: [{ value: 'u1091' }] }],
      [{ do: 'remove', userIds: [] }],
    ],
    [
      'removed one by one are one step',
      [a, b, c].map((one) => ({ op: 'remove', path: `members[value eq "${one}"]` })),
      [{ do: 'remove', userIds: [a, b, c] }],
    ],
    [
      'removed and added keep their order',
      [
        { op: 'remove', path: 'members' },
        { op: 'add', path: 'members', value: [{ value: b }] },
      ],
      [{ do: 'set', userIds: [b] }],
    ],
    [
      'added and removed keep their order',
      [
        { op: 'add', path: 'members', value: [{ value: a }] },
        { op: 'remove', path: `members[value eq "${a}"]` },
      ],
      [
        { do: 'add', userIds: [a] },
        { do: 'remove', userIds: [a] },
      ],
    ],
  ])('%s', (_, operations, expected) => expect(steps(...operations)).toEqual(expected))

  test('are removed by any other filter through the database', () => {
    const [step] = steps({ op: 'remove', path: 'members[display sw "Am%"]' })
    expect(step).toEqual({
      do: 'removeWhere',
      where: { strings: [`starts_with(coalesce(u.search->>'displayName', u.user_name_key), `, '::text)'], values: ['am%'] },
    })
  })

  test.each([
    ['an id that can be none of ours', { op: 'add', path: 'members', value: [{ value: 'u1091' }] }, 'SCIM_NO_SUCH_MEMBER'],
    ['a group as a member', { op: 'add', path: 'members', value: [{ value: a, type: 'Group' }] }, 'SCIM_INVALID_VALUE'],
    ['a member without a value', { op: 'add', path: 'members', value: [{ display: 'x' }] }, 'SCIM_INVALID_VALUE'],
    ['a member that is text', { op: 'add', path: 'members', value: [a] }, 'SCIM_INVALID_VALUE'],
    ['a part of a member', { op: 'replace', path: `members[value eq "${a}"].display`, value: 'x' }, 'SCIM_MUTABILITY'],
    ['an unknown part in a filter', { op: 'remove', path: 'members[shoeSize eq "9"]' }, 'SCIM_INVALID_FILTER'],
    ['a filter that names nobody, to add', { op: 'add', path: 'members[display eq "x"]', value: {} }, 'SCIM_INVALID_PATH'],
    ['100,001 members', { op: 'add', path: 'members', value: Array.from({ length: 100_001 }, () => ({ value: a })) }, 'SCIM_INVALID_VALUE'],
    ['displayName removed', { op: 'remove', path: 'displayName' }, 'SCIM_MUTABILITY'],
  ])('refused: %s', (_, operation, expected) => {
    expect(code(() => steps(operation))).toBe(expected)
    expect(code(() => steps({ op: 'add', path: 'members', value: [{ value: a }] }))).toBe('accepted')
  })

  test('a refused operation refuses the members before it too', () => {
    expect(code(() => steps({ op: 'add', path: 'members', value: [{ value: a }] }, { op: 'add', path: 'nowhere', value: 1 }))).toBe(
      'SCIM_INVALID_PATH',
    )
  })

  test('a thousand operations of fifty members each are one step', () => {
    const operations = Array.from({ length: 1000 }, (_, n) => ({
      op: 'add',
      path: 'members',
      value: Array.from({ length: 50 }, (_, m) => ({ value: id(n * 50 + m) })),
    }))
    const [step, ...others] = steps(...operations)
    expect(others).toEqual([])
    expect(step).toMatchObject({ do: 'add' })
    expect(step!.do === 'add' && step!.userIds.length).toBe(50_000)
  })
})

describe('attributes', () => {
  test('a rename that sends its own id renames', () => {
    const { columns, changed, members } = patchGroup(ward, message({ op: 'replace', value: { id: id(9), displayName: 'Ward 2' } }))
    expect({ name: columns.displayName, key: columns.displayNameKey, changed, members }).toEqual({
      name: 'Ward 2',
      key: 'ward 2',
      changed: true,
      members: [],
    })
  })

  test('members never reach the stored attributes', () => {
    const group = 'urn:ietf:params:scim:schemas:core:2.0:Group'
    const { columns, members } = patchGroup(
      ward,
      message({ op: 'add', path: group, value: { [`${group}:members`]: [{ value: a }], externalId: 'g-2' } }),
    )
    expect(columns.attributes).toEqual({ displayName: 'Ward', externalId: 'g-2' })
    expect(members).toEqual([{ do: 'add', userIds: [a] }])
  })

  test('members alone change no attribute', () => {
    expect(patchGroup(ward, message({ op: 'add', path: 'members', value: [{ value: a }] })).changed).toBe(false)
  })
})
