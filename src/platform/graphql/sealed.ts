/**
 * The one way a sealed column reaches an answer: the rows of a page are gathered, those the caller may open are opened together,
 * and each record read leaves an audit row with the names of the fields that were asked for. Refuses the rest field by field.
 */
import DataLoader, { type CacheMap } from 'dataloader'
import { Fault, fault } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { JsonValue } from '../crypto/seal.ts'
import type { Context } from './context.ts'

export const phiNotGranted = fault('denied', 'PHI_NOT_GRANTED', 'You may see this record, but not its protected fields.')

/** A row with its sealed column, as the database has it. */
export interface SealedRow {
  readonly id: string
  readonly phi: string
}

export type OpenedRecord = Readonly<Record<string, JsonValue>>

/** A protected field's value as text. */
export const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)

/** What the owner of a sealed column decides and does for a page of its rows. Answers are in the order of the rows. */
export interface SealedColumn<Row extends SealedRow> {
  /** Kind of record in the audit trail, for example `CareRecipient`. */
  readonly resource: string
  /** The recipients to whose records each row belongs, for "who looked at my record"; the read is told to each of them. */
  subjectsOf(scope: Scope, rows: readonly Row[]): Promise<readonly (readonly string[])[]>
  /** Which rows the caller may open. */
  mayOpen(scope: Scope, rows: readonly Row[]): Promise<readonly boolean[]>
  /** The opened records, or why one does not open. */
  open(scope: Scope, rows: readonly Row[]): Promise<readonly (OpenedRecord | Fault)[]>
}

/** The named fields of one row. @throws PHI_NOT_GRANTED, or why it does not open: the field is null then, with that code. */
export type SealedReader<Row extends SealedRow> = (context: Context, row: Row, fields: readonly string[]) => Promise<OpenedRecord>

interface Read {
  readonly outcome: OpenedRecord | Fault
  /** Already in the audit entry, which is written when the operation ends. */
  readonly fields: string[]
}

/**
 * Reads under way by row, and by what is sealed in it: a mutation later in the same operation seals the row anew, and a value that somebody
 * moved here from another row must not be answered as that row's was.
 */
class ReadsByRow<Row extends SealedRow> implements CacheMap<Row, Promise<Read>> {
  readonly #of = new Map<string, { readonly phi: string; readonly read: Promise<Read> }[]>()

  get({ id, phi }: Row): Promise<Read> | undefined {
    for (const one of this.#of.get(id) ?? []) if (one.phi === phi) return one.read
    return undefined
  }

  set({ id, phi }: Row, read: Promise<Read>): void {
    const others = this.#of.get(id)
    if (others) others.push({ phi, read })
    else this.#of.set(id, [{ phi, read }])
  }

  delete({ id }: Row): void {
    this.#of.delete(id)
  }

  clear(): void {
    this.#of.clear()
  }
}

/** Rows opened in one go: a page, and the pages beside it. */
const batchSize = 500

export function sealedReader<Row extends SealedRow>(column: SealedColumn<Row>): SealedReader<Row> {
  const load = async (scope: Scope, rows: readonly Row[]): Promise<Read[]> => {
    const allowed = await column.mayOpen(scope, rows)
    const opened = await column.open(scope, rows.filter((_, at) => allowed[at]))
    const subjects = await column.subjectsOf(scope, rows)
    let next = 0
    return rows.map((row, at) => {
      const outcome = allowed[at] ? opened[next++]! : phiNotGranted()
      const fields: string[] = []
      const told = subjects[at]!
      for (const subjectId of told.length > 0 ? told : [null]) {
        scope.unit.record({
          action: 'phi.read',
          resource: column.resource,
          resourceId: row.id,
          subjectId,
          outcome: !(outcome instanceof Fault) ? 'done' : phiNotGranted.is(outcome) ? 'denied' : 'failed',
          detail: { fields },
        })
      }
      return { outcome, fields }
    })
  }

  return async (context, row, fields) => {
    let loader = context.gathering.get(column) as DataLoader<Row, Read> | undefined
    if (!loader) {
      loader = new DataLoader((rows) => load(context.scope, rows), { cacheMap: new ReadsByRow<Row>(), maxBatchSize: batchSize })
      context.gathering.set(column, loader)
    }
    const read = await loader.load(row)
    for (const field of fields) if (!read.fields.includes(field)) read.fields.push(field)
    if (read.outcome instanceof Fault) throw read.outcome
    return read.outcome
  }
}
