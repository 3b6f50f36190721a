/** Second factors on a real database: in force only when confirmed, a code good once, and no way to shed one by halves. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Scope } from '../../kernel/scope.ts'
import { administrationRig, codeOf, password, type Person, type Rig, type Tenant } from '../../../test/kit/administration.ts'
import { totpCode, totpStep } from './credentials/totp.ts'

let rig: Rig
let cedar: Tenant

beforeAll(async () => {
  rig = await administrationRig()
  cedar = await rig.tenant()
})
afterAll(() => rig.close())

const minuteMs = 60_000
const call = <Result>(by: Person, work: (scope: Scope) => Promise<Result>) => rig.call(by.caller, work)
const codeNow = (secret: string) => totpCode({ secret, step: totpStep(rig.clock.at) })
/** Steps are used up once: every use of a code in these tests has its own. */
const later = () => {
  rig.clock.at += minuteMs
}
const enrol = (by: Person, input: { password?: string; code?: string } = {}) => call(by, (scope) => rig.contract.enrolTotp(scope, input))
const confirm = (by: Person, code: string) => call(by, (scope) => rig.contract.confirmTotp(scope, { code }))
const remove = (by: Person, input: { password: string; code: string }) => call(by, (scope) => rig.contract.removeTotp(scope, input))
const regenerate = (by: Person, code: string) => call(by, (scope) => rig.contract.regenerateRecoveryCodes(scope, { code }))
interface Device {
  secret: string
  pending_secret: string | null
  confirmed_at: Date | null
  last_step: string
}
const device = async ({ identityId }: Person) =>
  (await rig.owner<Device>('select * from identity.totp_device where identity_id = $1', [identityId]))[0] ?? null
const recoveryRows = async ({ identityId }: Person) => {
  const sql = 'select code_hash from identity.recovery_code where identity_id = $1 and used_at is null'
  return (await rig.owner(sql, [identityId])).map(({ code_hash }) => code_hash)
}

/** A member with a second factor in force. */
async function secured(): Promise<{ by: Person; secret: string; recoveryCodes: readonly string[] }> {
  const by = await cedar.add('clinician')
  const { secret } = await enrol(by)
  const { recoveryCodes } = await confirm(by, codeNow(secret))
  later()
  return { by, secret, recoveryCodes }
}

describe('enrolling', () => {
  it('shows the secret once, stores it sealed for this person only, and puts nothing in force', async () => {
    const by = await cedar.add('clinician')
    const { secret, otpauthUri } = await enrol(by)
    expect(otpauthUri).toContain(`secret=${secret}`)
    expect(decodeURIComponent(otpauthUri)).toContain(by.email)
    const stored = await device(by)
    expect(stored!.secret).toMatch(/^v1\|/)
    expect(stored!.secret).not.toContain(secret)
    expect(stored!.confirmed_at).toBeNull()
    const other = await cedar.add('clinician')
    await enrol(other)
    await rig.owner('update identity.totp_device set secret = $2 where identity_id = $1', [other.identityId, stored!.secret])
    await expect(confirm(other, codeNow(secret))).rejects.toMatchObject({ code: 'SEALED_VALUE_UNREADABLE' })
  })

  it('in a session of single sign-on takes proof of the account, which may be older than the provider', async () => {
    const by = await cedar.add('clinician')
    if (by.caller.actor.kind !== 'member') throw new Error('not a member')
    const signedOn: Person = { ...by, caller: { ...by.caller, actor: { ...by.caller.actor, via: 'saml' } } }
    expect(await codeOf(enrol(signedOn))).toBe('PROOF_NEEDED')
    expect(await device(by)).toBeNull()
    expect(await codeOf(enrol(signedOn, { password }))).toBe('done')
  })

  it('again replaces what was not confirmed', async () => {
    const by = await cedar.add('clinician')
    const first = await enrol(by)
    const second = await enrol(by)
    expect(await codeOf(confirm(by, codeNow(first.secret)))).toBe('CODE_REFUSED')
    expect(await codeOf(confirm(by, codeNow(second.secret)))).toBe('done')
  })

  it('over a confirmed one needs its code or the password, and leaves it in force until the new one is confirmed', async () => {
    const { by, secret } = await secured()
    const before = await device(by)
    expect(await codeOf(enrol(by))).toBe('PROOF_NEEDED')
    expect(await codeOf(enrol(by, { password: 'a wrong password' }))).toBe('INVALID_CREDENTIALS')
    expect(await codeOf(enrol(by, { code: '000000' }))).toBe('CODE_REFUSED')
    expect(await device(by)).toEqual(before)
    for (const proof of [{ password }, { code: codeNow(secret) }]) {
      await enrol(by, proof)
      expect(await device(by)).toMatchObject({ secret: before!.secret, confirmed_at: before!.confirmed_at })
    }
    const next = await enrol(by, { password })
    later()
    expect(await codeOf(regenerate(by, codeNow(next.secret)))).toBe('CODE_REFUSED')
    expect(await codeOf(confirm(by, codeNow(secret)))).toBe('CODE_REFUSED')
    expect(await codeOf(confirm(by, codeNow(next.secret)))).toBe('done')
    later()
    expect(await codeOf(regenerate(by, codeNow(secret)))).toBe('CODE_REFUSED')
    expect(await codeOf(regenerate(by, codeNow(next.secret)))).toBe('done')
    expect((await device(by))!.pending_secret).toBeNull()
  })

  it('is for people who are signed in: no program, nobody', async () => {
    for (const who of [rig.program(cedar.id, new Set()), rig.nobody(cedar.id), cedar.operator]) {
      expect(await codeOf(rig.call(who, (scope) => rig.contract.enrolTotp(scope, {})))).toBe('UNAUTHENTICATED')
    }
  })
})

describe('confirming', () => {
  it('answers ten recovery codes once, stores their hashes, uses its code up and tells', async () => {
    const { by, recoveryCodes } = await secured()
    expect(new Set(recoveryCodes).size).toBe(10)
    const stored = await recoveryRows(by)
    expect(stored).toHaveLength(10)
    for (const code of recoveryCodes) expect(stored).not.toContain(code)
    expect(Number((await device(by))!.last_step)).toBe(totpStep(rig.clock.at - minuteMs))
    expect(await rig.events(cedar.id, 'identity.totp.confirmed')).toContainEqual({ membershipId: by.membershipId })
    expect(JSON.stringify(await rig.audited(cedar.id, 'totp.confirmed'))).not.toContain(recoveryCodes[0])
  })

  it('without anything enrolled, or a second time, is refused', async () => {
    expect(await codeOf(confirm(await cedar.add('clinician'), '123456'))).toBe('TOTP_NOT_ENROLLED')
    const { by, secret } = await secured()
    expect(await codeOf(confirm(by, codeNow(secret)))).toBe('TOTP_NOT_ENROLLED')
  })

  it('refuses what is no code of now', async () => {
    const by = await cedar.add('clinician')
    const { secret } = await enrol(by)
    const stale = totpCode({ secret, step: totpStep(rig.clock.at) - 3 })
    for (const code of [stale, '12345', '1234567', ' 12345', 'abcdef', '12345\0', '\u202e12345', '١٢٣']) {
      expect(await codeOf(confirm(by, code)), code).toBe('CODE_REFUSED')
    }
    expect(await codeOf(confirm(by, ''))).toBe('INVALID_INPUT')
    expect(await codeOf(confirm(by, '1'.repeat(65)))).toBe('INVALID_INPUT')
    const arabic = codeNow(secret).replace(/\d/g, (digit) => String.fromCharCode(0x660 + Number(digit)))
    expect(await codeOf(confirm(by, arabic))).toBe('done')
  })

  it('at once, several times, answers recovery codes to exactly one', async () => {
    const by = await cedar.add('clinician')
    const { secret } = await enrol(by)
    const code = codeNow(secret)
    const codes = await Promise.all(Array.from({ length: 6 }, () => codeOf(confirm(by, code))))
    expect(codes.filter((one) => one === 'done')).toHaveLength(1)
    for (const one of codes) expect(['done', 'CODE_REFUSED', 'TOTP_NOT_ENROLLED']).toContain(one)
    expect(await recoveryRows(by)).toHaveLength(10)
  })

  it('and enrolling anew at the same moment never leaves a secret in force that was not confirmed', async () => {
    for (let round = 0; round < 6; round++) {
      const by = await cedar.add('clinician')
      const { secret } = await enrol(by)
      const [confirmed, enrolled] = await Promise.all([codeOf(confirm(by, codeNow(secret))), codeOf(enrol(by))])
      const stored = await device(by)
      if (confirmed === 'done') expect(stored!.confirmed_at).not.toBeNull()
      // Enrolled first: its secret waits, nothing is in force. Confirmed first: enrolling needed proof.
      if (enrolled === 'done') expect(stored).toMatchObject({ confirmed_at: null, pending_secret: null })
      else expect([confirmed, enrolled, stored!.pending_secret]).toEqual(['done', 'PROOF_NEEDED', null])
    }
  })
})

describe('a code', () => {
  it('is good once, also when it comes twice at once', async () => {
    const { by, secret } = await secured()
    const code = codeNow(secret)
    const codes = await Promise.all(Array.from({ length: 5 }, () => codeOf(regenerate(by, code))))
    expect(codes.sort()).toEqual(['CODE_REFUSED', 'CODE_REFUSED', 'CODE_REFUSED', 'CODE_REFUSED', 'done'])
    expect(await codeOf(remove(by, { password, code }))).toBe('CODE_REFUSED')
  })

  it('cannot be guessed: after twenty wrong ones a day even the right one waits, and a recovery code still works', async () => {
    const { by, secret, recoveryCodes } = await secured()
    expect(await codeOf(regenerate(by, '000000'))).toBe('CODE_REFUSED')
    // As if twenty had been made; the counter of codes is the one that lives a day.
    await rig.owner("update identity.throttle_count set count = 20 where count > 0 and expires_at > now() + interval '20 hours'")
    expect(await codeOf(regenerate(by, codeNow(secret)))).toBe('TOO_MANY_REQUESTS')
    expect(await codeOf(remove(by, { password, code: codeNow(secret) }))).toBe('TOO_MANY_REQUESTS')
    const limited = expect.objectContaining({ detail: { reason: 'CODE_LIMIT' } })
    expect(await rig.audited(cedar.id, 'second_factor.refused')).toContainEqual(limited)
    expect(await codeOf(remove(by, { password, code: recoveryCodes[0]! }))).toBe('done')
    await rig.owner('delete from identity.throttle_count')
  })

  it('that was refused is in the audit trail; one that was right leaves no count behind', async () => {
    await rig.owner('delete from identity.throttle_count')
    const { by, secret } = await secured()
    expect(await codeOf(regenerate(by, codeNow(secret)))).toBe('done')
    expect(await rig.owner('select 1 from identity.throttle_count where count <> 0')).toEqual([])
    expect(await codeOf(regenerate(by, codeNow(secret)))).toBe('CODE_REFUSED')
    expect(await rig.owner('select 1 from identity.throttle_count where count > 0')).not.toEqual([])
    const refused = await rig.audited(cedar.id, 'second_factor.refused')
    expect(refused).toContainEqual(expect.objectContaining({ resource_id: by.identityId, detail: { reason: 'WRONG_CODE' } }))
    await rig.owner('delete from identity.throttle_count')
  })
})

describe('recovery codes', () => {
  it('made anew kill the old ones', async () => {
    const { by, secret, recoveryCodes } = await secured()
    const { recoveryCodes: fresh } = await regenerate(by, codeNow(secret))
    expect(await recoveryRows(by)).toHaveLength(10)
    expect(await codeOf(remove(by, { password, code: recoveryCodes[0]! }))).toBe('CODE_REFUSED')
    expect(await codeOf(remove(by, { password, code: fresh[0]!.toLowerCase().replaceAll('-', ' ') }))).toBe('done')
  })

  it('are made anew for nobody without a confirmed authenticator', async () => {
    const by = await cedar.add('clinician')
    const { secret } = await enrol(by)
    expect(await codeOf(regenerate(by, codeNow(secret)))).toBe('TOTP_NOT_ENROLLED')
  })
})

describe('removing', () => {
  it('wants the password and a code, and leaves nothing', async () => {
    const { by, secret } = await secured()
    expect(await codeOf(remove(by, { password: 'a wrong password', code: codeNow(secret) }))).toBe('INVALID_CREDENTIALS')
    expect(await codeOf(remove(by, { password, code: '000000' }))).toBe('CODE_REFUSED')
    expect(await device(by)).not.toBeNull()
    expect(await codeOf(remove(by, { password, code: codeNow(secret) }))).toBe('done')
    expect(await device(by)).toBeNull()
    expect(await recoveryRows(by)).toEqual([])
    expect(await codeOf(remove(by, { password, code: codeNow(secret) }))).toBe('TOTP_NOT_ENROLLED')
  })

  it('touches the second factor of the one who asks and of nobody else', async () => {
    const [one, other] = [await secured(), await secured()]
    await remove(one.by, { password, code: codeNow(one.secret) })
    expect(await device(other.by)).not.toBeNull()
  })
})
