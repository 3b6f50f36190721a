import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Bag } from './bag.ts'

test('holds what was added and not taken out, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 30 }), { maxLength: 60 }), (turns) => {
      const bag = new Bag<number>()
      const takeOut = new Map<number, () => void>()
      for (const turn of turns) {
        const leave = takeOut.get(turn)
        if (leave) {
          leave()
          takeOut.delete(turn)
        } else takeOut.set(turn, bag.add(turn))
        expect([...bag].sort()).toEqual([...takeOut.keys()].sort())
        expect(bag.size).toBe(takeOut.size)
      }
    }),
  )
})

test('takes a thing out once: a second time nothing else leaves in its place', () => {
  const bag = new Bag<string>()
  const [first, second] = [bag.add('first'), bag.add('second')]
  bag.add('third')
  first()
  first()
  expect([...bag].sort()).toEqual(['second', 'third'])
  second()
  second()
  expect([...bag]).toEqual(['third'])
})

test('is walked as it was when the walk began', () => {
  const bag = new Bag<() => void>()
  const seen: number[] = []
  for (let k = 0; k < 3; k++) {
    const leave = bag.add(() => {
      seen.push(k)
      leave()
    })
  }
  for (const one of bag) one()
  expect(seen).toEqual([0, 1, 2])
  expect(bag.size).toBe(0)
})

test('keeps nothing of what has left from the young collections, as a Map does once it has grown old', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options?: { readonly type: 'minor' }) => void
  setFlagsFromString('--no-expose-gc')
  const oldMb = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size / 1e6

  /** Sixteen at a time pass through, of four kilobytes each: sixteen megabytes in all. */
  const grownMb = (add: (item: object) => () => void): number => {
    const present: (() => void)[] = []
    const pass = () => {
      present.push(add(Array.from({ length: 500 }, (_, k) => k + 0.5)))
      if (present.length > 16) present.shift()!()
    }
    for (let k = 0; k < 20; k++) pass()
    collect()
    collect()
    const before = oldMb()
    for (let k = 0; k < 4_000; k++) {
      pass()
      if (k % 40 === 0) collect({ type: 'minor' })
    }
    return oldMb() - before
  }

  const bag = new Bag<object>()
  expect(grownMb((item) => bag.add(item))).toBeLessThan(2)
  const map = new Map<object, null>()
  const inMap = (item: object) => {
    map.set(item, null)
    return () => void map.delete(item)
  }
  expect(grownMb(inMap)).toBeGreaterThan(8)
})
