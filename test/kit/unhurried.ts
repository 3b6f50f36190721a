/** A busy test machine stalls any process for a second: tests of what a server answers must not meet its load shedding. */
export const unhurried = { maxEventLoopDelayMs: 60_000 }
