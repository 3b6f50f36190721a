/**
 * A look over the whole document before anything in it is believed: no ID twice, assertions and signatures only where sign-on has
 * them. Every wrapping attack needs one of these to be otherwise.
 */
import { shown, type Laws } from './laws.ts'
import { ds, saml, samlp } from './names.ts'
import { isNamed, walk, xmlNamespace, type XmlElement } from './xml/tree.ts'

const isAssertion = (element: XmlElement) => isNamed(element, saml, 'Assertion') || isNamed(element, saml, 'EncryptedAssertion')

/** IDs by any of the spellings that some reader takes for one. */
function idsOf({ attributes }: XmlElement): string[] {
  return attributes
    .filter(({ local, namespace }) => (namespace === '' && /^id$/i.test(local)) || (namespace === xmlNamespace && local === 'id'))
    .map(({ value }) => value)
}

/**
 * @param ids of what was read before; the document's own are added. What is decrypted shares those of its envelope.
 * @throws Refusal DUPLICATE_ID, ASSERTION_MISPLACED or SIGNATURE_MISPLACED.
 */
export function takeCensus(root: XmlElement, ids: Set<string>, laws: Laws): void {
  for (const { element, parent } of walk(root)) {
    for (const id of idsOf(element)) {
      laws.demand(!ids.has(id), 'DUPLICATE_ID', () => shown(id))
      ids.add(id)
    }
    if (parent === null) continue
    const nested = isNamed(element, samlp, 'Response') || (isAssertion(element) && !(parent === root && isNamed(root, samlp, 'Response')))
    laws.demand(!nested, 'ASSERTION_MISPLACED', () => `${element.local} in ${parent.local}`)
    const signs = parent === root || isAssertion(parent)
    laws.demand(!isNamed(element, ds, 'Signature') || signs, 'SIGNATURE_MISPLACED', () => `Signature in ${parent.local}`)
  }
}
