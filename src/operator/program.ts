/** The operator's door: runs one command and says how it ended. */
import { CommanderError } from 'commander'
import { Fault } from '../kernel/fault.ts'
import { BadConfiguration } from '../platform/config.ts'
import { buildProgram } from './commands.ts'

/**
 * Runs the command that the arguments name, as `process.argv` has them. How it ended is `process.exitCode` afterwards: 0 done, 1 failed,
 * 2 wrong usage.
 */
export async function runProgram(argv: readonly string[]): Promise<void> {
  const { program, terminal } = buildProgram(argv)
  try {
    await program.parseAsync(argv)
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2
      if (process.exitCode === 2) terminal.misused(error.message)
    } else {
      const usage = error instanceof BadConfiguration || (error instanceof Fault && error.kind === 'invalid')
      terminal.fail(error)
      process.exitCode = usage ? 2 : 1
    }
  }
}
