/** A whole server over a fresh database: the real modules, the real HTTP, a temporary data directory, and people to sign in. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeHouse, createHouse } from '../../src/app.ts'
import { newId } from '../../src/kernel/id.ts'
import type { Caller, Plane } from '../../src/kernel/scope.ts'
import { permissionsOf, planeOf, roles, type Role } from '../../src/modules/access/contract.ts'
import type { Identity } from '../../src/modules/identity/contract.ts'
import { hashPassword } from '../../src/modules/identity/credentials/password.ts'
import type { Tenancy } from '../../src/modules/tenancy/contract.ts'
import type { Vault } from '../../src/modules/vault/contract.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import type { Composed } from '../../src/platform/compose.ts'
import { readConfig } from '../../src/platform/config.ts'
import { Database } from '../../src/platform/db/database.ts'
import { createLog, type Log } from '../../src/platform/http/log.ts'
import { freshDatabase, loginSecret, type TestDatabase } from './postgres.ts'
import { textOf, typed, type Operation, type TypedPlane } from './typed.ts'
import { unhurried } from './unhurried.ts'

export const password = 'a long enough test password'
/** Hashed once a file: what hashing costs is another test's subject. */
let hashed: Promise<string> | undefined
const passwordHash = () => (hashed ??= hashPassword(password))

export interface TestMember {
  readonly role: Role
  readonly plane: Plane
  readonly email: string
  readonly membershipId: string
  /** The member as a caller, without a session of its own. */
  readonly caller: Caller
}

export interface TestTenant {
  readonly id: string
  readonly slug: string
  readonly member: Readonly<Record<Role, TestMember>>
}

export interface Reply<Data = Record<string, never>> {
  readonly status: number
  readonly headers: Headers
  readonly data: Data | null
  readonly errors: readonly { message: string; path?: (string | number)[]; extensions: { code?: string } }[]
}

export interface Asking {
  readonly plane: Plane
  /** The tenant's slug, as host. */
  readonly tenant?: string
  readonly bearer?: string
  readonly cookie?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface TestHouse {
  readonly at: TestDatabase
  readonly database: Database
  readonly composed: Composed
  readonly url: string
  readonly dataDir: string
  /** A tenant with one active member of every role; all share {@link password}. */
  tenant(slug?: string): Promise<TestTenant>
  /** Sends one operation over HTTP. A generated document says what its variables and its answer are. */
  ask<Data, Variables = Readonly<Record<string, unknown>>>(
    asking: Asking,
    query: Operation<Data, Variables>,
    variables?: NoInfer<Variables>,
  ): Promise<Reply<Data>>
  /** Signs a member in and answers the access token. */
  signIn(tenant: TestTenant, role: Role): Promise<string>
  close(): Promise<void>
}

/** A server of this process over a database that is there, with the keys of a data directory. */
export interface OpenHouse {
  readonly database: Database
  readonly composed: Composed
  readonly url: string
  close(): Promise<void>
}

/**
 * Opens one. Beside a server of another process, with that one's environment, both are one service behind one address.
 * @param port where it listens, whatever address its environment names; any free one unless told.
 */
export async function openHouse(
  environment: Readonly<Record<string, string>> & { DATA_DIR: string; DATABASE_URL: string },
  port = 0,
  log: Log = createLog({ level: 'silent' }),
): Promise<OpenHouse> {
  const ownerUrl = environment.DATABASE_URL
  const config = readConfig({
    DATABASE_OWNER_URL: ownerUrl,
    DATABASE_LOGIN_SECRET: loginSecret(),
    KMS_PROVIDER: 'local',
    LOG_LEVEL: 'silent',
    ...environment,
  })
  const database = new Database({ url: ownerUrl, loginSecret: loginSecret(), preparedStatements: true, writeConnections: 4 })
  const foundation = { database, databaseUrl: ownerUrl, loginSecret: loginSecret(), ownerUrl, stop: () => database.close() }
  const composed = await composeHouse(config, foundation, log)
  await composed.boot()
  const { server } = createHouse(config, foundation, composed, log, unhurried)
  const { port: taken } = await server.listen({ port, host: '127.0.0.1' })
  return {
    database,
    composed,
    url: `http://127.0.0.1:${taken}`,
    async close() {
      await server.close()
      composed.release()
      await database.close()
    },
  }
}

export async function freshHouse(environment: Readonly<Record<string, string>> = {}, log?: Log): Promise<TestHouse> {
  const at = await freshDatabase()
  const dataDir = mkdtempSync(join(tmpdir(), 'maristan-house-'))
  const open = await openHouse({ DATA_DIR: dataDir, DATABASE_URL: at.ownerUrl, ...environment }, Number(environment['PORT'] ?? 0), log)
  const { database, composed, url } = open
  const contract = {
    identity: composed.made['identity']!.contract as Identity,
    tenancy: composed.made['tenancy']!.contract as Tenancy,
    vault: composed.made['vault']!.contract as Vault,
  }

  const house: TestHouse = {
    at,
    database,
    composed,
    url,
    dataDir,

    async tenant(slug = `t${newId().slice(-8)}`) {
      const unit = database.unit(operatorCaller(newId()))
      const members: [Role, TestMember][] = []
      await unit.command(async (scope) => {
        await contract.tenancy.provision(scope, { slug, legalName: `Tenant ${slug}` })
        await contract.vault.provisionTenant(scope, {})
        for (const role of roles) {
          const email = `${role}@${slug}.test`
          const providerOrgId = role === 'provider_manager' ? newId() : null
          const { membershipId } =
            role === 'tenant_admin'
              ? await contract.identity.provisionAdmin(scope, { email, password })
              : await contract.identity.importMember(scope, { email, passwordHash: await passwordHash(), role, ...(providerOrgId ? { providerOrgId } : {}) })
          const plane = planeOf(role)
          const actor = { kind: 'member', membershipId, identityId: newId(), role, sessionId: newId(), via: 'password', providerOrgId } as const
          const caller: Caller = { ...operatorCaller(unit.tenantId), plane, actor, permissions: permissionsOf(role) }
          members.push([role, { role, plane, email, membershipId, caller }])
        }
      })
      return { id: unit.tenantId, slug, member: Object.fromEntries(members) as Record<Role, TestMember> }
    },

    async ask(asking, query, variables) {
      const response = await fetch(`${url}/graphql/${asking.plane}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(asking.tenant ? { 'x-maristan-tenant': asking.tenant } : {}),
          ...(asking.bearer ? { authorization: `Bearer ${asking.bearer}` } : {}),
          ...(asking.cookie ? { cookie: asking.cookie, 'x-maristan-csrf': '1' } : {}),
          ...asking.headers,
        },
        body: JSON.stringify({ query: textOf(query), variables: variables ?? {} }),
      })
      const answer = (await response.json()) as { data?: never; errors?: never[] }
      return { status: response.status, headers: response.headers, data: answer.data ?? null, errors: answer.errors ?? [] }
    },

    async signIn(tenant, role) {
      const { plane, email } = tenant.member[role]
      const { SignInDocument } = typed[plane as TypedPlane]
      const reply = await house.ask({ plane, tenant: tenant.slug }, SignInDocument, { input: { email, password } })
      const token = reply.data?.signIn.__typename === 'SignedIn' ? reply.data.signIn.accessToken : null
      if (!token) throw new Error(`${email} could not sign in: ${JSON.stringify(reply)}`)
      return token
    },

    async close() {
      await open.close()
      await at.drop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
  return house
}
