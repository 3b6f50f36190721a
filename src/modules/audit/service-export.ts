/** Audit's proof: handing the trail out so that anybody can verify it, and verifying it here. Both leave a line. */
import type { Scope } from '../../kernel/scope.ts'
import { need } from '../../platform/authorise.ts'
import { checked } from '../../platform/contract.ts'
import type { Sink } from '../../platform/ledger/sink.ts'
import { auditMethods, chainBroken, mostExported, mostVerified, type Audit, type Verdict } from './contract.ts'
import { exportBatch } from './export.ts'
import { prove, readAnchors } from './prove.ts'
import type { ExportRepo } from './repo-export.ts'

const permission = 'audit:export'

/** The operator keeps the chain and the jobs watch it; everybody else needs the permission. */
function mayExport(scope: Scope): void {
  if (scope.actor.kind !== 'operator' && scope.actor.kind !== 'system') need(scope, permission)
}

export function createProof({ repo, sink }: { repo: ExportRepo; sink: () => Sink }): Pick<Audit, 'exportBatch' | 'verifyChain'> {
  /** Texts of batches in a row, at most `mostVerified` lines. */
  async function* batches(scope: Scope, first: number): AsyncGenerator<string> {
    for (let after = first; after < first + mostVerified; ) {
      const batch = await exportBatch(repo, scope, { after, most: mostExported, selection: {} })
      yield batch.text
      if (batch.last) return
      after = batch.seq
    }
  }

  return checked({ exportBatch: auditMethods.exportBatch, verifyChain: auditMethods.verifyChain }, {
    async exportBatch(scope, { after, most, subjectId, actorId }) {
      mayExport(scope)
      const batch = await exportBatch(repo, scope, { after, most, selection: { subjectId, actorId } })
      const detail = { after, lines: batch.lines, by: [...(subjectId ? ['subjectId'] : []), ...(actorId ? ['actorId'] : [])] }
      scope.unit.record({ action: 'audit.exported', resource: 'AuditEvent', outcome: 'done', detail })
      return batch
    },

    async verifyChain(scope, { after }): Promise<Verdict> {
      mayExport(scope)
      const newest = Math.max(0, (await repo.head(scope)) - mostVerified)
      const first = Math.max(after ?? newest, await repo.retiredThrough(scope))
      // Checkpoints of lines beyond the last batch cannot be asked for: only a look at the whole end of the chain shows a cut.
      const reachesEnd = (await repo.head(scope)) <= first + mostVerified
      // A minute a checkpoint: reading a year of them for the newest lines would take longer than the proof.
      const anchors = await readAnchors(sink(), { about: scope.tenantId, since: await repo.timeOf(scope, first) })
      const report = await prove(batches(scope, first), anchors, {
        from: first > 0 ? 'anywhere' : 'start',
        to: reachesEnd ? 'end' : 'anywhere',
      })
      const seq = report.firstBad?.seq ?? null
      scope.unit.record({
        action: 'audit.chain_verified',
        resource: 'AuditEvent',
        outcome: report.ok ? 'done' : 'failed',
        detail: { rows: report.rows, after: first, ...(seq === null ? {} : { firstBad: seq }) },
      })
      if (seq !== null) scope.unit.publish(chainBroken, scope.tenantId, { seq })
      const { ok, rows, from, checkpoints, firstBad } = report
      return {
        ok,
        rows,
        from,
        head: report.head.seq,
        checkpoints,
        anchored: report.anchored?.seq ?? null,
        unanchored: report.unanchored.rows,
        unsealed: report.unanchored.unsealed,
        firstBad,
      }
    },
  })
}
