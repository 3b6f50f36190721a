/** Measures several sides against one another: a short round of each in turn, again and again, so that the machine's moods hit all alike. */

export interface Side {
  readonly name: string
  /** Does a bounded piece of work and says how many units it was. */
  round(): Promise<number>
}

export interface Sample {
  /** Units a second, one a round. */
  readonly perSecond: readonly number[]
  readonly median: number
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) throw new RangeError('A median of nothing.')
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/**
 * Unmeasured rounds of each side, one at least, then `rounds` measured ones. The order turns by one each time: no side is always first.
 * @param rounds at least 5.
 * @param warmMs how long each side's unmeasured rounds go on: until its machine code is what it stays.
 */
export async function interleave(sides: readonly Side[], rounds = 5, warmMs = 0): Promise<Record<string, Sample>> {
  if (rounds < 5) throw new RangeError('At least 5 rounds.')
  const perSecond = new Map<string, number[]>(sides.map(({ name }) => [name, []]))
  for (const side of sides) {
    const until = performance.now() + warmMs
    do await side.round()
    while (performance.now() < until)
  }
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const side = sides[(turn + round) % sides.length]!
      const startedMs = performance.now()
      const units = await side.round()
      perSecond.get(side.name)!.push((units * 1000) / (performance.now() - startedMs))
    }
  }
  return Object.fromEntries([...perSecond].map(([name, values]) => [name, { perSecond: values, median: median(values) }]))
}

export interface Pairs {
  readonly ours: Sample
  readonly theirs: Sample
  /** Ours over theirs, one a pair: two rounds that followed one another. */
  readonly ratios: readonly number[]
  readonly median: number
  /** The quarters: half of the pairs lie between them. */
  readonly quarters: readonly [number, number]
}

/**
 * Two sides, pair by pair: each ratio is of two rounds that the machine saw one right after the other, so that its mood between pairs cancels
 * out. Who goes first changes from pair to pair. One unmeasured round of each before.
 * @param pairs at least 5.
 */
export async function inPairs(ours: Side, theirs: Side, pairs: number): Promise<Pairs> {
  if (pairs < 5) throw new RangeError('At least 5 pairs.')
  const rates: Record<'ours' | 'theirs', number[]> = { ours: [], theirs: [] }
  const measure = async (side: Side): Promise<number> => {
    const startedMs = performance.now()
    const units = await side.round()
    return (units * 1000) / (performance.now() - startedMs)
  }
  await theirs.round()
  await ours.round()
  for (let pair = 0; pair < pairs; pair++) {
    if (pair % 2 === 0) rates.theirs.push(await measure(theirs))
    rates.ours.push(await measure(ours))
    if (pair % 2 === 1) rates.theirs.push(await measure(theirs))
  }
  const ratios = rates.ours.map((rate, at) => rate / rates.theirs[at]!)
  const sorted = [...ratios].sort((a, b) => a - b)
  const quarter = sorted.length >> 2
  return {
    ours: { perSecond: rates.ours, median: median(rates.ours) },
    theirs: { perSecond: rates.theirs, median: median(rates.theirs) },
    ratios,
    median: median(ratios),
    quarters: [sorted[quarter]!, sorted[sorted.length - 1 - quarter]!],
  }
}
