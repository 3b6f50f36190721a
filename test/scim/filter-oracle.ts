/**
 * What a filter means, said once more in the plainest way: over one resource as a client sees it, with no SQL, no index and no stored
 * copy. It knows nothing of the compiler; generated filters must find the same resources by both.
 */
export type Tree =
  | { readonly op: 'and' | 'or'; readonly left: Tree; readonly right: Tree }
  | { readonly op: 'not'; readonly of: Tree }
  | { readonly op: 'pr'; readonly path: string }
  | { readonly op: 'within'; readonly path: string; readonly of: Tree }
  | {
      readonly op: 'eq' | 'ne' | 'co' | 'sw' | 'ew' | 'gt' | 'ge' | 'lt' | 'le'
      readonly path: string
      readonly value: string | boolean | null
    }

type Json = Readonly<Record<string, unknown>>

const exact: ReadonlySet<string> = new Set(['externalId', 'id', 'profileUrl'])
const several: ReadonlySet<string> = new Set(['emails', 'phoneNumbers', 'addresses'])
export const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'

/** The value at a path of singular steps. */
function at(resource: unknown, path: string): unknown {
  if (path.startsWith(`${enterprise}:`)) return at((resource as Json)[enterprise], path.slice(enterprise.length + 1))
  return path.split('.').reduce<unknown>((value, name) => (value as Json | undefined)?.[name], resource)
}

function compare(op: string, path: string, held: unknown, asked: string | boolean | null): boolean {
  const some = held !== undefined && held !== ''
  if (op === 'pr') return some
  if (asked === null) return op === 'eq' ? !some : some
  if (op === 'ne') return !compare('eq', path, held, asked)
  if (held === undefined) return false
  if (typeof held === 'boolean' || typeof asked === 'boolean') return held === asked
  const fold = (text: string) => (exact.has(path) ? text : text.normalize('NFKC').toLowerCase())
  const [mine, yours] = [fold(String(held)), fold(asked)]
  switch (op) {
    case 'eq':
      return mine === yours
    case 'co':
      return mine.includes(yours)
    case 'sw':
      return mine.startsWith(yours)
    case 'ew':
      return mine.endsWith(yours)
    case 'gt':
      return mine > yours
    case 'ge':
      return mine >= yours
    case 'lt':
      return mine < yours
    default:
      return mine <= yours
  }
}

export function holds(tree: Tree, resource: Json): boolean {
  switch (tree.op) {
    case 'and':
      return holds(tree.left, resource) && holds(tree.right, resource)
    case 'or':
      return holds(tree.left, resource) || holds(tree.right, resource)
    case 'not':
      return !holds(tree.of, resource)
    case 'within':
      return ((resource[tree.path] ?? []) as readonly Json[]).some((one) => holds(tree.of, one))
    default: {
      const [first, second] = tree.path.split('.')
      const value = tree.op === 'pr' ? null : tree.value
      if (!several.has(first!)) return compare(tree.op, tree.path, at(resource, tree.path), value)
      const list = (resource[first!] ?? []) as readonly Json[]
      const some = list.some((one) => !second || compare('pr', tree.path, one[second], null))
      // Null asks for the attribute as a whole; everything else for one of its values.
      if (tree.op === 'pr' || tree.value === null) return tree.op === 'eq' ? !some : some
      return list.some((one) => compare(tree.op, tree.path, one[second ?? 'value'], value))
    }
  }
}

/** The tree as text, with brackets everywhere: precedence has cases of its own. */
export function write(tree: Tree): string {
  switch (tree.op) {
    case 'and':
    case 'or':
      return `(${write(tree.left)}) ${tree.op} (${write(tree.right)})`
    case 'not':
      return `not (${write(tree.of)})`
    case 'pr':
      return `${tree.path} pr`
    case 'within':
      return `${tree.path}[${write(tree.of)}]`
    default:
      return `${tree.path} ${tree.op} ${JSON.stringify(tree.value)}`
  }
}
