/** The tenant's approval of the operator: who may give it, for how long, what it lets happen, and that it ends. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { newId } from '../../kernel/id.ts'
import type { Scope } from '../../kernel/scope.ts'
import { encodeGlobalId } from '../../platform/graphql/global-id.ts'
import { administrationRig, codeOf, password, type Rig, type Tenant } from '../../../test/kit/administration.ts'
import type { Tenancy } from './contract.ts'

const hourMs = 3_600_000
let rig: Rig
let tenancy: Tenancy
let cedar: Tenant
let other: Tenant
beforeAll(async () => {
  rig = await administrationRig()
  tenancy = rig.composed.made['tenancy']!.contract as Tenancy
})
afterAll(() => rig.close())

/** Two tenants whose administrators have signed in. */
beforeEach(async () => {
  rig.clock.at = Date.now()
  ;[cedar, other] = [await rig.tenant(), await rig.tenant()]
  for (const tenant of [cedar, other]) await rig.session(tenant, tenant.of.tenant_admin.membershipId, 'console')
})

const email = () => `o${newId().slice(-12)}@example.org`
const approve = (tenant = cedar, hours = 2, reason = 'Import of the old register') =>
  rig.operate(tenant.of.tenant_admin.caller, (scope) => tenancy.approveOperator(scope, { reason, hours }))
const withdraw = (id: string, tenant = cedar) =>
  rig.operate(tenant.of.tenant_admin.caller, (scope) => tenancy.withdrawOperatorApproval(scope, { id }))
const operate = (work: (scope: Scope) => Promise<unknown>, tenant = cedar) => codeOf(rig.operate(tenant.operator, work))
const inviting = (scope: Scope) => rig.contract.operatorInvite(scope, { email: email(), role: 'clinician' })
const shown = (tenant = cedar) => rig.call(tenant.operator, (scope) => tenancy.operatorApproval(scope, {}))

describe('while it is in force', () => {
  const deeds: [string, (scope: Scope) => Promise<unknown>, string][] = [
    ['invites', inviting, 'invitation.sent'],
    ['adds a member', (scope) => rig.contract.operatorAddMember(scope, { email: email(), role: 'clinician', password }), 'member.added'],
    ['makes a token', (scope) => rig.contract.operatorCreateApiToken(scope, { name: 'bridge', permissions: ['user:read'] }), 'api_token.created'],
  ]
  it.each(deeds)('the operator %s, and the trail names the approval', async (_, deed, action) => {
    expect(await operate(deed)).toBe('TENANT_APPROVAL_NEEDED')
    const { id } = await approve()
    expect(await operate(deed)).toBe('done')
    expect(await rig.audited(cedar.id, action)).toMatchObject([{ actor_kind: 'operator', detail: { approvalId: id } }])
  })

  it('no other tenant is opened by it', async () => {
    await approve()
    expect([await operate(inviting), await operate(inviting, other)]).toEqual(['done', 'TENANT_APPROVAL_NEEDED'])
  })

  it('the operator sees the one that lasts longest, its reason and its end, and nothing of another tenant', async () => {
    expect(await shown()).toEqual({ approval: null })
    await approve(cedar, 1)
    const { id } = await approve(cedar, 72, 'A week of moving')
    const expiresAt = new Date(rig.clock.at + 72 * hourMs).toISOString()
    const grantedBy = cedar.of.tenant_admin.membershipId
    expect(await shown()).toEqual({ approval: { id, reason: 'A week of moving', grantedBy, expiresAt } })
    expect(await shown(other)).toEqual({ approval: null })
    expect(await codeOf(rig.call(cedar.of.tenant_admin.caller, (scope) => tenancy.operatorApproval(scope, {})))).toBe('FORBIDDEN')
  })
})

it('its time over, it opens nothing any more', async () => {
  await approve(cedar, 2)
  rig.clock.at += 2 * hourMs - 1
  expect(await operate(inviting)).toBe('done')
  rig.clock.at += 1
  expect(await operate(inviting)).toBe('TENANT_APPROVAL_NEEDED')
})

it('withdrawn, it opens nothing at once; withdrawing again changes nothing; both are in the trail', async () => {
  const { id } = await approve()
  expect(await operate(inviting)).toBe('done')
  expect(await withdraw(id)).toEqual({ id })
  expect(await operate(inviting)).toBe('TENANT_APPROVAL_NEEDED')
  const at = () => rig.owner('select withdrawn_at, withdrawn_by from tenancy.operator_approval where id = $1', [id])
  const first = await at()
  rig.clock.at += hourMs
  await withdraw(id)
  expect(await at()).toEqual(first)
  const admin = cedar.of.tenant_admin.membershipId
  expect(await rig.audited(cedar.id, 'operator.approved')).toMatchObject([{ actor_id: admin, resource_id: id, detail: { hours: 2 } }])
  expect(await rig.audited(cedar.id, 'operator.approval_withdrawn')).toMatchObject([{ actor_id: admin, resource_id: id }, { detail: { repeated: true } }])
})

it('it lasts 1 to 72 hours and has a reason', async () => {
  for (const hours of [0, 73, -1, 1.5]) expect(await codeOf(approve(cedar, hours)), String(hours)).toBe('INVALID_INPUT')
  for (const reason of ['', 'x'.repeat(501)]) expect(await codeOf(approve(cedar, 1, reason))).toBe('INVALID_INPUT')
  expect(await codeOf(approve(cedar, 72, 'x'.repeat(500)))).toBe('done')
})

it('neither a program nor any other role nor the operator gives or withdraws it, nor an administrator of another tenant', async () => {
  const { id } = await approve()
  const roles = ['compliance_officer', 'care_coordinator', 'clinician', 'family'] as const
  const program = rig.program(cedar.id, cedar.of.tenant_admin.caller.permissions)
  const callers = [...roles.map((role) => cedar.of[role].caller), program, cedar.operator, rig.nobody(cedar.id)]
  for (const who of callers) {
    const code = who.actor.kind === 'anonymous' ? 'UNAUTHENTICATED' : 'FORBIDDEN'
    expect(await codeOf(rig.operate(who, (scope) => tenancy.approveOperator(scope, { reason: 'Mine', hours: 1 })))).toBe(code)
    expect(await codeOf(rig.operate(who, (scope) => tenancy.withdrawOperatorApproval(scope, { id })))).toBe(code)
  }
  expect(await codeOf(withdraw(id, other))).toBe('NOT_FOUND')
  expect(await operate(inviting)).toBe('done')
})

it('on the console it is given, listed and withdrawn; on the integrator plane none of it exists', async () => {
  const admin = cedar.of.tenant_admin.caller
  const give = `mutation { approveOperator(input: { reason: "Help with an import", hours: 3 }) {
    ... on OperatorApproval { id reason withdrawnAt } ... on Fault { code } } }`
  const { data } = await rig.ask(admin, give)
  const { id } = data!['approveOperator'] as { id: string }
  expect(data!['approveOperator']).toEqual({ id, reason: 'Help with an import', withdrawnAt: null })
  const list = '{ operatorApprovals(first: 5) { edges { node { id withdrawnAt } } } }'
  expect((await rig.ask(admin, list)).data).toEqual({ operatorApprovals: { edges: [{ node: { id, withdrawnAt: null } }] } })
  expect((await rig.ask(other.of.tenant_admin.caller, list)).data).toEqual({ operatorApprovals: { edges: [] } })
  const take = 'mutation ($id: ID!) { withdrawOperatorApproval(id: $id) { ... on OperatorApproval { withdrawnAt } ... on Fault { code } } }'
  const wrong = { id: encodeGlobalId('OperatorApproval', newId()) }
  expect((await rig.ask(admin, take, wrong)).data).toEqual({ withdrawOperatorApproval: { code: 'NOT_FOUND' } })
  expect((await rig.ask(admin, take, { id })).data).toEqual({ withdrawOperatorApproval: { withdrawnAt: expect.stringMatching(/^20/) } })
  const program = rig.program(cedar.id, admin.permissions)
  for (const document of [give, list]) expect((await rig.ask(program, document)).codes.join()).toContain('Cannot query field')
})

it('the database itself lets the operator read it and nothing more, and the console change nothing but its withdrawal', async () => {
  const { id } = await approve()
  const write = async (who: typeof cedar.operator, sql: string) => {
    const unit = rig.database.unit(who)
    return unit.command(async () => {
      const count = await unit.db.$executeRawUnsafe(sql)
      unit.record({ action: 'test', resource: 'Test', outcome: 'done' })
      return count
    }).catch(() => 'refused')
  }
  const admin = cedar.of.tenant_admin.caller
  const insert = (by: string, hours: number) =>
    `insert into tenancy.operator_approval (tenant_id, id, reason, granted_by, granted_at, expires_at)
     values ('${cedar.id}', '${newId()}', 'r', '${by}', now(), now() + interval '${hours} hours')`
  const { membershipId } = cedar.of.tenant_admin
  expect(await write(cedar.operator, insert(membershipId, 1))).toBe('refused')
  expect(await write(cedar.operator, `update tenancy.operator_approval set withdrawn_at = null, withdrawn_by = null`)).toBe('refused')
  expect(await write(admin, `update tenancy.operator_approval set expires_at = now() + interval '9 days' where id = '${id}'`)).toBe('refused')
  expect(await write(admin, `delete from tenancy.operator_approval where id = '${id}'`)).toBe('refused')
  expect(await write(admin, insert(newId(), 1))).toBe('refused')
  expect(await write(admin, insert(membershipId, 73))).toBe('refused')
  expect(await write(cedar.of.compliance_officer.caller, insert(cedar.of.compliance_officer.membershipId, 1))).toBe('refused')
  expect(await write(admin, insert(membershipId, 72))).toBe(1)
})
