/** Care's sealed columns: how they are sealed, who may open them, and the readers through which the graph opens them. */
import { Fault } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { JsonValue } from '../../platform/crypto/seal.ts'
import { sealedReader, type OpenedRecord, type SealedReader, type SealedRow } from '../../platform/graphql/sealed.ts'
import { sealedValueUnreadable, subjectErased, type Vault } from '../vault/contract.ts'
import type { CircleRepo } from './circle/repo.ts'
import { reachOf, type CareReach } from './reach.ts'

const field = 'phi'

/** A row whose envelope is sealed with this subject's key. */
interface Owned extends SealedRow {
  readonly subjectId: string
}

/**
 * A party who is linked to more recipients than these stands in a profession, and its name in nobody's record; a read of it is recorded
 * without a subject. It also bounds the audit rows of one read.
 */
const mostSubjects = 8

export interface CareSeals {
  /** @throws KEYS_UNAVAILABLE, SUBJECT_ERASED */
  seal(scope: Scope, model: 'CareRecipient' | 'CareParty', row: Omit<Owned, 'phi'>, record: Record<string, JsonValue>): Promise<string>
  /** One recipient's envelope, to change it. Asks for no reach: its caller did. @throws KEYS_UNAVAILABLE, SUBJECT_ERASED */
  openRecipient(scope: Scope, row: SealedRow): Promise<OpenedRecord>
  readonly readRecipient: SealedReader<SealedRow>
  /** What is disclosed to the caller: which fields, its caller has looked at. */
  readonly readDisclosed: SealedReader<SealedRow>
  /** Of parties that are no recipients. */
  readonly readParty: SealedReader<SealedRow>
}

export function createSeals({ vault, reach, circle }: { vault: Vault; reach: CareReach; circle: CircleRepo }): CareSeals {
  const open = async (scope: Scope, model: string, rows: readonly Owned[]): Promise<(OpenedRecord | Fault)[]> => {
    if (rows.length === 0) return []
    const items = rows.map(({ id, subjectId, phi }) => ({ subjectId, model, field, rowId: id, sealed: phi }))
    const { records, refusals } = await vault.open(scope, { items })
    return records.map((record, at) => record ?? (refusals[at] === 'KEY_DESTROYED' ? subjectErased() : sealedValueUnreadable()))
  }
  const ownedByItself = <Row extends SealedRow>(row: Row) => ({ ...row, subjectId: row.id })

  return {
    async seal(scope, model, { id, subjectId }, record) {
      const { sealed } = await vault.seal(scope, { items: [{ subjectId, model, field, rowId: id, record }] })
      return sealed[0]!
    },

    async openRecipient(scope, row) {
      const [record] = await open(scope, 'CareRecipient', [ownedByItself(row)])
      if (record instanceof Fault) throw record
      return record!
    },

    readRecipient: sealedReader<SealedRow>({
      resource: 'CareRecipient',
      subjectsOf: async (_scope, rows) => rows.map(({ id }) => [id]),
      async mayOpen(scope, rows) {
        // The policies showed the rows already.
        if (reachOf(scope, 'phi:read') === 'T') return rows.map(() => true)
        const covered = await reach.covered(scope, rows.map(({ id }) => id), 'phi:read', 'PHI')
        return rows.map(({ id }) => covered.has(id))
      },
      open: (scope, rows) => open(scope, 'CareRecipient', rows.map(ownedByItself)),
    }),

    readDisclosed: sealedReader<SealedRow>({
      resource: 'CareRecipient',
      subjectsOf: async (_scope, rows) => rows.map(({ id }) => [id]),
      // The policies showed an envelope only where a live grant is.
      mayOpen: async (scope, rows) => rows.map(() => reachOf(scope, 'phi:read') === 'G'),
      open: (scope, rows) => open(scope, 'CareRecipient', rows.map(ownedByItself)),
    }),

    readParty: sealedReader<SealedRow>({
      resource: 'CareParty',
      async subjectsOf(scope, rows) {
        const linked = await circle.recipientsOf(scope, rows.map(({ id }) => id), mostSubjects + 1)
        return rows.map(({ id }) => {
          const recipients = linked.get(id) ?? []
          return recipients.length > mostSubjects ? [] : recipients
        })
      },
      async mayOpen(scope, rows) {
        const letter = reachOf(scope, 'phi:read')
        if (letter === 'T') return rows.map(() => true)
        if (letter !== 'N' && letter !== 'S') return rows.map(() => false)
        const openable = await circle.openableParties(scope, rows.map(({ id }) => id), letter === 'S')
        return rows.map(({ id }) => openable.has(id))
      },
      open: (scope, rows) => open(scope, 'CareParty', rows.map(ownedByItself)),
    }),
  }
}
