/** A tenant's trail as the audit commands read it: in batches of its export, each in a transaction of its own. */
import type { Audit } from '../modules/audit/contract.ts'
import type { Signer } from '../platform/ledger/checkpoint.ts'
import { createSealer } from '../platform/ledger/sealer.ts'
import type { Opened } from './open.ts'
import { operatorCaller } from './operator-scope.ts'

export const auditOf = ({ house }: Opened) => house.made['audit'] as unknown as { contract: Audit; signer: { current(): Signer } }

const linesABatch = 2_000

/** Whose lines are shown; of the others the digests are there. */
export interface Selected {
  readonly subjectId?: string
  readonly actorId?: string
}

/** Gives what was written up to now its place: a server that runs does so by itself, and two never do it at once. */
export function sealPending({ foundation: { databaseUrl, loginSecret }, log }: Opened): Promise<number> {
  return createSealer({ databaseUrl, loginSecret, log }).sealAll()
}

export async function* batchesOf(
  opened: Opened,
  tenantId: string,
  selected: Selected = {},
): AsyncGenerator<{ readonly text: string; readonly lines: number; readonly seq: number }> {
  const { contract } = auditOf(opened)
  for (let after = 0; ; ) {
    const unit = opened.foundation.database.unit(operatorCaller(tenantId))
    const batch = await unit.read(() => contract.exportBatch(unit.scope, { after, most: linesABatch, ...selected }))
    yield batch
    if (batch.last) return
    after = batch.seq
  }
}
