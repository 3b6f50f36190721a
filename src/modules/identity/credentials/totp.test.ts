import { Secret, URI } from 'otpauth'
import { describe, expect, it } from 'vitest'
import { checkTotp, hashRecoveryCode, newRecoveryCodes, newTotpSecret, otpauthUri, totpCode, totpStep } from './totp.ts'

// RFC 6238 appendix B: the shared secret of its SHA-1 rows.
const secret = Secret.fromLatin1('12345678901234567890').base32

describe('the codes of RFC 6238 appendix B (SHA-1)', () => {
  it.each([
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130'],
  ])('at %i seconds it is %s', (seconds, code) => {
    const step = totpStep(seconds * 1_000)
    expect(totpCode({ secret, step, digits: 8 })).toBe(code)
    expect(totpCode({ secret, step })).toBe(code.slice(2))
  })
})

describe('checking a code', () => {
  const nowMs = 1_111_111_109_000
  const now = totpStep(nowMs)
  const codeAt = (step: number) => totpCode({ secret, step })
  const check = (code: string, lastStep: number | null = null) => checkTotp({ secret, code, nowMs, lastStep })

  it('accepts the step of now and one to either side, and tells which', () => {
    expect([-1, 0, 1].map((by) => check(codeAt(now + by)))).toEqual([now - 1, now, now + 1])
    expect([-3, -2, 2, 3].map((by) => check(codeAt(now + by)))).toEqual([null, null, null, null])
  })

  it('never accepts a step that was used, nor one before it', () => {
    for (const lastStep of [now - 1, now, now + 1]) {
      for (const by of [-1, 0, 1]) expect(check(codeAt(now + by), lastStep)).toBe(now + by > lastStep ? now + by : null)
    }
  })

  it('takes the later of two steps with the same code, so that the code is spent', () => {
    // Found by search: the code of this step of the secret is the code of the next one too.
    const twin = 910_737
    expect(codeAt(twin)).toBe(codeAt(twin + 1))
    const accepted = checkTotp({ secret, code: codeAt(twin), nowMs: twin * 30_000, lastStep: null })
    expect(accepted).toBe(twin + 1)
    expect(checkTotp({ secret, code: codeAt(twin), nowMs: (twin + 1) * 30_000, lastStep: accepted })).toBeNull()
  })

  it('reads Arabic-Indic digits of both kinds', () => {
    for (const zero of [0x660, 0x6f0]) {
      const typed = codeAt(now).replace(/\d/g, (digit) => String.fromCharCode(zero + Number(digit)))
      expect(check(typed)).toBe(now)
    }
  })

  it.each([
    '', '000000', '08180', '0818040', ' 81804', '081 804', '08180a', '0x8180', '-81804', '8.1804', '０８１８０４', '\x0081804',
    '0'.repeat(1_000_000),
  ])('refuses %j, which is no code of now', (code) => {
    expect(check(code)).toBeNull()
  })

  it('does not accept the code of another secret', () => {
    const stranger = Secret.fromLatin1('09876543210987654321').base32
    expect(check(totpCode({ secret: stranger, step: now }))).toBeNull()
  })
})

describe('enrolment', () => {
  it('makes a new secret of 160 bits each time', () => {
    const secrets = Array.from({ length: 50 }, newTotpSecret)
    expect(new Set(secrets).size).toBe(50)
    for (const text of secrets) expect(Secret.fromBase32(text).bytes).toHaveLength(20)
  })

  it('makes a URI that an app reads back, with Arabic names and without ambiguous colons', () => {
    const uri = otpauthUri({ secret, account: 'a:b\u202e@zaytuna.example', issuer: 'عيادة الزيتونة: الرباط' })
    const read = { issuer: 'عيادة الزيتونة الرباط', label: 'a b @zaytuna.example', digits: 6, period: 30, algorithm: 'SHA1' }
    expect(URI.parse(uri)).toMatchObject(read)
    expect(uri.match(/:/g)).toHaveLength(2)
    expect(uri).toContain(`secret=${secret}`)
  })
})

describe('recovery codes', () => {
  it('are ten, different, readable, of 80 bits, with their hashes beside them', () => {
    const { codes, hashes } = newRecoveryCodes()
    expect(new Set(codes).size).toBe(10)
    for (const code of codes) expect(code).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/)
    expect(codes.map(hashRecoveryCode)).toEqual(hashes)
    expect(hashes.join()).not.toContain(codes[0]!)
  })

  it('use every letter of their alphabet at every place', () => {
    const places = Array.from({ length: 16 }, () => new Set<string>())
    for (let round = 0; round < 200; round++) {
      for (const code of newRecoveryCodes().codes) [...code.replaceAll('-', '')].forEach((letter, place) => places[place]!.add(letter))
    }
    expect(places.map((letters) => letters.size)).toEqual(Array.from({ length: 16 }, () => 32))
  })

  it('are found whatever the case, dashes, blanks and look-alike letters', () => {
    const hash = hashRecoveryCode('0123-4567-89AB-CD10')
    for (const typed of ['0123456789abcd10', ' o123 4567 89ab cdIO ', '0123–4567—89AB\u00a0CDL0', '٠١٢٣-٤٥٦٧-٨٩ab-cd١٠']) {
      expect(hashRecoveryCode(typed)).toBe(hash)
    }
    expect(hashRecoveryCode('0123-4567-89AB-CD11')).not.toBe(hash)
  })

  it.each(['', '0123', '0123-4567-89AB-CD1', '0123-4567-89AB-CD100', '0123-4567-89AB-CDU0', '0123_4567_89AB_CD10', '-'.repeat(100_000)])(
    'cannot be %j',
    (code) => {
      expect(hashRecoveryCode(code)).toBeNull()
    },
  )
})
