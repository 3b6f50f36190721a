/**
 * The report as one HTML page to print: no script, nothing loaded from elsewhere, every value escaped and kept apart from the
 * direction of the words around it.
 */
import { directionOf, type Locale } from '../../../kernel/locale.ts'
import type { AuditReport, ReportLine } from './collect.ts'
import { words, type Words } from './words.ts'

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => escapes[sign]!)
/** A code or an id: left to right, whatever stands around it. */
const code = (text: string | null): string => (text === null ? '' : `<bdi dir="ltr"><code>${escaped(text)}</code></bdi>`)

const style = `
  @page { size: A4 landscape; margin: 12mm }
  :root { color: #1b1f24; background: #fff; font: 13px/1.5 "Noto Sans", "Noto Sans Arabic", system-ui, sans-serif }
  body { margin: 0 auto; padding: 24px; max-width: 1200px }
  h1 { font-size: 22px; margin: 0 0 12px }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0 0 12px }
  dt { color: #57606a } dd { margin: 0; overflow-wrap: anywhere }
  table { border-collapse: collapse; inline-size: 100%; table-layout: fixed }
  thead { display: table-header-group } tr { break-inside: avoid }
  th, td { text-align: start; vertical-align: top; padding: 5px 8px; border-block-end: 1px solid #d0d7de; overflow-wrap: anywhere }
  th { border-block-end: 2px solid #1b1f24; font-weight: 600 }
  code { font: 11px/1.5 ui-monospace, "DejaVu Sans Mono", monospace }
  .denied td, .failed td { background: #fff4e5 }
  .minor { color: #57606a; display: block }
  th:nth-child(1) { inline-size: 5% } th:nth-child(2) { inline-size: 13% } th:nth-child(3) { inline-size: 19% }
  th:nth-child(4) { inline-size: 14% } th:nth-child(5) { inline-size: 19% } th:nth-child(6) { inline-size: 8% }
  th:nth-child(7) { inline-size: 9% } th:nth-child(8) { inline-size: 13% }`

export function reportPage({ scope, madeAt, head, lines }: AuditReport, locale: Locale): string {
  const say = words[locale]
  const format = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23', timeZone: 'UTC' })
  const moment = (iso: string): string => `<time datetime="${escaped(iso)}">${escaped(format.format(new Date(iso)))}</time> <bdi>UTC</bdi>`
  const number = new Intl.NumberFormat(locale)
  const facts: [string, string][] = [
    ...(scope.recipient === null ? [] : [[say.recipient, code(scope.recipient)] as [string, string]]),
    ...(scope.actor === null ? [] : [[say.actor, code(scope.actor)] as [string, string]]),
    [say.period, `${scope.from === null ? say.beginning : moment(scope.from)} – ${scope.to === null ? say.now : moment(scope.to)}`],
    [say.made, moment(madeAt)],
    [say.lines, escaped(number.format(lines.length))],
    [say.head, `${escaped(number.format(head.seq))} ${code(head.hash)}`],
  ]
  const body =
    lines.length === 0
      ? `<p>${escaped(say.nothing)}</p>`
      : `<table><thead><tr>${say.columns.map((name) => `<th scope="col">${escaped(name)}</th>`).join('')}</tr></thead>
<tbody>${lines.map((line) => row(line, say, moment, number)).join('\n')}</tbody></table>`
  return `<!doctype html>
<html lang="${locale}" dir="${directionOf(locale).toLowerCase()}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(say.title)} · ${escaped(scope.tenant)}</title><style>${style}</style></head>
<body><h1>${escaped(say.title)} · <bdi>${escaped(scope.tenant)}</bdi></h1>
<dl>${facts.map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${value}</dd>`).join('')}</dl>
<p>${escaped(say.proof)}</p>
${body}
</body></html>
`
}

function row({ seq, event }: ReportLine, say: Words, moment: (iso: string) => string, number: Intl.NumberFormat): string {
  const said = (table: Readonly<Record<string, string>>, value: string | null) => (value === null ? '' : escaped(table[value] ?? value))
  const minor = (html: string) => (html === '' ? '' : `<span class="minor">${html}</span>`)
  const cells = [
    seq === null ? escaped(say.unsealed) : escaped(number.format(seq)),
    moment(event.at ?? ''),
    `${said(say.kind, event.actor_kind)}${minor(code(event.actor_id))}`,
    `${code(event.action)}${minor(event.detail === '{}' ? '' : code(event.detail))}`,
    `${code(event.resource)}${minor(code(event.resource_id))}`,
    said(say.outcome, event.outcome),
    said(say.purpose, event.purpose),
    `${code(event.source_address)}${minor(code(event.sign_in_method))}`,
  ]
  const mark = event.outcome === 'denied' || event.outcome === 'failed' ? ` class="${event.outcome}"` : ''
  return `<tr${mark}>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
}
