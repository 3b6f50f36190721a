/** What a benchmark answers with. */
export interface Measured {
  /** Figures of our side, by case. Units last in the name (`rowsPerSecond`). */
  readonly ours: Readonly<Record<string, unknown>>
  /** Figures of each other side. */
  readonly peers: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** `<case>/<peer>`: our throughput over theirs, of medians. */
  readonly ratio: Readonly<Record<string, number>>
  /** What each side checked while it was measured, in words. */
  readonly guards: Readonly<Record<string, string>>
  /** Tables that are no ratios: how a cost grows, what one guard costs. */
  readonly tables?: Readonly<Record<string, unknown>>
}

/** A benchmark: `say` takes a sentence on its progress. */
export type Bench = (say: (sentence: string) => void) => Promise<Measured>
