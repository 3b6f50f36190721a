/**
 * Second factors' use cases, of the person who asks and of nobody else. A confirmed authenticator stays in force until its successor is
 * confirmed; a code is good once, and so is a step-up sign-in; wrong codes are counted like those of a sign-in.
 */
import { tooMany, type Fault } from '../../kernel/fault.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { ServiceOf } from '../../platform/contract.ts'
import type { Codes } from './codes.ts'
import { codeRefused, invalidCredentials } from './contract.ts'
import { stepUpMs } from './contract-sign-on.ts'
import { proofNeeded, totpConfirmed, totpNotEnrolled, type memberMethods } from './contract-members.ts'
import { checkTotp, newRecoveryCodes, newTotpSecret, otpauthUri } from './credentials/totp.ts'
import { totpSecretPlace } from './keys.ts'
import { recordRefusal, type Parts, type RefusalReason } from './parts.ts'
import type { FactorsRepo } from './repo-factors.ts'
import { inAuthCommand } from './repo.ts'
import { memberOf } from './sessions.ts'
import type { SignIn } from './sign-in.ts'
import { judgeCode } from './throttle.ts'

type FactorService = Pick<ServiceOf<typeof memberMethods>, 'enrolTotp' | 'confirmTotp' | 'regenerateRecoveryCodes' | 'removeTotp' | 'useFactor'>

interface Person {
  readonly identityId: string
  readonly membershipId: string
  readonly email: string
}

const factorFault = (outcome: 'WRONG' | 'LIMIT'): Fault => (outcome === 'WRONG' ? codeRefused() : tooMany({ retryAfterSeconds: 3_600 }))

export function createFactorService(
  parts: Parts & { factors: FactorsRepo; codes: Codes },
  { prove }: Pick<SignIn, 'prove'>,
): FactorService {
  const { repo, signOn, factors, codes, vault, attempts, tenancy, clock } = parts
  const now = () => new Date(clock.nowMs())

  const personOf = async (scope: Scope): Promise<Person> => {
    const { identityId, membershipId } = memberOf(scope)
    const person = await repo.person(scope, identityId)
    if (!person) throw invalidCredentials()
    return { identityId, membershipId, email: person.email }
  }

  /** Inside a command: counts the code as an attempt and takes it. The outcome is to be committed, whatever it is. */
  const take = async (
    inside: Scope,
    { identityId, email }: Person,
    given: { readonly code: string; readonly mayRecover: boolean },
  ): Promise<'PROVEN' | 'WRONG' | 'LIMIT' | 'NOT_ENROLLED'> => {
    const refuse = (reason: RefusalReason) => recordRefusal(inside, reason, identityId, 'second_factor.refused')
    if (!(await repo.totp(inside, identityId))) return 'NOT_ENROLLED'
    const attempt = await attempts.begin(inside, { account: email, deviceToken: null }, 'wrong-code')
    const isRecovered = given.mayRecover && (await codes.takeRecovery(inside, identityId, given.code))
    if (!isRecovered && judgeCode({ wrongInChallenge: 0, kind: 'totp' }, attempt.counts) !== 'try') {
      await attempts.takeBack(inside, attempt)
      refuse('CODE_LIMIT')
      return 'LIMIT'
    }
    if (!isRecovered && !(await codes.takeCode(inside, identityId, given.code))) {
      refuse('WRONG_CODE')
      return 'WRONG'
    }
    await attempts.takeBack(inside, attempt)
    return 'PROVEN'
  }

  /** One command in which a code is checked: a refusal commits, with its count and its trace, and is thrown afterwards. */
  const withCode = async <Result>(
    scope: Scope,
    person: Person,
    given: { readonly code: string; readonly mayRecover: boolean },
    work: (inside: Scope) => Promise<Result>,
  ): Promise<Result> => {
    const ending = await inAuthCommand(scope, async (inside): Promise<{ result: Result } | { fault: Fault }> => {
      const outcome = await take(inside, person, given)
      // Nothing was counted and nothing changed: there is no trace to keep.
      if (outcome === 'NOT_ENROLLED') throw totpNotEnrolled()
      return outcome === 'PROVEN' ? { result: await work(inside) } : { fault: factorFault(outcome) }
    })
    if ('fault' in ending) throw ending.fault
    return ending.result
  }

  const record = (scope: Scope, action: string, identityId: string): void =>
    scope.unit.record({ action, resource: 'TotpDevice', resourceId: identityId, outcome: 'done' })

  /** Outside a command. @throws INVALID_CREDENTIALS, TOO_MANY_REQUESTS */
  const provePassword = async (scope: Scope, { identityId, email }: Person, password: string): Promise<void> => {
    const { attempt } = await prove(scope, { account: email, deviceToken: null }, password, 'second_factor.refused')
    await inAuthCommand(scope, async (inside) => {
      await attempts.takeBack(inside, attempt)
      inside.unit.record({ action: 'password.proven', resource: 'Identity', resourceId: identityId, outcome: 'done' })
    })
  }

  const newCodes = async (inside: Scope, identityId: string): Promise<{ recoveryCodes: string[] }> => {
    const made = newRecoveryCodes()
    await factors.replaceRecoveryCodes(inside, identityId, made.hashes)
    return { recoveryCodes: [...made.codes] }
  }

  return {
    async enrolTotp(scope, { password, code }) {
      const person = await personOf(scope)
      const { identityId, email } = person
      const secret = newTotpSecret()
      const mayReplace = password !== undefined || code !== undefined
      // The identity may be older than the provider that signed this session in: its factor is not the provider's to choose.
      if (!mayReplace && scope.actor.kind === 'member' && scope.actor.via === 'saml') throw proofNeeded()
      const store = async (inside: Scope) => {
        const { sealed } = await vault.sealSecrets(inside, { items: [{ ...totpSecretPlace(inside.tenantId, identityId), value: secret }] })
        const { legalName } = await tenancy.front(inside, {})
        if (!(await factors.enrol(inside, identityId, { sealed: sealed[0]!, mayReplace }))) throw proofNeeded()
        record(inside, 'totp.enrolled', identityId)
        return { otpauthUri: otpauthUri({ secret, account: email, issuer: legalName }), secret }
      }
      if (code !== undefined) return withCode(scope, person, { code, mayRecover: false }, store)
      if (password !== undefined) await provePassword(scope, person, password)
      return inAuthCommand(scope, store)
    },

    async confirmTotp(scope, { code }) {
      const { identityId, membershipId } = await personOf(scope)
      return inAuthCommand(scope, async (inside) => {
        const waiting = await factors.unconfirmed(inside, identityId)
        if (!waiting) throw totpNotEnrolled()
        const place = totpSecretPlace(inside.tenantId, identityId)
        const { values } = await vault.openSecrets(inside, { items: [{ ...place, sealed: waiting }] })
        const step = checkTotp({ secret: values[0]!, code, nowMs: clock.nowMs(), lastStep: null })
        // Whose secret was replaced or confirmed meanwhile is told the same as who mistyped.
        if (step === null || !(await factors.confirm(inside, identityId, { sealed: waiting, step, at: now() }))) throw codeRefused()
        record(inside, 'totp.confirmed', identityId)
        inside.unit.publish(totpConfirmed, membershipId, { membershipId })
        return newCodes(inside, identityId)
      })
    },

    async regenerateRecoveryCodes(scope, { code }) {
      const person = await personOf(scope)
      return withCode(scope, person, { code, mayRecover: false }, async (inside) => {
        record(inside, 'recovery_codes.replaced', person.identityId)
        return newCodes(inside, person.identityId)
      })
    },

    async useFactor(inside, { code }) {
      if (code !== undefined) return { outcome: await take(inside, await personOf(inside), { code, mayRecover: false }) }
      const { sessionId } = memberOf(inside)
      if (!(await signOn.takeStepUp(inside, sessionId, new Date(clock.nowMs() - stepUpMs)))) return { outcome: 'NO_STEP_UP' }
      inside.unit.record({ action: 'session.step_up_used', resource: 'Session', resourceId: sessionId, outcome: 'done' })
      return { outcome: 'PROVEN' }
    },

    async removeTotp(scope, { password, code }) {
      const person = await personOf(scope)
      await provePassword(scope, person, password)
      return withCode(scope, person, { code, mayRecover: true }, async (inside) => {
        await factors.remove(inside, person.identityId)
        record(inside, 'totp.removed', person.identityId)
        return {}
      })
    },
  }
}
