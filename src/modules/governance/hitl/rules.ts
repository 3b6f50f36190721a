/** A review's life as data, and who may judge what. Pure; it refuses every move not listed, and nobody judges what they asked for. */
import { fault } from '../../../kernel/fault.ts'
import { machine } from '../../../kernel/machine.ts'

export const verdicts = ['APPROVE', 'REJECT', 'EDIT'] as const
export type Verdict = (typeof verdicts)[number]
export const risks = ['LOW', 'MEDIUM', 'HIGH'] as const

export const ownRequest = fault('denied', 'OWN_REQUEST', 'Nobody judges what they asked for. Somebody else has to review this.')
export const officersOnly = fault('denied', 'OFFICERS_ONLY', 'Only a compliance officer judges this.')
export const claimedByOther = fault('conflict', 'CLAIMED_BY_OTHER', 'Somebody else has taken this up. It comes back when they let go of it, or after 15 minutes.')
export const claimFirst = fault('conflict', 'CLAIM_FIRST', 'Take this review up before you decide, or again if your 15 minutes are over.')
export const decidedAlready = fault('conflict', 'DECIDED_ALREADY', 'You have given your verdict on this. Another reviewer has to give theirs.')

/** How long a claim holds. */
export const leaseMs = 15 * 60_000

/** APPROVED and EDITED wait for the module that asked to carry them out, once; where nothing is to be carried out they are the end. */
export const reviewMachine = machine({
  initial: 'PENDING',
  moves: [
    { from: ['PENDING', 'ESCALATED'], event: 'claim', to: 'CLAIMED', by: 'reviewer' },
    { from: 'CLAIMED', event: 'release', to: 'PENDING', by: 'system' },
    { from: 'CLAIMED', event: 'approve', to: 'APPROVED', by: 'reviewer' },
    { from: 'CLAIMED', event: 'edit', to: 'EDITED', by: 'reviewer' },
    { from: 'CLAIMED', event: 'reject', to: 'REJECTED', by: 'reviewer' },
    { from: 'PENDING', event: 'escalate', to: 'ESCALATED', by: 'system' },
    { from: ['PENDING', 'ESCALATED'], event: 'expire', to: 'EXPIRED', by: 'system' },
    { from: ['APPROVED', 'EDITED'], event: 'execute', to: 'EXECUTED', by: 'system' },
    { from: ['APPROVED', 'EDITED'], event: 'outdate', to: 'STALE', by: 'system' },
  ],
})
export type ReviewState = (typeof reviewMachine.states)[number]

/** What a queue shows first: everything that still waits for a person. */
export const openStates = ['PENDING', 'ESCALATED', 'CLAIMED'] as const satisfies readonly ReviewState[]

const officerKinds: ReadonlySet<string> = new Set(['BREAK_GLASS'])

export interface Judged {
  readonly kind: string
  readonly requestedBy: string | null
  readonly state: ReviewState
  readonly claimedBy: string | null
  readonly claimExpiresAt: Date | null
}

/** An item's state at a moment: a claim whose time is over holds nobody off. */
export function stateAt({ state, claimExpiresAt }: Pick<Judged, 'state' | 'claimExpiresAt'>, nowMs: number): ReviewState {
  return state === 'CLAIMED' && (claimExpiresAt?.getTime() ?? 0) <= nowMs ? reviewMachine.next(state, 'release') : state
}

/** @throws OWN_REQUEST, OFFICERS_ONLY */
export function refuseReviewer(item: Judged, { membershipId, role }: { readonly membershipId: string; readonly role: string }): void {
  if (item.requestedBy === membershipId) throw ownRequest()
  if (officerKinds.has(item.kind) && role !== 'compliance_officer') throw officersOnly()
}

/**
 * What a verdict does to an item: one refusal closes it, agreement has to be reached by as many as the quorum asks for.
 * @param agreedBefore different reviewers who agreed already.
 */
export function eventOf(verdict: Verdict, agreedBefore: number, quorum: number): 'approve' | 'edit' | 'reject' | 'release' {
  if (verdict === 'REJECT') return 'reject'
  if (agreedBefore + 1 < quorum) return 'release'
  return verdict === 'EDIT' ? 'edit' : 'approve'
}
