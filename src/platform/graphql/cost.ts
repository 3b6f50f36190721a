/**
 * The cost of an operation before it runs: one a field, times the length of the lists it stands in. It is an upper bound: aliases,
 * fragments and conditional fields count as if each were fetched, and its own time is linear in the document.
 */
import {
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  valueFromASTUntyped,
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql'

/** The longest page a list answers, whatever is asked. */
export const maxPage = 100
/** The length of a list that is not told how long to be. */
export const defaultPage = 20
/** No cost is counted beyond this: 2^30 is as refused as one past the limit. */
const ceiling = 1_000_000_000

/** What a selection costs once (`flat`), and what it costs for each row of the page its parent was asked for (`perRow`). */
interface Weight {
  readonly flat: number
  readonly perRow: number
}
const weightless: Weight = { flat: 0, perRow: 0 }

type Variables = Readonly<Record<string, unknown>>

function total({ flat, perRow }: Weight, rows: number): number {
  return Math.min(ceiling, flat + rows * perRow)
}

/** The rows a list answers for the `first` or `last` it is given; what no list accepts counts as the longest page. */
export function pageSize(asked: unknown): number {
  if (asked === undefined || asked === null) return defaultPage
  if (typeof asked !== 'number' || !Number.isFinite(asked)) return maxPage
  return asked < 1 ? defaultPage : Math.min(Math.ceil(asked), maxPage)
}

function listLevels(type: GraphQLOutputType): number {
  if (isNonNullType(type)) return listLevels(type.ofType)
  return isListType(type) ? 1 + listLevels(type.ofType) : 0
}

function ownCost(field: GraphQLField<unknown, unknown>): number {
  const told = field.extensions['cost']
  return typeof told === 'number' && told >= 0 ? Math.min(told, ceiling) : 1
}

class Scale {
  readonly #schema: GraphQLSchema
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>
  readonly #variables: Variables
  readonly #weights = new Map<string, Weight>()

  constructor(schema: GraphQLSchema, document: DocumentNode, variables: Variables) {
    this.#schema = schema
    this.#variables = variables
    const fragments = document.definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION)
    this.#fragments = new Map(fragments.map((fragment) => [fragment.name.value, fragment]))
  }

  weighOperation(operation: OperationDefinitionNode): number {
    const root = this.#schema.getRootType(operation.operation)
    // What the caller left out of the variables has the operation's own default.
    const defaults = (operation.variableDefinitions ?? []).flatMap(({ variable, defaultValue }) =>
      defaultValue ? [[variable.name.value, valueFromASTUntyped(defaultValue)] as const] : [],
    )
    const variables = new Map<string, unknown>(defaults)
    for (const [name, value] of Object.entries(this.#variables)) if (value !== undefined) variables.set(name, value)
    this.#weights.clear()
    return total(this.#selections(operation.selectionSet, root ?? undefined, variables), defaultPage)
  }

  #selections(set: SelectionSetNode, parent: GraphQLNamedType | undefined, variables: ReadonlyMap<string, unknown>): Weight {
    let flat = 0
    let perRow = 0
    for (const selection of set.selections) {
      let weight: Weight
      if (selection.kind === Kind.FIELD) weight = this.#field(selection, parent, variables)
      else if (selection.kind === Kind.FRAGMENT_SPREAD) weight = this.#fragment(selection.name.value, variables)
      else {
        const condition = selection.typeCondition?.name.value
        weight = this.#selections(selection.selectionSet, condition ? this.#schema.getType(condition) : parent, variables)
      }
      flat = Math.min(ceiling, flat + weight.flat)
      perRow = Math.min(ceiling, perRow + weight.perRow)
    }
    return { flat, perRow }
  }

  #fragment(name: string, variables: ReadonlyMap<string, unknown>): Weight {
    const known = this.#weights.get(name)
    if (known) return known
    const fragment = this.#fragments.get(name)
    if (!fragment) return weightless
    // A cycle meets its own beginning here; validation refuses it.
    this.#weights.set(name, weightless)
    const weight = this.#selections(fragment.selectionSet, this.#schema.getType(fragment.typeCondition.name.value), variables)
    this.#weights.set(name, weight)
    return weight
  }

  #field(node: FieldNode, parent: GraphQLNamedType | undefined, variables: ReadonlyMap<string, unknown>): Weight {
    const name = node.name.value
    if (name === '__typename') return weightless
    const field = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[name] : undefined
    // Introspection reads no data and has bounds of its own.
    if (!field) return { flat: 1, perRow: 0 }
    const own = ownCost(field)
    const named = getNamedType(field.type)
    if (!node.selectionSet || !isCompositeType(named)) return { flat: own, perRow: 0 }

    const child = this.#selections(node.selectionSet, named, variables)
    const levels = listLevels(field.type)
    const rows = this.#rows(field, node.arguments ?? [], variables)
    // A page object hands its size to the lists inside it (`nodes`, `edges`); anything else is a row of its own.
    if (levels === 0) return { flat: Math.min(ceiling, own + total(child, rows ?? defaultPage)), perRow: 0 }
    const row = Math.min(ceiling, total(child, defaultPage) * defaultPage ** (levels - 1))
    return rows === null ? { flat: own, perRow: row } : { flat: Math.min(ceiling, own + rows * row), perRow: 0 }
  }

  /** The page a field is asked for, or null when it has no paging arguments. */
  #rows(field: GraphQLField<unknown, unknown>, given: readonly ArgumentNode[], variables: ReadonlyMap<string, unknown>): number | null {
    const paging = field.args.filter(({ name }) => name === 'first' || name === 'last')
    if (paging.length === 0) return null
    const asked = paging.map(({ name, defaultValue }) => {
      const value = given.find((argument) => argument.name.value === name)?.value
      const read = value?.kind === Kind.VARIABLE ? variables.get(value.name.value) : value && valueFromASTUntyped(value)
      return read === undefined ? defaultValue : read
    })
    const told = asked.filter((value) => value !== undefined && value !== null)
    return told.length === 0 ? defaultPage : Math.max(...told.map(pageSize))
  }
}

/**
 * The cost of the operation that will run; of the dearest when none is named. A field costs 1 or its `extensions.cost`; what is
 * selected in a list costs as often as the list is long (`first` or `last`, 20 unless told, never above 100).
 * @param document valid for the schema; cycles are survived but not priced.
 * @returns at most a milliard.
 */
export function costOf(document: DocumentNode, variables: Variables, schema: GraphQLSchema, operationName?: string | null): number {
  const operations = document.definitions
    .filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
    .filter(({ name }) => !operationName || name?.value === operationName)
  const scale = new Scale(schema, document, variables)
  return Math.max(0, ...operations.map((operation) => scale.weighOperation(operation)))
}
