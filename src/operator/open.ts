/** What a command works with: the house, or the owner's connection alone, over the database it could reach; closed again whatever happens. */
import type { Composed } from '../platform/compose.ts'
import { readConfig, type Config } from '../platform/config.ts'
import { startEmbedded } from '../platform/db/embedded.ts'
import type { Foundation } from '../platform/db/foundation.ts'
import { reachFoundation, runningEmbedded } from '../platform/db/reach.ts'
import { createLog, type Log } from '../platform/http/log.ts'

export interface Opened {
  readonly config: Config
  readonly foundation: Foundation
  readonly house: Composed
  readonly log: Log
}

/** Runs `work` over the database alone. Logs only warnings: a command speaks through its result. */
export async function withFoundation<T>(work: (opened: Omit<Opened, 'house'>) => Promise<T>): Promise<T> {
  const config = readConfig(process.env)
  const log = createLog({ level: config.logLevel === 'info' ? 'silent' : config.logLevel })
  const foundation = await reachFoundation(config, log)
  try {
    return await work({ config, foundation, log })
  } finally {
    await foundation.stop()
  }
}

/** Runs `work` over the house. */
export function withHouse<T>(work: (opened: Opened) => Promise<T>): Promise<T> {
  return withFoundation(async ({ config, foundation, log }) => {
    const { composeHouse } = await import('../app.ts')
    const house = await composeHouse(config, foundation, log)
    try {
      await house.boot()
      return await work({ config, foundation, house, log })
    } finally {
      await house.settle()
      house.release()
    }
  })
}

/**
 * Runs `work` with the owner's address and changes nothing by itself: the configured database, the running server's, or the embedded
 * one, started for as long as it takes.
 * @throws when DATABASE_URL is set without DATABASE_OWNER_URL.
 */
export async function withOwner<T>(config: Config, work: (ownerUrl: string) => Promise<T>): Promise<T> {
  if (config.databaseUrl !== null) {
    if (config.databaseOwnerUrl === null) throw new Error('Set DATABASE_OWNER_URL: this needs the owner of the database.')
    return work(config.databaseOwnerUrl)
  }
  const running = runningEmbedded(config.dataDir)
  if (running !== null) return work(running)
  const embedded = await startEmbedded({ dataDir: config.dataDir, durable: true, log: () => {} })
  try {
    return await work(embedded.ownerUrl)
  } finally {
    await embedded.stop()
  }
}

/** A tenant's own address below the public one: `<slug>.localhost`, or `<slug>.<public host>`. */
export function hostOfTenant(config: Config, slug: string): string {
  const host = config.publicUrl === null ? 'localhost' : new URL(config.publicUrl).hostname
  return `${slug}.${host}`
}
