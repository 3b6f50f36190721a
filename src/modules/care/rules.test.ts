import { describe, expect, test } from 'vitest'
import { cells } from '../../kernel/machine.ts'
import { newId } from '../../kernel/id.ts'
import { matrix } from '../access/contract.ts'
import { membersOf, type Hop } from './circle/rules.ts'
import {
  birthYearOf,
  capabilities,
  capabilityNeededFor,
  consentMachine,
  consentStateAt,
  covers,
  isLive,
  recipientMachine,
  refuseLink,
  settledCapabilities,
  type WantedLink,
} from './rules.ts'

const network = (...carried: string[]) => ({ self: false, guardian: false, capabilities: carried })

test('tenant-wide reach covers everybody, whatever the standing', () => {
  for (const standing of [undefined, network(), network('VIEW')]) expect(covers('T', standing, 'MANAGE')).toBe('covered')
})

test('network reach takes a live edge with the very capability; an edge without it shows the record and no more', () => {
  for (const wanted of capabilities) {
    for (const carried of capabilities) {
      expect(covers('N', network(carried), wanted)).toBe(carried === wanted ? 'covered' : 'missing')
    }
    expect(covers('N', undefined, wanted)).toBe('hidden')
    expect(covers('N', network(), wanted)).toBe('hidden')
    // A clinician does not treat herself, and guardianship belongs to the consumer plane.
    expect(covers('N', { self: true, guardian: true, capabilities: [] }, wanted)).toBe('hidden')
  }
})

test('own reach covers the recipient herself and whom she legally represents; a relative\'s edge is not enough', () => {
  expect(covers('S', { self: true, guardian: false, capabilities: [] }, 'PHI')).toBe('covered')
  expect(covers('S', { self: false, guardian: true, capabilities: ['VIEW'] }, 'PHI')).toBe('covered')
  expect(covers('S', network(...capabilities), 'VIEW')).toBe('hidden')
  expect(covers('S', undefined, 'VIEW')).toBe('hidden')
})

test('no permission, and reaches of other kinds of record, cover nobody', () => {
  for (const reach of [null, 'O', 'G'] as const) expect(covers(reach, { self: true, guardian: true, capabilities }, 'VIEW')).toBe('hidden')
})

test('every permission of the care network, and PHI, has its capability', () => {
  const guarded = matrix.filter(({ group }) => group === 'network').map(({ key }) => key)
  const withoutEdge = ['recipient:create', 'recipient:archive']
  const needing = [...guarded.filter((key) => !withoutEdge.includes(key)), 'phi:read', 'phi:write']
  expect(Object.keys(capabilityNeededFor).sort()).toEqual(needing.sort())
})

describe('a new link', () => {
  const wanted: WantedLink = {
    reach: 'N',
    standing: network('VIEW', 'PHI', 'MANAGE'),
    fromIsCaller: false,
    fromKind: 'FAMILY',
    toRecipientId: newId(),
    capabilities: ['VIEW', 'PHI'],
    legalGuardian: false,
  }
  const codeOf = (change: Partial<WantedLink>): string => {
    try {
      refuseLink({ ...wanted, ...change })
      return 'MADE'
    } catch (error) {
      return (error as { code: string }).code
    }
  }

  test('hands on what its maker holds', () => expect(codeOf({})).toBe('MADE'))

  test('never grants to its maker, whatever her reach', () => {
    for (const reach of ['T', 'N', 'S'] as const) expect(codeOf({ reach, fromIsCaller: true })).toBe('SELF_GRANT')
  })

  test('never hands on more than its maker holds in a network; the recipient herself and the tenant\'s staff are free', () => {
    expect(codeOf({ capabilities: ['VIEW', 'EDIT'] })).toBe('LINK_REFUSED')
    expect(codeOf({ capabilities: ['VIEW', 'EDIT'], standing: undefined })).toBe('LINK_REFUSED')
    expect(codeOf({ capabilities, reach: 'T', standing: undefined })).toBe('MADE')
    expect(codeOf({ capabilities, reach: 'S', standing: { self: true, guardian: false, capabilities: [] } })).toBe('MADE')
  })

  test('makes a legal guardian only from tenant-wide reach, of a relative, for a recipient', () => {
    expect(codeOf({ legalGuardian: true, reach: 'T' })).toBe('MADE')
    for (const reach of ['N', 'S'] as const) expect(codeOf({ legalGuardian: true, reach })).toBe('LINK_REFUSED')
    for (const fromKind of ['CLINICIAN', 'ORG', 'CAREGIVER', 'RECIPIENT']) {
      expect(codeOf({ legalGuardian: true, reach: 'T', fromKind })).toBe('LINK_REFUSED')
    }
    expect(codeOf({ legalGuardian: true, reach: 'T', toRecipientId: null })).toBe('LINK_REFUSED')
  })

  test('between others than recipients is the staff\'s', () => {
    expect(codeOf({ toRecipientId: null, reach: 'T' })).toBe('MADE')
    for (const reach of ['N', 'S'] as const) expect(codeOf({ toRecipientId: null, reach })).toBe('LINK_REFUSED')
  })

  test('carries each capability once, in one order, and VIEW always', () => {
    expect(settledCapabilities([])).toEqual(['VIEW'])
    expect(settledCapabilities(['MANAGE', 'PHI', 'MANAGE'])).toEqual(['VIEW', 'PHI', 'MANAGE'])
  })
})

test('every cell of the two machines is as written here', () => {
  const told = (machine: typeof consentMachine | typeof recipientMachine) =>
    [...cells(machine as typeof consentMachine)].map(({ state, event, to }) => `${state} ${event} ${to}`)
  expect(told(recipientMachine)).toEqual(['ACTIVE archive ARCHIVED', 'ARCHIVED archive null'])
  expect(told(consentMachine)).toEqual([
    'REQUESTED grant GRANTED',
    'REQUESTED withdraw WITHDRAWN',
    'REQUESTED expire EXPIRED',
    'GRANTED grant null',
    'GRANTED withdraw WITHDRAWN',
    'GRANTED expire EXPIRED',
    'WITHDRAWN grant null',
    'WITHDRAWN withdraw null',
    'WITHDRAWN expire null',
    'EXPIRED grant null',
    'EXPIRED withdraw null',
    'EXPIRED expire null',
  ])
})

test('time alone ends a consent that was open, and brings none back', () => {
  const at = (ms: number) => new Date(ms)
  expect(consentStateAt({ state: 'GRANTED', validTo: null }, 5)).toBe('GRANTED')
  expect(consentStateAt({ state: 'GRANTED', validTo: at(6) }, 5)).toBe('GRANTED')
  expect(consentStateAt({ state: 'GRANTED', validTo: at(5) }, 5)).toBe('EXPIRED')
  expect(consentStateAt({ state: 'REQUESTED', validTo: at(5) }, 6)).toBe('EXPIRED')
  expect(consentStateAt({ state: 'WITHDRAWN', validTo: at(5) }, 6)).toBe('WITHDRAWN')
})

test('a period holds from its first moment until just before its last', () => {
  const period = { validFrom: new Date(10), validTo: new Date(20) }
  expect([9, 10, 19, 20].map((now) => isLive(period, now))).toEqual([false, true, true, false])
  expect(isLive({ validFrom: new Date(10), validTo: null }, 1e15)).toBe(true)
  expect(isLive({ validFrom: new Date(10), validTo: new Date(10) }, 10)).toBe(false)
})

test('of a birth date only the year stays readable', () => {
  expect(birthYearOf('1941-03-27')).toBe(1941)
  expect(birthYearOf(undefined)).toBeNull()
})

describe('a network out of its hops', () => {
  const hop = (partyId: string, parentId: string | null, distance: number, ...carried: string[]): Hop => ({
    partyId,
    parentId,
    distance,
    capabilities: carried,
    relations: [],
    legalGuardian: false,
  })
  const hops = [
    hop('r', null, 0),
    hop('a', 'r', 1, 'MANAGE', 'VIEW', 'PHI'),
    hop('b', 'a', 2, 'VIEW', 'EDIT', 'PHI'),
    hop('c', 'b', 3, 'VIEW'),
  ]

  test('tells each party\'s way to the recipient, and what all of that way carries', () => {
    const { members, truncated } = membersOf(hops, 500)
    expect(members.map(({ path }) => path.join('>'))).toEqual(['r', 'a>r', 'b>a>r', 'c>b>a>r'])
    expect(members.map(({ capabilities: last }) => last.join())).toEqual(['', 'VIEW,PHI,MANAGE', 'VIEW,PHI,EDIT', 'VIEW'])
    expect(members.map(({ combined }) => combined.join())).toEqual(['', 'VIEW,PHI,MANAGE', 'VIEW,PHI', 'VIEW'])
    expect(truncated).toBe(false)
  })

  test('is cut at its bound, and says so', () => {
    const { members, truncated } = membersOf(hops, 2)
    expect(members.map(({ partyId }) => partyId)).toEqual(['r', 'a'])
    expect(truncated).toBe(true)
    expect(membersOf(hops, 4).truncated).toBe(false)
  })

  test('cannot hang in the air', () => expect(() => membersOf([hop('b', 'a', 2)], 500)).toThrow('has not been met'))
})
