import { describe, expect, it } from 'vitest'
import { newId } from '../../../kernel/id.ts'
import { planes, signInPlanes } from '../../../kernel/scope.ts'
import { signAccessToken } from './access-token.ts'
import { newApiToken, readApiToken } from './api-token.ts'
import { glanceAtBearer, glanceAtCookie } from './glance.ts'
import { packId, unpackId } from './packed-id.ts'
import { cookieNameOf, newSessionCookie, readSessionCookie } from './session-cookie.ts'
import { newSigningKey } from './signing-key.ts'

const tenantId = newId()

describe('a packed id', () => {
  it('is one spelling of one id', () => {
    expect(unpackId(packId(tenantId))).toBe(tenantId)
    const most = 'A'.repeat(21)
    for (const text of ['', 'A', most, `${most}AA`, `${most}B`, `${most}=`, '+'.repeat(22), '\0'.repeat(22)]) {
      expect(unpackId(text)).toBeNull()
    }
  })
})

describe('a glance at a bearer', () => {
  it('says kind, plane and tenant', async () => {
    const { token } = newApiToken(tenantId)
    expect(token).toMatch(/^mst_[\w-]{22}_[\w-]{43}$/)
    expect(glanceAtBearer(token)).toEqual({ kind: 'api', tenantId })
    const nowMs = Date.UTC(2031, 0, 1)
    const key = await newSigningKey('seller', nowMs, { aheadMs: 0, signMs: 60_000, graceMs: 60_000 })
    const claims = { tenantId, plane: 'seller', membershipId: newId(), identityId: newId(), sessionId: newId(), via: 'password' } as const
    const access = await signAccessToken(key, claims, { issuer: 'x', nowMs })
    expect(glanceAtBearer(access)).toEqual({ kind: 'access', plane: 'seller', tenantId })
    expect(glanceAtBearer(`${access}.`)).toBeNull()
  })

  it('sees nothing in what this server never issued', () => {
    const { token } = newApiToken(tenantId)
    const cut = token.slice(0, -1)
    const bad = ['', '.', '..', 'a.b.c', 'mst_', `${token}A`, token.slice(1), cut, `${cut}B`, 'x'.repeat(1_000_000)]
    for (const text of bad) expect(glanceAtBearer(text)).toBeNull()
    for (const text of bad) expect(readApiToken(text)).toBeNull()
  })
})

describe('a session cookie', () => {
  it('names its tenant, its session and its plane', () => {
    for (const plane of signInPlanes) {
      const sessionId = newId()
      const { value, hash } = newSessionCookie(tenantId, sessionId, plane)
      expect(readSessionCookie(value)).toEqual({ tenantId, sessionId, plane, hash })
      expect(glanceAtCookie(value)).toMatchObject({ tenantId })
    }
    expect(planes.map(cookieNameOf)).toEqual(['k_sid', 'd_sid', 'c_sid', 'f_sid', 's_sid', null])
  })

  it('is nothing in any other spelling', () => {
    const { value } = newSessionCookie(tenantId, newId(), 'console')
    const otherPlane = value.replace(/\.k/, '.x')
    const bad = ['', '..', value.toUpperCase(), `${value} `, `${value}.x`, value.slice(1), otherPlane, value.slice(0, -1), 'x'.repeat(9_000)]
    for (const text of bad) expect(readSessionCookie(text)).toBeNull()
  })
})
