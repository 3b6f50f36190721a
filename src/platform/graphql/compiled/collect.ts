/** The fields of a selection in the order of the answer, fragments followed and equal response names merged (GraphQL §6.3.2). */
import { Kind, type FieldNode, type FragmentDefinitionNode, type GraphQLObjectType, type SelectionSetNode } from 'graphql'

export interface Selected {
  /** The response name. */
  readonly key: string
  readonly name: string
  /** Every place where it is written; the first says the arguments. */
  readonly nodes: FieldNode[]
}

/** @returns null where a directive or a condition on another type decides what is asked for. */
export function collect(
  type: GraphQLObjectType,
  from: readonly { readonly selectionSet?: SelectionSetNode | undefined }[],
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): readonly Selected[] | null {
  const fields = new Map<string, Selected>()
  const visit = (set: SelectionSetNode): boolean => set.selections.every((selection) => {
    if ((selection.directives ?? []).length > 0) return false
    if (selection.kind === Kind.FIELD) {
      const key = selection.alias?.value ?? selection.name.value
      const known = fields.get(key)
      if (known) known.nodes.push(selection)
      else fields.set(key, { key, name: selection.name.value, nodes: [selection] })
      return true
    }
    const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection
    if (!fragment || (fragment.directives ?? []).length > 0) return false
    const condition = fragment.typeCondition?.name.value
    return (condition === undefined || condition === type.name) && visit(fragment.selectionSet)
  })
  for (const { selectionSet } of from) if (selectionSet && !visit(selectionSet)) return null
  return [...fields.values()]
}
