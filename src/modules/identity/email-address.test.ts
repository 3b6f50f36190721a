import { describe, expect, it } from 'vitest'
import { canonicalEmail, emailInput } from './email-address.ts'

describe('an e-mail address', () => {
  it('is one account in whatever case, composition and script form it is typed', () => {
    const same: [string, string[]][] = [
      ['amal@example.org', ['AMAL@EXAMPLE.ORG', ' Amal@Example.Org ', 'amal@example。org']],
      ['zoe\u0301@example.org'.normalize('NFC'), ['zoe\u0301@example.org', 'ZO\u00c9@example.org']],
      ['amal@xn--mgbh0fb.xn--kgbechtv', ['amal@مثال.إختبار', 'AMAL@XN--MGBH0FB.XN--KGBECHTV']],
      ['أمل@example.org', ['أمل@EXAMPLE.org']],
      ['o\'brien+care@example.co.uk', ['O\'Brien+Care@Example.CO.UK']],
      ['𐐨mal@example.org', ['𐐀mal@example.org']],
    ]
    for (const [stored, spellings] of same) {
      for (const spelling of [stored, ...spellings]) expect(canonicalEmail(spelling), spelling).toBe(stored)
    }
  })

  it('is refused where it deceives a reader, a mail server or the database', () => {
    const bad = [
      '', '@', 'a@', '@b.org', 'a@b', 'a b@c.org', 'a@b c.org', '"a b"@c.org', 'a(x)@b.org', 'a@[192.0.2.1]', 'a@192.0.2.1', 'a@0x7f.1',
      'a@b.org\0', 'a\0@b.org', 'a\n@b.org', 'a@b.org\nBcc: x@y.org', 'a@b.org,x@y.org', 'a@b.org;x', '<a@b.org>', 'a@b@c.org\u202e',
      '\u202eamal@example.org', 'a\u2066b@example.org', 'a\u200bb@example.org', '\ud800a@example.org', '.a@b.org', 'a.@b.org', 'a..b@c.org',
      'a@-b.org', 'a@b..org', 'a@b.org.', `${'a'.repeat(65)}@b.org`, `${'أ'.repeat(33)}@b.org`, `a@${'b'.repeat(64)}.org`,
      `a@${'b.'.repeat(130)}org`, 'a'.repeat(100_000), `${'ﷺ'.repeat(64)}@b.org`,
    ]
    for (const typed of bad) {
      expect(canonicalEmail(typed), JSON.stringify(typed.slice(0, 60))).toBeNull()
      expect(emailInput.safeParse(typed).success).toBe(false)
    }
  })

  it('is as long as mail can carry, and no longer', () => {
    const domain = `${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(62)}.org`
    expect(canonicalEmail(`${'a'.repeat(64)}@${domain}`)).toHaveLength(64 + 1 + domain.length)
    expect(canonicalEmail(`${'a'.repeat(64)}@e.${domain}x`)).toBeNull()
  })

  it('never repeats what was typed in its refusal', () => {
    expect(JSON.stringify(emailInput.safeParse('secret address').error)).not.toContain('secret')
  })
})
