/** The nightly job that lets go of delivered events. What was parked stays until somebody deals with it. */
import type { Database } from '../db/database.ts'
import { systemCaller, type TenantJob } from '../jobs/system.ts'
import { hasPurgeable, purgeProcessed } from './store.ts'

/** Delivered events are kept this long, for whoever has to find out what happened. */
const keepDays = 7
const batch = 1_000
/** A million rows a night and tenant; more waits for the next night. */
const maxBatches = 1_000

export function purgeJob(database: Database): TenantJob {
  return {
    name: 'outbox.purge',
    cron: '17 3 * * *',
    inEveryTenant: true,
    async run(tenantId, requestId, signal) {
      for (let i = 0; i < maxBatches && !signal.aborted; i++) {
        const unit = database.unit(systemCaller(tenantId, 'outbox.purge', requestId))
        if (!(await unit.read(() => hasPurgeable(unit.db, keepDays)))) return
        await unit.command(async () => {
          const count = await purgeProcessed(unit.db, keepDays, batch)
          unit.record({ action: 'outbox.purged', resource: 'OutboxEvent', outcome: 'done', detail: { count } })
        })
      }
    },
  }
}
