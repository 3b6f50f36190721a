/** How values are compared: one folding for the stored copy and for what a filter asks, so that no database collation has a say. */
import type { AttributeMap, AttributeValue, ResourceName } from '../engine.ts'
import type { Attribute } from './attribute.ts'
import { extensionOf, named, topOf } from './resource.ts'

/**
 * Text without its case and compatibility forms (RFC 7643 §2.2 caseExact false). Upper before lower case makes spellings of one letter
 * meet that only share their capital (ß, ſ, ı); the last step makes the result independent of a sigma's place in the word.
 */
export function foldText(text: string): string {
  return text.normalize('NFKC').toUpperCase().toLowerCase().replaceAll('ς', 'σ').normalize('NFKC')
}

/** A string as its attribute compares it. */
export function foldBy(attribute: Attribute, text: string): string {
  return attribute.caseExact ? text : foldText(text)
}

function foldValue(attribute: Attribute, value: AttributeValue): AttributeValue {
  if (Array.isArray(value)) return (value as readonly AttributeValue[]).map((one) => foldValue(attribute, one))
  if (typeof value === 'string') return foldBy(attribute, value)
  if (typeof value === 'object') return foldMap(attribute.subAttributes ?? [], value as AttributeMap)
  return value
}

function foldMap(attributes: readonly Attribute[], map: AttributeMap): AttributeMap {
  const folded: Record<string, AttributeValue> = {}
  for (const [name, value] of Object.entries(map)) {
    const attribute = named(attributes, name)
    if (attribute) folded[attribute.name] = foldValue(attribute, value)
  }
  return folded
}

/** The stored resource as filters and sorting read it. */
export function searchable(resource: ResourceName, stored: AttributeMap): AttributeMap {
  const folded: Record<string, AttributeValue> = { ...foldMap(topOf(resource), stored) }
  for (const [urn, value] of Object.entries(stored)) {
    const extension = extensionOf(resource, urn)
    if (extension) folded[extension.urn] = foldMap(extension.attributes, value as AttributeMap)
  }
  return folded
}
