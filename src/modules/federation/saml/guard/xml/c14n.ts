/**
 * Exclusive XML Canonicalization 1.0 (W3C Recommendation 18 July 2002) of a subtree. Our tree holds no comments and no processing
 * instructions, so the variants with and without comments are the same.
 */
import type { Scope, XmlAttribute, XmlElement } from './tree.ts'

const textSpecial = /[&<>\r]/
const textEscapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#xD;' }
const valueSpecial = /[&<"\t\n\r]/
const valueEscapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '"': '&quot;',
  '\t': '&#x9;',
  '\n': '&#xA;',
  '\r': '&#xD;',
}
const escapeText = (text: string) => (textSpecial.test(text) ? text.replace(/[&<>\r]/g, (found) => textEscapes[found]!) : text)
const escapeValue = (text: string) => (valueSpecial.test(text) ? text.replace(/[&<"\t\n\r]/g, (found) => valueEscapes[found]!) : text)

export interface Canonical {
  /** The one child that an enveloped signature leaves out, with all it holds; null leaves out nothing. */
  readonly without: XmlElement | null
  /** PrefixList of InclusiveNamespaces; '' stands for `#default`. */
  readonly inclusive: readonly string[]
}

/** Canonical form of `apex` and what it holds; to be hashed as UTF-8. Linear in the size of the subtree. */
export function canonicalise(apex: XmlElement, { without, inclusive }: Canonical): string {
  const out: string[] = []
  // A stack instead of recursion: closing tags wait on it as text.
  const open: (string | { element: XmlElement; rendered: Scope })[] = [{ element: apex, rendered: new Map() }]
  while (open.length > 0) {
    const next = open.pop()!
    if (typeof next === 'string') {
      out.push(next)
      continue
    }
    const { element } = next
    const name = element.prefix === '' ? element.local : `${element.prefix}:${element.local}`
    out.push('<', name)
    const rendered = writeDeclarations(element, next.rendered, inclusive, out)
    for (const attribute of sortedAttributes(element.attributes)) {
      out.push(' ', attribute.prefix === '' ? '' : `${attribute.prefix}:`, attribute.local, '="', escapeValue(attribute.value), '"')
    }
    out.push('>')
    open.push(`</${name}>`)
    for (let index = element.children.length - 1; index >= 0; index--) {
      const child = element.children[index]!
      if (typeof child === 'string') open.push(escapeText(child))
      else if (child !== without) open.push({ element: child, rendered })
    }
  }
  return out.join('')
}

/** Writes the declarations that this element needs and no output ancestor has made, by prefix; answers what is then in force. */
function writeDeclarations(element: XmlElement, rendered: Scope, inclusive: readonly string[], out: string[]): Scope {
  const wanted = new Set<string>([element.prefix])
  for (const { prefix } of element.attributes) if (prefix !== '') wanted.add(prefix)
  for (const prefix of inclusive) if (prefix === '' || element.scope.has(prefix)) wanted.add(prefix)
  wanted.delete('xml')
  // An empty default namespace is written only to undo one that was written (§3, item 3.1).
  const missing = [...wanted].filter((prefix) => (rendered.get(prefix) ?? '') !== (element.scope.get(prefix) ?? '')).sort()
  if (missing.length === 0) return rendered
  const now = new Map(rendered)
  for (const prefix of missing) {
    const namespace = element.scope.get(prefix) ?? ''
    out.push(prefix === '' ? ' xmlns="' : ` xmlns:${prefix}="`, escapeValue(namespace), '"')
    now.set(prefix, namespace)
  }
  return now
}

/** By namespace, then by local name, in the order of code points; those in no namespace first. */
function sortedAttributes(attributes: readonly XmlAttribute[]): readonly XmlAttribute[] {
  if (attributes.length < 2) return attributes
  return [...attributes].sort((a, b) => order(a.namespace, b.namespace) || order(a.local, b.local))
}

function order(a: string, b: string): number {
  if (a === b) return 0
  // UTF-16 order differs from that of code points above U+FFFF; UTF-8 bytes keep it.
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
