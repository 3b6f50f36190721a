/** What was counted of attempts to sign in, in the database: all processes count together. */
import type { Scope } from '../../kernel/scope.ts'
import type { ModuleSql } from '../../platform/module.ts'
import type { ThrottleKey } from './throttle-keys.ts'

/** A window slides in ten steps. */
const steps = 10

/** What a key counts within its window. `own` is the part of the one who asks: all of it, or its own account's. */
export interface Counted {
  readonly key: string
  readonly count: number
  readonly own: number
}

export function createThrottleRepo({ sql }: { sql: ModuleSql }) {
  return {
    /** Counts by key, committed ones and the command's own, in one statement. */
    read: (scope: Scope, keys: readonly ThrottleKey[], nowMs: number): Promise<Counted[]> => {
      const wanted = keys.map(({ key, member, unit, windowMs }) => ({
        key,
        member: member ?? '',
        accounts: unit === 'accounts',
        since: new Date(nowMs - windowMs),
      }))
      return sql(scope).$queryRaw<Counted[]>`
        select w.key,
          (case when w.accounts then count(c.member) filter (where c.n > 0) else coalesce(sum(greatest(c.n, 0)), 0) end)::int as count,
          coalesce(sum(greatest(c.n, 0)) filter (where c.member = w.member), 0)::int as own
        from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as w(key text, member text, accounts boolean, since timestamptz)
        left join lateral (
          select t.member, sum(t.count)::int as n from identity.throttle_count t
          where t.tenant_id = ${scope.tenantId}::uuid and t.key = w.key and t.bucket > w.since
          group by t.member
        ) c on true
        group by w.key, w.accounts`
    },

    /**
     * Adds `by` to each key, in the order of the keys so that two commands never wait for each other. Whoever counts on a key waits for
     * those before it to commit: read after counting, and no attempt is overlooked.
     */
    async add(scope: Scope, changes: readonly { readonly key: ThrottleKey; readonly by: 1 | -1; readonly atMs: number }[]): Promise<void> {
      if (changes.length === 0) return
      const rows = changes.map(({ key: { key, member, windowMs }, by, atMs }) => {
        const width = windowMs / steps
        const bucketMs = Math.floor(atMs / width) * width
        return { key, member: member ?? '', by, bucket: new Date(bucketMs), expires_at: new Date(bucketMs + windowMs) }
      })
      await sql(scope).$executeRaw`
        insert into identity.throttle_count as t (tenant_id, key, member, bucket, count, expires_at)
        select ${scope.tenantId}::uuid, r.key, r.member, r.bucket, r.by, r.expires_at
        from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
          as r(key text, member text, by int, bucket timestamptz, expires_at timestamptz)
        order by r.key, r.member, r.bucket
        on conflict (tenant_id, key, member, bucket) do update set count = t.count + excluded.count`
    },

    /** Deletes some counters of the tenant that no window reaches any more; called along with other work, so it is bounded. */
    async tidy(scope: Scope, nowMs: number): Promise<void> {
      await sql(scope).$executeRaw`
        delete from identity.throttle_count where ctid in (
          select t.ctid from identity.throttle_count t
          where t.tenant_id = ${scope.tenantId}::uuid and t.expires_at < ${new Date(nowMs)}::timestamptz
          limit 50 for update skip locked)`
    },
  }
}

export type ThrottleRepo = ReturnType<typeof createThrottleRepo>
