/** What `doctor` says of checkpoints that do not get out of the house: the sink that takes none, and chains that wait for one. It writes nothing. */
import { constants, existsSync, statSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import type { Config } from '../platform/config.ts'

/** One is written every minute. */
const mostCheckpointMinutes = 15

/** A directory that takes no checkpoint. Whether a bucket takes them, only writing to it tells; see {@link lateCheckpoints}. */
export async function sinkProblems({ auditCheckpoints: place }: Pick<Config, 'auditCheckpoints'>): Promise<string[]> {
  if (place.startsWith('s3://')) return []
  let existing = place
  while (!existsSync(existing)) existing = join(existing, '..')
  const isDirectory = statSync(existing).isDirectory()
  const problem = isDirectory ? await access(existing, constants.W_OK | constants.X_OK).then(() => null, () => 'cannot be written to') : 'is no directory'
  return problem === null ? [] : [`${existing} ${problem}: checkpoints of the audit trail do not get to ${place}. Mend it, or set AUDIT_CHECKPOINTS.`]
}

/** Chains that grew and have had no checkpoint since: the sink does not take them, or nobody writes any. */
export async function lateCheckpoints(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ chains: number; minutes: number }>(
    `select count(*)::int as chains, floor(extract(epoch from now() - min(l.at)) / 60)::int as minutes
     from gate.checkpoints_due() d join audit.link l on l.tenant_id = d.tenant_id and l.seq = d.anchored + 1
     where l.at < now() - make_interval(mins => $1)`,
    [mostCheckpointMinutes],
  )
  const { chains, minutes } = rows[0]!
  if (chains === 0) return []
  return [`${chains} audit chains have waited ${minutes} minutes for a checkpoint: see audit.checkpoint_failed in the log; without a server: maristan audit checkpoint`]
}
