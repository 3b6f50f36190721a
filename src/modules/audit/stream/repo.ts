/** Where a trail is streamed to, as it is kept: one row a tenant. How a stream goes, its sender writes. */
import type { Scope } from '../../../kernel/scope.ts'
import type { AuditStream, Prisma } from '../../../platform/db/generated/client.ts'
import type { ModuleDb } from '../../../platform/module.ts'

/** What is left of a stream that was stopped: a row that is never due and opens nothing. */
const stopped = { url: 'https://stopped.invalid/', credentials: 'v1|stopped', authorities: null, vouched: false, problem: null, failures: 0 } as const
const never = new Date('9999-12-31T00:00:00Z')

export function createStreamRepo(db: ModuleDb<'AuditStream'>) {
  return {
    /** Null also for one that was stopped. */
    async find(scope: Scope): Promise<AuditStream | null> {
      const row = await db(scope).auditStream.findUnique({ where: { tenantId: scope.tenantId } })
      return row?.credentials === stopped.credentials ? null : row
    },

    put: (scope: Scope, data: Omit<Prisma.AuditStreamUncheckedCreateInput, 'tenantId'>): Promise<AuditStream> =>
      db(scope).auditStream.upsert({
        where: { tenantId: scope.tenantId },
        create: { ...data, tenantId: scope.tenantId },
        update: { ...data, version: { increment: 1 } },
      }),

    vouch: (scope: Scope, nextAt: Date): Promise<AuditStream> =>
      db(scope).auditStream.update({
        where: { tenantId: scope.tenantId },
        data: { vouched: true, nextAt, version: { increment: 1 } },
      }),

    stop: (scope: Scope): Promise<AuditStream> =>
      db(scope).auditStream.update({
        where: { tenantId: scope.tenantId },
        data: { ...stopped, nextAt: never, version: { increment: 1 } },
      }),
  }
}

export type StreamRepo = ReturnType<typeof createStreamRepo>
