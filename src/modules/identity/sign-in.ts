/**
 * Signing in: the password, then the second factor, then which membership. A refusal tells nothing about the account, and what it leaves
 * behind (its count, its trace) is committed before it is told.
 */
import { notFound, tooMany, type Fault } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import { randomToken, sha256Hex } from '../../platform/crypto/hash.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import type { Attempt, Source } from './attempts.ts'
import { createCodes } from './codes.ts'
import { codeRefused, invalidCredentials, sessionLife, signInOver, signOnRequired } from './contract.ts'
import type { identityMethods, SignedIn, SignInResult } from './contract.ts'
import { hashPassword, verifyPassword } from './credentials/password.ts'
import { comeBackIn, recordRefusal, type Parts, type RefusalReason } from './parts.ts'
import { inAuthCommand, type Account, type ActiveMembership } from './repo.ts'
import { createSessionOpener, type Transport } from './session-opener.ts'
import { codePolicy, judgeCode } from './throttle.ts'
import type { SignInPlane } from './tokens/refresh.ts'

type Methods = ServiceOf<typeof identityMethods>

/** A password that was right. */
export interface Proof {
  readonly account: Account
  readonly attempt: Attempt
}

/** How a command ended that must commit even where the caller is refused. */
type Ending<Result> = { readonly result: Result } | { readonly fault: Fault }

function resultOf<Result>(ending: Ending<Result>): Result {
  if ('fault' in ending) throw ending.fault
  return ending.result
}

export interface SignIn extends Pick<Methods, 'signIn' | 'verifySecondFactor' | 'chooseMembership'> {
  /**
   * Outside a command: proves a password against an account. The attempt stays counted as a failure until it is taken back.
   * @throws INVALID_CREDENTIALS, TOO_MANY_REQUESTS; both are in the audit trail by then, as `refusedAs`.
   */
  prove(scope: Scope, source: Source, password: string, refusedAs: string): Promise<Proof>
}

export function createSignIn(parts: Parts): SignIn {
  const { repo, signOn, attempts, clock } = parts
  const codes = createCodes(parts)
  const opener = createSessionOpener(parts)
  const now = () => new Date(clock.nowMs())

  const prove: SignIn['prove'] = async (scope, source, password, refusedAs) => {
    const refuse = async (reason: RefusalReason, account: Account | null): Promise<never> => {
      await inAuthCommand(scope, async (inside) => recordRefusal(inside, reason, account?.id ?? null, refusedAs))
      throw invalidCredentials()
    }
    const begun = await inAuthCommand(scope, async (inside) => {
      const attempt = await attempts.begin(inside, source, 'wrong-password')
      const account = await repo.accountBy(inside, { email: source.account })
      const isRefused = attempt.slowdown.refuseForMs > 0
      if (isRefused) {
        await attempts.takeBack(inside, attempt)
        recordRefusal(inside, 'THROTTLED', account?.id ?? null, refusedAs)
      } else {
        inside.unit.record({ action: 'password.attempted', resource: 'Identity', resourceId: account?.id ?? null, outcome: 'done' })
      }
      return { attempt, account, isRefused }
    })
    const { attempt, account } = begun
    if (begun.isRefused) throw comeBackIn(attempt.slowdown)
    await attempts.wait(scope, attempt)
    const { ok, upgrade } = await verifyPassword(account?.passwordHash ?? null, password).catch(async (error: unknown) => {
      // Nothing was compared: the server's own haste is nobody's failure.
      await inAuthCommand(scope, async (inside) => {
        await attempts.takeBack(inside, attempt)
        inside.unit.record({ action: refusedAs, resource: 'Identity', outcome: 'failed', detail: { reason: 'OVERLOADED' } })
      })
      throw error
    })
    if (!account) return refuse('UNKNOWN_ACCOUNT', null)
    if (!ok) return refuse('WRONG_PASSWORD', account)
    if (!account.isActive) return refuse('ACCOUNT_DISABLED', account)
    if (!upgrade) return { account, attempt }
    const passwordHash = await hashPassword(password)
    const isUpgraded = await inAuthCommand(scope, async (inside) => {
      inside.unit.record({ action: 'password.rehashed', resource: 'Identity', resourceId: account.id, outcome: 'done' })
      return repo.upgradeHash(inside, account.id, account.passwordHash, passwordHash)
    })
    return { account: isUpgraded ? { ...account, passwordHash } : account, attempt }
  }

  /** Inside a command, when everything is proven: a session, or the question which membership it is for. */
  const admit = async (
    inside: Scope,
    to: {
      identityId: string
      memberships: readonly ActiveMembership[]
      plane: SignInPlane
      transport: Transport
      source: Source
      secondFactorAt?: Date
    },
  ): Promise<SignInResult> => {
    const [only, ...others] = to.memberships
    if (only && others.length === 0) return opener.open(inside, { ...to, membership: only })
    const choiceToken = await ask(inside, to, 'MEMBERSHIP_CHOICE', sessionLife.choiceMs)
    const memberships = to.memberships.map(({ id, role, plane }) => ({ id, role, plane }))
    return { kind: 'MEMBERSHIP_CHOICE_REQUIRED', choiceToken, memberships }
  }

  /** Inside a command: a one-time token for the next step. It remembers how the session is to travel. */
  const ask = async (
    inside: Scope,
    { identityId, plane, transport, secondFactorAt = null }: { identityId: string; plane: SignInPlane; transport: Transport; secondFactorAt?: Date | null },
    purpose: 'SECOND_FACTOR' | 'MEMBERSHIP_CHOICE',
    lifeMs: number,
  ): Promise<string> => {
    const token = `${transport.kind === 'COOKIE' ? 'c' : 'b'}.${randomToken()}`
    const createdAt = now()
    const expiresAt = new Date(createdAt.getTime() + lifeMs)
    await repo.tidyTokens(inside, createdAt)
    await repo.addToken(inside, { identityId, purpose, plane, secondFactorAt, hash: sha256Hex(token), expiresAt, createdAt })
    inside.unit.record({ action: 'signin.continued', resource: 'Identity', resourceId: identityId, outcome: 'done', detail: { purpose } })
    return token
  }

  /** Without those whose connection signs its people in alone. */
  const openToPasswords = async (inside: Scope, held: readonly ActiveMembership[]): Promise<readonly ActiveMembership[]> => {
    const closed = await signOn.withoutPassword(inside, held.map(({ id }) => id))
    return held.filter(({ id }) => !closed.has(id))
  }

  const refused = (inside: Scope, reason: RefusalReason, identityId: string | null, fault: Fault): { fault: Fault } => {
    recordRefusal(inside, reason, identityId)
    return { fault }
  }

  return {
    prove,

    async signIn(scope, { email, password, plane, transport, deviceToken }) {
      const source = { account: email, deviceToken: deviceToken ?? null }
      const { account, attempt } = await prove(scope, source, password, 'signin.refused')
      const prepared = await opener.prepare(plane, transport)
      const ending = await inAuthCommand(scope, async (inside): Promise<Ending<SignInResult>> => {
        if (!(await repo.holdCredential(inside, account))) {
          return refused(inside, 'PASSWORD_REPLACED', account.id, invalidCredentials())
        }
        const held = await repo.activeMemberships(inside, account.id, plane)
        if (held.length === 0) return refused(inside, 'NO_MEMBERSHIP', account.id, invalidCredentials())
        await attempts.takeBack(inside, attempt)
        const memberships = await openToPasswords(inside, held)
        if (memberships.length === 0) return refused(inside, 'SIGN_ON_REQUIRED', account.id, signOnRequired())
        const next = { identityId: account.id, plane, transport: prepared, source }
        if (await repo.totp(inside, account.id)) {
          const challengeToken = await ask(inside, next, 'SECOND_FACTOR', sessionLife.challengeMs)
          return { result: { kind: 'SECOND_FACTOR_REQUIRED', challengeToken } }
        }
        return { result: await admit(inside, { ...next, memberships }) }
      })
      return resultOf(ending)
    },

    async verifySecondFactor(scope, { plane, challengeToken, code, recoveryCode, deviceToken }) {
      const prepared = await opener.prepare(plane, transportOf(challengeToken))
      const hash = sha256Hex(challengeToken)
      const ending = await inAuthCommand(scope, async (inside): Promise<Ending<SignInResult>> => {
        const holder = await repo.tryToken(inside, 'SECOND_FACTOR', hash, now(), codePolicy.wrongPerChallenge)
        const account = holder?.plane === plane ? await repo.accountBy(inside, { id: holder.identityId }) : null
        if (!holder || !account?.isActive) return refused(inside, 'CHALLENGE_OVER', account?.id ?? null, signInOver())
        const source = { account: account.email, deviceToken: deviceToken ?? null }
        const attempt = await attempts.begin(inside, source, 'wrong-code')
        const kind = code === undefined ? 'recovery' : 'totp'
        if (judgeCode({ wrongInChallenge: holder.attempts - 1, kind }, attempt.counts) !== 'try') {
          await attempts.takeBack(inside, attempt)
          return refused(inside, 'CODE_LIMIT', account.id, tooMany({ retryAfterSeconds: 3_600 }))
        }
        const isRight = await (code === undefined
          ? codes.takeRecovery(inside, account.id, recoveryCode ?? '')
          : codes.takeCode(inside, account.id, code))
        if (!isRight) return refused(inside, 'WRONG_CODE', account.id, codeRefused())
        await attempts.takeBack(inside, attempt)
        const memberships = await openToPasswords(inside, await repo.activeMemberships(inside, account.id, plane))
        const wasFirst = await repo.useToken(inside, 'SECOND_FACTOR', hash, now())
        if (!wasFirst || memberships.length === 0) return refused(inside, 'NO_MEMBERSHIP', account.id, signInOver())
        return { result: await admit(inside, { identityId: account.id, memberships, plane, transport: prepared, source, secondFactorAt: now() }) }
      })
      return resultOf(ending)
    },

    async chooseMembership(scope, { plane, choiceToken, membershipId, deviceToken }) {
      const prepared = await opener.prepare(plane, transportOf(choiceToken))
      const ending = await inAuthCommand(scope, async (inside): Promise<Ending<SignedIn>> => {
        const holder = await repo.useToken(inside, 'MEMBERSHIP_CHOICE', sha256Hex(choiceToken), now())
        const account = holder?.plane === plane ? await repo.accountBy(inside, { id: holder.identityId }) : null
        if (!holder || !account?.isActive) return refused(inside, 'CHALLENGE_OVER', account?.id ?? null, signInOver())
        const memberships = await openToPasswords(inside, await repo.activeMemberships(inside, account.id, plane))
        const membership = memberships.find(({ id }) => id === membershipId)
        // Undoes the command: the choice was not offered, and the token is still good for one that was.
        if (!membership) throw notFound()
        const source = { account: account.email, deviceToken: deviceToken ?? null }
        const { secondFactorAt } = holder
        return { result: await opener.open(inside, { identityId: account.id, membership, transport: prepared, source, secondFactorAt }) }
      })
      return resultOf(ending)
    },
  }
}

const transportOf = (token: string): 'BEARER' | 'COOKIE' => (token.startsWith('c.') ? 'COOKIE' : 'BEARER')
