/**
 * Audit lines a second, sealed as they come, against a plain insert of the same rows: one row a transaction, 16 connections, 200
 * tenants, on a Postgres that makes every commit durable. Ours: the real table with its walls, while the real sealer runs, and until
 * every line has its link. Plain: an ordinary table with the same columns and the same indexes, and nobody sealing. Both begin empty and get
 * as many rows, in pairs of rounds one right after the other; the figure is the median of the pairs' ratios. No checkpoint and no autovacuum
 * of Postgres falls into either side: one of them in a round of a second was what made rounds differ by half.
 * Beside it, in shorter rounds: lean, a plain table without the two columns and the index by which lines are sealed; one tenant alone.
 * Commands: the server's own unit of work, five lines a transaction as a mutation with its reads leaves them, sealed as well.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { newId } from '../../../src/kernel/id.ts'
import { Database } from '../../../src/platform/db/database.ts'
import { startEmbedded } from '../../../src/platform/db/embedded.ts'
import { urlFor, workerLogin } from '../../../src/platform/db/logins.ts'
import { provision, withClient } from '../../../src/platform/db/provision.ts'
import { createLog } from '../../../src/platform/http/log.ts'
import { systemCaller } from '../../../src/platform/jobs/system.ts'
import { createSealer } from '../../../src/platform/ledger/sealer.ts'
import { inPairs, interleave, median, type Side } from '../kit/interleave.ts'
import type { Bench } from '../kit/report.ts'

const connections = 16
const tenantCount = 200
/** Of a round of the pairs, more than a second where nobody else works; of those beside them. */
const rowsAPair = 4_800
const rowsARound = 2_400
const rowsATenant = 10
const linesACommand = 5
const pairs = 41
const rounds = 5
const secret = 'a login secret of a benchmark, long enough'

const columns = `tenant_id, id, actor_kind, actor_id, plane, action, resource, resource_id, subject_id, outcome, purpose, request_id,
  session_id, sign_in_method, source_address, user_agent, detail`
const places = Array.from({ length: 17 }, (_, i) => `$${i + 1}`).join(', ')

function lineOf(tenantId: string): unknown[] {
  const [actor, subject] = [newId(), newId()]
  return [
    tenantId, newId(), 'member', actor, 'clinician', 'phi.read', 'CareRecipient', subject, subject, 'done', 'TREATMENT', newId(),
    newId(), 'password', '192.0.2.7', 'Mozilla/5.0 (X11; Linux x86_64)', '{"fields":["givenName","familyName","mrn"],"count":3}',
  ]
}

export const bench: Bench = async (say) => {
  const directory = mkdtempSync(join(tmpdir(), 'maristan-bench-'))
  chmodSync(directory, 0o711)
  const postgres = await startEmbedded({ dataDir: directory, durable: true, log: () => {} })
  const { ownerUrl } = postgres
  try {
    await provision({ ownerUrl, loginSecret: secret })
    await withClient(ownerUrl, layPlain)
    const tenants = Array.from({ length: tenantCount }, newId)
    const sealer = createSealer({ databaseUrl: ownerUrl, loginSecret: secret, log: createLog({ level: 'warn' }) })
    const writers = await Promise.all(
      Array.from({ length: connections }, async () => {
        const client = new pg.Client({ connectionString: urlFor(workerLogin, ownerUrl, secret) })
        await client.connect()
        return client
      }),
    )
    const lags: number[] = []
    const single = tenants.slice(0, 1)
    const side = (name: string, table: string, among: readonly string[], sealed: boolean, rows = rowsARound): Side => ({
      name,
      async round() {
        const watching = sealed ? watch(ownerUrl, lags) : null
        await write(writers, table, among, rows, sealed ? () => sealer.ring() : () => {})
        await watching?.()
        if (sealed) await sealer.sealAll()
        return rows
      },
    })
    const database = new Database({ url: ownerUrl, loginSecret: secret, preparedStatements: true })
    database.onWrite(() => sealer.ring())
    const commands: Side = {
      name: 'commands',
      async round() {
        await command(database, tenants)
        await sealer.sealAll()
        return rowsARound
      },
    }
    sealer.start()
    say(`${pairs} pairs of rounds of ${rowsAPair} rows a side, ${connections} connections, fsync on`)
    const paired = await inPairs(
      side('sealed', 'audit.event', tenants, true, rowsAPair),
      side('plain', 'bench.plain', tenants, false, rowsAPair),
      pairs,
    )
    say(`sealed/plain ${rounded(paired.median)}, half of the pairs from ${paired.quarters.map(rounded).join(' to ')}`)
    say(`${rounds} rounds of ${rowsARound} rows a side`)
    const measured = await interleave(
      [
        side('plain', 'bench.plain', tenants, false),
        side('lean', 'bench.lean', tenants, false),
        side('sealed', 'audit.event', tenants, true),
        side('sealedOneTenant', 'audit.event', single, true),
        commands,
      ],
      rounds,
    )
    await Promise.all([...writers.map((client) => client.end()), database.close()])
    const [{ unlinked }] = (await withClient(ownerUrl, async (client) => (await client.query(countUnlinked)).rows)) as [{ unlinked: number }]
    await sealer.stop()
    const rate = (name: string) => Math.round(measured[name]!.median)
    const over = (name: string, other: string) =>
      median(measured[name]!.perSecond.map((perSecond, at) => perSecond / measured[other]!.perSecond[at]!))
    lags.sort((a, b) => a - b)
    const at = (share: number) => Math.round(1000 * (lags[Math.floor(lags.length * share)] ?? Number.NaN))
    return {
      ours: {
        sealedRowsPerSecond: Math.round(paired.ours.median),
        sealedOneTenantRowsPerSecond: rate('sealedOneTenant'),
        commandRowsPerSecond: rate('commands'),
        rounds: paired.ours.perSecond.map(Math.round),
        linesWithoutLink: unlinked,
      },
      peers: {
        plain: { rowsPerSecond: Math.round(paired.theirs.median), rounds: paired.theirs.perSecond.map(Math.round) },
        lean: { rowsPerSecond: rate('lean'), rounds: measured['lean']!.perSecond.map(Math.round) },
      },
      ratio: {
        'sealed/plain': paired.median,
        'sealed/lean': over('sealed', 'lean'),
        'sealedOneTenant/plain': over('sealedOneTenant', 'plain'),
      },
      guards: {
        ours: 'row-level security and its restrictive policies, monthly partitions, append-only trigger; every line linked before a round ends',
        plain: 'row-level security with the tenant policy; one table, the columns and the indexes of audit.event',
        lean: 'as plain, without epoch, xid and the index over them',
      },
      tables: {
        pairs: { ratios: paired.ratios.map(rounded), quarters: paired.quarters.map(rounded) },
        postgres: 'max_wal_size and checkpoint_timeout beyond the run, autovacuum off, one CHECKPOINT before the first round: for all sides alike',
        sealLagMs: { p50: at(0.5), p95: at(0.95), most: at(0.999), samples: lags.length },
      },
    }
  } finally {
    await postgres.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

const rounded = (ratio: number): number => Math.round(ratio * 1000) / 1000

const countUnlinked = `select count(*)::int as unlinked from audit.event e
  where not exists (select from audit.link l where l.epoch = e.epoch and l.xid = e.xid and l.event_id = e.id)`

/** Looks at how long the oldest line has waited, twice a second, until told to stop; its own pause is no part of the round. */
function watch(ownerUrl: string, lags: number[]): () => Promise<void> {
  const stopping = new AbortController()
  const looking = withClient(urlFor(workerLogin, ownerUrl, secret), async (client) => {
    while (!stopping.signal.aborted) {
      const { rows } = await client.query<{ lag: number }>('select lag_seconds as lag from gate.seal_state()')
      lags.push(rows[0]!.lag)
      await pause(500, undefined, { signal: stopping.signal }).catch(() => {})
    }
  })
  return async () => {
    stopping.abort()
    await looking
  }
}

async function layPlain(client: pg.Client): Promise<void> {
  await client.query('create schema bench; grant usage on schema bench to maristan_worker')
  for (const table of ['bench.plain', 'bench.lean']) {
    await client.query(`
      create table ${table} (like audit.event including defaults including indexes);
      alter table ${table} enable row level security;
      alter table ${table} force row level security;
      create policy tenant on ${table} using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
      grant insert on ${table} to maristan_worker`)
  }
  // The index goes with its columns.
  await client.query('alter table bench.lean drop column epoch, drop column xid')
  for (const setting of ["max_wal_size = '32GB'", "checkpoint_timeout = '1h'", 'autovacuum = off']) await client.query(`alter system set ${setting}`)
  await client.query('select pg_reload_conf()')
  await client.query('checkpoint')
}

/** One row a transaction and a round trip; every connection goes from tenant to tenant, a few rows each. */
async function write(writers: readonly pg.Client[], table: string, tenants: readonly string[], rows: number, committed: () => void): Promise<void> {
  const text = `insert into ${table} (${columns}) values (${places})`
  await Promise.all(
    writers.map(async (client, k) => {
      const mine = rows / writers.length
      for (let n = 0; n < mine; n += rowsATenant) {
        const tenantId = tenants[(k + (n / rowsATenant) * writers.length) % tenants.length]!
        await client.query("select set_config('app.tenant_id', $1, false)", [tenantId])
        for (let i = 0; i < rowsATenant; i++) {
          await client.query({ name: table, text, values: lineOf(tenantId) })
          committed()
        }
      }
    }),
  )
}

/** Real commands, as many at once as there are connections elsewhere. */
async function command(database: Database, tenants: readonly string[]): Promise<void> {
  const entry = { action: 'phi.read', resource: 'CareRecipient', outcome: 'done', detail: { fields: ['givenName', 'mrn'] } } as const
  const each = rowsARound / linesACommand / connections
  await Promise.all(
    Array.from({ length: connections }, async (_, k) => {
      for (let n = 0; n < each; n++) {
        const tenantId = tenants[(k + n * connections) % tenants.length]!
        await database.unit(systemCaller(tenantId, 'bench', newId())).command(async (scope) => {
          for (let i = 0; i < linesACommand; i++) {
            const recipient = newId()
            scope.unit.record({ ...entry, resourceId: recipient, subjectId: recipient })
          }
        })
      }
    }),
  )
}
