/** Members on a real database: what each reach covers, and that a tenant keeps an administrator whoever removes whom at the same moment. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { newId } from '../../kernel/id.ts'
import { cells } from '../../kernel/machine.ts'
import { mayAssign, planeOf, roles, scopeOf, type Permission, type Role } from '../access/contract.ts'
import { administrationRig, codeOf, type Person, type Rig, type Tenant } from '../../../test/kit/administration.ts'
import { membershipMachine, type MembershipState } from './rules.ts'

let rig: Rig
let cedar: Tenant
let zaytuna: Tenant

const deactivate = (by: Person, id: string) => rig.act(by.caller, (scope) => rig.contract.deactivateMember(scope, { id }))
const assign = (by: Person, membershipId: string, role: Role) =>
  rig.act(by.caller, (scope) => rig.contract.assignRole(scope, { membershipId, role }))
interface Row {
  status: MembershipState
  role: Role
  plane: string
  version: number
}
const row = async (id: string): Promise<Row> => (await rig.owner<Row>('select * from identity.membership where id = $1', [id]))[0]!
/** One more membership of a person. */
async function second(tenant: Tenant, { identityId }: Person, role: Role): Promise<string> {
  const id = newId()
  await rig.owner(
    "insert into identity.membership (tenant_id, id, identity_id, plane, role, status) values ($1, $2, $3, $4, $5, 'ACTIVE')",
    [tenant.id, id, identityId, planeOf(role), role],
  )
  return id
}
const liveSessions = async (membershipId: string) =>
  (await rig.owner('select id from identity.session where membership_id = $1 and revoked_at is null', [membershipId])).map(({ id }) => id)

beforeAll(async () => {
  rig = await administrationRig()
  cedar = await rig.tenant()
  zaytuna = await rig.tenant()
})
afterAll(() => rig.close())

describe('reach', () => {
  const acts: [Permission, (by: Person, id: string) => Promise<unknown>][] = [
    ['user:read', (by, id) => rig.act(by.caller, async (scope) => {
      scope.unit.record({ action: 'test.read', resource: 'Member', outcome: 'done' })
      return rig.contract.member(scope, { id })
    })],
    ['user:update', async (by, id) => {
      const { version } = await row(id)
      return rig.act(by.caller, (scope) => rig.contract.updateMember(scope, { id, version, locale: 'ar' }))
    }],
    ['user:deactivate', deactivate],
    ['role:assign', (by, id) => assign(by, id, 'clinician')],
  ]
  const grid = acts.flatMap(([permission, act]) => roles.map((role) => ({ permission, act, role, letter: scopeOf(role, permission) })))

  it.each(grid)('$role has $permission over $letter, and over nothing of another tenant', async ({ permission, act, role, letter }) => {
    const by = cedar.of[role]
    const org = by.caller.actor.kind === 'member' ? by.caller.actor.providerOrgId : null
    const elsewhere = (await zaytuna.add('caregiver')).membershipId
    const inTenant = (await cedar.add('caregiver')).membershipId
    const otherOrg = (await cedar.add('provider_manager')).membershipId
    const expected = (inReach: boolean) => (letter === null ? 'FORBIDDEN' : inReach ? 'done' : 'NOT_FOUND')
    expect(await codeOf(act(by, elsewhere))).toBe(expected(false))
    expect(await codeOf(act(by, inTenant))).toBe(expected(letter === 'T'))
    expect(await codeOf(act(by, otherOrg))).toBe(expected(letter === 'T'))
    if (letter === 'O') {
      expect(await codeOf(act(by, (await cedar.add('provider_manager', undefined, org!)).membershipId))).toBe('done')
      const homeless = { ...by, caller: { ...by.caller, actor: { ...by.caller.actor, providerOrgId: null } } as Person['caller'] }
      expect(await codeOf(act(homeless, otherOrg))).toBe('NOT_FOUND')
    }
    expect((await row(elsewhere)).version).toBe(1)
    expect(permission).toBeTruthy()
  })

  it('a malformed id and an unknown one are refused before anything is touched', async () => {
    const by = cedar.of.tenant_admin
    expect(await codeOf(deactivate(by, newId()))).toBe('NOT_FOUND')
    for (const id of ['', 'x', `${newId()}\0`, `${newId()}'--`]) expect(await codeOf(deactivate(by, id))).toBe('INVALID_INPUT')
  })

  it('a change over a stale version is refused', async () => {
    const { membershipId: id } = await cedar.add('clinician')
    const admin = cedar.of.tenant_admin.caller
    const update = (version: number) => codeOf(rig.act(admin, (scope) => rig.contract.updateMember(scope, { id, version, locale: 'ar' })))
    expect(await update(2)).toBe('STALE_VERSION')
    expect(await update(1)).toBe('done')
    expect(await update(1)).toBe('STALE_VERSION')
    const [person] = await rig.owner(
      'select i.locale from identity.identity i join identity.membership m on m.identity_id = i.id where m.id = $1',
      [id],
    )
    expect(person).toEqual({ locale: 'ar' })
  })
})

describe('leaving', () => {
  it('ends the membership and every session of it in one transaction, and tells', async () => {
    const person = await cedar.add('clinician')
    const bystander = await cedar.add('clinician')
    const sessions: string[] = []
    for (let i = 0; i < 2; i++) sessions.push(await rig.session(cedar, person.membershipId, 'clinician'))
    const kept = await rig.session(cedar, bystander.membershipId, 'clinician')
    expect(await deactivate(cedar.of.tenant_admin, person.membershipId)).toMatchObject({ status: 'ENDED' })
    expect(await liveSessions(person.membershipId)).toEqual([])
    expect(await liveSessions(bystander.membershipId)).toEqual([kept])
    expect(await rig.events(cedar.id, 'identity.member.deactivated')).toContainEqual({ membershipId: person.membershipId })
    const ended = (await rig.events(cedar.id, 'identity.session.revoked')).map(({ sessionId }) => sessionId)
    expect(ended).toEqual(expect.arrayContaining(sessions))
    const [audit] = (await rig.audited(cedar.id, 'member.deactivated')).filter(({ resource_id }) => resource_id === person.membershipId)
    expect(audit).toMatchObject({ actor_id: cedar.of.tenant_admin.membershipId, detail: { sessionsEnded: 2 } })
  })

  it('takes back the invitations that would bring the person straight in again', async () => {
    const person = await cedar.add('clinician')
    const [invitation, other] = [newId(), newId()]
    for (const [id, role] of [[invitation, 'clinician'], [other, 'caregiver']]) {
      await rig.owner(
        `insert into identity.invitation (tenant_id, id, email, plane, role, token_hash, state, expires_at)
         values ($1, $2::uuid, $3, 'clinician', $4, $2::text, 'SENT', now() + interval '1 day')`,
        [cedar.id, id, person.email, role],
      )
    }
    await deactivate(cedar.of.tenant_admin, person.membershipId)
    const states = await rig.owner('select id, state from identity.invitation where email = $1 order by id', [person.email])
    expect(states).toEqual([{ id: invitation, state: 'REVOKED' }, { id: other, state: 'SENT' }])
  })

  const acts = { end: 'deactivateMember', suspend: 'suspendMember', resume: 'resumeMember' } as const
  const known = [...cells(membershipMachine)].flatMap(({ state, event, to }) =>
    event === 'activate' ? [] : [{ state, event, to, method: acts[event] }],
  )

  it.each(known)('$method of a $state member leads to $to', async ({ state, to, method }) => {
    const { membershipId: id } = await cedar.add('clinician')
    await rig.session(cedar, id, 'clinician')
    await rig.owner('update identity.membership set status = $2 where id = $1', [id, state])
    const code = await codeOf(rig.act(cedar.of.tenant_admin.caller, (scope) => rig.contract[method](scope, { id })))
    expect(code).toBe(to === null ? 'INVALID_TRANSITION' : 'done')
    expect((await row(id)).status).toBe(to ?? state)
    expect(await liveSessions(id)).toHaveLength(to === null || to === 'ACTIVE' ? 1 : 0)
  })
})

describe('assigning a role', () => {
  const grid = roles.flatMap((assigner) => roles.map((target) => ({ assigner, target, allowed: mayAssign(assigner, target) })))

  it.each(grid)('$assigner makes somebody $target: $allowed', async ({ assigner, target, allowed }) => {
    const { membershipId } = await cedar.add(target === 'caregiver' ? 'clinician' : 'caregiver')
    const before = await row(membershipId)
    expect(await codeOf(assign(cedar.of[assigner], membershipId, target))).toBe(allowed ? 'done' : 'FORBIDDEN')
    const after = allowed ? { role: target, plane: planeOf(target), version: 2 } : { role: before.role, version: 1 }
    expect(await row(membershipId)).toMatchObject(after)
    if (allowed) expect(await rig.events(cedar.id, 'access.role.assigned')).toContainEqual({ membershipId, role: target })
  })

  it('nobody assigns to themselves, not even to another membership of their own', async () => {
    const admin = await cedar.add('tenant_admin')
    const other = await second(cedar, admin, 'clinician')
    for (const id of [admin.membershipId, other]) expect(await codeOf(assign(admin, id, 'care_coordinator'))).toBe('OWN_ROLE')
    expect(await codeOf(assign(cedar.of.tenant_admin, other, 'care_coordinator'))).toBe('done')
  })

  it('a program assigns no role', async () => {
    const { membershipId } = await cedar.add('clinician')
    const program = rig.program(cedar.id, cedar.of.tenant_admin.caller.permissions)
    const attempt = rig.act(program, (scope) => rig.contract.assignRole(scope, { membershipId, role: 'tenant_admin' }))
    expect(await codeOf(attempt)).toBe('OWN_ROLE')
  })

  it('ends the sessions of the old plane, and leaves those of a plane that stays', async () => {
    const person = await cedar.add('care_coordinator')
    const session = await rig.session(cedar, person.membershipId, 'console')
    await assign(cedar.of.tenant_admin, person.membershipId, 'compliance_officer')
    expect(await liveSessions(person.membershipId)).toEqual([session])
    await assign(cedar.of.tenant_admin, person.membershipId, 'clinician')
    expect(await liveSessions(person.membershipId)).toEqual([])
  })

  it('a role held already, by this membership or another of the person, and an ended membership are refused', async () => {
    const person = await cedar.add('clinician')
    await second(cedar, person, 'caregiver')
    expect(await codeOf(assign(cedar.of.tenant_admin, person.membershipId, 'clinician'))).toBe('ALREADY_MEMBER')
    expect(await codeOf(assign(cedar.of.tenant_admin, person.membershipId, 'caregiver'))).toBe('ALREADY_MEMBER')
    await deactivate(cedar.of.tenant_admin, person.membershipId)
    expect(await codeOf(assign(cedar.of.tenant_admin, person.membershipId, 'family'))).toBe('MEMBER_ENDED')
  })
})

describe('the last administrator', () => {
  let house: Tenant
  beforeEach(async () => {
    house = await rig.tenant()
  })
  const activeAdmins = async () => {
    const sql = "select id from identity.membership where tenant_id = $1 and role = 'tenant_admin' and status = 'ACTIVE'"
    return (await rig.owner(sql, [house.id])).length
  }

  it('neither leaves, nor is suspended, nor is demoted; with a second one, each of these goes', async () => {
    const admin = house.of.tenant_admin
    const suspend = (id: string) => rig.act(admin.caller, (scope) => rig.contract.suspendMember(scope, { id }))
    expect(await codeOf(deactivate(admin, admin.membershipId))).toBe('LAST_ADMIN')
    expect(await codeOf(suspend(admin.membershipId))).toBe('LAST_ADMIN')
    const other = await house.add('tenant_admin')
    expect(await codeOf(assign(admin, other.membershipId, 'clinician'))).toBe('done')
    expect(await codeOf(deactivate(admin, admin.membershipId))).toBe('LAST_ADMIN')
    const third = await house.add('tenant_admin')
    expect(await codeOf(deactivate(third, admin.membershipId))).toBe('done')
    expect(await activeAdmins()).toBe(1)
  })

  it('does not count another tenant\'s, a suspended one, one that waits, or one whose account is disabled', async () => {
    const admin = house.of.tenant_admin
    for (const status of ['SUSPENDED', 'PENDING', 'ENDED']) {
      const other = await house.add('tenant_admin')
      await rig.owner('update identity.membership set status = $2 where id = $1', [other.membershipId, status])
    }
    const disabled = await house.add('tenant_admin')
    await rig.owner("update identity.identity set status = 'DISABLED' where id = $1", [disabled.identityId])
    expect(await codeOf(deactivate(admin, admin.membershipId))).toBe('LAST_ADMIN')
  })

  it('is left when administrators remove each other at the same moment, however they do it', async () => {
    const ways: ((by: Person, id: string) => Promise<unknown>)[] = [
      deactivate,
      (by, id) => assign(by, id, 'clinician'),
      (by, id) => rig.act(by.caller, (scope) => rig.contract.suspendMember(scope, { id })),
    ]
    for (let round = 0; round < 6; round++) {
      const admins = [house.of.tenant_admin, await house.add('tenant_admin'), await house.add('tenant_admin')]
      const codes = await Promise.all(admins.map((by, i) => codeOf(ways[(round + i) % 3]!(by, admins[(i + 1) % 3]!.membershipId))))
      expect(codes.filter((code) => code === 'done').length).toBeGreaterThan(0)
      for (const code of codes) expect(['done', 'LAST_ADMIN', 'STALE_VERSION', 'ALREADY_MEMBER']).toContain(code)
      expect(await activeAdmins()).toBeGreaterThanOrEqual(1)
      house = await rig.tenant()
    }
  })

  it('of two, each removing the other, exactly one succeeds', async () => {
    for (let round = 0; round < 6; round++) {
      const [a, b] = [house.of.tenant_admin, await house.add('tenant_admin')]
      const codes = await Promise.all([codeOf(deactivate(a, b.membershipId)), codeOf(deactivate(b, a.membershipId))])
      expect(codes.sort()).toEqual(['LAST_ADMIN', 'done'])
      expect(await activeAdmins()).toBe(1)
      house = await rig.tenant()
    }
  })
})
