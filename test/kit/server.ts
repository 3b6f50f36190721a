/** The real server as a process of its own, over an embedded Postgres in a temporary data directory. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { throwAwayPlace } from './throw-away.ts'

export const root = join(import.meta.dirname, '../..')

export type Environment = Readonly<Record<string, string | undefined>>

/** What `demo.json` says; see the README. */
export interface Demo {
  readonly url: string
  readonly tenants: readonly {
    readonly slug: string
    readonly host: string
    readonly id: string
    readonly members: readonly { email: string; password: string; role: string; plane: string; totpSecret: string | null }[]
    readonly apiToken: string
    readonly saml: { readonly entityId: string; readonly metadataUrl: string; readonly acsUrl: string; readonly loginUrl: string }
  }[]
}

/** How a process ended and everything it said. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A data directory below a new temporary one that the account of Postgres can pass. */
export function temporaryDirectory(): { parent: string; dataDir: string; remove(): void } {
  const parent = mkdtempSync(join(throwAwayPlace(), 'maristan-server-'))
  chmodSync(parent, 0o711)
  return { parent, dataDir: join(parent, '.data'), remove: () => rmSync(parent, { recursive: true, force: true }) }
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}

/** Waits for a condition by looking, at most a minute. @throws naming what never came. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; ; await delay(20)) {
    if (await holds()) return
    if (performance.now() > end) throw new Error(`Still waiting: ${what}.`)
  }
}

/** Asks a server's GraphQL door. */
export async function graphql(url: string, headers: Readonly<Record<string, string>>, query: string): Promise<{ data: Record<string, never> | null }> {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query }) })
  return (await answer.json()) as never
}

/** A member's access token, or what came instead of one. */
export async function signIn(demo: Demo, slug: string, { email, password, plane }: { email: string; password: string; plane: string }): Promise<string> {
  const query = `mutation { signIn(input: { email: "${email}", password: "${password}" }) { __typename ... on SignedIn { accessToken } } }`
  const { data } = await graphql(`${demo.url}/graphql/${plane}`, { 'x-maristan-tenant': slug }, query)
  const made = data?.['signIn'] as { __typename: string; accessToken?: string } | undefined
  return made?.accessToken ?? `no token: ${made?.__typename}`
}

/** The environment of a fresh checkout: nothing of this test run's but what it has compiled. */
export function environmentOf(given: Environment): NodeJS.ProcessEnv {
  const { PATH, HOME, NODE_COMPILE_CACHE } = process.env
  return { PATH, HOME, NODE_COMPILE_CACHE, LOG_LEVEL: 'error', ...given }
}

/** As whom and from which checkout a server is started, where that is not this suite's own. */
export interface Starter {
  readonly uid: number
  readonly gid: number
  readonly checkout: string
}

export class ServerProcess {
  readonly child: ChildProcess
  readonly url: string
  readonly ended: Promise<Ended>
  readonly #dataDir: string
  #said = { stdout: '', stderr: '' }

  constructor(command: readonly [string, ...string[]], environment: Environment & { PORT: string; DATA_DIR: string }, starter: Partial<Starter> = {}) {
    const [program, ...args] = command
    const { checkout = root, ...account } = starter
    this.#dataDir = environment.DATA_DIR
    this.url = `http://127.0.0.1:${environment.PORT}`
    this.child = spawn(program, args, { cwd: checkout, env: environmentOf(environment), stdio: ['ignore', 'pipe', 'pipe'], ...account })
    for (const name of ['stdout', 'stderr'] as const) {
      this.child[name]!.setEncoding('utf8').on('data', (text: string) => (this.#said[name] += text))
    }
    this.ended = once(this.child, 'close').then(([code, signal]) => ({ code, signal, ...this.#said }))
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  get said(): string {
    return this.#said.stdout + this.#said.stderr
  }

  demo(): Demo {
    return JSON.parse(readFileSync(join(this.#dataDir, 'demo.json'), 'utf8')) as Demo
  }

  /** The answer of `/readyz`; null while nobody listens. */
  async readiness(): Promise<{ status: number; failing: string[] } | null> {
    try {
      const answer = await fetch(`${this.url}/readyz`)
      return { status: answer.status, failing: ((await answer.json()) as { failing: string[] }).failing }
    } catch {
      return null
    }
  }

  async ready(): Promise<this> {
    await until('the server is ready', async () => {
      if (this.hasEnded) throw new Error(`The server ended: ${this.said}`)
      return (await this.readiness())?.status === 200
    })
    return this
  }

  async end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<Ended> {
    this.child.kill(signal)
    return this.ended
  }
}

/** Starts `node scripts/serve.mjs`, as `npm start` does. Nothing is awaited. */
export function startServer(environment: Environment & { PORT: string; DATA_DIR: string }, starter: Partial<Starter> = {}): ServerProcess {
  const node = starter.checkout ? process.execPath.replace(root, starter.checkout) : process.execPath
  return new ServerProcess([node, 'scripts/serve.mjs'], environment, starter)
}

/** Runs one command of the command line to its end. */
export async function maristan(args: readonly string[], environment: Environment, input = ''): Promise<Ended> {
  const child = spawn(process.execPath, ['src/cli.ts', ...args], { cwd: root, env: environmentOf(environment), stdio: 'pipe' })
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text))
  // A command that never reads its input closes it first.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, ...said }
}

/** The process number of the embedded Postgres of a data directory; null when it says it is not running. */
export function postmasterOf(dataDir: string): number | null {
  const path = join(dataDir, 'pg/postmaster.pid')
  return existsSync(path) ? Number(readFileSync(path, 'utf8').split('\n')[0]) : null
}

/** Whether the process still runs. One that has ended but was not yet collected by its new parent (a zombie) does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  try {
    // proc(5): the state follows the bracketed name.
    return !/^.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return process.platform !== 'linux'
  }
}
