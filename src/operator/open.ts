/** What a command works with: the house over the database it could reach, closed again whatever happens. */
import { composeHouse } from '../app.ts'
import type { Composed } from '../platform/compose.ts'
import { readConfig, type Config } from '../platform/config.ts'
import type { Foundation } from '../platform/db/foundation.ts'
import { reachFoundation } from '../platform/db/reach.ts'
import { createLog, type Log } from '../platform/http/log.ts'

export interface Opened {
  readonly config: Config
  readonly foundation: Foundation
  readonly house: Composed
  readonly log: Log
}

/** Runs `work` over the house. Logs only warnings: a command speaks through its result. */
export async function withHouse<T>(work: (opened: Opened) => Promise<T>): Promise<T> {
  const config = readConfig(process.env)
  const log = createLog({ level: config.logLevel === 'info' ? 'silent' : config.logLevel })
  const foundation = await reachFoundation(config, log)
  try {
    const house = await composeHouse(config, foundation, log)
    await house.boot()
    return await work({ config, foundation, house, log })
  } finally {
    await foundation.stop()
  }
}

/** How people reach this server, without a final slash. */
export function publicUrlOf(config: Config): string {
  return (config.publicUrl ?? `http://127.0.0.1:${config.port}`).replace(/\/$/, '')
}

/** A tenant's own address below the public one: `<slug>.localhost`, or `<slug>.<public host>`. */
export function hostOfTenant(config: Config, slug: string): string {
  const host = config.publicUrl === null ? 'localhost' : new URL(config.publicUrl).hostname
  return `${slug}.${host}`
}

