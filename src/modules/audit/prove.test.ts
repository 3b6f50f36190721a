/** What is read of the sink for a proof: the days that can say something, and everything where nobody says since when. */
import { expect, test } from 'vitest'
import type { Sink } from '../../platform/ledger/sink.ts'
import { readAnchors } from './prove.ts'

const day = (ago: number): string => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10)

/** A sink with one checkpoint a day, of two tenants, and the names that were read. */
function daily(days: number) {
  const read: string[] = []
  const names = ['keys/one.json', ...Array.from({ length: days }, (_, ago) => `checkpoints/${day(ago)}/a.jsonl`)]
  const sink: Pick<Sink, 'list'> = {
    async *list(prefix) {
      for (const name of names.filter((one) => one.startsWith(`${prefix}/`))) {
        yield { name, text: async () => (read.push(name), `${name} of cedar\n${name} of olive\n`) }
      }
    },
  }
  return { sink: sink as Sink, read }
}

test('a proof of the newest lines reads the days since them, and one before', async () => {
  const { sink, read } = daily(60)
  const { checkpoints, keys } = await readAnchors(sink, { about: 'cedar', since: new Date(Date.now() - 2 * 86_400_000) })
  expect(read).toEqual(['keys/one.json', ...[3, 2, 1, 0].map((ago) => `checkpoints/${day(ago)}/a.jsonl`)])
  expect(checkpoints).toHaveLength(4)
  expect(checkpoints.every((line) => line.endsWith('cedar'))).toBe(true)
  expect(keys).toHaveLength(1)
})

test('everything is read where nobody says since when, and where it was long ago', async () => {
  for (const sought of [{}, { since: null }, { since: new Date('2019-01-01') }]) {
    const { sink, read } = daily(60)
    await readAnchors(sink, sought)
    expect(read).toHaveLength(61)
  }
})
