/** What the officer's report holds: lines out of an export, so that what is read is what is proven. Ids and codes only, as in the trail. */
import type { LineColumn } from '../../../platform/ledger/chain.ts'

export interface ReportLine {
  readonly seq: number | null
  readonly event: Readonly<Record<LineColumn, string | null>>
}

export interface ReportScope {
  readonly tenant: string
  readonly recipient: string | null
  readonly actor: string | null
  /** From this moment on, and until before that one; ISO 8601. */
  readonly from: string | null
  readonly to: string | null
}

export interface AuditReport {
  readonly scope: ReportScope
  readonly madeAt: string
  /** The chain as it stood: the lines are those of this head. */
  readonly head: { readonly seq: number; readonly hash: string | null }
  readonly lines: readonly ReportLine[]
}

/** More than a person reads; an export has no such bound. */
export const mostReportLines = 20_000

/** @throws when there are more than {@link mostReportLines}: the period is to be made shorter. */
export async function collectReport(batches: AsyncIterable<{ readonly text: string }>, scope: ReportScope, madeAt: Date): Promise<AuditReport> {
  const lines: ReportLine[] = []
  let head: AuditReport['head'] = { seq: 0, hash: null }
  for await (const { text } of batches) {
    for (const json of text.split('\n')) {
      if (json === '') continue
      const line = JSON.parse(json) as { kind?: string; seq: number; hash: string; event?: ReportLine['event'] | null }
      if (line.kind === 'end') head = { seq: line.seq, hash: line.hash }
      if (!line.event || !isWanted(line.event, scope)) continue
      lines.push({ seq: line.seq, event: line.event })
      if (lines.length > mostReportLines) {
        throw new Error(`There are more than ${mostReportLines} lines. Name a shorter period with --from and --to, or use maristan audit export.`)
      }
    }
  }
  return { scope, madeAt: madeAt.toISOString(), head, lines }
}

function isWanted(event: ReportLine['event'], { recipient, actor, from, to }: ReportScope): boolean {
  const at = Date.parse(event.at ?? '')
  return (
    (recipient === null || event.subject_id === recipient) &&
    (actor === null || event.actor_id === actor) &&
    (from === null || at >= Date.parse(from)) &&
    (to === null || at < Date.parse(to))
  )
}
