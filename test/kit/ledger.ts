/** An audit trail that is sealed, anchored and exported in a test, and an owner who bends it past every wall. */
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Audit } from '../../src/modules/audit/contract.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import { createLog } from '../../src/platform/http/log.ts'
import { createCheckpoints, publicKeyText, type Checkpoints, type Signer } from '../../src/platform/ledger/checkpoint.ts'
import { createSealer, type Sealer } from '../../src/platform/ledger/sealer.ts'
import { directorySink } from '../../src/platform/ledger/sink.ts'
import { readAnchors } from '../../src/modules/audit/prove.ts'
import { linkHash, readKeys, verify, type Report } from '../../verifier/maristan-audit-verify.mjs'
import type { TestHouse } from './house.ts'
import { loginSecret } from './postgres.ts'

export interface Ledger {
  readonly sealer: Sealer
  readonly checkpoints: Checkpoints
  /** Holds `checkpoints/`, `key.json` and nothing of ours but the verifier. */
  readonly directory: string
  /** The whole export of a tenant, in batches. */
  export(tenantId: string, most?: number, selected?: { subjectId?: string; actorId?: string }): Promise<string[]>
  /** Runs the verifier in this process, on what is kept outside. */
  verify(batches: readonly string[], bounds?: { from?: 'anywhere'; to?: 'anywhere' }): Promise<Report>
  /** Runs it in its own empty directory, as a process. */
  verifyAlone(batches: readonly string[], options?: readonly string[]): Promise<{ code: number; report: Report | null; said: string }>
  close(): Promise<void>
}

const file = 'maristan-audit-verify.mjs'
/** Which Node an auditor has: this one, or the one that VERIFIER_NODE names (the verifier runs on 20 and newer). */
export const verifierNode = process.env['VERIFIER_NODE'] ?? process.execPath

export function openLedger(house: TestHouse): Ledger {
  const directory = mkdtempSync(join(tmpdir(), 'maristan-verify-'))
  const { contract, signer } = house.composed.made['audit'] as unknown as { contract: Audit; signer: { current(): Signer } }
  const log = createLog({ level: 'silent' })
  const at = { databaseUrl: house.at.ownerUrl, loginSecret: loginSecret(), log }
  const sink = directorySink(join(directory, 'kept'))
  copyFileSync(join(import.meta.dirname, '../../verifier', file), join(directory, file))
  writeFileSync(join(directory, 'key.json'), publicKeyText(signer.current()))
  mkdirSync(join(directory, 'kept/checkpoints'), { recursive: true })
  const sealer = createSealer(at)
  let runs = 0
  return {
    sealer,
    checkpoints: createCheckpoints({ ...at, sink, signer: () => signer.current() }),
    directory,
    async export(tenantId, most = 1_000, selected = {}) {
      const batches: string[] = []
      for (let after = 0; ; ) {
        const unit = house.database.unit(operatorCaller(tenantId))
        const batch = await unit.read(() => contract.exportBatch(unit.scope, { after, most, ...selected }))
        batches.push(batch.text)
        if (batch.last) return batches
        after = batch.seq
      }
    },
    async verify(batches, bounds = {}) {
      const { checkpoints } = await readAnchors(sink)
      const keys = readKeys([readFileSync(join(directory, 'key.json'), 'utf8')])
      return verify({ lines: batches.join('').split('\n'), checkpoints, keys, ...bounds })
    },
    async verifyAlone(batches, options = []) {
      const names = batches.map((text) => {
        const name = `export-${runs++}.jsonl`
        writeFileSync(join(directory, name), text)
        return name
      })
      const args = [file, ...names.flatMap((name) => ['--export', name]), '--checkpoints', 'kept/checkpoints', '--key', 'key.json', '--json']
      return new Promise((resolve) => {
        execFile(verifierNode, [...args, ...options], { cwd: directory, env: {} }, (error, stdout, stderr) => {
          const code = error === null ? 0 : Number(error.code)
          const document = stdout.startsWith('{') ? (JSON.parse(stdout) as Report) : null
          resolve({ code, report: document, said: stdout + stderr })
        })
      })
    },
    async close() {
      await sealer.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Runs SQL as an owner who switches triggers and policies off: what the chain must show, since nothing could refuse it. */
export async function bend(ownerUrl: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  try {
    await client.query('set session_replication_role = replica')
    await work(client)
  } finally {
    await client.end()
  }
}

/** Computes the chain of a tenant anew from link `seq` on, as one does who knows how. */
export async function recompute(client: pg.Client, tenantId: string, seq: number): Promise<void> {
  const { rows } = await client.query<{ seq: string; prev: Buffer; digest: Buffer }>(
    `select l.seq, l.prev_hash as prev, sha256(convert_to(audit.canonical(e), 'UTF8')) as digest
     from audit.link l join audit.event e on e.tenant_id = l.tenant_id and e.id = l.event_id
     where l.tenant_id = $1 and l.seq >= $2 order by l.seq`,
    [tenantId, seq],
  )
  let prev = rows[0]!.prev
  for (const row of rows) {
    const hash = linkHash(prev, Number(row.seq), row.digest)
    await client.query('update audit.link set prev_hash = $3, row_hash = $4 where tenant_id = $1 and seq = $2', [tenantId, row.seq, prev, hash])
    prev = hash
  }
}
