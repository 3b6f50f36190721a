/**
 * A process that runs one command of the command line after another, each in an environment of its own, so that the building is loaded
 * once. It prints nothing: how a command ended, and what it said, is sent to whoever started it.
 */
import { runProgram } from '../../src/operator/program.ts'

export interface Asked {
  readonly args: readonly string[]
  readonly environment: NodeJS.ProcessEnv
}

export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function answer({ args, environment }: Asked): Promise<Said> {
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, environment)
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].write = (text: string | Uint8Array) => {
      said[name] += String(text)
      return true
    }
  }
  process.exitCode = 0
  await runProgram([process.execPath, 'maristan', ...args])
  const code = Number(process.exitCode)
  process.exitCode = 0
  return { code, ...said }
}

let before: Promise<unknown> = Promise.resolve()
process.on('message', (asked: Asked) => {
  before = before.then(async () => process.send!(await answer(asked)))
})
