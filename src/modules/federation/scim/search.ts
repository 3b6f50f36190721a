/** A list's question in a body instead of an address (RFC 7644 §3.4.3). */
import type { ReadProjection } from './engine.ts'
import type { ListAsked } from './list.ts'
import { invalidSyntax, invalidValue } from './schema/faults.ts'

const searchUrn = 'urn:ietf:params:scim:api:messages:2.0:SearchRequest'

function textIn(body: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw invalidValue({ detail: `${name} must be a text.` })
  return value
}

/** The members of a .search body by their names in any case (RFC 7643 §2.1). */
export function searchOf(body: unknown): { asked: ListAsked; projection: Parameters<ReadProjection>[0] } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalidSyntax({ detail: 'The body must be a SearchRequest.' })
  const names = ['schemas', 'filter', 'sortBy', 'sortOrder', 'startIndex', 'count', 'cursor', 'attributes', 'excludedAttributes']
  const canonical = new Map(names.map((name) => [name.toLowerCase(), name]))
  const given = Object.fromEntries(Object.entries(body).map(([name, value]) => [canonical.get(name.toLowerCase()) ?? '', value]))
  const schemas = given['schemas']
  if (!Array.isArray(schemas) || !schemas.includes(searchUrn)) throw invalidSyntax({ detail: `schemas must name ${searchUrn}.` })
  const number = (name: string) => (typeof given[name] === 'number' ? (given[name] as number) : textIn(given, name))
  const list = (name: string) => {
    const value = given[name]
    if (value === undefined || value === null || typeof value === 'string') return value ?? undefined
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value as string[]
    throw invalidValue({ detail: `${name} must be a list of texts.` })
  }
  const [attributes, excludedAttributes] = [list('attributes'), list('excludedAttributes')]
  return {
    asked: {
      filter: textIn(given, 'filter'),
      sortBy: textIn(given, 'sortBy'),
      sortOrder: textIn(given, 'sortOrder'),
      startIndex: number('startIndex'),
      count: number('count'),
      cursor: textIn(given, 'cursor'),
    },
    projection: { ...(attributes ? { attributes } : {}), ...(excludedAttributes ? { excludedAttributes } : {}) },
  }
}
