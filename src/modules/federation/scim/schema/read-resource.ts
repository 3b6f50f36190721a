/** A whole resource from outside into its stored form: the client's attributes, without what only the server may say. */
import type { AttributeMap, AttributeValue, ResourceName } from '../engine.ts'
import type { Attribute } from './attribute.ts'
import { invalidSyntax, invalidValue } from './faults.ts'
import { canonical, isMap, readValue } from './read-value.ts'
import { extensionOf, resources, topOf } from './resource.ts'

/** What is never stored: the server's own, what another table holds, and passwords. */
export const isStored = ({ name, mutability }: Attribute): boolean =>
  mutability !== 'readOnly' && mutability !== 'writeOnly' && name !== 'members'

function readAll(attributes: readonly Attribute[], map: Readonly<Record<string, unknown>>): Record<string, AttributeValue> {
  const read: Record<string, AttributeValue> = {}
  for (const [attribute, value] of canonical(attributes, map)) {
    // A password is checked, so that a wrong type is told, and then let go.
    const one = attribute.mutability === 'readOnly' || attribute.name === 'members' ? undefined : readValue(attribute, value)
    if (one !== undefined && isStored(attribute)) read[attribute.name] = one
  }
  return read
}

/** Checks `schemas` (RFC 7643 §3): a list of text that names the resource's own schema. Others may be named; what they mean is ours. */
function checkSchemas(resource: ResourceName, body: Readonly<Record<string, unknown>>): void {
  const { urn } = resources[resource]
  const named = Object.entries(body).find(([name]) => name.toLowerCase() === 'schemas')?.[1]
  const fits = Array.isArray(named) && named.length <= 20 && named.every((one) => typeof one === 'string')
  if (!fits || !named.some((one) => (one as string).toLowerCase() === urn.toLowerCase())) {
    throw invalidSyntax({ detail: `schemas must be a list with ${urn}.` })
  }
}

/** @throws invalidSyntax, invalidValue; never repeats what was sent. */
export function readResource(
  resource: ResourceName,
  body: unknown,
): { readonly body: Readonly<Record<string, unknown>>; readonly stored: AttributeMap } {
  if (!isMap(body)) throw invalidSyntax({ detail: 'The body must be a JSON object.' })
  checkSchemas(resource, body)
  const stored = readAll(topOf(resource), body)
  for (const [name, value] of Object.entries(body)) {
    const extension = extensionOf(resource, name)
    if (!extension || value === null) continue
    if (!isMap(value)) throw invalidValue({ detail: `${extension.urn} must be an object.` })
    if (Object.hasOwn(stored, extension.urn)) throw invalidSyntax({ detail: `${extension.urn} is given twice.` })
    const read = readAll(extension.attributes, value)
    if (Object.keys(read).length > 0) stored[extension.urn] = read
  }
  return { body, stored }
}
