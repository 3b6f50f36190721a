import { getIntrospectionQuery, GraphQLError, parse } from 'graphql'
import { createSchema, createYoga } from 'graphql-yoga'
import { beforeEach, describe, expect, test } from 'vitest'
import { hideSuggestions, useLimits } from './limits.ts'
import { checkShape, checkTokens } from './shape.ts'

const repeat = (count: number, text: (at: number) => string) => Array.from({ length: count }, (_, at) => text(at)).join(' ')

let ran = 0
const person = () => {
  ran++
  return {}
}
const number = () => {
  ran++
  return 1
}
const schema = createSchema({
  typeDefs: `
    type Wide { ${repeat(1995, (at) => `w${at}: Int`)} }
    type Query { me: Person, wide: Wide, people(first: Int): People, secretWard: Int, echo(of: Nest): Int, colour(of: Colour): Int }
    type Mutation { signIn(code: String): Int, verifyTotp(code: String): Int, touch: Int }
    type People { nodes: [Person!] }
    type Person { id: ID, boss: Person, friends(first: Int): People }
    input Nest { nest: Nest }
    enum Colour { CRIMSON }
  `,
  resolvers: {
    Query: { me: person, people: person, wide: person, secretWard: number, echo: number, colour: number },
    Mutation: { signIn: number, verifyTotp: number, touch: number },
  },
})

interface Answer {
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
  readonly data?: unknown
}

function serve(development = false) {
  const guessable = ['signIn', 'verifyTotp']
  const yoga = createYoga({ schema, logging: false, graphiql: false, plugins: [useLimits({ development, guessable })] })
  const post = async (body: unknown) => {
    const response = await yoga.fetch('http://a.localhost/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    const { errors, data } = (await response.json()) as Answer
    const codes = errors?.map(({ extensions }) => extensions?.code)
    return { status: response.status, codes, messages: errors?.map(({ message }) => message), data }
  }
  return post
}
const ask = serve()
const nested = (depth: number) => `{ me ${'{ boss '.repeat(depth - 2)}{ id }${' }'.repeat(depth - 2)} }`
/** Forty fragments that each spread the next one twice: 2^40 fields. */
const doubling = (type: string, field: string) =>
  `${repeat(40, (at) => `fragment F${at} on ${type} { ...F${at + 1} ...F${at + 1} }`)} fragment F40 on ${type} { ${field} }`

beforeEach(() => {
  ran = 0
})

describe('an operation within the limits', () => {
  test('runs, up to each limit exactly', async () => {
    const good = [
      '{ me { id } }',
      nested(12),
      `{ me { ${repeat(50, (at) => `a${at}: id`)} } }`,
      `{ me { ${repeat(20, () => 'id @skip(if: false)')} } }`,
      `{ ${repeat(20, () => 'secretWard')} }`,
      `mutation { verifyTotp ${repeat(9, () => 'touch')} }`,
      `{ me { id } } # ${'x'.repeat(64 * 1024 - 16)}`,
      `{ wide { ${repeat(1995, (at) => `w${at}`)} } }`,
      `{ me { ${repeat(21, () => 'id')} } }`,
      `{ me { ...F0 } } ${repeat(49, (at) => `fragment F${at} on Person { id ...F${at + 1} }`)} fragment F49 on Person { id }`,
      '{ people(first: 100) { nodes { friends(first: 40) { nodes { id } } } } }',
    ]
    for (const query of good) {
      expect(await ask({ query }), query.slice(0, 80)).toMatchObject({ status: 200, codes: undefined })
    }
  })
})

describe('an attack', () => {
  const attacks: [name: string, code: string, query: string][] = [
    ['10,000 aliases', 'QUERY_TOO_LARGE', `{ ${repeat(10_000, (at) => `a${at}: me { id }`)} }`],
    ['aliases that fit the document', 'TOO_MANY_ALIASES', `{ me { ${repeat(51, (at) => `a${at}: id`)} } }`],
    ['aliases in a fragment', 'TOO_MANY_ALIASES', `{ me { ...F } } fragment F on Person { ${repeat(51, (at) => `a${at}: id`)} }`],
    ['too many tokens', 'TOO_MANY_TOKENS', `{ me { ${repeat(1996, () => 'id')} } }`],
    ['tokens of punctuation', 'TOO_MANY_TOKENS', '{} '.repeat(10_000)],
    ['depth of 3,000', 'QUERY_TOO_DEEP', nested(3000)],
    ['depth of 13', 'QUERY_TOO_DEEP', nested(13)],
    ['unclosed depth', 'QUERY_TOO_DEEP', '{a'.repeat(30_000)],
    ['lists within lists', 'QUERY_TOO_DEEP', `{ echo(of: ${'['.repeat(1000)} }`],
    ['types within types', 'QUERY_TOO_DEEP', `query ($a: ${'['.repeat(1000)}Int) { me { id } }`],
    [
      'depth hidden in fragments',
      'QUERY_TOO_DEEP',
      `{ me { ...F0 } } ${repeat(13, (at) => `fragment F${at} on Person { boss { ...F${at + 1} } }`)} fragment F13 on Person { id }`,
    ],
    ['5,000 directives', 'TOO_MANY_TOKENS', `{ me ${'@skip(if: false)'.repeat(3000)} { id } }`],
    ['directives that fit', 'TOO_MANY_DIRECTIVES', `{ me { ${repeat(21, () => 'id @skip(if: false)')} } }`],
    ['unknown directives on the operation', 'TOO_MANY_DIRECTIVES', `query ${repeat(21, () => '@x')} { me { id } }`],
    ['root fields', 'TOO_MANY_ROOT_FIELDS', `{ ${repeat(21, () => 'secretWard')} }`],
    ['mutations at once', 'TOO_MANY_ROOT_FIELDS', `mutation { ${repeat(11, () => 'touch')} }`],
    ['root fields in fragments', 'TOO_MANY_ROOT_FIELDS', `mutation { ...F0 } ${doubling('Mutation', 'touch')}`],
    ['a guess repeated by alias', 'TOO_MANY_ROOT_FIELDS', 'mutation { a: signIn(code: "1") b: signIn(code: "2") }'],
    ['guesses of two kinds', 'TOO_MANY_ROOT_FIELDS', 'mutation { signIn verifyTotp }'],
    ['a guess repeated by fragment', 'TOO_MANY_ROOT_FIELDS', 'mutation { ...F a: verifyTotp } fragment F on Mutation { b: verifyTotp }'],
    ['a guess within an inline fragment', 'TOO_MANY_ROOT_FIELDS', 'mutation { signIn ... on Mutation { ... { b: signIn } } }'],
    ['a huge string', 'QUERY_TOO_LARGE', `{ colour(of: "${'x'.repeat(900_000)}") }`],
    ['a document one byte too large', 'QUERY_TOO_LARGE', `{ me { id } } # ${'x'.repeat(64 * 1024 - 15)}`],
    ['a document large in bytes only', 'QUERY_TOO_LARGE', `{ me { id } } # ${'ع'.repeat(40_000)}`],
    [
      'a page of a milliard, twice',
      'QUERY_TOO_EXPENSIVE',
      '{ people(first: 1000000000) { nodes { friends(first: 1000000000) { nodes { id } } } } }',
    ],
    ['the same field again and again', 'QUERY_TOO_EXPENSIVE', `{ me { ${repeat(22, () => 'id')} } }`],
    ['the same field in inline fragments', 'QUERY_TOO_EXPENSIVE', `{ me { ${repeat(22, () => '... { boss { id } }')} } }`],
    ['the same field here and there', 'QUERY_TOO_EXPENSIVE', `{ me { ${repeat(11, (at) => `a${at}: boss { id id id }`)} } }`],
    ['many fragments', 'QUERY_TOO_EXPENSIVE', `{ me { id } } ${repeat(51, (at) => `fragment F${at} on Person { id }`)}`],
    ['introspection', 'INTROSPECTION_DISABLED', '{ __schema { types { name } } }'],
    ['introspection in a fragment', 'INTROSPECTION_DISABLED', '{ ...F } fragment F on Query { t: __type(name: "Person") { name } }'],
  ]

  test.each(attacks)('by %s is refused as %s, and nothing runs', async (_name, code, query) => {
    const { status, codes, data } = await ask({ query })
    expect({ status, codes, data, ran }).toEqual({ status: 400, codes: [code], data: undefined, ran: 0 })
  })

  test('by a fragment bomb is a clean refusal, whatever it multiplies', async () => {
    const bomb = `{ me { ...F0 } } ${doubling('Person', 'boss { boss { id } }')}`
    expect(await ask({ query: bomb })).toMatchObject({ status: 400, codes: ['QUERY_TOO_EXPENSIVE'] })
    expect(ran).toBe(0)
  })

  test('by a fragment cycle is a validation error', async () => {
    for (const cycle of [
      '{ me { ...F } } fragment F on Person { ...F }',
      '{ me { ...F } } fragment F on Person { boss { ...G } } fragment G on Person { boss { ...F } }',
      'mutation { ...F } fragment F on Mutation { signIn ...F }',
    ]) {
      const { codes, data } = await ask({ query: cycle })
      expect([codes?.[0], data], cycle).toEqual(['GRAPHQL_VALIDATION_FAILED', undefined])
    }
    expect(ran).toBe(0)
  })

  test('by variables is refused for them alone: the same document goes on working', async () => {
    const query = 'query ($n: Int) { people(first: $n) { nodes { friends(first: $n) { nodes { friends(first: $n) { nodes { id } } } } } } }'
    for (let round = 0; round < 2; round++) {
      expect(await ask({ query, variables: { n: 2 } })).toMatchObject({ status: 200, codes: undefined })
      expect(await ask({ query, variables: { n: 1_000_000_000 } })).toMatchObject({ status: 400, codes: ['QUERY_TOO_EXPENSIVE'] })
    }
    expect(ran).toBe(2)
  })

  test('by deep variables is refused before they are coerced', async () => {
    const query = 'query ($of: Nest) { echo(of: $of) }'
    const deep = (depth: number) => `{"query":"${query}","variables":{"of":${'{"nest":'.repeat(depth)}null${'}'.repeat(depth)}}}`
    expect(await ask(deep(20))).toMatchObject({ status: 200, codes: undefined })
    expect(await ask(deep(50_000))).toMatchObject({ status: 400, codes: ['QUERY_TOO_DEEP'] })
  })

  test('by a batch is refused whole', async () => {
    for (const batch of [[{ query: '{ secretWard }' }], Array.from({ length: 500 }, () => ({ query: 'mutation { signIn }' })), []]) {
      expect(await ask(batch)).toMatchObject({ status: 400, data: undefined })
    }
    expect(ran).toBe(0)
  })

  test('names the limit and what was found', async () => {
    expect((await ask({ query: nested(13) })).messages).toEqual(['Levels of fields: 13 found, 12 allowed.'])
    const twice = await ask({ query: 'mutation { a: signIn b: signIn }' })
    expect(twice.messages).toEqual(['Fields that check a secret: 2 found, 1 allowed.'])
  })
})

describe('the schema', () => {
  const introspection = getIntrospectionQuery({
    descriptions: true,
    specifiedByUrl: true,
    directiveIsRepeatable: true,
    schemaDescription: true,
    inputValueDeprecation: true,
    oneOf: true,
  })

  test('describes itself to GraphiQL in development only, and not without bound', async () => {
    expect(await serve(true)({ query: introspection })).toMatchObject({ status: 200, data: { __schema: { queryType: { name: 'Query' } } } })
    expect(await ask({ query: introspection })).toMatchObject({ status: 400, codes: ['INTROSPECTION_DISABLED'] })
    expect(await ask({ query: '{ __typename }' })).toMatchObject({ status: 200, data: { __typename: 'Query' } })
    const bomb = `{ __schema { types ${'{ fields { type '.repeat(4)} { name } ${'} }'.repeat(4)} } }`
    expect((await serve(true)({ query: bomb })).messages).toContain('Maximum introspection depth exceeded')
    const ladder = `{ __type(name: "A") { ${'ofType { '.repeat(17)} name ${'}'.repeat(17)} } }`
    expect(await serve(true)({ query: ladder })).toMatchObject({ status: 400, codes: ['QUERY_TOO_DEEP'] })
  })

  test('is not guessed by mistyping', async () => {
    const typos: object[] = [
      { query: '{ secretWar }' },
      { query: '{ me { frends } }' },
      { query: '{ people(frist: 1) { nodes { id } } }' },
      { query: '{ ... on Persn { id } }' },
      { query: '{ colour(of: CRIMSN) }' },
      { query: 'query ($of: Colour) { colour(of: $of) }', variables: { of: 'CRIMSN' } },
      { query: 'query ($of: Nest) { echo(of: $of) }', variables: { of: { nst: null } } },
    ]
    for (const typo of typos) {
      const hidden = await ask(typo)
      expect(hidden.messages?.join(), JSON.stringify(typo)).not.toMatch(/Did you mean|secretWard|friends|CRIMSON|first/)
      expect(hidden.messages?.length, JSON.stringify(typo)).toBeGreaterThan(0)
    }
    expect((await serve(true)(typos[0])).messages?.join()).toContain('Did you mean "secretWard"')
  })

  test('a suggestion is cut from its error and the rest of it kept', () => {
    const error = new GraphQLError('No such field. Did you mean "a" or "b"?', { path: ['x', 1], extensions: { code: 'A_B' } })
    const hidden = hideSuggestions(error)
    expect([hidden.message, hidden.path, hidden.extensions]).toEqual(['No such field.', ['x', 1], { code: 'A_B' }])
    const plain = new GraphQLError('No such field.')
    expect(hideSuggestions(plain)).toBe(plain)
  })
})

test('the checks work without a server too', () => {
  expect(() => checkTokens('{ me { id } }')).not.toThrow()
  expect(() => checkTokens('{'.repeat(33))).toThrow('33 found, 32 allowed')
  expect(() => checkTokens('{ "')).toThrow('Syntax Error')
  const options = { development: false, guessable: [] }
  expect(() => checkShape(parse('{ a { b } }'), { ...options, limits: { maxDepth: 2 } })).not.toThrow()
  expect(() => checkShape(parse('{ a { b } }'), { ...options, limits: { maxDepth: 1 } })).toThrow('2 found, 1 allowed')
})
