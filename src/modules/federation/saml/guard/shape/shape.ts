/**
 * The closed grammar: what an element may carry and hold, as data. Whatever a shape does not name is refused, with the name of the
 * place; only `open` shapes (status details, metadata that we do not read) let pass what they hold.
 */
import type { Laws } from '../laws.ts'
import { nameOf } from '../xml/namespaces.ts'
import { isNamed, textOf, xmlNamespace, type XmlElement } from '../xml/tree.ts'
import type { Value } from './values.ts'

export interface Particle {
  readonly namespace: string
  readonly local: string
  /** A function, since a status code may hold a status code. */
  readonly shape: () => Shape
  readonly least: 0 | 1
  readonly most: number
}

export interface Shape {
  /** Attributes in no namespace. */
  readonly required: Readonly<Record<string, Value>>
  readonly optional: Readonly<Record<string, Value>>
  /** Attributes of these namespaces are let pass unread; `'*'` means every namespace. */
  readonly foreign: readonly string[] | '*'
  /** What stands inside, in this order: each entry is a choice of particles, repeated as their bounds allow. */
  readonly inside: readonly (readonly Particle[])[]
  /** Whether the order of `inside` is kept: messages keep it, metadata of some providers does not. */
  readonly ordered: boolean
  /** The text directly inside; null: white space only. */
  readonly text: Value | null
  /** Holds anything: neither attributes nor content are asked. */
  readonly open: boolean
}

const empty: Shape = { required: {}, optional: {}, foreign: [], inside: [], ordered: true, text: null, open: false }

export const shape = (parts: Partial<Shape>): Shape => ({ ...empty, ...parts })
export const opaque: Shape = shape({ open: true })
/** An element that holds one value. */
export const valued = (text: Value, parts: Partial<Shape> = {}): Shape => shape({ text, ...parts })

const particle =
  (least: 0 | 1, most: number) =>
  (namespace: string, local: string, of: Shape | (() => Shape)): Particle => ({
    namespace,
    local,
    shape: typeof of === 'function' ? of : () => of,
    least,
    most,
  })
export const one = particle(1, 1)
export const maybe = particle(0, 1)
export const some = particle(1, Number.POSITIVE_INFINITY)
export const many = particle(0, Number.POSITIVE_INFINITY)

const blank = /^[ \t\n\r]*$/

/** @throws Refusal for the first place below `root` that its shape does not name. */
export function demandShape(root: XmlElement, rootShape: Shape, laws: Laws): void {
  const open: { element: XmlElement; is: Shape }[] = [{ element: root, is: rootShape }]
  while (open.length > 0) {
    const { element, is } = open.pop()!
    if (is.open) continue
    demandAttributes(element, is, laws)
    const text = textOf(element)
    if (is.text === null) laws.demand(blank.test(text), 'VALUE_MALFORMED', () => `text directly in ${nameOf(element)}`)
    else laws.demand(is.text(text), 'VALUE_MALFORMED', () => `the text of ${nameOf(element)}`)
    demandChildren(element, is, laws, (child, of) => open.push({ element: child, is: of }))
  }
}

function demandAttributes(element: XmlElement, is: Shape, laws: Laws): void {
  for (const { prefix, local, namespace, value } of element.attributes) {
    const place = () => `${nameOf({ prefix, local })} of ${nameOf(element)}`
    if (namespace === '') {
      const type = own(is.required, local) ?? own(is.optional, local)
      laws.demand(type !== undefined, 'ATTRIBUTE_UNEXPECTED', place)
      laws.demand(type === undefined || type(value), 'VALUE_MALFORMED', place)
    } else {
      const passes = is.foreign === '*' || (is.foreign.includes(namespace) && namespace !== xmlNamespace)
      laws.demand(passes, 'ATTRIBUTE_UNEXPECTED', place)
    }
  }
  for (const local of Object.keys(is.required)) {
    const there = element.attributes.some((attribute) => attribute.namespace === '' && attribute.local === local)
    laws.demand(there, 'ATTRIBUTE_MISSING', () => `${local} of ${nameOf(element)}`)
  }
}

function own(types: Readonly<Record<string, Value>>, local: string): Value | undefined {
  return Object.hasOwn(types, local) ? types[local] : undefined
}

function demandChildren(element: XmlElement, is: Shape, laws: Laws, visit: (child: XmlElement, of: Shape) => void): void {
  const counts = new Map<Particle, number>()
  let place = 0
  for (const child of element.children) {
    if (typeof child === 'string') continue
    const from = is.ordered ? place : 0
    const at = is.inside.findIndex((choice, index) => index >= from && choice.some((one) => isNamed(child, one.namespace, one.local)))
    const where = () => `${nameOf(child)} in ${nameOf(element)}`
    laws.demand(at >= 0, 'ELEMENT_UNEXPECTED', where)
    // Only in a guard without that law: what no shape describes is passed by.
    if (at < 0) continue
    place = at
    const found = is.inside[at]!.find((one) => isNamed(child, one.namespace, one.local))!
    const count = (counts.get(found) ?? 0) + 1
    laws.demand(count <= found.most, 'ELEMENT_UNEXPECTED', () => `${where()} more than once`)
    counts.set(found, count)
    visit(child, found.shape())
  }
  for (const choice of is.inside) {
    const there = choice.some((one) => one.least === 0 || counts.has(one))
    laws.demand(there, 'ELEMENT_MISSING', () => `${choice.map(({ local }) => local).join(' or ')} in ${nameOf(element)}`)
  }
}
