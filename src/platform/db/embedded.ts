/**
 * The embedded Postgres: a real Postgres 18 that lives and ends with this process, so that a checkout needs no database of its own.
 * Refuses a second server on one data directory.
 */
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { blockedWays, postgresAccount } from './embedded-binaries.ts'
import { choosePort, clusterIn, clusterProblems, ensureCluster, ownerName, prepareDataDir } from './embedded-cluster.ts'
import type { LoanedBinaries } from './embedded-loan.ts'
import { borrowBinaries, loanProblems } from './embedded-loan.ts'
import type { Cluster, Postmaster } from './embedded-postmaster.ts'
import { database, launch, shutDown, startBoundMs, StartFailure } from './embedded-postmaster.ts'
import { holdDirectory, stopOrphan } from './embedded-process.ts'

export interface EmbeddedPostgres {
  /** Connects as the owner of everything; for migrations. Holds the password: never log it. */
  readonly ownerUrl: string
  readonly port: number
  /** Ends Postgres (fast shutdown, at most 20 s, then at once) and frees the data directory. Further calls await the first. */
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  readonly dataDir: string
  /** False only for throw-away test clusters: faster, and a power cut may destroy them. */
  readonly durable: boolean
  readonly log: (line: string) => void
}

const firstBackoffMs = 100
const maxBackoffMs = 5_000
/** A Postgres that served this long was well: its next end is a new story. */
const steadyMs = 60_000

/** What keeps the embedded Postgres from using this data directory: sentences with the mending command; empty when all is well. */
export function inspectDirectories(dataDir: string): string[] {
  const account = postgresAccount()
  const ways = [...blockedWays(resolve(dataDir), account), ...loanProblems(account)]
  return ways.length > 0 ? ways : clusterProblems(resolve(dataDir), account)
}

/** Repeats an attempt while backends of a killed postmaster linger, and on another port while somebody takes ours. */
async function firstLaunch(cluster: Cluster): Promise<{ postmaster: Postmaster; port: number }> {
  const until = performance.now() + startBoundMs
  for (;;) {
    const port = await choosePort(cluster.dataDir)
    try {
      return { postmaster: await launch(cluster, port), port }
    } catch (error) {
      if (!(error instanceof StartFailure) || performance.now() > until) throw error
      if (!error.passing && (await choosePort(cluster.dataDir)) === port) throw error
      await delay(firstBackoffMs)
    }
  }
}

/** Keeps one Postgres running on its port until told to stop: started again, ever slower, whenever it ends by itself. */
class Keeper {
  current: Postmaster
  readonly #stopping = new AbortController()
  readonly #watch: Promise<void>

  constructor(first: Postmaster, cluster: Cluster, port: number, log: (line: string) => void) {
    this.current = first
    this.#watch = this.#keep(cluster, port, log)
  }

  async #keep(cluster: Cluster, port: number, log: (line: string) => void): Promise<void> {
    const stopping = this.#stopping.signal
    const told = new Promise<void>((done) => stopping.addEventListener('abort', () => done(), { once: true }))
    for (let failures = 0; ; ) {
      const servedSinceMs = performance.now()
      await Promise.race([this.current.ended, told])
      if (stopping.aborted) return
      if (performance.now() - servedSinceMs > steadyMs) failures = 0
      log(`Postgres ended by itself (${await this.current.ended}): starting it again on port ${port}.`)
      do {
        try {
          await delay(Math.min(maxBackoffMs, failures * firstBackoffMs), undefined, { signal: stopping })
          failures += 1
          this.current = await launch(cluster, port, stopping)
          log(`Postgres serves again on port ${port}.`)
        } catch (error) {
          if (stopping.aborted) return
          log(`Postgres could not be started again and will be tried once more: ${(error as Error).message}`)
        }
      } while (this.current.hasEnded())
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#watch
    await shutDown(this.current)
  }
}

/**
 * Starts the embedded Postgres and resolves when a client can log in: a few seconds the first time, when it is made, then well under one.
 * A Postgres that outlived a killed server is stopped first.
 * @throws with a sentence that names what to mend: a directory Postgres cannot pass, a data directory in use, a lost owner.secret.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { durable, log } = options
  const account = postgresAccount()
  const dataDir = resolve(options.dataDir)
  const problems = inspectDirectories(dataDir)
  if (problems.length > 0) throw new Error(problems.join('\n'))

  prepareDataDir(dataDir, account)
  const release = holdDirectory(dataDir)
  let binaries: LoanedBinaries | undefined
  try {
    binaries = borrowBinaries(account)
    const password = await ensureCluster(dataDir, { account, binaries, durable, log })
    const directory = realpathSync(clusterIn(dataDir))
    await stopOrphan(directory, log)
    const cluster: Cluster = { dataDir, directory, account, binaries, password, durable }
    const { postmaster, port } = await firstLaunch(cluster)
    const keeper = new Keeper(postmaster, cluster, port, log)
    // A process that ends without stop() (an uncaught error) still takes its database along.
    const { giveBack } = binaries
    const farewell = () => {
      keeper.current.kill('SIGINT')
      giveBack()
    }
    process.once('exit', farewell)

    const stop = async () => {
      await keeper.stop()
      process.removeListener('exit', farewell)
      giveBack()
      release()
    }
    let stopped: Promise<void> | undefined
    return {
      ownerUrl: `postgres://${ownerName}:${password}@127.0.0.1:${port}/${database}`,
      port,
      stop: () => (stopped ??= stop()),
    }
  } catch (error) {
    binaries?.giveBack()
    release()
    throw error
  }
}
