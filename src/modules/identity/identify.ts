/**
 * Who a credential belongs to, at this moment. Form, plane, tenant and signature are judged without the database; what is left is one
 * statement, so that a revoked session, an ended membership and a removed role are gone at the next call.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Plane, Scope } from '../../kernel/scope.ts'
import { isPermission, isRole, planeOf, tokenPermissions, type Role } from '../access/contract.ts'
import { sessionEnded, sessionLife, type Identified } from './contract.ts'
import { issuerOf, type Parts } from './parts.ts'
import { inAuthCommand } from './repo.ts'
import type { BearerMemory, Member } from './recall.ts'
import type { LiveSession } from './repo-sessions.ts'
import { audienceOf, tokenInvalid, tokenMalformed, tokenWrongPlane, verifyAccessToken } from './tokens/access-token.ts'
import { apiTokenPrefix, readApiToken } from './tokens/api-token.ts'
import { readSessionCookie } from './tokens/session-cookie.ts'

/** Only its holders make API tokens (`token:manage`): whoever the maker is by now, a token acts as one of them, within its own list. */
const roleOfTokens: Role = 'tenant_admin'

/** An API token's last use is noted at most this often. */
const noteUseMs = 60 * 60_000

export interface Credential {
  readonly bearer?: string | undefined
  readonly cookie?: string | undefined
  readonly plane: Plane | null
}

export function createIdentify({ sessions, keys, clock, config }: Parts, memory: BearerMemory): (scope: Scope, credential: Credential) => Promise<Identified> {
  const find = (scope: Scope, id: string, plane: LiveSession['plane']): Promise<LiveSession | null> => {
    const nowMs = clock.nowMs()
    return sessions.live(scope, { id, plane, now: new Date(nowMs), idleSince: new Date(nowMs - sessionLife.idleMs) })
  }

  const byAccessToken = async (scope: Scope, token: string, plane: Plane | null): Promise<Identified> => {
    const claimed = audienceOf(token)
    if (plane !== null && claimed !== plane) throw tokenWrongPlane()
    const claims = await verifyAccessToken(token, {
      plane: claimed,
      keys: await keys.verifiers(kidOf(token)),
      issuer: issuerOf(config),
      nowMs: clock.nowMs(),
    })
    if (claims.tenantId !== scope.tenantId || claims.plane === 'integrator') throw tokenInvalid()
    const session = await find(scope, claims.sessionId, claims.plane)
    if (!session || session.membershipId !== claims.membershipId || session.identityId !== claims.identityId) throw sessionEnded()
    const found = member(session)
    await memory.remember(token, scope.tenantId, found)
    return found
  }

  const byCookie = async (scope: Scope, value: string, plane: Plane | null): Promise<Identified> => {
    const cookie = readSessionCookie(value)
    if (!cookie) throw sessionEnded()
    if (plane !== null && cookie.plane !== plane) throw tokenWrongPlane()
    if (cookie.tenantId !== scope.tenantId) throw tokenInvalid()
    const session = await find(scope, cookie.sessionId, cookie.plane)
    if (!session || !isSame(session.hash, cookie.hash)) throw sessionEnded()
    const nowMs = clock.nowMs()
    const unlessSince = new Date(nowMs - sessionLife.slideMs)
    if (session.rotatedAt < unlessSince) {
      await unlessIdle(inAuthCommand(scope, async (inside) => {
        if (!(await sessions.slide(inside, { id: session.id, now: new Date(nowMs), unlessSince }))) throw nothingToDo
        const actor = { id: session.membershipId, sessionId: session.id, via: session.via }
        inside.unit.record({ action: 'session.extended', resource: 'Session', resourceId: session.id, outcome: 'done', actor })
      }))
    }
    return member(session)
  }

  const byApiToken = async (scope: Scope, text: string, plane: Plane | null): Promise<Identified> => {
    if (plane !== null && plane !== 'integrator') throw tokenWrongPlane()
    const read = readApiToken(text)
    if (!read) throw tokenMalformed()
    if (read.tenantId !== scope.tenantId) throw tokenInvalid()
    const now = new Date(clock.nowMs())
    const token = await sessions.apiToken(scope, read.hash, now)
    if (!token) throw sessionEnded()
    const unlessSince = new Date(now.getTime() - noteUseMs)
    if (token.lastUsedAt === null || token.lastUsedAt < unlessSince) {
      await unlessIdle(inAuthCommand(scope, async (inside) => {
        if (!(await sessions.noteTokenUse(inside, { id: token.id, now, unlessSince }))) throw nothingToDo
        inside.unit.record({ action: 'api_token.used', resource: 'ApiToken', resourceId: token.id, outcome: 'done' })
      }))
    }
    const allowed = tokenPermissions(roleOfTokens)
    const permissions = token.permissions.filter((name) => isPermission(name) && allowed.has(name))
    return { kind: 'integration', tokenId: token.id, role: roleOfTokens, permissions }
  }

  return async (scope, { bearer, cookie, plane }) => {
    if (bearer !== undefined) {
      return bearer.startsWith(apiTokenPrefix) ? byApiToken(scope, bearer, plane) : byAccessToken(scope, bearer, plane)
    }
    return byCookie(scope, cookie ?? '', plane)
  }
}

/** Undoes a command that another request has made needless. */
const nothingToDo = new Error('Another request has just done this.')

async function unlessIdle(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (error !== nothingToDo) throw error
  })
}

function member(session: LiveSession): Member {
  const { membershipId, identityId, role, plane, id, via, providerOrgId } = session
  // A role that signs in elsewhere has no business in this session, whatever wrote it there.
  if (!isRole(role) || planeOf(role) !== plane) throw sessionEnded()
  return { kind: 'member', membershipId, identityId, role, plane, sessionId: id, via, providerOrgId }
}

/** The key a token says it is signed with; `audienceOf` has read this segment: it is an object. */
function kidOf(token: string): string | null {
  const { kid } = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid?: unknown }
  return typeof kid === 'string' ? kid : null
}

function isSame(one: string, other: string): boolean {
  const [oneBytes, otherBytes] = [Buffer.from(one), Buffer.from(other)]
  return oneBytes.length === otherBytes.length && timingSafeEqual(oneBytes, otherBytes)
}
