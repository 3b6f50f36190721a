/** Days when the machine fails: a disk that is full, a clock that jumps. Health data fails closed with a typed error, nothing is half written. */
import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { postgresAccount } from '../src/platform/db/embedded-binaries.ts'
import { createKeyCache } from '../src/platform/crypto/key-cache.ts'
import { lateCheckpoints, sinkProblems } from '../src/operator/doctor-ledger.ts'
import { withClient } from '../src/platform/db/provision.ts'
import { createLog } from '../src/platform/http/log.ts'
import { createCheckpoints, type Signer } from '../src/platform/ledger/checkpoint.ts'
import { createLedgerMetrics } from '../src/platform/ledger/metrics.ts'
import { directorySink } from '../src/platform/ledger/sink.ts'
import { bend, openLedger, type Ledger } from './kit/ledger.ts'
import { loginSecret } from './kit/postgres.ts'
import { freshHouse, type TestHouse, type TestTenant } from './kit/house.ts'

let house: TestHouse
let cedar: TestTenant
let bearer: string
beforeAll(async () => {
  house = await freshHouse()
  cedar = await house.tenant('cedar')
  bearer = await house.signIn(cedar, 'care_coordinator')
})
afterEach(() => vi.restoreAllMocks())
afterAll(() => house.close())

const create = async (): Promise<string> => {
  const query = 'mutation { createRecipient(input: { givenName: "Amal", mrn: "M-1" }) { __typename ... on Fault { code } } }'
  const { data, errors } = await house.ask<any>({ plane: 'console', bearer }, query)
  return data?.createRecipient?.code ?? data?.createRecipient?.__typename ?? errors[0]?.extensions.code
}
const settings = async (): Promise<unknown> => (await house.ask<any>({ plane: 'console', bearer }, '{ tenantSettings { slug } }')).data?.tenantSettings?.slug
/** Every table that a new recipient writes to. */
const written = ['vault.subject_key', 'care.recipient', 'care.party', 'audit.event', 'outbox.event']
const counts = async () => {
  const rows: [string, number][] = []
  for (const table of written.filter((one) => one !== 'audit.event')) {
    rows.push([table, Number((await house.at.owner<{ n: string }>(`select count(*) as n from ${table} where tenant_id = $1`, [cedar.id]))[0]!.n)])
  }
  return rows
}

describe('a full disk', () => {
  beforeAll(() =>
    // What Postgres answers when a table cannot be made longer, at the table that is asked.
    house.at.owner(`create function public.full_disk() returns trigger language plpgsql as $$
      begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$`),
  )

  test.each(written)('met at %s: a typed refusal, no row of anything, and what was there still opens', async (table) => {
    expect(await create()).toBe('CareRecipient')
    const before = await counts()
    await house.at.owner(`create trigger full_disk before insert on ${table} for each row execute function public.full_disk()`)
    try {
      expect(await create()).toBe('DATABASE_UNAVAILABLE')
      expect(await counts()).toEqual(before)
      expect(await settings()).toBe('cedar')
      const read = await house.ask<any>({ plane: 'console', bearer }, '{ recipients(first: 1) { edges { node { givenName } } } }')
      // A read of health data leaves a line, or gives nothing.
      if (table === 'audit.event') expect(read).toMatchObject({ data: null, errors: [{ extensions: { code: 'DATABASE_UNAVAILABLE' } }] })
      else expect(read.data.recipients.edges[0].node).toEqual({ givenName: 'Amal' })
    } finally {
      await house.at.owner(`drop trigger full_disk on ${table}`)
    }
    expect(await create()).toBe('CareRecipient')
  })

  test('met by the key file: it is not there, or whole; the start is refused with a sentence', () => {
    const directory = mkdtempSync(join(tmpdir(), 'maristan-full-'))
    try {
      const kms = join(import.meta.dirname, '../src/platform/crypto/kms-local.ts')
      const script = `const { openLocalKms } = await import(${JSON.stringify(kms)})
        await openLocalKms({ file: ${JSON.stringify(join(directory, 'kms.json'))}, mayCreate: true })
          .then(() => console.log('OPENED'), (error) => console.log(error.code, error.message))`
      // No file may grow: what a full disk is to whoever writes one. Bash's `ulimit`, which every POSIX shell has.
      const run = (limit: string) =>
        execFileSync('/bin/sh', ['-c', `${limit} exec "$0" --input-type=module -e "$1"`, process.execPath, script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      expect(run('ulimit -f 0;')).toMatch(/^KEYS_UNAVAILABLE .*kms\.json/)
      expect(readdirSync(directory)).toEqual([])
      expect(run('')).toBe('OPENED\n')
      expect(readdirSync(directory)).toEqual(['kms.json'])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

/** Where the run's own Postgres keeps its files; null on a Postgres of somebody else's. */
const cluster = process.env['TEST_DATABASE_LOG'] === undefined ? null : join(dirname(process.env['TEST_DATABASE_LOG']), 'pg')

/** Puts the device that is always full in the place of an empty table's file; gives back what takes it away again. Postgres meets the kernel's own ENOSPC. */
async function fillDiskOf(table: string): Promise<() => void> {
  // Rewritten, so that nobody has the old file open.
  await house.at.owner(`vacuum full ${table}`)
  const path = join(cluster!, (await house.at.owner<{ path: string }>('select pg_relation_filepath($1) as path', [table]))[0]!.path)
  const { uid, gid, size } = statSync(path)
  expect(size).toBe(0)
  rmSync(path)
  symlinkSync('/dev/full', path)
  return () => {
    rmSync(path)
    writeFileSync(path, '', { mode: 0o600 })
    if (process.geteuid?.() === 0) chownSync(path, uid, gid)
  }
}

describe('a full disk under the ledger', () => {
  let ledger: Ledger
  beforeAll(() => (ledger = openLedger(house)))
  afterAll(() => ledger.close())
  const failing = async () => {
    const { failing: names } = (await (await fetch(`${house.url}/readyz`)).json()) as { failing: string[] }
    return names.filter((name) => name !== 'starting')
  }
  const bodies = (place: string) =>
    readdirSync(join(place, 'checkpoints'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).flatMap((entry) =>
      readFileSync(join(entry.parentPath, entry.name), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(JSON.parse(line).checkpoint)),
    )

  // Every Linux has the device, and whoever runs the suite owns its Postgres: no privilege is needed.
  test.runIf(cluster !== null && existsSync('/dev/full'))('met by the sealer: changes go on, readiness says so, it recovers by itself, and the trail verifies offline', async () => {
    const month = (await house.at.owner<{ name: string }>("select to_char(now() at time zone 'UTC', '\"audit.link_\"YYYY_MM') as name"))[0]!.name
    const makeRoom = await fillDiskOf(month)
    try {
      await expect(ledger.sealer.sealAll()).rejects.toMatchObject({ code: '53100' })
      ledger.sealer.start()
      expect(await create()).toBe('CareRecipient')
      await bend(house.at.ownerUrl, async (client) => void (await client.query("update audit.event set at = at - interval '6 seconds'")))
      expect(await failing()).toEqual(['audit'])
      expect(await create()).toBe('CareRecipient')
      expect(await house.at.owner('select from audit.link')).toEqual([])
    } finally {
      makeRoom()
    }
    await expect.poll(failing, { interval: 20, timeout: 20_000 }).toEqual([])
    await ledger.sealer.sealAll()
    await ledger.checkpoints.anchor()
    expect(await ledger.verifyAlone(await ledger.export(cedar.id))).toMatchObject({ code: 0, report: { ok: true, unanchored: { rows: 0, unsealed: 0 } } })
  })

  test('met by the sink: the chain goes on, log, metric and doctor say so, the next round catches up, and the trail verifies', async () => {
    const place = join(ledger.directory, 'kept')
    await ledger.sealer.sealAll()
    await ledger.checkpoints.anchor()
    const anchored = Math.max(...bodies(place).filter(({ tenant }) => tenant === cedar.id).map(({ seq }) => seq))
    const aside = `${place}-aside`
    renameSync(place, aside)
    // Where the directory was there is a file: nobody can write into that, root neither.
    writeFileSync(place, '')
    try {
      expect(await create()).toBe('CareRecipient')
      expect(await ledger.sealer.sealAll()).toBeGreaterThan(0)
      await expect(ledger.checkpoints.anchor()).rejects.toMatchObject({ code: 'ENOTDIR' })
      const registry = new Registry()
      const metrics = createLedgerMetrics(registry, () => house.database.gate.sealState(), () => house.database.gate.streamState(1))
      const { signer } = house.composed.made['audit'] as unknown as { signer: { current(): Signer } }
      const log = createLog({ level: 'silent' })
      const at = { databaseUrl: house.at.ownerUrl, loginSecret: loginSecret(), log, metrics }
      await expect(createCheckpoints({ ...at, sink: directorySink(place), signer: () => signer.current() }).anchor()).rejects.toThrow()
      expect(await registry.metrics()).toContain('audit_checkpoint_rounds_total{outcome="failed"} 1')
      // Sealing is not behind: nobody is sent away for a sink.
      expect(await failing()).toEqual([])
      expect(await sinkProblems({ auditCheckpoints: place })).toEqual([expect.stringContaining(`${place} is no directory`)])
      expect(await withClient(house.at.ownerUrl, lateCheckpoints)).toEqual([])
      await bend(house.at.ownerUrl, async (client) => void (await client.query("update audit.link set at = at - interval '20 minutes' where at >= date_trunc('month', now()) + interval '20 minutes'")))
      expect(await withClient(house.at.ownerUrl, lateCheckpoints)).toEqual([expect.stringMatching(/^\d+ audit chains? .*audit\.checkpoint_failed/)])
      await bend(house.at.ownerUrl, async (client) => void (await client.query("update audit.link l set at = e.at from audit.event e where e.id = l.event_id and e.tenant_id = l.tenant_id")))
    } finally {
      rmSync(place)
      renameSync(aside, place)
    }
    expect(await sinkProblems({ auditCheckpoints: place })).toEqual([])
    expect(await ledger.checkpoints.anchor()).toBeGreaterThan(0)
    expect(bodies(place).filter(({ tenant }) => tenant === cedar.id).at(-1)).toMatchObject({ after: anchored })
    expect(await ledger.verifyAlone(await ledger.export(cedar.id))).toMatchObject({ code: 0, report: { ok: true, unanchored: { rows: 0, unsealed: 0 } } })
  })

  test('met by a file of the sink: it is not there, or whole', () => {
    const place = join(ledger.directory, 'small')
    const sink = join(import.meta.dirname, '../src/platform/ledger/sink.ts')
    const script = `const { directorySink } = await import(${JSON.stringify(sink)})
      await directorySink(${JSON.stringify(place)}).put('keys/one.json', 'x'.repeat(10_000)).then(() => console.log('THERE'), (error) => console.log(error.code))`
    const run = (limit: string) =>
      execFileSync('/bin/sh', ['-c', `${limit} exec "$0" --input-type=module -e "$1"`, process.execPath, script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    // Half of it would fit: a checkpoint, or a public key, that is cut off would be taken for a forged one.
    expect(run('ulimit -f 8;')).toBe('EFBIG\n')
    expect(readdirSync(join(place, 'keys'))).toEqual([])
    expect(run('')).toBe('THERE\n')
    expect(readdirSync(join(place, 'keys'))).toEqual(['one.json'])
  })
})

describe('a disk that is really full', () => {
  // Only root mounts a file system, below the run's own Postgres; for anybody else the answers of Postgres are planted above.
  test.runIf(process.geteuid?.() === 0 && process.env['TEST_DATABASE_LOG'] !== undefined)('a small file system without room: typed refusals, nothing half written, and all is well once there is room', async () => {
    const disk = mkdtempSync(join(tmpdir(), 'maristan-disk-'))
    const { uid, gid } = postgresAccount()
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=6m,mode=700,uid=${uid},gid=${gid}`, 'tmpfs', disk])
    const month = (await house.at.owner<{ name: string }>("select to_char(now() at time zone 'UTC', '\"audit.event_\"YYYY_MM') as name"))[0]!.name
    const tables = ['vault.subject_key', 'care.recipient', 'outbox.event', month]
    const move = async (space: string) => {
      for (const table of tables) await house.at.owner(`alter table ${table} set tablespace ${space}`)
    }
    await house.at.owner(`create tablespace small_disk location '${disk}'`)
    try {
      await move('small_disk')
      expect(await create()).toBe('CareRecipient')
      await house.at.owner('create table public.filler (text text) tablespace small_disk')
      const fill = "insert into public.filler select repeat('x', 1000) from generate_series(1, 200)"
      await expect((async () => { for (;;) await house.at.owner(fill) })()).rejects.toMatchObject({ code: '53100' })
      // Pages that were begun still take a few.
      await expect.poll(create, { interval: 1, timeout: 20_000 }).toBe('DATABASE_UNAVAILABLE')
      const before = await counts()
      for (let n = 0; n < 3; n++) expect(await create()).toBe('DATABASE_UNAVAILABLE')
      expect(await counts()).toEqual(before)
      expect(await settings()).toBe('cedar')
      const read = await house.ask<any>({ plane: 'console', bearer }, '{ recipients(first: 1) { edges { node { givenName } } } }')
      expect([read.errors[0]?.extensions.code ?? 'DATABASE_UNAVAILABLE', read.data?.recipients.edges[0].node.givenName ?? 'Amal']).toEqual(['DATABASE_UNAVAILABLE', 'Amal'])
      await house.at.owner('drop table public.filler')
      expect(await create()).toBe('CareRecipient')
    } finally {
      await house.at.owner('drop table if exists public.filler')
      await move('pg_default')
      await house.at.owner('drop tablespace small_disk')
      execFileSync('umount', [disk])
      rmSync(disk, { recursive: true, force: true })
    }
  })
})

describe('a clock that jumps', () => {
  const day = 86_400_000

  test('back by a day, prolongs no unwrapped key', async () => {
    const cache = createKeyCache({ ttlMs: 30 })
    let loads = 0
    const load = async () => Buffer.alloc(32, ++loads)
    await cache.get('k', load)
    const now = Date.now()
    vi.spyOn(Date, 'now').mockReturnValue(now - day)
    await expect.poll(async () => (await cache.get('k', load))[0], { interval: 5 }).toBe(2)
    cache.close()
  })

  test.each([['forwards by a year', 365 * day], ['back by a year', -365 * day]])('%s, dates no line of the trail: the database does', async (_, jump) => {
    const now = Date.now()
    vi.spyOn(Date, 'now').mockReturnValue(now + jump)
    const unit = house.database.unit(cedar.member.tenant_admin.caller)
    await unit.command(async (scope) => scope.unit.record({ action: 'test.jumped', resource: 'Tenant', outcome: 'done' }))
    vi.restoreAllMocks()
    const rows = await house.at.owner<{ near: boolean }>(
      "select at between now() - interval '1 minute' and clock_timestamp() as near from audit.event where action = 'test.jumped'",
    )
    expect(rows.every(({ near }) => near)).toBe(true)
    expect(rows.length).toBeGreaterThan(0)
  })
})
