/** The audit commands as a tool drives them: exit codes, one JSON document, files that nobody else reads. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { done, environmentOver, run } from './kit/command-line.ts'
import { periodOf } from '../src/operator/commands-report.ts'
import { bend } from './kit/ledger.ts'
import { freshDatabase, type TestDatabase } from './kit/postgres.ts'
import type { Environment } from './kit/server.ts'

const directory = mkdtempSync(join(tmpdir(), 'maristan-cli-audit-'))
let at: TestDatabase
let environment: Environment
let tenantId = ''
mkdirSync(join(directory, 'data'))

beforeAll(async () => {
  at = await freshDatabase()
  environment = environmentOver(at, join(directory, 'data'))
  tenantId = (await done(environment, ['tenant', 'create', '--slug', 'cedar', '--name', 'Cedar']))['id'] as string
}, 60_000)
afterAll(async () => {
  await at.drop()
  rmSync(directory, { recursive: true, force: true })
})

test('a trail is anchored, verified, exported, verified from its file and reported; bent, it fails and names the line', { timeout: 120_000 }, async () => {
  expect(await done(environment, ['audit', 'checkpoint'])).toMatchObject({ chains: 2, place: join(directory, 'data/checkpoints') })
  const file = join(directory, 'cedar.jsonl')
  const { lines } = await done(environment, ['audit', 'export', '--tenant', 'cedar', '--file', file])
  expect(lines).toBeGreaterThan(2)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(await done(environment, ['audit', 'verify', '--from-file', file])).toMatchObject({ ok: true, rows: lines, checkpoints: 1, firstBad: null })
  expect(readdirSync(join(directory, 'data/checkpoints/keys'))).toHaveLength(1)

  const page = join(directory, 'cedar.html')
  const period = `${new Date().getUTCFullYear()}`
  await done(environment, ['audit', 'report', '--tenant', 'cedar', '--period', period, '--format', 'html', '--locale', 'ar', '--file', page])
  expect(readFileSync(page, 'utf8')).toMatch(/dir="rtl"[^]*tenant_key\.created/)

  await bend(at.ownerUrl, async (client) => {
    await client.query(
      `update audit.event set outcome = 'failed' where id = (select event_id from audit.link where tenant_id = $1 and seq = 2)`,
      [tenantId],
    )
  })
  const bent = await run(environment, ['audit', 'verify'])
  expect(bent.code).toBe(1)
  expect(bent.document).toMatchObject({ ok: false, firstBad: { slug: 'cedar', seq: 2, problem: 'edited' } })
})

test('a tenant leaves by the command line only when it asked to, and is named in full', { timeout: 60_000 }, async () => {
  const refused = await run(environment, ['tenant', 'offboard', '--confirm', 'cedar', '--out', join(directory, 'cedar.archive'), '--backups-until', 'none'])
  expect([refused.code, refused.document['error'].code]).toEqual([1, 'OFFBOARDING_NOT_ASKED'])
  const unnamed = await run(environment, ['tenant', 'offboard'])
  expect([unnamed.code, unnamed.document['error'].code]).toEqual([2, 'USAGE'])
})

test('a period is whole years, months or days', () => {
  expect(periodOf('2026')).toEqual({ from: '2026-01-01T00:00:00.000Z', to: '2027-01-01T00:00:00.000Z' })
  expect(periodOf('2026-02')).toEqual({ from: '2026-02-01T00:00:00.000Z', to: '2026-03-01T00:00:00.000Z' })
  expect(periodOf('2026-12-31')).toEqual({ from: '2026-12-31T00:00:00.000Z', to: '2027-01-01T00:00:00.000Z' })
  expect(periodOf('2025-11..2026-01-15')).toEqual({ from: '2025-11-01T00:00:00.000Z', to: '2026-01-16T00:00:00.000Z' })
  for (const bad of ['', '26', '2026-13', '2026..2025', '2026..', 'x', '2026..2027..2028']) expect(() => periodOf(bad), bad).toThrow()
})
