/**
 * Cursors (RFC 9865): where a list goes on, for the same question within an hour. A cursor carries neither tenant nor trust: whatever is
 * written into one only moves within the caller's own connection.
 */
import { z } from 'zod'
import { isUuid } from '../../../kernel/id.ts'
import { sha256Hex } from '../../../platform/crypto/hash.ts'
import { scimLimits } from './limits.ts'
import { expiredCursor, invalidCursor } from './schema/faults.ts'

export interface Cursor {
  /** The last id that was answered; null where a sorted list goes on by its offset. */
  readonly after: string | null
  readonly offset: number
  /** As counted on the first page. */
  readonly total: number
}

const shape = z.tuple([
  z.string().refine((text) => text === '' || isUuid(text)),
  z.int().min(0),
  z.int().min(0),
  z.int().min(0),
  z.string().length(16),
])

/** What makes two pages parts of one list. */
export type Question = readonly (string | undefined)[]

const digest = (question: Question): string => sha256Hex(JSON.stringify(question.map((part) => part ?? null))).slice(0, 16)

export function writeCursor({ after, offset, total }: Cursor, question: Question, nowMs: number): string {
  return Buffer.from(JSON.stringify([after ?? '', offset, total, Math.floor(nowMs / 1_000), digest(question)])).toString('base64url')
}

/** @throws SCIM_INVALID_CURSOR for another question's or a made-up one, SCIM_EXPIRED_CURSOR */
export function readCursor(text: string, question: Question, nowMs: number): Cursor {
  let written: unknown
  try {
    if (text.length > 400) throw new Error('too long')
    written = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    throw invalidCursor()
  }
  const read = shape.safeParse(written)
  if (!read.success || read.data[4] !== digest(question)) throw invalidCursor()
  const [after, offset, total, atSeconds] = read.data
  if (atSeconds + scimLimits.cursorSeconds < nowMs / 1_000) throw expiredCursor()
  return { after: after === '' ? null : after, offset, total }
}
