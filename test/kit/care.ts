/** For care's tests: tenancy, vault and care over a fresh database, members of every role, and operations as they would run. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { graphql, type ExecutionResult } from 'graphql'
import pg from 'pg'
import { freshDatabase, loginSecret, type TestDatabase } from './postgres.ts'
import { textOf, type Operation } from './typed.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { newId } from '../../src/kernel/id.ts'
import type { Caller, Scope } from '../../src/kernel/scope.ts'
import { compose, type Composed } from '../../src/platform/compose.ts'
import { openLocalKms } from '../../src/platform/crypto/kms-local.ts'
import type { Kms } from '../../src/platform/crypto/kms.ts'
import { Database } from '../../src/platform/db/database.ts'
import { urlFor, type Login } from '../../src/platform/db/logins.ts'
import { createContext } from '../../src/platform/graphql/context.ts'
import { encodeGlobalId } from '../../src/platform/graphql/global-id.ts'
import type { Services } from '../../src/platform/module.ts'
import { permissionsOf, planeOf, planesOf, type Permission, type Role } from '../../src/modules/access/contract.ts'
import type { Tenancy } from '../../src/modules/tenancy/contract.ts'
import { tenancy } from '../../src/modules/tenancy/index.ts'
import type { Vault } from '../../src/modules/vault/contract.ts'
import { vault } from '../../src/modules/vault/index.ts'
import type { Care, Phi } from '../../src/modules/care/contract.ts'
import { care } from '../../src/modules/care/index.ts'
import type { Capability } from '../../src/modules/care/rules.ts'

export interface Answer<Data = Readonly<Record<string, unknown>>> {
  readonly data: Data | null | undefined
  readonly codes: readonly string[]
  readonly errors: ExecutionResult['errors']
}

export interface CareHouse {
  readonly at: TestDatabase
  readonly database: Database
  readonly composed: Composed
  readonly care: Care
  readonly vault: Vault
  /** A tenant with its key. */
  tenant(): Promise<string>
  member(tenantId: string, role: Role): Caller
  /** One operation, as an endpoint would run it. A generated document says what its variables and its answer are. */
  ask<Data = Readonly<Record<string, unknown>>, Variables = Record<string, unknown>>(
    caller: Caller,
    operation: Operation<Data, Variables>,
    variables?: NoInfer<Variables>,
  ): Promise<Answer<Data>>
  /** One use case in a command of its own. */
  command<Result>(caller: Caller, work: (scope: Scope) => Promise<Result>): Promise<Result>
  read<Result>(caller: Caller, work: (scope: Scope) => Promise<Result>): Promise<Result>
  /** The same house as another process, which has just started, would have it. */
  cold(wrapKms: (kms: Kms) => Kms): Pick<CareHouse, 'ask'>
  /** Raw SQL as one of the logins, with the settings of a caller. */
  asLogin<Row extends object>(login: Login, caller: Caller, sql: string, values?: unknown[]): Promise<Row[]>
  close(): Promise<void>
}

export const gid = encodeGlobalId

/** What lies at a path of an answer, `*` for each of a list: `pick(data, 'recipients.edges.*.node.id')`. */
export function pick(value: unknown, path: string): unknown {
  const [step, ...rest] = path.split('.')
  if (path === '') return value
  if (step === '*') return (value as unknown[]).map((one) => pick(one, rest.join('.')))
  return pick((value as Record<string, unknown> | null | undefined)?.[step!], rest.join('.'))
}

/** What a test plants as a care coordinator, through the contract. */
export interface Planting {
  readonly coordinator: Caller
  recipient(phi?: Partial<Phi>, member?: Caller): Promise<{ id: string; partyId: string }>
  party(kind: 'FAMILY' | 'CAREGIVER' | 'CLINICIAN' | 'ORG', member?: Caller, name?: string): Promise<string>
  link(from: string, to: string, capabilities: readonly Capability[], more?: LinkMore): Promise<string>
}
type LinkMore = { readonly legalGuardian?: boolean; readonly validFrom?: string; readonly validTo?: string }

export const daysFromNow = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString()

export function planting(house: CareHouse, tenantId: string): Planting {
  const coordinator = house.member(tenantId, 'care_coordinator')
  return {
    coordinator,
    recipient: (phi = {}, member) =>
      house.command(coordinator, (scope) =>
        house.care.createRecipient(scope, { givenName: 'Amal', ...phi, ...(member ? { membershipId: membershipOf(member) } : {}) }),
      ),
    async party(kind, member, name = 'Somebody') {
      const input = { kind, name, ...(member ? { membershipId: membershipOf(member) } : {}) }
      return (await house.command(coordinator, (scope) => house.care.createParty(scope, input))).id
    },
    async link(fromPartyId, toPartyId, carried, more = {}) {
      const input = { fromPartyId, toPartyId, relation: 'OTHER' as const, capabilities: [...carried], ...more }
      return (await house.command(coordinator, (scope) => house.care.linkParty(scope, input))).id
    },
  }
}

export const membershipOf = (caller: Caller): string => {
  if (caller.actor.kind !== 'member') throw new Error('Not a member.')
  return caller.actor.membershipId
}

export async function careHouse(): Promise<CareHouse> {
  const at = await freshDatabase()
  const directory = mkdtempSync(join(tmpdir(), 'maristan-care-'))
  const localKms = await openLocalKms({ file: join(directory, 'kms.key'), mayCreate: true })
  const database = new Database({ url: at.ownerUrl, loginSecret: loginSecret(), preparedStatements: true })
  const composeWith = (kms: Kms): Composed =>
    compose({
      modules: [tenancy, vault, care],
      services: { clock: systemClock, kms } as Services,
      database,
      planesOf: (permission) => planesOf(permission as Permission),
    })
  const askIn = ({ schemas }: Composed): CareHouse['ask'] =>
    async (who, operation, variables) => {
      const [source, variableValues] = [textOf(operation), { ...variables }]
      const unit = database.unit(who)
      const contextValue = createContext({ unit, plane: who.plane!, locale: 'en', answer: { setCookie() {} } })
      const { data, errors } = await unit.read(() => graphql({ schema: schemas.plane[who.plane!], source, contextValue, variableValues }))
      const codes = (errors ?? []).map(({ originalError }) => (originalError as { code?: string } | undefined)?.code ?? 'NONE')
      return { data: data as never, errors, codes }
    }
  const composed = composeWith(localKms)
  const contract = { care: composed.made['care']!.contract as Care, vault: composed.made['vault']!.contract as Vault }
  const caller = (tenantId: string, rest: Pick<Caller, 'plane' | 'actor' | 'permissions'>): Caller => ({
    tenantId,
    purpose: 'TREATMENT',
    requestId: newId(),
    sourceAddress: null,
    userAgent: null,
    ...rest,
  })

  const house: CareHouse = {
    at,
    database,
    composed,
    ...contract,

    async tenant() {
      const tenantId = newId()
      const operator = caller(tenantId, { plane: null, actor: { kind: 'operator', name: 'test' }, permissions: new Set() })
      await house.command(operator, async (scope) => {
        await (composed.made['tenancy']!.contract as Tenancy).provision(scope, { slug: `t${tenantId.slice(-10)}`, legalName: 'Test' })
        await contract.vault.provisionTenant(scope, {})
      })
      return tenantId
    },

    member: (tenantId, role) =>
      caller(tenantId, {
        plane: planeOf(role),
        permissions: permissionsOf(role),
        actor: {
          kind: 'member',
          membershipId: newId(),
          identityId: newId(),
          role,
          sessionId: newId(),
          via: 'password',
          providerOrgId: null,
        },
      }),

    ask: askIn(composed),
    cold: (wrapKms) => ({ ask: askIn(composeWith(wrapKms(localKms))) }),

    command: (who, work) => database.unit(who).command(work),
    read(who, work) {
      const unit = database.unit(who)
      return unit.read(() => work(unit.scope))
    },

    async asLogin<Row extends object>(login: Login, who: Caller, sql: string, values: unknown[] = []) {
      const client = new pg.Client({ connectionString: urlFor(login, at.ownerUrl, loginSecret()) })
      await client.connect()
      try {
        await client.query('begin')
        const role = who.actor.kind === 'member' ? who.actor.role : ''
        const settings = { tenant_id: who.tenantId, membership_id: membershipOf(who), role }
        for (const [name, value] of Object.entries(settings)) await client.query('select set_config($1, $2, true)', [`app.${name}`, value])
        const { rows } = await client.query<Row>(sql, values)
        await client.query('commit')
        return rows
      } finally {
        await client.end()
      }
    },

    async close() {
      await database.close()
      await at.drop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  return house
}
