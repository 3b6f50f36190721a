/** Identity's sessions and API tokens: one statement says whether a credential is good at this moment. */
import type { Scope, SignInMethod } from '../../kernel/scope.ts'
import type { ConfirmedBy } from '../../platform/db/standing.ts'
import type { ModuleSql } from '../../platform/module.ts'
import type { IdentityDb } from './repo.ts'
import type { SignInPlane } from './tokens/refresh.ts'

/** A session that is live, of a member who is active in its plane. */
export interface LiveSession {
  readonly id: string
  readonly membershipId: string
  readonly identityId: string
  readonly role: string
  readonly plane: SignInPlane
  readonly via: SignInMethod
  readonly providerOrgId: string | null
  readonly hash: string
  readonly rotatedAt: Date
}

/** A session as refreshing needs it, whatever its state. */
export interface HeldSession extends Omit<LiveSession, 'hash' | 'providerOrgId'> {
  readonly currentHash: string
  readonly previousHash: string | null
  readonly expiresAt: Date
  readonly revokedAt: Date | null
  /** The person and the membership are active, and the membership still belongs to the session's plane. */
  readonly isMember: boolean
}

export interface NewSession {
  readonly id: string
  readonly membershipId: string
  readonly plane: SignInPlane
  readonly via: SignInMethod
  readonly hash: string
  readonly now: Date
  readonly expiresAt: Date
  readonly secondFactorAt: Date | null
}

/** Whose sessions to end. */
export type SessionsOf =
  | { readonly id: string; readonly membershipId?: string }
  | { readonly membershipId: string }
  | { readonly identityId: string }

/** What `live` asks and what it answered, on the login of the session's plane: whoever it no longer holds of has no tenant from here on. */
const confirming = `
  select case when exists (
    select from identity.session s
    join identity.membership m on m.tenant_id = s.tenant_id and m.id = s.membership_id
    join identity.identity i on i.tenant_id = m.tenant_id and i.id = m.identity_id
    where s.tenant_id = $1::uuid and s.id = $2::uuid and s.plane = $3 and s.via = $4
      and s.revoked_at is null and s.expires_at > $5::timestamptz and s.rotated_at > $6::timestamptz
      and m.id = $7::uuid and m.plane = s.plane and m.role = $8 and m.provider_org_id is not distinct from $9::uuid and m.status = 'ACTIVE'
      and i.id = $10::uuid and i.status = 'ACTIVE'
  ) then $2::uuid::text else set_config('app.tenant_id', '', true) end`

/** How the database confirms that a session's member is still who it was: it answers the session's id, which is nobody else's. */
export function confirmationOf(of: {
  readonly tenantId: string
  readonly member: Omit<LiveSession, 'id' | 'hash' | 'rotatedAt'> & { readonly sessionId: string }
  readonly nowMs: number
  readonly idleSinceMs: number
}): ConfirmedBy {
  const { sessionId, membershipId, identityId, role, plane, via, providerOrgId } = of.member
  const moment = (ms: number) => new Date(ms).toISOString()
  const values = [of.tenantId, sessionId, plane, via, moment(of.nowMs), moment(of.idleSinceMs), membershipId, role, providerOrgId, identityId]
  return { text: confirming, values, proof: sessionId }
}

export function createSessionRepo({ db, sql }: { db: IdentityDb; sql: ModuleSql }) {
  return {
    async add(scope: Scope, { hash, now, ...data }: NewSession): Promise<void> {
      const { tenantId, sourceAddress } = scope
      const userAgent = scope.userAgent?.slice(0, 300) ?? null
      await db(scope).session.create({
        data: { ...data, tenantId, refreshHash: hash, rotatedAt: now, createdAt: now, sourceAddress, userAgent },
        select: { id: true },
      })
    },

    /** The session if everything about it holds now: one statement, so nothing can change between two looks. */
    async live(scope: Scope, { id, plane, now, idleSince }: { id: string; plane: SignInPlane; now: Date; idleSince: Date }) {
      const [found] = await sql(scope).$queryRaw<LiveSession[]>`
        select s.id, s.membership_id as "membershipId", m.identity_id as "identityId", m.role, m.plane, s.via,
          m.provider_org_id as "providerOrgId", s.refresh_hash as hash, s.rotated_at as "rotatedAt"
        from identity.session s
        join identity.membership m on m.tenant_id = s.tenant_id and m.id = s.membership_id
        join identity.identity i on i.tenant_id = m.tenant_id and i.id = m.identity_id
        where s.tenant_id = ${scope.tenantId}::uuid and s.id = ${id}::uuid and s.plane = ${plane} and m.plane = s.plane
          and s.revoked_at is null and s.expires_at > ${now}::timestamptz and s.rotated_at > ${idleSince}::timestamptz
          and m.status = 'ACTIVE' and i.status = 'ACTIVE'`
      return found ?? null
    },

    /** The session in whatever state, locked until the command ends: two refreshes of one family take turns. */
    async hold(scope: Scope, id: string): Promise<HeldSession | null> {
      const [found] = await sql(scope).$queryRaw<HeldSession[]>`
        select s.id, s.membership_id as "membershipId", m.identity_id as "identityId", m.role, s.plane, s.via,
          s.refresh_hash as "currentHash", s.previous_hash as "previousHash", s.rotated_at as "rotatedAt",
          s.expires_at as "expiresAt", s.revoked_at as "revokedAt",
          m.status = 'ACTIVE' and i.status = 'ACTIVE' and m.plane = s.plane as "isMember"
        from identity.session s
        join identity.membership m on m.tenant_id = s.tenant_id and m.id = s.membership_id
        join identity.identity i on i.tenant_id = m.tenant_id and i.id = m.identity_id
        where s.tenant_id = ${scope.tenantId}::uuid and s.id = ${id}::uuid
        for update of s`
      return found ?? null
    },

    async rotate(scope: Scope, { id, from, to, now }: { id: string; from: string; to: string; now: Date }): Promise<void> {
      await db(scope).session.updateMany({
        where: { tenantId: scope.tenantId, id },
        data: { refreshHash: to, previousHash: from, rotatedAt: now },
      })
    },

    /** Starts the idle time anew; false when another request just did, or the session ended. */
    async slide(scope: Scope, { id, now, unlessSince }: { id: string; now: Date; unlessSince: Date }): Promise<boolean> {
      const where = { tenantId: scope.tenantId, id, revokedAt: null, rotatedAt: { lt: unlessSince } }
      const { count } = await db(scope).session.updateMany({ where, data: { rotatedAt: now } })
      return count === 1
    },

    /** Ends sessions that are not yet revoked, all but `except`, and tells which. */
    async revoke(scope: Scope, of: SessionsOf, { reason, now, except }: { reason: string; now: Date; except?: string }): Promise<string[]> {
      const { tenantId } = scope
      const whose = 'identityId' in of ? { membership: { tenantId, identityId: of.identityId } } : of
      const rows = await db(scope).session.updateManyAndReturn({
        where: { AND: [{ tenantId, revokedAt: null, expiresAt: { gt: now } }, whose, except ? { id: { not: except } } : {}] },
        data: { revokedAt: now, revokedReason: reason },
        select: { id: true },
      })
      return rows.map(({ id }) => id)
    },

    /** A membership's live sessions, the newest first, at most 100. */
    list: (scope: Scope, { membershipId, now, idleSince }: { membershipId: string; now: Date; idleSince: Date }) =>
      db(scope).session.findMany({
        where: { tenantId: scope.tenantId, membershipId, revokedAt: null, expiresAt: { gt: now }, rotatedAt: { gt: idleSince } },
        select: {
          id: true,
          plane: true,
          via: true,
          createdAt: true,
          rotatedAt: true,
          expiresAt: true,
          sourceAddress: true,
          userAgent: true,
        },
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        take: 100,
      }),

    /** A live API token by its hash. */
    apiToken: (scope: Scope, hash: string, now: Date) =>
      db(scope).apiToken.findFirst({
        where: { tenantId: scope.tenantId, hash, revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
        select: { id: true, permissions: true, lastUsedAt: true },
      }),

    /** Notes an API token's use; false when another request just did. */
    async noteTokenUse(scope: Scope, { id, now, unlessSince }: { id: string; now: Date; unlessSince: Date }): Promise<boolean> {
      const where = { tenantId: scope.tenantId, id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lt: unlessSince } }] }
      const { count } = await db(scope).apiToken.updateMany({ where, data: { lastUsedAt: now } })
      return count === 1
    },
  }
}

export type SessionRepo = ReturnType<typeof createSessionRepo>
