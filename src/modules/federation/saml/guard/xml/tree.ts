/** The tree that the parser makes and that everything else reads. It is never changed after it is made. */

/** Prefix to namespace, '' for the default one; null prototype maps are not needed, a Map has no inherited keys. */
export type Scope = ReadonlyMap<string, string>

export interface XmlAttribute {
  readonly prefix: string
  readonly local: string
  /** '' for an attribute without prefix: it is in no namespace. */
  readonly namespace: string
  readonly value: string
}

export interface XmlElement {
  readonly prefix: string
  readonly local: string
  readonly namespace: string
  /** Without namespace declarations; those are in `scope`. */
  readonly attributes: readonly XmlAttribute[]
  /** The declarations in force here. */
  readonly scope: Scope
  /** Elements and texts; two texts are never neighbours. */
  readonly children: readonly XmlNode[]
}

export type XmlNode = XmlElement | string

export const xmlNamespace = 'http://www.w3.org/XML/1998/namespace'
export const xmlnsNamespace = 'http://www.w3.org/2000/xmlns/'

/** Value of an attribute in no namespace, or null. */
export function attributeOf(element: XmlElement, local: string): string | null {
  return element.attributes.find((one) => one.local === local && one.namespace === '')?.value ?? null
}

export function isNamed(node: XmlNode, namespace: string, local: string): boolean {
  return typeof node !== 'string' && node.local === local && node.namespace === namespace
}

/** Children of that name, in order. */
export function childrenOf(element: XmlElement, namespace: string, local: string): XmlElement[] {
  return element.children.filter((node) => isNamed(node, namespace, local)) as XmlElement[]
}

/** The first child of that name, or null. */
export function childOf(element: XmlElement, namespace: string, local: string): XmlElement | null {
  return (element.children.find((node) => isNamed(node, namespace, local)) as XmlElement | undefined) ?? null
}

/** All text directly in the element, joined: never only the part before something. */
export function textOf(element: XmlElement): string {
  return element.children.filter((node) => typeof node === 'string').join('')
}

/** Every element from `root` down, in the order of the document, with its parent. */
export function* walk(root: XmlElement): Generator<{ element: XmlElement; parent: XmlElement | null }> {
  const open: { element: XmlElement; parent: XmlElement | null }[] = [{ element: root, parent: null }]
  while (open.length > 0) {
    const here = open.pop()!
    yield here
    for (let index = here.element.children.length - 1; index >= 0; index--) {
      const child = here.element.children[index]!
      if (typeof child !== 'string') open.push({ element: child, parent: here.element })
    }
  }
}
