/** Identity's tables as administration sees them: people, memberships, invitations, API tokens. It reads no credential. */
import type { Scope } from '../../kernel/scope.ts'
import type { ModuleDb, ModuleSql } from '../../platform/module.ts'
import type { Identity, Invitation, Membership, Prisma } from '../../platform/db/generated/client.ts'
import type { InvitationState } from './rules.ts'

export type MemberModels = 'Identity' | 'Credential' | 'Membership' | 'Session' | 'Invitation' | 'ApiToken'

export type { Invitation }
export type InvitationChange = Prisma.InvitationUpdateManyMutationInput

export type MemberRow = Membership & { readonly identity: Identity }

/** What makes two invitations, or an invitation and a membership, the same place in the tenant. */
export interface Place {
  readonly email: string
  readonly role: string
  readonly providerOrgId: string | null
}

const openStates: InvitationState[] = ['CREATED', 'SENT', 'SEEN']

export function createMembersRepo(db: ModuleDb<MemberModels>, sql: ModuleSql) {
  const mine = <Where>(scope: Scope, where: Where) => ({ ...where, tenantId: scope.tenantId })
  const key = (scope: Scope, id: string) => ({ tenantId_id: { tenantId: scope.tenantId, id } })

  return {
    /** The page that plugin-prisma asks for, within a filter. */
    listMembers: (scope: Scope, query: object, where: Prisma.MembershipWhereInput) =>
      db(scope).membership.findMany({ ...query, where: mine(scope, where), orderBy: { id: 'asc' } }),

    listInvitations: (scope: Scope, query: object, where: Prisma.InvitationWhereInput) =>
      db(scope).invitation.findMany({ ...query, where: mine(scope, where), orderBy: { id: 'asc' } }),

    listTokens: (scope: Scope, query: object) =>
      db(scope).apiToken.findMany({ ...query, where: mine(scope, {}), orderBy: { id: 'asc' } }),

    findMember: (scope: Scope, id: string, within: Prisma.MembershipWhereInput): Promise<MemberRow | null> =>
      db(scope).membership.findFirst({ where: mine(scope, { AND: [{ id }, within] }), include: { identity: true } }),

    /** For the selection of a mutation's answer, after its commit. */
    showMember: (scope: Scope, query: object, id: string) => db(scope).membership.findUniqueOrThrow({ ...query, where: key(scope, id) }),
    showInvitation: (scope: Scope, query: object, id: string) =>
      db(scope).invitation.findUniqueOrThrow({ ...query, where: key(scope, id) }),
    showToken: (scope: Scope, query: object, id: string) => db(scope).apiToken.findUniqueOrThrow({ ...query, where: key(scope, id) }),

    /** The changed membership, or null when its version is not the one that was read. */
    async updateMember(scope: Scope, { id, version }: { id: string; version: number }, data: Prisma.MembershipUncheckedUpdateManyInput) {
      const where = mine(scope, { id, version })
      const { count } = await db(scope).membership.updateMany({ where, data: { ...data, version: { increment: 1 } } })
      return count === 0 ? null : db(scope).membership.findUniqueOrThrow({ where: key(scope, id), include: { identity: true } })
    },

    async setLocale(scope: Scope, identityId: string, locale: string): Promise<void> {
      await db(scope).identity.update({ where: key(scope, identityId), data: { locale, version: { increment: 1 } } })
    },

    /**
     * Locks the active administrators, in id order, until the command ends. Whoever waited here sees who is left: two administrators who
     * remove each other take turns.
     */
    async lockActiveAdmins(scope: Scope): Promise<readonly string[]> {
      const rows = await sql(scope).$queryRaw<{ id: string }[]>`
        select m.id from identity.membership m
        join identity.identity i on i.tenant_id = m.tenant_id and i.id = m.identity_id
        where m.tenant_id = ${scope.tenantId}::uuid and m.role = 'tenant_admin' and m.status = 'ACTIVE' and i.status = 'ACTIVE'
        order by m.id for update of m`
      return rows.map(({ id }) => id)
    },

    async addressesOf(scope: Scope, role: string): Promise<{ email: string; locale: string }[]> {
      const rows = await db(scope).membership.findMany({
        where: mine(scope, { role, status: 'ACTIVE' as const, identity: { status: 'ACTIVE' as const } }),
        select: { identity: { select: { email: true, locale: true } } },
        orderBy: { id: 'asc' },
        take: 100,
      })
      return rows.map(({ identity }) => identity)
    },

    findIdentity: (scope: Scope, email: string) =>
      db(scope).identity.findUnique({ where: { tenantId_email: { tenantId: scope.tenantId, email } } }),

    /** The person of an address, made if there is none. Two that make it at once get the same one, and one of them has made it. */
    async ensureIdentity(
      scope: Scope,
      made: { id: string; email: string; locale: string },
    ): Promise<{ identity: Identity; isNew: boolean }> {
      await db(scope).identity.createMany({ data: { ...made, tenantId: scope.tenantId }, skipDuplicates: true })
      const where = { tenantId_email: { tenantId: scope.tenantId, email: made.email } }
      const identity = await db(scope).identity.findUniqueOrThrow({ where })
      return { identity, isNew: identity.id === made.id }
    },

    /** Writes a first password, read by nobody (the operator's login could not); false when there is one already. */
    async addCredential(scope: Scope, identityId: string, passwordHash: string): Promise<boolean> {
      const data = { tenantId: scope.tenantId, identityId, passwordHash }
      return (await db(scope).credential.createMany({ data, skipDuplicates: true })).count === 1
    },

    findHeld: (scope: Scope, { email, role, providerOrgId }: Place) =>
      db(scope).membership.findFirst({ where: mine(scope, { identity: { email }, role, providerOrgId, status: { not: 'ENDED' } }) }),

    addMember: (scope: Scope, data: Omit<Prisma.MembershipUncheckedCreateInput, 'tenantId'>): Promise<MemberRow> =>
      db(scope).membership.create({ data: { ...data, tenantId: scope.tenantId }, include: { identity: true } }),

    /** True from the first sign-in of an administrator on: the newest session of a membership is never deleted. */
    async adminHasSignedIn(scope: Scope): Promise<boolean> {
      const where = mine(scope, { membership: { role: 'tenant_admin' } })
      return (await db(scope).session.findFirst({ where, select: { id: true } })) !== null
    },

    findInvitation: (scope: Scope, where: Prisma.InvitationWhereInput): Promise<Invitation | null> =>
      db(scope).invitation.findFirst({ where: mine(scope, where) }),

    addInvitation: (scope: Scope, data: Omit<Prisma.InvitationUncheckedCreateInput, 'tenantId'>): Promise<Invitation> =>
      db(scope).invitation.create({ data: { ...data, tenantId: scope.tenantId } }),

    /** The moved invitation, or null when somebody else moved it first. */
    async moveInvitation(
      scope: Scope,
      { id, version }: Invitation,
      data: Prisma.InvitationUpdateManyMutationInput,
    ): Promise<Invitation | null> {
      const where = mine(scope, { id, version })
      const [moved] = await db(scope).invitation.updateManyAndReturn({ where, data: { ...data, version: { increment: 1 } } })
      return moved ?? null
    },

    /** Takes back every open invitation to a place. @returns how many there were. */
    async revokeOpenInvitations(scope: Scope, { email, role, providerOrgId }: Place): Promise<number> {
      const where = mine(scope, { email, role, providerOrgId, state: { in: openStates } })
      const { count } = await db(scope).invitation.updateMany({ where, data: { state: 'REVOKED', version: { increment: 1 } } })
      return count
    },

    /** Ends a membership that waited for its invitation. */
    async endPending(scope: Scope, { email, role, providerOrgId }: Place): Promise<void> {
      const where = mine(scope, { identity: { tenantId: scope.tenantId, email }, role, providerOrgId, status: 'PENDING' as const })
      await db(scope).membership.updateMany({ where, data: { status: 'ENDED', version: { increment: 1 } } })
    },

    countInvitationsSince: (scope: Scope, invitedBy: string, since: Date): Promise<number> =>
      db(scope).invitation.count({ where: mine(scope, { invitedBy, createdAt: { gte: since } }) }),

    /** Whether the caller may speak for a recipient; a recipient of another tenant is nobody's. */
    async mayInviteFor(scope: Scope, recipientId: string): Promise<boolean> {
      const rows = await sql(scope).$queryRaw<{ may: boolean }[]>`select gate.may_invite_for(${recipientId}::uuid) as may`
      return rows[0]?.may === true
    },

    addToken: (scope: Scope, data: Omit<Prisma.ApiTokenUncheckedCreateInput, 'tenantId'>) =>
      db(scope).apiToken.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } }),

    countTokens: (scope: Scope, now: Date): Promise<number> =>
      db(scope).apiToken.count({ where: mine(scope, { revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] }) }),

    findToken: (scope: Scope, id: string) => db(scope).apiToken.findUnique({ where: key(scope, id) }),

    /** False when it was revoked already. */
    async revokeToken(scope: Scope, id: string, at: Date): Promise<boolean> {
      const { count } = await db(scope).apiToken.updateMany({ where: mine(scope, { id, revokedAt: null }), data: { revokedAt: at } })
      return count > 0
    },
  }
}

export type MembersRepo = ReturnType<typeof createMembersRepo>
