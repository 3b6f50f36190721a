/** Audit's table, read only: the platform's intake writes it, and nobody changes it. */
import type { Scope } from '../../kernel/scope.ts'
import type { AuditEvent, Prisma } from '../../platform/db/generated/client.ts'
import type { ModuleDb } from '../../platform/module.ts'

export function createRepo(db: ModuleDb<'AuditEvent'>) {
  return {
    /** Newest first by the database's clock; one more than asked for tells whether there is another page. */
    page(
      scope: Scope,
      where: Prisma.AuditEventWhereInput,
      { first, after }: { first: number; after?: string | undefined },
    ): Promise<AuditEvent[]> {
      const { tenantId } = scope
      return db(scope).auditEvent.findMany({
        where: { ...where, tenantId },
        orderBy: [{ at: 'desc' }, { id: 'desc' }],
        take: first + 1,
        ...(after === undefined ? {} : { cursor: { tenantId_id: { tenantId, id: after } }, skip: 1 }),
      })
    },
  }
}

export type AuditRepo = ReturnType<typeof createRepo>
