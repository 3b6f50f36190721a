/**
 * Who is asking: the tenant by host, header or token; the plane by path or token; the person by bearer or cookie. A token for another
 * plane is refused before anything is looked up, and after sign-in the token alone says the tenant.
 */
import type { IncomingMessage } from 'node:http'
import { bearerOf, csrfRefused, planeOfGlance, presentedOn, refuseForgery, sessionCookie, type Presented } from './credentials.ts'
import { Fault, fault, unauthenticated } from './kernel/fault.ts'
import { purposes, type Actor, type Caller, type Plane, type Purpose } from './kernel/scope.ts'
import { permissionsOf, type Role } from './modules/access/contract.ts'
import { glanceAtBearer, sessionEnded, type BearerMemory, type Identity, type Recalled } from './modules/identity/contract.ts'
import type { Database } from './platform/db/database.ts'
import type { Expected } from './platform/graphql/compiled/reads.ts'
import type { RequestContext } from './platform/http/router.ts'
import { unknownTenant, wrongHost, type TenantDoor } from './platform/http/tenant.ts'

export const badPurpose = fault('invalid', 'BAD_PURPOSE', `The header x-maristan-purpose takes one of ${purposes.join(', ')}.`)

export const purposeHeader = 'x-maristan-purpose'

export interface Edge {
  /** The caller on one plane; anonymous where no credential came. @throws typed refusals, never a look-up before the plane agrees. */
  ask(plane: Plane, request: IncomingMessage, http: RequestContext): Promise<Caller>
  /** The member that a bearer stood for when it was last asked, to be confirmed by the database; null where only `ask` can tell. */
  expect(plane: Plane, request: IncomingMessage, http: RequestContext): Promise<Expected | null>
  /** Somebody without credentials at a tenant that the path names. @throws UNKNOWN_TENANT, TENANT_SUSPENDED, WRONG_HOST */
  visit(slug: string, request: IncomingMessage, http: RequestContext): Promise<Caller>
  /** Somebody without credentials at the tenant that the host or the header names. @throws UNKNOWN_TENANT, TENANT_SUSPENDED */
  visitHere(request: IncomingMessage, http: RequestContext): Promise<Caller>
  /** The caller on one plane, at the tenant that the path names. @throws as visit and ask; WRONG_HOST for a credential of another one */
  askAt(slug: string, plane: Plane, request: IncomingMessage, http: RequestContext): Promise<Caller>
  /** The plane whose schema a bearer opens at `/graphql`. @throws UNAUTHENTICATED */
  planeOfBearer(request: IncomingMessage): Plane
  /** The plane of whichever credential came, for `/session`. Null when none did. */
  planeOfCredential(request: IncomingMessage): Plane | null
}

const cookiePlanes: readonly Plane[] = ['console', 'clinician', 'consumer', 'courier', 'seller']

/** Why a plane's people read records, where the request does not say. */
const usualPurpose: Readonly<Record<Plane, Purpose>> = {
  console: 'OPERATIONS',
  clinician: 'TREATMENT',
  consumer: 'PATIENT_REQUEST',
  courier: 'TREATMENT',
  seller: 'OPERATIONS',
  integrator: 'OPERATIONS',
}

export interface EdgeParts {
  readonly database: Database
  readonly door: TenantDoor
  readonly identity: Identity
  readonly memory: BearerMemory
}

export function createEdge({ database, door, identity, memory }: EdgeParts): Edge {
  const expect = async (plane: Plane, request: IncomingMessage, http: RequestContext): Promise<Expected | null> => {
    try {
      const bearer = bearerOf(request)
      const recalled = bearer === null ? null : await memory.recall(bearer, plane)
      if (recalled === null) return null
      const { tenantId, member, confirmedBy } = recalled
      const named = await door.named(request, http.client)
      if (named !== null && named.tenantId !== tenantId) return null
      await door.byId(tenantId)
      return { caller: { ...baseOf(plane, request, http), tenantId, ...memberAs(member) }, confirmedBy }
    } catch (error) {
      // Whatever is to be refused, the long way refuses.
      if (error instanceof Fault) return null
      throw error
    }
  }

  /** The holder of a credential; null for a browser whose session has ended. @throws UNAUTHENTICATED and the like where it is none */
  const holderOf = async ({ tenantId, bearer, cookie }: Presented, plane: Plane, request: IncomingMessage, http: RequestContext): Promise<Caller | null> => {
    await door.byId(tenantId)
    const unit = database.unit(nobody(tenantId, plane, request, http), http.signal)
    const found = await unit
      .read(() => identity.identify(unit.scope, { bearer, cookie, plane }))
      .catch((error: unknown) => {
        // A browser keeps sending the cookie of a session that has ended: it must not stand in the way of the next sign-in.
        if (cookie !== undefined && sessionEnded.is(error)) return null
        throw error
      })
    if (found === null) return null
    const base = { ...baseOf(plane, request, http), tenantId }
    if (found.kind === 'integration') {
      const actor: Actor = { kind: 'integration', tokenId: found.tokenId, role: found.role }
      return { ...base, actor, permissions: new Set(found.permissions) }
    }
    return { ...base, ...memberAs(found) }
  }

  /** Writes into the trail of the caller's own tenant that she was turned away. */
  const recordTurnedAway = async (caller: Caller, code: string, http: RequestContext): Promise<void> => {
    const unit = database.unit(caller, http.signal)
    unit.record({ action: 'access.denied', resource: 'Request', outcome: 'denied', detail: { code } })
    await unit.flushReads()
  }

  /** The tenant that the address names, where the credential may be used there. @throws CSRF_REFUSED, WRONG_HOST, UNKNOWN_TENANT */
  const placeOf = async (presented: Presented | null, request: IncomingMessage, http: RequestContext): Promise<string | null> => {
    if (presented?.cookie !== undefined && request.method !== 'GET' && request.method !== 'HEAD') refuseForgery(request, http)
    const named = await door.named(request, http.client)
    if (named !== null && presented !== null && named.tenantId !== presented.tenantId) throw wrongHost()
    return named?.tenantId ?? null
  }

  const edge: Edge = {
    async visit(slug, request, http) {
      const { tenantId } = await door.bySlug(slug)
      const named = await door.named(request, http.client)
      if (named !== null && named.tenantId !== tenantId) throw wrongHost()
      return nobody(tenantId, null, request, http)
    },

    async visitHere(request, http) {
      const named = await door.named(request, http.client)
      if (named === null) throw unknownTenant()
      return nobody(named.tenantId, null, request, http)
    },

    async askAt(slug, plane, request, http) {
      const { tenantId } = await edge.visit(slug, request, http)
      if (presentedOn(plane, request) === null) return nobody(tenantId, plane, request, http)
      const caller = await edge.ask(plane, request, http)
      if (caller.tenantId === tenantId) return caller
      const refusal = wrongHost()
      if (caller.actor.kind !== 'anonymous') await recordTurnedAway(caller, refusal.code, http)
      throw refusal
    },

    expect,

    async ask(plane, request, http) {
      const expected = await expect(plane, request, http)
      if (expected && (await database.readConfirmed({ ...expected, text: "select 'yes'", values: [], signal: http.signal })) === 'yes') {
        return expected.caller
      }
      const presented = presentedOn(plane, request)
      const here = await placeOf(presented, request, http).catch(async (error: unknown) => {
        if (presented !== null && (wrongHost.is(error) || csrfRefused.is(error))) {
          // A stranger orders no line: only who holds the credential of an open session or token has one.
          const holder = await holderOf(presented, plane, request, http).catch(() => null)
          if (holder !== null) await recordTurnedAway(holder, error.code, http)
        }
        throw error
      })
      const caller = presented === null ? null : await holderOf(presented, plane, request, http)
      if (caller !== null) return caller
      const tenantId = presented?.tenantId ?? here
      if (tenantId === null) throw unknownTenant()
      return nobody(tenantId, plane, request, http)
    },

    planeOfBearer(request) {
      const bearer = bearerOf(request)
      const seen = bearer === null ? null : glanceAtBearer(bearer)
      if (seen === null) throw unauthenticated()
      return planeOfGlance(seen)
    },

    planeOfCredential(request) {
      const bearer = bearerOf(request)
      if (bearer !== null) {
        const seen = glanceAtBearer(bearer)
        return seen === null ? null : planeOfGlance(seen)
      }
      return cookiePlanes.find((plane) => sessionCookie(request, plane) !== null) ?? null
    },
  }
  return edge
}

function nobody(tenantId: string, plane: Plane | null, request: IncomingMessage, http: RequestContext): Caller {
  return { ...baseOf(plane, request, http), tenantId, actor: { kind: 'anonymous' }, permissions: new Set() }
}

/** What is known of a caller whoever she is. */
function baseOf(plane: Plane | null, request: IncomingMessage, http: RequestContext) {
  return {
    plane,
    purpose: plane === null ? null : purposeOf(request, plane),
    requestId: http.requestId,
    sourceAddress: http.client.address,
    userAgent: request.headers['user-agent']?.slice(0, 200).replace(/[^\x20-\x7e]/g, '?') ?? null,
  }
}

function memberAs(of: Recalled['member']): Pick<Caller, 'actor' | 'permissions'> {
  const { membershipId, identityId, role, sessionId, via, providerOrgId } = of
  const actor: Actor = { kind: 'member', membershipId, identityId, role, sessionId, via, providerOrgId }
  return { actor, permissions: permissionsOf(role as Role) }
}

function purposeOf(request: IncomingMessage, plane: Plane): Purpose {
  const given = request.headers[purposeHeader]
  if (given === undefined) return usualPurpose[plane]
  const purpose = purposes.find((one) => one === given)
  if (!purpose) throw badPurpose()
  return purpose
}
