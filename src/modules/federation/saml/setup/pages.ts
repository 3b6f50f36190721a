/**
 * A tenant's IT at work with a setup link. The link opens once, for one browser; what that browser may do is one connection, and never to
 * make anybody an administrator.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Fault, invalidInput } from '../../../../kernel/fault.ts'
import type { Locale } from '../../../../kernel/locale.ts'
import type { Scope } from '../../../../kernel/scope.ts'
import { parseInput } from '../../../../platform/contract.ts'
import type { Unit } from '../../../../platform/db/unit.ts'
import type { RequestContext } from '../../../../platform/http/router.ts'
import type { Connections } from '../connections.ts'
import { setupLinkDead } from '../contract.ts'
import { administrationMethods as shapes } from '../contract-administration.ts'
import { cookieIn, onlyOwnForm, readForm, type Form } from '../../../../platform/http/forms.ts'
import { answerPage } from '../../../../platform/http/page.ts'
import { addressesOf, cookieOf, hashOf, newSecret, setupCookie, type Parts } from '../parts.ts'
import { reasonSentence } from '../reasons.ts'
import { inAuthCommand } from '../repo.ts'
import { beginPage, deadLinkPage, setupPage, testedPage } from './view.ts'
import { problemIn } from './words.ts'

/** How long the browser that opened a link may work. */
const workMs = 14 * 86_400_000
const mostRules = 50

/** One request at the door of a tenant's SAML addresses. */
export interface Visit {
  readonly slug: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly http: RequestContext
  readonly query: URLSearchParams
  readonly locale: Locale
}

export interface SetupPages {
  handle(open: () => Promise<Unit>, visit: Visit): Promise<void>
  /** The end of a test sign-in: the assertion, redacted, with the role it would give; or why it was refused. */
  tested(unit: Unit, visit: Visit, attemptId: string): Promise<string>
}

export function createSetupPages(parts: Parts, connections: Connections): SetupPages {
  const { traffic, identity, clock, config } = parts
  const now = () => new Date(clock.nowMs())
  const pathOf = (slug: string) => `/saml/${slug}/setup`

  const setupOf = async (scope: Scope, request: IncomingMessage) => {
    const browser = cookieIn(request, setupCookie)
    return browser === null ? null : traffic.setupOf(scope, hashOf('setup-browser', browser.slice(0, 100)), now())
  }

  /** Opens the link for this browser alone. */
  const open = async (unit: Unit, form: Form, { slug, response, locale }: Visit): Promise<void> => {
    const browser = newSecret('setup-browser')
    const opened = await unit.read(() =>
      inAuthCommand(unit.scope, async (inside) => {
        const at = now()
        const linkHash = hashOf('setup-link', (form.get('link') ?? '').slice(0, 100))
        const found = await traffic.openSetup(inside, { linkHash, browserHash: browser.hash, now: at, expiresAt: new Date(at.getTime() + workMs) })
        const outcome = found ? 'done' : 'denied'
        inside.unit.record({ action: 'saml.setup_link_opened', resource: 'SamlSetup', resourceId: found?.id ?? null, outcome })
        return found
      }),
    )
    if (!opened) return answerPage(response, 403, deadLinkPage(locale))
    response.setHeader('set-cookie', cookieOf(setupCookie, browser.value, { slug, maxAgeSeconds: workMs / 1_000, config }))
    response.writeHead(303, { location: `${pathOf(slug)}?lang=${locale}` }).end()
  }

  const act = async (scope: Scope, connectionId: string, form: Form): Promise<void> => {
    const text = (name: string) => form.get(name)?.trim() || null
    switch (form.get('action')) {
      case 'vendor': {
        const { version: _, connectionId: __, ...settings } = parseInput(shapes.change.input, { connectionId, version: 0, vendor: text('vendor'), name: text('name') })
        return void (await connections.change(scope, connectionId, null, { vendor: settings.vendor ?? 'generic', name: settings.name ?? 'SAML' }, 'SETUP'))
      }
      case 'metadata': {
        const file = text('file')
        const given = parseInput(shapes.configure.input, { connectionId, ...(file ? { xml: file } : { url: text('url') ?? '' }) })
        return void (await connections.configure(scope, connectionId, given, 'SETUP'))
      }
      case 'mapping': {
        const given = parseInput(shapes.change.input, {
          connectionId,
          version: 0,
          emailAttribute: text('email'),
          idAttribute: text('id'),
          jitRole: text('jit-role'),
          directoryId: text('directory'),
        })
        const settings = {
          emailAttribute: given.emailAttribute ?? null,
          idAttribute: given.idAttribute ?? null,
          jitRole: given.jitRole ?? null,
          jitAllowed: form.has('jit'),
          allowUnsolicited: form.has('unsolicited'),
          ...(form.has('directory') ? { directoryId: given.directoryId ?? null } : {}),
        }
        return void (await connections.change(scope, connectionId, null, settings, 'SETUP'))
      }
      case 'rules': {
        const rows = Array.from({ length: mostRules }, (_, k) => ({ attribute: text(`attribute-${k}`), value: text(`value-${k}`), role: text(`role-${k}`) }))
        const { rules } = parseInput(shapes.setRules.input, { connectionId, rules: rows.filter(({ attribute, value }) => attribute !== null || value !== null) })
        return void (await connections.setRules(scope, connectionId, rules, 'SETUP'))
      }
      case 'domain':
        return void (await connections.addDomain(scope, connectionId, parseInput(shapes.addDomain.input, { connectionId, domain: form.get('domain') }).domain))
      case 'undomain':
        return void (await connections.removeDomain(scope, connectionId, form.get('domain') ?? ''))
      case 'prove':
        return void (await connections.proveDomain(scope, connectionId, form.get('domain') ?? ''))
      case 'activate':
        return void (await connections.move(scope, connectionId, 'activate'))
      default:
        throw invalidInput({ issues: [{ path: 'action', message: 'is none of these' }] })
    }
  }

  const show = async (unit: Unit, visit: Visit, connectionId: string, problem: string | null): Promise<void> => {
    const { slug, response, locale, query } = visit
    const page = await unit.read(async () => {
      const connection = await connections.existing(unit.scope, connectionId)
      const addresses = await addressesOf(parts, unit.scope)
      const attempts = await traffic.attempts(unit.scope, connectionId, 10)
      const directories = await identity.directories(unit.scope, {})
      const done = problem === null && query.get('done') === '1'
      return setupPage({ locale, path: pathOf(slug), connection, addresses, attempts, directories, problem, done })
    })
    answerPage(response, problem === null ? 200 : 422, page)
  }

  return {
    async handle(visitTenant, visit) {
      const { slug, request, response, http, query } = visit
      const unit = await visitTenant()
      if (request.method !== 'POST') {
        const setup = await unit.read(() => setupOf(unit.scope, request))
        if (setup) return show(unit, visit, setup.connectionId, null)
        const link = query.get('link')
        if (link === null) return answerPage(response, 403, deadLinkPage(visit.locale))
        return answerPage(response, 200, beginPage(visit.locale, pathOf(slug), link.slice(0, 100)))
      }
      onlyOwnForm(request, http.client.host)
      const form = await readForm(request)
      const locale: Locale = form.get('lang') === 'ar' ? 'ar' : 'en'
      if (form.get('action') === 'open') return open(unit, form, { ...visit, locale })
      const setup = await unit.read(() => setupOf(unit.scope, request))
      if (!setup) throw setupLinkDead()
      try {
        await unit.read(() => inAuthCommand(unit.scope, (inside) => act(inside, setup.connectionId, form)))
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        const problem = problemIn(locale, error, (reason) => reasonSentence(reason, locale))
        return show(unit, { ...visit, locale }, setup.connectionId, problem)
      }
      response.writeHead(303, { location: `${pathOf(slug)}?lang=${locale}&done=1` }).end()
    },

    async tested(unit, { locale, slug, request }, attemptId) {
      const [attempt, setup] = await unit.read(() => Promise.all([traffic.findAttempt(unit.scope, attemptId), setupOf(unit.scope, request)]))
      if (!attempt) throw setupLinkDead()
      return testedPage(locale, setup === null ? null : pathOf(slug), attempt)
    },
  }
}
