/** One tenant out of the building and back: its rows as they were, its people able to work, and nobody else touched. Forged files stay out. */
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { voucherOf } from '../src/operator/commands-archive.ts'
import { frame, frames, maxFrameBytes, type Frame, type FrameKind } from '../src/operator/frames.ts'
import { openWithKey, privateKeyOf, publicKeyOf, sealToKey } from '../src/operator/sealed-to-key.ts'
import { exportTenant, restoreTenant, type Voucher } from '../src/operator/tenant-archive.ts'
import { hashTenantRows, settle, tenantTables, type TableHash } from '../src/operator/tenant-tables.ts'
import { withClient } from '../src/platform/db/provision.ts'
import { freshHouse, type TestHouse, type TestTenant } from './kit/house.ts'

const pair = generateKeyPairSync('x25519')
const directory = mkdtempSync(join(tmpdir(), 'maristan-archive-'))
const file = join(directory, 'cedar.archive')
let house: TestHouse
let cedar: TestTenant
let other: TestTenant
let voucher: Voucher
let before: readonly TableHash[]
let others: readonly TableHash[]
const progress = () => undefined

const hashes = (tenant: TestTenant): Promise<TableHash[]> =>
  withClient(house.at.ownerUrl, async (client) => {
    await settle(client)
    const found: TableHash[] = []
    for (const table of await tenantTables(client)) found.push(await hashTenantRows(client, table, tenant.id))
    return found
  })

/** All rows of a tenant, as the owner who may do anything. */
const erase = (tenant: TestTenant): Promise<void> =>
  withClient(house.at.ownerUrl, async (client) => {
    const tables = await tenantTables(client)
    await client.query("set session_replication_role = 'replica'")
    for (const { table } of tables) await client.query(`delete from ${table} where tenant_id = $1`, [tenant.id])
  })

const restore = (from: string, privateKey: KeyObject = pair.privateKey) =>
  restoreTenant({ ownerUrl: house.at.ownerUrl, file: from, privateKey, voucher, progress, operator: 'test' })

/** Another file with these parts, sealed anew to the same key: what whoever holds the public key can make. */
async function forge(name: string, alter: (parts: Frame[]) => Frame[] | Promise<Frame[]>): Promise<string> {
  const plain: Frame[] = []
  const take = async (source: AsyncIterable<Buffer>) => {
    for await (const part of frames(source)) plain.push({ kind: part.kind, payload: Buffer.from(part.payload) })
  }
  await pipeline(createReadStream(file), (sealed: AsyncIterable<Buffer>) => openWithKey(sealed, pair.privateKey), createGunzip(), take)
  const parts = (await alter(plain)).map(({ kind, payload }) => frame(kind as FrameKind, payload))
  const path = join(directory, name)
  const seal = (zipped: AsyncIterable<Buffer>) => sealToKey(zipped, pair.publicKey)
  await pipeline(Readable.from(parts), createGzip(), seal, createWriteStream(path))
  return path
}

const givenNames = async (tenant: TestTenant): Promise<unknown> => {
  const bearer = await house.signIn(tenant, 'care_coordinator')
  const { data } = await house.ask<any>({ plane: 'console', bearer }, '{ recipients(first: 5) { edges { node { givenName } } } }')
  return data?.recipients?.edges.map((edge: any) => edge.node.givenName)
}

beforeAll(async () => {
  house = await freshHouse()
  voucher = voucherOf({ house: house.composed, foundation: { database: house.database } as never })
  cedar = await house.tenant('cedar')
  other = await house.tenant('other')
  const create = 'mutation ($input: CreateRecipientInput!) { createRecipient(input: $input) { __typename ... on Fault { code } } }'
  for (const [tenant, givenName] of [[cedar, 'أمل'], [other, 'Noor']] as const) {
    const bearer = await house.signIn(tenant, 'care_coordinator')
    const reply = await house.ask<any>({ plane: 'console', bearer }, create, { input: { givenName } })
    expect([reply.errors, reply.data.createRecipient.code]).toEqual([[], undefined])
  }
  ;[before, others] = [await hashes(cedar), await hashes(other)]
  await exportTenant({ ownerUrl: house.at.ownerUrl, file, tenantId: cedar.id, slug: 'cedar', recipient: pair.publicKey, voucher, progress })
  await erase(cedar)
})
afterAll(async () => {
  await house.close()
  rmSync(directory, { recursive: true, force: true })
})

const isEmpty = async () => (await hashes(cedar)).every(({ rows }) => rows === 0)

describe('a file that is not the export leaves nothing behind:', () => {
  test('one cut short anywhere', async () => {
    const whole = readFileSync(file)
    for (const length of [0, 10, 40, 60, 90, whole.length - 1, whole.length - 20, Math.floor(whole.length / 2)]) {
      writeFileSync(join(directory, 'short'), whole.subarray(0, length))
      await expect(restore(join(directory, 'short')), `${length} bytes`).rejects.toThrow('not sealed with this key, or it is damaged')
    }
    expect(await isEmpty()).toBe(true)
  })

  test('one with a flipped bit anywhere', async () => {
    const whole = readFileSync(file)
    for (const at of [0, 20, 55, 100, Math.floor(whole.length / 2), whole.length - 1]) {
      const bent = Buffer.from(whole)
      bent[at]! ^= 4
      writeFileSync(join(directory, 'bent'), bent)
      await expect(restore(join(directory, 'bent')), `byte ${at}`).rejects.toThrow('not sealed with this key, or it is damaged')
    }
    expect(await isEmpty()).toBe(true)
  })

  test('one for another key, and a key of another kind', async () => {
    await expect(restore(file, generateKeyPairSync('x25519').privateKey)).rejects.toThrow('not sealed with this key')
    const wrong = generateKeyPairSync('ed25519')
    const pem = (key: KeyObject, type: 'pkcs8' | 'spki') => key.export({ type, format: 'pem' } as never) as string
    expect(() => privateKeyOf(pem(wrong.privateKey, 'pkcs8'))).toThrow('not of X25519')
    expect(() => publicKeyOf(pem(wrong.publicKey, 'spki'))).toThrow('not of X25519')
    expect(() => publicKeyOf(pem(pair.privateKey, 'pkcs8'))).toThrow('which stays at home')
    expect(() => publicKeyOf('not a key')).toThrow('openssl genpkey')
    expect(publicKeyOf(pem(pair.publicKey, 'spki')).equals(pair.publicKey)).toBe(true)
    expect(await isEmpty()).toBe(true)
  })

  test('one that its holder opened, altered and sealed again', async () => {
    const altered = await forge('altered', (parts) =>
      parts.map(({ kind, payload }) => ({ kind, payload: Buffer.from(payload.toString('latin1').replaceAll('clinician@cedar', 'intruder1@cedar'), 'latin1') })),
    )
    await expect(restore(altered)).rejects.toThrow('not a whole export')
    const counted = await forge('counted', (parts) =>
      parts.map(({ kind, payload }) => ({ kind, payload: kind === 'M' ? Buffer.from(payload.toString().replace(/"rows":1,/, '"rows":2,')) : payload })),
    )
    await expect(restore(counted)).rejects.toThrow('altered after this building wrote it')
    const shorn = await forge('shorn', (parts) => parts.filter(({ kind }) => kind !== 'M'))
    await expect(restore(shorn)).rejects.toThrow('not a whole export')
    const more = await forge('more', (parts) => [...parts, { kind: 'D', payload: Buffer.from('x') }])
    await expect(restore(more)).rejects.toThrow('not a whole export')
    const renamed = await forge('renamed', ([head, ...rest]) => [
      { kind: 'H', payload: Buffer.from(head!.payload.toString().replace('"tenancy.tenant"', '"pg_catalog.pg_authid"')) },
      ...rest,
    ])
    await expect(restore(renamed)).rejects.toThrow('not a whole export')
    const huge = Buffer.alloc(5)
    huge.write('D')
    huge.writeUInt32BE(maxFrameBytes + 1, 1)
    await expect((async () => { for await (const _ of frames(Readable.from([huge]))); })()).rejects.toThrow('more bytes')
    expect(await isEmpty()).toBe(true)
  })

  test('one with rows of another tenant inside, even when the building vouched for it', async () => {
    // Written by the building's own code over a database that held the strangers under cedar's name: only the rows betray them.
    const stranger = await forge('stranger', async (parts) => {
      const swapped = parts.map(({ kind, payload }, k) =>
        kind === 'D' && k < 8 ? { kind, payload: Buffer.from(payload.toString('latin1').replaceAll(cedar.id, other.id), 'latin1') } : { kind, payload },
      )
      return vouchedAgain(swapped)
    })
    await expect(restore(stranger)).rejects.toThrow('rows of another tenant')
    expect([await isEmpty(), await hashes(other)]).toEqual([true, others])
  })
})

/** The parts with a manifest that fits them. */
async function vouchedAgain(parts: readonly Frame[]): Promise<Frame[]> {
  const header = JSON.parse(parts[0]!.payload.toString())
  const manifest = JSON.parse(parts.at(-1)!.payload.toString()) as { tables: TableHash[] }
  const tables: TableHash[] = []
  let hash = createHash('sha256')
  for (const { kind, payload } of parts.slice(1, -1)) {
    if (kind === 'D') hash.update(payload)
    else {
      tables.push({ ...manifest.tables[tables.length]!, sha256: hash.digest('hex') })
      hash = createHash('sha256')
    }
  }
  const digest = createHash('sha256').update(JSON.stringify([header, tables])).digest('hex')
  const voucherText = await voucher.vouch(cedar.id, digest)
  return [...parts.slice(0, -1), { kind: 'M', payload: Buffer.from(JSON.stringify({ tables, voucher: voucherText })) }]
}

test('the export shows nothing in the clear, is for its owner alone to read, and never replaces a file', async () => {
  expect(readFileSync(file).includes('cedar')).toBe(false)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const again = { ownerUrl: house.at.ownerUrl, file, tenantId: other.id, slug: 'other', recipient: pair.publicKey, voucher, progress }
  await expect(exportTenant(again)).rejects.toThrow('never replaces another')
})

test('a deleted tenant comes back row for row, opens its PHI and signs in; the other tenant is as it was; a second time is refused', async () => {
  const report = await restore(file)
  expect(report).toEqual({ tenantId: cedar.id, slug: 'cedar', tables: before })
  const audit = 'audit.event'
  expect((await hashes(cedar)).filter(({ table }) => table !== audit)).toEqual(before.filter(({ table }) => table !== audit))
  const [told] = await house.at.owner<{ action: string; detail: object }>(
    'select action, detail from audit.event where tenant_id = $1 order by at desc, id desc limit 1',
    [cedar.id],
  )
  expect(told).toEqual({ action: 'tenant.restored', detail: { operator: 'test', tables: before.length } })
  expect(await hashes(other)).toEqual(others)
  expect(before.filter(({ rows }) => rows > 0).map(({ table }) => table)).toEqual(
    expect.arrayContaining(['tenancy.tenant', 'vault.tenant_key', 'vault.subject_key', 'care.recipient', 'identity.credential', audit]),
  )

  await expect(restore(file)).rejects.toThrow('Rows of this tenant exist')
  expect(await givenNames(cedar)).toEqual(['أمل'])
  expect(await givenNames(other)).toEqual(['Noor'])
})
