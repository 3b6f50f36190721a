/** Cursors: an hour long, for one question, and nothing but a place in the caller's own list (RFC 9865). */
import { expect, test } from 'vitest'
import { newId } from '../../../kernel/id.ts'
import { readCursor, writeCursor, type Question } from './cursor.ts'
import { scimLimits } from './limits.ts'

const question: Question = ['User', newId(), 'active eq true', undefined, 'ascending']
const place = { after: newId(), offset: 0, total: 12 }
const code = (value: string) => expect.objectContaining({ code: value }) as Error

test('a cursor leads on for an hour, and then answers expiredCursor', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z')
  const cursor = writeCursor(place, question, nowMs)
  const hourMs = scimLimits.cursorSeconds * 1_000
  expect(readCursor(cursor, question, nowMs + hourMs)).toEqual(place)
  expect(() => readCursor(cursor, question, nowMs + hourMs + 1_000)).toThrow(code('SCIM_EXPIRED_CURSOR'))
})

test('a cursor of another question, of another connection or made up answers invalidCursor', () => {
  const cursor = writeCursor(place, question, 0)
  for (const at of question.keys()) {
    expect(() => readCursor(cursor, question.with(at, 'other'), 0), String(at)).toThrow(code('SCIM_INVALID_CURSOR'))
  }
  const made = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  for (const text of ['%', '', made([]), made({}), made([1, 2, 3, 4, 5]), made(['x', 0, 0, 0, 'y'.repeat(16)]), 'A'.repeat(10_000)]) {
    expect(() => readCursor(text, question, 0), text.slice(0, 20)).toThrow(code('SCIM_INVALID_CURSOR'))
  }
})
