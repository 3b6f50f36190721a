/** What identity lets go of. It looks at when a row ended and never at what was in it. */
import type { Scope } from '../../kernel/scope.ts'
import type { ModuleSql } from '../../platform/module.ts'

export function createRetentionRepo({ sql }: { sql: ModuleSql }) {
  return {
    /**
     * Deletes at most `most` sessions that ended before `before`. The newest of each membership stays, whatever became of it: it tells
     * that this member has signed in, which the operator's guard asks.
     */
    deleteEndedSessions: (scope: Scope, before: Date, most: number): Promise<number> =>
      sql(scope).$executeRaw`
        delete from identity.session where tenant_id = ${scope.tenantId}::uuid and id in (
          select s.id from identity.session s
          where s.tenant_id = ${scope.tenantId}::uuid
            and (s.revoked_at < ${before}::timestamptz or s.expires_at < ${before}::timestamptz or s.rotated_at < ${before}::timestamptz)
            and exists (select from identity.session newer where newer.tenant_id = s.tenant_id and newer.membership_id = s.membership_id
              and (newer.created_at, newer.id) > (s.created_at, s.id))
          order by s.id limit ${most})`,

    /** Deletes at most `most` challenges, choices and reset links that were used, or were over, before `before`. */
    deleteSpentTokens: (scope: Scope, before: Date, most: number): Promise<number> =>
      sql(scope).$executeRaw`
        delete from identity.one_time_token where tenant_id = ${scope.tenantId}::uuid and id in (
          select t.id from identity.one_time_token t
          where t.tenant_id = ${scope.tenantId}::uuid and (t.used_at < ${before}::timestamptz or t.expires_at < ${before}::timestamptz)
          order by t.id limit ${most})`,

    /** Deletes at most `most` counters that no window reaches any more. */
    deleteSpentCounts: (scope: Scope, now: Date, most: number): Promise<number> =>
      sql(scope).$executeRaw`
        delete from identity.throttle_count where tenant_id = ${scope.tenantId}::uuid and (key, member, bucket) in (
          select t.key, t.member, t.bucket from identity.throttle_count t
          where t.tenant_id = ${scope.tenantId}::uuid and t.expires_at < ${now}::timestamptz
          order by t.key, t.member, t.bucket limit ${most})`,

    /** Writes EXPIRED into at most `most` invitations whose time is up; they read so already. */
    expireInvitations: (scope: Scope, now: Date, most: number): Promise<number> =>
      sql(scope).$executeRaw`
        update identity.invitation set state = 'EXPIRED', updated_at = ${now}::timestamptz, version = version + 1
        where tenant_id = ${scope.tenantId}::uuid and id in (
          select i.id from identity.invitation i
          where i.tenant_id = ${scope.tenantId}::uuid and i.state in ('SENT', 'SEEN') and i.expires_at <= ${now}::timestamptz
          order by i.id limit ${most}) and state in ('SENT', 'SEEN')`,
  }
}

export type RetentionRepo = ReturnType<typeof createRetentionRepo>
