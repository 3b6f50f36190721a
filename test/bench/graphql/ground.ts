/**
 * The ground that every side of the benchmark stands on: one embedded Postgres with our migrations, policies and logins, the same
 * synthetic rows for all, made through our own contracts where they are sealed.
 */
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { composeHouse } from '../../../src/app.ts'
import { newId } from '../../../src/kernel/id.ts'
import type { Caller, Scope } from '../../../src/kernel/scope.ts'
import { permissionsOf } from '../../../src/modules/access/contract.ts'
import type { Care } from '../../../src/modules/care/contract.ts'
import type { Identity } from '../../../src/modules/identity/contract.ts'
import type { Tenancy } from '../../../src/modules/tenancy/contract.ts'
import type { Vault } from '../../../src/modules/vault/contract.ts'
import { readConfig } from '../../../src/platform/config.ts'
import { openLocalKms } from '../../../src/platform/crypto/kms-local.ts'
import { Database } from '../../../src/platform/db/database.ts'
import { startEmbedded } from '../../../src/platform/db/embedded.ts'
import { urlFor } from '../../../src/platform/db/logins.ts'
import { provision, withClient } from '../../../src/platform/db/provision.ts'
import { createLog } from '../../../src/platform/http/log.ts'

export interface BenchTenant {
  readonly id: string
  readonly slug: string
  readonly email: string
  readonly password: string
  readonly membershipId: string
  readonly recipientIds: readonly string[]
  /** Parties that may be granted something. */
  readonly granteeIds: string[]
  /** For the peers: tenant, membership and role, signed with the key below. */
  readonly peerToken: string
}

export interface BenchGround {
  readonly directory: string
  readonly dataDir: string
  readonly ownerUrl: string
  readonly loginSecret: string
  readonly readUrl: string
  readonly writeUrl: string
  readonly tenants: readonly BenchTenant[]
  /** The public key of the peers' tokens. */
  readonly peerKey: string
  readonly authUrl: string
  /** What a peer needs to open records and to sign people in: data keys by tenant, the key that signs, tenants by slug. JSON. */
  readonly peerSecrets: string
  /** The environment of our server, in production settings. */
  readonly environment: Readonly<Record<string, string>>
  owner<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>
  /** Processor time that Postgres has used so far, all its processes, in seconds. */
  postgresSeconds(): number
  stop(): Promise<void>
}

export const issuer = 'maristan-bench'

/** Five consents a recipient; two people who help each; each of whom helps another as well. */
const circleSql = `
  with people as (
    select tenant_id, id, recipient_id, row_number() over (order by id) - 1 as k, count(*) over () as n
    from care.party where tenant_id = $1 and kind = 'RECIPIENT'
  ), helpers as (
    insert into care.party (tenant_id, id, kind, phi)
    select tenant_id, gen_random_uuid(), 'FAMILY', 'v1|none' from people, generate_series(1, 2) returning tenant_id, id
  ), numbered as (
    select tenant_id, id, row_number() over (order by id) - 1 as k from helpers
  ), consents as (
    insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set, valid_to)
    select p.tenant_id, gen_random_uuid(), p.recipient_id, h.id, 'TREATMENT', array['givenName', 'phone'],
      timestamptz '2031-01-01' + five * interval '1 day'
    from people p join numbered h on h.k = p.k, generate_series(1, 5) five
  )
  insert into care.edge (tenant_id, id, from_party_id, to_party_id, relation, capabilities)
  select h.tenant_id, gen_random_uuid(), h.id, p.id, 'RELATIVE', array['VIEW']
  from numbered h, generate_series(0, 1) shift join people p on true
  where p.k = (h.k / 2 + shift * (1 + h.k % 3)) % p.n`

export async function layGround(say: (sentence: string) => void, options: { tenants: number; recipients: number }): Promise<BenchGround> {
  const directory = mkdtempSync(join(tmpdir(), 'maristan-bench-'))
  chmodSync(directory, 0o711)
  say('Starting Postgres.')
  const postgres = await startEmbedded({ dataDir: join(directory, 'database'), durable: true, log: () => {} })
  const { ownerUrl } = postgres
  const loginSecret = randomBytes(32).toString('base64url')
  const dataDir = join(directory, 'server')
  mkdirSync(dataDir)
  await provision({ ownerUrl, loginSecret })
  const environment = {
    DATA_DIR: dataDir,
    DATABASE_URL: ownerUrl,
    DATABASE_LOGIN_SECRET: loginSecret,
    KMS_PROVIDER: 'local',
    MARISTAN_DEMO: '0',
    LOG_LEVEL: 'info',
  }
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const config = readConfig(environment)
  const database = new Database({ url: ownerUrl, loginSecret, preparedStatements: true })
  const tenants: BenchTenant[] = []
  try {
    const house = await composeHouse(config, { database }, createLog({ level: 'silent' }))
    await house.boot()
    const contracts = {
      tenancy: house.made['tenancy']!.contract as Tenancy,
      vault: house.made['vault']!.contract as Vault,
      identity: house.made['identity']!.contract as Identity,
      care: house.made['care']!.contract as Care,
    }
    for (let k = 0; k < options.tenants; k++) {
      say(`Planting tenant ${k + 1} of ${options.tenants}.`)
      tenants.push(await plant(database, contracts, `bench${k}`, options.recipients, privateKey))
    }
    await house.settle()
  } finally {
    await database.close()
  }
  const owner: BenchGround['owner'] = (text, values = []) =>
    withClient(ownerUrl, async (client) => (await client.query(text, [...values])).rows as never)
  for (const { id, granteeIds } of tenants) {
    await owner(circleSql, [id])
    const parties = await owner<{ id: string }>("select id from care.party where tenant_id = $1 and kind = 'FAMILY' order by id limit 50", [id])
    granteeIds.push(...parties.map((party) => party.id))
  }
  await owner('vacuum analyze')
  const [{ pid: child }] = (await owner<{ pid: number }>("select pid from pg_stat_activity where backend_type = 'checkpointer'")) as [{ pid: number }]
  return {
    directory,
    dataDir,
    ownerUrl,
    loginSecret,
    readUrl: urlFor('maristan_console_read', ownerUrl, loginSecret),
    writeUrl: urlFor('maristan_console', ownerUrl, loginSecret),
    tenants,
    authUrl: urlFor('maristan_auth', ownerUrl, loginSecret),
    peerSecrets: JSON.stringify({
      dataKeys: await dataKeysOf(dataDir, owner),
      signingKey: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      tenants: Object.fromEntries(tenants.map(({ slug, id }) => [slug, id])),
    }),
    peerKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    environment,
    owner,
    postgresSeconds: processorOf(timesOf(child).parent),
    async stop() {
      await postgres.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function dataKeysOf(dataDir: string, owner: BenchGround['owner']): Promise<Record<string, string>> {
  const kms = await openLocalKms({ file: join(dataDir, 'kms.json'), mayCreate: false })
  const rows = await owner<{ tenant: string; wrapped: string; kek: string }>('select tenant_id as tenant, wrapped, kek_id as kek from vault.tenant_key')
  const keys: Record<string, string> = {}
  for (const { tenant, wrapped, kek } of rows) {
    keys[tenant] = (await kms.unwrap(wrapped, kek, { tenant, purpose: 'tenant-data-key' })).toString('base64')
  }
  kms.close()
  return keys
}

/** proc(5): the fields after the bracketed name begin with the state, which is the third. Ticks are a hundred a second. */
function timesOf(pid: number | string): { parent: number; own: number; ended: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ').map(Number)
  return { parent: fields[1]!, own: (fields[11]! + fields[12]!) / 100, ended: (fields[13]! + fields[14]!) / 100 }
}

/** A process and its children, those included that have ended. */
const processorOf = (parent: number) => (): number => {
  const { own, ended } = timesOf(parent)
  let seconds = own + ended
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    try {
      const child = timesOf(pid)
      if (child.parent === parent) seconds += child.own
    } catch {
      // It ended meanwhile, and is counted with its parent.
    }
  }
  return seconds
}

interface Contracts {
  readonly tenancy: Tenancy
  readonly vault: Vault
  readonly identity: Identity
  readonly care: Care
}

async function plant(database: Database, made: Contracts, slug: string, recipients: number, key: KeyObject): Promise<BenchTenant> {
  const id = newId()
  const base = { tenantId: id, purpose: 'OPERATIONS', requestId: `bench-${slug}`, sourceAddress: null, userAgent: null } as const
  const operator: Caller = { ...base, plane: null, actor: { kind: 'operator', name: 'bench' }, permissions: new Set() }
  const email = `coordinator@${slug}.example`
  const password = randomBytes(15).toString('base64url')
  const inTenant = <T>(caller: Caller, work: (scope: Scope) => Promise<T>) => database.unit(caller).command(work)
  const member = await inTenant(operator, async (scope) => {
    await made.tenancy.provision(scope, { slug, legalName: slug, defaultLocale: 'en' })
    await made.vault.provisionTenant(scope, {})
    await made.identity.provisionAdmin(scope, { email: `admin@${slug}.example`, password })
    return made.identity.operatorAddMember(scope, { email, password, role: 'care_coordinator', locale: 'en' })
  })
  const { membershipId } = member as { membershipId: string }
  const role = 'care_coordinator'
  const actor = { kind: 'member', membershipId, identityId: newId(), role, sessionId: newId(), via: 'password', providerOrgId: null } as const
  const coordinator: Caller = { ...base, plane: 'console', actor, permissions: permissionsOf(role) }
  const recipientIds: string[] = []
  while (recipientIds.length < recipients) {
    // A few a command: on a busy machine a hundred of them would outlast one.
    const from = recipientIds.length
    const some = await inTenant(coordinator, async (scope) => {
      const ids: string[] = []
      for (let k = from; k < Math.min(from + 10, recipients); k++) {
        const { id: recipientId } = await made.care.createRecipient(scope, {
          givenName: `Given ${k}`,
          familyName: `Family ${k}`,
          birthDate: `19${31 + (k % 60)}-0${1 + (k % 9)}-11`,
          mrn: `${slug}-${1000 + k}`,
          phone: `+44 7700 900${100 + (k % 100)}`,
          preferredLocale: 'en',
          areaGeohash5: 'gcpvj',
        })
        ids.push(recipientId)
      }
      return ids
    })
    recipientIds.push(...some)
  }
  const peerToken = await new SignJWT({ tenant: id, role })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt' })
    .setSubject(membershipId)
    .setIssuer(issuer)
    .setAudience('maristan:console')
    .setIssuedAt()
    .setExpirationTime('12h')
    .sign(key)
  return { id, slug, email, password, membershipId, recipientIds, granteeIds: [], peerToken }
}
