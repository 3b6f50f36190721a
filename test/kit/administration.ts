/** For the tests of identity's administration: the real modules over a fresh database, the test's own clock, and a mail spool to read. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { graphql } from 'graphql'
import pg from 'pg'
import { freshDatabase, loginSecret, type TestDatabase } from './postgres.ts'
import { newId } from '../../src/kernel/id.ts'
import type { Caller, Scope } from '../../src/kernel/scope.ts'
import { compose } from '../../src/platform/compose.ts'
import { readConfig } from '../../src/platform/config.ts'
import { openLocalKms } from '../../src/platform/crypto/kms-local.ts'
import { Database } from '../../src/platform/db/database.ts'
import { createContext } from '../../src/platform/graphql/context.ts'
import { createLog } from '../../src/platform/http/log.ts'
import { openMailSpool } from '../../src/platform/mail.ts'
import { authLogin, type AnyModule } from '../../src/platform/module.ts'
import { permissionsOf, planeOf, planesOf, roles, type Permission, type Role } from '../../src/modules/access/contract.ts'
import type { Tenancy } from '../../src/modules/tenancy/contract.ts'
import { tenancy } from '../../src/modules/tenancy/index.ts'
import type { Vault } from '../../src/modules/vault/contract.ts'
import { vault } from '../../src/modules/vault/index.ts'
import type { Identity } from '../../src/modules/identity/contract.ts'
import { hashPassword } from '../../src/modules/identity/credentials/password.ts'
import { identity } from '../../src/modules/identity/index.ts'

export const password = 'a long enough test password'

export interface Person {
  readonly email: string
  readonly role: Role
  readonly membershipId: string
  readonly identityId: string
  readonly caller: Caller
}

export interface Tenant {
  readonly id: string
  readonly slug: string
  readonly operator: Caller
  /** One active member of each role. */
  readonly of: Readonly<Record<Role, Person>>
  /** One more. */
  add(role: Role, email?: string, providerOrgId?: string): Promise<Person>
}

export interface Letter {
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly tokens: readonly string[]
}

export interface Answer<Data> {
  readonly data: Data | null | undefined
  readonly codes: readonly string[]
}

export type Rig = Awaited<ReturnType<typeof administrationRig>>

/** MIME as the spool writes it: quoted-printable or base64 text, encoded words in headers. */
function readLetter(raw: string): Letter {
  const [head = '', ...rest] = raw.replaceAll('\r', '').split('\n\n')
  const body = rest.join('\n\n')
  const unfolded = head.replace(/\n[ \t]+/g, ' ')
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'mi').exec(unfolded)?.[1] ?? ''
  const bytes = (text: string) => text.replace(/=\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  const quoted = (text: string) => Buffer.from(bytes(text), 'latin1').toString()
  const decoders: Record<string, (text: string) => string> = {
    base64: (text) => Buffer.from(text, 'base64').toString(),
    'quoted-printable': quoted,
  }
  const text = (decoders[header('Content-Transfer-Encoding')] ?? String)(body)
  const words = (value: string) =>
    value
      .replace(/\?= =\?/g, '?==?')
      .replace(/=\?utf-8\?(b|q)\?(.*?)\?=/gi, (_, kind: string, coded: string) =>
        kind.toLowerCase() === 'b' ? Buffer.from(coded, 'base64').toString() : quoted(coded.replaceAll('_', ' ')),
      )
  return {
    to: header('To'),
    subject: words(header('Subject')),
    text,
    tokens: [...text.matchAll(/\/invite#(\S+)/g)].map((found) => found[1]!),
  }
}

export async function administrationRig(environment: Readonly<Record<string, string>> = {}) {
  const at: TestDatabase = await freshDatabase()
  const client = new pg.Client({ connectionString: at.ownerUrl })
  await client.connect()
  /** SQL as the database's owner, on one connection. */
  const owner = async <Row extends object = Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<Row[]> =>
    (await client.query(sql, values)).rows
  const directory = mkdtempSync(join(tmpdir(), 'maristan-people-'))
  const spool = join(directory, 'mail')
  const clock = { at: Date.now(), nowMs: () => clock.at }
  const database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true, writeConnections: 6 })
  const config = readConfig({
    DATA_DIR: directory,
    DATABASE_URL: at.ownerUrl,
    DATABASE_LOGIN_SECRET: loginSecret(),
    KMS_PROVIDER: 'local',
    PUBLIC_URL: 'https://care.example',
    ...environment,
  })
  const composed = compose({
    modules: [tenancy, vault, identity] as unknown as AnyModule[],
    services: {
      clock,
      config,
      log: createLog({ level: 'silent' }),
      kms: await openLocalKms({ file: join(directory, 'kms.json'), mayCreate: true }),
      mail: openMailSpool(spool, 'Maristan <no-reply@maristan.invalid>'),
    },
    database,
    planesOf: (permission) => planesOf(permission as Permission),
  })
  await composed.boot()
  const contract = composed.made['identity']!.contract as Identity
  const passwordHash = await hashPassword(password)
  const caller = (tenantId: string, rest: Pick<Caller, 'plane' | 'actor' | 'permissions'>): Caller => ({
    tenantId,
    purpose: null,
    requestId: newId(),
    sourceAddress: '192.0.2.7',
    userAgent: null,
    ...rest,
  })

  const rig = {
    owner,
    database,
    contract,
    clock,
    composed,

    /** A use case that people run: one command on the login that may touch credentials. */
    act: <Result>(who: Caller, work: (scope: Scope) => Promise<Result>) => database.unit(who).command(work, authLogin),
    operate: <Result>(who: Caller, work: (scope: Scope) => Promise<Result>) => database.unit(who).command(work),
    /** A use case that commits by itself. */
    call<Result>(who: Caller, work: (scope: Scope) => Promise<Result>): Promise<Result> {
      const unit = database.unit(who)
      return unit.read(() => work(unit.scope))
    },
    nobody: (tenantId: string) => caller(tenantId, { plane: 'console', actor: { kind: 'anonymous' }, permissions: new Set() }),

    async ask<Data = Record<string, Record<string, unknown>>>(
      who: Caller,
      source: string,
      variableValues: Record<string, unknown> = {},
    ): Promise<Answer<Data>> {
      const unit = database.unit(who)
      const contextValue = createContext({ unit, plane: who.plane!, locale: 'en', answer: { setCookie() {} } })
      const schema = composed.schemas.plane[who.plane!]
      const { data, errors } = await unit.read(() => graphql({ schema, source, contextValue, variableValues }))
      const codes = (errors ?? []).map(({ originalError, message }) => (originalError as { code?: string } | undefined)?.code ?? message)
      return { data: data as Data | null | undefined, codes }
    },

    letters: (): Letter[] => {
      try {
        return readdirSync(spool).sort().map((name) => readLetter(readFileSync(join(spool, name), 'latin1')))
      } catch {
        return []
      }
    },

    async tenant(locale: 'en' | 'ar' = 'en'): Promise<Tenant> {
      const id = newId()
      const slug = `t${id.slice(-10)}`
      const operator = caller(id, { plane: null, actor: { kind: 'operator', name: 'test' }, permissions: new Set() })
      await rig.operate(operator, async (scope) => {
        await (composed.made['tenancy']!.contract as Tenancy).provision(scope, { slug, legalName: `House ${slug}`, defaultLocale: locale })
        await (composed.made['vault']!.contract as Vault).provisionTenant(scope, {})
      })
      const add = async (role: Role, email = `${role}.${newId().slice(-8)}@${slug}.test`, providerOrgId?: string): Promise<Person> => {
        const org = role === 'provider_manager' ? (providerOrgId ?? newId()) : null
        // Past the contract: members are wanted also after an administrator has signed in.
        const [identityId, membershipId] = [newId(), newId()]
        await owner(
          `with person as (insert into identity.identity (tenant_id, id, email) values ($1, $2, $3) returning 1),
            secret as (insert into identity.credential (tenant_id, identity_id, password_hash) values ($1, $2, $4))
           insert into identity.membership (tenant_id, id, identity_id, plane, role, provider_org_id, status)
           values ($1, $5, $2, $6, $7, $8, 'ACTIVE')`,
          [id, identityId, email, passwordHash, membershipId, planeOf(role), role, org],
        )
        const actor = { kind: 'member', membershipId, identityId, role, sessionId: newId(), via: 'password', providerOrgId: org } as const
        const who = caller(id, { plane: planeOf(role), actor, permissions: permissionsOf(role) })
        return { email, role, membershipId, identityId, caller: who }
      }
      const people: [Role, Person][] = []
      for (const role of roles) people.push([role, await add(role)])
      return { id, slug, operator, of: Object.fromEntries(people) as Record<Role, Person>, add }
    },

    /** A program with a token that carries everything a token can. */
    program: (tenantId: string, permissions: ReadonlySet<string>) =>
      caller(tenantId, { plane: 'integrator', actor: { kind: 'integration', tokenId: newId(), role: 'tenant_admin' }, permissions }),

    /** A live session of a membership. */
    async session({ id }: { id: string }, membershipId: string, plane: string): Promise<string> {
      const sessionId = newId()
      await owner(
        `insert into identity.session (tenant_id, id, membership_id, plane, via, refresh_hash, expires_at)
         values ($1, $2, $3, $4, 'password', $5, now() + interval '1 hour')`,
        [id, sessionId, membershipId, plane, sessionId],
      )
      return sessionId
    },

    async events(tenantId: string, name: string): Promise<Record<string, unknown>[]> {
      const rows = await owner<{ payload: Record<string, unknown> }>(
        'select payload from outbox.event where tenant_id = $1 and name = $2 order by id',
        [tenantId, name],
      )
      return rows.map(({ payload }) => payload)
    },

    async audited(tenantId: string, action: string): Promise<Record<string, unknown>[]> {
      return owner('select * from audit.event where tenant_id = $1 and action = $2 order by id', [tenantId, action])
    },

    async close() {
      await client.end()
      await database.close()
      await at.drop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  return rig
}

/** The code of the fault that `attempt` ends with; `done` when it does not. */
export async function codeOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt
    return 'done'
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (typeof code !== 'string' || !/^[A-Z_]+$/.test(code)) throw error
    return code
  }
}
