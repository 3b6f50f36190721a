/** The command line as a tool drives it: --json, one document, one exit code. */
import { expect } from 'vitest'
import { maristan, type Environment } from './server.ts'

export interface Answer {
  readonly code: number | null
  readonly document: Record<string, any>
}

/** Runs a command with --json; stdout must hold one JSON document and nothing else. */
export async function run(environment: Environment, args: readonly string[], input = ''): Promise<Answer> {
  const { code, stdout } = await maristan([...args, '--json'], environment, input)
  return { code, document: JSON.parse(stdout) as Record<string, any> }
}

/** As {@link run}, of a command that must end with 0. */
export async function done(environment: Environment, args: readonly string[], input = ''): Promise<Record<string, any>> {
  const { code, document } = await run(environment, args, input)
  expect({ args, code, document: code === 0 ? null : document }).toEqual({ args, code: 0, document: null })
  return document
}
