/** Care's own table of recipients, and how the caller stands to them. */
import type { Scope } from '../../kernel/scope.ts'
import { memberIdOf } from '../../kernel/scope.ts'
import type { CareRecipient, Prisma, RecipientState } from '../../platform/db/generated/client.ts'
import type { ModuleDb, ModuleSql } from '../../platform/module.ts'
import type { Standing } from './rules.ts'

export type CareModels = 'CareRecipient' | 'CareParty' | 'CareEdge' | 'Consent' | 'DisclosureGrant' | 'BlindIndex' | 'LookupField' | 'IndexRun'

export function createRepo(db: ModuleDb<CareModels>, sql: ModuleSql) {
  return {
    findRecipient: (scope: Scope, id: string): Promise<CareRecipient | null> =>
      db(scope).careRecipient.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } } }),

    /** For the graph: `query` is plugin-prisma's own; the policies decide whose rows there are. */
    graphRecipient: <Query extends object>(scope: Scope, query: Query, id: string) =>
      db(scope).careRecipient.findUnique({ ...query, where: { tenantId_id: { tenantId: scope.tenantId, id } } }),

    graphRecipients: <Query extends object>(scope: Scope, query: Query, state: RecipientState | undefined, ids: readonly string[] | undefined) =>
      db(scope).careRecipient.findMany({
        ...query,
        where: { tenantId: scope.tenantId, ...(state ? { state } : {}), ...(ids ? { id: { in: [...ids] } } : {}) },
        orderBy: { id: 'asc' },
      }),

    addRecipient: (scope: Scope, data: Omit<Prisma.CareRecipientUncheckedCreateInput, 'tenantId'>): Promise<CareRecipient> =>
      db(scope).careRecipient.create({ data: { ...data, tenantId: scope.tenantId } }),

    /** The changed row, or null when `version` is not the stored one. */
    async changeRecipient(
      scope: Scope,
      { id, version }: { readonly id: string; readonly version: number },
      data: Prisma.CareRecipientUncheckedUpdateManyInput,
    ): Promise<CareRecipient | null> {
      const [changed] = await db(scope).careRecipient.updateManyAndReturn({
        where: { tenantId: scope.tenantId, id, version },
        data: { ...data, version: { increment: 1 } },
      })
      return changed ?? null
    },

    /** Those of the recipients whose rows the caller's policies show. */
    async seen(scope: Scope, ids: readonly string[]): Promise<string[]> {
      const rows = await db(scope).careRecipient.findMany({
        where: { tenantId: scope.tenantId, id: { in: [...ids] } },
        select: { id: true },
      })
      return rows.map(({ id }) => id)
    },

    /** How the caller stands to these recipients by the database's clock, which the policies go by too. An emergency shows and opens. */
    async standings(scope: Scope, ids: readonly string[]): Promise<ReadonlyMap<string, Standing>> {
      const me = memberIdOf(scope)
      if (me === null || ids.length === 0) return new Map()
      const rows = await sql(scope).$queryRaw<({ id: string } & Standing)[]>`
        select p.recipient_id as id,
          bool_or(p.membership_id = ${me}::uuid) as self,
          coalesce(bool_or(e.legal_guardian), false) as guardian,
          coalesce(array_agg(distinct c.one) filter (where c.one is not null), '{}')
            || case when bool_or(p.recipient_id in (select gate.my_emergencies())) then '{VIEW,PHI}'::text[] else '{}' end as capabilities
        from care.party p
        left join (care.edge e join care.party mine on mine.tenant_id = e.tenant_id and mine.id = e.from_party_id
            and mine.membership_id = ${me}::uuid)
          on e.tenant_id = p.tenant_id and e.to_party_id = p.id
            and e.valid_from <= now() and (e.valid_to is null or e.valid_to > now())
        left join lateral unnest(e.capabilities) as c(one) on true
        where p.recipient_id = any(${[...ids]}::uuid[]) and (p.membership_id = ${me}::uuid or e.id is not null or p.recipient_id in (select gate.my_emergencies()))
        group by p.recipient_id`
      return new Map(rows.map(({ id, ...standing }) => [id, { ...standing, self: standing.self === true }]))
    },
  }
}

export type CareRepo = ReturnType<typeof createRepo>
