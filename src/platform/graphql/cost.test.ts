import fc from 'fast-check'
import { buildSchema, parse, validate, type GraphQLObjectType } from 'graphql'
import { describe, expect, test } from 'vitest'
import { costOf, pageSize } from './cost.ts'

const schema = buildSchema(`
  type Query { me: Person, people(first: Int, last: Int, after: String): PersonConnection, top(first: Int = 50): [Person!]!, dear: Int }
  type PersonConnection { nodes: [Person!]!, edges: [PersonEdge!], totalCount: Int }
  type PersonEdge { node: Person!, cursor: String }
  type Person { id: ID!, name: String, tags: [String!], boss: Person, pets: [Pet], grid: [[Pet]], friends(first: Int): PersonConnection }
  interface Pet { id: ID! }
  type Cat implements Pet { id: ID!, owner: Person }
  type Dog implements Pet { id: ID! }
`)
const query = schema.getType('Query') as GraphQLObjectType
query.getFields()['dear']!.extensions = { cost: 250 }

function cost(text: string, variables: Record<string, unknown> = {}, operationName?: string): number {
  const document = parse(text)
  expect(validate(schema, document)).toEqual([])
  return costOf(document, variables, schema, operationName)
}

describe('the cost of an operation', () => {
  test('is one a field, more where a field says so, and multiplied by the page asked for', () => {
    const priced: [string, number][] = [
      ['{ __typename }', 0],
      ['{ me { id name tags } }', 4],
      ['{ dear }', 250],
      ['{ me { boss { boss { id } } } }', 4],
      ['{ me { pets { id } } }', 1 + 1 + 20],
      ['{ me { grid { id } } }', 1 + 1 + 400],
      ['{ me { pets { ... on Cat { id owner { id } } ... on Dog { id } } } }', 1 + 1 + 20 * 4],
      ['{ people { totalCount nodes { id } } }', 1 + 1 + 1 + 20],
      ['{ people(first: 5) { edges { cursor node { id } } } }', 1 + 1 + 5 * 3],
      ['{ people(first: 5, last: 7) { nodes { id } } }', 1 + 1 + 7],
      ['{ top { id } }', 1 + 50],
      ['{ top(first: 3) { id } }', 1 + 3],
      ['{ people(first: 10) { nodes { friends(first: 10) { nodes { id } } } } }', 1 + 1 + 10 * (1 + 1 + 10)],
      ['{ __schema { types { name fields { name } } } }', 1],
    ]
    for (const [text, expected] of priced) expect(cost(text), text).toBe(expected)
  })

  test('counts the page that will be answered: clamped above, the default for none', () => {
    const asDefault: [unknown, number][] = [0, -1, null, undefined].map((asked) => [asked, 20])
    const pages = new Map<unknown, number>([...asDefault, [1, 1], [2.5, 3], [100, 100], [101, 100], [1e9, 100]])
    for (const [asked, rows] of pages) expect(pageSize(asked), String(asked)).toBe(rows)
    for (const strange of ['1', Number.NaN, Number.POSITIVE_INFINITY, {}, [1], true]) expect(pageSize(strange), String(strange)).toBe(100)
    expect(cost('{ people(first: 2147483647) { nodes { id } } }')).toBe(1 + 1 + 100)
    expect(cost('query ($n: Int) { people(first: $n) { nodes { id } } }', { n: 1e9 })).toBe(1 + 1 + 100)
    expect(cost('query ($n: Int) { people(first: $n) { nodes { id } } }', { n: '1' })).toBe(1 + 1 + 100)
    expect(cost('query ($n: Int = 90) { people(first: $n) { nodes { id } } }')).toBe(1 + 1 + 90)
    expect(cost('query ($n: Int = 90) { people(first: $n) { nodes { id } } }', { n: null })).toBe(1 + 1 + 20)
    expect(cost('query ($n: Int) { top(first: $n) { id } }')).toBe(1 + 50)
  })

  test('is that of the operation that will run, or of the dearest', () => {
    const text = 'query A { me { id } } query B { dear }'
    expect([cost(text, {}, 'A'), cost(text, {}, 'B'), cost(text), cost(text, {}, 'C')]).toEqual([2, 250, 250, 0])
  })

  test('of fragments that double with every line is found at once, and a cycle ends', () => {
    const lines = Array.from({ length: 40 }, (_, at) => `fragment F${at} on Person { a: boss { ...F${at + 1} } b: boss { ...F${at + 1} } }`)
    expect(cost(`{ me { ...F0 } } ${lines.join(' ')} fragment F40 on Person { id }`)).toBe(1_000_000_000)
    const cycle = parse('{ me { ...A } } fragment A on Person { boss { ...B } } fragment B on Person { id boss { ...A } }')
    expect(costOf(cycle, {}, schema)).toBeLessThan(10)
  })
})

interface Tree {
  readonly page: number
  readonly children: readonly Tree[]
}
const tree = fc.memo(
  (depth): fc.Arbitrary<Tree> =>
    fc.record({
      page: fc.integer({ min: -3, max: 400 }),
      children: depth > 1 ? fc.array(tree(), { maxLength: 3 }) : fc.constant([]),
    }),
)

const disguises = ['literal', 'variable', 'default', 'fragment', 'inline', 'include'] as const

/** The law, written a second time: each page costs its field, its `nodes` and its rows. */
function lawful({ page, children }: Tree): number {
  return 2 + pageSize(page) * (1 + children.reduce((sum, child) => sum + lawful(child), 0))
}

test('no cost is hidden by variables, defaults, fragments, aliases or conditions', () => {
  fc.assert(
    fc.property(tree(4), fc.infiniteStream(fc.constantFrom(...disguises)), (root, choices) => {
      const declared: string[] = []
      const fragments: string[] = []
      const variables: Record<string, unknown> = {}
      let count = 0
      const render = ({ page, children }: Tree, field: string): string => {
        const id = count++
        const how = choices.next().value ?? 'literal'
        let first = String(page)
        if (how === 'variable' || how === 'default') {
          first = `$v${id}`
          declared.push(how === 'default' ? `$v${id}: Int = ${page}` : `$v${id}: Int`)
          if (how === 'variable') variables[`v${id}`] = page
        }
        let rows = `{ id ${children.map((child) => render(child, 'friends')).join(' ')} }`
        if (how === 'fragment') {
          fragments.push(`fragment F${id} on Person ${rows}`)
          rows = `{ ...F${id} }`
        }
        if (how === 'inline') rows = `{ ... on Person @skip(if: false) { ... ${rows} } }`
        return `a${id}: ${field}(first: ${first}) ${how === 'include' ? '@include(if: true)' : ''} { n: nodes ${rows} }`
      }
      const selection = render(root, 'people')
      const head = declared.length > 0 ? `query (${declared.join(' ')})` : 'query'
      expect(cost([`${head} { ${selection} }`, ...fragments].join(' '), variables)).toBe(Math.min(1e9, lawful(root)))
    }),
    { numRuns: 200 },
  )
})
