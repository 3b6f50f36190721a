/**
 * Signed checkpoints: every minute the head of each chain that has grown is signed (Ed25519) and put outside the database, together
 * with a mark of every link since the one before. Whoever cuts the chain, forks it or computes it anew meets the marks, and the
 * first of them that differs names the line.
 */
import pg from 'pg'
import { urlFor, workerLogin } from '../db/logins.ts'
import type { Log } from '../http/log.ts'
import { within } from '../jobs/system.ts'
import type { LedgerMetrics } from './metrics.ts'
import type { Sink } from './sink.ts'

/** Signs without showing its private part. */
export interface Signer {
  readonly keyId: string
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string
  sign(bytes: Uint8Array): Buffer
}

/** What is signed, as JSON text; the signature is over exactly that text. */
export interface CheckpointBody {
  readonly kind: 'maristan.audit.checkpoint'
  readonly version: 1
  readonly tenant: string
  /** The head of the chain: number and hash. */
  readonly seq: number
  readonly hash: string
  /** When it was signed, by this machine's clock. */
  readonly at: string
  /** When the line at the head was written, by the database's clock: a checkpoint that came late still says of what time its lines are. */
  readonly written: string
  /** The checkpoint before ended here; 0 for the first. */
  readonly after: number
  /** The first 8 bytes of the hashes of links `after + stride`, `after + 2 * stride` ..., joined, base64. */
  readonly stride: number
  readonly marks: string
}

/** One line of an object in the sink. */
export interface SignedCheckpoint {
  readonly checkpoint: string
  readonly key: string
  readonly signature: string
}

export interface CheckpointsOptions {
  readonly databaseUrl: string
  readonly loginSecret: string
  readonly signer: () => Signer
  readonly sink: Sink
  readonly log: Log
  readonly metrics?: LedgerMetrics
  /** Default: {@link checkpointPaceMs}. */
  readonly paceMs?: typeof checkpointPaceMs
}

export interface Checkpoints {
  /** Begins: a round soon, and one every minute from then on. */
  start(): void
  /** One round now. @returns how many chains it anchored. @throws when the sink or the database does not take it. */
  anchor(): Promise<number>
  /** Anchors what is sealed and ends. */
  stop(): Promise<void>
}

/** From the start to the first round, and from the end of one round to the next. */
export const checkpointPaceMs: { readonly first: number; readonly every: number } = { first: 5_000, every: 60_000 }
const drainMs = 12_000
/** Links of one checkpoint that are marked one by one; of more, every second, third ... is. */
const mostMarks = 4_096
export const markBytes = 8

/** Folders of the sink. */
export const checkpointFolder = 'checkpoints'
export const keyFolder = 'keys'

interface Due {
  readonly tenantId: string
  readonly seq: string
  readonly hash: Buffer
  readonly anchored: string
}

export function signCheckpoint(signer: Signer, body: CheckpointBody): SignedCheckpoint {
  const checkpoint = JSON.stringify(body)
  return { checkpoint, key: signer.keyId, signature: signer.sign(Buffer.from(checkpoint)).toString('base64url') }
}

/** The text of a public key's object, as the verifier reads it. */
export const publicKeyText = ({ keyId, publicKey }: Pick<Signer, 'keyId' | 'publicKey'>): string =>
  `${JSON.stringify({ kty: 'OKP', crv: 'Ed25519', kid: keyId, x: publicKey })}\n`

export function createCheckpoints(options: CheckpointsOptions): Checkpoints {
  const { sink, log, metrics, paceMs = checkpointPaceMs } = options
  let timer: NodeJS.Timeout | null = null
  let running: Promise<number> | null = null

  async function round(client: pg.Client): Promise<number> {
    const signer = options.signer()
    await client.query('begin')
    const { rows: locks } = await client.query<{ mine: boolean }>(
      "select pg_try_advisory_xact_lock(hashtext('maristan audit checkpoints')) as mine",
    )
    if (!locks[0]!.mine) return 0
    const { rows: due } = await client.query<Due>(
      'select tenant_id as "tenantId", seq, row_hash as hash, anchored from gate.checkpoints_due()',
    )
    if (due.length === 0) return 0
    const at = new Date()
    const signed: SignedCheckpoint[] = []
    for (const one of due) signed.push(signCheckpoint(signer, await bodyOf(client, one, at)))
    await sink.putOnce(`${keyFolder}/${signer.keyId}.json`, publicKeyText(signer))
    await sink.put(nameAt(at), signed.map((line) => `${JSON.stringify(line)}\n`).join(''))
    for (const [i, { tenantId, seq, hash }] of due.entries()) {
      await client.query("select set_config('app.tenant_id', $1, true)", [tenantId])
      await client.query('insert into audit.checkpoint (tenant_id, seq, row_hash, key_id, signature) values ($1, $2, $3, $4, $5)', [
        tenantId,
        seq,
        hash,
        signer.keyId,
        Buffer.from(signed[i]!.signature, 'base64url'),
      ])
    }
    return due.length
  }

  async function anchor(): Promise<number> {
    const client = new pg.Client({
      connectionString: urlFor(workerLogin, options.databaseUrl, options.loginSecret),
      connectionTimeoutMillis: 5_000,
      application_name: 'maristan checkpoints',
    })
    // The failure of the query in hand is enough; without a listener the process would end.
    client.on('error', () => {})
    await client.connect()
    try {
      const count = await round(client)
      // Committed only now: a round whose object is there and whose rows are not is signed again, from the same place.
      await client.query('commit')
      metrics?.anchored('done', count)
      return count
    } catch (error) {
      metrics?.anchored('failed', 0)
      throw error
    } finally {
      await client.end().catch(() => {})
    }
  }

  const turn = async (): Promise<number> => {
    running ??= anchor().finally(() => (running = null))
    return running.catch((error: unknown) => {
      log.error('audit.checkpoint_failed', { error })
      return 0
    })
  }

  const later = (ms: number): void => {
    timer = setTimeout(() => void turn().then(() => (timer === null ? undefined : later(paceMs.every))), ms)
    timer.unref()
  }

  return {
    start: () => later(paceMs.first),
    anchor,
    async stop() {
      if (timer === null) return
      clearTimeout(timer)
      timer = null
      await within(drainMs, turn()).catch((error: unknown) => log.error('audit.checkpoint_undrained', { error }))
    },
  }
}

async function bodyOf(client: pg.Client, { tenantId, seq, hash, anchored }: Due, at: Date): Promise<CheckpointBody> {
  const [head, after] = [Number(seq), Number(anchored)]
  const stride = Math.ceil((head - after) / mostMarks)
  await client.query("select set_config('app.tenant_id', $1, true)", [tenantId])
  const { rows } = await client.query<{ mark: Buffer }>(
    `select substring(row_hash for ${markBytes}) as mark from audit.link
     where tenant_id = $1 and seq > $2 and seq <= $3 and (seq - $2) % $4 = 0 order by seq`,
    [tenantId, after, head, stride],
  )
  const { rows: heads } = await client.query<{ at: Date }>('select at from audit.link where tenant_id = $1 and seq = $2', [tenantId, head])
  return {
    kind: 'maristan.audit.checkpoint',
    version: 1,
    tenant: tenantId,
    seq: head,
    hash: hash.toString('hex'),
    at: at.toISOString(),
    written: heads[0]!.at.toISOString(),
    after,
    stride,
    marks: Buffer.concat(rows.map(({ mark }) => mark)).toString('base64'),
  }
}

/** Sorts by time; a day is a folder. Two processes of one moment do not meet: the database lets one round at a time in. */
const nameAt = (at: Date): string => `${checkpointFolder}/${at.toISOString().slice(0, 10)}/${at.toISOString().replaceAll(':', '-')}.jsonl`
