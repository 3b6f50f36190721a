/** A narrow lane for costly work: so many at once, so many waiting; it refuses the rest rather than let it starve the server. */
import { overloaded } from '../../../kernel/fault.ts'

export interface Lane {
  /**
   * Runs `work` when a place is free; first come, first served. Its place is given back however the work ends.
   * @throws OVERLOADED when the queue is full; the work was not started then.
   */
  run<T>(work: () => Promise<T>): Promise<T>
}

/** Makes a lane `width` wide with at most `queue` callers waiting. */
export function createLane({ width, queue }: { readonly width: number; readonly queue: number }): Lane {
  const waiting: (() => void)[] = []
  let running = 0

  async function enter(): Promise<void> {
    if (running < width) {
      running++
      return
    }
    if (waiting.length >= queue) throw overloaded()
    await new Promise<void>((admitted) => waiting.push(admitted))
  }

  // The place is handed straight to the next in line: a newcomer cannot slip in between.
  function leave(): void {
    const admit = waiting.shift()
    if (admit) admit()
    else running--
  }

  return {
    async run(work) {
      await enter()
      try {
        return await work()
      } finally {
        leave()
      }
    },
  }
}
