/** Custody's tables. Asking is done on the login that checks the second factor, and on no other. */
import type { Scope } from '../../../kernel/scope.ts'
import type { HoldBasis, LegalHold, Offboarding, OffboardingState, Prisma } from '../../../platform/db/generated/client.ts'
import { unitOf } from '../../../platform/db/unit.ts'
import { authLogin, workerLogin, type ModuleDb, type ModuleSql } from '../../../platform/module.ts'

export type OffboardingRow = Offboarding

/** Not over yet, or the last one. */
const newest = { orderBy: { id: 'desc' } } as const

export function createRepo(db: ModuleDb<'LegalHold' | 'Offboarding'>, sql: ModuleSql) {
  return {
    inAuthCommand: <T>(scope: Scope, work: (inside: Scope) => Promise<T>): Promise<T> => unitOf(scope).command(work, authLogin),
    /** The planes' own logins change no key. */
    inWorkerCommand: <T>(scope: Scope, work: (inside: Scope) => Promise<T>): Promise<T> => unitOf(scope).command(work, workerLogin),

    async recipientExists(scope: Scope, recipientId: string): Promise<boolean> {
      const rows = await sql(scope).$queryRaw<{ exists: boolean }[]>`select gate.recipient_exists(${recipientId}::uuid) as exists`
      return rows[0]!.exists
    },

    addHold: (
      scope: Scope,
      data: { id: string; recipientId: string | null; basis: HoldBasis; reference: string; placedBy: string },
    ): Promise<{ id: string }> => db(scope).legalHold.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } }),

    findHold: (scope: Scope, id: string): Promise<LegalHold | null> =>
      db(scope).legalHold.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } } }),

    /** False when it was lifted already. */
    async liftHold(scope: Scope, id: string, liftedBy: string, liftedAt: Date): Promise<boolean> {
      const where = { tenantId: scope.tenantId, id, liftedAt: null }
      return (await db(scope).legalHold.updateMany({ where, data: { liftedBy, liftedAt } })).count > 0
    },

    async isHeld(scope: Scope): Promise<boolean> {
      return (await db(scope).legalHold.findFirst({ where: { tenantId: scope.tenantId, liftedAt: null }, select: { id: true } })) !== null
    },

    /** Due so many hours from now, by the database's clock. */
    async addOffboarding(
      inside: Scope,
      { id, reason, exportKey, askedBy, waitHours }: { id: string; reason: string; exportKey: string; askedBy: string; waitHours: number },
    ): Promise<Date> {
      const rows = await sql(inside).$queryRaw<{ dueAt: Date }[]>`
        insert into custody.offboarding (tenant_id, id, reason, export_key, asked_by, due_at)
        values (${inside.tenantId}::uuid, ${id}::uuid, ${reason}, ${exportKey}, ${askedBy}::uuid,
          current_timestamp + make_interval(hours => ${waitHours}::int))
        returning due_at as "dueAt"`
      return rows[0]!.dueAt
    },

    offboarding: (scope: Scope): Promise<Offboarding | null> =>
      db(scope).offboarding.findFirst({ where: { tenantId: scope.tenantId }, ...newest }),

    async isDue(scope: Scope, dueAt: Date): Promise<boolean> {
      const rows = await sql(scope).$queryRaw<{ due: boolean }[]>`select now() >= ${dueAt}::timestamptz as due`
      return rows[0]!.due
    },

    /** Moves on from the state that was read; false when somebody else did meanwhile. */
    async move(
      scope: Scope,
      { id, state }: Pick<Offboarding, 'id' | 'state'>,
      data: { state: OffboardingState; closedBy?: string; closedAt?: Date; endedBy?: string; endedAt?: Date; facts?: object; certificate?: string },
    ): Promise<boolean> {
      const where = { tenantId: scope.tenantId, id, state }
      return (await db(scope).offboarding.updateMany({ where, data: data as Prisma.OffboardingUncheckedUpdateManyInput })).count > 0
    },

    graphHolds: (scope: Scope, query: object) => db(scope).legalHold.findMany({ ...query, where: { tenantId: scope.tenantId }, orderBy: { id: 'asc' } }),
    graphHold: (scope: Scope, query: object, id: string) =>
      db(scope).legalHold.findUniqueOrThrow({ ...query, where: { tenantId_id: { tenantId: scope.tenantId, id } } }),
  }
}

export type CustodyRepo = ReturnType<typeof createRepo>
