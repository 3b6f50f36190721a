/** A house whose SAML addresses are real, with tenants connected to identity providers. */
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import type { Saml } from '../../src/modules/federation/saml/contract.ts'
import { authLogin } from '../../src/platform/module.ts'
import { freshHouse, type TestHouse, type TestTenant } from './house.ts'
import { Browser, type IdpDouble, type Page } from './saml-idp.ts'
import { freePort } from './server.ts'

export type ConnectInput = Omit<Parameters<Saml['operatorConnect']>[1], 'xml'>

export interface SamlHouse extends TestHouse {
  readonly saml: Saml
  /** Connects a tenant as the operator does. @returns the connection's id */
  connect(tenant: TestTenant, idp: Pick<IdpDouble, 'metadata'>, input?: ConnectInput): Promise<string>
  loginUrl(tenant: TestTenant, query?: string): string
  /** Signs in at the provider and comes back; the last page, with the browser. */
  signInAt(tenant: TestTenant, query?: string, browser?: Browser): Promise<{ browser: Browser; page: Page }>
  session(browser: Browser): Promise<Record<string, unknown>>
  /** The reason that IT finds by the number on a page. */
  reasonOn(tenant: TestTenant, page: Page): Promise<string | null>
}

export async function samlHouse(environment: Readonly<Record<string, string>> = {}): Promise<SamlHouse> {
  const house = await freshHouse({ PORT: String(await freePort()), MARISTAN_DEMO: '1', ...environment })
  const saml = house.composed.made['saml']!.contract as Saml
  const loginUrl = (tenant: TestTenant, query = '') => `${house.url}/saml/${tenant.slug}/login${query}`
  return {
    ...house,
    saml,
    loginUrl,

    async connect(tenant, idp, input = {}) {
      const unit = house.database.unit(operatorCaller(tenant.id))
      const { connectionId } = await unit.command((scope) => saml.operatorConnect(scope, { xml: idp.metadata, ...input }), authLogin)
      return connectionId
    },

    async signInAt(tenant, query = '', browser = new Browser()) {
      const form = await browser.follow(loginUrl(tenant, query))
      const posted = await browser.press(form)
      return { browser, page: posted.location === null ? posted : await browser.open(posted.location) }
    },

    async session(browser) {
      const response = await fetch(`${house.url}/session`, { headers: { cookie: browser.cookies().join('; ') } })
      return (await response.json()) as Record<string, unknown>
    },

    async reasonOn(tenant, page) {
      const id = /<code[^>]*>([0-9a-f-]{36})<\/code>/.exec(page.body)?.[1] ?? ''
      const unit = house.database.unit(operatorCaller(tenant.id))
      return (await unit.command((scope) => saml.operatorAttempt(scope, { id }), authLogin)).reason
    },
  }
}
