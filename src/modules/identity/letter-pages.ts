/**
 * The pages behind the links in our letters: accepting an invitation, and a new password for one that was forgotten. A front end of the
 * tenant's own may stand in their place. The secret lies behind the link's number sign, which no browser sends: a script of three lines
 * puts it into the form, and without script the person does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Fault } from '../../kernel/fault.ts'
import { locales, type Locale } from '../../kernel/locale.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { Unit } from '../../platform/db/unit.ts'
import { localeOf } from '../../platform/http/language.ts'
import { headersOf, statusOf } from '../../platform/http/answer.ts'
import { onlyOwnForm, readForm } from '../../platform/http/forms.ts'
import { answerPage, documentOf, html } from '../../platform/http/page.ts'
import type { RequestContext, Route } from '../../platform/http/router.ts'
import type { Tenancy } from '../tenancy/contract.ts'
import type { Identity } from './contract.ts'
import { letterWords, refusalIn, type LetterWord } from './letter-words.ts'

export interface LetterPagesParts {
  readonly identity: Pick<Identity, 'acceptInvitation' | 'resetPassword'>
  readonly tenancy: Pick<Tenancy, 'front'>
  /** The unit of work of somebody without credentials, at the tenant of the host. @throws UNKNOWN_TENANT, TENANT_SUSPENDED */
  visit(request: IncomingMessage, http: RequestContext): Promise<Unit>
}

interface Page {
  readonly path: string
  readonly words: Readonly<Record<'title' | 'text' | 'button' | 'done', LetterWord>>
  take(scope: Scope, token: string, password: string): Promise<unknown>
}

const script = `const code = location.hash.slice(1).replace(/^token=/, '')
if (code) {
  document.getElementById('token').value = code
  history.replaceState(null, '', location.pathname + location.search)
  document.querySelector('nav a').hash = code
}
if (document.getElementById('token').value) document.getElementById('code').hidden = true
document.getElementById('shown').hidden = false
document.getElementById('show').onchange = ({ target }) => { document.getElementById('password').type = target.checked ? 'text' : 'password' }`

export function letterPages({ identity, tenancy, visit }: LetterPagesParts): Route[] {
  const pages: readonly Page[] = [
    {
      path: '/invite',
      words: { title: 'join', text: 'joinText', button: 'joinButton', done: 'joined' },
      take: (scope, token, password) => identity.acceptInvitation(scope, { token, password }),
    },
    {
      path: '/reset-password',
      words: { title: 'reset', text: 'resetText', button: 'resetButton', done: 'resetDone' },
      take: (scope, token, newPassword) => identity.resetPassword(scope, { token, newPassword }),
    },
  ]
  return pages.flatMap((page) => {
    const route = { path: page.path, name: `page${page.path.replace('/', '.')}` }
    return [
      {
        ...route,
        method: 'GET' as const,
        handle: async (request, response, http) => {
          const here = await arrive(await visit(request, http), request, http)
          show(response, 200, page, here, { token: '', refusal: null })
        },
      },
      {
        ...route,
        method: 'POST' as const,
        handle: async (request, response, http) => {
          onlyOwnForm(request, http.client.host)
          const form = await readForm(request)
          const unit = await visit(request, http)
          const here = await arrive(unit, request, http)
          const token = (form.get('token') ?? '').trim().replace(/^#?(token=)?/, '')
          const refusal = await unit.read(() => page.take(unit.scope, token, form.get('password') ?? '')).then(nothing, refusalOf)
          if (refusal === null) return answerPage(response, 200, donePage(page, here))
          for (const [name, value] of Object.entries(headersOf(refusal))) response.setHeader(name, value)
          show(response, statusOf(refusal), page, here, { token, refusal })
        },
      },
    ] satisfies Route[]
  })

  /** Where the person is, and in which language: the link's, else the browser's, else the tenant's own. */
  async function arrive(unit: Unit, { headers }: IncomingMessage, { query }: RequestContext): Promise<Here> {
    const { legalName, defaultLocale } = await unit.read(() => tenancy.front(unit.scope, {}))
    const asked = locales.find((one) => one === new URLSearchParams(query).get('lang'))
    return { tenantName: isolated(legalName), locale: asked ?? localeOf(headers['accept-language'], defaultLocale) }
  }
}

interface Here {
  readonly tenantName: string
  readonly locale: Locale
}

/** Isolated (Unicode UAX 9 §2.4), so that a name in the other direction leaves the heading around it in order. */
const isolated = (text: string): string => `\u2068${text}\u2069`

const nothing = (): null => null

function refusalOf(error: unknown): Fault {
  if (error instanceof Fault) return error
  throw error
}

const sayIn = (locale: Locale) => (word: LetterWord) => letterWords[word][locale]

interface Filled {
  readonly token: string
  readonly refusal: Fault | null
}

function show(response: ServerResponse, status: number, { path, words }: Page, { tenantName, locale }: Here, { token, refusal }: Filled): void {
  const say = sayIn(locale)
  const complaint = refusal === null ? null : html`<p class="note" role="alert">${refusalIn(locale, refusal)}</p>`
  const body = html`<p>${say(words.text)}</p>${complaint}
<form method="post" action="${path}?lang=${locale}">
<label id="code">${say('code')}<input id="token" name="token" value="${token}" required autocomplete="off" dir="ltr"></label>
<label>${say('password')}<input id="password" type="password" name="password" required autocomplete="new-password" dir="ltr"></label>
<label id="shown" hidden><input type="checkbox" id="show">${say('show')}</label>
<button>${say(words.button)}</button></form>`
  const other = `${path}?lang=${locale === 'ar' ? 'en' : 'ar'}`
  const title = `${say(words.title)} ${tenantName}`
  answerPage(response, status, documentOf({ locale, title, body, other, script }), "'self'", script)
}

function donePage({ words }: Page, { tenantName, locale }: Here): string {
  const say = sayIn(locale)
  return documentOf({ locale, title: `${say(words.done)} ${tenantName}`, body: html`<p>${say('signIn')}</p>` })
}
