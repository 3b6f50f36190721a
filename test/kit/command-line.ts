/**
 * The command line as a tool drives it: --json, one document, one exit code. The commands of a test file are run by processes that have the
 * building loaded already, as many as run at once; `alone` gives a command its own process, from its first line to its exit.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Asked, Said } from './command-process.ts'
import { loginSecret, type TestDatabase } from './postgres.ts'
import { environmentOf, maristan, root, type Environment } from './server.ts'

export interface Answer {
  readonly code: number | null
  readonly document: Record<string, any>
}

export interface Manner {
  /** What it reads from its standard input; such a command has its own process. */
  readonly input?: string
  readonly alone?: boolean
}

/** For commands over a test's own database, with the operator's rights. */
export const environmentOver = ({ ownerUrl }: Pick<TestDatabase, 'ownerUrl'>, dataDir: string): Environment => ({
  DATA_DIR: dataDir,
  DATABASE_URL: ownerUrl,
  DATABASE_OWNER_URL: ownerUrl,
  DATABASE_LOGIN_SECRET: loginSecret(),
  KMS_PROVIDER: 'local',
  MARISTAN_DEMO: '0',
})

const idle: ChildProcess[] = []

function loaded(): ChildProcess {
  const child = fork(join(import.meta.dirname, 'command-process.ts'), [], { cwd: root, env: environmentOf({}), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  // It ends with whoever started it: the channel is its only reason to live.
  child.unref()
  return child
}

async function inLoaded(asked: Asked): Promise<Said> {
  const child = idle.pop() ?? loaded()
  const over = new AbortController()
  child.channel!.ref()
  child.send(asked)
  const ended = once(child, 'exit', { signal: over.signal }).then(([code, signal]) => {
    throw new Error(`${asked.args.join(' ')} ended its process: ${code ?? signal}.`)
  })
  const [said] = (await Promise.race([once(child, 'message'), ended])) as [Said]
  over.abort()
  child.channel!.unref()
  idle.push(child)
  return said
}

/** Runs a command with --json; stdout must hold one JSON document and nothing else. */
export async function run(environment: Environment, args: readonly string[], { input, alone = input !== undefined }: Manner = {}): Promise<Answer> {
  const asked = [...args, '--json']
  const { code, stdout } = alone ? await maristan(asked, environment, input) : await inLoaded({ args: asked, environment: environmentOf(environment) })
  return { code, document: JSON.parse(stdout) as Record<string, any> }
}

/** As {@link run}, of a command that must end with 0. */
export async function done(environment: Environment, args: readonly string[], manner: Manner = {}): Promise<Record<string, any>> {
  const { code, document } = await run(environment, args, manner)
  expect({ args, code, document: code === 0 ? null : document }).toEqual({ args, code: 0, document: null })
  return document
}
