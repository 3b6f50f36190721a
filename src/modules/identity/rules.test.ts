import { describe, expect, it } from 'vitest'
import { cells } from '../../kernel/machine.ts'
import type { Machine } from '../../kernel/machine.ts'
import { invitationMachine, membershipMachine, sessionMachine } from './rules.ts'

// The law, written a second time and the other way round: a row a state, a column an event, '-' where it is refused.
const laws: { name: string; of: Machine<string, string>; law: string }[] = [
  {
    name: 'an invitation',
    of: invitationMachine as Machine<string, string>,
    law: `
               send  open  accept    expire   resend  revoke
      CREATED  SENT  -     -         -        -       REVOKED
      SENT     -     SEEN  -         EXPIRED  -       REVOKED
      SEEN     -     -     ACCEPTED  EXPIRED  -       REVOKED
      ACCEPTED -     -     -         -        -       -
      EXPIRED  -     -     -         -        SENT    -
      REVOKED  -     -     -         -        -       -`,
  },
  {
    name: 'a membership',
    of: membershipMachine as Machine<string, string>,
    law: `
                activate  suspend    resume  end
      PENDING   ACTIVE    -          -       ENDED
      ACTIVE    -         SUSPENDED  -       ENDED
      SUSPENDED -         -          ACTIVE  ENDED
      ENDED     -         -          -       -`,
  },
  {
    name: 'a session',
    of: sessionMachine as Machine<string, string>,
    law: `
               rotate  revoke   reuse    idle     expire
      ACTIVE   ACTIVE  REVOKED  REVOKED  EXPIRED  EXPIRED
      REVOKED  -       -        -        -        -
      EXPIRED  -       -        -        -        -`,
  },
]

describe.each(laws)('$name', ({ of, law }) => {
  const [head, ...rows] = law.trim().split('\n').map((line) => line.trim().split(/\s+/))
  const wanted = new Map(rows.flatMap(([state, ...tos]) => tos.map((to, column) => [`${state} ${head![column]}`, to === '-' ? null : to])))

  it('has exactly the states and events of the law', () => {
    expect(new Set(of.states)).toEqual(new Set(rows.map(([state]) => state)))
    expect(new Set(of.events)).toEqual(new Set(head))
    expect(of.initial).toBe(rows[0]![0])
  })

  it.each([...cells(of)])('in $state on $event goes to $to', ({ state, event }) => {
    const to = wanted.get(`${state} ${event}`)
    expect(to).not.toBeUndefined()
    if (to === null) expect(() => of.next(state, event)).toThrow(expect.objectContaining({ code: 'INVALID_TRANSITION' }))
    else expect(of.next(state, event)).toBe(to)
  })
})
