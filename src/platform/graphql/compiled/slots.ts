/** The parameters of a compiled read: which argument each is of, and its value for the variables of one request. */
import { getArgumentValues, type FieldNode, type GraphQLField } from 'graphql'
import { defaultPage, maxPage } from '../cost.ts'
import { decodeGlobalId } from '../global-id.ts'

interface Written {
  readonly field: GraphQLField<unknown, unknown>
  readonly node: FieldNode
}

export type Slot =
  /** The id inside a global id of one type. */
  | (Written & { readonly kind: 'id'; readonly argument: string; readonly typename: string })
  /** Rows of a page, from its start. */
  | (Written & { readonly kind: 'size' })
  /** The text of an argument that may be absent. */
  | (Written & { readonly kind: 'text'; readonly argument: string })

/** @returns null where the ordinary path must say what is wrong, or page from somewhere else. */
export function valuesOf(slots: readonly Slot[], variables: Readonly<Record<string, unknown>>): (string | null)[] | null {
  const values: (string | null)[] = []
  for (const slot of slots) {
    const given = argumentsOf(slot, variables)
    const value = given && valueOf(slot, given)
    if (value === null || value === undefined) return null
    values.push(value.text)
  }
  return values
}

function argumentsOf({ field, node }: Written, variables: Readonly<Record<string, unknown>>): Record<string, unknown> | null {
  try {
    return getArgumentValues(field, node, variables)
  } catch {
    return null
  }
}

function valueOf(slot: Slot, given: Readonly<Record<string, unknown>>): { text: string | null } | null {
  if (slot.kind === 'id') {
    const { typename, id } = decodeGlobalId(String(given[slot.argument]))
    return typename === slot.typename ? { text: id } : null
  }
  if (slot.kind === 'text') {
    const value = given[slot.argument] ?? null
    return value === null || typeof value === 'string' ? { text: value } : null
  }
  if (['after', 'before', 'last'].some((name) => given[name] !== undefined && given[name] !== null)) return null
  const first = given['first'] ?? defaultPage
  return typeof first === 'number' ? { text: String(Math.max(0, Math.min(first, maxPage))) } : null
}
