/**
 * The daily job that keeps the audit trail's months ahead. Only the owner of the database may make partitions; where the server has no
 * such connection, the job fails while there is still time, and says what to run.
 */
import type { Database } from '../db/database.ts'
import { monthsAhead, withClient } from '../db/provision.ts'
import type { TenantJob } from '../jobs/system.ts'

/** Fewer than these, and somebody must hear of it: without a month for today, every change is refused. */
const leastMonths = 3

export function monthsJob({ database, ownerUrl }: { readonly database: Database; readonly ownerUrl: string | null }): TenantJob {
  return {
    name: 'ledger.months',
    cron: '7 1 * * *',
    inEveryTenant: false,
    async run() {
      if (ownerUrl !== null) await withClient(ownerUrl, (client) => client.query('select audit.keep_months($1)', [monthsAhead]))
      const { monthsAhead: left } = await database.gate.sealState()
      if (left < leastMonths) throw new Error(`The audit trail has room for ${left} more months. Run maristan migrate.`)
    },
  }
}
