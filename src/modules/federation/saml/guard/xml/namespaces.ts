/** Namespaces in XML 1.0: from names as written to names that mean something. Refuses undeclared, doubled and misused prefixes. */
import { Refusal, type Laws } from '../laws.ts'
import type { XmlLimits } from './limits.ts'
import { xmlNamespace, xmlnsNamespace, type Scope, type XmlAttribute, type XmlElement, type XmlNode } from './tree.ts'

/** An attribute as it stands in the tag, references resolved. */
export interface Written {
  readonly name: string
  readonly value: string
}

/** For messages to IT: the name with its prefix. */
export function nameOf({ prefix, local }: { readonly prefix: string; readonly local: string }): string {
  return (prefix === '' ? local : `${prefix}:${local}`).slice(0, 80)
}

function split(name: string, most: number): { prefix: string; local: string } {
  if (name.length > most) throw new Refusal('XML_MALFORMED', `a name of ${name.length} characters`)
  const colon = name.indexOf(':')
  return colon < 0 ? { prefix: '', local: name } : { prefix: name.slice(0, colon), local: name.slice(colon + 1) }
}

/** Makes the element: its declarations go into its scope, its other attributes get their namespaces. */
export function declare(
  name: string,
  written: readonly Written[],
  outer: Scope,
  children: readonly XmlNode[],
  limits: XmlLimits,
  laws: Laws,
): XmlElement {
  const scope = scopeOf(written, outer, limits, laws)
  const own = split(name, limits.name)
  const attributes: XmlAttribute[] = []
  for (const one of written) {
    if (isDeclaration(one.name)) continue
    const { prefix, local } = split(one.name, limits.name)
    const namespace = prefix === '' ? '' : namespaceOf(prefix, scope)
    // Two prefixes of one namespace make one name too (Namespaces §6.3).
    const doubled = attributes.some((other) => other.local === local && other.namespace === namespace)
    laws.demand(!doubled, 'XML_DUPLICATE_ATTRIBUTE', () => `${nameOf({ prefix, local })} of ${name.slice(0, 80)}`)
    attributes.push({ prefix, local, namespace, value: one.value })
  }
  const namespace = own.prefix === '' ? (scope.get('') ?? '') : namespaceOf(own.prefix, scope)
  return { ...own, namespace, attributes, scope, children }
}

const isDeclaration = (name: string) => name === 'xmlns' || name.startsWith('xmlns:')

function scopeOf(written: readonly Written[], outer: Scope, limits: XmlLimits, laws: Laws): Scope {
  if (!written.some(({ name }) => isDeclaration(name))) return outer
  const scope = new Map(outer)
  const seen = new Set<string>()
  for (const { name, value } of written) {
    if (!isDeclaration(name)) continue
    const prefix = name === 'xmlns' ? '' : name.slice(6)
    laws.demand(!seen.has(prefix), 'XML_DUPLICATE_ATTRIBUTE', () => name.slice(0, 80))
    seen.add(prefix)
    const reserved = prefix === 'xmlns' || prefix === 'xml' || value === xmlNamespace || value === xmlnsNamespace
    laws.demand(!reserved, 'XML_NAMESPACE', () => `${name.slice(0, 80)} declares what is reserved`)
    // A prefix cannot be undeclared, and a relative name has no canonical form (Exclusive C14N §1.3).
    const sound = value === '' ? prefix === '' : /^[A-Za-z][A-Za-z0-9+.-]*:/.test(value)
    laws.demand(sound, 'XML_NAMESPACE', () => `${name.slice(0, 80)} is not an absolute name`)
    if (value === '') scope.delete('')
    else scope.set(prefix, value)
  }
  laws.demand(scope.size <= limits.prefixes, 'XML_TOO_MANY', () => `more than ${limits.prefixes} namespaces in force`)
  return scope
}

function namespaceOf(prefix: string, scope: Scope): string {
  if (prefix === 'xml') return xmlNamespace
  const namespace = scope.get(prefix)
  if (namespace === undefined || prefix === 'xmlns') throw new Refusal('XML_NAMESPACE', `the prefix ${prefix.slice(0, 80)} is not declared`)
  return namespace
}
