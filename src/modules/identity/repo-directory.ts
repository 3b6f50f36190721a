/**
 * Identity's tables as a directory's login sees them: people, memberships and links; of sessions, invitations and tokens only when they
 * end. Everything takes lists, so that a thousand people cost as many statements as one.
 */
import { newId } from '../../kernel/id.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { ModuleDb, ModuleSql } from '../../platform/module.ts'
import { Prisma } from '../../platform/db/generated/client.ts'
import type { MembershipState } from './rules.ts'

type DirectoryModels = 'Identity' | 'Membership' | 'DirectoryLink' | 'Session' | 'TotpDevice'
export type DirectorySource = 'SCIM' | 'SAML'

export interface LinkedMember {
  readonly connectionId: string
  readonly membershipId: string
  readonly source: DirectorySource
  readonly origin: 'PROVISIONED' | 'LINKED'
  readonly externalId: string | null
  readonly cutAt: Date | null
  readonly identityId: string
  readonly email: string
  readonly role: string
  readonly plane: string
  readonly status: MembershipState
}

export interface NewMember {
  readonly identityId: string
  readonly role: string
  readonly plane: string
}

const links = Prisma.sql`
  select l.connection_id as "connectionId", l.membership_id as "membershipId", l.source::text as source,
  l.origin::text as origin, l.external_id as "externalId", l.cut_at as "cutAt", m.identity_id as "identityId", i.email, m.role, m.plane,
  m.status::text as status
  from identity.directory_link l
  join identity.membership m on m.tenant_id = l.tenant_id and m.id = l.membership_id
  join identity.identity i on i.tenant_id = m.tenant_id and i.id = m.identity_id`

export function createDirectoryRepo(db: ModuleDb<DirectoryModels>, sql: ModuleSql) {
  return {
    /** The links of memberships, their rows locked in id order until the command ends: two syncs of one person take turns. */
    async holdLinked(scope: Scope, connectionId: string, membershipIds: readonly string[]): Promise<LinkedMember[]> {
      if (membershipIds.length === 0) return []
      return sql(scope).$queryRaw<LinkedMember[]>`${links}
        where l.tenant_id = ${scope.tenantId}::uuid and l.connection_id = ${connectionId}::uuid
          and l.membership_id = any(${[...membershipIds]}::uuid[])
        order by m.id for no key update of m`
    },

    /** As holdLinked, for as many as one change may have; only what tells whom it cuts. */
    async holdMany(scope: Scope, connectionId: string, membershipIds: readonly string[]) {
      return sql(scope).$queryRaw<Pick<LinkedMember, 'membershipId' | 'role' | 'status'>[]>`
        select m.id as "membershipId", m.role, m.status::text as status
        from identity.directory_link l join identity.membership m on m.tenant_id = l.tenant_id and m.id = l.membership_id
        where l.tenant_id = ${scope.tenantId}::uuid and l.connection_id = ${connectionId}::uuid
          and l.membership_id = any(${[...membershipIds]}::uuid[])
        order by m.id for no key update of m`
    },

    /** Suspends and notes that this connection did it, of any number. */
    async suspendMany(scope: Scope, connectionId: string, membershipIds: readonly string[], now: Date): Promise<void> {
      const [tenantId, ids] = [scope.tenantId, [...membershipIds]]
      await sql(scope).$executeRaw`
        with suspended as (
          update identity.membership set status = 'SUSPENDED', version = version + 1, updated_at = ${now}::timestamptz
          where tenant_id = ${tenantId}::uuid and id = any(${ids}::uuid[])
        )
        update identity.directory_link set cut_at = ${now}::timestamptz
        where tenant_id = ${tenantId}::uuid and connection_id = ${connectionId}::uuid and membership_id = any(${ids}::uuid[])`
    },

    /** Sessions of memberships that ended at one moment. */
    sessionsEndedAt: (scope: Scope, membershipIds: readonly string[], at: Date) =>
      sql(scope).$queryRaw<{ id: string; membershipId: string }[]>`
        select id, membership_id as "membershipId" from identity.session
        where tenant_id = ${scope.tenantId}::uuid and membership_id = any(${[...membershipIds]}::uuid[])
          and revoked_at = ${at}::timestamptz order by id`,

    async findLink(scope: Scope, connectionId: string, by: { externalId?: string; membershipId?: string }): Promise<LinkedMember | null> {
      const [found] = await sql(scope).$queryRaw<LinkedMember[]>`${links}
        where l.tenant_id = ${scope.tenantId}::uuid and l.connection_id = ${connectionId}::uuid
          and (l.external_id = ${by.externalId ?? null}::text or l.membership_id = ${by.membershipId ?? null}::uuid)
        limit 1`
      return found ?? null
    },

    linksOf: (scope: Scope, connectionId: string, membershipIds: readonly string[]) =>
      sql(scope).$queryRaw<LinkedMember[]>`${links}
        where l.tenant_id = ${scope.tenantId}::uuid and l.connection_id = ${connectionId}::uuid
          and l.membership_id = any(${[...membershipIds]}::uuid[])`,

    /** Whether administrators are among them: whoever moves one locks them all first. */
    async anyAdmin(scope: Scope, membershipIds: readonly string[]): Promise<boolean> {
      const found = await sql(scope).$queryRaw<{ id: string }[]>`
        select id from identity.membership
        where tenant_id = ${scope.tenantId}::uuid and id = any(${[...membershipIds]}::uuid[]) and role = 'tenant_admin' limit 1`
      return found.length > 0
    },

    membership: (scope: Scope, id: string) =>
      db(scope).membership.findUnique({
        where: { tenantId_id: { tenantId: scope.tenantId, id } },
        select: { id: true, plane: true, status: true },
      }),

    /** The people of addresses, made where there are none; each says whether this call made it. */
    async ensureIdentities(scope: Scope, wanted: readonly { email: string; locale: string }[]) {
      const { tenantId } = scope
      const made = wanted.map((one) => ({ ...one, tenantId, id: newId() })).sort((a, b) => (a.email < b.email ? -1 : 1))
      await db(scope).identity.createMany({ data: made, skipDuplicates: true })
      const rows = await db(scope).identity.findMany({
        where: { tenantId, email: { in: made.map(({ email }) => email) } },
        select: { id: true, email: true },
      })
      const mine = new Set(made.map(({ id }) => id))
      return new Map(rows.map(({ id, email }) => [email, { id, isNew: mine.has(id) }]))
    },

    /** Adds active memberships; a role that the person holds already is left out of the answer. Ids are answered by identity. */
    async addMembers(scope: Scope, members: readonly NewMember[]): Promise<ReadonlyMap<string, string>> {
      if (members.length === 0) return new Map()
      const data = members.map((one) => ({ ...one, tenantId: scope.tenantId, id: newId(), status: 'ACTIVE' as const }))
      const rows = await db(scope).membership.createManyAndReturn({ data, skipDuplicates: true, select: { id: true, identityId: true } })
      return new Map(rows.map(({ id, identityId }) => [identityId, id]))
    },

    async addLinks(
      scope: Scope,
      links: readonly Pick<LinkedMember, 'connectionId' | 'membershipId' | 'source' | 'origin' | 'externalId'>[],
    ): Promise<void> {
      if (links.length > 0) await db(scope).directoryLink.createMany({ data: links.map((one) => ({ ...one, tenantId: scope.tenantId })) })
    },

    /** Who of these people holds a role, in a membership other than the one given. */
    async holdersOf(scope: Scope, role: string, identityIds: readonly string[]): Promise<ReadonlySet<string>> {
      const rows = await db(scope).membership.findMany({
        where: { tenantId: scope.tenantId, role, identityId: { in: [...identityIds] }, providerOrgId: null, status: { not: 'ENDED' } },
        select: { identityId: true },
      })
      return new Set(rows.map(({ identityId }) => identityId))
    },

    async setRole(scope: Scope, membershipIds: readonly string[], role: string, plane: string): Promise<void> {
      await db(scope).membership.updateMany({
        where: { tenantId: scope.tenantId, id: { in: [...membershipIds] } },
        data: { role, plane, version: { increment: 1 } },
      })
    },

    async setStatus(scope: Scope, membershipIds: readonly string[], status: MembershipState): Promise<void> {
      if (membershipIds.length === 0) return
      await db(scope).membership.updateMany({
        where: { tenantId: scope.tenantId, id: { in: [...membershipIds] } },
        data: { status, version: { increment: 1 } },
      })
    },

    /** Notes or forgets that this connection did the cutting. An ended membership's external id is free again. */
    async markLinks(
      scope: Scope,
      connectionId: string,
      membershipIds: readonly string[],
      data: { cutAt?: Date | null; externalId?: null },
    ): Promise<void> {
      if (membershipIds.length === 0) return
      const where = { tenantId: scope.tenantId, connectionId, membershipId: { in: [...membershipIds] } }
      await db(scope).directoryLink.updateMany({ where, data })
    },

    /** Gives the link of a member who has not ended another external id. @throws a unique violation where another link has it. */
    async setExternalId(scope: Scope, connectionId: string, membershipId: string, externalId: string | null): Promise<boolean> {
      const changed = await sql(scope).$executeRaw`
        update identity.directory_link l set external_id = ${externalId}
        from identity.membership m
        where l.tenant_id = ${scope.tenantId}::uuid and l.connection_id = ${connectionId}::uuid and l.membership_id = ${membershipId}::uuid
          and m.tenant_id = l.tenant_id and m.id = l.membership_id and m.status <> 'ENDED'
          and l.external_id is distinct from ${externalId}`
      return changed === 1
    },

    /** Ends what sessions are left of memberships: id and membership of each. */
    async revokeSessions(scope: Scope, membershipIds: readonly string[], reason: string, now: Date) {
      return sql(scope).$queryRaw<{ id: string; membershipId: string }[]>`
        update identity.session set revoked_at = ${now}::timestamptz, revoked_reason = ${reason}
        where tenant_id = ${scope.tenantId}::uuid and membership_id = any(${[...membershipIds]}::uuid[])
          and revoked_at is null and expires_at > ${now}::timestamptz
        returning id, membership_id as "membershipId"`
    },

    /** Takes back the open invitations to the places of memberships: the e-mail of each. */
    async revokeInvitations(scope: Scope, membershipIds: readonly string[], now: Date): Promise<{ membershipId: string }[]> {
      return sql(scope).$queryRaw<{ membershipId: string }[]>`
        update identity.invitation v set state = 'REVOKED', version = v.version + 1, updated_at = ${now}::timestamptz
        from identity.membership m join identity.identity i on i.tenant_id = m.tenant_id and i.id = m.identity_id
        where m.tenant_id = ${scope.tenantId}::uuid and m.id = any(${[...membershipIds]}::uuid[])
          and v.tenant_id = m.tenant_id and v.email = i.email and v.role = m.role
          and v.provider_org_id is not distinct from m.provider_org_id
          and v.state in ('CREATED', 'SENT', 'SEEN')
        returning m.id as "membershipId"`
    },

    /** Marks the live API tokens that memberships made: they work on, somebody should look at them. */
    async flagTokens(scope: Scope, membershipIds: readonly string[], now: Date): Promise<{ membershipId: string }[]> {
      return sql(scope).$queryRaw<{ membershipId: string }[]>`
        update identity.api_token set flagged_at = ${now}::timestamptz
        where tenant_id = ${scope.tenantId}::uuid and created_by = any(${[...membershipIds]}::uuid[])
          and revoked_at is null and flagged_at is null and (expires_at is null or expires_at > ${now}::timestamptz)
        returning created_by as "membershipId"`
    },

    /** True when the session began after its person had confirmed a second factor, which the sign-in then asked for. */
    async beganWithSecondFactor(scope: Scope, sessionId: string, identityId: string): Promise<boolean> {
      const { tenantId } = scope
      // Shown in this very session: a code after the password, or the identity provider's fresh authentication.
      const shown = { tenantId, id: sessionId, revokedAt: null, secondFactorAt: { not: null } }
      if ((await db(scope).session.count({ where: shown })) > 0) return true
      const where = { tenantId, identityId, confirmedAt: { not: null } }
      const device = await db(scope).totpDevice.findFirst({ where, select: { confirmedAt: true } })
      if (!device?.confirmedAt) return false
      const began = { tenantId, id: sessionId, via: 'password', revokedAt: null, createdAt: { gt: device.confirmedAt } }
      return (await db(scope).session.findFirst({ where: began, select: { id: true } })) !== null
    },
  }
}

export type DirectoryRepo = ReturnType<typeof createDirectoryRepo>
