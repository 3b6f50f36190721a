/**
 * The daily job that removes months of the audit trail whose retention is over, the oldest first: only when every line is sealed and
 * anchored, and the end of every chain there is signed and put outside the database. What is left begins at that signed end, and the verifier
 * accepts it by it. Of a tenant under a legal hold every line stays.
 */
import pg from 'pg'
import { newId } from '../../kernel/id.ts'
import { noTenant } from '../../kernel/scope.ts'
import type { Database } from '../db/database.ts'
import { urlFor, workerLogin } from '../db/logins.ts'
import { withClient } from '../db/provision.ts'
import { systemCaller, type TenantJob } from '../jobs/system.ts'
import { checkpointFolder, keyFolder, publicKeyText, type SignedCheckpoint, type Signer } from './checkpoint.ts'
import type { Sink } from './sink.ts'

/** What is signed of a chain whose months were removed, as JSON text. */
export interface RetiredBody {
  readonly kind: 'maristan.audit.retired'
  readonly version: 1
  readonly tenant: string
  /** The last line that was removed: number and hash. */
  readonly seq: number
  readonly hash: string
  /** Every removed line was written before this moment. */
  readonly before: string
  readonly at: string
}

export interface RetireOptions {
  readonly database: Database
  readonly databaseUrl: string
  readonly loginSecret: string
  /** The owner of the database; where the server has no such connection, nothing is removed, and the job says so. */
  readonly ownerUrl: string | null
  /** Six or more. */
  readonly years: number
  readonly signer: () => Signer
  readonly sink: Sink
  /** Tenants under a legal hold, their own or of one of their recipients. */
  readonly held: () => Promise<readonly string[]>
  readonly now?: () => Date
}

interface Ended {
  readonly tenantId: string
  readonly seq: string | null
  readonly hash: Buffer | null
  readonly anchored: boolean
  readonly unsealed: string
}

const leastYears = 6

/** Months that begin before this moment have had their time. */
function lastKept(now: Date, years: number): Date {
  return new Date(Date.UTC(now.getUTCFullYear() - Math.max(leastYears, years), now.getUTCMonth(), 1))
}

const nextMonth = (first: Date): Date => new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 1))

/** @returns the months that were removed, as their first moments. @throws Error saying what keeps one that is due. */
export async function retireMonths(options: RetireOptions): Promise<Date[]> {
  const { database, databaseUrl, loginSecret, ownerUrl, years, held, now = () => new Date() } = options
  const removed: Date[] = []
  const kept = lastKept(now(), years)
  await withClient(urlFor(workerLogin, databaseUrl, loginSecret), async (worker) => {
    const { rows: months } = await worker.query<{ first: Date }>('select first from gate.months() as first')
    for (const { first } of months) {
      // The month before the first one that is kept is the last to go.
      if (first >= kept) return
      const holders = await held()
      const found = await endsOf(worker, first)
      const over = found.filter(({ tenantId }) => !holders.includes(tenantId))
      // What is left of a month whose time is over is held, and waits for that.
      if (over.length === 0 && found.length > 0) continue
      if (ownerUrl === null) throw new Error('Months of the audit trail are due to be removed, and this server has no connection of the owner.')
      await retire(worker, first, over, options)
      await withClient(ownerUrl, (owner) =>
        owner.query('select audit.drop_month($1, $2)', [first, found.map(({ tenantId }) => tenantId).filter((one) => holders.includes(one))]),
      )
      const detail = { month: first.toISOString().slice(0, 7), held: found.length - over.length }
      await database.unit(systemCaller(noTenant, 'ledger.retire', newId())).command(async (scope) =>
        scope.unit.record({ action: 'audit.month_retired', resource: 'AuditEvent', outcome: 'done', detail }),
      )
      removed.push(first)
    }
  })
  return removed
}

/** Of every tenant with lines in a month: where its chain ends there. */
async function endsOf(worker: pg.Client, first: Date): Promise<Ended[]> {
  const { rows } = await worker.query<Ended>(
    'select tenant_id as "tenantId", seq, row_hash as hash, anchored, unsealed from gate.retirement($1, $2)',
    [first, nextMonth(first)],
  )
  return rows
}

/** Signs where these chains end in a month, puts it outside, and keeps it. */
async function retire(worker: pg.Client, first: Date, rows: readonly Ended[], { signer: signerOf, sink, now = () => new Date() }: RetireOptions): Promise<void> {
  const ends = nextMonth(first)
  const month = first.toISOString().slice(0, 7)
  if (rows.some(({ unsealed }) => unsealed !== '0')) throw new Error(`Month ${month} of the audit trail holds lines that are not sealed; it is kept.`)
  if (rows.some(({ anchored }) => !anchored)) throw new Error(`Month ${month} of the audit trail holds lines that no checkpoint stands for; it is kept.`)
  if (rows.length === 0) return
  const [signer, at] = [signerOf(), now()]
  const signed: SignedCheckpoint[] = rows.map(({ tenantId, seq, hash }) => {
    const body: RetiredBody = {
      kind: 'maristan.audit.retired',
      version: 1,
      tenant: tenantId,
      seq: Number(seq),
      hash: hash!.toString('hex'),
      before: ends.toISOString(),
      at: at.toISOString(),
    }
    const checkpoint = JSON.stringify(body)
    return { checkpoint, key: signer.keyId, signature: signer.sign(Buffer.from(checkpoint)).toString('base64url') }
  })
  await sink.putOnce(`${keyFolder}/${signer.keyId}.json`, publicKeyText(signer))
  const name = `${checkpointFolder}/${at.toISOString().slice(0, 10)}/${at.toISOString().replaceAll(':', '-')}-retired-${month}.jsonl`
  await sink.put(name, signed.map((line) => `${JSON.stringify(line)}\n`).join(''))
  for (const [i, { tenantId, seq, hash }] of rows.entries()) {
    await worker.query('begin')
    await worker.query("select set_config('app.tenant_id', $1, true)", [tenantId])
    // A run that ended between this and the removal is done again.
    await worker.query(
      'insert into audit.retired (tenant_id, seq, row_hash, before, key_id, signature) values ($1, $2, $3, $4, $5, $6) on conflict do nothing',
      [tenantId, seq, hash, ends, signer.keyId, Buffer.from(signed[i]!.signature, 'base64url')],
    )
    await worker.query('commit')
  }
}

export function retireJob(options: RetireOptions): TenantJob {
  return {
    name: 'ledger.retire',
    cron: '23 3 * * *',
    inEveryTenant: false,
    async run() {
      await retireMonths(options)
    },
  }
}
