/**
 * Hitl (human in the loop): the one queue of everything that a person has to judge. It judges nothing itself and carries nothing out.
 *
 * Glossary
 * - **item**: something to be judged, named by its subject; `subjectDigest` says in which wording.
 * - **claim**: a reviewer takes an item up; for 15 minutes nobody else decides it.
 * - **quorum**: how many different reviewers have to agree. One refusal is enough to refuse.
 * - **escalated**: nobody took it up in time; **expired**: nobody decided in time, which is a refusal.
 * - **execute**: the module that asked carries an approved item out, once, if the subject is still what was approved.
 *
 * @example
 * await hitl.open(scope, { kind: 'BREAK_GLASS', subjectType: 'BreakGlassGrant', subjectId, recipientId, subjectDigest, risk: 'HIGH', slaMs, expiresMs: null, quorum: 1 })
 */
import { z } from 'zod'
import { event } from '../../../kernel/event.ts'
import { line, uuid, type ContractOf, type Methods } from '../../../platform/contract.ts'
import { reviewMachine, risks, verdicts } from './rules.ts'

export { claimedByOther, claimFirst, decidedAlready, officersOnly, ownRequest } from './rules.ts'

export const reviewOpened = event('hitl.item.opened', z.object({ itemId: uuid, kind: z.string() }))
export const reviewDecided = event('hitl.item.decided', z.object({ itemId: uuid, verdict: z.enum(verdicts) }))
export const reviewEscalated = event('hitl.item.escalated', z.object({ itemId: uuid }))

const kind = z.string().regex(/^[A-Z][A-Z_]{2,39}$/)
const hourMs = 3_600_000
const item = z.object({ id: uuid, state: z.enum(reviewMachine.states), version: z.number() })

export const hitlMethods = {
  /** Puts something into the queue, in the caller's command. Modules only; they have authorised. */
  open: {
    input: z.object({
      kind,
      subjectType: z.string().min(1).max(64),
      subjectId: uuid,
      recipientId: uuid,
      subjectDigest: z.string().regex(/^[0-9a-f]{64}$/),
      risk: z.enum(risks),
      slaMs: z.int().min(60_000).max(30 * 24 * hourMs),
      expiresMs: z.int().min(60_000).max(90 * 24 * hourMs).nullable(),
      quorum: z.int().min(1).max(5),
    }),
    output: z.object({ id: uuid }),
  },
  /** Takes an item up, or goes on with it. Needs `review:decide`. @throws NOT_FOUND, OWN_REQUEST, OFFICERS_ONLY, CLAIMED_BY_OTHER */
  claim: { input: z.object({ id: uuid }), output: item },
  /** Lets an item go again. Needs `review:decide`. @throws NOT_FOUND, CLAIM_FIRST */
  release: { input: z.object({ id: uuid }), output: item },
  /**
   * Gives the caller's verdict on what she has claimed. A refusal or an edit says why. Needs `review:decide`.
   * @throws NOT_FOUND, CLAIM_FIRST, OWN_REQUEST, OFFICERS_ONLY, DECIDED_ALREADY
   */
  decide: {
    input: z
      .object({ id: uuid, verdict: z.enum(verdicts), comment: line(2_000).optional(), edits: z.string().max(20_000).optional() })
      .refine(({ verdict, comment }) => verdict === 'APPROVE' || comment !== undefined, { path: ['comment'], message: 'is needed' })
      .refine(({ verdict, edits }) => (verdict === 'EDIT') === (edits !== undefined), { path: ['edits'], message: 'belongs to EDIT' }),
    output: item,
  },
  /**
   * Carries an approved item out, exactly once: `isCurrent` is false, and the item stale, when the subject has changed since.
   * Modules only, in their own command. @throws NOT_FOUND, INVALID_TRANSITION when it is not approved, or was carried out
   */
  execute: {
    input: z.object({ kind, subjectId: uuid, subjectDigest: z.string() }),
    output: z.object({ isCurrent: z.boolean() }),
  },
} satisfies Methods

export type Hitl = ContractOf<typeof hitlMethods>

declare module '../../../platform/module.ts' {
  interface Contracts {
    hitl: Hitl
  }
}
