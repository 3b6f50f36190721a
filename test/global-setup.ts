/**
 * One throw-away Postgres a run, on a free port, in a temporary directory: never the running server's. With TEST_OWNER_URL set
 * (a superuser of some other Postgres, 15 or newer) the suite runs on that one instead.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { startEmbedded } from '../src/platform/db/embedded.ts'
import { prepareTemplate } from './kit/postgres.ts'
import { throwAwayPlace } from './kit/throw-away.ts'

export default async function setup(): Promise<() => Promise<void>> {
  const given = process.env['TEST_OWNER_URL']
  if (given) {
    await prepareTemplate(given)
    return async () => {}
  }
  const directory = mkdtempSync(join(throwAwayPlace(), 'maristan-test-'))
  // Postgres refuses root and runs as another account, which must be able to pass through.
  chmodSync(directory, 0o711)
  // What Postgres itself logs: a test looks for what must not be in it.
  process.env['TEST_DATABASE_LOG'] = join(directory, 'postgres.log')
  const lines: string[] = []
  const postgres = await startEmbedded({ dataDir: directory, durable: false, log: (line) => lines.push(line) })
  try {
    process.env['TEST_OWNER_URL'] = postgres.ownerUrl
    await prepareTemplate(postgres.ownerUrl)
  } catch (error) {
    await postgres.stop()
    throw error
  }
  return async () => {
    await postgres.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}
