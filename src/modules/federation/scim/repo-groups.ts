/** SCIM groups in the database. Members are added and removed in sets and never loaded to do so; the group's row is held first. */
import type { Scope } from '../../../kernel/scope.ts'
import { Prisma } from '../../../platform/db/generated/client.ts'
import type { ModuleSql } from '../../../platform/module.ts'
import type { Fragment, GroupColumns } from './engine.ts'
import { countOf, pageOf, rawSql, type Page, type StoredResource } from './repo-users.ts'

const json = (value: unknown) => Prisma.sql`${JSON.stringify(value)}::jsonb`
const shown = Prisma.sql`r.id, r.attributes, r.created_at as "createdAt", r.updated_at as "updatedAt", r.version`

export function createGroupsRepo(sql: ModuleSql) {
  const groups = ({ tenantId }: Scope, connectionId: string) =>
    Prisma.sql`from scim."group" r where r.tenant_id = ${tenantId}::uuid and r.connection_id = ${connectionId}::uuid`
  const ids = (rows: readonly { userId: string }[]) => rows.map(({ userId }) => userId)

  return {
    async add(scope: Scope, connectionId: string, id: string, columns: GroupColumns): Promise<StoredResource> {
      const [added] = await sql(scope).$queryRaw<{ createdAt: Date; updatedAt: Date }[]>`
        insert into scim."group" (tenant_id, id, connection_id, display_name, display_name_key, external_id, attributes, search)
        values (${scope.tenantId}::uuid, ${id}::uuid, ${connectionId}::uuid, ${columns.displayName}, ${columns.displayNameKey},
          ${columns.externalId}, ${json(columns.attributes)}, ${json(columns.search)})
        returning created_at as "createdAt", updated_at as "updatedAt"`
      return { ...added!, id, attributes: columns.attributes, version: 1 }
    },

    async find(scope: Scope, connectionId: string, id: string, hold: boolean): Promise<StoredResource | null> {
      const [found] = await sql(scope).$queryRaw<StoredResource[]>`
        select ${shown} ${groups(scope, connectionId)} and r.id = ${id}::uuid ${hold ? Prisma.sql`for no key update` : Prisma.empty}`
      return found ?? null
    },

    async update(scope: Scope, connectionId: string, id: string, columns: GroupColumns): Promise<StoredResource> {
      const [changed] = await sql(scope).$queryRaw<{ createdAt: Date; updatedAt: Date; version: number }[]>`
        update scim."group" r set display_name = ${columns.displayName}, display_name_key = ${columns.displayNameKey},
          external_id = ${columns.externalId}, attributes = ${json(columns.attributes)}, search = ${json(columns.search)},
          version = r.version + 1, updated_at = clock_timestamp()
        where r.tenant_id = ${scope.tenantId}::uuid and r.connection_id = ${connectionId}::uuid and r.id = ${id}::uuid
        returning r.created_at as "createdAt", r.updated_at as "updatedAt", r.version`
      return { ...changed!, id, attributes: columns.attributes }
    },

    async remove(scope: Scope, connectionId: string, id: string): Promise<void> {
      await sql(scope).$executeRaw`
        delete from scim."group" r
        where r.tenant_id = ${scope.tenantId}::uuid and r.connection_id = ${connectionId}::uuid and r.id = ${id}::uuid`
    },

    page: (scope: Scope, connectionId: string, page: Page) =>
      sql(scope).$queryRaw<StoredResource[]>(pageOf(page, shown, groups(scope, connectionId))),

    async count(scope: Scope, connectionId: string, where: Fragment | null): Promise<number> {
      const [counted] = await sql(scope).$queryRaw<{ total: number }[]>(countOf(where, groups(scope, connectionId)))
      return counted!.total
    },

    membersOf: (scope: Scope, groupIds: readonly string[]) =>
      sql(scope).$queryRaw<{ groupId: string; id: string; display: string }[]>`
        select m.group_id as "groupId", u.id, coalesce(u.attributes->>'displayName', u.user_name) as display
        from scim.group_member m join scim."user" u on u.tenant_id = m.tenant_id and u.id = m.user_id
        where m.tenant_id = ${scope.tenantId}::uuid and m.group_id = any(${[...groupIds]}::uuid[]) order by m.group_id, u.id`,

    async memberIds(scope: Scope, groupId: string): Promise<string[]> {
      return ids(
        await sql(scope).$queryRaw<{ userId: string }[]>`
          select m.user_id as "userId" from scim.group_member m
          where m.tenant_id = ${scope.tenantId}::uuid and m.group_id = ${groupId}::uuid order by m.user_id`,
      )
    },

    /** Adds users; those who are in it already stay. Null when one of them is no user of this connection. */
    async addMembers(scope: Scope, connectionId: string, groupId: string, userIds: readonly string[]): Promise<string[] | null> {
      if (userIds.length === 0) return []
      const { tenantId } = scope
      const [done] = await sql(scope).$queryRaw<{ known: number; added: string[] | null }[]>`
        with known as (
          select u.id from scim."user" u
          where u.tenant_id = ${tenantId}::uuid and u.connection_id = ${connectionId}::uuid and u.id = any(${[...userIds]}::uuid[])
        ), added as (
          insert into scim.group_member (tenant_id, connection_id, group_id, user_id)
          select ${tenantId}::uuid, ${connectionId}::uuid, ${groupId}::uuid, k.id from known k order by k.id
          on conflict do nothing returning user_id
        )
        select (select count(*)::int from known) as known, (select array_agg(user_id::text order by user_id) from added) as added`
      return done!.known === new Set(userIds).size ? (done!.added ?? []) : null
    },

    async removeMembers(scope: Scope, groupId: string, userIds: readonly string[]): Promise<string[]> {
      if (userIds.length === 0) return []
      return ids(
        await sql(scope).$queryRaw<{ userId: string }[]>`
          delete from scim.group_member m where m.tenant_id = ${scope.tenantId}::uuid and m.group_id = ${groupId}::uuid
            and m.user_id = any(${[...userIds]}::uuid[]) returning m.user_id as "userId"`,
      )
    },

    async removeOthers(scope: Scope, groupId: string, userIds: readonly string[]): Promise<string[]> {
      return ids(
        await sql(scope).$queryRaw<{ userId: string }[]>`
          delete from scim.group_member m where m.tenant_id = ${scope.tenantId}::uuid and m.group_id = ${groupId}::uuid
            and m.user_id <> all(${[...userIds]}::uuid[]) returning m.user_id as "userId"`,
      )
    },

    async removeWhere(scope: Scope, groupId: string, where: Fragment): Promise<string[]> {
      return ids(
        await sql(scope).$queryRaw<{ userId: string }[]>`
          delete from scim.group_member m using scim."user" u
          where m.tenant_id = ${scope.tenantId}::uuid and m.group_id = ${groupId}::uuid
            and u.tenant_id = m.tenant_id and u.id = m.user_id and (${rawSql(where)})
          returning m.user_id as "userId"`,
      )
    },

    /** Whether a rule is about a group of this name or external id: only then do its members matter to anybody's role. */
    async hasMeaning(
      scope: Scope,
      connectionId: string,
      keys: { readonly names: readonly string[]; readonly externalIds: readonly string[] },
    ): Promise<boolean> {
      const [found] = await sql(scope).$queryRaw<{ is: boolean }[]>`
        select exists (select from scim.role_rule l where l.tenant_id = ${scope.tenantId}::uuid and l.connection_id = ${connectionId}::uuid
          and ((l.match = 'DISPLAY_NAME' and l.value_key = any(${[...keys.names]}::text[]))
            or (l.match = 'EXTERNAL_ID' and l.value_key = any(${[...keys.externalIds]}::text[])))) as is`
      return found!.is
    },
  }
}

export type GroupsRepo = ReturnType<typeof createGroupsRepo>
