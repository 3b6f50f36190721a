/**
 * Sealed texts in a compiled read: the statement answers each one's row and envelope between two characters that no JSON text holds, and
 * here they are opened as their fields' resolvers would, all of a page together, and written in their places.
 */
import type { Context } from '../context.ts'
import type { SealedRow } from '../sealed.ts'
import { literal } from './json-text.ts'
import type { SealedRead } from './marks.ts'

/**
 * SQL of the place of one sealed text.
 * @param envelope null where another place before this one holds the same row's.
 */
export const sealedPlace = (read: number, table: string, id: string, envelope: string | null): string =>
  `(E'\\x02${read}|' || ${literal(`${table}|`)} || ${id} || '|' || ${envelope === null ? '' : `${envelope} || `}E'\\x03')`

/** The answer with its sealed texts opened. @throws what the first field that fails would: nothing may be answered then. */
export async function fillPlaces(answer: string, sealed: readonly SealedRead[], context: Context): Promise<string> {
  const rows = new Map<string, SealedRow>()
  const between: string[] = []
  const opening: Promise<string | null>[] = []
  let at = 0
  for (let from = answer.indexOf('\u0002'); from >= 0; from = answer.indexOf('\u0002', at)) {
    between.push(answer.slice(at, from))
    const to = answer.indexOf('\u0003', from)
    if (to < 0) throw new Error('A place in a compiled answer has no end.')
    const [read, table, id, ...phi] = answer.slice(from + 1, to).split('|') as [string, string, string, ...string[]]
    const key = `${table} ${id}`
    let row = rows.get(key)
    if (!row) rows.set(key, (row = { id, phi: phi.join('|') }))
    opening.push(sealed[Number(read)]!(context, row))
    at = to + 1
  }
  const opened = await Promise.all(opening)
  let text = ''
  for (const [which, value] of opened.entries()) text += between[which]! + JSON.stringify(value)
  return text + answer.slice(at)
}
