/** Identity's rows as single sign-on needs them. */
import type { Locale } from '../../kernel/locale.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { ModuleDb, ModuleSql } from '../../platform/module.ts'
import type { ActiveMembership } from './repo.ts'

export function createSignOnRepo(db: ModuleDb<'Membership' | 'Session' | 'SignOnRule' | 'DirectoryLink'>, sql: ModuleSql) {
  return {
    /** The member, if active in every way and on one of the planes that single sign-on reaches. */
    async activeMember(scope: Scope, membershipId: string): Promise<(ActiveMembership & { readonly identityId: string }) | null> {
      const found = await db(scope).membership.findFirst({
        where: {
          tenantId: scope.tenantId,
          id: membershipId,
          status: 'ACTIVE',
          plane: { in: ['console', 'clinician', 'courier'] },
          identity: { status: 'ACTIVE' },
        },
        select: { id: true, role: true, plane: true, identityId: true },
      })
      return found as (ActiveMembership & { readonly identityId: string }) | null
    },

    async noteStepUp(scope: Scope, sessionId: string, at: Date): Promise<void> {
      const where = { tenantId: scope.tenantId, id: sessionId, revokedAt: null }
      await db(scope).session.updateMany({ where, data: { secondFactorAt: at, stepUpAt: at } })
    },

    /** Uses up a live session's step-up of that moment or later; false when there is none, for all but one of those who come for it. */
    async takeStepUp(scope: Scope, sessionId: string, since: Date): Promise<boolean> {
      const where = { tenantId: scope.tenantId, id: sessionId, revokedAt: null, stepUpAt: { gte: since } }
      return (await db(scope).session.updateMany({ where, data: { stepUpAt: null } })).count === 1
    },

    async setRules(scope: Scope, connectionIds: readonly string[], on: boolean): Promise<void> {
      const { tenantId } = scope
      if (on) await db(scope).signOnRule.createMany({ data: connectionIds.map((connectionId) => ({ tenantId, connectionId })), skipDuplicates: true })
      else await db(scope).signOnRule.deleteMany({ where: { tenantId, connectionId: { in: [...connectionIds] } } })
    },

    /** Those of these memberships whose connection wants no passwords. */
    async withoutPassword(scope: Scope, membershipIds: readonly string[]): Promise<ReadonlySet<string>> {
      const rows = await sql(scope).$queryRaw<{ id: string }[]>`
        select distinct l.membership_id as id from identity.directory_link l
        join identity.sign_on_rule r on r.tenant_id = l.tenant_id and r.connection_id = l.connection_id
        where l.tenant_id = ${scope.tenantId}::uuid and l.membership_id = any(${[...membershipIds]}::uuid[])`
      return new Set(rows.map(({ id }) => id))
    },

    /** How many people, each once. */
    async countAdmins(scope: Scope, membershipIds: readonly string[]): Promise<number> {
      const rows = await db(scope).membership.findMany({
        where: { tenantId: scope.tenantId, id: { in: [...membershipIds] }, role: 'tenant_admin', status: 'ACTIVE', identity: { status: 'ACTIVE' } },
        distinct: ['identityId'],
        select: { identityId: true },
      })
      return rows.length
    },

    /** Connections of directories, those with the most people first. */
    async directories(scope: Scope): Promise<{ connectionId: string; people: number }[]> {
      const rows = await db(scope).directoryLink.groupBy({
        by: ['connectionId'],
        where: { tenantId: scope.tenantId, source: 'SCIM' },
        _count: { membershipId: true },
        orderBy: [{ _count: { membershipId: 'desc' } }, { connectionId: 'asc' }],
        take: 20,
      })
      return rows.map(({ connectionId, _count }) => ({ connectionId, people: _count.membershipId }))
    },

    async adminAddresses(scope: Scope): Promise<{ email: string; locale: Locale }[]> {
      const rows = await db(scope).membership.findMany({
        where: { tenantId: scope.tenantId, role: 'tenant_admin', status: 'ACTIVE', identity: { status: 'ACTIVE' } },
        select: { identity: { select: { email: true, locale: true } } },
        orderBy: { id: 'asc' },
        take: 50,
      })
      return rows.map(({ identity }) => ({ email: identity.email, locale: identity.locale === 'ar' ? 'ar' : 'en' }))
    },
  }
}

export type SignOnRepo = ReturnType<typeof createSignOnRepo>
