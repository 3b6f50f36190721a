/** API tokens on a real database: what they may carry, that they are shown once, and what their maker's departure does to them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../kernel/id.ts'
import { neverOnTokens, permissions as allPermissions, permissionsOf, roles, type Permission } from '../access/contract.ts'
import { administrationRig, codeOf, type Person, type Rig, type Tenant } from '../../../test/kit/administration.ts'
import { mostTokens } from './service-tokens.ts'
import { readApiToken } from './tokens/api-token.ts'

let rig: Rig
let cedar: Tenant
let zaytuna: Tenant
beforeAll(async () => {
  rig = await administrationRig()
  cedar = await rig.tenant()
  zaytuna = await rig.tenant()
})
afterAll(() => rig.close())

const create = (by: Person, input: Partial<Parameters<Rig['contract']['createApiToken']>[1]> = {}) =>
  rig.act(by.caller, (scope) => rig.contract.createApiToken(scope, { name: 'wards board', permissions: ['tenant:read'], ...input }))
const revoke = (by: Person, id: string) => rig.act(by.caller, (scope) => rig.contract.revokeApiToken(scope, { id }))
const identify = (token: string) =>
  rig.call(rig.nobody(cedar.id), (scope) => rig.contract.identify(scope, { bearer: token, plane: 'integrator' }))

interface Listed {
  apiTokens: { edges: { node: { name: string; creatorLeft: boolean } }[] }
}

describe('a token', () => {
  it('is shown once, names its tenant, is stored as a hash and opens exactly what it carries', async () => {
    const { id, token } = await create(cedar.of.tenant_admin, { permissions: ['user:read', 'tenant:read', 'user:read'] })
    expect(readApiToken(token)!.tenantId).toBe(cedar.id)
    const [row] = await rig.owner('select * from identity.api_token where id = $1', [id])
    expect(row).toMatchObject({ permissions: ['user:read', 'tenant:read'], created_by: cedar.of.tenant_admin.membershipId })
    expect(JSON.stringify(row)).not.toContain(token.slice(-43))
    expect(await identify(token)).toMatchObject({ kind: 'integration', tokenId: id, permissions: ['user:read', 'tenant:read'] })
    expect(JSON.stringify(await rig.audited(cedar.id, 'api_token.created'))).not.toContain(token)
  })

  it('carries what its maker holds, less what no token ever carries', async () => {
    const held = permissionsOf('tenant_admin')
    for (const one of allPermissions) {
      const allowed = held.has(one) && !neverOnTokens.has(one)
      expect(await codeOf(create(cedar.of.tenant_admin, { permissions: [one] })), one).toBe(allowed ? 'done' : 'TOKEN_PERMISSION_REFUSED')
    }
    expect(await codeOf(create(cedar.of.tenant_admin, { permissions: ['tenant:read', 'phi:read'] }))).toBe('TOKEN_PERMISSION_REFUSED')
    await rig.owner('delete from identity.api_token where tenant_id = $1', [cedar.id])
  })

  it.each(roles)('%s makes and revokes one only if its role may', async (role) => {
    const allowed = permissionsOf(role).has('token:manage')
    const { id } = await create(cedar.of.tenant_admin)
    expect(await codeOf(create(cedar.of[role]))).toBe(allowed ? 'done' : 'FORBIDDEN')
    expect(await codeOf(revoke(cedar.of[role], id))).toBe(allowed ? 'done' : 'FORBIDDEN')
  })

  it('makes no other token', async () => {
    const program = rig.program(cedar.id, permissionsOf('tenant_admin'))
    const attempt = rig.act(program, (scope) => rig.contract.createApiToken(scope, { name: 'child', permissions: ['tenant:read'] }))
    expect(await codeOf(attempt)).toBe('FORBIDDEN')
  })

  it('refuses a hostile name, no permission, an unknown one, and an end that is over', async () => {
    const by = cedar.of.tenant_admin
    for (const name of ['', ' ', 'a\0b', 'a\nb', '\u202egreen', 'x'.repeat(101), '\ud800']) {
      expect(await codeOf(create(by, { name }))).toBe('INVALID_INPUT')
    }
    for (const permissions of [[], ['nothing:at_all'], ['__proto__']]) {
      expect(await codeOf(create(by, { permissions: permissions as Permission[] }))).toBe('INVALID_INPUT')
    }
    const over = new Date(rig.clock.at).toISOString()
    for (const expiresAt of ['tomorrow', '2030-01-01', over]) expect(await codeOf(create(by, { expiresAt }))).toBe('INVALID_INPUT')
    expect(await codeOf(create(by, { name: 'لوحة الأجنحة 🏥', expiresAt: '2999-01-01T00:00:00+03:00' }))).toBe('done')
  })

  it('dies at its end, and at once when revoked; revoking again changes nothing', async () => {
    const short = await create(cedar.of.tenant_admin, { expiresAt: new Date(rig.clock.at + 60_000).toISOString() })
    const long = await create(cedar.of.tenant_admin)
    expect(await codeOf(identify(short.token))).toBe('done')
    rig.clock.at += 60_000
    expect(await codeOf(identify(short.token))).toBe('SESSION_ENDED')
    expect(await codeOf(identify(long.token))).toBe('done')
    await revoke(cedar.of.tenant_admin, long.id)
    expect(await codeOf(identify(long.token))).toBe('SESSION_ENDED')
    const revokedAt = () => rig.owner('select revoked_at from identity.api_token where id = $1', [long.id])
    const first = await revokedAt()
    rig.clock.at += 60_000
    expect(await codeOf(revoke(cedar.of.tenant_admin, long.id))).toBe('done')
    expect(await revokedAt()).toEqual(first)
  })

  it('of another tenant is not there', async () => {
    const { id } = await create(cedar.of.tenant_admin)
    expect(await codeOf(revoke(zaytuna.of.tenant_admin, id))).toBe('NOT_FOUND')
    expect(await codeOf(revoke(cedar.of.tenant_admin, newId()))).toBe('NOT_FOUND')
    expect(await codeOf(revoke(cedar.of.tenant_admin, id))).toBe('done')
  })

  it('survives its maker\'s departure, flagged', async () => {
    const maker = await cedar.add('tenant_admin')
    const { token } = await create(maker, { name: 'of one who leaves' })
    const list = '{ apiTokens(first: 100) { edges { node { name creatorLeft } } } }'
    const flag = async () => {
      const { data } = await rig.ask<Listed>(cedar.of.tenant_admin.caller, list)
      return data!.apiTokens.edges.find(({ node }) => node.name === 'of one who leaves')!.node.creatorLeft
    }
    expect(await flag()).toBe(false)
    await rig.act(cedar.of.tenant_admin.caller, (scope) => rig.contract.deactivateMember(scope, { id: maker.membershipId }))
    expect(await flag()).toBe(true)
    expect(await codeOf(identify(token))).toBe('done')
  })

  it('is one of so many a tenant may have', async () => {
    const many = await rig.tenant()
    await rig.owner(
      `insert into identity.api_token (tenant_id, id, name, hash)
       select $1, gen_random_uuid(), 'one', gen_random_uuid()::text from generate_series(1, $2)`,
      [many.id, mostTokens],
    )
    expect(await codeOf(create(many.of.tenant_admin))).toBe('TOKEN_LIMIT')
    await rig.owner(
      'update identity.api_token set revoked_at = now() where id = (select id from identity.api_token where tenant_id = $1 limit 1)',
      [many.id],
    )
    expect(await codeOf(create(many.of.tenant_admin))).toBe('done')
  })
})
