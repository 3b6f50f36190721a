/** Random read documents over a schema, for tests that hold two ways of answering against each other. */
import fc from 'fast-check'
import { getNamedType, isListType, isNonNullType, isObjectType, type GraphQLField, type GraphQLObjectType, type GraphQLSchema } from 'graphql'

export interface RandomDocument {
  readonly query: string
  readonly variables: Record<string, unknown>
}

export interface DocumentOptions {
  readonly schema: GraphQLSchema
  /** Root fields that may be asked. */
  readonly roots: readonly string[]
  readonly isLeft: (type: string, field: string) => boolean
  /** Values for arguments of type ID. */
  readonly ids: readonly string[]
}

const mostDepth = 10

/** Valid documents: aliases, fragments, arguments as literals and as variables, fields written twice. */
export const randomDocument = (options: DocumentOptions): fc.Arbitrary<RandomDocument> => fc.gen().map((g) => new Writer(options, g).write())

class Writer {
  readonly #options: DocumentOptions
  readonly #pick: fc.GeneratorValue
  readonly #variables: Record<string, unknown> = {}
  readonly #declared: string[] = []
  readonly #fragments: string[] = []
  #names = 0

  constructor(options: DocumentOptions, pick: fc.GeneratorValue) {
    this.#options = options
    this.#pick = pick
  }

  write(): RandomDocument {
    const { schema, roots } = this.#options
    const root = schema.getQueryType()!
    const count = this.#upTo(1) + 1
    const fields = Array.from({ length: count }, () => this.#field(root.getFields()[this.#one(roots)]!, root, 0))
    const head = this.#declared.length > 0 ? `query (${this.#declared.join(', ')})` : 'query'
    return { query: `${head} { ${fields.join(' ')} }${this.#fragments.join(' ')}`, variables: this.#variables }
  }

  #upTo = (most: number): number => this.#pick(fc.integer, { min: 0, max: most })
  #chance = (percent: number): boolean => this.#upTo(99) < percent
  #one = <T>(list: readonly T[]): T => list[this.#upTo(list.length - 1)]!

  #selection(type: GraphQLObjectType, depth: number): string {
    const fields = Object.values(type.getFields()).filter(
      ({ name, type: to }) => !this.#options.isLeft(type.name, name) && (depth < mostDepth - 1 || !isObjectType(getNamedType(to))),
    )
    // The frame of a page must be passed to reach its rows.
    const way = fields.filter(({ name }) => name === 'edges' || name === 'node')
    // Fewer ways down the further down: documents stay small.
    const isWay = ({ type: to }: GraphQLField<unknown, unknown>) => isObjectType(getNamedType(to))
    const others = fields.filter((one) => !way.includes(one) && this.#chance(isWay(one) ? 50 - depth * 6 : 45))
    const chosen = [...(this.#chance(90) ? way : []), ...others]
    const written = chosen.map((field) => this.#field(field, type, depth))
    if (this.#chance(15) || written.length === 0) written.push('__typename')
    const body = written.join(' ')
    if (this.#chance(8)) return `... on ${type.name} { ${body} }`
    if (!this.#chance(8)) return body
    const name = `F${this.#names++}`
    this.#fragments.push(` fragment ${name} on ${type.name} { ${body} }`)
    return `...${name}`
  }

  #field(field: GraphQLField<unknown, unknown>, _parent: GraphQLObjectType, depth: number): string {
    const to = getNamedType(field.type)
    // Fields that take arguments, or that lead somewhere, are always aliased: two of one name could not be merged.
    const alias = field.args.length > 0 || isObjectType(to) ? `a${this.#names++}: ` : this.#chance(10) ? `b${this.#names++}: ` : ''
    const given = field.args.flatMap(({ name, type }) => this.#argument(name, type))
    const args = given.length > 0 ? `(${given.join(', ')})` : ''
    return `${alias}${field.name}${args}${isObjectType(to) ? ` { ${this.#selection(to, depth + 1)} }` : ''}`
  }

  #argument(name: string, type: GraphQLField<unknown, unknown>['args'][number]['type']): string[] {
    const required = isNonNullType(type)
    const named = getNamedType(type).name
    if (isListType(required ? type.ofType : type)) return []
    if (name === 'last' || name === 'before' || name === 'after') return this.#chance(2) ? [`${name}: ${name === 'last' ? 2 : '"bad"'}`] : []
    if (!required && name !== 'first' && this.#chance(60)) return []
    if (name === 'first' && this.#chance(20)) return []
    const value = name === 'first' ? this.#one([0, 1, 2, 3, 4]) : named === 'ID' ? this.#one(this.#options.ids) : this.#one(['ACTIVE', 'ARCHIVED'])
    if (this.#chance(50)) return [`${name}: ${named === 'ID' ? JSON.stringify(value) : value}`]
    const variable = `v${this.#names++}`
    this.#declared.push(`$${variable}: ${String(type)}`)
    if (required || this.#chance(80)) this.#variables[variable] = value
    else if (this.#chance(50)) this.#variables[variable] = null
    return [`${name}: $${variable}`]
  }
}
