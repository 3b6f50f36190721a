/** Where a trail is streamed to, as it is kept: one row a tenant. How a stream goes, its sender writes. */
import type { Scope } from '../../../kernel/scope.ts'
import type { AuditStream, Prisma } from '../../../platform/db/generated/client.ts'
import type { ModuleDb } from '../../../platform/module.ts'

export function createStreamRepo(db: ModuleDb<'AuditStream'>) {
  return {
    find: (scope: Scope): Promise<AuditStream | null> => db(scope).auditStream.findUnique({ where: { tenantId: scope.tenantId } }),

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

    remove: (scope: Scope): Promise<AuditStream> => db(scope).auditStream.delete({ where: { tenantId: scope.tenantId } }),
  }
}

export type StreamRepo = ReturnType<typeof createStreamRepo>
