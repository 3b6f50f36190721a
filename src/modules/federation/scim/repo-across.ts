/** People and groups in one list: each kind's own rows and order, merged by the database. It reads what both kinds' repos read, no more. */
import type { Scope } from '../../../kernel/scope.ts'
import { Prisma } from '../../../platform/db/generated/client.ts'
import type { ModuleSql } from '../../../platform/module.ts'
import type { CompileSort, Fragment, ResourceName } from './engine.ts'
import { rawSql, type StoredResource } from './repo-users.ts'

/** What is asked of one kind. */
export interface Half {
  readonly kind: ResourceName
  readonly where: Fragment | null
  readonly sort: ReturnType<CompileSort> | null
}

/** A resource that says what it is. */
export interface MixedResource extends StoredResource {
  readonly kind: ResourceName
}

export interface MixedPage {
  readonly halves: readonly Half[]
  readonly descending: boolean
  readonly offset: number
  readonly limit: number
}

const table: Readonly<Record<ResourceName, Prisma.Sql>> = { User: Prisma.sql`scim."user"`, Group: Prisma.sql`scim."group"` }

export function createAcrossRepo(sql: ModuleSql) {
  return {
    /** Absent values last when ascending, first when descending (RFC 7644 §3.4.2.3); ties by id. */
    page(scope: Scope, connectionId: string, { halves, descending, offset, limit }: MixedPage): Promise<MixedResource[]> {
      const direction = Prisma.raw(descending ? 'desc' : 'asc')
      const mine = Prisma.sql`r.tenant_id = ${scope.tenantId}::uuid and r.connection_id = ${connectionId}::uuid`
      const some = halves.map(({ kind, where, sort }) => {
        const key = sort ? rawSql(sort.expression) : Prisma.sql`null::text collate "C"`
        const filter = where ? Prisma.sql` and (${rawSql(where)})` : Prisma.empty
        // Neither kind has to give more than the page could take of it.
        return Prisma.sql`(select ${kind}::text as kind, r.id, r.attributes, r.created_at, r.updated_at, r.version, ${key} as key
          from ${table[kind]} r where ${mine}${filter} order by ${sort ? Prisma.sql`${key} ${direction},` : Prisma.empty} r.id
          limit ${offset + limit})`
      })
      return sql(scope).$queryRaw<MixedResource[]>`
        select kind, id, attributes, created_at as "createdAt", updated_at as "updatedAt", version
        from (${Prisma.join(some, ' union all ')}) as found order by key ${direction}, id limit ${limit} offset ${offset}`
    },
  }
}

export type AcrossRepo = ReturnType<typeof createAcrossRepo>
