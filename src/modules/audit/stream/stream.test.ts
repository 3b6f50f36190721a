/** Streaming a trail over HTTPS: signed batches in order that verify offline, at least once, whatever the receiver does. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { streamCommands } from '../../../operator/commands-audit-stream.ts'
import { reportCommand } from '../../../operator/commands-report.ts'
import { operatorCaller } from '../../../operator/operator-scope.ts'
import type { Terminal } from '../../../operator/terminal.ts'
import { newId } from '../../../kernel/id.ts'
import { createLog } from '../../../platform/http/log.ts'
import { systemCaller } from '../../../platform/jobs/system.ts'
import { createStreams as createLoop, type Streams, type StreamSender } from '../../../platform/ledger/streams.ts'
import { freshHouse, type TestHouse, type TestTenant } from '../../../../test/kit/house.ts'
import { openLedger, type Ledger } from '../../../../test/kit/ledger.ts'
import { loginSecret } from '../../../../test/kit/postgres.ts'
import { startSiem, type Siem } from '../../../../test/kit/siem.ts'
import type { createStreamNotice } from '../../governance/custody/stream-notice.ts'
import type { AuditReport } from '../report/collect.ts'
import type { AuditStreams, StreamState } from './contract.ts'
import { alarmAfter, signatureOf, standingOf, waitMs } from './rules.ts'

let house: TestHouse
let tenant: TestTenant
let ledger: Ledger
let siem: Siem
let streams: AuditStreams
let loop: Streams

beforeAll(async () => {
  house = await freshHouse()
  tenant = await house.tenant()
  ledger = openLedger(house)
  siem = await startSiem()
  const made = house.composed.made['audit'] as unknown as { streams: AuditStreams; sender: StreamSender }
  streams = made.streams
  loop = createLoop({
    database: house.database, databaseUrl: house.at.ownerUrl, loginSecret: loginSecret(), sender: made.sender, log: createLog({ level: 'silent' }),
  })
})
afterEach(() => siem.answer(202))
afterAll(async () => {
  await loop?.stop()
  await siem?.close()
  await ledger?.close()
  await house?.close()
})

const officer = () => tenant.member.compliance_officer.caller
const set = async (input: Parameters<AuditStreams['setStream']>[1]) => {
  const made = await house.database.unit(officer()).command((scope) => streams.setStream(scope, input))
  siem.secret = made.secret
  return made
}
const vouch = () => house.database.unit(operatorCaller(tenant.id)).command((scope) => streams.vouchForStream(scope, {}))
const state = async (): Promise<StreamState> => {
  const unit = house.database.unit(officer())
  return (await unit.read(() => streams.streamState(unit.scope, {}))).state!
}
/** Its time has come. */
const due = () => house.at.owner('update audit.stream set next_at = now()')
/** Sends until the receiver has everything, as the loop does look by look. */
async function drain(): Promise<void> {
  for (let looks = 0; looks < 5; looks++) {
    await ledger.sealer.sealAll()
    await due()
    if ((await loop.sendDue()) === 0) return
  }
}
/** Of an operator who works beside this house. */
const environment = () => ({
  DATA_DIR: house.dataDir, DATABASE_URL: house.at.ownerUrl, DATABASE_OWNER_URL: house.at.ownerUrl, DATABASE_LOGIN_SECRET: loginSecret(), KMS_PROVIDER: 'local',
})
const bodies = () => siem.taken.map(({ body }) => body)

test('a private receiver gets nothing until the operator vouches; then everything, signed, in batches that verify offline', async () => {
  await set({ url: siem.url, token: 'a-token-of-the-receiver', authorities: siem.authority })
  await ledger.sealer.sealAll()
  expect(await loop.sendDue()).toBe(0)
  expect(await state()).toMatchObject({ standing: 'RETRYING', failures: 1, problem: expect.stringContaining('private address'), cursor: 0 })
  expect(siem.asked()).toBe(0)

  await vouch()
  await drain()
  const { head, cursor, standing } = await state()
  expect({ cursor, standing }).toEqual({ cursor: head, standing: 'FLOWING' })
  for (const { tenant: whose, signed, authorization } of siem.taken) {
    expect({ whose, signed, authorization }).toEqual({ whose: tenant.id, signed: true, authorization: 'Bearer a-token-of-the-receiver' })
  }
  await ledger.checkpoints.anchor()
  expect(await ledger.verifyAlone(bodies())).toMatchObject({ code: 0, report: { ok: true, tenant: tenant.id, head: { seq: head } } })
  const bent = bodies().map((body) => body.replace('"tenant_key.created"', '"tenant_key.destroyed"'))
  expect((await ledger.verifyAlone(bent)).report).toMatchObject({ ok: false, firstBad: { problem: 'edited' } })
  // Neither secret nor token is in the trail or in the table as it is.
  const kept = JSON.stringify(await house.at.owner('select credentials from audit.stream')) + bodies().join('')
  expect(kept).not.toMatch(new RegExp(`${siem.secret}|a-token-of-the-receiver`))
})

test('sending leaves no line itself: a quiet tenant stays quiet', async () => {
  await drain()
  const asked = siem.asked()
  await drain()
  expect(siem.asked()).toBe(asked)
})

test('a batch whose answer was lost is sent again, and nothing is left out', async () => {
  await drain()
  const before = (await state()).cursor
  await vouch()
  await ledger.sealer.sealAll()
  siem.answer('lost')
  expect(await loop.sendDue()).toBe(0)
  siem.answer(202)
  await drain()
  const again = siem.taken.filter(({ batch }) => batch.startsWith(`${before + 1}-`))
  expect(again.length).toBeGreaterThan(1)
  const once = [...new Map(siem.taken.map((one) => [one.batch, one.body])).values()]
  expect((await ledger.verifyAlone(once, ['--partial'])).report).toMatchObject({ ok: true })
  expect((await state()).failures).toBe(0)
})

test('refusals, redirects and an unknown certificate are shown; after five the alarm goes once, sealing goes on, and it recovers', async () => {
  await drain()
  await vouch()
  await ledger.sealer.sealAll()
  const { cursor } = await state()
  for (const [how, problem] of [[500, 'answered 500'], [307, 'answered 307'], [401, 'answered 401'], [503, '503'], [503, '503'], [503, '503']] as const) {
    siem.answer(how)
    await due()
    await loop.sendDue()
    expect((await state()).problem).toContain(problem)
  }
  expect(await state()).toMatchObject({ standing: 'FAILING', failures: 6, cursor })
  expect(await house.database.gate.streamState(alarmAfter)).toEqual({ streams: 1, failing: 1 })
  const told = await house.at.owner("select payload from outbox.event where name = 'audit.stream.failing'")
  expect(told).toEqual([{ payload: { failures: alarmAfter } }])
  // Its officer is written to, who is the one that can mend it.
  const { streamNotice } = house.composed.made['custody'] as unknown as { streamNotice: ReturnType<typeof createStreamNotice> }
  await house.database.unit(systemCaller(tenant.id, 'test', 'told')).command((scope) => streamNotice.failing(scope, { failures: alarmAfter }))
  const letters = readdirSync(join(house.dataDir, 'mail')).map((name) => readFileSync(join(house.dataDir, 'mail', name), 'utf8'))
  expect(letters.map((letter) => /^To: (.*)$/m.exec(letter)![1])).toEqual([`compliance_officer@${tenant.slug}.test`])
  expect(letters.join()).not.toContain('localhost')
  expect(await ledger.sealer.sealAll()).toBeGreaterThan(0)
  // Not before its time.
  siem.answer(202)
  const asked = siem.asked()
  expect(await loop.sendDue()).toBe(0)
  expect(siem.asked()).toBe(asked)
  await drain()
  expect(await state()).toMatchObject({ standing: 'FLOWING', failures: 0, problem: null })

  await set({ url: siem.url })
  await drain()
  expect((await state()).problem).toContain('certificate')
})

test('on the command line: how it goes, what is due sent at once, and a private address vouched for; the operator names none', async () => {
  for (const [name, value] of Object.entries(environment())) vi.stubEnv(name, value)
  const said: Record<string, unknown>[] = []
  const terminal = { progress() {}, done: (document: object, text: string) => void said.push({ ...document, text }) } as unknown as Terminal
  const audit = new Command('audit')
  streamCommands(audit, terminal)
  const run = async (...args: string[]) => {
    await audit.parseAsync(['stream', ...args], { from: 'user' })
    return said.at(-1)!
  }
  expect(audit.commands[0]!.commands.map((one) => one.name()).sort()).toEqual(['send', 'status', 'vouch'])
  await house.database.unit(officer()).command((scope) => streams.stopStream(scope, {}))
  expect(await run('status', '--tenant', tenant.slug)).toMatchObject({ state: null, text: expect.stringContaining('not streamed') })
  await set({ url: siem.url, authorities: siem.authority })
  expect(await run('vouch', '--tenant', tenant.slug)).toMatchObject({ state: { vouched: true } })
  const [taken, { lines }] = [siem.taken.length, await run('send')]
  expect(lines).toBeGreaterThan(0)
  expect(siem.taken.length).toBeGreaterThan(taken)
  vi.unstubAllEnvs()
})

test('on the command line: the report is of one recipient, or of one person, as JSON and as CSV, and of nobody else', async () => {
  const [patient, carer, other] = [newId(), newId(), newId()]
  for (const [subject, actor, action] of [[patient, carer, 'test.both'], [patient, other, 'test.patient'], [other, carer, 'test.carer'], [other, other, 'test.neither']]) {
    await house.at.owner(
      `insert into audit.event (tenant_id, id, actor_kind, actor_id, action, resource, subject_id, outcome, request_id)
       values ($1, $2, 'member', $3, $4, 'CareRecipient', $5, 'done', 'report')`, [tenant.id, newId(), actor, action, subject],
    )
  }
  for (const [name, value] of Object.entries(environment())) vi.stubEnv(name, value)
  const said: { document: { lines: number; report?: AuditReport }; text: string }[] = []
  const audit = new Command('audit')
  reportCommand(audit, { progress() {}, done: (document: never, text: string) => void said.push({ document, text }) } as never)
  const report = async (...args: string[]) => {
    await audit.parseAsync(['report', '--tenant', tenant.slug, ...args], { from: 'user' })
    return said.at(-1)!
  }
  const byRecipient = await report('--recipient', patient, '--format', 'json')
  expect(byRecipient.document.report!.lines.map(({ event }) => event.action)).toEqual(['test.both', 'test.patient'])
  const byActor = await report('--actor', carer, '--format', 'csv')
  expect(byActor.document.lines).toBe(2)
  const rows = byActor.text.split('\r\n')
  expect([rows.length, rows[1]!.includes('"test.both"'), rows[2]!.includes('"test.carer"')]).toEqual([3, true, true])
  vi.unstubAllEnvs()
})

test('the same address goes on where it was; another one begins anew, unvouched; stopping forgets it', async () => {
  await set({ url: siem.url, authorities: siem.authority })
  await drain()
  const { cursor } = await state()
  expect(await set({ url: siem.url, authorities: siem.authority })).toMatchObject({ cursor, vouched: true })
  expect(await set({ url: siem.url.replace('audit', 'other'), fromNow: true })).toMatchObject({ vouched: false, cursor: (await state()).head })
  expect(await set({ url: siem.url })).toMatchObject({ cursor: 0, vouched: false })
  await house.database.unit(officer()).command((scope) => streams.stopStream(scope, {}))
  expect(await house.at.owner('select url, credentials from audit.stream')).toEqual([{ url: 'https://stopped.invalid/', credentials: 'v1|stopped' }])
  const again = house.database.unit(officer()).command((scope) => streams.stopStream(scope, {}))
  await expect(again).rejects.toMatchObject({ code: 'NO_AUDIT_STREAM' })
})

test('only the officer says where to, and only an https address without a user', async () => {
  const url = 'https://siem.example.org/in'
  const admin = house.database.unit(tenant.member.tenant_admin.caller)
  await expect(admin.command((scope) => streams.setStream(scope, { url }))).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const operator = house.database.unit(operatorCaller(tenant.id))
  await expect(operator.command((scope) => streams.setStream(scope, { url }))).rejects.toMatchObject({ code: expect.stringMatching(/FORBIDDEN|UNAUTHENTICATED/) })
  const vouching = house.database.unit(officer()).command((scope) => streams.vouchForStream(scope, {}))
  await expect(vouching).rejects.toMatchObject({ code: 'FORBIDDEN' })
  for (const bad of ['http://siem.example.org/', 'https://me:pw@siem.example.org/', 'ftp://x', '', 'https://x/#part']) {
    await expect(set({ url: bad }), bad).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
  await expect(set({ url, token: 'a b\r\nx: y' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await expect(set({ url, authorities: 'no certificate' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

test('waits double from five seconds to a quarter of an hour; a signature covers the moment and every byte', () => {
  expect([1, 2, 3, 20, 10_000].map(waitMs)).toEqual([5_000, 10_000, 20_000, 900_000, 900_000])
  expect([0, 1, alarmAfter].map((failures) => standingOf({ failures, sent: true }))).toEqual(['FLOWING', 'RETRYING', 'FAILING'])
  const signed = signatureOf('secret', 'body', 1_700_000_000_999)
  expect(signed).toMatch(/^t=1700000000,v1=[0-9a-f]{64}$/)
  for (const other of [signatureOf('secret', 'bodx', 1_700_000_000_000), signatureOf('other', 'body', 1_700_000_000_000), signatureOf('secret', 'body', 1_700_000_001_000)]) {
    expect(other.split('v1=')[1]).not.toBe(signed.split('v1=')[1])
  }
})
