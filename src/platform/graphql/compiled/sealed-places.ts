/**
 * Sealed texts in a compiled read: the statement answers each one's row and envelope between two characters that no JSON text holds, and
 * here they are opened by the readers that their fields' resolvers ask, all of a page together, and written in their places.
 */
import type { Context } from '../context.ts'
import { textOf, type SealedReader, type SealedRow } from '../sealed.ts'

/** A sealed column of rows that a statement reads, and how it is opened. */
export interface SealedSource {
  /** SQL of the column. */
  readonly envelope: string
  readonly read: SealedReader<SealedRow>
}

/** A text inside it. Places of one source share its rows. */
export interface SealedPlace {
  readonly source: SealedSource
  readonly name: string
}

/**
 * SQL of the place of one sealed text.
 * @param at of the place among the plan's.
 * @param envelope null where another place before this one holds the same row's.
 */
export const sealedPlace = (at: number, id: string, envelope: string | null): string =>
  `(E'\\x02${at}|' || ${id} || '|' || ${envelope === null ? '' : `${envelope} || `}E'\\x03')`

/** A row, and the names that are asked of it. */
interface Asked {
  readonly source: SealedSource
  readonly row: SealedRow
  readonly names: string[]
}

/** The answer with its sealed texts opened. @throws what the first field that fails would: nothing may be answered then. */
export async function fillPlaces(answer: string, sealed: readonly SealedPlace[], context: Context): Promise<string> {
  const known = new Map(sealed.map(({ source }) => [source, new Map<string, number>()]))
  const asked: Asked[] = []
  const places: { readonly before: string; readonly of: number; readonly name: string }[] = []
  let at = 0
  for (let from = answer.indexOf('\u0002'); from >= 0; from = answer.indexOf('\u0002', at)) {
    const idAt = answer.indexOf('|', from) + 1
    const phiAt = answer.indexOf('|', idAt) + 1
    const to = answer.indexOf('\u0003', phiAt)
    if (idAt === 0 || phiAt === 0 || to < 0) throw new Error('A place in a compiled answer has no end.')
    const { source, name } = sealed[Number(answer.slice(from + 1, idAt - 1))]!
    const id = answer.slice(idAt, phiAt - 1)
    const rows = known.get(source)!
    let of = rows.get(id)
    if (of === undefined) {
      of = asked.push({ source, row: { id, phi: answer.slice(phiAt, to) }, names: [] }) - 1
      rows.set(id, of)
    }
    asked[of]!.names.push(name)
    places.push({ before: answer.slice(at, from), of, name })
    at = to + 1
  }
  const opened = await Promise.all(asked.map(({ source, row, names }) => source.read(context, row, names)))
  let text = ''
  for (const { before, of, name } of places) text += before + JSON.stringify(textOf(opened[of]![name]))
  return text + answer.slice(at)
}
