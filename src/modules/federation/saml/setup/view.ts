/** The set-up page as markup: one connection, eight steps, all of them plain forms. */
import type { Locale } from '../../../../kernel/locale.ts'
import { reasonSentence } from '../reasons.ts'
import { txtName, txtValue } from '../connections.ts'
import { documentOf, html, type Html } from '../../../../platform/http/page.ts'
import type { Connection } from '../repo.ts'
import type { SamlAttempt } from '../repo-traffic.ts'
import { newcomerRoles, signingStates, type MappableRole } from '../rules.ts'
import { certificateWords, inWords, partWords, resultWords, roleWords, stateWords, vendorWords } from './words.ts'

interface SetupView {
  readonly locale: Locale
  readonly path: string
  readonly connection: Connection
  readonly addresses: { readonly entityId: string; readonly acsUrl: string; readonly metadataUrl: string; readonly logoutUrl: string }
  readonly attempts: readonly SamlAttempt[]
  readonly directories: readonly { readonly connectionId: string; readonly people: number }[]
  readonly problem: string | null
  readonly done: boolean
}

const blankRules = 3
const day = (at: Date): string => at.toISOString().slice(0, 10)

function option(value: string, label: string, selected: boolean): Html {
  return selected ? html`<option value="${value}" selected>${label}</option>` : html`<option value="${value}">${label}</option>`
}

function roleChoice(locale: Locale, name: string, chosen: string | null, none: string): Html {
  const roles = newcomerRoles.map((role) => option(role, roleWords[role][locale], role === chosen))
  return html`<select name="${name}" aria-label="${inWords(locale)('role')}">${option('', none, chosen === null)}${roles}</select>`
}

function check(name: string, label: string, checked: boolean): Html {
  const box = checked ? html`<input type="checkbox" name="${name}" value="1" checked>` : html`<input type="checkbox" name="${name}" value="1">`
  return html`<label>${box}${label}</label>`
}

export function setupPage(view: SetupView): string {
  const { locale, path, connection, addresses, attempts, directories, problem, done } = view
  const say = inWords(locale)
  const form = (action: string, body: Html, button: string, file = false): Html => {
    const open = file ? html`<form method="post" action="${path}" enctype="multipart/form-data">` : html`<form method="post" action="${path}">`
    return html`${open}<input type="hidden" name="action" value="${action}"><input type="hidden" name="lang" value="${locale}">${body}<button>${button}</button></form>`
  }
  const value = (label: string, text: string): Html => html`<dt>${label}</dt><dd><code>${text}</code></dd>`
  const text = (name: string, label: string, given: string | null, direction: 'ltr' | 'auto' = 'ltr'): Html =>
    html`<label>${label}<input name="${name}" value="${given ?? ''}" dir="${direction}" maxlength="2000"></label>`
  const vendor = vendorWords[connection.vendor] ?? vendorWords['generic']!

  const vendors = Object.entries(vendorWords).map(([key, { name }]) => option(key, name, key === connection.vendor))
  const known =
    connection.entityId === null
      ? null
      : html`<dl>${value(say('provider'), connection.entityId)}<dt>${say('certificates')}</dt>${connection.certificates.map(
          ({ fingerprint, notAfter, state }) => html`<dd><code>${fingerprint.slice(0, 16)}…</code> ${certificateWords[state]?.[locale] ?? state} – ${say('until')} <code>${day(notAfter)}</code></dd>`,
        )}</dl>${connection.metadataProblem === null ? null : html`<p class="note">${say('kept')} <code>${connection.metadataProblem}</code></p>`}`
  const rules = [...connection.rules, ...Array.from({ length: blankRules }, () => null)].map(
    (rule, k) => html`<tr><td data-label="${say('attribute')}"><input name="attribute-${k}" aria-label="${say('attribute')}" value="${rule?.attribute ?? ''}" dir="ltr"></td>
<td data-label="${say('value')}"><input name="value-${k}" aria-label="${say('value')}" value="${rule?.value ?? ''}" dir="auto"></td><td data-label="${say('role')}">${roleChoice(locale, `role-${k}`, rule?.role ?? null, '')}</td></tr>`,
  )
  const domains = connection.domains.map(({ domain, challenge, provenAt }) => {
    const state =
      provenAt === null
        ? html`<p>${say('record')}: <code>${txtName(domain)}</code> TXT <code>${txtValue(challenge)}</code></p>${form('prove', html`<input type="hidden" name="domain" value="${domain}">`, say('prove'))}`
        : html`<p>${say('proven')} <code>${day(provenAt)}</code></p>`
    return html`<h3><code>${domain}</code></h3>${state}${form('undomain', html`<input type="hidden" name="domain" value="${domain}">`, say('remove'))}`
  })
  const last = attempts.map(
    ({ createdAt, result, reason, id }) =>
      html`<tr><td><code>${createdAt.toISOString().slice(0, 16)}</code></td><td>${resultWords[result]?.[locale] ?? result}</td><td>${reason === null ? '' : reasonSentence(reason, locale)}</td><td><code>${id}</code></td></tr>`,
  )
  const directory =
    directories.length === 0
      ? null
      : html`<label>${say('directory')}<select name="directory">${option('', say('noDirectory'), connection.directoryId === null)}${directories.map(
          ({ connectionId, people }) => option(connectionId, `${connectionId} (${people})`, connectionId === connection.directoryId),
        )}</select></label><p>${say('directoryText')}</p>`
  const test = connection.entityId === null ? null : html`<a class="button" href="${path.replace(/setup$/, 'login')}?connection=${connection.id}&amp;test=1&amp;lang=${locale}">${say('testButton')}</a>`
  const isOn = signingStates.includes(connection.state)

  return documentOf({
    locale,
    title: say('title'),
    other: `${path}?lang=${locale === 'ar' ? 'en' : 'ar'}`,
    body: html`<p>${say('state')}: <strong id="state">${connection.state}</strong> – ${stateWords[connection.state][locale]}</p>
${problem === null ? null : html`<p class="note" role="alert"><strong>${say('problem')}.</strong> ${problem}</p>`}${done ? html`<p class="note" role="status">${say('done')}</p>` : null}
<section><h2>${say('vendor')}</h2>${form('vendor', html`<label>${say('provider')}<select name="vendor">${vendors}</select></label>${text('name', say('name'), connection.name, 'auto')}`, say('save'))}
<p>${vendor.where[locale]}</p></section>
<section><h2>${say('ours')}</h2><dl>${value(say('entityId'), addresses.entityId)}${value(say('acs'), addresses.acsUrl)}${value(say('metadataAt'), addresses.metadataUrl)}${value(say('logoutAt'), addresses.logoutUrl)}</dl></section>
<section><h2>${say('metadata')}</h2>${known}${form('metadata', html`${text('url', say('url'), connection.metadataUrl)}<label>${say('file')}<input type="file" name="file" accept=".xml,application/xml,text/xml"></label>`, say('read'), true)}</section>
<section><h2>${say('mapping')}</h2>${form(
      'mapping',
      html`${text('email', say('email'), connection.emailAttribute)}${text('id', say('immutable'), connection.idAttribute)}${check('jit', say('jit'), connection.jitAllowed)}
<label>${say('jitRole')}${roleChoice(locale, 'jit-role', connection.jitRole, say('none'))}</label>${check('unsolicited', say('idp'), connection.allowUnsolicited)}${directory}`,
      say('save'),
    )}</section>
<section><h2>${say('rules')}</h2><p>${say('rulesText')}</p>${form(
      'rules',
      html`<table class="stack"><thead><tr><th>${say('attribute')}</th><th>${say('value')}</th><th>${say('role')}</th></tr></thead><tbody>${rules}</tbody></table>`,
      say('save'),
    )}</section>
<section><h2>${say('domain')}</h2><p>${say('domainText')}</p>${domains}${form('domain', text('domain', say('addDomain'), null), say('addDomain'))}</section>
<section><h2>${say('test')}</h2><p>${say('testText')}</p>${test}</section>
<section><h2>${say('activate')}</h2><p>${say('activateText')}</p>${isOn ? null : form('activate', html``, say('activateButton'))}</section>
<section><h2>${say('attempts')}</h2>${last.length === 0 ? html`<p>${say('noAttempts')}</p>` : html`<table class="stack"><tbody>${last}</tbody></table>`}</section>`,
  })
}

export function beginPage(locale: Locale, path: string, link: string): string {
  const say = inWords(locale)
  return documentOf({
    locale,
    title: say('title'),
    body: html`<p>${say('beginText')}</p><form method="post" action="${path}"><input type="hidden" name="action" value="open"><input type="hidden" name="link" value="${link}">
<input type="hidden" name="lang" value="${locale}"><button>${say('begin')}</button></form>`,
  })
}

export function deadLinkPage(locale: Locale): string {
  const say = inWords(locale)
  return documentOf({ locale, title: say('dead'), body: html`<p>${say('deadText')}</p>` })
}

/**
 * What a test sign-in brought: the assertion, redacted, and the role it would give, or why that person would not be let in; or the exact
 * reason why the message was refused.
 * @param path back to the set-up, for the browser that is at it.
 */
export function testedPage(locale: Locale, path: string | null, attempt: SamlAttempt): string {
  const say = inWords(locale)
  const shown = (attempt.shown ?? {}) as Record<string, unknown>
  const { attributes = {}, ...rest } = shown as { attributes?: Record<string, string[]> }
  const value = (given: unknown): Html => html`<td><code>${Array.isArray(given) ? given.join(', ') : String(given ?? '–')}</code></td>`
  const parts = Object.entries(partWords).filter(([name]) => name in rest)
  const rows = [
    ...parts.map(([name, said]) => html`<tr><th>${said[locale]}</th>${value(rest[name as keyof typeof rest])}</tr>`),
    ...Object.entries(attributes).map(([name, given]) => html`<tr><th><code>${name}</code></th>${value(given)}</tr>`),
  ]
  const role = roleWords[attempt.role as MappableRole]
  const isRight = attempt.result === 'TESTED'
  const because = isRight ? html`${say('notLetIn')}. ` : null
  const failed = attempt.reason === null ? null : html`<p class="note" role="alert">${because}<strong>${attempt.reason}</strong>: ${reasonSentence(attempt.reason, locale)} <code>${attempt.detail ?? ''}</code></p>`
  return documentOf({
    locale,
    title: say(isRight ? 'tested' : 'failed'),
    body: html`${failed}<p>${say('wouldBe')}: <strong id="role">${attempt.role ?? say('none')}</strong>${role === undefined ? null : html` – ${role[locale]}`}</p><table class="facts stack"><tbody>${rows}</tbody></table>
<p>${say('number')}: <code>${attempt.id}</code></p>${path === null ? null : html`<p><a class="button" href="${path}?lang=${locale}">${say('back')}</a></p>`}`,
  })
}
