/**
 * Where log lines wait for one another, so that a busy server writes many at once. A warning or an error waits for nothing and takes
 * along what came before it; the process's exit does too. What a crash without an exit (SIGKILL, out of memory) may lose is the `info`
 * and `debug` lines of the last moment, never a line of the audit trail, which is in the database before anybody is answered.
 */
import type { DestinationStream } from 'pino'

/** The longest that a line waits. */
export const gatherMs = 20
const mostCharacters = 64 * 1024
const patient = /^\{"level":"(?:info|debug)"/

/** The lines that wait now, of every log of this process: what its exit takes along. */
const waiting = new Set<() => void>()
let isExitMinded = false

function mindExit(): void {
  if (isExitMinded) return
  isExitMinded = true
  process.on('exit', () => {
    for (const flush of waiting) flush()
  })
}

/** @param sink writes at once what it is given: whole lines. */
export function gathered(sink: DestinationStream): DestinationStream {
  let held = ''
  let timer: NodeJS.Timeout | null = null
  const flush = (): void => {
    if (timer) clearTimeout(timer)
    timer = null
    waiting.delete(flush)
    if (held === '') return
    const text = held
    held = ''
    sink.write(text)
  }
  mindExit()
  return {
    write(line) {
      held += line
      if (!patient.test(line) || held.length > mostCharacters) return flush()
      waiting.add(flush)
      timer ??= setTimeout(flush, gatherMs).unref()
    },
  }
}
