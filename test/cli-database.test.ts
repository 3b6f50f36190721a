/** What the command line does for the whole database: doctor, backup, restore; against a running server with planted faults. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { drawHouse } from '../src/app.ts'
import { diagnose } from '../src/operator/doctor.ts'
import { backupsState } from '../src/operator/doctor-backups.ts'
import { chunkBytes } from '../src/operator/sealed-stream.ts'
import { withClient } from '../src/platform/db/provision.ts'
import { runningEmbedded } from '../src/platform/db/reach.ts'
import { done, run } from './kit/command-line.ts'
import { freePort, startServer, temporaryDirectory, until, type Environment, type ServerProcess } from './kit/server.ts'

const place = temporaryDirectory()
let environment: Environment & { PORT: string; DATA_DIR: string }
let server: ServerProcess

const owner = <T>(sql: string, database?: string): Promise<T[]> => {
  const url = new URL(runningEmbedded(place.dataDir)!)
  if (database) url.pathname = `/${database}`
  return withClient(url.href, async (client) => (await client.query(sql)).rows as T[])
}

beforeAll(async () => {
  environment = { PORT: String(await freePort()), DATA_DIR: place.dataDir, MARISTAN_DEMO: '0' }
  server = startServer(environment)
  await server.ready()
}, 120_000)
afterAll(async () => {
  await server.end('SIGTERM')
  place.remove()
})

describe('doctor', () => {
  const problemsOf = ({ findings }: Record<string, any>, check: string): string =>
    (findings as { check: string; problems: string[] }[]).find((one) => one.check === check)!.problems.join('\n')

  test('finds a well server well, and counts what is not built', async () => {
    const document = await done(environment, ['doctor'])
    expect(document['backups']).toEqual({ newest: null, kept: 0, expiring: [], warnings: [expect.stringContaining('No backup of this database is kept.')] })
    expect(document['findings'].filter(({ ok }: { ok: boolean }) => !ok)).toEqual([])
    expect(document).toMatchObject({ healthy: true, unbuilt: { permissions: expect.any(Array), planeTests: { total: 103 } } })
    // Its permission guards what is built already; it is not.
    expect(document['unbuilt'].operations).toContain('recordObservation')
    expect(document['unbuilt'].operations).not.toContain('updatePhi')
    const checks = document['findings'].map(({ check }: { check: string }) => check)
    expect(checks).toEqual(
      expect.arrayContaining(['runtime', 'configuration', 'directory mode', 'disk', 'port', 'private files', 'database', 'migrations', 'logins', 'walls', 'keys']),
    )
  })

  test('names every planted fault with what mends it', { timeout: 60_000 }, async () => {
    const [key, secret] = [join(place.dataDir, 'kms.json'), join(place.dataDir, 'owner.secret')]
    const [{ applied }] = (await owner<{ applied: object[] }>('select json_agg(m) as applied from _prisma_migrations m')) as [{ applied: object[] }]
    onTestFinished(async () => {
      for (const path of [key, secret]) chmodSync(path, 0o600)
      const rows = JSON.stringify(applied).replaceAll("'", "''")
      await owner(`alter role maristan_console nosuperuser; alter role maristan_seller login; truncate _prisma_migrations;
        insert into _prisma_migrations select * from json_populate_recordset(null::_prisma_migrations, '${rows}')`)
    })
    for (const path of [key, secret]) chmodSync(path, 0o644)
    await owner(`alter role maristan_console superuser; alter role maristan_seller nologin; delete from _prisma_migrations where migration_name like '%_walls'`)
    const { code, document } = await run(environment, ['doctor'])
    expect([code, document['healthy']]).toEqual([1, false])
    expect(problemsOf(document, 'private files')).toContain(`chmod 600 ${key}`)
    expect(problemsOf(document, 'directory mode')).toContain(`chmod 600 ${secret}`)
    expect(problemsOf(document, 'logins')).toContain('alter role maristan_console nosuperuser')
    expect(problemsOf(document, 'logins')).toContain('alter role maristan_seller login')
    expect(problemsOf(document, 'migrations')).toMatch(/_walls is not applied: run maristan migrate/)
  })

  test('names a missing and an excessive right, and what migrate mends of them', { timeout: 60_000 }, async () => {
    const spoil = 'revoke select on care.party from maristan_console_read; grant truncate on care.edge to maristan_console; alter table care.consent owner to maristan_seller'
    onTestFinished(async () => {
      await owner('alter table care.consent owner to maristan_owner; grant select on care.party to maristan_console_read; revoke truncate on care.edge from maristan_console')
    })
    await owner(spoil)
    const { code, document } = await run(environment, ['doctor'])
    expect(code).toBe(1)
    expect(problemsOf(document, 'rights')).toContain('grant select on care.party to maristan_console_read;')
    expect(problemsOf(document, 'rights')).toContain('revoke truncate on care.edge from maristan_console;')
    expect(problemsOf(document, 'logins')).toMatch(/maristan_seller owns care\.consent: alter table care\.consent owner to \w+\./)
    const { mended } = await done(environment, ['migrate', '--mend-logins'])
    expect(mended).toEqual(expect.arrayContaining(['grant select on care.party to maristan_console_read', 'revoke truncate on care.edge from maristan_console']))
    expect((await run(environment, ['doctor'])).code).toBe(0)
  })

  test('names a disk that is nearly full and a clock that is wrong', async () => {
    const { findings, healthy } = await diagnose(environment, drawHouse(), { freeBytes: async () => 300 * 1024 ** 2, nowMs: () => Date.now() - 60_000 })
    expect(healthy).toBe(false)
    expect(problemsOf({ findings }, 'disk')).toMatch(/^Only 300 MB are free at .+ Free some/)
    expect(problemsOf({ findings }, 'database')).toMatch(/^The database's clock is (59|60|61) s away .+ NTP/)
  })

  test('names a secret that is not the one the logins were given', async () => {
    const url = runningEmbedded(place.dataDir)!
    const elsewhere = { DATABASE_URL: url, DATABASE_OWNER_URL: url, KMS_PROVIDER: 'local', DATABASE_LOGIN_SECRET: 'not the one that migrate was given' }
    const { findings } = await diagnose({ ...environment, ...elsewhere }, drawHouse())
    expect(problemsOf({ findings }, 'logins')).toMatch(/^Login maristan_auth cannot sign in .+ DATABASE_LOGIN_SECRET/)
  })

  test('names a taken port, and makes nothing where nothing was', async () => {
    const { dataDir, remove } = temporaryDirectory()
    const stranger = createServer()
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      stranger.close()
      remove()
    })
    const { port } = stranger.address() as AddressInfo
    const { code, document } = await run({ DATA_DIR: dataDir, PORT: String(port) }, ['doctor'])
    expect([code, problemsOf(document, 'port')]).toEqual([1, `Port ${port} on 127.0.0.1 is taken by another program. Stop it, or set PORT to a free one.`])
    expect(existsSync(dataDir)).toBe(false)
  })

  test('says which variable is wrong', async () => {
    const { code, document } = await run({ ...environment, HOST: '0.0.0.0', MARISTAN_DEMO: '1' }, ['doctor'])
    expect([code, problemsOf(document, 'configuration')]).toEqual([1, expect.stringContaining('HOST: ')])
  })
})

describe('backup and restore', () => {
  const file = join(place.parent, 'house.backup')
  const targetUrl = (database: string): string => {
    const url = new URL(runningEmbedded(place.dataDir)!)
    url.pathname = `/${database}`
    return url.href
  }
  const tablesIn = async (database: string) => {
    const [row] = await owner<{ count: number }>("select count(*)::int as count from pg_class where relnamespace = to_regnamespace('tenancy')", database)
    return row!.count
  }
  let report: Record<string, any>
  beforeAll(async () => {
    await done(environment, ['tenant', 'create', '--slug', 'clinic-one', '--name', 'Clinic One'])
    await owner('create database empty')
    // More than one sealed chunk, so that a file cut short begins well.
    await owner(`insert into identity.throttle_count (tenant_id, key, bucket, expires_at)
      select gen_random_uuid(), gen_random_uuid()::text, now(), now() + interval '1 day' from generate_series(1, 6000)`)
    report = await done(environment, ['backup', '--file', file])
  }, 60_000)

  test('a backup is sealed, private, and proven before it counts', async () => {
    expect(report['bytes']).toBeGreaterThan(3 * chunkBytes)
    expect(report).toMatchObject({ file, bytes: statSync(file).size, verified: true })
    const rows = Object.fromEntries(report['tables'].map(({ table, rows }: { table: string; rows: number }) => [table, rows]))
    expect(rows['tenancy.tenant']).toBe((await owner<{ n: number }>('select count(*)::int as n from tenancy.tenant'))[0]!.n)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(join(place.dataDir, 'backup.key')).mode & 0o777).toBe(0o600)
    expect(readFileSync(file).includes('clinic')).toBe(false)
    expect(await owner("select datname from pg_database where datname like 'maristan_scratch%'")).toEqual([])
  })

  test('doctor shows the newest backup, when and how it was verified, which go soon, and warns where none is young enough', async () => {
    const { backups, healthy } = await done(environment, ['doctor'])
    const newest = { id: report['id'], file: 'house.backup', madeAt: expect.any(String), keepUntil: report['keepUntil'] }
    expect([healthy, backups]).toEqual([true, { newest: { ...newest, verified: 'when it was written' }, kept: 1, expiring: [], warnings: [] }])
    const at = (hours: number, bound = 26) =>
      withClient(runningEmbedded(place.dataDir)!, (client) => backupsState(client, bound, Date.parse(backups.newest.madeAt) + hours * 3_600_000))
    expect((await at(25)).warnings).toEqual([])
    expect((await at(26)).warnings).toEqual([expect.stringMatching(/^The newest backup is 26 hours old \(house\.backup\)\. Write one: maristan backup/)])
    expect((await at(26, 0)).warnings).toEqual([])
    expect((await at(34 * 24)).expiring).toEqual([newest])
  })

  test('a backup is in the register with the time it is kept and what opens it, and the list shows it', async () => {
    const { backups } = await done(environment, ['backup', 'list'])
    const days = (Date.parse(report['keepUntil']) - Date.now()) / 86_400_000
    expect(Math.round(days)).toBe(35)
    expect(backups).toMatchObject([{ id: report['id'], kind: 'backup', tenantId: null, file: 'house.backup', bytes: statSync(file).size }])
    expect(backups[0]).toMatchObject({ keepUntil: report['keepUntil'], openedBy: expect.stringMatching(/^backup key [0-9a-f]{16}$/) })
    expect(backups[0].sha256).toBe(createHash('sha256').update(readFileSync(file)).digest('hex'))
    for (const [until, why] of [['yesterday', 'no date'], ['2020-01-01', 'over already']] as const) {
      const { document } = await run(environment, ['backup', '--file', join(place.parent, 'never.backup'), '--keep-until', until])
      expect(document['error'].message).toContain(why)
    }
    expect(existsSync(join(place.parent, 'never.backup'))).toBe(false)
  })

  test('never replaces another', async () => {
    const { code, document } = await run(environment, ['backup', '--file', file])
    expect([code, document['error'].message]).toEqual([1, expect.stringContaining('A backup never replaces another')])
  })

  test('a restored database has the same rows', { timeout: 60_000 }, async () => {
    await owner('create database restored')
    const { tables } = await done(environment, ['restore', '--file', file, '--into', targetUrl('restored')])
    expect(tables).toEqual(report['tables'])
    const rows = 'select * from tenancy.tenant order by slug'
    const restored = await owner<{ slug: string }>(rows, 'restored')
    expect(restored.length).toBeGreaterThan(0)
    expect(await owner(rows)).toEqual(expect.arrayContaining(restored))
  })

  const refusals: [string, () => string[]][] = [
    ['the wrong key', () => {
      const key = join(place.parent, 'other.key')
      writeFileSync(key, `${Buffer.alloc(32, 7).toString('base64url')}\n`, { mode: 0o600 })
      return ['--file', file, '--into', targetUrl('empty'), '--key-file', key]
    }],
    ['a file cut short', () => {
      const short = join(place.parent, 'short.backup')
      writeFileSync(short, readFileSync(file))
      truncateSync(short, statSync(short).size - 1)
      return ['--file', short, '--into', targetUrl('empty')]
    }],
    ['a file with one bit turned', () => {
      const bent = readFileSync(file)
      bent[bent.length >> 1]! ^= 1
      writeFileSync(join(place.parent, 'bent.backup'), bent)
      return ['--file', join(place.parent, 'bent.backup'), '--into', targetUrl('empty')]
    }],
    ['no file', () => ['--file', join(place.parent, 'none.backup'), '--into', targetUrl('empty')]],
  ]
  test.each(refusals)('%s is refused, and the target stays empty', async (_, args) => {
    const { code, document } = await run(environment, ['restore', ...args()])
    expect([code, document]).toEqual([1, { error: { code: 'FAILED', message: expect.any(String) } }])
    expect(await tablesIn('empty')).toBe(0)
  })

  test('a database that is not empty is refused', async () => {
    const { code, document } = await run(environment, ['restore', '--file', file, '--into', targetUrl('maristan')])
    expect([code, document['error'].message]).toEqual([1, expect.stringContaining('not empty')])
  })
})

test('a tenant is exported for its own key, and comes back only where none of it is left', { timeout: 60_000 }, async () => {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  const paths = { public: join(place.parent, 'public.pem'), private: join(place.parent, 'private.pem'), out: join(place.parent, 'yew.archive') }
  writeFileSync(paths.public, publicKey.export({ type: 'spki', format: 'pem' }))
  writeFileSync(paths.private, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const { id } = await done(environment, ['tenant', 'create', '--slug', 'yew', '--name', 'Yew'])
  const exported = await done(environment, ['tenant', 'export', '--slug', 'yew', '--public-key', paths.public, '--out', paths.out])
  expect(exported).toMatchObject({ tenantId: id, slug: 'yew', file: paths.out, bytes: statSync(paths.out).size })
  const told = await owner(`select action from audit.event where tenant_id = '${id}' and action = 'tenant.exported'`)
  expect(told).toEqual([{ action: 'tenant.exported' }])

  const restore = ['tenant', 'restore', '--from', paths.out, '--private-key']
  const refused = await run(environment, [...restore, paths.private])
  expect([refused.code, refused.document['error'].message]).toEqual([1, expect.stringContaining('Rows of this tenant exist')])
  // The server beside us seals lines since: one that it is sealing while they are erased would stay behind.
  const unsealed = `select from audit.event e where tenant_id = '${id}'
    and not exists (select from audit.link l where l.tenant_id = e.tenant_id and l.event_id = e.id)`
  await until('every line of the tenant is sealed', async () => (await owner(unsealed)).length === 0)
  const erased = (exported['tables'] as { table: string }[]).map(({ table }) => `delete from ${table} where tenant_id = '${id}';`).join(' ')
  await owner(`set session_replication_role = 'replica'; ${erased} delete from audit.event where tenant_id = '${id}'`)
  const restored = await done(environment, [...restore, paths.private])
  expect(restored).toEqual({ tenantId: id, slug: 'yew', tables: exported['tables'] })
})
