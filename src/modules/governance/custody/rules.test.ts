/** A tenant's leaving, cell by cell: what is not listed is refused, and the database's own table of moves is the same. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cells } from '../../../kernel/machine.ts'
import { readConfig } from '../../../platform/config.ts'
import { offboardingStates } from './contract.ts'
import { eventTo, offboardingMachine } from './rules.ts'

const moves = [...cells(offboardingMachine)].filter(({ to }) => to !== null).map(({ state, to }) => `${state} ${to}`)

test('every cell of the table is walked; from the first destroyed key on nobody cancels, and what is over stays over', () => {
  expect([...offboardingMachine.states].sort()).toEqual([...offboardingStates].sort())
  expect([...cells(offboardingMachine)]).toHaveLength(offboardingStates.length * 6)
  expect(moves.toSorted()).toEqual([
    'CLOSED CANCELLED', 'CLOSED EXPORTED', 'EXPORTED CANCELLED', 'EXPORTED SHREDDING', 'SHREDDING SWEPT', 'SWEPT DONE', 'WAITING CANCELLED',
    'WAITING CLOSED',
  ])
  for (const [to, event] of Object.entries(eventTo)) expect(moves.some((move) => move.endsWith(to)), event).toBe(true)
})

test('the trigger in the database makes the same moves', () => {
  const sql = readFileSync(join(import.meta.dirname, '../../../../prisma/migrations/20261121072000_custody/migration.sql'), 'utf8')
  const pairs = [...sql.slice(sql.indexOf('(old.state, new.state)')).matchAll(/\('([A-Z]+)', '([A-Z]+)'\)/g)].map(([, from, to]) => `${from} ${to}`)
  expect(pairs.toSorted()).toEqual(moves.toSorted())
})

test('the waiting period is 30 days unless told, and below a day only in a demo', () => {
  expect(readConfig({}).offboardingWaitHours).toBe(720)
  for (const hours of ['0', '23']) {
    expect(() => readConfig({ MARISTAN_DEMO: '0', OFFBOARDING_WAIT_HOURS: hours })).toThrow('OFFBOARDING_WAIT_HOURS: write at least 24')
    expect(readConfig({ MARISTAN_DEMO: '1', OFFBOARDING_WAIT_HOURS: hours }).offboardingWaitHours).toBe(Number(hours))
  }
  expect(readConfig({ MARISTAN_DEMO: '0', OFFBOARDING_WAIT_HOURS: '24' }).offboardingWaitHours).toBe(24)
  for (const bad of ['-1', '8761', 'soon']) expect(() => readConfig({ OFFBOARDING_WAIT_HOURS: bad })).toThrow('OFFBOARDING_WAIT_HOURS')
})
