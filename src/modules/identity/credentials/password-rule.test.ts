import { describe, expect, it } from 'vitest'
import { checkNewPassword } from './password-rule.ts'

const owner = { email: 'Layla.Haddad@cedar.example' }

describe('a new password', () => {
  it.each([
    'harbour lamp 7', 'aaaaaaaaab', 'مفتاح البيت تحت الشجرة', '🌳🌲🌴🎄🌿🍀🌵🌾🍁🍂', '          x', 'x'.repeat(9) + 'yz', 'ab'.repeat(127) + 'xy',
    'layla.haddad@cedar.example.', 'my layla.haddad', `${'\u{1f333}x'.repeat(127)}zz`,
  ])('is taken when it is long and nobody would try it first (%s)', (plain) => {
    expect(() => checkNewPassword(plain, owner)).not.toThrow()
  })

  it.each([
    ['too-short', ''],
    ['too-short', 'nine char'],
    ['too-short', '🌳🌲🌴🎄🌿'],
    ['too-short', 'e\u0301'.repeat(9)],
    ['too-long', 'xy'.repeat(128) + 'z'],
    ['too-long', 'x'.repeat(1_000_000)],
    ['too-long', '\ufdfa'.repeat(20)],
    ['unreadable', 'harbour\0lamp 7'],
    ['unreadable', 'harbour lamp \ud800'],
    ['common', 'Password123'],
    ['common', 'ｐａｓｓｗｏｒｄ１２３'],
    ['common', ' 1234567890 '],
    ['common', '١٢٣٤٥٦٧٨٩٠'],
    ['common', 'aaaaaaaaaaaa'],
    ['common', 'abcabcabcabc'],
    ['like-email', 'layla.haddad@cedar.example'],
    ['like-email', 'LAYLA.HADDAD'],
    ['like-email', ' Layla.Haddad '],
  ])('is refused as %s (%#)', (reason, plain) => {
    const refusal = expect.objectContaining({ code: 'PASSWORD_REFUSED', kind: 'invalid', data: { reason } })
    expect(() => checkNewPassword(plain, owner)).toThrow(refusal)
  })

  it('never appears in the refusal', () => {
    try {
      checkNewPassword('Layla.Haddad', owner)
      expect.unreachable()
    } catch (error) {
      expect(JSON.stringify(error) + String(error)).not.toMatch(/layla/i)
    }
  })
})
