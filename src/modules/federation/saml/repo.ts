/** SAML's connections with what belongs to them. Secrets are elsewhere (`repo-traffic.ts`, `repo-keys.ts`). */
import type { Scope } from '../../../kernel/scope.ts'
import type { Prisma, SsoCertificate, SsoConnection, SsoDomain, SsoRule } from '../../../platform/db/generated/client.ts'
import { unitOf } from '../../../platform/db/unit.ts'
import { authLogin, type ModuleDb } from '../../../platform/module.ts'

export type ConnectionModels = 'SsoConnection' | 'SsoCertificate' | 'SsoDomain' | 'SsoRule'
export type { SsoCertificate, SsoConnection, SsoDomain }
export type Connection = SsoConnection & {
  readonly certificates: readonly SsoCertificate[]
  readonly domains: readonly SsoDomain[]
  /** In order. */
  readonly rules: readonly SsoRule[]
}
export type ConnectionChange = Omit<Prisma.SsoConnectionUncheckedUpdateManyInput, 'tenantId' | 'id' | 'version'>
export type NewCertificate = Omit<Prisma.SsoCertificateCreateManyInput, 'tenantId' | 'connectionId'>

/** In one tenant: all of them are asked whose a domain is and whose message came. */
export const mostConnections = 100

const whole = {
  certificates: { orderBy: [{ notAfter: 'desc' }, { fingerprint: 'asc' }] },
  domains: { orderBy: { domain: 'asc' } },
  rules: { orderBy: { position: 'asc' } },
} as const satisfies Prisma.SsoConnectionInclude

/** A command of SAML's own: on the login that signs people in. Not inside another command. */
export function inAuthCommand<T>(scope: Scope, work: (inside: Scope) => Promise<T>): Promise<T> {
  return unitOf(scope).command(work, authLogin)
}

export function createRepo(db: ModuleDb<ConnectionModels>) {
  const key = ({ tenantId }: Scope, id: string) => ({ tenantId_id: { tenantId, id } })
  const of = ({ tenantId }: Scope, connectionId: string) => ({ tenantId, connectionId })

  return {
    find: (scope: Scope, id: string): Promise<Connection | null> => db(scope).ssoConnection.findUnique({ where: key(scope, id), include: whole }),

    findByEntity: (scope: Scope, entityId: string): Promise<Connection | null> =>
      db(scope).ssoConnection.findUnique({ where: { tenantId_entityId: { tenantId: scope.tenantId, entityId } }, include: whole }),

    /** All of the tenant, the oldest first, at most {@link mostConnections}. */
    all: (scope: Scope): Promise<Connection[]> =>
      db(scope).ssoConnection.findMany({ where: { tenantId: scope.tenantId }, include: whole, orderBy: { id: 'asc' }, take: mostConnections }),

    add: (scope: Scope, data: Omit<Prisma.SsoConnectionUncheckedCreateInput, 'tenantId'>): Promise<SsoConnection> =>
      db(scope).ssoConnection.create({ data: { ...data, tenantId: scope.tenantId } }),

    /** False when it is not of this version any more. */
    async change(scope: Scope, { id, version }: { id: string; version: number }, data: ConnectionChange): Promise<boolean> {
      const where = { tenantId: scope.tenantId, id, version }
      const { count } = await db(scope).ssoConnection.updateMany({ where, data: { ...data, version: { increment: 1 } } })
      return count === 1
    },

    /** What a refresh found: no person's change, so no version. */
    async note(scope: Scope, id: string, data: ConnectionChange): Promise<void> {
      await db(scope).ssoConnection.updateMany({ where: { tenantId: scope.tenantId, id }, data })
    },

    addCertificates: (scope: Scope, connectionId: string, rows: readonly NewCertificate[]) =>
      db(scope).ssoCertificate.createMany({ data: rows.map((row) => ({ ...row, ...of(scope, connectionId) })), skipDuplicates: true }),

    async changeCertificates(
      scope: Scope,
      connectionId: string,
      fingerprints: readonly string[],
      data: Prisma.SsoCertificateUpdateManyMutationInput,
    ): Promise<number> {
      const where = { ...of(scope, connectionId), fingerprint: { in: [...fingerprints] } }
      return (await db(scope).ssoCertificate.updateMany({ where, data })).count
    },

    async removeCertificates(scope: Scope, connectionId: string): Promise<void> {
      await db(scope).ssoCertificate.deleteMany({ where: of(scope, connectionId) })
    },

    async setRules(scope: Scope, connectionId: string, rules: readonly Pick<SsoRule, 'attribute' | 'value' | 'role' | 'authorisedBy'>[]): Promise<void> {
      await db(scope).ssoRule.deleteMany({ where: of(scope, connectionId) })
      await db(scope).ssoRule.createMany({ data: rules.map((rule, position) => ({ ...rule, ...of(scope, connectionId), position })) })
    },

    /** The domain as it stands: named before, it keeps its challenge. */
    async addDomain(scope: Scope, connectionId: string, domain: string, challenge: string): Promise<SsoDomain> {
      const where = { tenantId_connectionId_domain: { ...of(scope, connectionId), domain } }
      return db(scope).ssoDomain.upsert({ where, create: { ...of(scope, connectionId), domain, challenge }, update: {} })
    },

    async proveDomain(scope: Scope, connectionId: string, domain: string, provenBy: 'DNS' | 'OPERATOR', provenAt: Date): Promise<void> {
      await db(scope).ssoDomain.updateMany({ where: { ...of(scope, connectionId), domain }, data: { provenAt, provenBy } })
    },

    async removeDomain(scope: Scope, connectionId: string, domain: string): Promise<number> {
      return (await db(scope).ssoDomain.deleteMany({ where: { ...of(scope, connectionId), domain } })).count
    },
  }
}

export type Repo = ReturnType<typeof createRepo>
