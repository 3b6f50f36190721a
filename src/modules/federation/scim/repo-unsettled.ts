/** A change of thousands: whom it touches, what it cut, and the steps that are left of it. Everything takes sets of any size. */
import type { Scope } from '../../../kernel/scope.ts'
import type { ModuleSql } from '../../../platform/module.ts'
import type { NewReceipt } from './repo-connections.ts'

/** A person of a large change. */
export interface Touched {
  readonly id: string
  readonly userName: string
  readonly active: boolean
  readonly membershipId: string | null
  /** What the first matching rule says. */
  readonly role: string | null
}

/** A step of what is left of a large change. */
export interface Unsettled {
  readonly id: string
  readonly connectionId: string
  /** The moment of the change. */
  readonly at: Date
  readonly userIds: readonly string[]
  /** Cut at that moment. */
  readonly membershipIds: readonly string[]
}

const longStatement = '45s'

export function createUnsettledRepo(sql: ModuleSql) {
  return {
    /** Each statement of the command may take longer than one that is about a few: the command's own bound holds for all of them. */
    takeTime: (scope: Scope): void => sql(scope).$executeLater`select set_config('statement_timeout', ${longStatement}, true)`,

    /** What the rules say of people, who are held. Nothing of what they are is loaded. */
    touched: (scope: Scope, connectionId: string, userIds: readonly string[]): Promise<Touched[]> =>
      sql(scope).$queryRaw<Touched[]>`
        select r.id, r.user_name as "userName", r.active, r.membership_id as "membershipId", d.role
        from scim."user" r left join lateral (
          select l.role from scim.group_member m
          join scim."group" g on g.tenant_id = m.tenant_id and g.id = m.group_id
          join scim.role_rule l on l.tenant_id = g.tenant_id and l.connection_id = g.connection_id
            and l.value_key = case l.match when 'DISPLAY_NAME' then g.display_name_key else g.external_id end
          where m.tenant_id = r.tenant_id and m.user_id = r.id
          order by l.position limit 1
        ) d on true
        where r.tenant_id = ${scope.tenantId}::uuid and r.connection_id = ${connectionId}::uuid and r.id = any(${[...userIds]}::uuid[])
        order by r.id`,

    async addReceipts(scope: Scope, connectionId: string, receipts: readonly Omit<NewReceipt, 'connectionId'>[]): Promise<void> {
      if (receipts.length === 0) return
      await sql(scope).$executeRaw`
        insert into scim.receipt (tenant_id, id, connection_id, user_id, user_name, membership_id, cause, sessions, invitations,
          flagged_tokens, was_last_admin, request_id)
        select ${scope.tenantId}::uuid, c.id, ${connectionId}::uuid, c."userId", c."userName", c."membershipId", c.cause, c.sessions,
          c.invitations, c."flaggedTokens", c."wasLastAdmin", c."requestId"
        from jsonb_to_recordset(${JSON.stringify(receipts)}::jsonb) as c(id uuid, "userId" uuid, "userName" text, "membershipId" uuid,
          cause text, sessions int, invitations int, "flaggedTokens" int, "wasLastAdmin" boolean, "requestId" text)`
    },

    async add(scope: Scope, steps: readonly Unsettled[]): Promise<void> {
      await sql(scope).$executeRaw`
        insert into scim.unsettled (tenant_id, id, connection_id, at, user_ids, membership_ids)
        select ${scope.tenantId}::uuid, s.id, s."connectionId", s.at, s."userIds", s."membershipIds"
        from jsonb_to_recordset(${JSON.stringify(steps)}::jsonb)
          as s(id uuid, "connectionId" uuid, at timestamptz, "userIds" uuid[], "membershipIds" uuid[])`
    },

    /** The oldest step that waits; null when none does. */
    async next(scope: Scope): Promise<Unsettled | null> {
      const [step] = await sql(scope).$queryRaw<Unsettled[]>`
        select u.id, u.connection_id as "connectionId", u.at, u.user_ids as "userIds", u.membership_ids as "membershipIds"
        from scim.unsettled u where u.tenant_id = ${scope.tenantId}::uuid order by u.id limit 1`
      return step ?? null
    },

    /** Takes a step off the list; false when somebody else did. */
    async take(scope: Scope, id: string): Promise<boolean> {
      const taken = await sql(scope).$executeRaw`
        delete from scim.unsettled u where u.tenant_id = ${scope.tenantId}::uuid and u.id = ${id}::uuid`
      return taken === 1
    },

    /** How many people wait, by connection. */
    async counts(scope: Scope): Promise<ReadonlyMap<string, number>> {
      const rows = await sql(scope).$queryRaw<{ connectionId: string; people: number }[]>`
        select u.connection_id as "connectionId", sum(cardinality(u.user_ids))::int as people
        from scim.unsettled u where u.tenant_id = ${scope.tenantId}::uuid group by u.connection_id`
      return new Map(rows.map(({ connectionId, people }) => [connectionId, people]))
    },
  }
}

export type UnsettledRepo = ReturnType<typeof createUnsettledRepo>
