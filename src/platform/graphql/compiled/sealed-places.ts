/**
 * Sealed texts in a compiled read: the statement answers each one's row and envelope between two characters that no JSON text holds, and
 * here they are opened as their fields' resolvers would, all of a page together, and written in their places.
 */
import type { Context } from '../context.ts'
import type { SealedRow } from '../sealed.ts'
import type { SealedRead } from './marks.ts'

/** What is opened at a place, and which column of which rows it stands in: places of one column share their rows. */
export interface SealedPlace {
  readonly read: SealedRead
  readonly envelope: string
}

/**
 * SQL of the place of one sealed text.
 * @param at of the place among the plan's.
 * @param envelope null where another place before this one holds the same row's.
 */
export const sealedPlace = (at: number, id: string, envelope: string | null): string =>
  `(E'\\x02${at}|' || ${id} || '|' || ${envelope === null ? '' : `${envelope} || `}E'\\x03')`

/** The answer with its sealed texts opened. @throws what the first field that fails would: nothing may be answered then. */
export async function fillPlaces(answer: string, sealed: readonly SealedPlace[], context: Context): Promise<string> {
  const rows = new Map(sealed.map(({ envelope }) => [envelope, new Map<string, SealedRow>()]))
  const between: string[] = []
  const opening: Promise<string | null>[] = []
  let at = 0
  for (let from = answer.indexOf('\u0002'); from >= 0; from = answer.indexOf('\u0002', at)) {
    between.push(answer.slice(at, from))
    const idAt = answer.indexOf('|', from) + 1
    const phiAt = answer.indexOf('|', idAt) + 1
    const to = answer.indexOf('\u0003', phiAt)
    if (idAt === 0 || phiAt === 0 || to < 0) throw new Error('A place in a compiled answer has no end.')
    const { read, envelope } = sealed[Number(answer.slice(from + 1, idAt - 1))]!
    const id = answer.slice(idAt, phiAt - 1)
    const known = rows.get(envelope)!
    let row = known.get(id)
    if (!row) known.set(id, (row = { id, phi: answer.slice(phiAt, to) }))
    opening.push(read(context, row))
    at = to + 1
  }
  const opened = await Promise.all(opening)
  let text = ''
  for (const [which, value] of opened.entries()) text += between[which]! + JSON.stringify(value)
  return text + answer.slice(at)
}
