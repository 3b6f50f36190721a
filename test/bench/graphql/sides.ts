/** The sides of the benchmark as processes of their own: our server as it is started in production, and the peers. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../../kit/server.ts'
import type { BenchGround } from './ground.ts'

export const peerNames = ['postgraphile', 'mercurius', 'yoga-prisma', 'limit'] as const
export type PeerName = (typeof peerNames)[number]

export interface SideProcess {
  readonly name: string
  readonly port: number
  /** Processor time it has used so far, in seconds; steps of 10 ms. */
  cpuSeconds(): number
  residentMb(): number
  /** Bytes in use after a collection; only of a process that was started with `scale/memory.ts`. */
  memory(): Promise<number>
  stop(): Promise<void>
}

const root = join(import.meta.dirname, '../../..')
const ticksPerSecond = 100

async function start(name: string, command: readonly string[], environment: Readonly<Record<string, string>>): Promise<SideProcess> {
  const child = spawn(process.execPath, [...command], {
    cwd: root,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NODE_ENV: 'production', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = `${complaint}${text}`.slice(-4_000)))
  const ended = once(child, 'exit')
  let isStopped = false
  void ended.then(() => {
    if (!isStopped) process.stderr.write(`${name} ended: ${complaint}\n`)
  })
  const lines = createInterface({ input: child.stdout })
  const address = new Promise<number>((resolve) => {
    lines.on('line', (line) => {
      const [, port] = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line) ?? []
      if (port) resolve(Number(port))
    })
  })
  const port = await Promise.race([address, ended.then(() => null)])
  if (port === null) throw new Error(`${name} ended at once: ${complaint}`)
  // proc(5): the fields after the bracketed name begin with the state, which is the third.
  const stat = () => readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  return {
    name,
    port,
    cpuSeconds: () => (Number(stat()[11]) + Number(stat()[12])) / ticksPerSecond,
    residentMb: () => Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))?.[1]) / 1024),
    memory: () =>
      new Promise((resolve) => {
        const heard = (line: string) => {
          const [, bytes] = /^memory (\d+)$/.exec(line) ?? []
          if (bytes === undefined) return
          lines.off('line', heard)
          resolve(Number(bytes))
        }
        lines.on('line', heard)
        child.kill('SIGUSR2')
      }),
    async stop() {
      isStopped = true
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** @param more flags of Node, before the script; a profile for example. */
export async function startOurs(ground: BenchGround, more: readonly string[] = [], environment: Record<string, string> = {}): Promise<SideProcess> {
  const port = String(await freePort())
  return start('ours', [...more, 'scripts/serve.mjs'], { ...ground.environment, ...environment, PORT: port })
}

export function startPeer(ground: BenchGround, name: PeerName): Promise<SideProcess> {
  const { readUrl, writeUrl, authUrl, peerKey, peerSecrets } = ground
  const script = join(import.meta.dirname, 'peers', `${name}.mjs`)
  return start(name, [script], { READ_URL: readUrl, WRITE_URL: writeUrl, AUTH_URL: authUrl, PEER_KEY: peerKey, PEER_SECRETS: peerSecrets })
}
