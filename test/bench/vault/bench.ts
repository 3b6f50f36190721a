/**
 * What the vault costs: a field sealed and opened against bare node:crypto, a page's share of CPU that opening takes, keys wrapped anew a
 * second, and how long a tenant's data stays open once its KMS says no. Everything runs on real parts: Postgres, the house's own
 * GraphQL, a KMS over HTTP.
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { graphql } from 'graphql'
import setup from '../../global-setup.ts'
import { freshHouse, type TestHouse, type TestTenant } from '../../kit/house.ts'
import { KmsDouble } from '../../kit/kms-double.ts'
import { newId } from '../../../src/kernel/id.ts'
import type { Care } from '../../../src/modules/care/contract.ts'
import type { Vault } from '../../../src/modules/vault/contract.ts'
import { vault as vaultModule } from '../../../src/modules/vault/index.ts'
import { contextOf, createKeyRing, type SubjectKeyRow } from '../../../src/modules/vault/key-ring.ts'
import { createRepo } from '../../../src/modules/vault/repo.ts'
import { createRotation } from '../../../src/modules/vault/rotation.ts'
import { wrapKey } from '../../../src/modules/vault/wrap.ts'
import { createKeyCache } from '../../../src/platform/crypto/key-cache.ts'
import { openAwsKms } from '../../../src/platform/crypto/kms-aws.ts'
import { openLocalKms } from '../../../src/platform/crypto/kms-local.ts'
import { open, openRecord, seal, sealRecord } from '../../../src/platform/crypto/seal.ts'
import type { TenantKey } from '../../../src/platform/db/generated/client.ts'
import { createContext } from '../../../src/platform/graphql/context.ts'
import { systemCaller } from '../../../src/platform/jobs/system.ts'
import { platformFor, type Services } from '../../../src/platform/module.ts'
import { interleave, median, type Side } from '../kit/interleave.ts'
import type { Bench } from '../kit/report.ts'

const fieldsARound = 5_000
const pageSize = 100
const rotatedKeys = 5_000
const place = { tenantId: newId(), model: 'CareRecipient', field: 'phi', rowId: newId() }

/** What anybody would write: a random nonce, additional data, text in and out, the key prepared once. */
function bareSides(text: string): readonly Side[] {
  const key = createSecretKey(randomBytes(32))
  const context = Buffer.from(Object.values(place).join('|'))
  const gcm = { authTagLength: 16 } as const
  const bareSeal = (): string => {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', key, nonce, gcm).setAAD(context)
    const parts = [nonce, cipher.update(text, 'utf8'), (cipher.final(), cipher.getAuthTag())]
    return parts.map((part) => part.toString('base64url')).join('|')
  }
  const bareOpen = (sealed: string): string => {
    const [nonce, ciphertext, tag] = sealed.split('|') as [string, string, string]
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'), gcm)
    decipher.setAAD(context).setAuthTag(Buffer.from(tag, 'base64url'))
    const opened = decipher.update(ciphertext, 'base64url')
    decipher.final()
    return opened.toString('utf8')
  }
  const sealed = bareSeal()
  return [sideOf('bare seal', bareSeal), sideOf('bare open', () => expectSame(bareOpen(sealed), text))]
}

function ourSides(text: string): readonly Side[] {
  const key = randomBytes(32)
  const sealed = seal(key, 1, place, text)
  return [sideOf('our seal', () => seal(key, 1, place, text)), sideOf('our open', () => expectSame(open(key, place, sealed), text))]
}

/** Three fields of a row: one envelope of ours, three bare values. */
function envelopeSides(): readonly Side[] {
  const key = randomBytes(32)
  const record = { givenName: 'Amal', familyName: 'al-Khatib', phone: '+962 79 123 4567' }
  const sealed = sealRecord(key, 1, place, record)
  return [
    sideOf('our envelope of three', () => sealRecord(key, 1, place, record)),
    sideOf('our envelope of three opened', () => expectSame(openRecord(key, place, sealed)['phone'], record.phone)),
  ]
}

function expectSame(found: unknown, wanted: string): void {
  if (found !== wanted) throw new Error('It opened to something else.')
}

const sideOf = (name: string, once: () => unknown): Side => ({
  name,
  async round() {
    // As in a request: whatever is prepared for a key is forgotten when the tick ends.
    for (let done = 0; done < fieldsARound; done += pageSize) {
      for (let n = 0; n < pageSize; n++) once()
      await new Promise((resolve) => setImmediate(resolve))
    }
    return fieldsARound
  },
})

const cpuMs = (since: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1_000
}

/** Milliseconds of this process's CPU a page of a hundred recipients with three protected fields, and of that what opening takes. */
async function measurePage(house: TestHouse, tenant: TestTenant) {
  const caller = { ...tenant.member.care_coordinator.caller, purpose: 'TREATMENT' as const }
  const care = house.composed.made['care']!.contract as Care
  for (let n = 0; n < pageSize; n++) {
    const input = { givenName: `Amal ${n}`, familyName: 'al-Khatib', phone: '+962 79 123 4567' }
    await house.database.unit(caller).command((scope) => care.createRecipient(scope, input))
  }
  const source = `{ recipients(first: ${pageSize}) { edges { node { id givenName familyName phone } } } }`
  const page = async (): Promise<void> => {
    const unit = house.database.unit(caller)
    const contextValue = createContext({ unit, plane: 'console', locale: 'en', answer: { setCookie() {} } })
    const { data, errors } = await unit.read(() => graphql({ schema: house.composed.schemas.plane.console, source, contextValue }))
    const edges = (data?.['recipients'] as { edges: { node: { phone: string } }[] } | undefined)?.edges
    if (errors || edges?.length !== pageSize || !edges[99]!.node.phone) throw new Error('The page did not open.')
  }
  const stored = await house.at.owner<{ id: string; phi: string }>('select id, phi from care.recipient where tenant_id = $1 order by id', [tenant.id])
  const { db, sql } = platformFor(vaultModule, {} as Services)
  const repo = createRepo(db, sql)
  const ring = createKeyRing({ kms: await openLocalKms({ file: join(house.dataDir, 'kms.json'), mayCreate: false }), cache: createKeyCache() })
  const reading = house.database.unit(systemCaller(tenant.id, 'bench', newId()))
  const keys = await reading.read(() => repo.subjectKeys(reading.scope, stored.map(({ id }) => id)))
  const keyOf = new Map(keys.map((row) => [row.subjectId, row]))
  const opening = async (): Promise<void> => {
    for (const { id, phi } of stored) {
      const at = { tenantId: tenant.id, model: 'CareRecipient', field: 'phi', rowId: id }
      await ring.useSubjectKey(keyOf.get(id)!, (key) => openRecord(key, at, phi))
    }
  }
  const sample = async (work: () => Promise<void>, times: number): Promise<number> => {
    const since = process.cpuUsage()
    for (let n = 0; n < times; n++) await work()
    return cpuMs(since) / times
  }
  await sample(page, 30)
  await sample(opening, 30)
  const [pages, openings]: [number[], number[]] = [[], []]
  for (let round = 0; round < 7; round++) {
    pages.push(await sample(page, 20))
    openings.push(await sample(opening, 60))
  }
  return { pageCpuMs: median(pages), openCpuMs: median(openings), openShareOfCpu: median(openings) / median(pages) }
}

async function measureRotation(house: TestHouse): Promise<number> {
  const tenant = await house.tenant()
  const keys = house.composed.made['vault']!.contract as Vault
  for (let n = 0; n < rotatedKeys; n += 1_000) {
    const subjectIds = Array.from({ length: 1_000 }, () => newId())
    await house.database.unit(tenant.member.care_coordinator.caller).command(async (scope) => {
      await keys.createSubjects(scope, { subjectIds })
      scope.unit.record({ action: 'bench.planted', resource: 'Bench', outcome: 'done' })
    })
  }
  const kms = await openLocalKms({ file: join(house.dataDir, 'kms.json'), mayCreate: false })
  const { db, sql } = platformFor(vaultModule, {} as Services)
  const rotation = createRotation({ repo: createRepo(db, sql), kms, ring: createKeyRing({ kms, cache: createKeyCache() }), settleMs: 0 })
  const unit = () => house.database.unit(systemCaller(tenant.id, 'bench', newId()))
  const startedMs = performance.now()
  await unit().command((scope) => rotation.start(scope))
  let state = 'RUNNING'
  while (state !== 'DONE') ({ state } = await unit().command((scope) => rotation.batch(scope, 500)))
  const seconds = (performance.now() - startedMs) / 1_000
  const [left] = await house.at.owner<{ many: number }>(
    'select count(*)::int as many from vault.subject_key where tenant_id = $1 and tenant_key_version = 1',
    [tenant.id],
  )
  if (left!.many !== 0) throw new Error('A key was left behind.')
  return rotatedKeys / seconds
}

/** From the moment a tenant's key is disabled at the KMS to the first read that is refused, by a clock of our own, a second at a time. */
async function measureTimeToDark(): Promise<{ timeToDarkMs: number; answersFromKms: number }> {
  const double = await KmsDouble.start()
  Object.assign(process.env, double.credentials)
  const clock = { ms: 0, nowMs: () => clock.ms }
  const kms = await openAwsKms({ keyId: double.createKey(), region: double.region, endpoint: double.url, clock })
  try {
    const ring = createKeyRing({ kms, cache: createKeyCache({ clock }) })
    const tenantId = newId()
    const { key, wrapped, keyId } = await kms.generate(contextOf(tenantId), double.createKey())
    const shared = { createdAt: new Date(), destroyedAt: null }
    const row: TenantKey = {
      ...shared, tenantId, version: 1, wrapped, kekId: keyId, ownKek: true, state: 'ACTIVE', openedAt: null, darkSince: null, trouble: null, liveVersion: 1, seals: 0,
    }
    const subjectId = newId()
    const ofSubject = wrapKey(key, { tenantId, subjectId, version: 1 }, randomBytes(32))
    const subject: SubjectKeyRow = { tenantId, subjectId, wrapped: ofSubject, state: 'ACTIVE', seals: 0, tenantKey: row }
    const reads = () => ring.useSubjectKey(subject, () => true).catch(() => false)
    if (!(await reads())) throw new Error('It was never open.')
    double.set('disable', keyId)
    const asked = double.count('Decrypt', keyId)
    while (await reads()) clock.ms += 1_000
    return { timeToDarkMs: clock.ms, answersFromKms: double.count('Decrypt', keyId) - asked }
  } finally {
    kms.close()
    await double.stop()
  }
}

export const bench: Bench = async (say) => {
  const texts = { 'a name (9 B)': 'al-Khatib', 'a note (1 KiB)': 'x'.repeat(1_024) }
  const ratio: Record<string, number> = {}
  const ours: Record<string, unknown> = {}
  const bare: Record<string, unknown> = {}
  for (const [name, text] of Object.entries(texts)) {
    say(`Sealing and opening ${name}.`)
    const medians = await interleave([...bareSides(text), ...ourSides(text)], 9)
    for (const verb of ['seal', 'open']) {
      const [mine, theirs] = [medians[`our ${verb}`]!.median, medians[`bare ${verb}`]!.median]
      ratio[`${verb} ${name}/bare node:crypto`] = mine / theirs
      ours[`${verb} ${name}, microseconds`] = 1e6 / mine
      bare[`${verb} ${name}, microseconds`] = 1e6 / theirs
    }
  }
  say('Sealing a row of three fields as one envelope, against three bare values.')
  const rows = await interleave([...bareSides(texts['a name (9 B)']), ...envelopeSides()], 9)
  ratio['seal three fields of a row/bare node:crypto'] = (rows['our envelope of three']!.median * 3) / rows['bare seal']!.median
  ratio['open three fields of a row/bare node:crypto'] = (rows['our envelope of three opened']!.median * 3) / rows['bare open']!.median

  say('Starting Postgres and a house.')
  const stopPostgres = await setup()
  const house = await freshHouse()
  try {
    say('A page of a hundred recipients with three protected fields.')
    Object.assign(ours, await measurePage(house, await house.tenant()))
    say('Turning the key of five thousand people.')
    ours['rotationRowsPerSecond'] = await measureRotation(house)
  } finally {
    await house.close()
    await stopPostgres()
  }
  say('Disabling a key, and waiting for the dark.')
  Object.assign(ours, await measureTimeToDark())
  return {
    ours,
    peers: { 'bare node:crypto': bare },
    ratio,
    guards: {
      'our open': 'every value opened was compared with what was sealed',
      page: 'every page had a hundred recipients, no error and open fields; its audit rows were committed',
      rotation: 'no key was left under the old version, and the database let the old one be destroyed',
      timeToDark: 'the tenant was open before, by the same read that is refused after',
    },
  }
}
