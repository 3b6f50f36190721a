/** For this module's tests: identity over a real database, with a clock and a mailbox of the test's own. No test ever waits. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshDatabase, loginSecret, type TestDatabase } from './postgres.ts'
import { newId } from '../../src/kernel/id.ts'
import { noTenant, type Caller, type Plane, type Scope } from '../../src/kernel/scope.ts'
import { readConfig } from '../../src/platform/config.ts'
import { openLocalKms } from '../../src/platform/crypto/kms-local.ts'
import { Database } from '../../src/platform/db/database.ts'
import { createLog } from '../../src/platform/http/log.ts'
import type { Letter } from '../../src/platform/mail.ts'
import { platformFor, type Services } from '../../src/platform/module.ts'
import { permissionsOf, type Role } from '../../src/modules/access/contract.ts'
import { tenancy } from '../../src/modules/tenancy/index.ts'
import type { Vault } from '../../src/modules/vault/contract.ts'
import { vault } from '../../src/modules/vault/index.ts'
import { createAttempts } from '../../src/modules/identity/attempts.ts'
import type { Identified, SignedIn, SigningIn, SignInResult } from '../../src/modules/identity/contract.ts'
import { hashPassword } from '../../src/modules/identity/credentials/password.ts'
import { newTotpSecret } from '../../src/modules/identity/credentials/totp.ts'
import { identity as manifest } from '../../src/modules/identity/index.ts'
import { createKeys, totpSecretPlace, type Keys } from '../../src/modules/identity/keys.ts'
import { createRepo } from '../../src/modules/identity/repo.ts'
import { createKeyRepo } from '../../src/modules/identity/repo-keys.ts'
import { createSessionRepo } from '../../src/modules/identity/repo-sessions.ts'
import { createSignOnRepo } from '../../src/modules/identity/repo-sign-on.ts'
import { createThrottleRepo } from '../../src/modules/identity/repo-throttle.ts'
import { createIdentity } from '../../src/modules/identity/service.ts'
import type { SignInPlane } from '../../src/modules/identity/tokens/refresh.ts'

export const password = 'seven herons over the marsh'
export const startMs = Date.UTC(2031, 4, 6, 8, 0, 0)

/** One server process: its own connections, its own memory, the shared database. */
export interface Process {
  readonly database: Database
  readonly services: Services
  readonly vault: Vault
  readonly identity: SigningIn
  readonly keys: Keys
  readonly letters: Letter[]
  /** How long attempts were told to wait, in order. */
  readonly waits: number[]
  settled(): Promise<void>
  /** Runs a method for a caller, as one operation. */
  as<T>(caller: Caller, work: (identity: SigningIn, scope: Scope) => Promise<T>): Promise<T>
}

export interface TestPerson {
  readonly tenantId: string
  readonly identityId: string
  readonly email: string
  readonly membershipIds: readonly string[]
}

export interface Ground {
  readonly at: TestDatabase
  readonly clock: { nowMs(): number; set(ms: number): void; advance(ms: number): void }
  readonly tenantId: string
  process(): Promise<Process>
  person(of?: {
    memberships?: readonly { plane: SignInPlane; role: Role; status?: string; providerOrgId?: string }[]
    passwordHash?: string
    status?: 'ACTIVE' | 'DISABLED'
    tenantId?: string
  }): Promise<TestPerson>
  /** Gives a person a confirmed second factor and answers its secret. */
  withTotp(process: Process, person: TestPerson): Promise<string>
  /** Nobody yet, at a tenant's door. */
  nobody(plane: Plane, from?: { address?: string; tenantId?: string }): Caller
  audit(): Promise<{ action: string; detail: Record<string, unknown>; actor_id: string | null; session_id: string | null }[]>
  close(): Promise<void>
}

export async function layGround(): Promise<Ground> {
  const at = await freshDatabase()
  const dataDir = mkdtempSync(join(tmpdir(), 'maristan-identity-'))
  const config = readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'silent' })
  const processes: Process[] = []
  const storedHash = await hashPassword(password)
  const tenantId = newId()
  let nowMs = startMs
  const clock = { nowMs: () => nowMs, set: (ms: number) => void (nowMs = ms), advance: (ms: number) => void (nowMs += ms) }
  const addTenant = (id: string) =>
    at.owner('insert into tenancy.tenant (tenant_id, slug, legal_name) values ($1, $2, $2) on conflict do nothing', [
      id,
      `t${id.slice(-8)}`,
    ])
  await addTenant(tenantId)

  return {
    at,
    clock,
    tenantId,

    async process() {
      const database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true, writeConnections: 4 })
      const letters: Letter[] = []
      const waits: number[] = []
      const services: Services = {
        clock,
        log: createLog({ level: 'silent' }),
        config,
        kms: await openLocalKms({ file: join(dataDir, 'kms.json'), mayCreate: true }),
        mail: { send: async (letter) => void letters.push(letter) },
      }
      const platform = <M extends { readonly name: string }>(of: M) => platformFor(of as never, services) as never
      const tenants = tenancy.build(platform(tenancy), {} as never).contract
      const safe = vault.build(platform(vault), {} as never)
      const outside = () => database.unit(nobodyAt(noTenant, null))
      await vault.boot!(safe, outside)
      // A copy, for a test that has the vault fail.
      const secrets = { ...safe.contract }
      const { db, sql } = platformFor(manifest as never, services)
      const keys = createKeys({ repo: createKeyRepo({ db, sql }), vault: secrets, clock })
      await keys.boot(outside)
      const attempts = createAttempts({
        repo: createThrottleRepo({ sql }),
        secret: keys.throttleSecret,
        clock,
        wait: async (ms) => void waits.push(ms),
      })
      const { contract, settled } = createIdentity({
        ...services,
        repo: createRepo({ db, sql }),
        sessions: createSessionRepo({ db, sql }),
        signOn: createSignOnRepo(db, sql),
        keys,
        attempts,
        vault: safe.contract,
        tenancy: tenants,
      })
      const process: Process = {
        database,
        services,
        identity: contract,
        vault: secrets,
        keys,
        letters,
        waits,
        settled,
        as(caller, work) {
          const unit = database.unit(caller)
          return unit.read(() => work(contract, unit.scope))
        },
      }
      processes.push(process)
      return process
    },

    async person(of = {}) {
      const { memberships = [{ plane: 'clinician', role: 'clinician' }], passwordHash = storedHash, status = 'ACTIVE' } = of
      const home = of.tenantId ?? tenantId
      if (home !== tenantId) await addTenant(home)
      const identityId = newId()
      const email = `p${identityId.slice(-10)}@ward.test`
      const places = memberships.map((one) => ({ status: 'ACTIVE', providerOrgId: null, ...one, id: newId() }))
      await at.owner(
        `with person as (insert into identity.identity (tenant_id, id, email, status) values ($1, $2, $3, $4)),
          secret as (insert into identity.credential (tenant_id, identity_id, password_hash) values ($1, $2, $5))
        insert into identity.membership (tenant_id, id, identity_id, plane, role, status, provider_org_id)
        select $1, m.id, $2, m.plane, m.role, m.status, m."providerOrgId"
        from jsonb_to_recordset($6::jsonb) as m(id uuid, plane text, role text, status identity.membership_status, "providerOrgId" uuid)`,
        [home, identityId, email, status, passwordHash, JSON.stringify(places)],
      )
      const membershipIds = places.map(({ id }) => id)
      return { tenantId: home, identityId, email, membershipIds }
    },

    async withTotp({ vault: safe, database }, { tenantId: home, identityId }) {
      const secret = newTotpSecret()
      const unit = database.unit(nobodyAt(home, null))
      const { sealed } = await safe.sealSecrets(unit.scope, { items: [{ ...totpSecretPlace(home, identityId), value: secret }] })
      await at.owner('insert into identity.totp_device (tenant_id, identity_id, secret, confirmed_at) values ($1, $2, $3, now())', [
        home,
        identityId,
        sealed[0],
      ])
      return secret
    },

    nobody: (plane, { address = '198.51.100.7', tenantId: home = tenantId } = {}) => ({ ...nobodyAt(home, plane), sourceAddress: address }),

    audit: () => at.owner('select action, outcome, detail, actor_id, session_id from audit.event order by at, id'),

    async close() {
      await Promise.all(processes.map(({ database }) => database.close()))
      await at.drop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

function nobodyAt(tenantId: string, plane: Plane | null): Caller {
  const nothing = { actor: { kind: 'anonymous' }, permissions: new Set<string>(), purpose: null, userAgent: 'test' } as const
  return { ...nothing, tenantId, plane, requestId: newId(), sourceAddress: null }
}

/** The caller that a credential turned out to be. */
export function callerOf(nobody: Caller, found: Identified): Caller {
  if (found.kind === 'integration') {
    return { ...nobody, actor: { kind: 'integration', tokenId: found.tokenId, role: found.role }, permissions: new Set(found.permissions) }
  }
  const { kind, membershipId, identityId, role, sessionId, via, providerOrgId, plane } = found
  const actor = { kind, membershipId, identityId, role, sessionId, via, providerOrgId }
  return { ...nobody, plane, actor, permissions: permissionsOf(role as Role) }
}

/** The result when somebody is signed in. @throws when something else came. */
export function signedIn(result: SignInResult): SignedIn {
  if (result.kind !== 'SIGNED_IN') throw new Error(`Not signed in but ${result.kind}.`)
  return result
}
