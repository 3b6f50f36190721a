/** The queue's use cases: put in, take up, decide, carry out; and the clockwork that escalates what nobody takes up. */
import type { Clock } from '../../../kernel/clock.ts'
import { notFound, staleVersion } from '../../../kernel/fault.ts'
import { newId } from '../../../kernel/id.ts'
import { memberIdOf, type Scope } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import { checked } from '../../../platform/contract.ts'
import { isUniqueViolation } from '../../../platform/db/errors.ts'
import type { ReviewItem } from '../../../platform/db/generated/client.ts'
import type { Vault } from '../../vault/contract.ts'
import { hitlMethods, reviewDecided, reviewEscalated, reviewOpened, type Hitl } from './contract.ts'
import type { HitlRepo, Moved } from './repo.ts'
import { claimedByOther, claimFirst, decidedAlready, eventOf, leaseMs, refuseReviewer, reviewMachine, stateAt } from './rules.ts'

export interface HitlParts {
  readonly repo: HitlRepo
  readonly vault: Vault
  readonly clock: Clock
}

const shown = ({ id, state, version }: ReviewItem) => ({ id, state, version })

export function createHitl({ repo, vault, clock }: HitlParts): Hitl & { keepTime(scope: Scope): Promise<void> } {
  const existing = async (scope: Scope, id: string): Promise<ReviewItem> => {
    const item = await repo.find(scope, id)
    if (!item) throw notFound()
    return item
  }

  /** The signed-in reviewer, who may judge this item. */
  const reviewerOf = (scope: Scope, item: ReviewItem): string => {
    const { actor } = scope
    const membershipId = memberIdOf(scope)
    if (actor.kind !== 'member' || membershipId === null) throw notFound()
    refuseReviewer(item, { membershipId, role: actor.role })
    return membershipId
  }

  const note = (scope: Scope, action: string, item: Moved, detail: Record<string, string> = {}): void =>
    scope.unit.record({
      action,
      resource: 'ReviewItem',
      resourceId: item.id,
      subjectId: item.recipientId,
      outcome: 'done',
      detail: { kind: item.kind, ...detail },
    })

  /** What the caller has claimed and still holds. */
  const held = async (scope: Scope, id: string): Promise<{ item: ReviewItem; me: string }> => {
    need(scope, 'review:decide')
    const item = await existing(scope, id)
    const me = reviewerOf(scope, item)
    if (stateAt(item, clock.nowMs()) !== 'CLAIMED' || item.claimedBy !== me) throw claimFirst()
    return { item, me }
  }

  const changed = async (scope: Scope, item: ReviewItem, data: Parameters<HitlRepo['change']>[2]): Promise<ReviewItem> => {
    const moved = await repo.change(scope, item, data)
    if (!moved) throw staleVersion()
    return moved
  }
  const free = { claimedBy: null, claimExpiresAt: null } as const

  const contract = checked(hitlMethods, {
    async open(scope, { slaMs, expiresMs, ...rest }) {
      const id = newId()
      const nowMs = clock.nowMs()
      await repo.add(scope, {
        ...rest,
        id,
        requestedBy: memberIdOf(scope),
        slaAt: new Date(nowMs + slaMs),
        expiresAt: expiresMs === null ? null : new Date(nowMs + expiresMs),
      })
      note(scope, 'review.opened', { ...rest, id })
      scope.unit.publish(reviewOpened, id, { itemId: id, kind: rest.kind })
      return { id }
    },

    async claim(scope, { id }) {
      need(scope, 'review:decide')
      const item = await existing(scope, id)
      const me = reviewerOf(scope, item)
      const nowMs = clock.nowMs()
      const state = stateAt(item, nowMs)
      if (state === 'CLAIMED' && item.claimedBy !== me) throw claimedByOther()
      const moved = await changed(scope, item, {
        state: state === 'CLAIMED' ? state : reviewMachine.next(state, 'claim'),
        claimedBy: me,
        claimExpiresAt: new Date(nowMs + leaseMs),
      })
      note(scope, 'review.claimed', item)
      return shown(moved)
    },

    async release(scope, { id }) {
      const { item } = await held(scope, id)
      const moved = await changed(scope, item, { state: reviewMachine.next(item.state, 'release'), ...free })
      note(scope, 'review.released', item)
      return shown(moved)
    },

    async decide(scope, { id, verdict, comment, edits }) {
      const { item, me } = await held(scope, id)
      const move = eventOf(verdict, await repo.agreedBefore(scope, id), item.quorum)
      // Moved first: of two who decide at once, one waits here and then finds the item moved.
      const moved = await changed(scope, item, { state: reviewMachine.next(item.state, move), ...free })
      const decisionId = newId()
      const record = { ...(comment === undefined ? {} : { comment }), ...(edits === undefined ? {} : { edits }) }
      const place = { subjectId: item.recipientId, model: 'ReviewDecision', field: 'phi', rowId: decisionId }
      const { sealed } = await vault.seal(scope, { items: [{ ...place, record }] })
      await repo.addDecision(scope, { id: decisionId, itemId: id, reviewerId: me, verdict, phi: sealed[0]! }).catch((error: unknown) => {
        throw isUniqueViolation(error) ? decidedAlready() : error
      })
      note(scope, 'review.decided', item, { verdict, state: moved.state })
      scope.unit.publish(reviewDecided, id, { itemId: id, verdict })
      return shown(moved)
    },

    async execute(scope, { kind, subjectId, subjectDigest }) {
      const item = await repo.findBySubject(scope, kind, subjectId)
      if (!item) throw notFound()
      const isCurrent = item.subjectDigest === subjectDigest
      const moved = await changed(scope, item, { state: reviewMachine.next(item.state, isCurrent ? 'execute' : 'outdate'), ...free })
      note(scope, 'review.executed', item, { state: moved.state })
      return { isCurrent }
    },
  })

  return {
    ...contract,

    async keepTime(scope) {
      const now = new Date(clock.nowMs())
      for (const item of await repo.releaseDue(scope, now)) note(scope, 'review.released', item)
      for (const item of await repo.expireDue(scope, now)) note(scope, 'review.expired', item)
      for (const item of await repo.escalateDue(scope, now)) {
        note(scope, 'review.escalated', item)
        scope.unit.publish(reviewEscalated, item.id, { itemId: item.id })
      }
    },
  }
}
