/**
 * Which attributes an answer shows (RFC 7644 §3.4.2.5, §3.9): `attributes` names all that is wanted beside what is always returned,
 * `excludedAttributes` what is not. Given both, the second is taken off the first.
 */
import type { Projection, ReadProjection, ResourceName } from '../engine.ts'
import { invalidValue } from './faults.ts'
import { isMap } from './read-value.ts'
import { extensionOf, resolve, topOf } from './resource.ts'

const mostNames = 200
const mostLength = 8192

/** Names as `top` or `top.sub`, canonical; a top name is an attribute of the core or an extension's URN. */
type Paths = readonly (readonly string[])[]

function namesOf(asked: string | readonly string[] | undefined): readonly string[] | null {
  if (asked === undefined) return null
  const names = (typeof asked === 'string' ? asked.split(',') : asked).map((name) => name.trim()).filter((name) => name !== '')
  if (names.length > mostNames || names.some((name) => name.length > mostLength)) {
    throw invalidValue({ detail: `More than ${mostNames} attributes are named.` })
  }
  return names.length > 0 ? names : null
}

function pathsOf(names: readonly string[], resource: ResourceName): Paths {
  return names.flatMap((name) => {
    const extension = extensionOf(resource, name)
    if (extension) return [[extension.urn]]
    const target = resolve(resource, name)
    if (!target) return []
    return [[...(target.extension ? [target.extension.urn] : []), target.attribute.name, ...(target.sub ? [target.sub.name] : [])]]
  })
}

const startsWith = (path: readonly string[], start: readonly string[]) => start.every((name, at) => path[at] === name)

/** What of `value`, which stands at `path`, is left. */
function cutAt(path: readonly string[], value: unknown, keep: (path: readonly string[]) => 'whole' | 'part' | 'none'): unknown {
  const verdict = keep(path)
  if (verdict === 'none') return undefined
  if (verdict === 'whole') return value
  if (Array.isArray(value)) {
    const left = value.map((one) => cutAt(path, one, keep)).filter((one) => one !== undefined)
    return left.length > 0 ? left : undefined
  }
  if (!isMap(value)) return undefined
  const left = Object.entries(value).flatMap(([name, one]) => {
    const part = cutAt([...path, name], one, keep)
    return part === undefined ? [] : [[name, part] as const]
  })
  return left.length > 0 ? Object.fromEntries(left) : undefined
}

export const readProjection: ReadProjection = (asked, resource): Projection => {
  const wanted = namesOf(asked.attributes)
  const wantedPaths = wanted && pathsOf(wanted, resource)
  const unwanted = pathsOf(namesOf(asked.excludedAttributes) ?? [], resource)
  const always = new Set(topOf(resource).flatMap(({ name, returned }) => (returned === 'always' ? [name] : [])))
  const keep = (path: readonly string[]): 'whole' | 'part' | 'none' => {
    if (always.has(path[0]!)) return 'whole'
    if (unwanted.some((one) => startsWith(path, one))) return 'none'
    const inside = unwanted.some((one) => startsWith(one, path))
    if (wantedPaths === null || wantedPaths.some((one) => startsWith(path, one))) return inside ? 'part' : 'whole'
    return wantedPaths.some((one) => startsWith(one, path)) ? 'part' : 'none'
  }
  return {
    wants: (attribute) => keep([attribute]) !== 'none',
    cut: (whole) => {
      const left: Record<string, unknown> = {}
      for (const [name, value] of Object.entries(whole)) {
        const part = cutAt([name], value, keep)
        if (part !== undefined) left[name] = part
      }
      return left
    },
  }
}
