/** SCIM's connections, tokens, rules and receipts. Hashes only; nothing here compares a secret. */
import type { Scope } from '../../../kernel/scope.ts'
import type { Prisma } from '../../../platform/db/generated/client.ts'
import type { Prelude } from '../../../platform/db/group-query.ts'
import type { ModuleDb } from '../../../platform/module.ts'

export type ScimModels =
  | 'ScimConnection'
  | 'ScimToken'
  | 'ScimUser'
  | 'ScimUserValue'
  | 'ScimGroup'
  | 'ScimGroupMember'
  | 'ScimRoleRule'
  | 'ScimReceipt'
  | 'ScimExchange'
  | 'ScimUnsettled'
export type ScimDb = ModuleDb<ScimModels>

export interface Rule {
  readonly match: 'DISPLAY_NAME' | 'EXTERNAL_ID'
  readonly value: string
  readonly valueKey: string
  readonly role: string
  readonly authorisedBy: string | null
}

export type NewReceipt = Omit<Prisma.ScimReceiptUncheckedCreateInput, 'tenantId'>

/** Whose a token is. */
export interface TokenOwner {
  readonly tenantId: string
  readonly connectionId: string
  readonly tokenId: string
}

const confirmation = `select set_config('app.tenant_id', coalesce((select t.tenant_id::text from scim.token t where t.tenant_id = $1::uuid
  and t.id = $2::uuid and t.connection_id = $3::uuid and t.revoked_at is null and (t.expires_at is null or t.expires_at > $4::timestamptz)),
  ''), true)`

/** Asks whether a token still holds, and takes the tenant away where it does not. Beside a change, in its own transaction. */
export function confirmationOf({ tenantId, tokenId, connectionId }: TokenOwner, now: Date): Prelude {
  return { text: confirmation, values: [tenantId, tokenId, connectionId, now.toISOString()] }
}

export function createConnectionsRepo(db: ScimDb) {
  const key = ({ tenantId }: Scope, id: string) => ({ tenantId_id: { tenantId, id } })
  const live = (now: Date) => ({ revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] })

  return {
    /** A live token by its hash. */
    async tokenByHash(scope: Scope, hash: string, now: Date) {
      return db(scope).scimToken.findFirst({
        where: { tenantId: scope.tenantId, hash, ...live(now) },
        select: { id: true, connectionId: true, lastUsedAt: true },
      })
    },

    find: (scope: Scope, id: string) => db(scope).scimConnection.findUnique({ where: key(scope, id) }),
    findByName: (scope: Scope, name: string) =>
      db(scope).scimConnection.findUnique({ where: { tenantId_name: { tenantId: scope.tenantId, name } }, select: { id: true } }),

    async add(scope: Scope, data: { name: string; massChangeAt?: number }): Promise<string> {
      const made = await db(scope).scimConnection.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } })
      return made.id
    },

    async change(
      scope: Scope,
      id: string,
      data: { massChangeAt?: number; flaggedAt?: Date | null; flaggedChanges?: number },
    ): Promise<boolean> {
      return (await db(scope).scimConnection.updateMany({ where: { tenantId: scope.tenantId, id }, data })).count === 1
    },

    /** Flags a mass change that is not flagged yet. */
    async flag(scope: Scope, id: string, changes: number, at: Date): Promise<boolean> {
      const where = { tenantId: scope.tenantId, id, flaggedAt: null }
      return (await db(scope).scimConnection.updateMany({ where, data: { flaggedAt: at, flaggedChanges: changes } })).count === 1
    },

    /** With tokens, rules and counts; the oldest first, at most 100. */
    list: (scope: Scope) =>
      db(scope).scimConnection.findMany({
        where: { tenantId: scope.tenantId },
        include: {
          tokens: { orderBy: { createdAt: 'asc' }, omit: { hash: true } },
          rules: { orderBy: { position: 'asc' } },
          _count: { select: { users: true, groups: true } },
        },
        orderBy: { id: 'asc' },
        take: 100,
      }),

    receipts: (scope: Scope, connectionId: string, first: number) =>
      db(scope).scimReceipt.findMany({
        where: { tenantId: scope.tenantId, connectionId },
        orderBy: [{ at: 'desc' }, { id: 'desc' }],
        take: first,
      }),

    findToken: (scope: Scope, id: string) => db(scope).scimToken.findUnique({ where: key(scope, id) }),

    async addToken(scope: Scope, data: Omit<Prisma.ScimTokenUncheckedCreateInput, 'tenantId'>): Promise<string> {
      return (await db(scope).scimToken.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } })).id
    },

    countTokens: (scope: Scope, connectionId: string, now: Date) =>
      db(scope).scimToken.count({ where: { tenantId: scope.tenantId, connectionId, ...live(now) } }),

    async endToken(scope: Scope, id: string, data: { revokedAt: Date } | { expiresAt: Date }): Promise<boolean> {
      return (await db(scope).scimToken.updateMany({ where: { tenantId: scope.tenantId, id, revokedAt: null }, data })).count === 1
    },

    rules: (scope: Scope, connectionId: string): Promise<Rule[]> =>
      db(scope).scimRoleRule.findMany({
        where: { tenantId: scope.tenantId, connectionId },
        select: { match: true, value: true, valueKey: true, role: true, authorisedBy: true },
        orderBy: { position: 'asc' },
      }),

    async setRules(scope: Scope, connectionId: string, rules: readonly Rule[]): Promise<void> {
      const { tenantId } = scope
      await db(scope).scimRoleRule.deleteMany({ where: { tenantId, connectionId } })
      await db(scope).scimRoleRule.createMany({ data: rules.map((rule, position) => ({ ...rule, tenantId, connectionId, position })) })
    },

    async addReceipts(scope: Scope, receipts: readonly NewReceipt[]): Promise<void> {
      if (receipts.length === 0) return
      await db(scope).scimReceipt.createMany({ data: receipts.map((one) => ({ ...one, tenantId: scope.tenantId })) })
    },

    receiptsSince: (scope: Scope, connectionId: string, since: Date) =>
      db(scope).scimReceipt.count({ where: { tenantId: scope.tenantId, connectionId, at: { gte: since } } }),
  }
}

export type ConnectionsRepo = ReturnType<typeof createConnectionsRepo>
