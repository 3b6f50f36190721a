/** The tables of lookup: tokens beside parties, what each field's index gives away, and how far a run is. */
import { newId } from '../../../kernel/id.ts'
import type { Scope } from '../../../kernel/scope.ts'
import type { BlindIndex, IndexRun, LookupField as LookupFieldRow } from '../../../platform/db/generated/client.ts'
import type { ModuleDb, ModuleSql } from '../../../platform/module.ts'
import type { CareModels } from '../repo.ts'
import type { LookupField, Measure } from './rules.ts'

export type Token = Pick<BlindIndex, 'field' | 'generation' | 'token'>

/** A party and the sealed record that its index is made of: a recipient's own, else the party's. */
export interface IndexedParty {
  readonly id: string
  readonly phi: string
  readonly recipient: { readonly id: string; readonly phi: string } | null
}

export function createLookupRepo(db: ModuleDb<CareModels>, sql: ModuleSql) {
  const tenant = ({ tenantId }: Scope) => ({ tenantId })
  return {
    fields: (scope: Scope): Promise<LookupFieldRow[]> => db(scope).lookupField.findMany({ where: tenant(scope), orderBy: { field: 'asc' } }),

    async measured(scope: Scope, field: LookupField, measure: Measure): Promise<void> {
      await db(scope).lookupField.upsert({
        where: { tenantId_field: { tenantId: scope.tenantId, field } },
        create: { tenantId: scope.tenantId, field, ...measure },
        update: { ...measure, measuredAt: new Date() },
        select: { field: true },
      })
    },

    async setState(scope: Scope, from: 'MEASURED' | 'BUILDING', to: 'BUILDING' | 'ON', fields?: readonly string[]): Promise<void> {
      const named = fields ? { field: { in: [...fields] } } : {}
      await db(scope).lookupField.updateMany({ where: { ...tenant(scope), state: from, ...named }, data: { state: to } })
    },

    /** Whoever indexes a party holds it until the end of its command: a run must not write what was just replaced. */
    async lock(scope: Scope, partyIds: readonly string[]): Promise<void> {
      await sql(scope).$queryRaw`
        select count(pg_advisory_xact_lock(hashtextextended('care.blind_index/' || s.id, 0)))
        from (select id from unnest(${[...partyIds].sort()}::text[]) as ids (id) order by id) s`
    },

    async replace(scope: Scope, partyId: string, tokens: readonly Token[]): Promise<void> {
      await db(scope).blindIndex.deleteMany({ where: { ...tenant(scope), partyId } })
      if (tokens.length > 0) await db(scope).blindIndex.createMany({ data: tokens.map((one) => ({ ...one, ...tenant(scope), partyId })) })
    },

    tokensOf: (scope: Scope, partyIds: readonly string[]): Promise<BlindIndex[]> =>
      db(scope).blindIndex.findMany({ where: { ...tenant(scope), partyId: { in: [...partyIds] } } }),

    async forgetGenerations(scope: Scope, generations: readonly number[]): Promise<void> {
      await db(scope).blindIndex.deleteMany({ where: { ...tenant(scope), generation: { in: [...generations] } } })
    },

    /** Recipients whose parties have all these tokens, as far as the caller's policies show them. */
    async find(scope: Scope, field: LookupField, generation: number, tokens: readonly string[], most: number): Promise<string[]> {
      const parties = await db(scope).careParty.findMany({
        where: {
          ...tenant(scope),
          recipientId: { not: null },
          AND: tokens.map((token) => ({ indexed: { some: { ...tenant(scope), field, generation, token } } })),
        },
        select: { recipientId: true },
        orderBy: { id: 'asc' },
        take: most,
      })
      return parties.map(({ recipientId }) => recipientId!)
    },

    /** Whoever has this number, past what the caller sees; at most two. Only the login that checks second factors may ask. */
    async foundByMrn(scope: Scope, generation: number, tokens: readonly string[]): Promise<{ isOn: boolean; recipientIds: string[] }> {
      const rows = await sql(scope).$queryRaw<{ isOn: boolean; recipientId: string | null }[]>`
        select is_on as "isOn", recipient_id as "recipientId" from gate.found_by_mrn(${generation}::int, ${[...tokens]}::text[])`
      return { isOn: rows[0]!.isOn, recipientIds: rows.flatMap(({ recipientId }) => recipientId ?? []) }
    },

    async partyOfRecipient(scope: Scope, recipientId: string): Promise<string | null> {
      const party = await db(scope).careParty.findFirst({ where: { ...tenant(scope), recipientId }, select: { id: true } })
      return party?.id ?? null
    },

    /** The parties after `cursor` in the order of their ids. */
    async partyIds(scope: Scope, cursor: string | null, most: number): Promise<string[]> {
      const rows = await db(scope).careParty.findMany({
        where: { ...tenant(scope), ...(cursor === null ? {} : { id: { gt: cursor } }) },
        select: { id: true },
        orderBy: { id: 'asc' },
        take: most,
      })
      return rows.map(({ id }) => id)
    },

    parties: (scope: Scope, ids: readonly string[]): Promise<IndexedParty[]> =>
      db(scope).careParty.findMany({
        where: { ...tenant(scope), id: { in: [...ids] } },
        select: { id: true, phi: true, recipient: { select: { id: true, phi: true } } },
        relationLoadStrategy: 'join',
      }),

    /** The run that is not done, locked for this command: two that drive it take turns. */
    async lockRun(scope: Scope): Promise<IndexRun | null> {
      await sql(scope).$queryRaw`select id from care.index_run where tenant_id = ${scope.tenantId}::uuid and phase <> 'DONE' for update`
      return db(scope).indexRun.findFirst({ where: { ...tenant(scope), phase: { not: 'DONE' } } })
    },

    async addRun(scope: Scope): Promise<void> {
      await db(scope).indexRun.create({ data: { ...tenant(scope), id: newId() }, select: { id: true } })
    },

    async changeRun(scope: Scope, id: string, data: Partial<Pick<IndexRun, 'phase' | 'cursor' | 'done' | 'mended' | 'finishedAt'>>): Promise<void> {
      await db(scope).indexRun.updateMany({ where: { ...tenant(scope), id }, data })
    },

    /** Milliseconds since a moment, by the database's clock, which wrote it. */
    async ageMs(scope: Scope, since: Date): Promise<number> {
      const rows = await sql(scope).$queryRaw<{ ms: number }[]>`
        select (extract(epoch from clock_timestamp() - ${since}::timestamptz) * 1000)::double precision as ms`
      return rows[0]!.ms
    },

    /** What stays readable of a recipient goes with her key; the ciphertexts too. */
    async blank(scope: Scope, recipientId: string): Promise<void> {
      await sql(scope).$executeRaw`
        update care.recipient set phi = 'v1|erased', birth_year = null, area_geohash5 = null, state = 'ARCHIVED',
          version = version + 1, updated_at = now()
        where tenant_id = ${scope.tenantId}::uuid and id = ${recipientId}::uuid`
      await sql(scope).$executeRaw`
        update care.party set phi = 'v1|erased', version = version + 1, updated_at = now()
        where tenant_id = ${scope.tenantId}::uuid and recipient_id = ${recipientId}::uuid`
    },
  }
}

export type LookupRepo = ReturnType<typeof createLookupRepo>
