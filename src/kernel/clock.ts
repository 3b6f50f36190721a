/** The clock, injected so that tests own time. Audit uses the database's clock instead. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now() }
