/** The queue's tables. */
import type { Scope } from '../../../kernel/scope.ts'
import type { Prisma, ReviewItem } from '../../../platform/db/generated/client.ts'
import type { ModuleDb } from '../../../platform/module.ts'
import type { ReviewState } from './rules.ts'

export type Moved = Pick<ReviewItem, 'id' | 'kind' | 'recipientId'>

/** The most items of one tenant that one run of the clockwork moves. */
const batch = 200

export function createRepo(db: ModuleDb<'ReviewItem' | 'ReviewDecision'>) {
  const move = async (scope: Scope, where: Prisma.ReviewItemWhereInput, state: ReviewState): Promise<Moved[]> => {
    const { tenantId } = scope
    const due = await db(scope).reviewItem.findMany({ where: { ...where, tenantId }, select: { id: true }, take: batch, orderBy: { slaAt: 'asc' } })
    if (due.length === 0) return []
    return db(scope).reviewItem.updateManyAndReturn({
      // Asked once more: somebody may have taken one up meanwhile.
      where: { ...where, tenantId, id: { in: due.map(({ id }) => id) } },
      data: { state, claimedBy: null, claimExpiresAt: null, version: { increment: 1 } },
      select: { id: true, kind: true, recipientId: true },
    })
  }

  return {
    add: (scope: Scope, data: Omit<Prisma.ReviewItemUncheckedCreateInput, 'tenantId'>): Promise<{ id: string }> =>
      // Answers nothing but the id: the login that puts items in may not read them.
      db(scope).reviewItem.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } }),

    find: (scope: Scope, id: string): Promise<ReviewItem | null> =>
      db(scope).reviewItem.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } } }),

    findBySubject: (scope: Scope, kind: string, subjectId: string): Promise<ReviewItem | null> =>
      db(scope).reviewItem.findUnique({ where: { tenantId_kind_subjectId: { tenantId: scope.tenantId, kind, subjectId } } }),

    /** The moved item, or null when somebody moved it first. */
    async change(
      scope: Scope,
      { id, version }: Pick<ReviewItem, 'id' | 'version'>,
      data: { readonly state: ReviewState; readonly claimedBy: string | null; readonly claimExpiresAt: Date | null },
    ): Promise<ReviewItem | null> {
      const [changed] = await db(scope).reviewItem.updateManyAndReturn({
        where: { tenantId: scope.tenantId, id, version },
        data: { ...data, version: { increment: 1 } },
      })
      return changed ?? null
    },

    async agreedBefore(scope: Scope, itemId: string): Promise<number> {
      return db(scope).reviewDecision.count({ where: { tenantId: scope.tenantId, itemId, verdict: { in: ['APPROVE', 'EDIT'] } } })
    },

    addDecision: (scope: Scope, data: Omit<Prisma.ReviewDecisionUncheckedCreateInput, 'tenantId'>) =>
      db(scope).reviewDecision.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } }),

    escalateDue: (scope: Scope, now: Date) => move(scope, { state: 'PENDING', slaAt: { lte: now } }, 'ESCALATED'),
    releaseDue: (scope: Scope, now: Date) => move(scope, { state: 'CLAIMED', claimExpiresAt: { lte: now } }, 'PENDING'),
    expireDue: (scope: Scope, now: Date) => move(scope, { state: { in: ['PENDING', 'ESCALATED'] }, expiresAt: { lte: now } }, 'EXPIRED'),

    /** For the graph: `query` is plugin-prisma's own; the policies decide whose rows there are. */
    graphItems: <Query extends object>(scope: Scope, query: Query, states: readonly ReviewState[]) =>
      db(scope).reviewItem.findMany({
        ...query,
        where: { tenantId: scope.tenantId, state: { in: [...states] } },
        orderBy: { id: 'asc' },
      }),
    graphItem: <Query extends object>(scope: Scope, query: Query, id: string) =>
      db(scope).reviewItem.findUnique({ ...query, where: { tenantId_id: { tenantId: scope.tenantId, id } } }),
  }
}

export type HitlRepo = ReturnType<typeof createRepo>
