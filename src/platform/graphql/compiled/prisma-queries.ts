/** What a relation field asks Prisma for, learnt by asking it with a nested query that only looks. */
import { isDeepStrictEqual } from 'node:util'
import type { GraphQLField } from 'graphql'
import { extensionOf } from './schema-facts.ts'

type Field = Pick<GraphQLField<unknown, unknown>, 'extensions' | 'args'>
type Select = (args: object, context: object, nested: (query?: object) => object, selected: () => ReadonlySet<string>) => unknown

/** A context that nobody may look into: a query that depends on the caller is not known beforehand. */
const nobody = new Proxy({}, {
  get: () => {
    throw new Error('A query depends on its context.')
  },
})

function asked(field: Field, args: object): unknown {
  const select = extensionOf(field, 'pothosPrismaSelect')
  if (typeof select !== 'function') return undefined
  try {
    return (select as Select)(args, nobody, (query) => ({ ...query }), () => new Set(['edges']))
  } catch {
    return undefined
  }
}

const pageArguments = ['after', 'before', 'first', 'last']

/** The field answers the rows of the relation in the order of their ids, a page of them, and nothing else is asked of them. */
export function isPageInOrderOfIds(field: Field, relation: string): boolean {
  if (!isDeepStrictEqual(field.args.map(({ name }) => name).sort(), pageArguments)) return false
  return [0, 3, 100].every((first) =>
    isDeepStrictEqual(asked(field, { first }), { select: { [relation]: { orderBy: { id: 'asc' }, take: first + 1, skip: 0 } } }),
  )
}

/** The field answers the one row of the relation. */
export const isWholeRelation = (field: Field, relation: string): boolean =>
  field.args.length === 0 && isDeepStrictEqual(asked(field, {}), { select: { [relation]: {} } })

/** The field answers the first row of the relation, in no order. */
export const onlyOf = (field: Field, relation: string): boolean =>
  field.args.length === 0 && isDeepStrictEqual(asked(field, {}), { select: { [relation]: { take: 1 } } })
