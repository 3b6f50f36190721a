/**
 * What a person sees in a real browser: who follows the link in a letter of ours, an invitation or a forgotten password; and the officer's
 * report of the trail.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../src/kernel/id.ts'
import type { AuditReport } from '../src/modules/audit/report/collect.ts'
import { reportPage } from '../src/modules/audit/report/page.ts'
import { lineColumns } from '../src/platform/ledger/chain.ts'
import { freshHouse, type TestHouse, type TestTenant } from './kit/house.ts'

const chosen = 'a quiet harbour at noon'

let house: TestHouse
let tenant: TestTenant
let chrome: Browser

beforeAll(async () => {
  house = await freshHouse()
  tenant = await house.tenant()
  // Debian's browser: its absence fails here.
  chrome = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}, 120_000)
afterAll(async () => {
  await chrome.close()
  await house.close()
})

/** The tenant's name as a heading has it, kept apart from the text around it. */
const named = () => `\u2068Tenant ${tenant.slug}\u2069`
const at = (path: string) => `http://${tenant.slug}.localhost:${new URL(house.url).port}${path}`

/** The link in the newest letter to an address, at this server. */
async function linkTo(email: string, path: string): Promise<string> {
  const folder = join(house.dataDir, 'mail')
  const find = () =>
    readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8').replaceAll('=\r\n', '').replaceAll('=\n', '').replaceAll('=3D', '='))
      .filter((letter) => letter.includes(email))
      .flatMap((letter) => [...letter.matchAll(new RegExp(`${path}#\\S+`, 'g'))].map(([link]) => link))
      .at(-1)
  return at(await expect.poll(find, { timeout: 20_000 }).toBeTruthy().then(() => find()!))
}

async function invited(email: string, role = 'clinician'): Promise<string> {
  const bearer = await house.signIn(tenant, 'tenant_admin')
  const reply = await house.ask<{ inviteMember: { id?: string; code?: string } }>(
    { plane: 'console', bearer },
    'mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { ... on Invitation { id } ... on Fault { code } } }',
    { input: { email, role } },
  )
  expect(reply.data?.inviteMember.id, JSON.stringify(reply)).toBeTruthy()
  return linkTo(email, '/invite')
}

async function signInAs(email: string, password: string, plane = 'clinician' as const): Promise<string | undefined> {
  const reply = await house.ask<{ signIn: { accessToken?: string; code?: string } }>(
    { plane, tenant: tenant.slug },
    'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } ... on Fault { code } } }',
    { input: { email, password } },
  )
  return reply.data?.signIn.accessToken ? 'SIGNED_IN' : reply.data?.signIn.code
}

async function open(locale: 'en' | 'ar', javaScriptEnabled = true): Promise<{ page: Page; complaints: string[] }> {
  const context = await chrome.newContext({ locale, javaScriptEnabled, viewport: { width: 800, height: 700 } })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
  page.on('pageerror', (error) => void complaints.push(error.message))
  return { page, complaints }
}
const picture = async (page: Page, name: string) => {
  const folder = process.env['PICTURES']
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}

test('an invited person chooses a password and can sign in; a weak one is refused and may be tried again', async () => {
  const email = 'noor@newcomer.test'
  const { page, complaints } = await open('en')
  await page.goto(await invited(email))
  expect(await page.title()).toBe(`You are invited to join ${named()}`)
  // The secret is in the form, and no longer in the address.
  expect(page.url()).toBe(at('/invite'))
  expect(await page.locator('#code').isVisible()).toBe(false)
  await picture(page, 'invite-en')
  await page.fill('#password', '0123456789')
  await page.click('button')
  expect(await page.textContent('[role=alert]')).toBe('This password is one of the first that anybody would try. Choose another.')
  expect(await signInAs(email, '0123456789')).toBe('INVALID_CREDENTIALS')
  await page.fill('#password', chosen)
  await page.check('#show')
  expect(await page.getAttribute('#password', 'type')).toBe('text')
  await page.click('button')
  expect(await page.textContent('h1')).toBe(`You have joined ${named()}`)
  expect(await signInAs(email, chosen)).toBe('SIGNED_IN')
  // The browser reports each answer that is no success as an error; nothing else is one.
  expect(complaints.filter((one) => !/status of 4\d\d/.test(one))).toEqual([])
})

test('in Arabic it reads from right to left, keeps the secret when the language is changed, and works without script', async () => {
  const email = 'amal@newcomer.test'
  const link = await invited(email)
  const { page } = await open('ar')
  await page.goto(link)
  expect(await page.getAttribute('html', 'dir')).toBe('rtl')
  expect(await page.title()).toBe(`أنت مدعوّ للانضمام إلى ${named()}`)
  await picture(page, 'invite-ar')
  await page.click('nav a')
  expect(await page.getAttribute('html', 'dir')).toBe('ltr')
  expect(await page.inputValue('#token')).toBe(link.split('#')[1])

  const { page: plain } = await open('ar', false)
  await plain.goto(link)
  expect(await plain.locator('#code').isVisible()).toBe(true)
  await plain.fill('#token', link.split('#')[1]!)
  await plain.fill('#password', 'قصير')
  await plain.click('button')
  expect(await plain.textContent('[role=alert]')).toBe('اختر كلمة مرور من ١٠ أحرف على الأقل.')
  await picture(plain, 'invite-ar-refused')
  await plain.fill('#password', 'مرفأ هادئ عند الظهيرة')
  await plain.click('button')
  expect(await plain.textContent('h1')).toBe(`لقد انضممت إلى ${named()}`)
  expect(await signInAs(email, 'مرفأ هادئ عند الظهيرة')).toBe('SIGNED_IN')
})

test('whoever has a password here proves it; a link that was used is refused', async () => {
  const { email } = tenant.member.family
  const link = await invited(email)
  const { page } = await open('en')
  await page.goto(link)
  await page.fill('#password', chosen)
  await page.click('button')
  expect(await page.textContent('[role=alert]')).toBe('You already have a password here, and this is not it.')
  await page.fill('#password', 'a long enough test password')
  await page.click('button')
  expect(await page.textContent('h1')).toContain('You have joined')
  await page.goto(link)
  await page.fill('#password', 'a long enough test password')
  await page.click('button')
  expect(await page.textContent('[role=alert]')).toBe('This invitation is not valid any more. Ask for a new one.')
})

test('a forgotten password is replaced, once', async () => {
  const { email } = tenant.member.clinician
  await house.ask({ plane: 'clinician', tenant: tenant.slug }, 'mutation ($email: String!) { requestPasswordReset(email: $email) { __typename } }', { email })
  const link = await linkTo(email, '/reset-password')
  const { page } = await open('en')
  await page.goto(link)
  expect(await page.title()).toBe(`Choose a new password for ${named()}`)
  await page.fill('#password', chosen)
  await page.click('button')
  expect(await page.textContent('h1')).toContain('Your new password works at')
  expect([await signInAs(email, 'a long enough test password'), await signInAs(email, chosen)]).toEqual(['INVALID_CREDENTIALS', 'SIGNED_IN'])
  await page.goto(link)
  await page.fill('#password', 'another quiet harbour')
  await page.click('button')
  expect(await page.textContent('[role=alert]')).toBe('This link was used or is too old. Ask for a new one.')
})

test('a form of another site is refused, an unknown organisation has no pages, and what is typed comes back escaped', async () => {
  const post = (headers: Record<string, string>, body = 'token=x&password=y') =>
    fetch(`${house.url}/invite`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-maristan-tenant': tenant.slug, ...headers },
      body,
    })
  expect((await post({ origin: 'https://elsewhere.test' })).status).toBe(403)
  expect((await post({ 'sec-fetch-site': 'cross-site' })).status).toBe(403)
  expect((await post({ 'x-maristan-tenant': 'nobody-here' })).status).toBe(404)
  const hostile = await post({}, new URLSearchParams({ token: '"><script>alert(1)</script>', password: 'y' }).toString())
  expect(hostile.status).toBe(404)
  const text = await hostile.text()
  expect(text).toContain('value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"')
  expect(hostile.headers.get('content-security-policy')).toMatch(/default-src 'none'.*script-src 'sha256-/)
  expect(hostile.headers.get('cache-control')).toBe('no-store')
})

test.each(['en', 'ar'] as const)('the officer’s report (%s) stands in the order of its language, fits its page on screen and on paper, and runs and loads nothing', async (locale) => {
  const { page, complaints } = await open(locale)
  const asked: string[] = []
  page.on('request', (request) => void asked.push(request.url()))
  const blank = Object.fromEntries(lineColumns.map((name) => [name, null])) as AuditReport['lines'][number]['event']
  const line = {
    ...blank, at: '2026-11-21T08:30:00.123456Z', actor_kind: 'member', actor_id: newId(), action: 'phi.read', resource: 'CareRecipient', resource_id: newId(),
    outcome: 'denied', purpose: 'TREATMENT', source_address: '2001:db8::7334', detail: `{"fields":["${'givenName '.repeat(3)}"],"x":"<img src=http://x/ onerror=alert(1)>"}`,
  }
  const report: AuditReport = {
    scope: { tenant: 'مستشفى-cedar', recipient: newId() as never, actor: null, from: null, to: null },
    madeAt: '2026-11-22T00:00:00.000Z', head: { seq: 40, hash: 'ab'.repeat(32) },
    lines: Array.from({ length: 3 }, (_, at) => ({ seq: at + 1, hash: 'x', event: line })),
  } as never
  await page.setContent(reportPage(report, locale))
  expect(await page.getAttribute('html', 'dir')).toBe(locale === 'ar' ? 'rtl' : 'ltr')
  expect(await page.locator('tbody tr').count()).toBe(3)
  const leftOf = async (selector: string) => (await page.locator(selector).first().boundingBox())!.x
  const [first, last] = [await leftOf('tbody td:first-child'), await leftOf('tbody td:last-child')]
  expect(locale === 'ar' ? first > last : first < last).toBe(true)
  // An id reads from the left in both: its first letter stands left of its last.
  const isLeftToRight = await page.evaluate(() => {
    const text = document.querySelector('dd code')!.firstChild!
    const x = (at: number) => {
      const range = document.createRange()
      range.setStart(text, at)
      range.setEnd(text, at + 1)
      return range.getBoundingClientRect().left
    }
    return x(0) < x(5)
  })
  expect(isLeftToRight).toBe(true)
  await picture(page, `report-${locale}`)
  for (const media of ['screen', 'print'] as const) {
    await page.emulateMedia({ media })
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), media).toBe(true)
  }
  // Every printed page has the heads of the columns.
  expect(await page.evaluate(() => getComputedStyle(document.querySelector('thead')!).display)).toBe('table-header-group')
  expect([asked, complaints]).toEqual([[], []])
})
