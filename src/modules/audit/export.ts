/**
 * The export of a trail: JSON Lines that the verifier reads. A batch begins with its head (which chain, and where it goes on), holds
 * one line a link, and ends by saying where it ends; batches in a row verify as one, and each alone as a part. A line that is not
 * asked for is there with its digest only: that is the proof that those which are stand in the chain.
 */
import type { Scope } from '../../kernel/scope.ts'
import { genesis, lineColumns } from '../../platform/ledger/chain.ts'
import type { ExportRepo, LinkedLine } from './repo-export.ts'

/** Whose lines are shown; the others are there as digests. Nothing given: all are shown. */
export interface Selection {
  readonly subjectId?: string | undefined
  readonly actorId?: string | undefined
}

export interface Batch {
  /** JSON Lines, each ended by a line feed. */
  readonly text: string
  /** The number of the batch's last line. */
  readonly seq: number
  readonly lines: number
  /** Whether nothing comes after it. */
  readonly last: boolean
}

/** The most lines of the last moment that are shown unsealed; more are a fault of the sealer, which readiness tells. */
const mostUnlinked = 10_000

/** The next batch after line `after`. The last one shows what is not sealed yet, too, unless `sealedOnly`. */
export async function exportBatch(
  repo: ExportRepo,
  scope: Scope,
  { after: wanted, most, selection, sealedOnly = false }: { after: number; most: number; selection: Selection; sealedOnly?: boolean },
): Promise<Batch> {
  // What was removed after its time is in no export: the chain goes on from its signed end.
  const after = Math.max(wanted, await repo.retiredThrough(scope))
  const prev = after === 0 ? genesis(scope.tenantId).toString('hex') : await repo.hashAt(scope, after)
  const found = await repo.linked(scope, { after, most, selection })
  const last = found.length < most
  const head = { kind: 'maristan.audit.export', version: 1, tenant: scope.tenantId, after, prev: prev ?? '' }
  const unlinked = last && !sealedOnly ? await repo.unlinked(scope, { most: mostUnlinked, selection }) : []
  const end = found.at(-1)
  const lines = [
    head,
    ...found.map(lineOf),
    ...unlinked.map((text) => ({ seq: null, event: eventOf(text) })),
    { kind: 'end', seq: end?.seq ?? after, hash: end?.hash ?? prev, lines: found.length },
  ]
  return {
    text: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    seq: end?.seq ?? after,
    lines: found.length,
    last,
  }
}

function lineOf({ seq, prev, hash, text, digest, wanted }: LinkedLine) {
  if (text === null) return { seq, prev, hash, event: null }
  return wanted ? { seq, prev, hash, event: eventOf(text) } : { seq, prev, hash, digest }
}

/** The columns by name, each as the text that was hashed. */
function eventOf(text: string): Record<string, string | null> {
  const values = JSON.parse(text) as (string | null)[]
  return Object.fromEntries(lineColumns.map((name, i) => [name, values[i] ?? null]))
}
