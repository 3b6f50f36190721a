/** The circle's tables: parties, the edges between them, consents; and the network they make. */
import { memberIdOf, type Scope } from '../../../kernel/scope.ts'
import type { CareEdge, CareParty, Consent, Prisma, RecipientState } from '../../../platform/db/generated/client.ts'
import type { ModuleDb, ModuleSql } from '../../../platform/module.ts'
import type { CareModels } from '../repo.ts'
import type { Hop } from './rules.ts'

/** An edge and the recipient to whom it leads, if it leads to one. */
export type EdgeRow = CareEdge & { readonly to: { readonly recipientId: string | null } }

export interface ConsentParties {
  readonly recipientState: RecipientState | null
  readonly granteeId: string | null
}

export type NewConsent = Pick<Consent, 'id' | 'recipientId' | 'granteeId' | 'purpose' | 'fieldSet' | 'state' | 'validTo'>

export function createCircleRepo(db: ModuleDb<CareModels>, sql: ModuleSql) {
  return {
    findParty: (scope: Scope, id: string): Promise<CareParty | null> =>
      db(scope).careParty.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } } }),

    addParty: (scope: Scope, data: Omit<Prisma.CarePartyUncheckedCreateInput, 'tenantId'>): Promise<CareParty> =>
      db(scope).careParty.create({ data: { ...data, tenantId: scope.tenantId } }),

    partiesOfMember: (scope: Scope, membershipId: string): Promise<CareParty[]> =>
      db(scope).careParty.findMany({ where: { tenantId: scope.tenantId, membershipId }, orderBy: { id: 'asc' } }),

    /** For the graph: the parties of a network in one query. `query` is plugin-prisma's own. */
    graphParties: <Query extends object>(scope: Scope, query: Query, ids: readonly string[]) =>
      db(scope).careParty.findMany({ ...query, where: { tenantId: scope.tenantId, id: { in: [...ids] } } }),

    findEdge: (scope: Scope, id: string): Promise<EdgeRow | null> =>
      db(scope).careEdge.findUnique({
        where: { tenantId_id: { tenantId: scope.tenantId, id } },
        include: { to: { select: { recipientId: true } } },
      }),

    addEdge: (scope: Scope, data: Omit<Prisma.CareEdgeUncheckedCreateInput, 'tenantId'>): Promise<CareEdge> =>
      db(scope).careEdge.create({ data: { ...data, tenantId: scope.tenantId } }),

    /** Ends an edge by the database's clock; null when it had ended. One that has not begun never will. */
    async endEdge(scope: Scope, id: string): Promise<{ readonly validFrom: Date; readonly validTo: Date } | null> {
      const rows = await sql(scope).$queryRaw<{ validFrom: Date; validTo: Date }[]>`
        update care.edge set valid_to = greatest(now(), valid_from), updated_at = now(), version = version + 1
        where tenant_id = ${scope.tenantId}::uuid and id = ${id}::uuid and (valid_to is null or valid_to > greatest(now(), valid_from))
        returning valid_from as "validFrom", valid_to as "validTo"`
      return rows[0] ?? null
    },

    findConsent: (scope: Scope, id: string): Promise<Consent | null> =>
      db(scope).consent.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } } }),

    /** What a consent to this party is decided by; null for what the policies do not show. */
    async consentParties(scope: Scope, recipientId: string, granteeId: string): Promise<ConsentParties> {
      const [found] = await sql(scope).$queryRaw<ConsentParties[]>`
        select (select r.state::text from care.recipient r where r.tenant_id = ${scope.tenantId}::uuid and r.id = ${recipientId}::uuid) as "recipientState",
          (select p.id from care.party p where p.tenant_id = ${scope.tenantId}::uuid and p.id = ${granteeId}::uuid) as "granteeId"`
      return found!
    },

    /** Adds a consent of version 1, along with the next statement of the command or its end. */
    addConsent: (scope: Scope, { id, recipientId, granteeId, purpose, fieldSet, state, validTo }: NewConsent): void =>
      sql(scope).$executeLater`
        insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set, state, valid_to, created_by, version)
        values (${scope.tenantId}::uuid, ${id}::uuid, ${recipientId}::uuid, ${granteeId}::uuid, ${purpose}, ${[...fieldSet]}::text[],
          ${state}::care.consent_state, ${validTo}::timestamptz, ${memberIdOf(scope)}::uuid, 1)`,

    async changeConsent(
      scope: Scope,
      { id, version }: { readonly id: string; readonly version: number },
      state: Consent['state'],
    ): Promise<Consent | null> {
      const [changed] = await db(scope).consent.updateManyAndReturn({
        where: { tenantId: scope.tenantId, id, version },
        data: { state, version: { increment: 1 } },
      })
      return changed ?? null
    },

    /**
     * The recipient's own party and everyone from whom live edges lead to it, level by level; a party appears once, on its
     * shortest way, so a cycle ends itself. `most` bounds the parties, and one more tells that there are more.
     */
    network: (scope: Scope, recipientId: string, depth: number, most: number): Promise<Hop[]> =>
      sql(scope).$queryRaw<Hop[]>`
        with recursive level (distance, parties, parents, seen) as (
          select 0, array[p.id], array[null::uuid], array[p.id]
          from care.party p where p.recipient_id = ${recipientId}::uuid
          union all
          select l.distance + 1, f.parties, f.parents, l.seen || f.parties
          from level l
          cross join lateral (
            select array_agg(s.party order by s.party) as parties, array_agg(s.parent order by s.party) as parents
            from (
              select distinct on (e.from_party_id) e.from_party_id as party, e.to_party_id as parent
              from care.edge e
              where e.to_party_id = any(l.parties) and e.from_party_id <> all(l.seen)
                and e.valid_from <= now() and (e.valid_to is null or e.valid_to > now())
              order by e.from_party_id, e.to_party_id
              limit greatest(0, ${most}::int + 1 - cardinality(l.seen))
            ) s
          ) f
          where l.distance < ${depth}::int and f.parties is not null
        )
        select n.party as "partyId", n.parent as "parentId", l.distance,
          coalesce(hop.capabilities, '{}') as capabilities,
          coalesce(hop.relations, '{}') as relations,
          coalesce(hop.guardian, false) as "legalGuardian"
        from level l
        cross join lateral unnest(l.parties, l.parents) as n(party, parent)
        left join lateral (
          select array_agg(distinct c.one) as capabilities, array_agg(distinct e.relation) as relations,
            bool_or(e.legal_guardian) as guardian
          from care.edge e left join lateral unnest(e.capabilities) as c(one) on true
          where e.from_party_id = n.party and e.to_party_id = n.parent
            and e.valid_from <= now() and (e.valid_to is null or e.valid_to > now())
        ) hop on true
        order by l.distance, n.party`,

    /**
     * Those of the parties whose names the caller may read without reaching the whole tenant: herself, those she made herself, and
     * everyone around a recipient for whom she may open PHI (`guardiansOnly`: whom she is or legally represents).
     */
    async openableParties(scope: Scope, ids: readonly string[], guardiansOnly: boolean): Promise<ReadonlySet<string>> {
      const me = memberIdOf(scope)
      if (me === null || ids.length === 0) return new Set()
      const rows = await sql(scope).$queryRaw<{ id: string }[]>`
        with recursive mine as (
          select p.id, p.recipient_id from care.party p where p.membership_id = ${me}::uuid
        ), network (party) as (
          select r.id from mine r where r.recipient_id is not null and ${guardiansOnly}::boolean
          union
          select r.id
          from care.party r
          join care.edge e on e.tenant_id = r.tenant_id and e.to_party_id = r.id
          join mine on mine.id = e.from_party_id
          where r.recipient_id is not null
            and e.valid_from <= now() and (e.valid_to is null or e.valid_to > now())
            and case when ${guardiansOnly}::boolean then e.legal_guardian else 'PHI' = any(e.capabilities) end
          union
          select e.from_party_id from network join care.edge e on e.to_party_id = network.party
          where e.valid_from <= now() and (e.valid_to is null or e.valid_to > now())
        )
        select p.id from care.party p
        where p.id = any(${[...ids]}::uuid[])
          and (p.membership_id = ${me}::uuid or p.created_by = ${me}::uuid or p.id in (select party from network))`
      return new Set(rows.map(({ id }) => id))
    },

    /**
     * The recipients to whom each party is or was linked directly, at most `most` a party, in the order of their ids: of those whom the
     * caller sees, for only through them can the caller have come to the party.
     */
    async recipientsOf(scope: Scope, ids: readonly string[], most: number): Promise<ReadonlyMap<string, readonly string[]>> {
      if (ids.length === 0) return new Map()
      const rows = await sql(scope).$queryRaw<{ party: string; recipients: string[] }[]>`
        select p.id as party, r.recipients
        from unnest(${[...ids]}::uuid[]) as p(id)
        cross join lateral (
          select array_agg(s.recipient_id order by s.recipient_id) as recipients from (
            select distinct t.recipient_id
            from care.edge e join care.party t on t.tenant_id = e.tenant_id and t.id = e.to_party_id
            where e.tenant_id = ${scope.tenantId}::uuid and e.from_party_id = p.id and t.recipient_id is not null
            order by t.recipient_id limit ${most}::int
          ) s
        ) r
        where r.recipients is not null`
      return new Map(rows.map(({ party, recipients }) => [party, recipients]))
    },
  }
}

export type CircleRepo = ReturnType<typeof createCircleRepo>
