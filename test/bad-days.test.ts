/** Days when the machine fails: a disk that is full, a clock that jumps. Health data fails closed with a typed error, nothing is half written. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { postgresAccount } from '../src/platform/db/embedded-binaries.ts'
import { createKeyCache } from '../src/platform/crypto/key-cache.ts'
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
