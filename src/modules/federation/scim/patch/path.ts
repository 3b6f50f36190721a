/** Where an operation points (RFC 7644 §3.5.2, figure 7): an attribute, one of its parts, those values a filter picks, or an extension. */
import type { ResourceName } from '../engine.ts'
import { invalidFilter, invalidPath } from '../schema/faults.ts'
import { extensionOf, named, resolve, resources, type Extension, type Target } from '../schema/resource.ts'
import { parseFilter, type Condition } from '../filter/parse.ts'
import { mostFilterLength } from '../filter/tokens.ts'

export interface Place extends Target {
  /** Which values of the attribute; null for all. */
  readonly filter: Condition | null
}

export type Pointed =
  | { readonly at: 'attribute'; readonly place: Place }
  | { readonly at: 'extension'; readonly extension: Extension }
  /** The resource's own URN: the resource itself. */
  | { readonly at: 'resource' }

const malformed = () => invalidPath({ detail: 'The path is malformed.' })

function filtered(resource: ResourceName, path: string, open: number): Pointed | undefined {
  const close = path.lastIndexOf(']')
  const rest = path.slice(close + 1)
  if (close < open || (rest !== '' && !rest.startsWith('.'))) throw malformed()
  const target = resolve(resource, path.slice(0, open).trimEnd())
  if (!target) return undefined
  const { attribute } = target
  if (target.sub || attribute.type !== 'complex') throw invalidPath({ detail: `${attribute.name} takes no value filter.` })
  const filter = parseFilter(path.slice(open + 1, close))
  if (rest === '') return { at: 'attribute', place: { ...target, filter } }
  const sub = named(attribute.subAttributes ?? [], rest.slice(1))
  return sub && { at: 'attribute', place: { ...target, sub, filter } }
}

/**
 * @returns undefined for an attribute this kind of resource does not have.
 * @throws invalidPath for what is no path; invalidFilter for a filter in it that is none.
 */
export function readPath(resource: ResourceName, path: string): Pointed | undefined {
  if (path.length > mostFilterLength) throw invalidPath({ detail: `The path is longer than ${mostFilterLength} characters.` })
  const open = path.indexOf('[')
  if (open >= 0) return filtered(resource, path, open)
  if (!/^[\w$.:-]+$/.test(path)) throw malformed()
  if (path.toLowerCase() === resources[resource].urn.toLowerCase()) return { at: 'resource' }
  const extension = extensionOf(resource, path)
  if (extension) return { at: 'extension', extension }
  const target = resolve(resource, path)
  return target && { at: 'attribute', place: { ...target, filter: null } }
}

/** Every sub-attribute a value filter names. @throws invalidFilter for one that does not exist. */
export function checkFilter(subs: Target['attribute'], condition: Condition): void {
  switch (condition.is) {
    case 'all':
    case 'any':
      for (const one of condition.of) checkFilter(subs, one)
      return
    case 'not':
      checkFilter(subs, condition.of)
      return
    case 'within':
      throw invalidFilter({ detail: 'A value filter holds another one.' })
    default:
      if (!named(subs.subAttributes ?? [], condition.path)) {
        throw invalidFilter({ detail: `The filter names a part that ${subs.name} does not have.` })
      }
  }
}
