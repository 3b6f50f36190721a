/** Plain pages for people: server-rendered, in English and Arabic, most without script. Everything that comes from outside is escaped. */
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { directionOf, type Locale } from '../../kernel/locale.ts'

/** Markup that is safe to show: made by {@link html} alone. */
export interface Html {
  readonly markup: string
}

type Part = Html | string | number | null | readonly Html[]

const signs: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => signs[sign]!)

function shown(part: Part): string {
  if (part === null) return ''
  if (typeof part === 'string') return escaped(part)
  if (typeof part === 'number') return String(part)
  return 'markup' in part ? part.markup : part.map(({ markup }) => markup).join('')
}

/** Markup with its values escaped, for text and for quoted attributes. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { markup: strings.map((text, k) => text + (k < parts.length ? shown(parts[k]!) : '')).join('') }
}

const style = `
:root { color-scheme: light dark; --line: #8888; --accent: #0b5c8a; --ring: light-dark(#0b5c8a, #8cc8ee); }
body { font: 1rem/1.6 system-ui, 'Segoe UI', 'Noto Sans Arabic', Tahoma, sans-serif; margin: 0; }
main { max-width: 46rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-block: 0 .5rem; }
section { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin-block: 1rem; }
label { display: block; margin-block: .6rem; font-weight: 600; }
input, select, textarea { font: inherit; font-weight: 400; box-sizing: border-box; inline-size: 100%; padding: .45rem; margin-block-start: .2rem; }
input[type=checkbox] { inline-size: auto; margin-inline-end: .5rem; }
textarea { min-block-size: 7rem; }
[hidden] { display: none; }
button, a.button { font: inherit; display: inline-block; padding: .5rem 1rem; margin-block-start: .5rem; border: 1px solid var(--accent);
  border-radius: .3rem; background: var(--accent); color: #fff; text-decoration: none; cursor: pointer; }
code, pre, .code { font-family: ui-monospace, monospace; font-size: .9rem; overflow-wrap: anywhere; direction: ltr; unicode-bidi: isolate; }
dd { margin-inline-start: 0; margin-block-end: .6rem; }
table { border-collapse: collapse; inline-size: 100%; } th, td { text-align: start; padding: .3rem; border-block-end: 1px solid var(--line); overflow-wrap: anywhere; }
.note { border-inline-start: .3rem solid var(--accent); padding-inline-start: .8rem; }
.facts th { min-inline-size: 12rem; }
.number { display: block; }
@media (max-width: 36rem) { main { padding: 1rem; } .stack thead { display: none; } .stack tr { display: block; margin-block-end: 1rem; }
  .stack :is(th, td) { display: block; border: 0; } .stack tr > :last-child { border-block-end: 1px solid var(--line); }
  .stack [data-label]::before { content: attr(data-label); display: block; font-size: .9rem; } }
:focus-visible { outline: .2rem solid var(--ring); outline-offset: .15rem; }
nav { text-align: end; }
`
const hashSource = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const styleHash = hashSource(style)

/** A whole document. `other` leads to the same page in the other language; `script` is ours and fixed, and runs at the end. */
export function documentOf(options: { locale: Locale; title: string; body: Html; other?: string; script?: string }): string {
  const { locale, title, body, other, script } = options
  const language = locale === 'ar' ? html`<a href="${other ?? ''}" lang="en">English</a>` : html`<a href="${other ?? ''}" lang="ar">العربية</a>`
  const nav = other === undefined ? null : html`<nav>${language}</nav>`
  return html`<!doctype html>
<html lang="${locale}" dir="${directionOf(locale).toLowerCase()}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>${title}</title><style>${{ markup: style }}</style></head>
<body><main>${nav}<h1>${title}</h1>${body}</main>${script === undefined ? null : { markup: `<script>${script}</script>` }}</body>
</html>
`.markup
}

/**
 * Answers with a page. Nothing is loaded into it, and no script runs in it but the one named.
 * @param formAction where its forms may lead, redirects included (CSP form-action); null leaves that open.
 */
export function answerPage(
  response: ServerResponse,
  status: number,
  page: string,
  formAction: string | null = "'self'",
  script: string | null = null,
): void {
  if (response.headersSent) return
  const scripts = script === null ? [] : [`script-src ${hashSource(script)}`]
  const policy = ["default-src 'none'", `style-src ${styleHash}`, ...scripts, "base-uri 'none'", "frame-ancestors 'none'"]
  response.setHeader('content-security-policy', [...policy, ...(formAction === null ? [] : [`form-action ${formAction}`])].join('; '))
  // Our own forms name their origin; nobody else learns anything.
  response.setHeader('referrer-policy', 'same-origin')
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'content-length': Buffer.byteLength(page) })
  response.end(page)
}
