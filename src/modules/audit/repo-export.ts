/** The trail as it is proven: lines as the text that was hashed, with their links, in the order of the chain. */
import type { Scope } from '../../kernel/scope.ts'
import { Prisma } from '../../platform/db/generated/client.ts'
import type { ModuleSql } from '../../platform/module.ts'
import type { Selection } from './export.ts'

export interface LinkedLine {
  readonly seq: number
  readonly prev: string
  readonly hash: string
  /** The canonical text; null when the line is gone. */
  readonly text: string | null
  readonly digest: string | null
  /** Whether the selection asks for it. */
  readonly wanted: boolean
}

const wantedBy = ({ subjectId, actorId }: Selection): Prisma.Sql => {
  const conditions = [
    ...(subjectId === undefined ? [] : [Prisma.sql`e.subject_id = ${subjectId}::uuid`]),
    ...(actorId === undefined ? [] : [Prisma.sql`e.actor_id = ${actorId}::uuid`]),
  ]
  return conditions.length === 0 ? Prisma.sql`true` : Prisma.sql`coalesce(${Prisma.join(conditions, ' and ')}, false)`
}

export function createExportRepo({ sql }: { sql: ModuleSql }) {
  return {
    /** Links after number `after`, at most `most`, with their lines. */
    linked(scope: Scope, { after, most, selection }: { after: number; most: number; selection: Selection }): Promise<LinkedLine[]> {
      return sql(scope).$queryRaw<LinkedLine[]>`
        select l.seq::int8::float8 as seq, encode(l.prev_hash, 'hex') as prev, encode(l.row_hash, 'hex') as hash,
          case when e.id is not null then audit.canonical(e) end as text,
          case when e.id is not null then encode(sha256(convert_to(audit.canonical(e), 'UTF8')), 'hex') end as digest,
          ${wantedBy(selection)} as wanted
        from audit.link l left join audit.event e on e.tenant_id = l.tenant_id and e.id = l.event_id and e.at = l.at
        where l.tenant_id = ${scope.tenantId}::uuid and l.seq > ${after}::int8
        order by l.seq, l.at limit ${most}`
    },

    /** The hash of link `seq`, or of the end of what was removed; null when there is none. */
    async hashAt(scope: Scope, seq: number): Promise<string | null> {
      const rows = await sql(scope).$queryRaw<{ hash: string }[]>`
        select encode(row_hash, 'hex') as hash from audit.link where tenant_id = ${scope.tenantId}::uuid and seq = ${seq}::int8
        union all
        select encode(row_hash, 'hex') from audit.retired where tenant_id = ${scope.tenantId}::uuid and seq = ${seq}::int8 limit 1`
      return rows[0]?.hash ?? null
    },

    /** The last line that was removed after its time; 0 where nothing was. */
    async retiredThrough(scope: Scope): Promise<number> {
      const rows = await sql(scope).$queryRaw<{ seq: number }[]>`
        select seq::float8 as seq from audit.retired where tenant_id = ${scope.tenantId}::uuid order by seq desc limit 1`
      return rows[0]?.seq ?? 0
    },

    /** When line `seq` was written, as its link says; null when there is no such link. */
    async timeOf(scope: Scope, seq: number): Promise<Date | null> {
      const rows = await sql(scope).$queryRaw<{ at: Date }[]>`
        select at from audit.link where tenant_id = ${scope.tenantId}::uuid and seq = ${seq}::int8 limit 1`
      return rows[0]?.at ?? null
    },

    /** The number of the newest link; 0 for a chain that has none. */
    async head(scope: Scope): Promise<number> {
      const rows = await sql(scope).$queryRaw<{ seq: number }[]>`
        select seq::float8 as seq from audit.link where tenant_id = ${scope.tenantId}::uuid order by seq desc limit 1`
      return rows[0]?.seq ?? 0
    },

    /** Selected lines that have no link, the oldest first: those of the last moment, and whatever was put in between. */
    async unlinked(scope: Scope, { most, selection }: { most: number; selection: Selection }): Promise<string[]> {
      const rows = await sql(scope).$queryRaw<{ text: string }[]>`
        select audit.canonical(e) as text from audit.event e
        where e.tenant_id = ${scope.tenantId}::uuid and not exists (
          select from audit.link l where l.epoch = e.epoch and l.xid = e.xid and l.event_id = e.id and l.tenant_id = e.tenant_id)
          and ${wantedBy(selection)}
        order by e.epoch, e.xid, e.id limit ${most}`
      return rows.map(({ text }) => text)
    },
  }
}

export type ExportRepo = ReturnType<typeof createExportRepo>
