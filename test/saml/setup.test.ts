/** Set-up by a hospital's IT alone, in a real browser, in both directions; no script runs in its pages. */
import { mkdirSync } from 'node:fs'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Scim } from '../../src/modules/federation/scim/contract.ts'
import { buildSaml } from '../../src/modules/federation/saml/index.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import { authLogin } from '../../src/platform/module.ts'
import type { TestTenant } from '../kit/house.ts'
import { samlHouse, type SamlHouse } from '../kit/saml-house.ts'
import { metadataOf, startIdp, type IdpDouble } from '../kit/saml-idp.ts'
import { groupBody, userBody } from '../kit/scim.ts'

let house: SamlHouse
let tenant: TestTenant
let idp: IdpDouble
let chrome: Browser
let bearer: string
/** Texts of TXT records, as the hospital's name server has them. */
const records = new Map<string, string[]>()

beforeAll(async () => {
  house = await samlHouse()
  Object.assign((house.composed.made['saml'] as ReturnType<typeof buildSaml>).resolver, { txtOf: async (name: string) => records.get(name) ?? [] })
  tenant = await house.tenant()
  idp = await startIdp()
  bearer = await house.signIn(tenant, 'tenant_admin')
  await bringByScim()
  // Debian's browser: its absence fails here.
  chrome = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}, 120_000)
afterAll(async () => {
  await chrome.close()
  await idp.close()
  await house.close()
})

/** A directory of the hospital that has brought one nurse, known by her object id. */
let directoryId: string
async function bringByScim(): Promise<void> {
  const scim = house.composed.made['scim']!.contract as Scim
  const made = await house.database.unit(operatorCaller(tenant.id)).command((scope) => scim.operatorCreateToken(scope, { connection: 'Directory', name: 'test' }))
  directoryId = made.connectionId
  const rules = [{ match: 'DISPLAY_NAME' as const, value: 'Nurses', role: 'clinician' as const }]
  await house.database.unit(tenant.member.tenant_admin.caller).command((scope) => scim.setRules(scope, { connectionId: directoryId, rules }), authLogin)
  const post = async (path: string, body: unknown) => {
    const headers = { authorization: `Bearer ${made.token}`, 'content-type': 'application/scim+json' }
    const answer = await fetch(`${house.url}/scim/v2${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    return ((await answer.json()) as { id: string }).id
  }
  await post('/Groups', groupBody('Nurses', [await post('/Users', userBody('noor@directory.example', { externalId: 'object-noor' }))]))
}

async function graph<Data = Record<string, never>>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
  const reply = await house.ask<Data>({ plane: 'console', bearer }, query, variables)
  if (!reply.data || reply.errors.length > 0) throw new Error(JSON.stringify(reply.errors))
  return reply.data
}

async function newLink(): Promise<{ id: string; link: string }> {
  const made = await graph<{ createSsoConnection: { data?: { id: string }; id?: string } }>(
    'mutation { createSsoConnection(name: "Hospital") { ... on SsoConnection { id } } }',
  )
  const id = made.createSsoConnection.id!
  const shown = await graph<{ createSsoSetupLink: { value: string } }>(
    'mutation ($id: ID!) { createSsoSetupLink(connectionId: $id) { ... on SsoSecret { value } } }',
    { id },
  )
  return { id, link: shown.createSsoSetupLink.value }
}

async function fresh(locale: 'en' | 'ar'): Promise<{ context: BrowserContext; page: Page; violations: string[] }> {
  const context = await chrome.newContext({ locale, viewport: desk })
  const page = await context.newPage()
  const violations: string[] = []
  page.on('console', (message) => void (/Content Security Policy/.test(message.text()) && violations.push(message.text())))
  return { context, page, violations }
}

const desk = { width: 1_000, height: 1_400 }
const telephone = { width: 360, height: 740 }
const fits = (page: Page) => page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')
const picture = async (page: Page, name: string) => {
  const folder = process.env['PICTURES']
  if (!folder) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true })
}
const rawId = (id: string) => Buffer.from(id, 'base64url').toString().split(':')[1]!
const state = (page: Page) => page.locator('#state').innerText()
/** Presses a form's button and waits for what it answers. */
async function press(page: Page, action: string): Promise<void> {
  const answered = page.waitForResponse((response) => response.request().isNavigationRequest() && ![302, 303].includes(response.status()))
  await page.locator(`form:has(input[name=action][value=${action}]) button`).first().click()
  await answered
  await page.waitForLoadState()
}

describe.each([
  ['en', 'ltr'],
  ['ar', 'rtl'],
] as const)('in %s', (locale, direction) => {
  test('IT goes from the link to an active connection', { timeout: 90_000 }, async () => {
    const { link } = await newLink()
    const { context, page, violations } = await fresh(locale)
    await page.goto(`${link}&lang=${locale}`)
    expect([await page.locator('html').getAttribute('dir'), await page.locator('html').getAttribute('lang')]).toEqual([direction, locale])
    await press(page, 'open')
    expect(await state(page)).toBe('DRAFT')
    expect(await page.getByText(`${house.url}/saml/${tenant.slug}/acs`).count()).toBe(1)

    await page.locator('select[name=vendor]').selectOption('okta')
    await press(page, 'vendor')
    const provider = locale === 'en' ? idp : await startIdp()
    await page.locator('input[name=file]').setInputFiles({ name: 'metadata.xml', mimeType: 'application/xml', buffer: Buffer.from(provider.metadata) })
    await press(page, 'metadata')
    expect(await state(page)).toBe('CONFIGURED')
    await page.locator('input[name=jit]').check()
    await page.locator('input[name=id]').fill('oid')
    await page.locator('select[name=directory]').selectOption(directoryId)
    await press(page, 'mapping')
    expect([await page.locator('input[name=id]').inputValue(), await page.locator('select[name=directory]').inputValue()]).toEqual(['oid', directoryId])
    await page.locator('input[name=attribute-0]').fill('groups')
    await page.locator('input[name=value-0]').fill('ممرضات <b>7</b>')
    await page.locator('select[name=role-0]').selectOption('clinician')
    await press(page, 'rules')
    expect(await page.locator('input[name=value-0]').inputValue()).toBe('ممرضات <b>7</b>')

    const domain = `${locale}.hospital.example`
    await page.locator('input[name=domain]:not([type=hidden])').fill(domain)
    await press(page, 'domain')
    await press(page, 'prove')
    expect(await page.getByRole('alert').count()).toBe(1)
    const challenge = (await page.getByText(/^maristan-sso=/).innerText()).trim()
    records.set(`_maristan-sso.${domain}`, [challenge])
    await press(page, 'prove')
    expect(await page.getByRole('alert').count()).toBe(0)

    // Not before a test sign-in.
    await press(page, 'activate')
    expect([await page.getByRole('alert').count(), await state(page)]).toEqual([1, 'CONFIGURED'])
    await picture(page, `setup-${locale}`)
    await page.setViewportSize(telephone)
    expect(await fits(page)).toBe(true)
    await picture(page, `setup-telephone-${locale}`)
    await page.setViewportSize(desk)

    provider.person = { nameId: `amal@${domain}`, attributes: { groups: ['ممرضات <b>7</b>'], oid: ['object-amal'] } }
    await page.locator('a[href*="test=1"]').click()
    await page.locator('#go').click()
    expect(await page.locator('#role').innerText()).toBe('clinician')
    expect(await page.content()).not.toContain(`amal@${domain}`)
    await page.setViewportSize(telephone)
    expect(await fits(page)).toBe(true)
    await picture(page, `tested-${locale}`)
    await page.setViewportSize(desk)
    await page.locator(`a[href*="/setup"]`).click()
    await picture(page, `setup-tested-${locale}`)
    expect(await state(page)).toBe('TESTED')
    await press(page, 'activate')
    expect(await state(page)).toBe('ACTIVE')
    expect(violations).toEqual([])
    await context.close()

    // Where a directory is named, newcomers are its to bring; whom it brought is known by her id, whatever her address.
    const newcomer = await house.signInAt(tenant, `?email=x@${domain}`)
    expect(await house.reasonOn(tenant, newcomer.page)).toBe('NO_MEMBERSHIP')
    provider.person = { nameId: `married@${domain}`, attributes: { oid: ['object-noor'] } }
    const known = await house.signInAt(tenant, `?email=x@${domain}`)
    expect(await house.session(known.browser)).toMatchObject({ email: 'noor@directory.example', role: 'clinician', via: 'saml' })
    if (provider !== idp) await provider.close()
  })
})

describe.each([
  ['en', 'ltr'],
  ['ar', 'rtl'],
] as const)('what people see in %s', (locale, direction) => {
  test('fits a telephone, reads in its direction and leads on by the keyboard', { timeout: 60_000 }, async () => {
    const [one, other] = [await startIdp(), await startIdp()]
    const clinic = await house.tenant()
    await house.connect(clinic, one, { name: 'مستشفى الزيتونة والأرز التخصصي للقلب', jitRole: 'clinician' })
    await house.connect(clinic, other, { name: 'Cedar' })
    const context = await chrome.newContext({ locale, viewport: telephone })
    const page = await context.newPage()
    const looksRight = async (name: string) => {
      await picture(page, `${name}-${locale}`)
      expect([name, await page.locator('html').getAttribute('dir')]).toEqual([name, direction])
      expect([name, await fits(page)]).toEqual([name, true])
    }
    const { link } = await newLink()
    await page.goto(link)
    await looksRight('begin')
    await page.goto(`${house.url}/saml/${tenant.slug}/setup`)
    await looksRight('dead')
    await page.goto(`${house.url}/saml/${clinic.slug}/login?plane=clinician`)
    await looksRight('ask')
    await page.goto(`${house.url}/saml/${clinic.slug}/recover`)
    await looksRight('recover')
    await page.goto(`${house.url}/saml/${clinic.slug}/logout`)
    await looksRight('signed-out')
    await page.goto(`${house.url}/saml/${clinic.slug}/nowhere`)
    await looksRight('absent')
    await page.goto(`${house.url}/saml/${clinic.slug}/login?plane=clinician`)
    other.person = { nameId: 'nobody@hospital.example' }
    await page.locator('a.button').last().click()
    await page.locator('#go').click()
    await looksRight('refused')
    expect(await page.locator('code').innerText()).toMatch(/^[0-9a-f-]{36}$/)
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.className')).toBe('button')
    await Promise.all([context.close(), one.close(), other.close()])
  })
})

describe('a provider that takes requests by POST alone', () => {
  test.each([true, false])('is reached by itself where scripts run, and by a button where none does (scripts: %s)', { timeout: 60_000 }, async (javaScriptEnabled) => {
    const theirs = await startIdp()
    theirs.metadata = metadataOf(theirs.provider.entityId, theirs.url, [theirs.provider.certificate], 'POST')
    const clinic = await house.tenant()
    await house.connect(clinic, theirs, { jitRole: 'clinician' })
    const context = await chrome.newContext({ javaScriptEnabled })
    const page = await context.newPage()
    const refusals: string[] = []
    page.on('console', (message) => void (message.type() === 'error' && /Content Security Policy/.test(message.text()) && refusals.push(message.text())))
    await page.goto(`${house.url}/saml/${clinic.slug}/login`)
    if (!javaScriptEnabled) await page.locator('button').click()
    await page.locator('#go').click()
    await page.waitForURL(`${house.url}/`)
    expect(refusals).toEqual([])
    expect((await context.cookies()).map(({ name }) => name)).toContain('d_sid')
    await Promise.all([context.close(), theirs.close()])
  })
})

describe('a setup link', () => {
  test('opens once, for one browser, and a look at it uses nothing up', { timeout: 60_000 }, async () => {
    const { link } = await newLink()
    const [first, second] = [await fresh('en'), await fresh('en')]
    await second.page.goto(link)
    await first.page.goto(link)
    await press(first.page, 'open')
    expect(await state(first.page)).toBe('DRAFT')
    const late = second.page.waitForResponse((response) => response.request().method() === 'POST')
    await press(second.page, 'open')
    expect((await late).status()).toBe(403)
    expect((await second.page.goto(`${house.url}/saml/${tenant.slug}/setup`))?.status()).toBe(403)
    // The work goes on where it was opened.
    await first.page.goto(`${house.url}/saml/${tenant.slug}/setup`)
    expect(await state(first.page)).toBe('DRAFT')
    await Promise.all([first.context.close(), second.context.close()])
  })

  test('opens nothing after its time, nor does the browser that opened it in time', { timeout: 60_000 }, async () => {
    const [late, used] = [await newLink(), await newLink()]
    const { context, page } = await fresh('en')
    const end = (id: string) => house.at.owner(`update saml.setup set expires_at = now() - interval '1 second' where connection_id = $1`, [rawId(id)])
    await end(late.id)
    await page.goto(late.link)
    const opened = page.waitForResponse((response) => response.request().method() === 'POST')
    await press(page, 'open')
    expect([(await opened).status(), await context.cookies()]).toEqual([403, []])
    await page.goto(used.link)
    await press(page, 'open')
    expect(await state(page)).toBe('DRAFT')
    const [{ days }] = (await house.at.owner(`select extract(day from expires_at - now())::int as days from saml.setup where connection_id = $1`, [rawId(used.id)])) as [{ days: number }]
    expect(days).toBe(13)
    await end(used.id)
    expect((await page.reload())?.status()).toBe(403)
    await context.close()
  })

  test('never makes anybody an administrator, and is not worked by another site', { timeout: 60_000 }, async () => {
    const { link } = await newLink()
    const { context, page } = await fresh('en')
    await page.goto(link)
    await press(page, 'open')
    const cookie = (await context.cookies(`${house.url}/saml/${tenant.slug}/setup`)).map(({ name, value }) => `${name}=${value}`).join('; ')
    const post = (form: Record<string, string>, headers: Record<string, string> = {}) =>
      fetch(`${house.url}/saml/${tenant.slug}/setup`, {
        method: 'POST',
        redirect: 'manual',
        headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: new URLSearchParams(form).toString(),
      })
    for (const role of ['tenant_admin', 'compliance_officer']) {
      const refused = await post({ action: 'rules', 'attribute-0': 'groups', 'value-0': 'admins', 'role-0': role })
      expect([refused.status, await refused.text()]).toEqual([422, expect.stringContaining('administrator with a second factor')])
    }
    expect((await post({ action: 'mapping', 'jit-role': 'tenant_admin' })).status).toBe(422)
    expect((await post({ action: 'domain', domain: 'a.example' }, { origin: 'https://evil.example' })).status).toBe(403)
    expect((await post({ action: 'domain', domain: 'a.example' }, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await post({ action: 'domain', domain: 'a.example' }, { origin: house.url })).status).toBe(303)
    expect((await post({ action: 'metadata', url: 'https://127.0.0.1/metadata' })).status).toBe(422)
    await context.close()
  })
})
