/** Another process of ours, run by the same Node as this one; its first line says that it is ready. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface Child {
  readonly process: ChildProcess
  /** What the process printed first. */
  readonly firstLine: string
  /** Sends a signal and resolves when the process has ended. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/** @param script path from the root of the project. @throws with what it printed when it ends before it is ready. */
export async function startChild(script: string, environment: Readonly<Record<string, string>>): Promise<Child> {
  const child = spawn(process.execPath, [script], {
    cwd: new URL('../..', import.meta.url),
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint = `${complaint}${chunk}`.slice(-4_000)))
  const ended = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const first = await Promise.race([once(lines, 'line').then(([line]) => String(line)), ended.then(() => null)])
  if (first === null) throw new Error(`${script} ended at once: ${complaint}`)
  return {
    process: child,
    firstLine: first,
    async end(signal) {
      child.kill(signal)
      await ended
    },
  }
}
