/** A tenant leaves: asked for by a person of its own, carried out by another, held by the law, cut off anywhere, and certified. */
import { execFile, execFileSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { composeHouse } from '../src/app.ts'
import type { Scope } from '../src/kernel/scope.ts'
import { newId } from '../src/kernel/id.ts'
import type { Custody } from '../src/modules/governance/custody/contract.ts'
import type { createNotice } from '../src/modules/governance/custody/notice.ts'
import type { Care } from '../src/modules/care/contract.ts'
import type { Vault } from '../src/modules/vault/contract.ts'
import type { Composed } from '../src/platform/compose.ts'
import type { Tenancy } from '../src/modules/tenancy/contract.ts'
import { auditOf, batchesOf } from '../src/operator/audit-batches.ts'
import { keptBackups, registerBackup, whileWriting } from '../src/operator/backups.ts'
import { certifyErasure } from '../src/operator/certify.ts'
import { voucherOf } from '../src/operator/commands-archive.ts'
import { eraseRecipient } from '../src/operator/commands-lookup.ts'
import { cancelOffboarding, offboard } from '../src/operator/offboard.ts'
import type { Opened } from '../src/operator/open.ts'
import { operatorCaller } from '../src/operator/operator-scope.ts'
import { restoreTenant } from '../src/operator/tenant-archive.ts'
import { keptTables } from '../src/operator/tenant-sweep.ts'
import { hashTenantRows, settle, tenantTables } from '../src/operator/tenant-tables.ts'
import { readConfig } from '../src/platform/config.ts'
import { workerLogin } from '../src/platform/db/logins.ts'
import { withClient } from '../src/platform/db/provision.ts'
import { systemCaller } from '../src/platform/jobs/system.ts'
import { createLog } from '../src/platform/http/log.ts'
import { readCertificate } from '../src/platform/ledger/certificate.ts'
import { publicKeyText } from '../src/platform/ledger/checkpoint.ts'
import { enrol } from './kit/authenticator.ts'
import { freshHouse, type TestHouse, type TestTenant } from './kit/house.ts'
import { bend, verifierNode } from './kit/ledger.ts'
import { loginSecret } from './kit/postgres.ts'

const pair = generateKeyPairSync('x25519')
const pem = (key: KeyObject, type: 'spki' | 'pkcs8' = 'spki') => key.export({ type, format: 'pem' } as never) as string
const directory = mkdtempSync(join(tmpdir(), 'maristan-offboard-'))
const out = join(directory, 'cedar.archive')
const until = '2031-01-01T00:00:00.000Z'
let house: TestHouse
let opened: Opened
let cedar: TestTenant
let other: TestTenant
let custody: Custody
let elsewhere: Composed
let adminId: string
let code: () => Promise<string>
const recipients: string[] = []

const as = <T>(tenant: TestTenant, role: keyof TestTenant['member'], work: (scope: Scope) => Promise<T>): Promise<T> =>
  house.database.unit(tenant.member[role].caller).command(work)
const asOperator = <T>(work: (scope: Scope) => Promise<T>, login?: typeof workerLogin): Promise<T> =>
  house.database.unit(operatorCaller(cedar.id)).command(work, login)
const codeOf = (attempt: Promise<unknown>): Promise<string> => attempt.then(() => 'done', (error) => String(error.code ?? error))
const ask = async (given: { exportKey?: string; code?: string; role?: keyof TestTenant['member'] } = {}) => {
  const { caller } = cedar.member[given.role ?? 'tenant_admin']
  const unit = house.database.unit(given.role ? caller : { ...caller, actor: { ...caller.actor, identityId: adminId } as never })
  const input = { reason: 'We move to a house of our own', exportKey: given.exportKey ?? pem(pair.publicKey), code: given.code ?? (await code()) }
  return unit.read(() => custody.askOffboarding(unit.scope, input))
}
const go = (given: Partial<Parameters<typeof offboard>[1]> = {}) =>
  offboard(opened, { slug: 'cedar', out, backupsUntil: until, progress: () => {}, graceMs: 0, ...given })
/** The same command in a process of its own that is killed (SIGKILL) at a word of its progress. */
const killedAt = (killAt: string): Promise<string> =>
  new Promise((resolve) => {
    const script = join(import.meta.dirname, 'kit/offboard-process.ts')
    const environment = {
      PATH: process.env['PATH'], DATA_DIR: house.dataDir, DATABASE_URL: house.at.ownerUrl, DATABASE_OWNER_URL: house.at.ownerUrl,
      DATABASE_LOGIN_SECRET: loginSecret(), KMS_PROVIDER: 'local',
    }
    const child = execFile(process.execPath, [script, 'cedar', out, until, killAt], { env: environment }, (error, _, complaint) =>
      resolve(child.signalCode ?? `${error?.code ?? 'done'} ${complaint}`),
    )
  })
/** As if the waiting period were over: past every wall. */
const wait = () => bend(house.at.ownerUrl, async (client) => void (await client.query("update custody.offboarding set due_at = now() - interval '1 s', asked_at = now() - interval '31 days'")))
const state = async () => (await house.at.owner<{ state: string }>('select state from custody.offboarding where tenant_id = $1 order by id desc limit 1', [cedar.id]))[0]!.state

const hashes = (tenant: TestTenant) =>
  withClient(house.at.ownerUrl, async (client) => {
    await settle(client)
    const found = []
    for (const table of await tenantTables(client)) found.push(await hashTenantRows(client, table, tenant.id))
    return found
  })

/** The verifier as an auditor runs it: its own directory, its own Node, files alone. */
async function verifier(text: string, options: { withTrail: boolean; tenantId: string }) {
  const home = mkdtempSync(join(directory, 'auditor-'))
  copyFileSync(join(import.meta.dirname, '../verifier/maristan-audit-verify.mjs'), join(home, 'verify.mjs'))
  writeFileSync(join(home, 'certificate.json'), text)
  writeFileSync(join(home, 'key.json'), publicKeyText(auditOf(opened).signer.current()))
  const batches: string[] = []
  for await (const batch of batchesOf(opened, options.tenantId)) batches.push(batch.text)
  writeFileSync(join(home, 'export.jsonl'), batches.join(''))
  const trail = ['--export', 'export.jsonl', '--checkpoints', join(house.dataDir, 'checkpoints/checkpoints')]
  const args = ['verify.mjs', '--certificate', 'certificate.json', '--key', 'key.json', ...(options.withTrail ? trail : []), '--json']
  try {
    return JSON.parse(execFileSync(verifierNode, args, { cwd: home, env: {} }).toString())
  } catch (error) {
    return JSON.parse((error as { stdout: Buffer }).stdout.toString())
  }
}

const createRecipient = async (tenant: TestTenant, givenName: string): Promise<string> =>
  (await as(tenant, 'care_coordinator', (scope) => (house.composed.made['care']!.contract as Care).createRecipient(scope, { givenName }))).id

const erase = (id: string) =>
  asOperator((scope) => eraseRecipient(house.composed.made['care']!.contract as Care, scope, { id, backupsUntil: null }), workerLogin)

const sealedOf = async (id: string) => (await house.at.owner<{ phi: string }>('select phi from care.recipient where id = $1', [id]))[0]!.phi

/** What a second process, with a key cache of its own, is refused of a person's record: null where it opens. */
const openedElsewhere = async (subjectId: string, text: string): Promise<readonly unknown[]> => {
  const unit = house.database.unit(cedar.member.care_coordinator.caller)
  const item = { subjectId, model: 'CareRecipient', field: 'phi', rowId: subjectId, sealed: text }
  const { refusals } = await unit.read(() => (elsewhere.made['vault']!.contract as Vault).open(unit.scope, { items: [item] }))
  return refusals
}

beforeAll(async () => {
  house = await freshHouse()
  custody = house.composed.made['custody']!.contract as Custody
  const config = readConfig({
    DATA_DIR: house.dataDir, DATABASE_URL: house.at.ownerUrl, DATABASE_LOGIN_SECRET: loginSecret(), KMS_PROVIDER: 'local',
  })
  const foundation = { database: house.database, databaseUrl: house.at.ownerUrl, loginSecret: loginSecret(), ownerUrl: house.at.ownerUrl, stop: async () => {} }
  elsewhere = await composeHouse(config, foundation, createLog({ level: 'silent' }))
  await elsewhere.boot()
  opened = { config, foundation, house: house.composed, log: createLog({ level: 'silent' }) }
  cedar = await house.tenant('cedar')
  other = await house.tenant('other')
  const rows = await house.at.owner<{ id: string }>('select identity_id as id from identity.membership where id = $1', [cedar.member.tenant_admin.membershipId])
  adminId = rows[0]!.id
  code = await enrol(house, cedar.member.tenant_admin.caller)
  for (const name of ['Amal', 'Basma', 'Camal']) recipients.push(await createRecipient(cedar, name))
  await createRecipient(other, 'Noor')
})
afterAll(async () => {
  elsewhere.release()
  await house.close()
  rmSync(directory, { recursive: true, force: true })
})

test('erasing a person takes her events along, and closes her to a process that had her key in memory', async () => {
  const id = await createRecipient(cedar, 'Dalal')
  const old = await sealedOf(id)
  expect(await openedElsewhere(id, old)).toEqual([null])
  const about = () => house.at.owner("select from outbox.event where aggregate_id = $1 or payload::text like '%' || $1::text || '%'", [id])
  expect((await about()).length).toBeGreaterThan(0)
  await erase(id)
  expect(await about()).toEqual([])
  expect(await openedElsewhere(id, old)).toEqual(['KEY_DESTROYED'])
  expect(await openedElsewhere(recipients[2]!, await sealedOf(recipients[2]!))).toEqual([null])
})

describe('a legal hold', () => {
  const place = (recipientId: string | null, role: keyof TestTenant['member'] = 'compliance_officer') =>
    as(cedar, role, (scope) => custody.placeHold(scope, { recipientId, basis: 'LITIGATION', reference: '2026/113-B' }))
  const lift = (id: string) => as(cedar, 'compliance_officer', (scope) => custody.liftHold(scope, { id }))

  test('keeps its recipient from being erased, by the command and by any statement; lifted, it does not; nobody else is kept', async () => {
    const [held, free] = [recipients[0]!, recipients[1]!]
    const { id } = await place(held)
    expect(await codeOf(erase(held))).toBe('UNDER_LEGAL_HOLD')
    const raw = `update vault.subject_key set state = 'DESTROYED', wrapped = null, tenant_key_version = null where subject_id = '${held}'`
    await expect(house.at.owner(raw)).rejects.toMatchObject({ code: 'ML001' })
    expect(await codeOf(erase(free))).toBe('done')
    await lift(id)
    await lift(id)
    const trail = await house.at.owner<{ action: string; subject: string; detail: object }>(
      "select action, subject_id as subject, detail from audit.event where resource = 'LegalHold' and tenant_id = $1 order by at",
      [cedar.id],
    )
    expect(trail).toMatchObject([
      { action: 'legal_hold.placed', subject: held, detail: { basis: 'LITIGATION' } },
      { action: 'legal_hold.lifted', detail: { repeated: false } },
      { action: 'legal_hold.lifted', detail: { repeated: true } },
    ])
  })

  test('of the whole tenant keeps every recipient', async () => {
    const { id } = await place(null)
    expect(await codeOf(erase(recipients[0]!))).toBe('UNDER_LEGAL_HOLD')
    await lift(id)
  })

  test('is placed and lifted by a compliance officer alone, on a recipient of the tenant, with a file number and no sentence', async () => {
    for (const role of ['tenant_admin', 'care_coordinator', 'clinician'] as const) expect(await codeOf(place(null, role))).toBe('FORBIDDEN')
    expect(await codeOf(place(newId()))).toBe('NOT_FOUND')
    const sentence = { recipientId: null, basis: 'REGULATOR' as const, reference: 'because Amal: she sued' }
    expect(await codeOf(as(cedar, 'compliance_officer', (scope) => custody.placeHold(scope, sentence)))).toBe('INVALID_INPUT')
    const { id } = await place(null)
    expect(await codeOf(as(other, 'compliance_officer', (scope) => custody.liftHold(scope, { id })))).toBe('NOT_FOUND')
    const insert = "insert into custody.legal_hold (tenant_id, id, basis, reference, placed_by) select $1::uuid, gen_random_uuid(), 'REGULATOR', 'x', $2::uuid"
    const admin = house.database.unit(cedar.member.tenant_admin.caller)
    const attempt = admin.command(async () => {
      await admin.db.$executeRawUnsafe(insert.replace('$1', `'${cedar.id}'`).replace('$2', `'${cedar.member.tenant_admin.membershipId}'`))
      admin.record({ action: 'test', resource: 'Test', outcome: 'done' })
    })
    await expect(attempt).rejects.toThrow()
    await lift(id)
  })
})

describe('leaving', () => {
  test('is asked for by an administrator of the tenant with a fresh second factor and a public key, and by nobody else', async () => {
    expect(await codeOf(go())).toBe('OFFBOARDING_NOT_ASKED')
    for (const role of ['compliance_officer', 'care_coordinator'] as const) expect(await codeOf(ask({ role }))).toBe('FORBIDDEN')
    expect(await codeOf(ask({ code: '000000' }))).toBe('CODE_REFUSED')
    const wrong = generateKeyPairSync('ed25519').publicKey
    for (const exportKey of ['no key', pem(wrong), pem(pair.privateKey, 'pkcs8')]) expect(await codeOf(ask({ exportKey }))).toBe('EXPORT_KEY_REFUSED')
    const { id, dueAt } = await ask()
    expect(Date.parse(dueAt) - Date.now()).toBeGreaterThan(29 * 86_400_000)
    expect(await codeOf(ask())).toBe('OFFBOARDING_OPEN')
    expect(await codeOf(ask({ code: '000000' }))).toBe('CODE_REFUSED')
    const refused = await house.at.owner("select from audit.event where action = 'factor.asked' and outcome = 'denied' and tenant_id = $1", [cedar.id])
    expect(refused).toHaveLength(2)

    // Whoever could stop it is told, in their language and without a reason.
    const { notice } = house.composed.made['custody'] as unknown as { notice: ReturnType<typeof createNotice> }
    await house.database.unit(systemCaller(cedar.id, 'test', 'told')).command((scope) => notice.asked(scope, { offboardingId: id }))
    const letters = readdirSync(join(house.dataDir, 'mail')).map((name) => readFileSync(join(house.dataDir, 'mail', name), 'utf8'))
    expect(letters.map((letter) => /^To: (.*)$/m.exec(letter)![1]).sort()).toEqual(['compliance_officer@cedar.test', 'tenant_admin@cedar.test'])
    expect(letters.join()).not.toMatch(/house of our own/)
  })

  test('waits: neither the command nor the operator\'s own SQL begins before its time', async () => {
    // A server's clock that jumps ahead shortens nothing: what is due says the database.
    const now = Date.now()
    vi.spyOn(Date, 'now').mockReturnValue(now + 40 * 86_400_000)
    expect(await codeOf(go())).toBe('OFFBOARDING_WAITING')
    vi.restoreAllMocks()
    expect(await codeOf(go())).toBe('OFFBOARDING_WAITING')
    const unit = house.database.unit(operatorCaller(cedar.id))
    const early = unit.command(async () => {
      unit.record({ action: 'test', resource: 'Test', outcome: 'done' })
      return unit.db.$executeRawUnsafe("update custody.offboarding set state = 'CLOSED'")
    })
    await expect(early).rejects.toThrow('waiting period')
    expect(await state()).toBe('WAITING')
    expect(await house.signIn(cedar, 'care_coordinator')).toBeTruthy()
  })

  test('can be cancelled by an administrator, and asked for again', async () => {
    const bearer = await house.signIn(cedar, 'compliance_officer')
    const shown = await house.ask<any>({ plane: 'console', bearer }, '{ offboarding { state held reason } legalHolds(first: 9) { edges { node { reference liftedAt } } } }')
    expect(shown.data.offboarding).toEqual({ state: 'WAITING', held: false, reason: 'We move to a house of our own' })
    expect(shown.data.legalHolds.edges).toHaveLength(3)
    await as(cedar, 'tenant_admin', (scope) => custody.cancelOffboarding(scope, {}))
    expect(await codeOf(go())).toBe('OFFBOARDING_NOT_ASKED')
    expect(await codeOf(as(cedar, 'tenant_admin', (scope) => custody.cancelOffboarding(scope, {})))).toBe('OFFBOARDING_NOT_ASKED')
    await ask()
  })

  test('goes nowhere under a legal hold, also of a single recipient and also by SQL', async () => {
    await wait()
    const hold = { recipientId: recipients[0]!, basis: 'INVESTIGATION' as const, reference: 'X-1' }
    const { id } = await as(cedar, 'compliance_officer', (scope) => custody.placeHold(scope, hold))
    expect(await codeOf(go())).toBe('UNDER_LEGAL_HOLD')
    await expect(house.at.owner("update custody.offboarding set state = 'CLOSED' where state = 'WAITING'")).rejects.toThrow('legal hold')
    expect(await state()).toBe('WAITING')
    await as(cedar, 'compliance_officer', (scope) => custody.liftHold(scope, { id }))
  })

  test('does not begin without a place for the export and a word on the backups; taken back with the door shut, the door opens', async () => {
    await expect(go({ out: undefined })).rejects.toThrow('--out')
    await expect(go({ backupsUntil: undefined })).rejects.toThrow('--backups-until')
    expect(await state()).toBe('WAITING')
    writeFileSync(out, 'something else')
    await expect(go()).rejects.toThrow('never replaces another')
    expect(await state()).toBe('CLOSED')
    await cancelOffboarding(opened, 'cedar')
    rmSync(out)
    expect(await state()).toBe('CANCELLED')
    expect((await house.at.owner('select status from tenancy.tenant where slug = $1', ['cedar']))[0]).toEqual({ status: 'ACTIVE' })
  })
})

describe('carried out', () => {
  let before: Awaited<ReturnType<typeof hashes>>
  let text: string
  let remembered: string
  let building: string

  test('cut off before every step, killed (SIGKILL) inside steps, it goes on with nothing half done, and is done', { timeout: 90_000 }, async () => {
    await ask()
    await wait()
    const made = (file: string, tenantId: string | null, keepUntil: Date) =>
      registerBackup({ ownerUrl: house.at.ownerUrl, tenantId, madeAt: new Date(), keepUntil, openedBy: 'backup key 0123456789abcdef', file })
    const [tomorrow, past] = [new Date(Date.now() + 86_400_000), new Date(Date.now() - 1_000)]
    building = await made(import.meta.filename, null, tomorrow)
    await made(import.meta.filename, null, past)
    await made(import.meta.filename, other.id, tomorrow)
    before = await hashes(other)
    remembered = await sealedOf(recipients[2]!)
    expect(await openedElsewhere(recipients[2]!, remembered)).toEqual([null])
    await whileWriting(house.at.ownerUrl, () => expect(certifyErasure(opened, cedar.id, recipients[1]!)).rejects.toThrow('A backup is being written'))
    const erased = await certifyErasure(opened, cedar.id, recipients[1]!)
    // Made after she was erased: it does not hold her.
    expect(readCertificate(erased).backups.known).toEqual([])
    expect(await verifier(erased, { withTrail: true, tenantId: cedar.id })).toMatchObject({ ok: true, inTrail: true })
    const bearer = await house.signIn(cedar, 'care_coordinator')
    for (const at of ['is CLOSED', 'is EXPORTED', 'is SHREDDING', 'sweeping tenancy', 'is SWEPT']) {
      // Inside the step that the one before left: in the middle of the file, with the keys destroyed and nothing swept, between two tables.
      const inside = ({ 'is EXPORTED': 'copying care.recipient', 'is SWEPT': 'sweeping identity.' } as Record<string, string>)[at]
      if (inside) expect(await killedAt(inside), inside).toBe('SIGKILL')
      if (at === 'is EXPORTED') expect([existsSync(out), existsSync(`${out}.part`), await state()]).toEqual([false, true, 'CLOSED'])
      const progress = (what: string) => {
        if (what.includes(at)) throw new Error('killed')
      }
      await expect(go({ progress }), at).rejects.toThrow('killed')
      if (at === 'is CLOSED') expect((await house.ask<any>({ plane: 'console', bearer }, '{ viewer { __typename } }')).errors).not.toEqual([])
      if (at === 'is EXPORTED') {
        await expect(go({ out: undefined })).rejects.toThrow('has to be at hand')
        await expect(go({ out: import.meta.filename })).rejects.toThrow('has to be at hand')
        expect(await state()).toBe('EXPORTED')
      }
      if (at === 'is SHREDDING') {
        expect(await killedAt('keys destroyed')).toBe('SIGKILL')
        expect(await house.at.owner('select from vault.tenant_key where tenant_id = $1 and wrapped is not null', [cedar.id])).toEqual([])
        expect(await state()).toBe('SHREDDING')
      }
      if (at === 'is SHREDDING') await expect(cancelOffboarding(opened, 'cedar')).rejects.toMatchObject({ code: 'INVALID_TRANSITION' })
    }
    const view = await go()
    text = view.certificate!
    expect(view.state).toBe('DONE')
    expect(await go()).toMatchObject({ state: 'DONE', certificate: text })
  })

  test('nothing is left but what is named, no key has its wrap, and the other tenant is as it was', async () => {
    const left = (await hashes(cedar)).filter(({ rows }) => rows > 0).map(({ table }) => table)
    expect(left.filter((table) => !(table in keptTables))).toEqual([])
    expect(left).toEqual(expect.arrayContaining(['tenancy.tenant', 'vault.tenant_key', 'audit.event', 'audit.link', 'custody.offboarding']))
    const keys = await house.at.owner('select state, wrapped from vault.tenant_key where tenant_id = $1', [cedar.id])
    expect(keys).toEqual([{ state: 'DESTROYED', wrapped: null }])
    const changed = (await hashes(other)).filter(({ table, sha256 }) => before.find((one) => one.table === table)!.sha256 !== sha256)
    // The trail of the other tenant was sealed and anchored meanwhile.
    expect(changed.map(({ table }) => table).filter((table) => !table.startsWith('audit.'))).toEqual([])
  })

  test('a process that had keys in memory opens nothing any more', async () => {
    expect(await codeOf(openedElsewhere(recipients[2]!, remembered))).toBe('KEYS_UNAVAILABLE')
  })

  test('nobody gets in, and the tenant comes back by no way', async () => {
    await expect(house.signIn(cedar, 'care_coordinator')).rejects.toThrow('UNKNOWN_TENANT')
    const tenancy = house.composed.made['tenancy']!.contract as Tenancy
    expect(await codeOf(asOperator((scope) => tenancy.setSuspended(scope, { suspended: false })))).toBe('TENANT_LEFT')
    await expect(house.at.owner("update tenancy.tenant set status = 'ACTIVE' where slug = 'cedar'")).rejects.toThrow('stays away')
    const restoring = { ownerUrl: house.at.ownerUrl, file: out, privateKey: pair.privateKey, voucher: voucherOf(opened), progress: () => {}, operator: 'test' }
    await expect(restoreTenant(restoring)).rejects.toThrow('Rows of this tenant exist')
    await expect(restoreTenant({ ...restoring, privateKey: generateKeyPairSync('x25519').privateKey })).rejects.toThrow('not sealed with this key')
    expect(await house.signIn(other, 'tenant_admin')).toBeTruthy()
  })

  test('the certificate says what, when, with which keys and which backups; it stands in the trail, which is whole', async () => {
    const body = readCertificate(text)
    expect(body).toMatchObject({
      about: 'tenant', slug: 'cedar', tenant: cedar.id,
      keys: [{ id: 'tenant-data-key/1', own: false, destroyedAt: expect.stringMatching(/^20/) }],
      facts: { askedBy: `member ${cedar.member.tenant_admin.membershipId}`, subjects: expect.any(Number), export: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } },
      backups: { openUntil: until, openedBy: [expect.any(String)] },
    })
    // What this building wrote and still keeps: the backup of everything, and the last export; none of another tenant, none that is over.
    const sha256 = (body.facts['export'] as { sha256: string }).sha256
    expect(body.backups.known).toMatchObject([
      { id: building, kind: 'backup', keepUntil: expect.stringMatching(/^20/), openedBy: 'backup key 0123456789abcdef' },
      { kind: 'export', keepUntil: null, openedBy: expect.stringMatching(/^X25519 [0-9a-f]{16}$/), sha256 },
    ])
    expect(await withClient(house.at.ownerUrl, keptBackups)).toHaveLength(3)
    expect(await verifier(text, { withTrail: true, tenantId: cedar.id })).toMatchObject({ ok: true, inTrail: true, trail: { ok: true, firstBad: null } })
    expect(await verifier(text, { withTrail: false, tenantId: cedar.id })).toMatchObject({ ok: true, inTrail: false, trail: null })
    const kept = join(house.dataDir, 'checkpoints/certificates', cedar.id)
    expect(readdirSync(kept)).toHaveLength(2)
    expect(readFileSync(join(kept, `${body.id}.json`), 'utf8')).toBe(`${text}\n`)
    expect(existsSync(out)).toBe(true)
  })

  test('a certificate that was bent, is of another trail, or names another line is refused', async () => {
    const bent = text.replace('2031-01-01', '2027-01-01')
    expect(await verifier(bent, { withTrail: false, tenantId: cedar.id })).toMatchObject({ ok: false, problem: 'certificate' })
    expect(await verifier('{}', { withTrail: false, tenantId: cedar.id })).toMatchObject({ ok: false, problem: 'certificate' })
    expect(await verifier(text, { withTrail: true, tenantId: other.id })).toMatchObject({ ok: false, problem: 'trail' })
    const signer = auditOf(opened).signer.current()
    const { signCertificate } = await import('../src/platform/ledger/certificate.ts')
    const body = readCertificate(text)
    const lying = (change: object) => signCertificate(signer, { ...body, ...change } as never)
    const head = { ...body.audit, hash: '0'.repeat(64) }
    expect(await verifier(lying({ audit: head }), { withTrail: true, tenantId: cedar.id })).toMatchObject({ ok: false, problem: 'head' })
    expect(await verifier(lying({ id: newId() }), { withTrail: true, tenantId: cedar.id })).toMatchObject({ ok: false, problem: 'act' })
  })
})
