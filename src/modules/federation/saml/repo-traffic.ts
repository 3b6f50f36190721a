/** SAML's traffic: requests sent, outcomes waiting to be taken up, assertions used, attempts, sessions, setup links, recovery codes. */
import type { Scope } from '../../../kernel/scope.ts'
import type { Prisma, SamlAttempt, SamlOutcome, SamlRequest, SamlSession, SamlSetup } from '../../../platform/db/generated/client.ts'
import type { ModuleDb } from '../../../platform/module.ts'

export type TrafficModels = 'SamlRequest' | 'SamlOutcome' | 'SamlReplay' | 'SamlAttempt' | 'SamlSession' | 'SamlSetup' | 'SamlRecovery'
export type { SamlAttempt, SamlOutcome, SamlRequest, SamlSession, SamlSetup }

type New<Row> = Omit<Row, 'tenantId'>

export function createTrafficRepo(db: ModuleDb<TrafficModels>) {
  const key = ({ tenantId }: Scope, id: string) => ({ tenantId_id: { tenantId, id } })

  return {
    addRequest: (scope: Scope, data: New<Prisma.SamlRequestUncheckedCreateInput>) =>
      db(scope).samlRequest.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } }),

    findRequest: (scope: Scope, id: string): Promise<SamlRequest | null> => db(scope).samlRequest.findUnique({ where: key(scope, id) }),

    /** Uses a live request up; false for all but one of the answers that come with it. */
    async answerRequest(scope: Scope, id: string, now: Date): Promise<boolean> {
      const where = { tenantId: scope.tenantId, id, answeredAt: null, expiresAt: { gt: now } }
      return (await db(scope).samlRequest.updateMany({ where, data: { answeredAt: now } })).count === 1
    },

    /** Uses up a link to a test sign-in; the connection that it tests, or null when it was used, is too old, or is none. */
    async useTestLink(scope: Scope, by: { id: string; hash: string; now: Date }): Promise<string | null> {
      const { id, hash, now } = by
      const where = { tenantId: scope.tenantId, id, purpose: 'TEST_LINK', browserHash: hash, answeredAt: null, expiresAt: { gt: now } }
      const [used] = await db(scope).samlRequest.updateManyAndReturn({ where, data: { answeredAt: now }, select: { connectionId: true } })
      return used?.connectionId ?? null
    },

    /** False when this assertion was taken before, by whichever process. */
    async takeAssertion(scope: Scope, data: New<Prisma.SamlReplayUncheckedCreateInput>): Promise<boolean> {
      return (await db(scope).samlReplay.createMany({ data: { ...data, tenantId: scope.tenantId }, skipDuplicates: true })).count === 1
    },

    addOutcome: (scope: Scope, data: New<Prisma.SamlOutcomeUncheckedCreateInput>) =>
      db(scope).samlOutcome.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } }),

    /** Uses an outcome up for the browser that it waits for; null for any other, for the second, and for one that waited too long. */
    async takeOutcome(scope: Scope, by: { ticketHash: string; browserHash: string; now: Date }): Promise<SamlOutcome | null> {
      const { ticketHash, browserHash, now } = by
      const where = { tenantId: scope.tenantId, ticketHash, browserHash, usedAt: null, expiresAt: { gt: now } }
      const [taken] = await db(scope).samlOutcome.updateManyAndReturn({ where, data: { usedAt: now } })
      return taken ?? null
    },

    addAttempt: (scope: Scope, data: New<Prisma.SamlAttemptUncheckedCreateInput>): Promise<SamlAttempt> =>
      db(scope).samlAttempt.create({ data: { ...data, tenantId: scope.tenantId } }),

    findAttempt: (scope: Scope, id: string): Promise<SamlAttempt | null> => db(scope).samlAttempt.findUnique({ where: key(scope, id) }),

    /** The newest first. */
    attempts: (scope: Scope, connectionId: string, take: number): Promise<SamlAttempt[]> =>
      db(scope).samlAttempt.findMany({ where: { tenantId: scope.tenantId, connectionId }, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }], take }),

    addSession: (scope: Scope, data: New<Prisma.SamlSessionUncheckedCreateInput>) =>
      db(scope).samlSession.create({ data: { ...data, tenantId: scope.tenantId }, select: { sessionId: true } }),

    findSession: (scope: Scope, sessionId: string): Promise<SamlSession | null> =>
      db(scope).samlSession.findUnique({ where: { tenantId_sessionId: { tenantId: scope.tenantId, sessionId } } }),

    /** Live sessions of a subject; without indexes all of them, the newest 1,000. */
    sessionsOf: (scope: Scope, of: { connectionId: string; nameId: string; sessionIndexes: readonly string[] }): Promise<SamlSession[]> =>
      db(scope).samlSession.findMany({
        where: {
          tenantId: scope.tenantId,
          connectionId: of.connectionId,
          nameId: of.nameId,
          endedAt: null,
          ...(of.sessionIndexes.length === 0 ? {} : { OR: [{ sessionIndex: { in: [...of.sessionIndexes] } }, { sessionIndex: null }] }),
        },
        orderBy: { createdAt: 'desc' },
        take: 1_000,
      }),

    async endSessions(scope: Scope, sessionIds: readonly string[], at: Date): Promise<void> {
      const where = { tenantId: scope.tenantId, sessionId: { in: [...sessionIds] }, endedAt: null }
      await db(scope).samlSession.updateMany({ where, data: { endedAt: at } })
    },

    /** Members who signed in through a connection as administrators since it was last switched on, at most 1,000. */
    async adminsThrough(scope: Scope, { id: connectionId, activatedAt }: { id: string; activatedAt: Date | null }): Promise<string[]> {
      const since = activatedAt === null ? {} : { createdAt: { gte: activatedAt } }
      const rows = await db(scope).samlSession.findMany({
        where: { tenantId: scope.tenantId, connectionId, role: 'tenant_admin', ...since },
        select: { membershipId: true },
        distinct: ['membershipId'],
        take: 1_000,
      })
      return rows.map(({ membershipId }) => membershipId)
    },

    addSetup: (scope: Scope, data: New<Prisma.SamlSetupUncheckedCreateInput>) =>
      db(scope).samlSetup.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } }),

    /** Opens a link for one browser; null when it was opened before, was taken back, or is too old. */
    async openSetup(scope: Scope, by: { linkHash: string; browserHash: string; now: Date; expiresAt: Date }): Promise<SamlSetup | null> {
      const { linkHash, browserHash, now, expiresAt } = by
      const where = { tenantId: scope.tenantId, linkHash, browserHash: null, revokedAt: null, expiresAt: { gt: now } }
      const [opened] = await db(scope).samlSetup.updateManyAndReturn({ where, data: { browserHash, openedAt: now, expiresAt } })
      return opened ?? null
    },

    setupOf: (scope: Scope, browserHash: string, now: Date): Promise<SamlSetup | null> =>
      db(scope).samlSetup.findFirst({ where: { tenantId: scope.tenantId, browserHash, revokedAt: null, expiresAt: { gt: now } } }),

    async revokeSetups(scope: Scope, connectionId: string, at: Date): Promise<void> {
      await db(scope).samlSetup.updateMany({ where: { tenantId: scope.tenantId, connectionId, revokedAt: null }, data: { revokedAt: at } })
    },

    /** A new code in place of any earlier one. */
    async setRecovery(scope: Scope, connectionId: string, codeHash: string, createdAt: Date): Promise<void> {
      const where = { tenantId_connectionId: { tenantId: scope.tenantId, connectionId } }
      const fresh = { codeHash, createdAt, storedAt: null, usedAt: null }
      await db(scope).samlRecovery.upsert({ where, create: { ...fresh, tenantId: scope.tenantId, connectionId }, update: fresh })
    },

    /** The administrator typed the code: it is stored. */
    async confirmRecovery(scope: Scope, connectionId: string, codeHash: string, at: Date): Promise<boolean> {
      const where = { tenantId: scope.tenantId, connectionId, codeHash, usedAt: null }
      return (await db(scope).samlRecovery.updateMany({ where, data: { storedAt: at } })).count === 1
    },

    hasStoredRecovery: async (scope: Scope, connectionId: string): Promise<boolean> =>
      (await db(scope).samlRecovery.count({ where: { tenantId: scope.tenantId, connectionId, storedAt: { not: null }, usedAt: null } })) === 1,

    /** Uses a stored code up and says whose it was. */
    async useRecovery(scope: Scope, codeHash: string, at: Date): Promise<string | null> {
      const where = { tenantId: scope.tenantId, codeHash, storedAt: { not: null }, usedAt: null }
      const [used] = await db(scope).samlRecovery.updateManyAndReturn({ where, data: { usedAt: at }, select: { connectionId: true } })
      return used?.connectionId ?? null
    },

    /** Deletes at most `limit` rows of each kind that are over. Sessions of administrators stay: enforcement counts them. @returns the most of one kind */
    async tidy(scope: Scope, before: { spent: Date; attempts: Date; sessions: Date }, limit: number): Promise<number> {
      const { tenantId } = scope
      const gone = [
        await db(scope).samlOutcome.deleteMany({ where: { tenantId, expiresAt: { lt: before.spent } }, limit }),
        await db(scope).samlRequest.deleteMany({ where: { tenantId, expiresAt: { lt: before.spent } }, limit }),
        await db(scope).samlReplay.deleteMany({ where: { tenantId, notOnOrAfter: { lt: before.spent } }, limit }),
        await db(scope).samlAttempt.deleteMany({ where: { tenantId, createdAt: { lt: before.attempts } }, limit }),
        await db(scope).samlSession.deleteMany({ where: { tenantId, createdAt: { lt: before.sessions }, role: { not: 'tenant_admin' } }, limit }),
      ]
      return Math.max(...gone.map(({ count }) => count))
    },
  }
}

export type TrafficRepo = ReturnType<typeof createTrafficRepo>
