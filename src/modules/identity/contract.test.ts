/** Signing in, and what is believed afterwards: on a real database, for people of one tenant. */
import { createHook } from 'node:async_hooks'
import { hashSync } from 'bcryptjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Caller } from '../../kernel/scope.ts'
import { invalidCredentials, type SignedIn, type SignInResult } from './contract.ts'
import { newRecoveryCodes, totpCode, totpStep } from './credentials/totp.ts'
import { callerOf, layGround, password, signedIn, type Ground, type Process, type TestPerson } from '../../../test/kit/sign-in.ts'
import type { SignInPlane } from './tokens/refresh.ts'

let ground: Ground
let here: Process

beforeAll(async () => {
  ground = await layGround()
  here = await ground.process()
})
afterAll(() => ground.close())

const code = (name: string) => expect.objectContaining({ code: name })

interface Trying {
  readonly plane?: SignInPlane
  readonly typed?: string
  readonly transport?: 'BEARER' | 'COOKIE'
  readonly deviceToken?: string
  readonly address?: string
}

const tryIn = ({ email }: Pick<TestPerson, 'email'>, trying: Trying = {}): Promise<SignInResult> => {
  const { plane = 'clinician', typed = password, transport = 'BEARER', deviceToken, address } = trying
  const from = address === undefined ? {} : { address }
  return here.as(ground.nobody(plane, from), (identity, scope) =>
    identity.signIn(scope, { email, password: typed, plane, transport, ...(deviceToken ? { deviceToken } : {}) }),
  )
}
const signIn = async (person: TestPerson, trying?: Trying): Promise<SignedIn> => signedIn(await tryIn(person, trying))

const identify = (credential: { bearer: string } | { cookie: string }, plane: SignInPlane = 'clinician', at: Process = here) =>
  at.as(ground.nobody(plane), (identity, scope) => identity.identify(scope, { ...credential, plane }))

const callerFor = async (result: SignedIn): Promise<Caller> => {
  const { plane } = result.membership
  const found = await identify(result.accessToken ? { bearer: result.accessToken } : { cookie: cookieIn(result) }, plane)
  return callerOf(ground.nobody(plane), found)
}

const cookieIn = ({ setCookie }: SignedIn): string => /^[kdcfs]_sid=([^;]+);/.exec(setCookie ?? '')![1]!

const refresh = (refreshToken: string, plane: SignInPlane = 'clinician') =>
  here.as(ground.nobody(plane), (identity, scope) => identity.refresh(scope, { plane, refreshToken }))

/** What many at once ended in: `ok`, or a fault's code. */
const outcomes = async (work: readonly Promise<unknown>[]): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const one of await Promise.allSettled(work)) {
    const name = one.status === 'fulfilled' ? 'ok' : String((one.reason as { code?: string }).code ?? one.reason)
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

describe('a sign-in', () => {
  it('with the right password opens a bearer session that the next call believes', async () => {
    const person = await ground.person()
    const result = await signIn(person)
    expect(result).toMatchObject({ expiresInSeconds: 600, setCookie: null, membership: { id: person.membershipIds[0], role: 'clinician' } })
    expect(await identify({ bearer: result.accessToken! })).toMatchObject({
      kind: 'member',
      membershipId: person.membershipIds[0],
      identityId: person.identityId,
      role: 'clinician',
      plane: 'clinician',
      via: 'password',
    })
    const trace = (await ground.audit()).filter(({ actor_id }) => actor_id === person.membershipIds[0])
    expect(trace).toMatchObject([{ action: 'signin.succeeded', outcome: 'done', session_id: expect.any(String) }])
  })

  it('answers the same for an unknown account, a wrong password, a disabled account and an ended membership', async () => {
    const refusals: unknown[] = []
    const known = await ground.person()
    const tries: [Pick<TestPerson, 'email'>, Trying][] = [
      [{ email: 'nobody@ward.test' }, {}],
      [known, { typed: 'not the password' }],
      [known, { plane: 'console' }],
      [await ground.person({ status: 'DISABLED' }), {}],
      [await ground.person({ memberships: [{ plane: 'clinician', role: 'clinician', status: 'ENDED' }] }), {}],
      [await ground.person({ memberships: [{ plane: 'clinician', role: 'clinician', status: 'SUSPENDED' }] }), {}],
    ]
    for (const [person, trying] of tries) refusals.push(await tryIn(person, trying).catch((error: unknown) => error))
    for (const refusal of refusals) expect(refusal).toEqual(invalidCredentials())
    const reasons = (await ground.audit()).filter(({ action }) => action === 'signin.refused').map(({ detail }) => detail['reason'])
    const none = 'NO_MEMBERSHIP'
    expect(reasons.slice(-6)).toEqual(['UNKNOWN_ACCOUNT', 'WRONG_PASSWORD', none, 'ACCOUNT_DISABLED', none, none])
  })

  it('costs an unknown account the statements and the hashing that a wrong password costs', async () => {
    const work: string[] = []
    // What native add-ons hand to a thread carries no name; of these, only argon2 is in use here.
    const hook = createHook({ init: (_id, type) => void (type === 'undefined' && work.push(type)) })
    const costOf = async (email: string) => {
      work.length = 0
      hook.enable()
      const statements = await statementsOf(() => tryIn({ email }, { typed: 'not the password', address: '203.0.113.9' }).catch(() => {}))
      hook.disable()
      return { hashes: work.length, statements: statements.length }
    }
    const known = await ground.person()
    const wrong = await costOf(known.email)
    const unknown = await costOf('stranger@ward.test')
    expect(wrong.hashes).toBe(1)
    expect(unknown).toEqual(wrong)
  })

  it('upgrades an imported bcrypt hash once its password was right, and not before', async () => {
    const person = await ground.person({ passwordHash: hashSync(password, 4) })
    const stored = async () => {
      const sql = 'select password_hash as hash from identity.credential where identity_id = $1'
      const [row] = await ground.at.owner<{ hash: string }>(sql, [person.identityId])
      return row!.hash
    }
    await expect(tryIn(person, { typed: 'not the password' })).rejects.toEqual(code('INVALID_CREDENTIALS'))
    expect(await stored()).toMatch(/^\$2/)
    await signIn(person)
    expect(await stored()).toMatch(/^\$argon2id\$/)
    await signIn(person)
  })

  it('asks which membership where several fit, and the choice is good once', async () => {
    const person = await ground.person({
      memberships: [
        { plane: 'console', role: 'tenant_admin' },
        { plane: 'console', role: 'care_coordinator' },
        { plane: 'console', role: 'compliance_officer', status: 'ENDED' },
        { plane: 'clinician', role: 'clinician' },
      ],
    })
    const asked = await tryIn(person, { plane: 'console' })
    if (asked.kind !== 'MEMBERSHIP_CHOICE_REQUIRED') throw new Error(asked.kind)
    expect(asked.memberships.map(({ role }) => role)).toEqual(['tenant_admin', 'care_coordinator'])
    const choose = (membershipId: string, choiceToken = asked.choiceToken) =>
      here.as(ground.nobody('console'), (identity, scope) =>
        identity.chooseMembership(scope, { plane: 'console', choiceToken, membershipId }),
      )
    await expect(choose(person.membershipIds[2]!)).rejects.toEqual(code('NOT_FOUND'))
    await expect(choose(person.membershipIds[3]!)).rejects.toEqual(code('NOT_FOUND'))
    await expect(choose(person.membershipIds[0]!, 'b.guessed')).rejects.toEqual(code('SIGN_IN_OVER'))
    expect((await choose(person.membershipIds[1]!)).membership.role).toBe('care_coordinator')
    await expect(choose(person.membershipIds[1]!)).rejects.toEqual(code('SIGN_IN_OVER'))
  })

  it('by cookie sets one that scripts cannot read, and gives out no token', async () => {
    const result = await signIn(await ground.person(), { transport: 'COOKIE' })
    expect(result).toMatchObject({ accessToken: null, refreshToken: null, expiresInSeconds: 43_200 })
    expect(result.setCookie!.split('; ').slice(1)).toEqual(['Path=/', 'HttpOnly', 'SameSite=Lax', 'Max-Age=43200'])
    expect(result.setCookie).toMatch(/^d_sid=/)
    expect(await identify({ cookie: cookieIn(result) })).toMatchObject({ kind: 'member', role: 'clinician' })
    const [tenant, session, secret] = cookieIn(result).split('.') as [string, string, string]
    const wrongSecret = `${tenant}.${session}.${secret.slice(0, -2)}AA`
    for (const forged of ['', 'x', `${tenant}.${session}`, wrongSecret, `${tenant}.${session}.${secret}.x`]) {
      await expect(identify({ cookie: forged })).rejects.toEqual(code('SESSION_ENDED'))
    }
  })
})

describe('a second factor', () => {
  const challenged = async (person: TestPerson, transport: 'BEARER' | 'COOKIE' = 'BEARER'): Promise<string> => {
    const result = await tryIn(person, { transport })
    if (result.kind !== 'SECOND_FACTOR_REQUIRED') throw new Error(result.kind)
    return result.challengeToken
  }
  const verify = (
    challengeToken: string,
    given: { code: string } | { recoveryCode: string },
    plane: SignInPlane = 'clinician',
    deviceToken: string | null = null,
  ) =>
    here.as(ground.nobody(plane), (identity, scope) =>
      identity.verifySecondFactor(scope, { plane, challengeToken, ...given, ...(deviceToken ? { deviceToken } : {}) }),
    )
  const codeNow = (secret: string, ahead = 0) => totpCode({ secret, step: totpStep(ground.clock.nowMs()) + ahead })
  const wrongCode = (secret: string) => {
    const near = [-1, 0, 1].map((ahead) => codeNow(secret, ahead))
    return ['000000', '111111', '222222', '333333'].find((one) => !near.includes(one))!
  }

  it('is asked for after the right password only, and its code signs in, by cookie where that was asked', async () => {
    const person = await ground.person()
    const secret = await ground.withTotp(here, person)
    await expect(tryIn(person, { typed: 'not the password' })).rejects.toEqual(code('INVALID_CREDENTIALS'))
    const result = signedIn(await verify(await challenged(person, 'COOKIE'), { code: codeNow(secret) }))
    expect(result.setCookie).toMatch(/^d_sid=/)
    expect(result.accessToken).toBeNull()
  })

  it('is remembered by the session that a choice of membership opens after it', async () => {
    const person = await ground.person({
      memberships: [
        { plane: 'console', role: 'tenant_admin' },
        { plane: 'console', role: 'care_coordinator' },
      ],
    })
    const factorOf = async () => {
      const asked = await tryIn(person, { plane: 'console' })
      const given = async (challengeToken: string) => verify(challengeToken, { code: codeNow(secret!) }, 'console')
      const next = asked.kind === 'SECOND_FACTOR_REQUIRED' ? await given(asked.challengeToken) : asked
      if (next.kind !== 'MEMBERSHIP_CHOICE_REQUIRED') throw new Error(next.kind)
      const { choiceToken } = next
      const [membershipId] = person.membershipIds
      await here.as(ground.nobody('console'), (identity, scope) => identity.chooseMembership(scope, { plane: 'console', choiceToken, membershipId: membershipId! }))
      const [row] = await ground.at.owner<{ at: Date | null }>(
        'select second_factor_at as at from identity.session where membership_id = $1 order by created_at desc limit 1',
        [membershipId],
      )
      return row!.at?.getTime() ?? null
    }
    let secret: string | null = null
    expect(await factorOf()).toBeNull()
    secret = await ground.withTotp(here, person)
    ground.clock.advance(60_000)
    expect(await factorOf()).toBe(ground.clock.nowMs())
  })

  it('accepts one code once, though twenty come with it at once, by one challenge or by many', async () => {
    const person = await ground.person()
    const secret = await ground.withTotp(here, person)
    const one = await challenged(person)
    const byOne = await outcomes(Array.from({ length: 20 }, () => verify(one, { code: codeNow(secret) })))
    expect(byOne).toEqual({ ok: 1, SIGN_IN_OVER: 19 })
    ground.clock.advance(60_000)
    const { deviceToken } = signedIn(await verify(await challenged(person), { code: codeNow(secret) }))
    ground.clock.advance(60_000)
    // Half of them come from a known device: what counts strangers' tries does not make these take turns.
    const many: [string, string | null][] = []
    for (let i = 0; i < 8; i++) many.push([await challenged(person), i % 2 ? deviceToken : null])
    const byMany = await outcomes(many.map(([challenge, device]) => verify(challenge, { code: codeNow(secret) }, 'clinician', device)))
    expect(byMany).toEqual({ ok: 1, CODE_REFUSED: 7 })
    await expect(verify(await challenged(person), { code: codeNow(secret, -1) })).rejects.toEqual(code('CODE_REFUSED'))
  })

  it('gives a challenge five tries, also all at once, and then not even the right code helps', async () => {
    const person = await ground.person()
    const secret = await ground.withTotp(here, person)
    const challenge = await challenged(person)
    const tries = await outcomes(Array.from({ length: 12 }, () => verify(challenge, { code: wrongCode(secret) })))
    expect(tries).toEqual({ CODE_REFUSED: 5, SIGN_IN_OVER: 7 })
    await expect(verify(challenge, { code: codeNow(secret) })).rejects.toEqual(code('SIGN_IN_OVER'))
  })

  it('ends a challenge that is too old, of another plane or made up', async () => {
    const person = await ground.person()
    const secret = await ground.withTotp(here, person)
    await expect(verify('b.made-up', { code: '123456' })).rejects.toEqual(code('SIGN_IN_OVER'))
    await expect(verify(await challenged(person), { code: codeNow(secret) }, 'console')).rejects.toEqual(code('SIGN_IN_OVER'))
    const challenge = await challenged(person)
    ground.clock.advance(10 * 60_000)
    await expect(verify(challenge, { code: codeNow(secret) })).rejects.toEqual(code('SIGN_IN_OVER'))
  })

  it('takes a recovery code in its stead, once, though many come with it at once', async () => {
    const person = await ground.person()
    await ground.withTotp(here, person)
    const { codes, hashes } = newRecoveryCodes()
    for (const hash of hashes) {
      await ground.at.owner(
        'insert into identity.recovery_code (tenant_id, id, identity_id, code_hash) values ($1, gen_random_uuid(), $2, $3)',
        [person.tenantId, person.identityId, hash],
      )
    }
    const many: string[] = []
    for (let i = 0; i < 5; i++) many.push(await challenged(person))
    const recoveryCode = codes[3]!.toLowerCase()
    expect(await outcomes(many.map((challenge) => verify(challenge, { recoveryCode })))).toEqual({ ok: 1, CODE_REFUSED: 4 })
    expect(signedIn(await verify(await challenged(person), { recoveryCode: codes[4]! })).membership.role).toBe('clinician')
  })
})

describe('a credential', () => {
  it('is refused for its form, signature or plane before the database is asked anything', async () => {
    const person = await ground.person()
    const { accessToken } = await signIn(person)
    const [head, body, signature] = accessToken!.split('.') as [string, string, string]
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string }
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>
    const cookie = cookieIn(await signIn(person, { transport: 'COOKIE' }))
    // A key id that nobody has seen is looked for, once in a while; the clock of this test stands still from here on.
    const unknownKey = `${encode({ ...header, kid: `clinician.${'A'.repeat(22)}` })}.${body}.${signature}`
    await expect(identify({ bearer: unknownKey })).rejects.toEqual(code('TOKEN_UNKNOWN_KEY'))
    const refused: [string, () => Promise<unknown>][] = [
      ['TOKEN_INVALID', () => identify({ bearer: `${head}.${encode({ ...claims, sub: person.identityId })}.${signature}` })],
      ['TOKEN_INVALID', () => identify({ bearer: `${encode({ ...header, alg: 'none' })}.${body}.${signature}` })],
      ['TOKEN_INVALID', () => identify({ bearer: `${encode({ ...header, jku: 'https://evil.test' })}.${body}.${signature}` })],
      ['TOKEN_UNKNOWN_KEY', () => identify({ bearer: unknownKey })],
      ['TOKEN_WRONG_PLANE', () => identify({ bearer: accessToken! }, 'console')],
      ['TOKEN_WRONG_PLANE', () => identify({ cookie }, 'console')],
      ['TOKEN_MALFORMED', () => identify({ bearer: 'mst_nonsense' }, 'integrator' as SignInPlane)],
      ['TOKEN_WRONG_PLANE', () => identify({ bearer: `mst_${'A'.repeat(22)}_${'A'.repeat(43)}` })],
      ['TOKEN_MALFORMED', () => identify({ bearer: 'a.b.c' })],
    ]
    for (const [name, attempt] of refused) {
      const statements = await statementsOf(() => expect(attempt()).rejects.toEqual(code(name)))
      expect(statements).toEqual([])
    }
    expect(await statementsOf(() => identify({ bearer: accessToken! }))).toHaveLength(1)
  })

  it('is gone at the next call when its session is revoked, its membership ends, or its role is another', async () => {
    const changes = [
      'update identity.membership set status = $$ENDED$$ where id = $1',
      'update identity.membership set status = $$SUSPENDED$$ where id = $1',
      'update identity.membership set role = $$caregiver$$, plane = $$courier$$ where id = $1',
      'update identity.session set revoked_at = now() where membership_id = $1',
      'update identity.identity set status = $$DISABLED$$ where id = (select identity_id from identity.membership where id = $1)',
    ]
    for (const change of changes) {
      const person = await ground.person()
      const bearer = (await signIn(person)).accessToken!
      const cookie = cookieIn(await signIn(person, { transport: 'COOKIE' }))
      await ground.at.owner(change, [person.membershipIds[0]])
      await expect(identify({ bearer })).rejects.toEqual(code('SESSION_ENDED'))
      await expect(identify({ cookie })).rejects.toEqual(code('SESSION_ENDED'))
    }
    const person = await ground.person({ memberships: [{ plane: 'console', role: 'tenant_admin' }] })
    const bearer = (await signIn(person, { plane: 'console' })).accessToken!
    await ground.at.owner("update identity.membership set role = 'compliance_officer' where id = $1", [person.membershipIds[0]])
    expect(await identify({ bearer }, 'console')).toMatchObject({ role: 'compliance_officer' })
  })

  it('of another tenant is nobody here', async () => {
    const { accessToken } = await signIn(await ground.person())
    const elsewhere = await ground.person({ tenantId: '0190a0b0-0000-7000-8000-000000000001' })
    const ask = here.as(ground.nobody('clinician', { tenantId: elsewhere.tenantId }), (identity, scope) =>
      identity.identify(scope, { bearer: accessToken!, plane: 'clinician' }),
    )
    await expect(ask).rejects.toEqual(code('TOKEN_INVALID'))
  })

  it('in a cookie lives as long as it is used, at most twelve hours', async () => {
    const person = await ground.person()
    const from = ground.clock.nowMs()
    const used = cookieIn(await signIn(person, { transport: 'COOKIE' }))
    const idle = cookieIn(await signIn(person, { transport: 'COOKIE' }))
    for (let minutes = 0; minutes < 12 * 60 - 20; minutes += 20) {
      ground.clock.set(from + minutes * 60_000)
      await identify({ cookie: used })
    }
    await expect(identify({ cookie: idle })).rejects.toEqual(code('SESSION_ENDED'))
    ground.clock.set(from + 12 * 60 * 60_000)
    await expect(identify({ cookie: used })).rejects.toEqual(code('SESSION_ENDED'))
  })

  it('of an integration carries only what it was given and tokens may carry', async () => {
    const { newApiToken } = await import('./tokens/api-token.ts')
    const { token, hash } = newApiToken(ground.tenantId)
    await ground.at.owner(
      `insert into identity.api_token (tenant_id, id, name, hash, permissions) values ($1, gen_random_uuid(), 'lab', $2, $3)`,
      [ground.tenantId, hash, ['tenant:read', 'role:assign', 'no:such']],
    )
    const ask = (bearer: string) =>
      here.as(ground.nobody('integrator'), (identity, scope) => identity.identify(scope, { bearer, plane: 'integrator' }))
    expect(await ask(token)).toMatchObject({ kind: 'integration', permissions: ['tenant:read'] })
    await expect(ask(newApiToken(ground.tenantId).token)).rejects.toEqual(code('SESSION_ENDED'))
    await ground.at.owner('update identity.api_token set revoked_at = now() where hash = $1', [hash])
    await expect(ask(token)).rejects.toEqual(code('SESSION_ENDED'))
  })
})

describe('a refresh token', () => {
  it('is good once; presented again later it ends the family, also for its thief', async () => {
    const first = await signIn(await ground.person())
    const second = await refresh(first.refreshToken!)
    ground.clock.advance(10_001)
    await expect(refresh(first.refreshToken!)).rejects.toEqual(code('SESSION_ENDED'))
    await expect(refresh(second.refreshToken!)).rejects.toEqual(code('SESSION_ENDED'))
    await expect(identify({ bearer: second.accessToken! })).rejects.toEqual(code('SESSION_ENDED'))
    const trace = (await ground.audit()).slice(-3).map(({ action }) => action)
    expect(trace.toSorted()).toEqual(['refresh.refused', 'refresh.reused', 'session.revoked'])
    const [event] = await ground.at.owner('select name, payload from outbox.event order by at desc limit 1')
    expect(event).toMatchObject({ name: 'identity.session.revoked', payload: { reason: 'REUSE' } })
  })

  it('presented by twenty at once is rotated once; the others get no successor', async () => {
    let { refreshToken } = await signIn(await ground.person())
    // Again with the successor: by then all connections are open, and the twenty really are at once.
    for (let round = 0; round < 3; round++) {
      const presented = refreshToken!
      const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(presented)))
      const successors = answers.map((one) => one.refreshToken).filter((one) => one !== null)
      expect(successors).toHaveLength(1)
      refreshToken = successors[0]!
    }
  })

  it('is refused on another plane, unused for half an hour, after twelve, without its membership, and made up', async () => {
    const person = await ground.person()
    const { refreshToken } = await signIn(person)
    await expect(refresh(refreshToken!, 'console')).rejects.toEqual(code('TOKEN_WRONG_PLANE'))
    await expect(refresh('d.nonsense')).rejects.toEqual(code('TOKEN_MALFORMED'))
    await expect(refresh(refreshToken!.replace(/[0-9a-f]{8}-/, '00000000-'))).rejects.toEqual(code('SESSION_ENDED'))
    ground.clock.advance(30 * 60_000)
    await expect(refresh(refreshToken!)).rejects.toEqual(code('SESSION_ENDED'))
    const other = await signIn(person)
    await ground.at.owner("update identity.membership set status = 'ENDED' where id = $1", [person.membershipIds[0]])
    await expect(refresh(other.refreshToken!)).rejects.toEqual(code('SESSION_ENDED'))
  })
})

describe('the sessions of a member', () => {
  it('are listed and ended by that member only', async () => {
    const [mine, theirs] = [await ground.person(), await ground.person()]
    const current = await callerFor(await signIn(mine))
    const otherToken = (await signIn(mine)).accessToken!
    const foreign = await callerFor(await signIn(theirs))
    const list = (caller: Caller) => here.as(caller, (identity, scope) => identity.sessions(scope, {}))
    expect((await list(current)).map(({ isCurrent }) => isCurrent).sort()).toEqual([false, true])
    const [foreignSession] = await list(foreign)
    const revoke = (caller: Caller, sessionId: string) => here.as(caller, (identity, scope) => identity.revokeSession(scope, { sessionId }))
    await expect(revoke(current, foreignSession!.id)).rejects.toEqual(code('NOT_FOUND'))
    await revoke(current, (await list(current)).find((one) => !one.isCurrent)!.id)
    await expect(identify({ bearer: otherToken })).rejects.toEqual(code('SESSION_ENDED'))
    await signIn(mine)
    expect(await here.as(current, (identity, scope) => identity.revokeOtherSessions(scope, {}))).toEqual({ count: 1 })
    expect(await list(current)).toHaveLength(1)
    await here.as(current, (identity, scope) => identity.signOut(scope, { plane: 'clinician' }))
    expect(await list(current)).toEqual([])
    await expect(list(ground.nobody('clinician'))).rejects.toEqual(code('UNAUTHENTICATED'))
  })
})

describe('a password', () => {
  const ask = (email: string) => here.as(ground.nobody('clinician'), (identity, scope) => identity.requestPasswordReset(scope, { email }))
  const reset = (token: string, newPassword: string) =>
    here.as(ground.nobody('clinician'), (identity, scope) => identity.resetPassword(scope, { token, newPassword }))
  const mailed = async (email: string): Promise<string[]> => {
    await here.settled()
    return here.letters.filter(({ to }) => to === email).map(({ text }) => /#token=([\w-]{43})/.exec(text)![1]!)
  }

  it('is reset by a mailed link, once, which ends every session; an unknown address gets the same answer and no letter', async () => {
    const person = await ground.person()
    const { accessToken } = await signIn(person)
    const before = here.letters.length
    const [known, unknown] = [await statementsOf(() => ask(person.email)), await statementsOf(() => ask('stranger@ward.test'))]
    expect(unknown.length).toBe(known.length)
    const [token] = await mailed(person.email)
    expect(here.letters.length).toBe(before + 1)
    expect(here.letters.at(-1)!.text).toContain(`http://t${ground.tenantId.slice(-8)}.localhost:4000/reset-password#token=`)
    await expect(reset(token!, 'short')).rejects.toEqual(code('PASSWORD_REFUSED'))
    const tries = await outcomes(Array.from({ length: 6 }, (_, i) => reset(token!, `a new password, number ${i}`)))
    expect(tries).toEqual({ ok: 1, RESET_LINK_DEAD: 5 })
    await expect(identify({ bearer: accessToken! })).rejects.toEqual(code('SESSION_ENDED'))
    await expect(tryIn(person)).rejects.toEqual(code('INVALID_CREDENTIALS'))
  })

  it('is not reset by an old link, a second-factor challenge, or another tenant', async () => {
    const person = await ground.person()
    await ask(person.email)
    const [token] = await mailed(person.email)
    const elsewhere = here.as(ground.nobody('clinician', { tenantId: '0190a0b0-0000-7000-8000-000000000001' }), (identity, scope) =>
      identity.resetPassword(scope, { token: token!, newPassword: 'a password from elsewhere' }),
    )
    await expect(elsewhere).rejects.toEqual(code('RESET_LINK_DEAD'))
    ground.clock.advance(30 * 60_000)
    await expect(reset(token!, 'a password that is late')).rejects.toEqual(code('RESET_LINK_DEAD'))
    for (let i = 0; i < 5; i++) await ask(person.email)
    expect(await mailed(person.email)).toHaveLength(3)
  })

  it('is changed by who knows the present one; the other sessions end, this one stays', async () => {
    const person = await ground.person()
    const current = await signIn(person)
    const other = await signIn(person, { transport: 'COOKIE' })
    const caller = await callerFor(current)
    const change = (currentPassword: string, newPassword: string) =>
      here.as(caller, (identity, scope) => identity.changePassword(scope, { currentPassword, newPassword }))
    await expect(change('not the password', 'entirely another one')).rejects.toEqual(code('INVALID_CREDENTIALS'))
    await expect(change(password, 'password123')).rejects.toEqual(code('PASSWORD_REFUSED'))
    await change(password, 'entirely another one')
    await identify({ bearer: current.accessToken! })
    await expect(identify({ cookie: cookieIn(other) })).rejects.toEqual(code('SESSION_ENDED'))
    await signIn(person, { typed: 'entirely another one' })
  })
})

/** Statements sent to the database while `work` ran. */
async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const { default: pg } = await import('pg')
  const sent: string[] = []
  const original = pg.Client.prototype.query
  pg.Client.prototype.query = function (this: never, ...args: never[]) {
    sent.push((args[0] as unknown as { text?: string }).text ?? String(args[0]))
    return original.apply(this, args as never)
  } as never
  try {
    await work()
  } finally {
    pg.Client.prototype.query = original
  }
  return sent
}
