import { describe, expect, it } from 'vitest'
import { eventOf, refuseReviewer, reviewMachine, stateAt, type Judged, type ReviewState } from './rules.ts'

const legal: Record<ReviewState, readonly string[]> = {
  PENDING: ['claim', 'escalate', 'expire'],
  ESCALATED: ['claim', 'expire'],
  CLAIMED: ['release', 'approve', 'edit', 'reject'],
  APPROVED: ['execute', 'outdate'],
  EDITED: ['execute', 'outdate'],
  REJECTED: [],
  EXPIRED: [],
  EXECUTED: [],
  STALE: [],
}

describe('a review', () => {
  for (const state of reviewMachine.states) {
    for (const event of reviewMachine.events) {
      const isLegal = legal[state].includes(event)
      it(`in ${state} ${isLegal ? 'takes' : 'refuses'} ${event}`, () => {
        expect(reviewMachine.can(state, event)).toBe(isLegal)
        if (!isLegal) expect(() => reviewMachine.next(state, event)).toThrow('not possible')
      })
    }
  }

  it('is free again when its claim is over, to the millisecond', () => {
    const claimExpiresAt = new Date(1_000)
    expect(stateAt({ state: 'CLAIMED', claimExpiresAt }, 999)).toBe('CLAIMED')
    expect(stateAt({ state: 'CLAIMED', claimExpiresAt }, 1_000)).toBe('PENDING')
    expect(stateAt({ state: 'APPROVED', claimExpiresAt }, 2_000)).toBe('APPROVED')
  })

  it('is closed by one refusal, and by agreement of as many as the quorum', () => {
    expect(eventOf('REJECT', 4, 5)).toBe('reject')
    expect(eventOf('APPROVE', 0, 2)).toBe('release')
    expect(eventOf('APPROVE', 1, 2)).toBe('approve')
    expect(eventOf('EDIT', 1, 2)).toBe('edit')
  })

  it('is never judged by whoever asked, and an emergency by officers only', () => {
    const item: Judged = { kind: 'BREAK_GLASS', requestedBy: 'a', state: 'PENDING', claimedBy: null, claimExpiresAt: null }
    expect(() => refuseReviewer(item, { membershipId: 'a', role: 'compliance_officer' })).toThrow('what they asked for')
    expect(() => refuseReviewer(item, { membershipId: 'b', role: 'clinician' })).toThrow('compliance officer')
    expect(() => refuseReviewer(item, { membershipId: 'b', role: 'compliance_officer' })).not.toThrow()
    expect(() => refuseReviewer({ ...item, kind: 'AI_OUTPUT' }, { membershipId: 'b', role: 'clinician' })).not.toThrow()
  })
})
