import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freshHouse, type TestHouse, type TestTenant } from '../../../../test/kit/house.ts'
import { newId } from '../../../kernel/id.ts'
import type { Caller, Scope } from '../../../kernel/scope.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { systemCaller } from '../../../platform/jobs/system.ts'
import { authLogin } from '../../../platform/module.ts'
import { permissionsOf } from '../../access/contract.ts'
import type { Care } from '../../care/contract.ts'
import type { Hitl } from './contract.ts'

let house: TestHouse
let tenant: TestTenant
let hitl: Hitl
let recipientId: string
beforeAll(async () => {
  house = await freshHouse()
  tenant = await house.tenant()
  const care = house.composed.made['care']!.contract as Care
  const made = await as(tenant.member.care_coordinator.caller, (scope) => care.createRecipient(scope, { givenName: 'Amal' }))
  recipientId = made.id
  hitl = house.composed.made['hitl']!.contract as Hitl
}, 60_000)
afterAll(() => house.close())

const officer = (): Caller => tenant.member.compliance_officer.caller
/** Another officer, who has no account: the queue asks for none. */
function another(): Caller {
  const { actor, ...rest } = officer()
  if (actor.kind !== 'member') throw new Error('An officer is a member.')
  return { ...rest, requestId: newId(), permissions: permissionsOf('compliance_officer'), actor: { ...actor, membershipId: newId() } }
}
const as = <T>(who: Caller, work: (scope: Scope) => Promise<T>, login?: typeof authLogin): Promise<T> =>
  house.database.unit({ ...who, requestId: newId() }).command(work, login)

type Opening = Partial<Parameters<Hitl['open']>[1]>
const digest = 'a'.repeat(64)
const open = async (more: Opening = {}, by = tenant.member.clinician.caller): Promise<{ id: string; subjectId: string }> => {
  const subjectId = newId()
  const wanted = { kind: 'AI_OUTPUT', subjectType: 'AiResponse', subjectId, recipientId, subjectDigest: digest, risk: 'LOW' as const, quorum: 1 }
  const item = { ...wanted, slaMs: 3_600_000, expiresMs: null, ...more }
  // Items are put in on the login that checks second factors.
  const { id } = await as(by, (scope) => hitl.open(scope, item), authLogin)
  return { id, subjectId }
}
const stateOf = async (id: string): Promise<string> =>
  (await house.at.owner<{ state: string }>('select state from hitl.review_item where id = $1', [id]))[0]!.state

describe('claiming', () => {
  it('holds others off for 15 minutes, and is taken over afterwards', async () => {
    const { id } = await open()
    await as(officer(), (scope) => hitl.claim(scope, { id }))
    await expect(as(another(), (scope) => hitl.claim(scope, { id }))).rejects.toMatchObject({ code: 'CLAIMED_BY_OTHER' })
    await house.at.owner("update hitl.review_item set claim_expires_at = now() - interval '1 second' where id = $1", [id])
    await expect(as(officer(), (scope) => hitl.decide(scope, { id, verdict: 'APPROVE' }))).rejects.toMatchObject({ code: 'CLAIM_FIRST' })
    expect(await as(another(), (scope) => hitl.claim(scope, { id }))).toMatchObject({ state: 'CLAIMED' })
  })

  it('is for one of twenty who come at once', async () => {
    const { id } = await open()
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => as(another(), (scope) => hitl.claim(scope, { id }))))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const codes = outcomes.flatMap((one) => (one.status === 'rejected' ? [(one.reason as { code: string }).code] : []))
    expect(new Set(codes).difference(new Set(['CLAIMED_BY_OTHER', 'STALE_VERSION', 'OVERLOADED'])).size).toBe(0)
  })

  it('is refused to whoever asked, by the service and by the table', async () => {
    const { id } = await open({}, officer())
    await expect(as(officer(), (scope) => hitl.claim(scope, { id }))).rejects.toMatchObject({ code: 'OWN_REQUEST' })
    const update = 'update hitl.review_item set claimed_by = requested_by where id = $1'
    await expect(house.at.owner(update, [id])).rejects.toThrow('review_item_other_person')
    expect(await as(another(), (scope) => hitl.claim(scope, { id }))).toMatchObject({ state: 'CLAIMED' })
  })
})

describe('deciding', () => {
  it('wants as many different reviewers as the quorum, and nobody twice', async () => {
    const { id } = await open({ quorum: 2 })
    const [first, second] = [another(), another()]
    const decide = async (who: Caller) => {
      await as(who, (scope) => hitl.claim(scope, { id }))
      return as(who, (scope) => hitl.decide(scope, { id, verdict: 'APPROVE' }))
    }
    expect(await decide(first)).toMatchObject({ state: 'PENDING' })
    await expect(decide(first)).rejects.toMatchObject({ code: 'DECIDED_ALREADY' })
    await as(first, (scope) => hitl.release(scope, { id }))
    expect(await decide(second)).toMatchObject({ state: 'APPROVED' })
  })

  it('says why where it refuses or edits, and the words are sealed', async () => {
    const { id } = await open()
    const me = another()
    await as(me, (scope) => hitl.claim(scope, { id }))
    await expect(as(me, (scope) => hitl.decide(scope, { id, verdict: 'REJECT' }))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(as(me, (scope) => hitl.decide(scope, { id, verdict: 'EDIT', comment: 'so' }))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(await stateOf(id)).toBe('CLAIMED')
    const comment = 'كَلِمَات لا يقرؤها غير المراجع'
    await as(me, (scope) => hitl.decide(scope, { id, verdict: 'REJECT', comment }))
    const [row] = await house.at.owner<{ phi: string }>('select phi from hitl.review_decision where item_id = $1', [id])
    expect(row!.phi).toMatch(/^v1\|/)
    expect(row!.phi).not.toContain('كلمات')
    const token = await house.signIn(tenant, 'compliance_officer')
    const read = 'query ($id: ID!) { reviewItem(id: $id) { state decisions { verdict comment edits } } }'
    const { data } = await house.ask({ plane: 'console', bearer: token, tenant: tenant.slug }, read, { id: encodeGlobalId('ReviewItem', id) })
    expect(data).toEqual({
      reviewItem: { state: 'REJECTED', decisions: [{ verdict: 'REJECT', comment: comment.normalize('NFC'), edits: null }] },
    })
  })

  it('is final: a closed item is not even moved by its owner', async () => {
    const { id } = await open()
    const me = another()
    await as(me, (scope) => hitl.claim(scope, { id }))
    await house.at.owner("update hitl.review_item set state = 'REJECTED', claimed_by = null, claim_expires_at = null where id = $1", [id])
    await expect(house.at.owner("update hitl.review_item set state = 'PENDING' where id = $1", [id])).rejects.toThrow('only moves on')
    await expect(as(another(), (scope) => hitl.claim(scope, { id }))).rejects.toMatchObject({ code: 'INVALID_TRANSITION' })
  })
})

describe('carrying out', () => {
  const approved = async () => {
    const { id, subjectId } = await open()
    await house.at.owner("update hitl.review_item set state = 'APPROVED' where id = $1", [id])
    return { id, subjectId }
  }

  it('happens exactly once of ten at once', async () => {
    const { id, subjectId } = await approved()
    const execute = () => as(officer(), (scope) => hitl.execute(scope, { kind: 'AI_OUTPUT', subjectId, subjectDigest: digest }))
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, execute))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await stateOf(id)).toBe('EXECUTED')
  })

  it('does not happen to what was changed since, nor to what nobody approved', async () => {
    const changed = await approved()
    const wanted = { kind: 'AI_OUTPUT', subjectId: changed.subjectId, subjectDigest: 'b'.repeat(64) }
    expect(await as(officer(), (scope) => hitl.execute(scope, wanted))).toEqual({ isCurrent: false })
    expect(await stateOf(changed.id)).toBe('STALE')
    const pending = await open()
    const early = { kind: 'AI_OUTPUT', subjectId: pending.subjectId, subjectDigest: digest }
    await expect(as(officer(), (scope) => hitl.execute(scope, early))).rejects.toMatchObject({ code: 'INVALID_TRANSITION' })
  })
})

describe('the clockwork', () => {
  const keepTime = () => {
    const { keepTime: run } = house.composed.made['hitl'] as unknown as { keepTime(scope: Scope): Promise<void> }
    return as(systemCaller(tenant.id, 'hitl.keep-time', newId()), async (scope) => {
      scope.unit.record({ action: 'job.run', resource: 'Job', outcome: 'done' })
      await run(scope)
    })
  }

  it('escalates what nobody takes up, lets what nobody decides lapse, and frees what was claimed and left', async () => {
    const [late, lapsed, left, fresh] = [await open(), await open({ expiresMs: 60_000 }), await open(), await open()]
    await as(another(), (scope) => hitl.claim(scope, { id: left.id }))
    // The table lets nobody change when something is due: a test makes it earlier past the trigger.
    await house.at.owner('alter table hitl.review_item disable trigger moves_on')
    await house.at.owner("update hitl.review_item set sla_at = now() - interval '1 minute' where id = $1", [late.id])
    await house.at.owner("update hitl.review_item set expires_at = now() - interval '1 minute' where id = $1", [lapsed.id])
    await house.at.owner("update hitl.review_item set claim_expires_at = now() - interval '1 minute' where id = $1", [left.id])
    await house.at.owner('alter table hitl.review_item enable trigger moves_on')
    await keepTime()
    const states = [await stateOf(late.id), await stateOf(lapsed.id), await stateOf(left.id), await stateOf(fresh.id)]
    expect(states).toEqual(['ESCALATED', 'EXPIRED', 'PENDING', 'PENDING'])
    const events = await house.at.owner("select payload->>'itemId' as id from outbox.event where name = 'hitl.item.escalated'")
    expect(events).toEqual([{ id: late.id }])
  })
})
