/** What Postgres writes, against what JavaScript would have: byte for byte, or a doubt. */
import { GraphQLEnumType, GraphQLNonNull, GraphQLScalarType } from 'graphql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freshDatabase, type TestDatabase } from '../../../../test/kit/postgres.ts'
import { newId } from '../../../kernel/id.ts'
import { encodeGlobalId } from '../global-id.ts'
import { columnValue, globalId, isDoubtful, join } from './json-text.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.drop())

const column = { name: 'c', type: 'DateTime', isEnum: false, isList: false, isRequired: true }
const moments = new GraphQLScalarType({ name: 'DateTime' })
/** The expression for each of some values of a type of Postgres, in a session that is in UTC. */
async function written(sql: string, type: string, values: readonly (string | null)[]): Promise<(string | null)[]> {
  const rows = await database.owner<{ text: string | null }>(
    `select ${sql} as text from (select set_config('timezone', 'UTC', false) offset 0) as zone,
       lateral unnest($1::text[]::${type}[]) with ordinality as of(v, place) order by place`,
    [values],
  )
  return rows.map(({ text }) => text)
}

test('a global id of a type of any length', async () => {
  const ids = Array.from({ length: 200 }, () => newId())
  for (const length of [1, 2, 3, 7, 13, 19, 20, 21, 22, 40, 63]) {
    const typename = 'Zz'.repeat(32).slice(0, length)
    expect(await written(join(globalId(typename, 'v')), 'uuid', ids)).toEqual(ids.map((id) => JSON.stringify(encodeGlobalId(typename, id))))
  }
})

test('a moment to the millisecond, and none that four digits do not write', async () => {
  const given = [
    '2026-11-22T10:00:00Z', '2026-11-22T10:00:00.1Z', '2026-11-22T10:00:00.100001Z', '2026-11-22T10:00:00.999999Z', '1969-12-31T23:59:59.999999Z',
    '1969-12-31T23:59:59.000001Z', '1999-12-31T23:59:59.9995Z', '0001-01-01T00:00:00Z', '0099-02-28T01:02:03.004Z', '9999-12-31T23:59:59.999999Z',
    '2024-02-29T12:00:00+02:00',
  ]
  const sql = columnValue(new GraphQLNonNull(moments), column, 'v')!
  const cut = given.map((text) => JSON.stringify(new Date(text.replace(/(\.\d{3})\d+/, '$1')).toISOString()))
  expect(await written(sql, 'timestamptz', given)).toEqual(cut)
  const odd = await written(sql, 'timestamptz', ['0001-12-31 23:59:59 BC', '10000-01-01', 'infinity', '-infinity', null])
  expect(odd.map((text) => text !== null && isDoubtful(text))).toEqual([true, true, true, true, true])
  const optional = columnValue(moments, { ...column, isRequired: false }, 'v')!
  expect(await written(optional, 'timestamptz', [null, '2026-11-22T10:00:00Z'])).toEqual(['null', '"2026-11-22T10:00:00.000Z"'])
})

test('a name that the graph does not know is a doubt, and so is a null that was not expected', async () => {
  const names = new GraphQLEnumType({ name: 'State', values: { OPEN: {}, SHUT: {} } })
  const sql = columnValue(new GraphQLNonNull(names), { ...column, type: 'State', isEnum: true }, 'v')!
  const answers = await written(sql, 'text', ['OPEN', 'SHUT', 'AJAR', null])
  expect(answers.slice(0, 2)).toEqual(['"OPEN"', '"SHUT"'])
  expect(answers.slice(2).map((text) => isDoubtful(text!))).toEqual([true, true])
  const row = join([{ text: '{"a":' }, { sql: 'v' }, { text: '}' }])
  const [whole, hollow] = await written(row, 'text', ['1', null])
  expect([whole, isDoubtful(hollow!)]).toEqual(['{"a":1}', true])
})

test('a thousand and a half pieces, in their order', async () => {
  const pieces = Array.from({ length: 1_500 }, (_, k) => [{ text: `${k}:` }, { sql: 'v' }])
  expect(await written(join(pieces.flat()), 'text', ['x'])).toEqual([pieces.map((_, k) => `${k}:x`).join('')])
})
