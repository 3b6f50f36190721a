/** The keys that sign access tokens, shared by all tenants and processes; their private parts only as sealed. */
import type { Scope } from '../../kernel/scope.ts'
import type { Prisma, SigningKey as StoredKey } from '../../platform/db/generated/client.ts'
import type { ModuleSql } from '../../platform/module.ts'
import type { IdentityDb } from './repo.ts'

export type { StoredKey }
export type PublicKeyRow = Omit<StoredKey, 'privateJwk'>

export function createKeyRepo({ db, sql }: { db: IdentityDb; sql: ModuleSql }) {
  return {
    /** Keys that still verify, without their private parts, at most 200. */
    published: (scope: Scope, now: Date): Promise<PublicKeyRow[]> =>
      db(scope).signingKey.findMany({ where: { expiresAt: { gt: now } }, omit: { privateJwk: true }, orderBy: { kid: 'asc' }, take: 200 }),

    /** Keys that still verify, and nobody else makes one until the command ends. */
    async hold(scope: Scope, now: Date): Promise<StoredKey[]> {
      await sql(scope).$executeRaw`select pg_advisory_xact_lock(hashtext('maristan signing keys'))`
      return db(scope).signingKey.findMany({ where: { expiresAt: { gt: now } }, orderBy: { kid: 'asc' }, take: 200 })
    },

    async add(scope: Scope, { publicJwk, ...data }: StoredKey): Promise<void> {
      await db(scope).signingKey.create({ data: { ...data, publicJwk: publicJwk as Prisma.InputJsonObject }, select: { kid: true } })
    },

    /** Deletes keys whose last token has long died. */
    async removeExpired(scope: Scope, now: Date): Promise<number> {
      return (await db(scope).signingKey.deleteMany({ where: { expiresAt: { lt: now } } })).count
    },
  }
}

export type KeyRepo = ReturnType<typeof createKeyRepo>
