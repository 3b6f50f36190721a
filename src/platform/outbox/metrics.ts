/** What operators watch of the outbox. No label names a tenant or an event's contents. */
import { Counter, Gauge, type Registry } from 'prom-client'

export interface OutboxMetrics {
  /** One event ended: handled, to be tried again, or given up. */
  handled(outcome: 'handled' | 'failed' | 'parked'): void
}

/** @param state asked at every scrape; while the database does not answer, the gauges say NaN and the rest still stands. */
export function createOutboxMetrics(registry: Registry, state: () => Promise<{ lagSeconds: number; parked: number }>): OutboxMetrics {
  const registers = [registry]
  let asked: ReturnType<typeof state> | null = null
  // Both gauges are read in one scrape: one question serves them.
  const ask = () => {
    asked ??= state().finally(() => (asked = null))
    return asked.catch(() => ({ lagSeconds: Number.NaN, parked: Number.NaN }))
  }
  new Gauge({
    name: 'outbox_lag_seconds',
    help: 'How long the oldest due event has waited, over all tenants.',
    registers,
    async collect() {
      this.set((await ask()).lagSeconds)
    },
  })
  new Gauge({
    name: 'outbox_parked_events',
    help: 'Events given up after their last try and not yet dealt with, over all tenants.',
    registers,
    async collect() {
      this.set((await ask()).parked)
    },
  })
  const total = new Counter({
    name: 'outbox_events_total',
    help: 'Events this process tried to deliver, by how it ended.',
    labelNames: ['outcome'] as const,
    registers,
  })
  for (const outcome of ['handled', 'failed', 'parked']) total.inc({ outcome }, 0)
  return { handled: (outcome) => total.inc({ outcome }) }
}
