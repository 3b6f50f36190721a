/** What a request shows of who sends it: a bearer or a cookie, judged without a look-up, and whether a cookie came by our own page's doing. */
import type { IncomingMessage } from 'node:http'
import { fault, unauthenticated } from './kernel/fault.ts'
import type { Plane } from './kernel/scope.ts'
import { cookieNameOf, glanceAtBearer, glanceAtCookie, tokenWrongPlane, type BearerGlance } from './modules/identity/contract.ts'
import { cookieIn } from './platform/http/forms.ts'
import type { RequestContext } from './platform/http/router.ts'

export const csrfRefused = fault(
  'denied',
  'CSRF_REFUSED',
  'A request that is signed in by cookie must come from this origin and carry the header x-maristan-csrf.',
)
export const csrfHeader = 'x-maristan-csrf'

/** A credential and the tenant it names; nothing of it is verified yet. */
export interface Presented {
  readonly tenantId: string
  readonly bearer?: string
  readonly cookie?: string
}

/** The credential for this plane, judged without a look-up. A value that we would never have set as a cookie is no credential. */
export function presentedOn(plane: Plane, request: IncomingMessage): Presented | null {
  const bearer = bearerOf(request)
  if (bearer !== null) {
    const seen = glanceAtBearer(bearer)
    if (seen === null) throw unauthenticated()
    if (planeOfGlance(seen) !== plane) throw tokenWrongPlane()
    return { tenantId: seen.tenantId, bearer }
  }
  const cookie = sessionCookie(request, plane)
  const seen = cookie === null ? null : glanceAtCookie(cookie)
  if (cookie === null || seen === null) return null
  if (seen.plane !== plane) throw tokenWrongPlane()
  return { tenantId: seen.tenantId, cookie }
}

export function planeOfGlance(seen: BearerGlance): Plane {
  return seen.kind === 'api' ? 'integrator' : seen.plane
}

/** The bearer token (RFC 6750 §2.1), or null without an Authorization header. Another scheme is not ours to guess. */
export function bearerOf(request: IncomingMessage): string | null {
  const header = request.headers.authorization
  if (header === undefined) return null
  const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]{1,4096})$/i.exec(header) ?? []
  if (token === undefined) throw unauthenticated()
  return token
}

export function sessionCookie(request: IncomingMessage, plane: Plane): string | null {
  const name = cookieNameOf(plane)
  return name === null ? null : cookieIn(request, name)
}

/** A browser sends cookies along with anybody's request; only our own page can add this header and has this origin. */
export function refuseForgery(request: IncomingMessage, http: RequestContext): void {
  const { origin } = request.headers
  const site = request.headers['sec-fetch-site']
  if (request.headers[csrfHeader] === undefined) throw csrfRefused()
  if (site !== undefined && site !== 'same-origin') throw csrfRefused()
  if (origin !== undefined && URL.parse(origin)?.hostname !== http.client.host) throw csrfRefused()
}
