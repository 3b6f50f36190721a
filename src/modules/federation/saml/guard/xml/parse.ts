/**
 * XML 1.0 with namespaces, as much of it as SAML needs and no more: elements, attributes, text, the five entities and character
 * references. Refuses document types, other entities, processing instructions, CDATA, comments (in messages all of them), names
 * beyond ASCII, encodings other than UTF-8, doubled attributes, undeclared prefixes. Bounded in depth, number and size; every
 * character is looked at a fixed number of times.
 */
import { Refusal, type Laws } from '../laws.ts'
import { isXmlText, resolve } from './characters.ts'
import type { XmlLimits } from './limits.ts'
import { declare, nameOf, type Written } from './namespaces.ts'
import type { Scope, XmlElement, XmlNode } from './tree.ts'

export interface ParseOptions {
  readonly limits: XmlLimits
  /** Metadata files carry comments between their elements; beside text a comment is refused everywhere. */
  readonly comments: 'refused' | 'between elements'
  /** Declarations in force around the text: for the content of an encrypted element (XML Encryption §4.2). */
  readonly scope: Scope
}

interface Open {
  readonly element: XmlElement
  readonly name: string
  readonly children: XmlNode[]
  commented: boolean
}

const declaration = /^<\?xml[ \t\n]+version[ \t\n]*=[ \t\n]*(?:"1\.0"|'1\.0')([^?]*)\?>/
const afterVersion =
  /^(?:[ \t\n]+encoding[ \t\n]*=[ \t\n]*(["'])([A-Za-z0-9._-]{1,40})\1)?(?:[ \t\n]+standalone[ \t\n]*=[ \t\n]*(["'])(?:yes|no)\3)?[ \t\n]*$/
const startName = /<([A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)/y
const endTag = /<\/([A-Za-z_][\w.:-]*)[ \t\n]*>/y
const attribute = /[ \t\n]+([A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)[ \t\n]*=[ \t\n]*(?:"([^"<]*)"|'([^'<]*)')/y
const startEnd = /[ \t\n]*(\/?)>/y
const blank = /^[ \t\n]*$/

/** @throws Refusal for whatever is not of this grammar or is beyond its limits. */
export function parseXml(text: string, options: ParseOptions, laws: Laws): XmlElement {
  return new Parser(text, options, laws).document()
}

class Parser {
  readonly #text: string
  readonly #options: ParseOptions
  readonly #laws: Laws
  readonly #open: Open[] = []
  #at = 0
  #elements = 0
  #root: XmlElement | null = null

  constructor(text: string, options: ParseOptions, laws: Laws) {
    laws.demand(isXmlText(text), 'XML_CHARACTER', () => 'a control character or noncharacter')
    // XML 1.0 §2.11: before parsing, every line end becomes one line feed.
    this.#text = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
    this.#options = options
    this.#laws = laws
  }

  document(): XmlElement {
    this.#declaration()
    while (this.#at < this.#text.length) {
      if (this.#text.charCodeAt(this.#at) === 60) this.#markup()
      else this.#characters()
    }
    if (this.#root === null || this.#open.length > 0) throw new Refusal('XML_MALFORMED', 'the text ends before its root element does')
    return this.#root
  }

  #declaration(): void {
    const found = declaration.exec(this.#text.slice(0, 200))
    if (found === null) return
    const rest = afterVersion.exec(found[1]!)
    if (rest === null) throw new Refusal('XML_MALFORMED', 'the XML declaration')
    const encoding = rest[2]
    this.#laws.demand(encoding === undefined || /^utf-8$/i.test(encoding), 'NOT_UTF8', () => `encoding ${encoding}`)
    this.#at = found[0].length
  }

  #markup(): void {
    const text = this.#text
    const next = text.charCodeAt(this.#at + 1)
    if (next === 47) this.#end()
    else if (next === 63) throw new Refusal('XML_INSTRUCTION', `a processing instruction at ${this.#at}`)
    else if (next !== 33) this.#start()
    else if (text.startsWith('<!--', this.#at)) this.#comment()
    else if (text.startsWith('<![CDATA[', this.#at)) throw new Refusal('XML_CDATA', `a CDATA section at ${this.#at}`)
    else if (text.startsWith('<!DOCTYPE', this.#at)) throw new Refusal('XML_DOCTYPE', `a document type at ${this.#at}`)
    else throw new Refusal('XML_MALFORMED', `a declaration at ${this.#at}`)
  }

  #comment(): void {
    this.#laws.demand(this.#options.comments === 'between elements', 'XML_COMMENT', () => `a comment at ${this.#at}`)
    const dashes = this.#text.indexOf('--', this.#at + 4)
    if (dashes < 0 || this.#text[dashes + 2] !== '>') throw new Refusal('XML_MALFORMED', `the comment at ${this.#at}`)
    const parent = this.#open.at(-1)
    if (parent) parent.commented = true
    this.#at = dashes + 3
  }

  #characters(): void {
    const text = this.#text
    let end = text.indexOf('<', this.#at)
    if (end < 0) end = text.length
    const written = text.slice(this.#at, end)
    const parent = this.#open.at(-1)
    if (!parent) {
      if (!blank.test(written)) throw new Refusal('XML_MALFORMED', 'text outside of the root element')
    } else {
      if (written.includes(']]>')) throw new Refusal('XML_MALFORMED', `"]]>" in the text of ${parent.name}`)
      const value = resolve(written)
      const last = parent.children.length - 1
      // Texts meet only around a comment: they are one.
      if (typeof parent.children[last] === 'string') parent.children[last] += value
      else parent.children.push(value)
    }
    this.#at = end
  }

  #start(): void {
    if (this.#root !== null && this.#open.length === 0) throw new Refusal('XML_MALFORMED', 'a second root element')
    const [, name] = this.#take(startName, 'a start tag')
    const { limits } = this.#options
    this.#laws.demand(++this.#elements <= limits.elements, 'XML_TOO_MANY', () => `more than ${limits.elements} elements`)
    this.#laws.demand(this.#open.length < limits.depth, 'XML_TOO_DEEP', () => `more than ${limits.depth} levels`)
    const written: Written[] = []
    attribute.lastIndex = this.#at
    for (let found = attribute.exec(this.#text); found !== null; found = attribute.exec(this.#text)) {
      this.#at = attribute.lastIndex
      this.#laws.demand(
        written.length < limits.attributes,
        'XML_TOO_MANY',
        () => `more than ${limits.attributes} attributes of one element`,
      )
      // XML 1.0 §3.3.3: white space as written becomes a blank, white space by reference stays.
      written.push({ name: found[1]!, value: resolve((found[2] ?? found[3]!).replace(/[\t\n]/g, ' ')) })
    }
    const [, slash] = this.#take(startEnd, `the start tag of ${name!.slice(0, 80)}`)
    const outer = this.#open.at(-1)?.element.scope ?? this.#options.scope
    const children: XmlNode[] = []
    const element = declare(name!, written, outer, children, limits, this.#laws)
    const parent = this.#open.at(-1)
    if (parent) parent.children.push(element)
    else this.#root = element
    if (slash === '') this.#open.push({ element, name: name!, children, commented: false })
  }

  #end(): void {
    const [, name] = this.#take(endTag, 'an end tag')
    const open = this.#open.pop()
    if (open === undefined || open.name !== name) throw new Refusal('XML_MALFORMED', `an end tag without its start: ${name!.slice(0, 80)}`)
    // A comment may not split a value: one reader takes the part before it, another the whole.
    const splits = open.commented && open.children.some((child) => typeof child === 'string' && !blank.test(child))
    this.#laws.demand(!splits, 'XML_COMMENT', () => `a comment in the text of ${nameOf(open.element)}`)
  }

  #take(pattern: RegExp, what: string): RegExpExecArray {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null) throw new Refusal('XML_MALFORMED', `${what} at ${this.#at}`)
    this.#at = pattern.lastIndex
    return found
  }
}
