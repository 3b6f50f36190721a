/**
 * `/saml/{tenant}/…` as browsers and identity providers see it. Answers come to `/acs` by POST alone and open nothing there: the GET that
 * follows brings the cookie of the browser that asked.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Fault, invalidInput } from '../../../kernel/fault.ts'
import type { Locale } from '../../../kernel/locale.ts'
import type { Plane, Scope } from '../../../kernel/scope.ts'
import type { Unit } from '../../../platform/db/unit.ts'
import { localeOf } from '../../../platform/http/language.ts'
import { answerRefusal, statusOf } from '../../../platform/http/answer.ts'
import type { RequestContext, Route } from '../../../platform/http/router.ts'
import { cookieNameOf } from '../../identity/contract.ts'
import type { Saml } from './contract.ts'
import { cookieIn, onlyOwnForm, readForm } from '../../../platform/http/forms.ts'
import type { Outgoing } from './messages.ts'
import { answerPage } from '../../../platform/http/page.ts'
import { absentPage, askPage, postPage, postScript, recoverPage, refusedPage, signedOutPage, signOutAskPage } from './person-pages.ts'
import { setupCookie } from './parts.ts'
import { samlPlanes } from './rules.ts'
import type { SetupPages } from './setup/pages.ts'

/** Who comes to the door: a visitor of the tenant in the path, or its signed-in member by a plane's cookie. */
export interface SamlDoor {
  /** @throws UNKNOWN_TENANT, TENANT_SUSPENDED, WRONG_HOST */
  visit(slug: string, request: IncomingMessage, http: RequestContext): Promise<Unit>
  /** The same, with whatever credential of the plane came. @throws as visit, and WRONG_HOST for a credential of another tenant */
  ask(slug: string, plane: Plane, request: IncomingMessage, http: RequestContext): Promise<Unit>
}

interface Visit {
  readonly slug: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly http: RequestContext
  readonly query: URLSearchParams
  readonly locale: Locale
}

type Handler = (visit: Visit) => Promise<void>

/** The visitor's unit of work, which may look at keys and requests as no plane's login may, in the name of the member who came. */
const as = (visitor: Unit, { caller: { actor, permissions } }: Unit): Scope => ({ ...visitor.scope, actor, permissions })

export function samlRoute(door: SamlDoor, saml: Saml, setup: SetupPages): Route {
  const planeIn = (query: URLSearchParams) => samlPlanes.find((one) => one === query.get('plane')) ?? null
  const loginPath = ({ slug }: Visit) => `/saml/${slug}/login`

  const send = ({ response, locale }: Visit, to: Outgoing, cookies: readonly string[]): void => {
    if (cookies.length > 0) response.setHeader('set-cookie', [...cookies])
    if (to.kind === 'REDIRECT') return void response.writeHead(302, { location: to.url }).end()
    response.setHeader('cache-control', 'no-store')
    answerPage(response, 200, postPage(locale, to.action, to.fields), null, postScript)
  }
  const refused = (visit: Visit, attemptId: string): void =>
    answerPage(visit.response, 403, refusedPage(visit.locale, attemptId, loginPath(visit)))

  /** Whoever is signed in on the console; nobody there is no mistake of the browser's. */
  const administrator = ({ slug, request, http }: Visit): Promise<Unit | null> =>
    door.ask(slug, 'console', request, http).catch((error: unknown) => {
      if (error instanceof Fault) return null
      throw error
    })

  const metadata: Handler = async ({ slug, request, response, http }) => {
    const unit = await door.visit(slug, request, http)
    const { xml } = await unit.read(() => saml.metadata(unit.scope, {}))
    response.setHeader('cache-control', 'public, max-age=3600')
    response.writeHead(200, { 'content-type': 'application/samlmetadata+xml; charset=utf-8', 'content-length': Buffer.byteLength(xml) })
    response.end(xml)
  }

  const login: Handler = async (visit) => {
    const { slug, request, http, query, response, locale } = visit
    const plane = planeIn(query)
    // The planes of relatives and sellers do not exist here: asked for by name, nothing begins.
    if (query.has('plane') && plane === null) throw invalidInput({ issues: [{ path: 'plane', message: `is none of ${samlPlanes.join(', ')}` }] })
    const stepUp = query.get('step-up') === '1'
    const unit = await door.visit(slug, request, http)
    // A test is begun from the set-up, by an administrator of the console, or by a link to it.
    const test = query.get('test')
    const setupOf = cookieIn(request, setupCookie)
    const asking = stepUp && plane ? await door.ask(slug, plane, request, http) : test === '1' ? await administrator(visit) : null
    const scope = asking === null ? unit.scope : as(unit, asking)
    const returnTo = query.get('return') ?? query.get('RelayState')
    const connectionId = query.get('connection')
    const email = query.get('email')
    const begun = await unit.read(() =>
      saml.begin(scope, {
        ...(connectionId === null ? {} : { connectionId }),
        ...(email ? { email } : {}),
        ...(plane === null ? {} : { plane }),
        ...(returnTo === null ? {} : { returnTo }),
        stepUp,
        ...(test === null ? {} : { test: test === '1' ? { setup: setupOf?.slice(0, 100) } : { link: test.slice(0, 100) } }),
        forceAuthn: query.get('force') === '1',
      }),
    )
    if (begun.kind === 'SENT') return send(visit, begun.to, [begun.setCookie])
    const kept = { ...(plane === null ? {} : { plane }), ...(returnTo === null ? {} : { return: returnTo }) }
    // Its form leads on to an identity provider.
    answerPage(response, 200, askPage(locale, loginPath(visit), begun.connections, kept), null)
  }

  const acs: Handler = async (visit) => {
    const { slug, request, response, http } = visit
    const form = await readForm(request)
    const unit = await door.visit(slug, request, http)
    const input = { samlResponse: form.get('SAMLResponse') ?? '', relayState: form.get('RelayState') ?? null }
    const taken = await unit.read(() => saml.receive(unit.scope, input))
    if (taken.kind === 'REFUSED') return refused(visit, taken.attemptId)
    if (taken.setCookie !== null) response.setHeader('set-cookie', taken.setCookie)
    response.writeHead(303, { location: `/saml/${slug}/done?ticket=${encodeURIComponent(taken.ticket)}` }).end()
  }

  const done: Handler = async (visit) => {
    const { slug, request, response, http, query } = visit
    const ticket = (query.get('ticket') ?? '').slice(0, 100)
    const browser = cookieIn(request, `saml_${ticket.slice(0, ticket.indexOf('.'))}`)
    const unit = await door.visit(slug, request, http)
    const finished = await unit.read(() => saml.finish(unit.scope, { ticket, browser: browser?.slice(0, 100) ?? null }))
    if (finished.kind === 'REFUSED' && finished.purpose !== 'TEST') return refused(visit, finished.attemptId)
    if (finished.kind === 'REFUSED' || finished.kind === 'TESTED') {
      return answerPage(response, finished.kind === 'TESTED' ? 200 : 403, await setup.tested(unit, visit, finished.attemptId))
    }
    response.setHeader('set-cookie', finished.setCookies)
    response.writeHead(303, { location: finished.returnTo }).end()
  }

  const logout: Handler = async (visit) => {
    const { slug, request, response, http, query, locale } = visit
    const isPost = request.method === 'POST'
    const form = isPost ? await readForm(request) : query
    const field = (['SAMLRequest', 'SAMLResponse'] as const).find((name) => form.has(name))
    if (field !== undefined) {
      const unit = await door.visit(slug, request, http)
      const received = isPost
        ? ({ binding: 'post', field, message: form.get(field) ?? '', relayState: form.get('RelayState') ?? null } as const)
        : ({ binding: 'redirect', field, query: http.query } as const)
      const answer = await unit.read(() => saml.receiveLogout(unit.scope, { received }))
      if (answer.kind === 'REFUSED') return refused(visit, answer.attemptId)
      if (answer.kind === 'DONE' || answer.to === null) return answerPage(response, 200, signedOutPage(locale))
      return send(visit, answer.to, [])
    }
    const plane = planeIn(query) ?? samlPlanes.find((one) => cookieIn(request, cookieNameOf(one) ?? '') !== null) ?? null
    // Another site's link must not sign anybody out.
    const isForeign = isPost || (request.headers['sec-fetch-site'] ?? 'none') === 'cross-site'
    if (isForeign) return answerPage(response, 200, signOutAskPage(locale, `/saml/${slug}/logout`))
    const member = plane === null ? null : await door.ask(slug, plane, request, http)
    if (member === null || plane === null || member.caller.actor.kind !== 'member') return answerPage(response, 200, signedOutPage(locale))
    const unit = await door.visit(slug, request, http)
    const out = await unit.read(() => saml.signOut(as(unit, member), { plane }))
    if (out.to !== null) return send(visit, out.to, [out.forgetCookie])
    response.setHeader('set-cookie', out.forgetCookie)
    answerPage(response, 200, signedOutPage(locale))
  }

  const recover: Handler = async ({ slug, request, response, http, locale }) => {
    const path = `/saml/${slug}/recover`
    const unit = await door.visit(slug, request, http)
    if (request.method !== 'POST') return answerPage(response, 200, recoverPage(locale, path, 'ask'))
    onlyOwnForm(request, http.client.host)
    const code = ((await readForm(request)).get('code') ?? '').slice(0, 100)
    await unit.read(() => saml.recover(unit.scope, { code }))
    answerPage(response, 200, recoverPage(locale, path, 'done'))
  }

  const table: Readonly<Record<string, readonly [methods: readonly string[], handler: Handler]>> = {
    metadata: [['GET', 'HEAD'], metadata],
    login: [['GET'], login],
    acs: [['POST'], acs],
    done: [['GET'], done],
    logout: [['GET', 'POST'], logout],
    recover: [['GET', 'POST'], recover],
    setup: [['GET', 'POST'], (visit) => setup.handle(() => door.visit(visit.slug, visit.request, visit.http), visit)],
  }

  return {
    method: '*',
    path: '/saml/*',
    name: 'saml',
    async handle(request, response, http) {
      const [, , slug = '', what = '', ...rest] = http.path.split('/')
      const found = rest.length === 0 && Object.hasOwn(table, what) ? table[what] : undefined
      const query = new URLSearchParams(http.query)
      const wanted = query.get('lang')
      const locale = wanted === 'ar' || wanted === 'en' ? wanted : localeOf(request.headers['accept-language'], 'en')
      if (!found) return answerPage(response, 404, absentPage(locale))
      const [methods, handler] = found
      if (!methods.includes(request.method ?? '')) {
        response.setHeader('allow', methods.join(', '))
        return answerRefusal(response, 405, 'METHOD_NOT_ALLOWED', 'This address does not answer to that method.')
      }
      try {
        await handler({ slug, request, response, http, query, locale })
      } catch (error) {
        // A person is at the other end: a page instead of a document. Large bodies are the server's to end.
        if (!(error instanceof Fault) || error.code === 'BODY_TOO_LARGE' || error.kind === 'unavailable') throw error
        const page = error.kind === 'absent' ? absentPage(locale) : refusedPage(locale, null, `/saml/${encodeURIComponent(slug)}/login`)
        answerPage(response, statusOf(error), page)
      }
    },
  }
}
