/**
 * Sealed texts in a compiled read: the statement answers each one's row and envelope between two characters that no JSON text holds, and
 * here they are opened as their fields' resolvers would, all of a page together, and written in their places.
 */
import type { Context } from '../context.ts'
import type { SealedRow } from '../sealed.ts'
import { literal } from './json-text.ts'
import type { SealedRead } from './marks.ts'

const placeForm = /\u0002(\d+)\|([^|\u0003]*)\|([0-9a-f-]{36})\|([^\u0003]*)\u0003/

/** SQL of the place of one sealed text. */
export const sealedPlace = (read: number, table: string, id: string, envelope: string): string =>
  `concat(E'\\x02', ${literal(`${read}|${table}|`)}, ${id}, '|', ${envelope}, E'\\x03')`

/** The answer with its sealed texts opened. @throws what the first field that fails would: nothing may be answered then. */
export async function fillPlaces(answer: string, sealed: readonly SealedRead[], context: Context): Promise<string> {
  const parts = answer.split(placeForm)
  const rows = new Map<string, SealedRow>()
  const opening: Promise<string | null>[] = []
  for (let at = 1; at < parts.length; at += 5) {
    const [read, table, id, phi] = parts.slice(at, at + 4) as [string, string, string, string]
    const key = `${table} ${id}`
    let row = rows.get(key)
    if (!row) rows.set(key, (row = { id, phi }))
    opening.push(sealed[Number(read)]!(context, row))
  }
  const opened = await Promise.all(opening)
  let text = parts[0]!
  for (const [at, value] of opened.entries()) text += JSON.stringify(value) + parts[at * 5 + 5]!
  return text
}
