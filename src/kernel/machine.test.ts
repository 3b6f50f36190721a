import { describe, expect, it } from 'vitest'
import { cells, invalidTransition, machine } from './machine.ts'

const door = machine({
  initial: 'CLOSED',
  moves: [
    { from: 'CLOSED', event: 'open', to: 'OPEN' },
    { from: 'OPEN', event: 'close', to: 'CLOSED' },
    { from: ['CLOSED', 'OPEN'], event: 'wall', to: 'WALLED', by: 'mason' },
  ],
})

describe('a state machine', () => {
  it('makes the moves its table lists', () => {
    expect(door.next('CLOSED', 'open')).toBe('OPEN')
    expect(door.next('OPEN', 'wall')).toBe('WALLED')
  })

  it('walks every cell, and refuses each one that the table does not list', () => {
    const walked = [...cells(door)]
    expect(walked).toHaveLength(door.states.length * door.events.length)
    expect(walked.filter(({ to }) => to !== null)).toHaveLength(4)
    for (const { state, event, to } of walked) {
      const refusal = expect.objectContaining({ code: 'INVALID_TRANSITION', kind: 'conflict' })
      if (to === null) expect(() => door.next(state, event)).toThrow(refusal)
      else expect(door.next(state, event)).toBe(to)
    }
  })

  it('refuses states and events it has never heard of', () => {
    for (const [state, event] of [['AJAR', 'open'], ['CLOSED', 'kick'], ['__proto__', 'constructor'], ['', '']] as const) {
      const attempt = () => door.next(state as 'OPEN', event as 'open')
      expect(attempt).toThrow(invalidTransition({ state, event }))
    }
  })

  it('does not start from a table that contradicts itself', () => {
    const moves = [{ from: 'A', event: 'go', to: 'B' }, { from: ['A', 'B'], event: 'go', to: 'A' }] as const
    expect(() => machine({ initial: 'A', moves })).toThrow('Two moves leave A by go')
  })

  it('does not start from a table with a state nobody can reach', () => {
    const moves = [{ from: 'A', event: 'go', to: 'B' }, { from: 'C', event: 'go', to: 'B' }] as const
    expect(() => machine({ initial: 'A', moves })).toThrow('from A to C')
  })
})
