/** The operator on a real database: lets the first people in, reads no password, and asks once the tenant has its own administrator. */
import { hashSync } from 'bcryptjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../kernel/id.ts'
import type { Caller, Scope } from '../../kernel/scope.ts'
import { isRefusedByWall } from '../../platform/db/errors.ts'
import { planeOf, roles, type Permission } from '../access/contract.ts'
import { administrationRig, codeOf, password, type Rig, type Tenant } from '../../../test/kit/administration.ts'
import { verifyPassword } from './credentials/password.ts'

let rig: Rig
let cedar: Tenant
beforeAll(async () => {
  rig = await administrationRig()
  cedar = await rig.tenant()
})
afterAll(() => rig.close())

const address = () => `o${newId().slice(-12)}@example.org`
const run = <Result>(work: (scope: Scope) => Promise<Result>, tenant = cedar) => rig.operate(tenant.operator, work)
const hashOf = async (membershipId: string): Promise<string> => {
  const [found] = await rig.owner<{ hash: string }>(
    `select c.password_hash as hash from identity.credential c join identity.membership m on m.identity_id = c.identity_id
     where m.id = $1`,
    [membershipId],
  )
  return found!.hash
}
const importing = (passwordHash: string) => (scope: Scope) => rig.contract.importMember(scope, { email: address(), role: 'clinician', passwordHash })
const accept = (token: string, chosen = password) =>
  rig.call(rig.nobody(cedar.id), (scope) => rig.contract.acceptInvitation(scope, { token, password: chosen }))

const uses: [string, (scope: Scope) => Promise<unknown>][] = [
  ['provisionAdmin', (scope) => rig.contract.provisionAdmin(scope, { email: address(), password })],
  ['operatorInvite', (scope) => rig.contract.operatorInvite(scope, { email: address(), role: 'clinician' })],
  ['operatorAddMember', (scope) => rig.contract.operatorAddMember(scope, { email: address(), role: 'clinician', password })],
  ['operatorCreateApiToken', (scope) => rig.contract.operatorCreateApiToken(scope, { name: 'bridge', permissions: ['user:read'] })],
  ['importMember', (scope) => importing(hashSync(password, 4))(scope)],
]

describe.each(uses)('%s', (_name, use) => {
  it('is the operator\'s alone', async () => {
    expect(await codeOf(run(use))).toBe('done')
    const admin = cedar.of.tenant_admin.caller
    const others: Caller[] = [admin, rig.program(cedar.id, admin.permissions), rig.nobody(cedar.id)]
    for (const who of others) expect(await codeOf(rig.act(who, use))).toBe('FORBIDDEN')
  })

  it('waits for the tenant\'s approval from an administrator\'s first sign-in on, whoever that was and wherever they are now', async () => {
    const tenant = await rig.tenant()
    const neighbour = await rig.tenant()
    await rig.session(tenant, tenant.of.clinician.membershipId, 'clinician')
    await rig.session(neighbour, neighbour.of.tenant_admin.membershipId, 'console')
    expect(await codeOf(run(use, tenant))).toBe('done')
    const session = await rig.session(tenant, tenant.of.tenant_admin.membershipId, 'console')
    await rig.owner('update identity.session set revoked_at = now(), expires_at = now() where id = $1', [session])
    await rig.owner("update identity.membership set status = 'ENDED' where id = $1", [tenant.of.tenant_admin.membershipId])
    expect(await codeOf(run(use, tenant))).toBe('TENANT_APPROVAL_NEEDED')
  })
})

it('a token of the operator carries what a tenant_admin may hand on, and nothing beyond', async () => {
  const make = (permissions: Permission[]) => run((scope) => rig.contract.operatorCreateApiToken(scope, { name: 'bridge', permissions }))
  const { id, token } = await make(['user:read', 'tenant:read'])
  expect(token).toMatch(/^mst_/)
  const [row] = await rig.owner('select permissions, created_by, hash from identity.api_token where id = $1', [id])
  expect(row).toMatchObject({ permissions: ['user:read', 'tenant:read'], created_by: null })
  expect(row!['hash']).not.toContain(token)
  for (const beyond of ['phi:read', 'role:assign', 'phi:break_glass'] as const) {
    expect(await codeOf(make([beyond]))).toBe('TOKEN_PERMISSION_REFUSED')
  }
})

describe('a member whom the operator adds', () => {
  it.each(roles)('is a %s on the role\'s plane, active at once, with the password given', async (role) => {
    const providerOrgId = role === 'provider_manager' ? newId() : undefined
    const input = { email: address(), role, password, ...(providerOrgId ? { providerOrgId } : {}) }
    const { membershipId, isNewAccount } = await run((scope) => rig.contract.operatorAddMember(scope, input))
    const [row] = await rig.owner('select * from identity.membership where id = $1', [membershipId])
    expect(row).toMatchObject({ role, plane: planeOf(role), status: 'ACTIVE', provider_org_id: providerOrgId ?? null })
    expect(isNewAccount).toBe(true)
    expect(await verifyPassword(await hashOf(membershipId), password)).toMatchObject({ ok: true })
  })

  it('with an account keeps its password, and is not added twice', async () => {
    const { email, membershipId } = cedar.of.clinician
    const before = await hashOf(membershipId)
    const again = { email: email.toUpperCase(), role: 'caregiver', password: 'quite another password' } as const
    const add = () => run((scope) => rig.contract.operatorAddMember(scope, again))
    expect(await add()).toMatchObject({ isNewAccount: false })
    expect(await hashOf(membershipId)).toBe(before)
    expect(await codeOf(add())).toBe('ALREADY_MEMBER')
  })

  it('with an account that has no password is given none', async () => {
    const email = address()
    await run((scope) => rig.contract.operatorInvite(scope, { email, role: 'clinician' }))
    const { isNewAccount } = await run((scope) => rig.contract.operatorAddMember(scope, { email, role: 'caregiver', password }))
    expect(isNewAccount).toBe(false)
    const sql = 'select 1 from identity.credential c join identity.identity i on i.id = c.identity_id where i.email = $1'
    expect(await rig.owner(sql, [email])).toEqual([])
  })

  it('has a password that may be had, and an organisation only as a seller', async () => {
    const add = (more: object) =>
      codeOf(run((scope) => rig.contract.operatorAddMember(scope, { email: address(), role: 'clinician', password, ...more })))
    expect(await add({ password: 'password123' })).toBe('PASSWORD_REFUSED')
    expect(await add({ providerOrgId: newId() })).toBe('INVALID_INPUT')
    expect(await add({ email: 'nobody' })).toBe('INVALID_INPUT')
    expect(await add({ role: 'owner' })).toBe('INVALID_INPUT')
  })
})

describe('an imported member', () => {
  it('signs in with the earlier system\'s hash', async () => {
    const passwordHash = hashSync(password, 4)
    const { membershipId } = await run(importing(passwordHash))
    expect(await hashOf(membershipId)).toBe(passwordHash)
    expect(await verifyPassword(passwordHash, password)).toEqual({ ok: true, upgrade: true })
  })

  it('brings no text that is no such hash', async () => {
    const dear = '$argon2id$v=19$m=9999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA'
    for (const text of ['', password, '$2x$04$abc', dear, `${hashSync(password, 4)}x`, 'x'.repeat(201)]) {
      expect(await codeOf(run(importing(text)))).toBe('INVALID_INPUT')
    }
  })
})

describe('an invitation by the operator', () => {
  it('makes a membership that waits, and a link in the letter and the answer that activates it', async () => {
    const email = address()
    const made = await run((scope) => rig.contract.operatorInvite(scope, { email, role: 'tenant_admin', locale: 'ar' }))
    const letters = rig.letters().filter(({ to }) => to === email)
    expect(letters).toHaveLength(1)
    expect(letters[0]!.text).toContain(made.acceptUrl)
    const status = async () => (await rig.owner('select status from identity.membership where id = $1', [made.membershipId]))[0]!.status
    expect(await status()).toBe('PENDING')
    const token = made.acceptUrl.split('#')[1]!
    expect(await accept(token)).toEqual({ membershipId: made.membershipId, plane: 'console' })
    expect(await status()).toBe('ACTIVE')
    expect(await codeOf(run((scope) => rig.contract.operatorInvite(scope, { email, role: 'tenant_admin' })))).toBe('ALREADY_MEMBER')
  })

  it('taken back, or the waiting member removed, leaves a dead link', async () => {
    const admin = cedar.of.tenant_admin.caller
    const ways = [
      (made: { invitationId: string }) => rig.act(admin, (scope) => rig.contract.revokeInvitation(scope, { id: made.invitationId })),
      (made: { membershipId: string }) => rig.act(admin, (scope) => rig.contract.deactivateMember(scope, { id: made.membershipId })),
    ]
    for (const way of ways) {
      const made = await run((scope) => rig.contract.operatorInvite(scope, { email: address(), role: 'clinician' }))
      await way(made)
      expect(await codeOf(accept(made.acceptUrl.split('#')[1]!))).toBe('INVITATION_INVALID')
      const [row] = await rig.owner('select status from identity.membership where id = $1', [made.membershipId])
      expect(row).toEqual({ status: 'ENDED' })
    }
  })
})

describe('the operator\'s login', () => {
  it('reads neither password nor refresh token, and of sessions only that there is one', async () => {
    const unit = rig.database.unit(cedar.operator)
    const read = (sql: string) => codeOf(unit.read(() => unit.db.$queryRawUnsafe(sql)).catch((error: unknown) => {
      throw Object.assign(new Error('refused'), { code: isRefusedByWall(error) ? 'REFUSED' : 'FAILED' })
    }))
    expect(await read('select id, membership_id from identity.session limit 1')).toBe('done')
    for (const sql of [
      'select password_hash from identity.credential',
      'select refresh_hash from identity.session',
      'select secret from identity.totp_device',
      'update identity.session set revoked_at = now()',
      "update identity.credential set password_hash = 'x'",
    ]) {
      expect(await read(sql), sql).toBe('REFUSED')
    }
  })
})
