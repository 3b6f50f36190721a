/** Signing in through a hospital's identity provider, over real HTTP on both sides. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { samlHouse, type SamlHouse } from '../kit/saml-house.ts'
import { answerOf, Browser, metadataOf, startIdp, type IdpDouble, type Page } from '../kit/saml-idp.ts'
import { logoutRequest, logoutResponse, type Outgoing } from '../../src/modules/federation/saml/messages.ts'
import { authLogin } from '../../src/platform/module.ts'
import { keysOf, makeProvider } from '../kit/saml-provider.ts'
import type { TestTenant } from '../kit/house.ts'

let house: SamlHouse
let tenant: TestTenant
let idp: IdpDouble
let connectionId: string
/** A tenant whose connection takes what nobody asked for. */
let open: TestTenant
// Made before the house is: making a key holds this whole process up.
const stranger = makeProvider('https://stranger.example')

beforeAll(async () => {
  idp = await startIdp()
  house = await samlHouse()
  tenant = await house.tenant()
  open = await house.tenant()
  await house.connect(open, idp, { jitRole: 'clinician', allowIdpInitiated: true })
  connectionId = await house.connect(tenant, idp, { jitRole: 'clinician', name: 'Hospital' })
}, 60_000)
afterAll(async () => {
  await idp.close()
  await house.close()
})

const acs = (of: TestTenant = tenant) => `${house.url}/saml/${of.slug}/acs`
const audience = (of: TestTenant = tenant) => `${house.url}/saml/${of.slug}/metadata`
async function anotherIdp(): Promise<IdpDouble> {
  const other = await startIdp()
  onTestFinished(() => other.close())
  return other
}

describe('a newcomer of a connection that takes them', () => {
  test('comes in on the plane of the role, by a cookie, under the name the provider uses or makes for her', async () => {
    idp.person = { nameId: 'noor@hospital.example' }
    const { browser, page } = await house.signInAt(tenant, '?return=/rounds')
    expect(idp.seen.at(-1)?.mayCreate).toBe(true)
    expect([page.status, page.location]).toEqual([303, `${house.url}/rounds`])
    expect(browser.has('d_sid')).toBe(true)
    expect(await house.session(browser)).toEqual({
      tenant: tenant.slug,
      email: 'noor@hospital.example',
      nameId: 'noor@hospital.example',
      role: 'clinician',
      plane: 'clinician',
      via: 'saml',
    })
  })

  test('is the same member when she comes again, and when her address has changed', async () => {
    idp.person = { nameId: 'u-1', format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent', attributes: { mail: ['dina@hospital.example'] } }
    const first = await house.session((await house.signInAt(tenant)).browser)
    idp.person = { ...idp.person, attributes: { mail: ['dina.new@hospital.example'] } }
    const again = await house.session((await house.signInAt(tenant)).browser)
    expect([first['email'], again['email']]).toEqual(['dina@hospital.example', 'dina@hospital.example'])
  })

  test('is asked for by a request that our own certificate has signed, and never with another site as the way back', async () => {
    idp.person = { nameId: 'noor@hospital.example' }
    const before = idp.seen.length
    for (const wanted of ['https://evil.example/', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '/%0d%0aset-cookie:x=1', '\\\\evil.example']) {
      const { page } = await house.signInAt(tenant, `?return=${encodeURIComponent(wanted)}`)
      expect(new URL(page.location!).origin, wanted).toBe(house.url)
    }
    expect(idp.seen.length - before).toBe(6)
  })

  test('is sent to prove herself anew where that is asked for', async () => {
    await house.signInAt(tenant, '?force=1')
    expect(idp.seen.at(-1)?.forceAuthn).toBe(true)
  })
})

describe('no session comes of', () => {
  const forged = (options: Partial<Parameters<typeof answerOf>[1]> = {}) =>
    answerOf(idp.provider, { acsUrl: acs(), audience: audience(), inResponseTo: null, person: { nameId: 'noor@hospital.example' }, ...options })

  test('an answer by redirect', async () => {
    const page = await new Browser().open(`${acs()}?SAMLResponse=${encodeURIComponent(forged())}`)
    expect(page.status).toBe(405)
  })

  test('an answer that nobody asked for, unless the connection takes those', async () => {
    const browser = new Browser()
    const page = await browser.open(acs(), { method: 'POST', form: { SAMLResponse: forged() }, fromSite: idp.url })
    expect([page.status, await house.reasonOn(tenant, page)]).toEqual([403, 'UNSOLICITED'])
    expect(browser.cookies()).toEqual([])

    const taken = forged({ acsUrl: acs(open), audience: audience(open) })
    const posted = await browser.open(acs(open), { method: 'POST', form: { SAMLResponse: taken, RelayState: '/today' }, fromSite: idp.url })
    const done = await browser.open(posted.location!)
    expect([done.location, (await house.session(browser))['via']]).toEqual([`${house.url}/today`, 'saml'])
    const astray = { SAMLResponse: forged({ acsUrl: acs(open), audience: audience(open) }), RelayState: 'https://evil.example/' }
    const again = await browser.open((await browser.open(acs(open), { method: 'POST', form: astray, fromSite: idp.url })).location!)
    expect(again.location).toBe(`${house.url}/`)
  })

  test('an answer that another browser carries: signing somebody in as oneself fails', async () => {
    const attacker = new Browser()
    const victim = new Browser()
    const form = await attacker.follow(house.loginUrl(tenant))
    const posted = await victim.press(form)
    const page = await victim.open(posted.location!)
    expect([page.status, await house.reasonOn(tenant, page)]).toEqual([403, 'OTHER_BROWSER'])
    expect(victim.has('d_sid')).toBe(false)
    // The same answer still waits for the browser that asked.
    expect((await attacker.open(posted.location!)).status).toBe(303)
    expect((await attacker.open(posted.location!)).status).toBe(403)
  })

  test('an assertion that was used before, and a request that was answered', async () => {
    const browser = new Browser()
    const form = await browser.follow(house.loginUrl(tenant))
    expect((await browser.press(form)).status).toBe(303)
    const twice = await browser.press(form)
    expect([twice.status, await house.reasonOn(tenant, twice)]).toEqual([403, 'UNKNOWN_REQUEST'])

    const taken = forged({ acsUrl: acs(open), audience: audience(open) })
    const post = () => browser.open(acs(open), { method: 'POST', form: { SAMLResponse: taken }, fromSite: idp.url })
    // Twenty at once are one: the database decides, whichever process asks it.
    const pages = await Promise.all(Array.from({ length: 20 }, post))
    expect(pages.filter(({ status }) => status === 303)).toHaveLength(1)
    expect(await house.reasonOn(open, pages.find(({ status }) => status === 403)!)).toBe('REPLAYED')
  })

  test("another tenant's provider, a stranger's signature, another tenant's request", async () => {
    const other = open
    const theirs = await anotherIdp()
    await house.connect(other, theirs, { jitRole: 'clinician' })
    const post = async (SAMLResponse: string) => {
      const page = await new Browser().open(acs(), { method: 'POST', form: { SAMLResponse }, fromSite: idp.url })
      return [page.status, await house.reasonOn(tenant, page)]
    }
    const asTheirs = { acsUrl: acs(), audience: audience(), inResponseTo: null, person: { nameId: 'noor@hospital.example' } }
    expect(await post(answerOf(theirs.provider, asTheirs))).toEqual([403, 'UNKNOWN_PROVIDER'])
    const browser = new Browser()
    await browser.follow(house.loginUrl(tenant))
    const id = idp.seen.at(-1)!.id
    expect(await post(forged({ inResponseTo: id, by: stranger }))).toEqual([403, expect.stringMatching(/^SIGN/)])
    expect(await post(answerOf(theirs.provider, { ...asTheirs, inResponseTo: id }))).toEqual([403, expect.any(String)])
    const page = await new Browser().open(acs(other), { method: 'POST', form: { SAMLResponse: forged({ inResponseTo: id }) }, fromSite: idp.url })
    expect([page.status, await house.reasonOn(other, page)]).toEqual([403, 'UNKNOWN_REQUEST'])
  })

  test('an address that somebody here has already: a member’s, a relative’s, a former member’s; until an administrator has linked her', async () => {
    const { family, clinician, caregiver, tenant_admin: admin } = tenant.member
    await house.at.owner(`update identity.membership set status = 'ENDED' where id = $1`, [caregiver.membershipId])
    const held = () =>
      house.at.owner('select m.role, m.status::text from identity.membership m join identity.identity i on i.id = m.identity_id where i.email = $1', [family.email])
    for (const { email } of [clinician, family, caregiver]) {
      idp.person = { nameId: email }
      const { page, browser } = await house.signInAt(tenant)
      expect([email, page.status, await house.reasonOn(tenant, page), browser.has('d_sid')]).toEqual([email, 403, 'NOT_LINKED', false])
    }
    expect(await held()).toEqual([{ role: 'family', status: 'ACTIVE' }])
    // The administrator knows that the nurse and the relative are one person: two memberships, and the sign-in opens the one that is linked.
    const membershipId = '018f0000-0000-7000-8000-00000000000a'
    await house.at.owner(
      `insert into identity.membership (tenant_id, id, identity_id, role, plane, status)
       select tenant_id, $2::uuid, identity_id, 'clinician', 'clinician', 'ACTIVE' from identity.membership where id = $1`,
      [family.membershipId, membershipId],
    )
    const unit = house.database.unit(admin.caller)
    await unit.command((scope) => house.saml.linkMember(scope, { connectionId, membershipId, externalId: family.email }), authLogin)
    idp.person = { nameId: family.email }
    const { browser } = await house.signInAt(tenant)
    expect(await house.session(browser)).toMatchObject({ role: 'clinician', plane: 'clinician', email: family.email })
    expect([browser.has('d_sid'), browser.has('c_sid')]).toEqual([true, false])
  })

  test('a plane that is not hers, and none that single sign-on never reaches', async () => {
    idp.person = { nameId: 'plane@hospital.example' }
    const { page: astray } = await house.signInAt(tenant, '?plane=console')
    expect([astray.status, await house.reasonOn(tenant, astray)]).toEqual([403, 'WRONG_PLANE'])
    const sent = idp.seen.length
    for (const plane of ['consumer', 'seller', 'Console', '']) {
      expect([plane, (await new Browser().open(house.loginUrl(tenant, `?plane=${plane}`))).status]).toEqual([plane, 400])
    }
    expect(idp.seen).toHaveLength(sent)
    expect(await house.session((await house.signInAt(tenant, '?plane=clinician')).browser)).toMatchObject({ plane: 'clinician' })
  })

  test('a connection without newcomers, for whom nobody has linked', async () => {
    const theirs = await anotherIdp()
    const id = await house.connect(tenant, theirs)
    theirs.person = { nameId: 'nobody@hospital.example' }
    const { page } = await house.signInAt(tenant, `?connection=${id}`)
    expect([page.status, await house.reasonOn(tenant, page)]).toEqual([403, 'NO_MEMBERSHIP'])
  })
})

describe('the page of a refusal', () => {
  test('is the same whatever the reason, in the language of its reader, and runs no script', async () => {
    const common = { acsUrl: acs(), audience: audience(), person: { nameId: 'noor@hospital.example' } }
    const answers = [
      'bm90IHhtbA==',
      answerOf(idp.provider, { ...common, inResponseTo: null }),
      answerOf(idp.provider, { ...common, inResponseTo: '_nobody-asked' }),
      answerOf(stranger, { ...common, inResponseTo: null }),
    ]
    const post = (language: string, SAMLResponse: string) =>
      fetch(acs(), { method: 'POST', headers: { 'accept-language': language }, body: new URLSearchParams({ SAMLResponse }) })
    for (const [language, direction] of [['en', 'ltr'], ['ar', 'rtl']] as const) {
      const pages = await Promise.all(answers.map(async (answer) => {
        const page = await post(language, answer)
        expect([page.status, page.headers.get('content-security-policy')]).toEqual([403, expect.stringContaining("default-src 'none'")])
        return page.text()
      }))
      const ids = pages.map((text) => /<code>([0-9a-f-]{36})<\/code>/.exec(text)![1]!)
      const reasons = await house.at.owner<{ reason: string }>('select reason from saml.attempt where id = any($1::uuid[]) order by 1', [ids])
      expect(reasons.map(({ reason }) => reason)).toEqual(['UNKNOWN_PROVIDER', 'UNKNOWN_REQUEST', 'UNSOLICITED', 'XML_MALFORMED'])
      expect(new Set(pages.map((text, k) => text.replace(ids[k]!, '')))).toHaveProperty('size', 1)
      expect(pages[0]).toContain(`<html lang="${language}" dir="${direction}">`)
    }
  })
})

describe('of several connections', () => {
  let clinic: TestTenant
  const idps = {} as Record<'north' | 'south' | 'open', IdpDouble>
  const ids = {} as Record<'north' | 'south' | 'open', string>
  beforeAll(async () => {
    clinic = await house.tenant()
    for (const name of ['north', 'south', 'open'] as const) {
      idps[name] = await startIdp()
      ids[name] = await house.connect(clinic, idps[name], { name, jitRole: 'clinician', ...(name === 'open' ? {} : { domain: 'two.example' }) })
    }
  })
  afterAll(() => Promise.all(Object.values(idps).map((one) => one.close())))
  const asks = async (query: string) => {
    const page = await new Browser().open(house.loginUrl(clinic, query))
    return page.location ?? [...page.body.matchAll(/class="button" href="[^"]*connection=([0-9a-f-]{36})"/g)].map(([, id]) => id)
  }

  test('one is chosen by the domain it has proven, both are asked for where two have, and a link names one', async () => {
    expect(await asks('?email=a@two.example')).toEqual([ids.north, ids.south])
    expect(await asks('?email=A@Elsewhere.Example')).toContain(idps.open.url)
    expect(await asks('')).toEqual([ids.north, ids.south, ids.open])
    expect(await asks(`?connection=${ids.south}`)).toContain(idps.south.url)
  })

  test('none speaks for a domain that only another has proven, nor beside the domains it has proven itself', async () => {
    const enter = async (name: keyof typeof idps, nameId: string) => {
      idps[name].person = { nameId }
      const { page } = await house.signInAt(clinic, `?connection=${ids[name]}`)
      return page.status === 303 ? 'in' : house.reasonOn(clinic, page)
    }
    expect(await enter('open', 'a@two.example')).toBe('DOMAIN_OF_OTHERS')
    expect(await enter('north', 'a@elsewhere.example')).toBe('DOMAIN_OF_OTHERS')
    expect([await enter('north', 'a@two.example'), await enter('south', 'b@two.example'), await enter('open', 'c@elsewhere.example')]).toEqual(['in', 'in', 'in'])
  })

  test('the one that was asked must answer', async () => {
    const browser = new Browser()
    await browser.follow(house.loginUrl(clinic, `?connection=${ids.north}`))
    const inResponseTo = idps.north.seen.at(-1)!.id
    const to = { acsUrl: acs(clinic), audience: audience(clinic), inResponseTo, person: { nameId: 'd@two.example' } }
    const post = (SAMLResponse: string) => browser.open(acs(clinic), { method: 'POST', form: { SAMLResponse }, fromSite: idps.south.url })
    const page = await post(answerOf(idps.south.provider, to))
    expect([page.status, await house.reasonOn(clinic, page)]).toEqual([403, expect.stringMatching(/^SIGN/)])
    expect((await post(answerOf(idps.north.provider, to))).status).toBe(303)
  })
})

describe('an encrypted assertion', () => {
  test('is opened with the key that our metadata publishes', async () => {
    const ours = await (await fetch(audience(open))).text()
    const encryptTo = `-----BEGIN CERTIFICATE-----\n${/use="encryption".*?X509Certificate>([^<]+)</s.exec(ours)![1]}\n-----END CERTIFICATE-----`
    const person = { nameId: 'secret@hospital.example' }
    const SAMLResponse = answerOf(idp.provider, { acsUrl: acs(open), audience: audience(open), inResponseTo: null, person, encryptTo })
    const browser = new Browser()
    const posted = await browser.open(acs(open), { method: 'POST', form: { SAMLResponse }, fromSite: idp.url })
    await browser.open(posted.location!)
    expect(await house.session(browser)).toMatchObject({ role: 'clinician', nameId: 'secret@hospital.example' })
  })
})

describe('a provider that takes messages by POST alone', () => {
  const nameId = 'form@hospital.example'
  let theirs: IdpDouble
  let clinic: TestTenant
  beforeAll(async () => {
    theirs = await startIdp()
    theirs.metadata = metadataOf(theirs.provider.entityId, theirs.url, [theirs.provider.certificate], 'POST')
    theirs.person = { nameId }
    clinic = await house.tenant()
    await house.connect(clinic, theirs, { jitRole: 'clinician' })
  })
  afterAll(() => theirs.close())

  const fieldOf = (page: Page, name: string) => new RegExp(`name="${name}" value="([^"]*)"`).exec(page.body)?.[1] ?? ''
  const arrive = async (): Promise<Browser> => {
    const browser = new Browser()
    const posted = await browser.press(await browser.press(await browser.open(house.loginUrl(clinic, '?return=/rounds'))))
    expect((await browser.open(posted.location!)).location).toBe(`${house.url}/rounds`)
    expect((await house.session(browser))['via']).toBe('saml')
    return browser
  }
  const logoutUrl = () => `${house.url}/saml/${clinic.slug}/logout`
  const messages = () => ({
    keys: keysOf(theirs.provider),
    addresses: { entityId: theirs.provider.entityId, metadataUrl: '', acsUrl: '', loginUrl: '', logoutUrl: `${theirs.url}/slo` },
    idp: { entityId: audience(clinic), slo: { url: logoutUrl(), binding: 'post' } },
  }) as const
  const fields = (to: Outgoing) => (to.kind === 'POST' ? to.fields : {})
  const send = (form: Readonly<Record<string, string>>, browser = new Browser()) => browser.open(logoutUrl(), { method: 'POST', form, fromSite: theirs.url })

  test('is sent a form with a signed request, which goes by itself or by a button', async () => {
    const answer = await fetch(house.loginUrl(clinic, '?return=/rounds&force=1'))
    const page = await answer.text()
    // One script, allowed by its own hash, and nothing else.
    const [script, ...others] = [...page.matchAll(/<script>(.*?)<\/script>/gs)].map((match) => match[1]!)
    expect(others).toEqual([])
    const source = `'sha256-${createHash('sha256').update(script!).digest('base64')}'`
    expect(/script-src ([^;]+)/.exec(answer.headers.get('content-security-policy') ?? '')?.[1]).toBe(source)
    expect(page).toMatch(/<button[^>]*>/)
    await arrive()
    expect(theirs.seen.at(-1)).toMatchObject({ relayState: '/rounds', forceAuthn: false })
  })

  test('is told of a sign-out by form, and its answer is taken once, from it alone', async () => {
    const browser = await arrive()
    const asked = await browser.open(`${logoutUrl()}?plane=clinician`)
    expect((await house.session(browser))['via']).toBeUndefined()
    await browser.press(asked)
    const request = theirs.logouts.at(-1)!
    expect(request).toContain('<samlp:LogoutRequest')
    const [inResponseTo, relayState] = [/ID="([^"]+)"/.exec(request)![1]!, fieldOf(asked, 'RelayState')]
    const answer = (keys = messages().keys) => fields(logoutResponse({ ...messages(), keys, id: `_a${Math.random()}`, inResponseTo, relayState }))
    expect((await send(answer(keysOf(stranger)))).status).toBe(403)
    expect((await send(answer())).status).toBe(200)
    expect(await house.reasonOn(clinic, await send(answer()))).toBe('UNKNOWN_REQUEST')
  })

  test('ends a session by a signed form, and is answered by one', async () => {
    const browser = await arrive()
    const subject = { nameId, nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress', sessionIndex: '_s1' }
    const ask = (keys = messages().keys) => fields(logoutRequest({ ...messages(), keys, id: '_ended-by-form', subject }))
    expect((await send(ask(keysOf(stranger)))).status).toBe(403)
    expect((await house.session(browser))['via']).toBe('saml')
    const answered = await send(ask())
    expect((await house.session(browser))['via']).toBeUndefined()
    expect(answered.body).toContain(`action="${theirs.url}/slo"`)
    await new Browser().press(answered)
    expect(theirs.logouts.at(-1)).toMatch(/<samlp:LogoutResponse[^>]*InResponseTo="_ended-by-form"/)
  })
})

test('a connection belongs to one provider once in a tenant', async () => {
  await expect(house.connect(tenant, idp)).rejects.toThrow(expect.objectContaining({ code: 'ENTITY_TAKEN' }))
  expect(connectionId).toMatch(/^[0-9a-f-]{36}$/)
})
