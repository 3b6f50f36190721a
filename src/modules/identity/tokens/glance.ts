/**
 * What a credential says of itself, read without any look-up and without trust: it picks the tenant in whose name the real check is
 * made, and lets the wrong door refuse at once. Nothing here is verified.
 */
import { isUuid } from '../../../kernel/id.ts'
import type { Plane } from '../../../kernel/scope.ts'
import { audienceOf } from './access-token.ts'
import { apiTokenPrefix, readApiToken } from './api-token.ts'
import { readSessionCookie } from './session-cookie.ts'

export type BearerGlance =
  | { readonly kind: 'access'; readonly plane: Plane; readonly tenantId: string }
  | { readonly kind: 'api'; readonly tenantId: string }

/** Longest bearer looked at, in characters. */
const longestBearer = 4_096

/** The tenant and kind of a bearer; null for what this server would never have issued. */
export function glanceAtBearer(text: string): BearerGlance | null {
  if (text.length > longestBearer) return null
  if (text.startsWith(apiTokenPrefix)) {
    const token = readApiToken(text)
    return token && { kind: 'api', tenantId: token.tenantId }
  }
  try {
    const plane = audienceOf(text)
    // `audienceOf` has read this segment: it is an object.
    const { tenant } = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString()) as { tenant?: unknown }
    return typeof tenant === 'string' && isUuid(tenant) ? { kind: 'access', plane, tenantId: tenant } : null
  } catch {
    return null
  }
}

/** The tenant and plane a session cookie names; null for what this server would never have set. */
export function glanceAtCookie(value: string): { readonly tenantId: string; readonly plane: Plane } | null {
  const cookie = readSessionCookie(value)
  return cookie && { tenantId: cookie.tenantId, plane: cookie.plane }
}
