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

/** @param sink writes at once what it is given: whole lines. */
export function gathered(sink: DestinationStream): DestinationStream {
  let held = ''
  let timer: NodeJS.Timeout | null = null
  const flush = (): void => {
    if (timer) clearTimeout(timer)
    timer = null
    if (held === '') return
    const text = held
    held = ''
    sink.write(text)
  }
  process.on('exit', flush)
  return {
    write(line) {
      held += line
      if (!patient.test(line) || held.length > mostCharacters) flush()
      else timer ??= setTimeout(flush, gatherMs).unref()
    },
  }
}
