/** Retention: months whose time is over go whole, sealed, anchored and signed for; what is left verifies, and a forged beginning does not. */
import { generateKeyPairSync, sign } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../src/kernel/id.ts'
import { systemCaller } from '../src/platform/jobs/system.ts'
import { createLog } from '../src/platform/http/log.ts'
import { checkpointPaceMs, createCheckpoints, type Signer } from '../src/platform/ledger/checkpoint.ts'
import { retireMonths, type RetiredBody, type RetireOptions } from '../src/platform/ledger/retire.ts'
import { directorySink } from '../src/platform/ledger/sink.ts'
import { readKeys, verify } from '../verifier/maristan-audit-verify.mjs'
import { freshHouse, type TestHouse } from './kit/house.ts'
import { bend, openLedger, type Ledger } from './kit/ledger.ts'
import { loginSecret } from './kit/postgres.ts'

const [tenantId, dormant] = [newId(), newId()]
let house: TestHouse
let ledger: Ledger
let signer: Signer

beforeAll(async () => {
  house = await freshHouse()
  ledger = openLedger(house)
  signer = (house.composed.made['audit'] as unknown as { signer: { current(): Signer } }).signer.current()
  await house.at.owner("select audit.add_month('2019-03-01Z'), audit.add_month('2019-04-01Z')")
})
afterAll(async () => {
  await ledger?.close()
  await house?.close()
})

/** Lines as they would stand there after years. */
const old = (tenant: string, at: string, count: number) =>
  bend(house.at.ownerUrl, async (client) => {
    for (let n = 0; n < count; n++) {
      await client.query(
        `insert into audit.event (tenant_id, id, at, actor_kind, action, resource, outcome, request_id) values ($1, $2, $3, 'system', 'test.done', 'Tenant', 'done', 'old')`,
        [tenant, newId(), at],
      )
    }
  })
const leave = () =>
  house.database.unit(systemCaller(tenantId, 'suite', newId())).command(async (scope) =>
    scope.unit.record({ action: 'test.done', resource: 'Tenant', outcome: 'done' }),
  )
const options = (more: Partial<RetireOptions> = {}): RetireOptions => ({
  database: house.database,
  databaseUrl: house.at.ownerUrl,
  loginSecret: loginSecret(),
  ownerUrl: house.at.ownerUrl,
  years: 6,
  signer: () => signer,
  sink: directorySink(join(ledger.directory, 'kept')),
  held: () => house.database.gate.heldTenants(),
  ...more,
})
/** A hold as an officer places it, and lifts it. */
async function placeHold(tenant: string) {
  const [by, id] = [newId(), newId()]
  await house.at.owner(
    `insert into custody.legal_hold (tenant_id, id, basis, reference, placed_by) values ($1, $2, 'LITIGATION', 'File 7', $3)`,
    [tenant, id, by],
  )
  return { lift: () => house.at.owner('update custody.legal_hold set lifted_at = now(), lifted_by = $2 where id = $1', [id, by]) }
}
const months = async () =>
  (await house.at.owner<{ name: string }>(
    "select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent in ('audit.event'::regclass, 'audit.link'::regclass) and c.relname like '%2019%' order by 1",
  )).map(({ name }) => name)
const all = ['event_2019_03', 'event_2019_04', 'link_2019_03', 'link_2019_04']

test('a month stays while a line of it is unsealed or unanchored, nobody owns the database, or its time is not over', async () => {
  await old(tenantId, '2019-03-05T08:00:00Z', 3)
  await old(dormant, '2019-03-06T08:00:00Z', 2)
  await expect(retireMonths(options())).rejects.toThrow('not sealed')
  await ledger.sealer.sealAll()
  await expect(retireMonths(options())).rejects.toThrow('no checkpoint stands for')
  await old(tenantId, '2019-04-05T08:00:00Z', 2)
  await leave()
  await ledger.sealer.sealAll()
  // A checkpoint of that time, not of today: it stands for lines of the month alone.
  await ledger.checkpoints.anchor()
  await expect(retireMonths(options({ ownerUrl: null }))).rejects.toThrow('connection of the owner')
  expect(await retireMonths(options({ years: 20 }))).toEqual([])
  expect(await retireMonths(options({ now: () => new Date('2025-03-31T23:00:00Z') }))).toEqual([])
  await expect(house.at.owner("select audit.drop_month(now() - interval '5 years', '{}')")).rejects.toThrow('kept for six years')
  expect(await months()).toEqual(all)
})

test('then it goes, the oldest first; what is left begins at its signed end, verifies offline, and goes on', async () => {
  const before = await ledger.export(tenantId)
  expect((await ledger.verifyAlone(before)).report).toMatchObject({ ok: true, from: 1, rows: 6 })
  expect(await retireMonths(options({ now: () => new Date('2025-04-02T00:00:00Z') }))).toEqual([new Date('2019-03-01T00:00:00Z')])
  expect(await months()).toEqual(['event_2019_04', 'link_2019_04'])
  const { code, report } = await ledger.verifyAlone(await ledger.export(tenantId))
  expect(code).toBe(0)
  expect(report).toMatchObject({ ok: true, from: 4, notes: [expect.stringMatching(/^Lines 1 to 3 were written before 2019-04-01/)] })
  expect(await retireMonths(options())).toEqual([new Date('2019-04-01T00:00:00Z')])
  await leave()
  await ledger.sealer.sealAll()
  expect((await ledger.verifyAlone(await ledger.export(tenantId))).report).toMatchObject({ ok: true, from: 6 })
  // A tenant whose every line was removed goes on where it ended.
  await house.database.unit(systemCaller(dormant, 'suite', newId())).command(async (scope) =>
    scope.unit.record({ action: 'test.done', resource: 'Tenant', outcome: 'done' }),
  )
  await ledger.sealer.sealAll()
  const [end, link] = await house.at.owner<{ seq: string; hash: string }>(
    `select seq, encode(row_hash, 'hex') as hash from audit.retired where tenant_id = $1
     union all select seq, encode(prev_hash, 'hex') from audit.link where tenant_id = $1 order by 1`,
    [dormant],
  )
  expect(link).toEqual({ seq: '3', hash: end!.hash })
  const told = await house.at.owner("select detail->>'month' as month from audit.event where action = 'audit.month_retired' order by 1")
  expect(told).toEqual([{ month: '2019-03' }, { month: '2019-04' }])
})

test('a legal hold keeps every line of its own tenant, walls and chain, and of nobody else; lifted, they go too', async () => {
  const [held, free] = [newId(), newId()]
  await house.at.owner("select audit.add_month('2018-05-01Z')")
  for (const one of [held, free]) await old(one, '2018-05-05T08:00:00Z', 2)
  await ledger.sealer.sealAll()
  await ledger.checkpoints.anchor()
  const inMonth = () => house.at.owner<{ tenant: string; n: number }>('select tenant_id as tenant, count(*)::int as n from audit.event_2018_05 group by 1')
  const hold = await placeHold(held)
  expect(await house.database.gate.heldTenants()).toEqual([held])
  expect(await retireMonths(options())).toEqual([new Date('2018-05-01T00:00:00Z')])
  expect(await inMonth()).toEqual([{ tenant: held, n: 2 }])
  expect(await retireMonths(options())).toEqual([])
  expect((await ledger.verifyAlone(await ledger.export(held))).report).toMatchObject({ ok: true, from: 1 })
  const walls = `select relrowsecurity and relforcerowsecurity and relispartition and exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'append_only') as whole
    from pg_class c where c.relname in ('event_2018_05', 'link_2018_05')`
  expect(await house.at.owner(walls)).toEqual([{ whole: true }, { whole: true }])
  await hold.lift()
  expect(await retireMonths(options())).toEqual([new Date('2018-05-01T00:00:00Z')])
  await expect(inMonth()).rejects.toMatchObject({ code: '42P01' })
})

test('without the signed end, or with one that is forged, for other lines or too young, the beginning is missing', async () => {
  const batches = await ledger.export(tenantId)
  const keys = readKeys([readFileSync(join(ledger.directory, 'key.json'), 'utf8')])
  const day = join(ledger.directory, 'kept/checkpoints')
  const lines = readdirSync(day, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8').split('\n'))
    .filter((line) => line !== '')
  const ofRetired = (line: string) => line.includes('maristan.audit.retired')
  const checkpoints = lines.filter((line) => !ofRetired(line))
  const mine = lines.filter((line) => ofRetired(line) && line.includes(tenantId)).map((line) => JSON.parse(line) as { checkpoint: string; key: string; signature: string })
  const last = mine.find(({ checkpoint }) => (JSON.parse(checkpoint) as RetiredBody).seq === 5)!
  const judge = async (...ends: object[]) =>
    (await verify({ lines: batches.join('').split('\n'), checkpoints: [...checkpoints, ...ends.map((one) => JSON.stringify(one))], keys })).firstBad?.problem ?? 'whole'
  const signed = (changes: Partial<RetiredBody>, by: (bytes: Buffer) => Buffer = (bytes) => signer.sign(bytes)) => {
    const checkpoint = JSON.stringify({ ...(JSON.parse(last.checkpoint) as RetiredBody), ...changes })
    return { checkpoint, key: signer.keyId, signature: by(Buffer.from(checkpoint)).toString('base64url') }
  }
  expect(await judge(last)).toBe('whole')
  expect(await judge(signed({}))).toBe('whole')
  expect(await judge()).toBe('deleted')
  expect(await judge(mine.find((one) => one !== last)!)).toBe('deleted')
  expect(await judge({ ...last, checkpoint: last.checkpoint.replace('"seq":5', '"seq":4') })).toBe('checkpoint')
  const { privateKey } = generateKeyPairSync('ed25519')
  expect(await judge(signed({}, (bytes) => sign(null, bytes, privateKey)))).toBe('checkpoint')
  expect(await judge(signed({ tenant: newId() }))).toBe('deleted')
  expect(await judge(signed({ hash: '0'.repeat(64) }))).toBe('deleted')
  expect(await judge(signed({ before: new Date().toISOString() }))).toBe('checkpoint')
  expect(await judge(signed({ before: 'x' }))).toBe('checkpoint')
  // Whoever holds the key and removes younger lines meets the checkpoints that were signed for them long after that month.
  const third = JSON.parse(mine.find((one) => one !== last)!.checkpoint) as RetiredBody
  const far = JSON.stringify({
    kind: 'maristan.audit.checkpoint', version: 1, tenant: tenantId, seq: 3, hash: third.hash, at: '2026-01-01T00:00:00.000Z', after: 2, stride: 1,
    marks: Buffer.from(third.hash.slice(0, 16), 'hex').toString('base64'),
  })
  const younger = { checkpoint: far, key: signer.keyId, signature: signer.sign(Buffer.from(far)).toString('base64url') }
  expect(await judge(last, younger)).toBe('deleted')
  // A checkpoint that came years late says when its line was written, and takes nothing from the retirement; one that says younger does.
  const late = (written: string) => {
    const text = JSON.stringify({ ...(JSON.parse(far) as object), written })
    return { checkpoint: text, key: signer.keyId, signature: signer.sign(Buffer.from(text)).toString('base64url') }
  }
  expect(await judge(last, late('2019-03-31T23:59:00.000Z'))).toBe('whole')
  expect(await judge(last, late('2025-12-31T23:59:00.000Z'))).toBe('deleted')
  expect(await judge(last, late('never'))).toBe('checkpoint')
})

test('readiness fails over HTTP once a line has waited five seconds for its place, not before, and stands again when it has it', async () => {
  // The house of a test never ends its start; what else fails is told beside that.
  const failing = async () => {
    const answer = await fetch(`${house.url}/readyz`)
    const { failing: names } = (await answer.json()) as { failing: string[] }
    return { status: answer.status, names: names.filter((name) => name !== 'starting') }
  }
  /** As if the line had been written so long ago, by the database's clock. */
  const waited = (seconds: number) =>
    bend(house.at.ownerUrl, async (client) => {
      await client.query(
        `update audit.event e set at = clock_timestamp() - make_interval(secs => $1)
         where not exists (select from audit.link l where l.tenant_id = e.tenant_id and l.event_id = e.id)`,
        [seconds],
      )
    })
  await ledger.sealer.sealAll()
  expect((await failing()).names).toEqual([])
  await leave()
  await waited(1)
  expect((await failing()).names).toEqual([])
  await waited(5)
  expect(await failing()).toEqual({ status: 503, names: ['audit'] })
  await ledger.sealer.sealAll()
  expect((await failing()).names).toEqual([])
})

test('a round of checkpoints comes soon after the start and every minute from then on, also after one that failed', async () => {
  expect(checkpointPaceMs).toEqual({ first: 5_000, every: 60_000 })
  const rounds: string[] = []
  let full = false
  const kept = directorySink(join(ledger.directory, 'by-the-minute'))
  const sink = {
    ...kept,
    async put(name: string, text: string) {
      rounds.push(full ? 'no room' : 'kept')
      if (full) throw new Error('no room')
      await kept.put(name, text)
    },
  }
  const at = { databaseUrl: house.at.ownerUrl, loginSecret: loginSecret(), log: createLog({ level: 'silent' }) }
  const checkpoints = createCheckpoints({ ...at, sink, signer: () => signer, paceMs: { first: 1, every: 2 } })
  /** A line that no checkpoint stands for, until one does. */
  const anchored = async (isFull: boolean, most: number) => {
    full = isFull
    const before = rounds.length
    await leave()
    await ledger.sealer.sealAll()
    await expect.poll(() => rounds.length - before, { timeout: 8_000, interval: 5 }).toBeGreaterThanOrEqual(most)
  }
  await leave()
  await ledger.sealer.sealAll()
  expect(rounds).toEqual([])
  checkpoints.start()
  try {
    await anchored(false, 1)
    await anchored(true, 3)
    await anchored(false, 1)
    expect(new Set(rounds)).toEqual(new Set(['kept', 'no room']))
    expect(rounds.at(-1)).toBe('kept')
  } finally {
    await checkpoints.stop()
  }
})
