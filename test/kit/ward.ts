/** A module that exists in tests only: it publishes, handles and runs jobs, and writes what it did into a scratch table. */
import { z } from 'zod'
import { event, type DeliveredEvent } from '../../src/kernel/event.ts'
import type { Scope } from '../../src/kernel/scope.ts'
import { unitOf } from '../../src/platform/db/unit.ts'
import { defineModule, type AnyModule } from '../../src/platform/module.ts'
import type { TestDatabase } from './postgres.ts'

export const bedMade = event('ward.bed.made', z.object({ n: z.int() }))
export const bedEmptied = event('ward.bed.emptied', z.object({ n: z.int() }))

export interface Seen {
  readonly n: number
  readonly eventId: string
  readonly tenantId: string
  readonly who: string
}

/** @param before runs ahead of the write, inside the handler's transaction; it may throw or hang. */
export function wardModule(who: string, before: (event: { n: number }, scope: Scope) => void | Promise<void> = () => {}): AnyModule {
  const write = (scope: Scope, eventId: string, n: number) =>
    unitOf(scope).db.$executeRaw`
      insert into scratch.seen (tenant_id, event_id, n, who) values (${scope.tenantId}::uuid, ${eventId}, ${n}::int, ${who})`
  return defineModule({
    name: 'ward',
    summary: 'For tests.',
    needs: [],
    owns: [],
    events: [bedMade, bedEmptied],
    handles: [
      {
        event: bedMade.name,
        async handle(_made, scope, delivered: DeliveredEvent) {
          const payload = delivered.payload as { n: number }
          // Written first: what a failing handler wrote must be gone.
          await write(scope, delivered.eventId, payload.n)
          await before(payload, scope)
        },
      },
    ],
    jobs: [
      {
        name: 'round',
        cron: '* * * * *',
        inEveryTenant: true,
        async run(_made, scope) {
          await write(scope, scope.requestId, 0)
          await before({ n: 0 }, scope)
        },
      },
    ],
    build: () => ({ contract: {} }),
  }) as unknown as AnyModule
}

export async function layScratch(at: TestDatabase): Promise<void> {
  await at.owner('create schema scratch')
  await at.owner('create table scratch.seen (seq bigserial, tenant_id uuid, event_id text, n int, who text)')
  await at.owner('grant usage on schema scratch to maristan_worker')
  await at.owner('grant insert on scratch.seen to maristan_worker')
  await at.owner('grant usage on sequence scratch.seen_seq_seq to maristan_worker')
}

export const seenIn = (at: TestDatabase): Promise<Seen[]> =>
  at.owner('select n, event_id as "eventId", tenant_id as "tenantId", who from scratch.seen order by seq')
