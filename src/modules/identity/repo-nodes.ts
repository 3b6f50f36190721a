/** Rows that the graph asks for by itself: the plugin's opaque query on the caller's own login, whose policies decide what is there. */
import type { Scope } from '../../kernel/scope.ts'
import type { Prisma } from '../../platform/db/generated/client.ts'
import type { IdentityDb } from './repo.ts'

export function createNodeRepo(db: IdentityDb) {
  return {
    membership: <Query extends Pick<Prisma.MembershipFindUniqueArgs, 'select' | 'include'>>(scope: Scope, query: Query, id: string) =>
      db(scope).membership.findUniqueOrThrow({ ...query, where: { tenantId_id: { tenantId: scope.tenantId, id } } }),
  }
}

export type NodeRepo = ReturnType<typeof createNodeRepo>
