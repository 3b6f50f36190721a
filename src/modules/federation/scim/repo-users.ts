/** SCIM users in the database. A write is one statement with its indexed values; a list is the filter's own SQL. */
import type { Scope } from '../../../kernel/scope.ts'
import { Prisma } from '../../../platform/db/generated/client.ts'
import type { ModuleSql } from '../../../platform/module.ts'
import type { AttributeMap, Fragment, UserColumns } from './engine.ts'

export interface StoredResource {
  readonly id: string
  readonly attributes: AttributeMap
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly version: number
}

export interface StoredUser extends StoredResource {
  readonly userName: string
  readonly active: boolean
  readonly membershipId: string | null
  readonly standing: string
}

/** One statement that adds a user. */
export type Addition = Prisma.Sql

/** What the database says of a user that it added. */
export interface Added {
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** A person as the rules see them. */
export interface Stand {
  readonly id: string
  readonly userName: string
  readonly externalId: string | null
  readonly active: boolean
  readonly membershipId: string | null
  readonly standing: string
  readonly attributes: AttributeMap
  /** What the first matching rule says. */
  readonly role: string | null
  readonly authorisedBy: string | null
}

/** Which page, in which order. */
export interface Page {
  readonly where: Fragment | null
  readonly sort: { readonly expression: Fragment; readonly column: string | null } | null
  readonly descending: boolean
  /** Only ids above it. */
  readonly after: string | null
  readonly offset: number
  readonly limit: number
}

export const rawSql = ({ strings, values }: Fragment): Prisma.Sql => new Prisma.Sql([...strings], [...values])

const byId = Prisma.sql`r.id`
const json = (value: unknown) => Prisma.sql`${JSON.stringify(value)}::jsonb`

/** The rows of a page and, on their own, how many there are: the same over users and groups. */
export function pageOf(page: Page, columns: Prisma.Sql, from: Prisma.Sql): Prisma.Sql {
  const filter = page.where ? Prisma.sql` and (${rawSql(page.where)})` : Prisma.empty
  const after = page.after === null ? Prisma.empty : Prisma.sql` and r.id > ${page.after}::uuid`
  const order = page.sort
    ? Prisma.sql`${rawSql(page.sort.expression)} ${Prisma.raw(page.descending ? 'desc' : 'asc')}, r.id`
    : Prisma.sql`${byId} ${Prisma.raw(page.descending ? 'desc' : 'asc')}`
  return Prisma.sql`select ${columns} ${from}${filter}${after} order by ${order} limit ${page.limit} offset ${page.offset}`
}

export function countOf(where: Fragment | null, from: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`select count(*)::int as total ${from}${where ? Prisma.sql` and (${rawSql(where)})` : Prisma.empty}`
}

/** So many indexed values of a user are written as they are, each number of them a statement of its own; more go as lists. */
const mostPlainValues = 4

/** The indexed values as rows `v(path, key)`. Few are cheaper as plain values than as a function over lists. */
function valueRows(values: UserColumns['values']): Prisma.Sql {
  if (values.length === 0 || values.length > mostPlainValues) {
    return Prisma.sql`unnest(${values.map(({ path }) => path)}::text[], ${values.map(({ key }) => key)}::text[]) as v(path, key)`
  }
  const rows = values.map(({ path, key }) => Prisma.sql`(${path}::text, ${key}::text)`)
  return Prisma.sql`(values ${Prisma.join(rows)}) as v(path, key)`
}

const shown = Prisma.sql`r.id, r.attributes, r.created_at as "createdAt", r.updated_at as "updatedAt", r.version`

export function createUsersRepo(sql: ModuleSql) {
  const users = ({ tenantId }: Scope, connectionId: string) =>
    Prisma.sql`from scim."user" r where r.tenant_id = ${tenantId}::uuid and r.connection_id = ${connectionId}::uuid`

  return {
    /**
     * What adds a user under an id that is drawn already, in the tenant that the walls are told of; nothing has to be read before.
     * It answers {@link Added}, and violates uniqueness where the userName or the externalId is taken.
     */
    adding: (connectionId: string, id: string, columns: UserColumns): Addition => Prisma.sql`
      with added as (
        insert into scim."user" (tenant_id, id, connection_id, user_name, user_name_key, external_id, active, attributes, search)
        values (nullif(current_setting('app.tenant_id', true), '')::uuid, ${id}::uuid, ${connectionId}::uuid, ${columns.userName},
          ${columns.userNameKey}, ${columns.externalId}, ${columns.active}, ${json(columns.attributes)}, ${json(columns.search)})
        returning tenant_id, id, connection_id, created_at, updated_at
      ), indexed as (
        insert into scim.user_value (tenant_id, connection_id, user_id, path, key)
        select a.tenant_id, a.connection_id, a.id, v.path, v.key
        from added a, ${valueRows(columns.values)}
      )
      select created_at as "createdAt", updated_at as "updatedAt" from added`,

    /** Adds a user inside a command. @throws a unique violation when userName or externalId is taken */
    async add(scope: Scope, addition: Addition): Promise<Added> {
      const [added] = await sql(scope).$queryRaw<Added[]>(addition)
      return added!
    },

    /** One user; `hold` locks it until the command ends. */
    async find(scope: Scope, connectionId: string, id: string, hold: boolean): Promise<StoredUser | null> {
      const [found] = await sql(scope).$queryRaw<StoredUser[]>`
        select ${shown}, r.user_name as "userName", r.active, r.membership_id as "membershipId", r.standing
        ${users(scope, connectionId)} and r.id = ${id}::uuid ${hold ? Prisma.sql`for no key update` : Prisma.empty}`
      return found ?? null
    },

    /** Writes a held user anew. @throws a unique violation when userName or externalId is taken. */
    async update(scope: Scope, connectionId: string, id: string, columns: UserColumns): Promise<StoredResource> {
      const { tenantId } = scope
      const [changed] = await sql(scope).$queryRaw<{ createdAt: Date; updatedAt: Date; version: number }[]>`
        with wanted as (select * from jsonb_to_recordset(${json(columns.values)}) as v(path text, key text)),
        gone as (
          delete from scim.user_value o where o.tenant_id = ${tenantId}::uuid and o.connection_id = ${connectionId}::uuid
            and o.user_id = ${id}::uuid and not exists (select from wanted w where w.path = o.path and w.key = o.key)
        ), indexed as (
          insert into scim.user_value (tenant_id, connection_id, user_id, path, key)
          select ${tenantId}::uuid, ${connectionId}::uuid, ${id}::uuid, w.path, w.key from wanted w on conflict do nothing
        )
        update scim."user" r set user_name = ${columns.userName}, user_name_key = ${columns.userNameKey},
          external_id = ${columns.externalId}, active = ${columns.active}, attributes = ${json(columns.attributes)}, search = ${json(columns.search)},
          version = r.version + 1, updated_at = clock_timestamp()
        where r.tenant_id = ${tenantId}::uuid and r.connection_id = ${connectionId}::uuid and r.id = ${id}::uuid
        returning r.created_at as "createdAt", r.updated_at as "updatedAt", r.version`
      return { ...changed!, id, attributes: columns.attributes }
    },

    async remove(scope: Scope, connectionId: string, id: string): Promise<void> {
      await sql(scope).$executeRaw`
        delete from scim."user" r
        where r.tenant_id = ${scope.tenantId}::uuid and r.connection_id = ${connectionId}::uuid and r.id = ${id}::uuid`
    },

    page: (scope: Scope, connectionId: string, page: Page) =>
      sql(scope).$queryRaw<StoredResource[]>(pageOf(page, shown, users(scope, connectionId))),

    async count(scope: Scope, connectionId: string, where: Fragment | null): Promise<number> {
      const [counted] = await sql(scope).$queryRaw<{ total: number }[]>(countOf(where, users(scope, connectionId)))
      return counted!.total
    },

    /** The groups of users, by the groups' ids. */
    groupsOf: (scope: Scope, userIds: readonly string[]) =>
      sql(scope).$queryRaw<{ userId: string; id: string; display: string }[]>`
        select m.user_id as "userId", g.id, g.display_name as display
        from scim.group_member m join scim."group" g on g.tenant_id = m.tenant_id and g.id = m.group_id
        where m.tenant_id = ${scope.tenantId}::uuid and m.user_id = any(${[...userIds]}::uuid[]) order by m.user_id, g.id`,

    /**
     * Keeps people, in id order, until the command ends. A statement of its own: what they are is read by the next one, which sees what
     * whoever held them before has left. One that locked and read at once would see their groups as they were before it waited.
     */
    hold: (scope: Scope, connectionId: string, userIds: readonly string[]): void =>
      sql(scope).$executeLater`
        select from scim."user" r
        where r.tenant_id = ${scope.tenantId}::uuid and r.connection_id = ${connectionId}::uuid and r.id = any(${[...userIds]}::uuid[])
        order by r.id for no key update`,

    /** What the rules say of people, at most 1,000, in id order. */
    stands(scope: Scope, connectionId: string, userIds: readonly string[]): Promise<Stand[]> {
      return sql(scope).$queryRaw<Stand[]>`
        select r.id, r.user_name as "userName", r.external_id as "externalId", r.active, r.membership_id as "membershipId", r.standing,
          r.attributes, d.role, d.authorised_by as "authorisedBy"
        from scim."user" r left join lateral (
          select l.role, l.authorised_by from scim.group_member m
          join scim."group" g on g.tenant_id = m.tenant_id and g.id = m.group_id
          join scim.role_rule l on l.tenant_id = g.tenant_id and l.connection_id = g.connection_id
            and l.value_key = case l.match when 'DISPLAY_NAME' then g.display_name_key else g.external_id end
          where m.tenant_id = r.tenant_id and m.user_id = r.id
          order by l.position limit 1
        ) d on true
        where r.tenant_id = ${scope.tenantId}::uuid and r.connection_id = ${connectionId}::uuid and r.id = any(${[...userIds]}::uuid[])
        order by r.id`
    },

    /** What rules that are not in force would say of people. Changes nothing and holds nobody. */
    rolesBy(
      scope: Scope,
      connectionId: string,
      userIds: readonly string[],
      rules: readonly { readonly match: string; readonly valueKey: string; readonly role: string }[],
    ) {
      const positioned = rules.map(({ match, valueKey, role }, position) => ({ match, valueKey, role, position }))
      return sql(scope).$queryRaw<Pick<Stand, 'id' | 'userName' | 'membershipId' | 'role'>[]>`
        select r.id, r.user_name as "userName", r.membership_id as "membershipId", case when r.active then d.role end as role
        from scim."user" r left join lateral (
          select l.role from scim.group_member m
          join scim."group" g on g.tenant_id = m.tenant_id and g.id = m.group_id
          join jsonb_to_recordset(${json(positioned)}) as l(match text, "valueKey" text, role text, position int)
            on l."valueKey" collate "C" = case l.match when 'DISPLAY_NAME' then g.display_name_key else g.external_id end
          where m.tenant_id = r.tenant_id and m.user_id = r.id
          order by l.position limit 1
        ) d on true
        where r.tenant_id = ${scope.tenantId}::uuid and r.connection_id = ${connectionId}::uuid and r.id = any(${[...userIds]}::uuid[])
        order by r.user_name_key`
    },

    /** A user of whichever connection of the tenant. */
    async findAnywhere(scope: Scope, id: string) {
      const [found] = await sql(scope).$queryRaw<{ connectionId: string; membershipId: string | null; externalId: string | null }[]>`
        select r.connection_id as "connectionId", r.membership_id as "membershipId", r.external_id as "externalId"
        from scim."user" r where r.tenant_id = ${scope.tenantId}::uuid and r.id = ${id}::uuid for no key update`
      return found ?? null
    },

    /** Ids of a connection's users above one, in order. */
    async idsAfter(scope: Scope, connectionId: string, after: string | null, limit: number): Promise<string[]> {
      const rows = await sql(scope).$queryRaw<{ id: string }[]>`
        select r.id ${users(scope, connectionId)} and (${after}::uuid is null or r.id > ${after}::uuid) order by r.id limit ${limit}`
      return rows.map(({ id }) => id)
    },

    async setStandings(
      scope: Scope,
      connectionId: string,
      standings: readonly { readonly id: string; readonly membershipId: string | null; readonly standing: string }[],
    ): Promise<void> {
      if (standings.length === 0) return
      await sql(scope).$executeRaw`
        update scim."user" r set membership_id = s."membershipId", standing = s.standing
        from jsonb_to_recordset(${json(standings)}) as s(id uuid, "membershipId" uuid, standing text)
        where r.tenant_id = ${scope.tenantId}::uuid and r.connection_id = ${connectionId}::uuid and r.id = s.id`
    },
  }
}

export type UsersRepo = ReturnType<typeof createUsersRepo>
