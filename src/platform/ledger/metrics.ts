/** What operators watch of the ledger: how far sealing is behind, what was sealed, and how old the last checkpoint is. No label names a tenant. */
import { Counter, Gauge, type Registry } from 'prom-client'

export interface LedgerMetrics {
  /** A pass gave this many lines their place in the chains. */
  sealed(count: number): void
  /** A round of checkpoints ended: so many chains anchored, or it failed. */
  anchored(outcome: 'done' | 'failed', chains: number): void
}

/** How often in a row a stream fails until somebody must look. */
export const streamAlarm = 5

/** @param state asked at every scrape; while the database does not answer, the gauges say NaN and the rest still stands. */
export function createLedgerMetrics(
  registry: Registry,
  state: () => Promise<{ lagSeconds: number; monthsAhead: number }>,
  streamState: () => Promise<{ streams: number; failing: number }>,
): LedgerMetrics {
  const registers = [registry]
  let asked: ReturnType<typeof state> | null = null
  // Both gauges are read in one scrape: one question serves them.
  const ask = () => {
    asked ??= state().finally(() => (asked = null))
    return asked.catch(() => ({ lagSeconds: Number.NaN, monthsAhead: Number.NaN }))
  }
  new Gauge({
    name: 'audit_seal_lag_seconds',
    help: 'How long the oldest audit line has waited for its place in the hash chain.',
    registers,
    async collect() {
      this.set((await ask()).lagSeconds)
    },
  })
  new Gauge({
    name: 'audit_months_ahead',
    help: 'Months after this one for which the audit trail has partitions. At none, every change is refused next month.',
    registers,
    async collect() {
      this.set((await ask()).monthsAhead)
    },
  })
  new Gauge({
    name: 'audit_streams_failing',
    help: 'Audit trails whose receiver has not taken the last five batches. Sending goes on; the officer of the tenant sees why.',
    registers,
    async collect() {
      this.set((await streamState().catch(() => ({ failing: Number.NaN }))).failing)
    },
  })
  const lines = new Counter({ name: 'audit_sealed_lines_total', help: 'Audit lines this process sealed.', registers })
  const rounds = new Counter({
    name: 'audit_checkpoint_rounds_total',
    help: 'Rounds of signed checkpoints this process wrote to the sink, by how they ended.',
    labelNames: ['outcome'] as const,
    registers,
  })
  for (const outcome of ['done', 'failed']) rounds.inc({ outcome }, 0)
  const chains = new Counter({ name: 'audit_checkpoints_total', help: 'Signed checkpoints this process wrote to the sink.', registers })
  const last = new Gauge({
    name: 'audit_last_checkpoint_timestamp_seconds',
    help: 'When this process last wrote a round of checkpoints; 0 before the first.',
    registers,
  })
  last.set(0)
  return {
    sealed: (count) => lines.inc(count),
    anchored(outcome, count) {
      rounds.inc({ outcome })
      chains.inc(count)
      if (outcome === 'done') last.setToCurrentTime()
    },
  }
}
