/** Computes what the blind index of a party must be, and makes it so. Where no field is switched on, it writes nothing. */
import type { Scope } from '../../../kernel/scope.ts'
import type { Vault } from '../../vault/contract.ts'
import type { IndexedParty, LookupRepo, Token } from './repo.ts'
import { kindOf, lookupFields, valueOf, type LookupField, type Opened } from './rules.ts'

/** A party's record, or null when it was erased; `isRecipient` says whose. */
export interface PartyRecord {
  readonly partyId: string
  readonly isRecipient: boolean
  readonly record: Opened | null
}

export function createIndexWriter({ repo, vault }: { repo: LookupRepo; vault: Vault }) {
  const indexed = async (scope: Scope): Promise<LookupField[]> => {
    const on = new Set((await repo.fields(scope)).filter(({ state }) => state !== 'MEASURED').map(({ field }) => field))
    return lookupFields.filter((field) => on.has(field))
  }

  /** In the order of the parties: every token under every generation that is in use. */
  const expected = async (scope: Scope, fields: readonly LookupField[], parties: readonly PartyRecord[]): Promise<Token[][]> => {
    const wanted = parties.flatMap(({ record, isRecipient }, at) =>
      fields
        // A party that is no recipient is found by its telephone alone.
        .filter((field) => record !== null && (isRecipient || field === 'phone'))
        .map((field) => ({ at, field, value: valueOf(field, record!) })),
    )
    const given = wanted.filter((one): one is typeof one & { value: string } => one.value !== null)
    const values = given.map(({ field, value }) => ({ field, kind: kindOf[field], value }))
    const { generations } = await vault.blind(scope, { values })
    const tokens: Token[][] = parties.map(() => [])
    for (const { generation, tokens: ofValues } of generations) {
      ofValues.forEach((words, n) => tokens[given[n]!.at]!.push(...words.map((token) => ({ field: given[n]!.field, generation, token }))))
    }
    return tokens
  }

  return {
    indexed,
    expected,

    /** Indexes one party anew, in the command that changes its record. */
    async write(scope: Scope, partyOf: () => Promise<string | null>, isRecipient: boolean, record: Opened): Promise<void> {
      const fields = await indexed(scope)
      if (fields.length === 0) return
      const partyId = await partyOf()
      if (partyId === null) return
      const [tokens] = await expected(scope, fields, [{ partyId, isRecipient, record }])
      await repo.lock(scope, [partyId])
      await repo.replace(scope, partyId, tokens!)
    },

    /** The records of these parties, opened for the index. */
    async records(scope: Scope, parties: readonly IndexedParty[]): Promise<PartyRecord[]> {
      const items = parties.map(({ id, phi, recipient }) =>
        recipient === null
          ? { subjectId: id, model: 'CareParty', field: 'phi', rowId: id, sealed: phi }
          : { subjectId: recipient.id, model: 'CareRecipient', field: 'phi', rowId: recipient.id, sealed: recipient.phi },
      )
      const { records } = items.length === 0 ? { records: [] } : await vault.open(scope, { items })
      return parties.map(({ id, recipient }, at) => ({ partyId: id, isRecipient: recipient !== null, record: records[at] ?? null }))
    },
  }
}

export type IndexWriter = ReturnType<typeof createIndexWriter>
