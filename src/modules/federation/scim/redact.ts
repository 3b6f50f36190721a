/**
 * What the flight recorder keeps of a request: names of attributes, operations, ids, truth values and what tells two people apart
 * (userName, externalId, names of groups). Everything else a person or a directory typed is replaced.
 */
import type { ResourceName } from './engine.ts'

export const redacted = '[redacted]'
const mostTexts = 20_000

const kept = new Set([
  'schemas', 'id', 'username', 'externalid', 'op', 'path', 'method', 'bulkid', 'version', 'failonerrors', 'type', 'primary', 'active',
  'sortby', 'sortorder', 'count', 'startindex', 'attributes', 'excludedattributes',
])
const plain = /^(?:true|false|bulkId:.{1,200}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i
const comparison = /([\w.:$-]+)(\s+)(eq|ne|co|sw|ew|gt|ge|lt|le)(\s+)"((?:[^"\\]|\\.)*)"/gi

/** Whether values of this attribute may be told, of this kind of resource. */
function isKept(path: string, kind: ResourceName | null): boolean {
  const name = path.split(/[.:[]/).at(-1)!.toLowerCase()
  return kept.has(name) || (name === 'displayname' && kind === 'Group')
}

/** A filter, or a path with one, without what it compares with. */
export function redactFilter(text: string, kind: ResourceName | null): string {
  return text
    .slice(0, 4_096)
    .replace(comparison, (whole, name: string, a: string, by: string, b: string, value: string) =>
      isKept(name, kind) || plain.test(value) ? whole : `${name}${a}${by}${b}"${redacted}"`,
    )
}

/** The body as it may be kept; undefined for none. Bounded by how many texts are looked at. */
export function redactBody(body: unknown, kind: ResourceName | null): unknown {
  let looked = 0
  const at = (value: unknown, name: string, keep: boolean): unknown => {
    if (++looked > mostTexts) return redacted
    if (typeof value === 'string') {
      if (name === 'path' || name === 'filter') return redactFilter(value, kind)
      return keep || plain.test(value) ? value.slice(0, 1_024) : redacted
    }
    if (Array.isArray(value)) return value.map((one) => at(one, name, keep))
    if (typeof value !== 'object' || value === null) return typeof value === 'number' && !keep ? 0 : value
    const path = 'path' in value && typeof value.path === 'string' ? value.path : null
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => {
        const lower = key.toLowerCase()
        const says = lower === 'value' && path !== null && !path.includes('[') ? isKept(path, kind) : isKept(key, kind)
        return [key.slice(0, 256), at(one, lower, says)]
      }),
    )
  }
  return body === undefined ? undefined : at(body, '', false)
}

/** The query as it may be kept. */
export function redactQuery(query: URLSearchParams, kind: ResourceName | null): string {
  const shown = new URLSearchParams()
  for (const [name, value] of query) shown.append(name.slice(0, 64), name === 'filter' ? redactFilter(value, kind) : value.slice(0, 512))
  return shown.toString().slice(0, 8_192)
}
