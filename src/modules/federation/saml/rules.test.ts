import { describe, expect, it } from 'vitest'
import { cells } from '../../../kernel/machine.ts'
import { connectionMachine, connectionsFor, dueWarning, maySpeakFor, ownPath, redacted, roleByRules, signingStates } from './rules.ts'

describe('a connection', () => {
  it('makes the moves its table lists and refuses each other one', () => {
    const walked = [...cells(connectionMachine)]
    expect(walked).toHaveLength(connectionMachine.states.length * connectionMachine.events.length)
    for (const { state, event, to } of walked) {
      if (to === null) expect(() => connectionMachine.next(state, event)).toThrow(expect.objectContaining({ code: 'INVALID_TRANSITION' }))
      else expect(connectionMachine.next(state, event)).toBe(to)
    }
  })

  it('signs nobody in before it was tested and activated, or after it was disabled', () => {
    expect(connectionMachine.states.filter((state) => !signingStates.includes(state))).toEqual(['DRAFT', 'CONFIGURED', 'TESTED', 'DISABLED'])
    expect(connectionMachine.can('CONFIGURED', 'activate')).toBe(false)
    expect(connectionMachine.can('ACTIVE', 'configure')).toBe(false)
  })
})

describe('the role', () => {
  const rules = [
    { attribute: 'groups', value: 'a', role: 'clinician' },
    { attribute: 'groups', value: 'b', role: 'caregiver' },
    { attribute: 'title', value: 'a', role: 'care_coordinator' },
  ] as const

  it('is that of the first rule that matches, whatever the order of the values', () => {
    expect(roleByRules(rules, new Map([['groups', ['b', 'a']]]))).toBe('clinician')
    expect(roleByRules(rules, new Map([['groups', ['b']], ['title', ['a']]]))).toBe('caregiver')
  })

  it('is none for values that are only like those of a rule', () => {
    for (const values of [['A'], ['a '], ['ab'], ['a,b'], []]) expect(roleByRules(rules, new Map([['groups', values]]))).toBeNull()
    expect(roleByRules(rules, new Map([['Groups', ['a']]]))).toBeNull()
  })
})

describe('the connection of an address', () => {
  const north = { id: 'n', provenDomains: ['north.example'] }
  const south = { id: 's', provenDomains: ['north.example', 'south.example'] }
  const open = { id: 'o', provenDomains: [] }

  it('is the one that has proven its domain, both where two have, and one that has proven none where nobody has', () => {
    expect(connectionsFor([north, south, open], 'a@south.example')).toEqual([south])
    expect(connectionsFor([north, south, open], 'a@north.example')).toEqual([north, south])
    expect(connectionsFor([north, south, open], 'a@elsewhere.example')).toEqual([open])
    expect(connectionsFor([north, south, open], null)).toHaveLength(3)
  })

  it('never is one that has proven other domains only, or none where somebody has proven this one', () => {
    expect(maySpeakFor(north, [south, open], 'a@elsewhere.example')).toBe(false)
    expect(maySpeakFor(open, [north], 'a@north.example')).toBe(false)
    expect(maySpeakFor(open, [north], 'a@sub.north.example')).toBe(true)
  })
})

describe('the way back', () => {
  it('is a path of our own', () => {
    for (const path of ['/', '/rounds', '/a/b?c=d#e', '/%E2%82%AC']) expect(ownPath(path)).toBe(path)
  })

  it.each(['', 'rounds', '//evil.example', '/\\evil.example', '\\/evil', 'https://evil.example', 'javascript:alert(1)', '/a\nb', '/a b', '/é', '/..//evil.example', '/'.repeat(501), null, undefined])(
    'is the start for %j',
    (wanted) => expect(ownPath(wanted)).toBe('/'),
  )
})

it('what is redacted keeps no value that names somebody', () => {
  expect([redacted('noor@hospital.example'), redacted('Noor Haddad'), redacted('x'), redacted('')]).toEqual(['n…@hospital.example', 'N… (11)', '…', '…'])
})

it('a warning is due once at 30, 7 and 1 days', () => {
  const at = (days: number) => new Date(days * 86_400_000)
  expect([40, 30, 29, 7, 6, 1, 0, -3].map((days) => dueWarning(at(days), 0, null))).toEqual([null, 30, 30, 7, 7, 1, 1, 1])
  const instant = 1 / 86_400_000
  expect([30 + instant, 30, 7 + instant, 7, 1 + instant, 1].map((days) => dueWarning(at(days), 0, null))).toEqual([null, 30, 30, 7, 7, 1])
  expect([[30, 30], [8, 30], [7, 30], [3, 7], [1, 7], [0, 1]].map(([days, warned]) => dueWarning(at(days!), 0, warned!))).toEqual([null, null, 7, null, 1, null])
})
