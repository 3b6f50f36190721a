/**
 * What a document may look like, without a schema: size, tokens, depth, aliases, directives, root fields, guesses, repeats.
 * Every check takes time linear in the document, and each that fails spares the dearer ones after it.
 */
import {
  GraphQLError,
  Kind,
  Lexer,
  OperationTypeNode,
  Source,
  TokenKind,
  visit,
  type DocumentNode,
  type FragmentDefinitionNode,
  type SelectionSetNode,
} from 'graphql'

export const defaultGraphqlLimits = {
  maxDocumentBytes: 64 * 1024,
  maxTokens: 2000,
  /** Open brackets of any kind, so that no parser and no visitor recurses further. */
  maxNesting: 32,
  maxDepth: 12,
  /** The introspection query of GraphiQL is 15 deep. */
  maxIntrospectionDepth: 16,
  maxAliases: 50,
  maxDirectives: 20,
  maxRootFields: 20,
  maxMutationFields: 10,
  /** Fields written again in one selection, and fragments: what makes validation's merge check quadratic. */
  maxRepeats: 20,
  maxFragments: 50,
  maxCost: 5000,
}
export type GraphqlLimits = typeof defaultGraphqlLimits

export interface LimitOptions {
  /** Allows introspection and "Did you mean". */
  readonly development: boolean
  /** Root fields that check a secret (`signIn`, `verifyTotp`): one of them an operation, for every alias is a guess. */
  readonly guessable: readonly string[]
  readonly limits?: Partial<GraphqlLimits>
}

export type RefusalCode =
  | 'QUERY_TOO_LARGE'
  | 'TOO_MANY_TOKENS'
  | 'QUERY_TOO_DEEP'
  | 'TOO_MANY_ALIASES'
  | 'TOO_MANY_DIRECTIVES'
  | 'TOO_MANY_ROOT_FIELDS'
  | 'INTROSPECTION_DISABLED'
  | 'QUERY_TOO_EXPENSIVE'
  | 'BAD_TEXT'

const refusals = new WeakSet<GraphQLError>()

function refusal(code: RefusalCode, message: string): GraphQLError {
  const error = new GraphQLError(message, { extensions: { code, http: { status: 400 } } })
  refusals.add(error)
  return error
}

/** True for an error made here: it holds numbers and the caller's own words, nothing of ours. */
export function isRefusal(error: unknown): error is GraphQLError {
  return error instanceof GraphQLError && refusals.has(error)
}

/** @throws a refusal that names the limit and what was found. */
export function refuseAbove(limit: number, found: number, code: RefusalCode, subject: string): void {
  if (found > limit) throw refusal(code, `${subject}: ${found} found, ${limit} allowed.`)
}

/**
 * Postgres cannot hold a NUL, and half a surrogate pair becomes another character on its way there.
 * @throws `BAD_TEXT`
 */
export function refuseBadText(text: string): void {
  if (text.includes('\0') || !text.isWellFormed()) throw refusal('BAD_TEXT', 'Text must not hold NUL or half a surrogate pair.')
}

const opening: ReadonlySet<TokenKind> = new Set([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L])
const closing: ReadonlySet<TokenKind> = new Set([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R])

/**
 * Reads the tokens alone, which needs no recursion, and stops at the first too many.
 * @throws `QUERY_TOO_LARGE`, `TOO_MANY_TOKENS`, `QUERY_TOO_DEEP`, or a syntax error.
 */
export function checkTokens(text: string, limits: GraphqlLimits = defaultGraphqlLimits): void {
  refuseAbove(limits.maxDocumentBytes, Buffer.byteLength(text), 'QUERY_TOO_LARGE', 'Bytes in the document')
  const lexer = new Lexer(new Source(text))
  let nesting = 0
  for (let tokens = 1; lexer.advance().kind !== TokenKind.EOF; tokens++) {
    refuseAbove(limits.maxTokens, tokens, 'TOO_MANY_TOKENS', 'Tokens in the document')
    if (opening.has(lexer.token.kind)) nesting++
    if (closing.has(lexer.token.kind)) nesting--
    refuseAbove(limits.maxNesting, nesting, 'QUERY_TOO_DEEP', 'Brackets within brackets')
  }
}

/** Counts of one selection with its fragments followed. Depth below `__schema` and `__type` is kept apart. */
interface Shape {
  readonly depth: number
  readonly introspectionDepth: number
  readonly fields: number
  readonly guesses: number
}

const flat: Shape = { depth: 0, introspectionDepth: 0, fields: 0, guesses: 0 }
// Beyond it nothing is counted exactly: fragments within fragments double with every line.
const countCeiling = 1_000_000

/** Measures selections; each fragment once, however often it is spread. A cycle is cut where it closes: validation refuses it. */
function shaper(document: DocumentNode, guessable: ReadonlySet<string>): (set: SelectionSetNode) => Shape {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  }
  const known = new Map<string, Shape>()

  const ofFragment = (name: string): Shape => {
    const shape = known.get(name)
    if (shape) return shape
    known.set(name, flat)
    const fragment = fragments.get(name)
    const measured = fragment ? ofSelections(fragment.selectionSet) : flat
    known.set(name, measured)
    return measured
  }

  const ofSelections = (set: SelectionSetNode): Shape => {
    let depth = 0
    let introspectionDepth = 0
    let fields = 0
    let guesses = 0
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        const name = selection.name.value
        const below = selection.selectionSet ? ofSelections(selection.selectionSet) : flat
        const introspects = name === '__schema' || name === '__type'
        depth = Math.max(depth, introspects ? 1 : 1 + below.depth)
        introspectionDepth = Math.max(introspectionDepth, introspects ? 1 + below.depth : 0, below.introspectionDepth)
        fields++
        if (guessable.has(name)) guesses++
        continue
      }
      const within = selection.kind === Kind.FRAGMENT_SPREAD ? ofFragment(selection.name.value) : ofSelections(selection.selectionSet)
      depth = Math.max(depth, within.depth)
      introspectionDepth = Math.max(introspectionDepth, within.introspectionDepth)
      fields = Math.min(countCeiling, fields + within.fields)
      guesses = Math.min(countCeiling, guesses + within.guesses)
    }
    return { depth, introspectionDepth, fields, guesses }
  }
  return ofSelections
}

/** How often a selection, its inline fragments included, writes a response name that it has written before. */
function repeatsIn(set: SelectionSetNode, seen: Set<string> = new Set()): number {
  let repeats = 0
  for (const selection of set.selections) {
    if (selection.kind === Kind.INLINE_FRAGMENT) repeats += repeatsIn(selection.selectionSet, seen)
    if (selection.kind !== Kind.FIELD) continue
    const name = selection.alias?.value ?? selection.name.value
    if (seen.has(name)) repeats++
    seen.add(name)
  }
  return repeats
}

/**
 * Checks what a parsed document asks for, without a schema. Aliases and directives count as written; depth, root fields and guesses
 * with fragments followed.
 * @throws a refusal that names the limit and what was found.
 */
export function checkShape(document: DocumentNode, { development, guessable, limits: given }: LimitOptions): void {
  const limits: GraphqlLimits = { ...defaultGraphqlLimits, ...given }
  let aliases = 0
  let directives = 0
  let repeats = 0
  let introspects = false
  visit(document, {
    SelectionSet(set, _key, parent) {
      const inline = parent !== undefined && 'kind' in parent && parent.kind === Kind.INLINE_FRAGMENT
      if (!inline) repeats += repeatsIn(set)
    },
    Field({ alias, name }) {
      if (alias) aliases++
      if (name.value === '__schema' || name.value === '__type') introspects = true
    },
    Directive() {
      directives++
    },
    StringValue({ value }) {
      refuseBadText(value)
    },
  })
  if (introspects && !development) throw refusal('INTROSPECTION_DISABLED', 'This server does not describe its schema.')
  refuseAbove(limits.maxAliases, aliases, 'TOO_MANY_ALIASES', 'Aliases in the document')
  refuseAbove(limits.maxDirectives, directives, 'TOO_MANY_DIRECTIVES', 'Directives in the document')

  refuseAbove(limits.maxRepeats, repeats, 'QUERY_TOO_EXPENSIVE', 'Fields written again')
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).length
  refuseAbove(limits.maxFragments, fragments, 'QUERY_TOO_EXPENSIVE', 'Fragments in the document')

  const measure = shaper(document, new Set(guessable))
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue
    const shape = measure(definition.selectionSet)
    const maxFields = definition.operation === OperationTypeNode.MUTATION ? limits.maxMutationFields : limits.maxRootFields
    refuseAbove(maxFields, shape.fields, 'TOO_MANY_ROOT_FIELDS', `Root fields of a ${definition.operation}`)
    refuseAbove(1, shape.guesses, 'TOO_MANY_ROOT_FIELDS', 'Fields that check a secret')
    refuseAbove(limits.maxDepth, shape.depth, 'QUERY_TOO_DEEP', 'Levels of fields')
    refuseAbove(limits.maxIntrospectionDepth, shape.introspectionDepth, 'QUERY_TOO_DEEP', 'Levels of introspection')
  }
}
