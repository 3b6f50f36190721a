import { describe, expect, test } from 'vitest'
import { planes } from '../../kernel/scope.ts'
import {
  isPermission,
  isRole,
  matrix,
  mayAssign,
  mayInvite,
  permissionInput,
  permissions,
  permissionsOf,
  planeOf,
  planesOf,
  roleInput,
  roles,
  rolesOf,
  scopeOf,
  tokenPermissions,
  type Permission,
  type Role,
} from './contract.ts'

const strangers = ['', 'TENANT_ADMIN', 'consumer', 'operator', '__proto__', 'constructor', 'toString'] as string[] as Role[]

describe('the matrix', () => {
  test('is the reviewed one, cell by cell', async () => {
    const lines = matrix.map(({ key, group, operations, cells }) =>
      [group.padEnd(10), key.padEnd(18), roles.map((role) => cells[role] ?? '-').join(' '), operations.join(' ')].join('  '),
    )
    await expect([roles.join(' '), ...lines, ''].join('\n')).toMatchFileSnapshot('./matrix.golden.txt')
  })

  test('has seven roles, 58 permissions and 153 granted cells', () => {
    expect(roles).toHaveLength(7)
    expect(matrix).toHaveLength(58)
    expect(matrix.flatMap(({ cells }) => Object.values(cells)).filter((cell) => cell !== null)).toHaveLength(153)
  })

  test('grants each role exactly its total', () => {
    expect(roles.map((role) => permissionsOf(role).size)).toEqual([21, 20, 34, 22, 13, 18, 25])
  })

  test('names each permission and each guarded operation once, and every permission guards something', () => {
    const guarded = matrix.flatMap(({ operations }) => operations)
    expect(new Set(permissions).size).toBe(58)
    expect(new Set(guarded).size).toBe(guarded.length)
    for (const { key, operations } of matrix) {
      expect(key).toMatch(/^[a-z]+:[a-z_]+$/)
      expect(operations.length, key).toBeGreaterThan(0)
    }
  })

  test('has no permission that nobody holds', () => {
    for (const { key, cells } of matrix) expect(Object.values(cells).some((cell) => cell !== null), key).toBe(true)
  })

  test('gives the tenant administrator nothing of health data, and only the seller works by grant', () => {
    expect([...permissionsOf('tenant_admin')].filter((key) => /^(phi|note|careplan|recipient):/.test(key))).toEqual([])
    const byGrant = matrix.flatMap(({ key, cells }) => roles.filter((role) => cells[role] === 'G').map((role) => [key, role]))
    expect(byGrant).toEqual([['phi:read', 'provider_manager']])
  })

  test('cannot be written to', () => {
    expect(() => Object.assign(matrix[0]!.cells, { family: 'T' })).toThrow(TypeError)
    expect(() => Object.assign(matrix[0]!, { key: 'x:y' })).toThrow(TypeError)
    expect(scopeOf('family', 'tenant:read')).toBeNull()
  })
})

describe('names', () => {
  test('are known exactly, and a stranger to the matrix gets nothing', () => {
    for (const role of roles) expect(isRole(role) && roleInput.safeParse(role).success).toBe(true)
    for (const key of permissions) expect(isPermission(key) && permissionInput.safeParse(key).success).toBe(true)
    for (const name of strangers) {
      expect(isRole(name) || roleInput.safeParse(name).success, name).toBe(false)
      expect(isPermission(name) || permissionInput.safeParse(name).success, name).toBe(false)
      expect(permissionsOf(name).size + tokenPermissions(name).size, name).toBe(0)
      expect(scopeOf(name, 'listing:read'), name).toBeNull()
      expect(scopeOf('family', name as unknown as Permission), name).toBeNull()
      for (const role of roles) {
        expect(mayAssign(name, role) || mayAssign(role, name) || mayInvite(name, role) || mayInvite(role, name), name).toBe(false)
      }
      expect(() => planeOf(name)).toThrow('There is no role')
      expect(() => planesOf(name as unknown as Permission)).toThrow('There is no permission')
    }
  })

  test('scopes agree with the sets of held permissions', () => {
    for (const role of roles) {
      for (const key of permissions) expect(scopeOf(role, key) !== null, `${role} ${key}`).toBe(permissionsOf(role).has(key))
    }
  })
})

describe('planes', () => {
  test('every role has one plane and every plane but the integrator has a role', () => {
    expect(Object.fromEntries(planes.map((plane) => [plane, rolesOf(plane)]))).toEqual({
      console: ['tenant_admin', 'compliance_officer', 'care_coordinator'],
      clinician: ['clinician'],
      consumer: ['family'],
      courier: ['caregiver'],
      seller: ['provider_manager'],
      integrator: [],
    })
    for (const role of roles) expect(rolesOf(planeOf(role))).toContain(role)
  })

  test('a permission opens exactly the planes of its holders', () => {
    for (const key of permissions) {
      const ofPeople = planesOf(key).filter((plane) => plane !== 'integrator')
      const ofHolders = new Set(roles.filter((role) => scopeOf(role, key) !== null).map(planeOf))
      expect(new Set(ofPeople), key).toEqual(ofHolders)
    }
    expect(planesOf('listing:read')).toEqual([...planes])
    expect(planesOf('note:sign')).toEqual(['clinician'])
  })

  test('the integrator plane holds what a tenant administrator may put on a token, and no more', () => {
    const onTokens = permissions.filter((key) => planesOf(key).includes('integrator'))
    expect(new Set(onTokens)).toEqual(tokenPermissions('tenant_admin'))
    expect(onTokens).toHaveLength(20)
    expect(onTokens.filter((key) => key.startsWith('phi:'))).toEqual([])
  })
})

describe('machine tokens', () => {
  test('never carry a decision that belongs to a person, whoever makes them', () => {
    for (const role of roles) {
      const carried = tokenPermissions(role)
      for (const key of ['phi:break_glass', 'bid:accept', 'review:decide', 'role:assign'] as const) {
        expect(carried.has(key), `${role} ${key}`).toBe(false)
      }
      for (const key of carried) expect(permissionsOf(role).has(key), `${role} ${key}`).toBe(true)
    }
    expect(tokenPermissions('care_coordinator').size).toBe(33)
  })
})

describe('handing on roles', () => {
  test('only a tenant administrator assigns, and any role', () => {
    for (const assigner of roles) {
      for (const target of roles) expect(mayAssign(assigner, target), `${assigner} ${target}`).toBe(assigner === 'tenant_admin')
    }
  })

  test('each inviter keeps to its own circle', () => {
    const circles: Record<Role, readonly Role[]> = {
      tenant_admin: roles,
      compliance_officer: [],
      care_coordinator: ['clinician', 'caregiver', 'provider_manager', 'family'],
      clinician: [],
      caregiver: [],
      provider_manager: ['provider_manager'],
      family: ['family'],
    }
    for (const inviter of roles) {
      expect(roles.filter((target) => mayInvite(inviter, target)), inviter).toEqual(circles[inviter])
      expect(circles[inviter].length > 0, inviter).toBe(permissionsOf(inviter).has('user:invite'))
    }
  })
})
