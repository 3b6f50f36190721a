/**
 * The sealer: gives every committed line of the audit trail its place in the hash chain of its tenant. One process seals at a time
 * (an advisory lock of the transaction); it goes by epoch, transaction and id, and only up to the oldest transaction still
 * running, so a line that commits late is never passed by. It writes links and changes nothing.
 */
import pg from 'pg'
import { urlFor, workerLogin } from '../db/logins.ts'
import type { Log } from '../http/log.ts'
import { within } from '../jobs/system.ts'
import { sealPass } from './seal-pass.ts'

export interface SealerOptions {
  /** Host, port and database, and the secret of the logins: the sealer has one connection of its own. */
  readonly databaseUrl: string
  readonly loginSecret: string
  readonly log: Log
  /** Told how many lines a pass sealed. */
  readonly sealed?: (count: number) => void
  /** Default: {@link sealerPaceMs}. */
  readonly paceMs?: typeof sealerPaceMs
}

export interface Sealer {
  /** Begins to seal, soon after each ring and at the latest a second after the last look. */
  start(): void
  /** Says that this process committed lines. */
  ring(): void
  /** Seals until nothing sealable is left. @returns how many lines */
  sealAll(): Promise<number>
  /** Finishes the pass in hand. */
  stop(): Promise<void>
}

/**
 * `gather`: from a ring to the pass; lines of many transactions are sealed together, none waits longer than this and a pass. `look`: from one
 * look to the next without a ring, which finds lines of other processes.
 */
export const sealerPaceMs: { readonly gather: number; readonly look: number } = { gather: 30, look: 1_000 }
const mostOfAPass = 4_096
const drainMs = 10_000
const reconnectMs = { least: 200, most: 10_000 }

export function createSealer(options: SealerOptions): Sealer {
  const { log, sealed = () => {}, paceMs = sealerPaceMs } = options
  let client: pg.Client | null = null
  let running: Promise<void> | null = null
  let stopping = false
  let ringing = false
  let wake: (() => void) | null = null

  const connected = async (): Promise<pg.Client> => {
    if (client) return client
    const fresh = new pg.Client({
      connectionString: urlFor(workerLogin, options.databaseUrl, options.loginSecret),
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      application_name: 'maristan sealer',
    })
    // Without a listener a connection that breaks between two passes would end the process.
    fresh.on('error', () => {
      if (client === fresh) client = null
    })
    await fresh.connect()
    return (client = fresh)
  }

  const disconnect = async (): Promise<void> => {
    const old = client
    client = null
    await old?.end().catch(() => {})
  }

  /** One transaction, after whichever this process has begun. @returns how many lines it sealed; null when another process holds the lock. */
  const pass = (): Promise<number | null> => (turn = turn.then(passNow, passNow))
  let turn: Promise<number | null> = Promise.resolve(0)

  async function passNow(): Promise<number | null> {
    const at = await connected()
    try {
      const count = await sealPass(at)
      if (count !== null && count > 0) sealed(count)
      return count
    } catch (error) {
      await disconnect()
      throw error
    }
  }

  /** Sleeps; a ring ends it after `gather` more. */
  async function rest(): Promise<void> {
    if (!ringing && !stopping) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, paceMs.look)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      wake = null
    }
    if (ringing && !stopping) await pause(paceMs.gather)
    ringing = false
  }

  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

  async function run(): Promise<void> {
    let failures = 0
    while (!stopping) {
      try {
        const count = await pass()
        failures = 0
        // Somebody else seals: what this process wrote may have come after their look, so it looks again soon.
        if (count === null) await pause(paceMs.gather)
        else if (count < mostOfAPass) await rest()
      } catch (error) {
        log.error('audit.seal_failed', { error })
        await Promise.race([pause(Math.min(reconnectMs.most, reconnectMs.least * 2 ** failures++)), stopped.promise])
      }
    }
  }
  const stopped = Promise.withResolvers<void>()

  return {
    start() {
      if (running) throw new Error('The sealer is already at work.')
      running = run()
    },
    ring() {
      ringing = true
      wake?.()
    },
    async sealAll() {
      let total = 0
      for (let patience = 200; patience > 0; ) {
        const count = await pass()
        if (count === 0) break
        if (count === null) {
          patience--
          await pause(paceMs.gather)
        } else total += count
      }
      if (!running) await disconnect()
      return total
    },
    async stop() {
      stopping = true
      stopped.resolve()
      wake?.()
      if (running) await within(drainMs, running).catch((error: unknown) => log.error('audit.seal_undrained', { error }))
      // The last lines of this process, those of its own stop.
      if (running) await pass().catch((error: unknown) => log.error('audit.seal_failed', { error }))
      await disconnect()
    },
  }
}
