/** Identity's people, their secrets and their one-time tokens. Hashes and sealed values only; nothing here compares or opens them. */
import type { Scope } from '../../kernel/scope.ts'
import { unitOf } from '../../platform/db/unit.ts'
import { authLogin, type ModuleDb, type ModuleSql } from '../../platform/module.ts'
import type { TokenPurpose } from '../../platform/db/generated/client.ts'
import type { SignInPlane } from './tokens/refresh.ts'

export type IdentityDb = ModuleDb<
  'Identity' | 'Credential' | 'TotpDevice' | 'RecoveryCode' | 'Membership' | 'Session' | 'OneTimeToken' | 'ApiToken' | 'SigningKey'
>

export interface Account {
  readonly id: string
  readonly email: string
  readonly locale: 'en' | 'ar'
  readonly isActive: boolean
  /** Null for an account that signs in elsewhere. */
  readonly passwordHash: string | null
}

export interface ActiveMembership {
  readonly id: string
  readonly role: string
  readonly plane: SignInPlane
}

/** Who a one-time token was made for. */
export interface TokenHolder {
  readonly identityId: string
  readonly plane: SignInPlane | null
  /** Tries so far, this one included. */
  readonly attempts: number
  /** When a second factor was shown on the way here. */
  readonly secondFactorAt: Date | null
}

/** A command of identity's own: on the one login that may touch credentials. Not inside another command. */
export function inAuthCommand<T>(scope: Scope, work: (inside: Scope) => Promise<T>): Promise<T> {
  return unitOf(scope).command(work, authLogin)
}

export function createRepo({ db, sql }: { db: IdentityDb; sql: ModuleSql }) {
  const holderColumns = { identityId: true, plane: true, attempts: true, secondFactorAt: true } as const
  const holder = (rows: readonly (Omit<TokenHolder, 'plane'> & { plane: string | null })[]): TokenHolder | null =>
    (rows[0] as TokenHolder | undefined) ?? null

  return {
    /** The account with its password hash, in one statement, so that an unknown one takes no fewer. */
    async accountBy(scope: Scope, by: { readonly email: string } | { readonly id: string }): Promise<Account | null> {
      const email = 'email' in by ? by.email : null
      const id = 'id' in by ? by.id : null
      const [found] = await sql(scope).$queryRaw<Account[]>`
        select i.id, i.email, i.locale, i.status = 'ACTIVE' as "isActive", c.password_hash as "passwordHash"
        from identity.identity i left join identity.credential c on c.tenant_id = i.tenant_id and c.identity_id = i.id
        where i.tenant_id = ${scope.tenantId}::uuid and (i.email = ${email}::text or i.id = ${id}::uuid)`
      return found ?? null
    },

    /** What is shown of a person, on the caller's own login. */
    person: (scope: Scope, id: string) =>
      db(scope).identity.findUnique({ where: { tenantId_id: { tenantId: scope.tenantId, id } }, select: { email: true, locale: true } }),

    /**
     * True while the account is active and its password is still the one that was proven. The password stays so until the command ends:
     * a reset at the same moment waits, and then finds this session among those it ends.
     */
    async holdCredential(scope: Scope, { id, passwordHash }: Pick<Account, 'id' | 'passwordHash'>): Promise<boolean> {
      const rows = await sql(scope).$queryRaw<unknown[]>`
        select 1 from identity.identity i join identity.credential c on c.tenant_id = i.tenant_id and c.identity_id = i.id
        where i.tenant_id = ${scope.tenantId}::uuid and i.id = ${id}::uuid and i.status = 'ACTIVE' and c.password_hash = ${passwordHash}
        for no key update of c`
      return rows.length === 1
    },

    /** Replaces the hash `from`; false when it was replaced meanwhile. */
    async upgradeHash(scope: Scope, identityId: string, from: string | null, to: string): Promise<boolean> {
      const where = { tenantId: scope.tenantId, identityId, passwordHash: from ?? '' }
      const { count } = await db(scope).credential.updateMany({ where, data: { passwordHash: to } })
      return count === 1
    },

    async setPassword(scope: Scope, identityId: string, passwordHash: string, at: Date): Promise<void> {
      const { tenantId } = scope
      await db(scope).credential.upsert({
        where: { tenantId_identityId: { tenantId, identityId } },
        create: { tenantId, identityId, passwordHash, changedAt: at },
        update: { passwordHash, changedAt: at },
        select: { identityId: true },
      })
    },

    /** The person's active memberships on a plane, at most 50. */
    activeMemberships: (scope: Scope, identityId: string, plane: SignInPlane) =>
      db(scope).membership.findMany({
        where: { tenantId: scope.tenantId, identityId, plane, status: 'ACTIVE' },
        select: { id: true, role: true, plane: true },
        orderBy: { id: 'asc' },
        take: 50,
      }) as Promise<ActiveMembership[]>,

    /** The confirmed second factor, or null. `secret` is sealed. */
    totp: (scope: Scope, identityId: string): Promise<{ secret: string; lastStep: bigint } | null> =>
      db(scope).totpDevice.findFirst({
        where: { tenantId: scope.tenantId, identityId, confirmedAt: { not: null } },
        select: { secret: true, lastStep: true },
      }),

    /** Uses a step up; false when it, or a later one, was used already. */
    async takeStep(scope: Scope, identityId: string, step: number): Promise<boolean> {
      const where = { tenantId: scope.tenantId, identityId, lastStep: { lt: BigInt(step) } }
      const { count } = await db(scope).totpDevice.updateMany({ where, data: { lastStep: BigInt(step) } })
      return count === 1
    },

    /** Uses a recovery code up; false when there is none such, or it was used. */
    async takeRecoveryCode(scope: Scope, identityId: string, codeHash: string, at: Date): Promise<boolean> {
      const where = { tenantId: scope.tenantId, identityId, codeHash, usedAt: null }
      const { count } = await db(scope).recoveryCode.updateMany({ where, data: { usedAt: at } })
      return count > 0
    },

    async addToken(
      scope: Scope,
      data: Omit<TokenHolder, 'attempts'> & { purpose: TokenPurpose; hash: string; expiresAt: Date; createdAt: Date },
    ): Promise<void> {
      await db(scope).oneTimeToken.create({ data: { ...data, tenantId: scope.tenantId }, select: { id: true } })
    },

    /** Adds a reset token where the e-mail has an active account, at most `most` an hour: one statement either way. */
    async addResetToken(scope: Scope, data: { id: string; email: string; hash: string; now: Date; expiresAt: Date; most: number }) {
      const hourAgo = new Date(data.now.getTime() - 3_600_000)
      const [added] = await sql(scope).$queryRaw<{ identityId: string; email: string; locale: 'en' | 'ar' }[]>`
        with owner as (
          select i.tenant_id, i.id, i.email, i.locale from identity.identity i
          where i.tenant_id = ${scope.tenantId}::uuid and i.email = ${data.email} and i.status = 'ACTIVE'
            and (select count(*) from identity.one_time_token t where t.tenant_id = i.tenant_id and t.identity_id = i.id
              and t.purpose = 'PASSWORD_RESET' and t.created_at > ${hourAgo}::timestamptz) < ${data.most}::int
        ), added as (
          insert into identity.one_time_token (tenant_id, id, identity_id, purpose, hash, expires_at, created_at)
          select o.tenant_id, ${data.id}::uuid, o.id, 'PASSWORD_RESET', ${data.hash},
            ${data.expiresAt}::timestamptz, ${data.now}::timestamptz
          from owner o
        )
        select o.id as "identityId", o.email, o.locale from owner o`
      return added ?? null
    },

    /** Counts a try at a live token and says whose it is; null when it is unknown, used, too old or tried too often. */
    async tryToken(scope: Scope, purpose: TokenPurpose, hash: string, now: Date, mostTries: number): Promise<TokenHolder | null> {
      const where = { tenantId: scope.tenantId, purpose, hash, usedAt: null, expiresAt: { gt: now }, attempts: { lt: mostTries } }
      return holder(
        await db(scope).oneTimeToken.updateManyAndReturn({ where, data: { attempts: { increment: 1 } }, select: holderColumns }),
      )
    },

    /** Uses a live token up and says whose it was; null for all but one of those who come with it. */
    async useToken(scope: Scope, purpose: TokenPurpose, hash: string, now: Date): Promise<TokenHolder | null> {
      const where = { tenantId: scope.tenantId, purpose, hash, usedAt: null, expiresAt: { gt: now } }
      return holder(await db(scope).oneTimeToken.updateManyAndReturn({ where, data: { usedAt: now }, select: holderColumns }))
    },

    /** Ends every open challenge, choice and reset link of a person. */
    async killTokens(scope: Scope, identityId: string, now: Date): Promise<void> {
      await db(scope).oneTimeToken.updateMany({ where: { tenantId: scope.tenantId, identityId, usedAt: null }, data: { usedAt: now } })
    },

    /** Deletes some of what is long over; called along with other work, so it is bounded. */
    async tidyTokens(scope: Scope, now: Date): Promise<void> {
      const dayAgo = new Date(now.getTime() - 86_400_000)
      await sql(scope).$executeRaw`
        delete from identity.one_time_token where tenant_id = ${scope.tenantId}::uuid and id in (
          select t.id from identity.one_time_token t
          where t.tenant_id = ${scope.tenantId}::uuid and t.expires_at < ${dayAgo}::timestamptz
          order by t.id limit 20 for update skip locked)`
    },
  }
}

export type IdentityRepo = ReturnType<typeof createRepo>
