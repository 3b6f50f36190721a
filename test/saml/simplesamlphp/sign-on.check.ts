/** Sign-in and sign-out with an identity provider that is none of ours. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { operatorCaller } from '../../../src/operator/operator-scope.ts'
import { authLogin } from '../../../src/platform/module.ts'
import type { TestTenant } from '../../kit/house.ts'
import { samlHouse, type SamlHouse } from '../../kit/saml-house.ts'
import { Browser, type Page } from '../../kit/saml-idp.ts'
import { startThirdParty, type ThirdParty } from './provider.ts'

let house: SamlHouse
let tenant: TestTenant
let provider: ThirdParty

beforeAll(async () => {
  house = await samlHouse()
  tenant = await house.tenant()
  provider = await startThirdParty()
  const unit = house.database.unit(operatorCaller(tenant.id))
  const xml = await (await fetch(provider.metadataUrl)).text()
  await unit.command((scope) => house.saml.operatorConnect(scope, { xml, jitRole: 'clinician', domain: 'hospital.example' }), authLogin)
})
afterAll(async () => {
  await provider.stop()
  await house.close()
})

const ourMetadata = async () => (await fetch(`${house.url}/saml/${tenant.slug}/metadata`)).text()

/** Fills in its sign-in page and posts what it answers back to us. */
async function signIn(browser: Browser): Promise<Page> {
  const theirs = (url: string) => url.startsWith(provider.url)
  const form = await browser.follow(house.loginUrl(tenant, '?return=/rounds'), theirs)
  let page = form
  if (/name="password"/.test(form.body)) {
    const authState = /name="AuthState" value="([^"]+)"/.exec(form.body)![1]!.replaceAll('&amp;', '&')
    const url = form.url.split('?')[0]!
    page = await browser.open(url, { method: 'POST', form: { username: 'noor', password: 'a password of this run', AuthState: authState }, fromSite: form.url })
    for (let step = 0; page.location !== null && theirs(page.location) && step < 10; step++) page = await browser.open(page.location)
  }
  const field = (name: string) => new RegExp(`name="${name}"\\s+value="([^"]*)"`).exec(page.body)?.[1] ?? ''
  const posted = await browser.open(`${house.url}/saml/${tenant.slug}/acs`, {
    method: 'POST',
    form: { SAMLResponse: field('SAMLResponse'), RelayState: field('RelayState') },
    fromSite: provider.url,
  })
  return posted.location === null ? posted : browser.open(posted.location)
}

for (const encrypts of [false, true]) {
  test(`signs in a person with ${encrypts ? 'an encrypted' : 'a plain'} assertion`, async () => {
    provider.trust(await ourMetadata(), { encrypts })
    const browser = new Browser()
    const page = await signIn(browser)
    expect([page.status, page.status === 403 ? await house.reasonOn(tenant, page) : page.location]).toEqual([303, `${house.url}/rounds`])
    expect(await house.session(browser)).toMatchObject({ email: 'noor@hospital.example', nameId: 'noor', role: 'clinician', via: 'saml' })
  })
}

test('signs her out here when she signs out there', async () => {
  provider.trust(await ourMetadata())
  const browser = new Browser()
  await signIn(browser)
  expect((await house.session(browser))['via']).toBe('saml')
  const start = `${provider.url}/saml2/idp/initSLO.php?RelayState=${encodeURIComponent(`${provider.url}/`)}`
  const seen: string[] = []
  await browser.follow(start, (url) => seen.push(url) > 0 && seen.length < 8)
  expect(seen.some((url) => url.startsWith(`${house.url}/saml/${tenant.slug}/logout?SAMLRequest=`))).toBe(true)
  expect(seen.some((url) => url.startsWith(`${provider.url}/saml2/idp/SingleLogoutService.php?SAMLResponse=`))).toBe(true)
  expect((await house.session(browser))['via']).toBeUndefined()
})

test('signs her out at both ends when she signs out here', async () => {
  provider.trust(await ourMetadata())
  const browser = new Browser()
  await signIn(browser)
  expect((await house.session(browser))['via']).toBe('saml')
  const last = await browser.follow(`${house.url}/saml/${tenant.slug}/logout?plane=clinician`)
  expect([last.status, last.url.startsWith(house.url)]).toEqual([200, true])
  expect((await house.session(browser))['via']).toBeUndefined()
  // Its own session is over too: it asks for the password again.
  const again = await browser.follow(house.loginUrl(tenant), (url) => url.startsWith(provider.url))
  expect(again.body).toContain('name="password"')
})
