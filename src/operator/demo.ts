/**
 * The demo: two synthetic tenants with a member of every role and a care network each, made once, and `demo.json` that says how to sign
 * in. Interrupted anywhere, the next start goes on. Demo mode listens on loopback only.
 */
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../kernel/id.ts'
import type { Caller, Plane, Scope } from '../kernel/scope.ts'
import { permissionsOf, planeOf, type Role } from '../modules/access/contract.ts'
import type { Care } from '../modules/care/contract.ts'
import type { Saml } from '../modules/federation/saml/contract.ts'
import type { Scim } from '../modules/federation/scim/contract.ts'
import type { Identity } from '../modules/identity/contract.ts'
import type { Tenancy } from '../modules/tenancy/contract.ts'
import type { Vault } from '../modules/vault/contract.ts'
import type { Composed } from '../platform/compose.ts'
import type { Config } from '../platform/config.ts'
import { hmac } from '../platform/crypto/hash.ts'
import type { Database } from '../platform/db/database.ts'
import type { Foundation } from '../platform/db/foundation.ts'
import { authLogin } from '../platform/module.ts'
import { demoGroups, demoHelpers, demoRecipients, demoRelatives, demoRoles, demoTenants, type DemoTenant } from './demo-people.ts'
import { hostOfTenant } from './open.ts'
import { operatorCaller } from './operator-scope.ts'

interface DemoMember {
  readonly email: string
  readonly password: string
  readonly role: Role
  readonly plane: Plane
  readonly totpSecret: null
}

interface DemoFile {
  readonly url: string
  readonly tenants: readonly {
    readonly slug: string
    readonly host: string
    readonly id: string
    readonly members: readonly DemoMember[]
    readonly apiToken: string
    readonly saml: { readonly entityId: string; readonly metadataUrl: string; readonly acsUrl: string; readonly loginUrl: string }
    readonly scim: { readonly baseUrl: string; readonly token: string }
  }[]
}

interface Seeder {
  readonly database: Database
  readonly loginSecret: string
  readonly contract: { identity: Identity; tenancy: Tenancy; vault: Vault; care: Care; saml: Saml; scim: Scim }
}

/** Makes what is missing of the demo, and writes `demo.json` for a server at `url`. */
export async function seedDemo(options: { config: Config; foundation: Foundation; house: Composed; url: string }): Promise<void> {
  const { config, foundation, house, url } = options
  const seeder: Seeder = {
    database: foundation.database,
    loginSecret: foundation.loginSecret,
    contract: {
      identity: house.made['identity']!.contract as Identity,
      tenancy: house.made['tenancy']!.contract as Tenancy,
      vault: house.made['vault']!.contract as Vault,
      care: house.made['care']!.contract as Care,
      saml: house.made['saml']!.contract as Saml,
      scim: house.made['scim']!.contract as Scim,
    },
  }
  const path = join(config.dataDir, 'demo.json')
  const before = await readDemo(path)
  const tenants: DemoFile['tenants'][number][] = []
  for (const plan of demoTenants) {
    const id = await ensureTenant(seeder, plan)
    const members = membersOf(seeder, plan)
    const callers = await memberCallers(seeder, id)
    await ensureCare(seeder, plan, callers)
    const known = before?.tenants.find((one) => one.slug === plan.slug && one.id === id)
    const apiToken = known?.apiToken ?? (await makeApiToken(seeder, callers.get('tenant_admin')!))
    const token = known?.scim?.token ?? (await makeScimToken(seeder, id, callers.get('tenant_admin')!))
    const scim = { baseUrl: `${url}/scim/v2`, token }
    tenants.push({ slug: plan.slug, host: hostOfTenant(config, plan.slug), id, members, apiToken, scim, saml: await samlOf(seeder, id) })
  }
  await writeFile(`${path}.part`, `${JSON.stringify({ url, tenants } satisfies DemoFile, null, 2)}\n`, { mode: 0o600 })
  await chmod(`${path}.part`, 0o600)
  await rename(`${path}.part`, path)
}

async function readDemo(path: string): Promise<DemoFile | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as DemoFile
  } catch {
    return null
  }
}

/** Derived, so that an interrupted start can say them again; only demo mode on loopback ever has them. */
function passwordOf(seeder: Seeder, email: string): string {
  return hmac(seeder.loginSecret, `maristan demo password ${email}`).toString('base64url').slice(0, 20)
}

function membersOf(seeder: Seeder, plan: DemoTenant): DemoMember[] {
  return demoRoles.map((role) => {
    const email = `${role.replaceAll('_', '.')}@${plan.slug}.example`
    return { email, password: passwordOf(seeder, email), role, plane: planeOf(role), totpSecret: null }
  })
}

/** The tenant with its key and its seven members: one command, all or nothing. */
async function ensureTenant(seeder: Seeder, plan: DemoTenant): Promise<string> {
  const existing = await seeder.database.gate.tenantBySlug(plan.slug)
  if (existing) return existing.tenantId
  const { tenancy, vault, identity } = seeder.contract
  const unit = seeder.database.unit(operatorCaller(newId()))
  const { slug, legalName, kind, locale, timezone, currency } = plan
  await unit.command(async (scope) => {
    await tenancy.provision(scope, { slug, legalName, kind, defaultLocale: locale, timezone, currency })
    await vault.provisionTenant(scope, {})
    for (const { email, password, role } of membersOf(seeder, plan)) {
      if (role === 'tenant_admin') await identity.provisionAdmin(scope, { email, password })
      else {
        const org = role === 'provider_manager' ? { providerOrgId: newId() } : {}
        await identity.operatorAddMember(scope, { email, password, role, locale, ...org })
      }
    }
  })
  return unit.tenantId
}

/** Each role's demo member as a caller, with a session that exists on paper only. */
async function memberCallers(seeder: Seeder, tenantId: string): Promise<Map<Role, Caller>> {
  const unit = seeder.database.unit(operatorCaller(tenantId))
  const rows = await unit.read(() => unit.db.membership.findMany({ where: { status: 'ACTIVE' }, orderBy: { id: 'asc' } }))
  return new Map(
    rows.toReversed().map((row) => {
      const role = row.role as Role
      const actor = {
        kind: 'member',
        membershipId: row.id,
        identityId: row.identityId,
        role,
        sessionId: newId(),
        via: 'password',
        providerOrgId: row.providerOrgId,
      } as const
      return [role, { ...operatorCaller(tenantId), plane: planeOf(role), actor, permissions: permissionsOf(role) }]
    }),
  )
}

async function makeApiToken(seeder: Seeder, admin: Caller): Promise<string> {
  const unit = seeder.database.unit(admin)
  const made = await unit.command(
    (scope) => seeder.contract.identity.createApiToken(scope, { name: 'demo', permissions: ['tenant:read', 'user:read'] }),
    authLogin,
  )
  return made.token
}

/** What an identity provider is given to connect with. */
async function samlOf({ database, contract }: Seeder, tenantId: string): Promise<DemoFile['tenants'][number]['saml']> {
  const unit = database.unit(operatorCaller(tenantId))
  const { entityId, metadataUrl, acsUrl, loginUrl } = await unit.read(() => contract.saml.addresses(unit.scope, {}))
  return { entityId, metadataUrl, acsUrl, loginUrl }
}

/** A directory with a token, and what its groups of usual names mean: one command each, the second safe to repeat. */
async function makeScimToken(seeder: Seeder, tenantId: string, admin: Caller): Promise<string> {
  const { scim } = seeder.contract
  const made = await seeder.database
    .unit(operatorCaller(tenantId))
    .command((scope) => scim.operatorCreateToken(scope, { connection: 'Demo directory', name: 'demo' }))
  const rules = demoGroups.map(([value, role]) => ({ match: 'DISPLAY_NAME' as const, value, role }))
  await seeder.database.unit(admin).command((scope) => scim.setRules(scope, { connectionId: made.connectionId, rules }), authLogin)
  return made.token
}

/** Recipients with their relatives and helpers, as the coordinator makes them: one command. */
async function ensureCare(seeder: Seeder, plan: DemoTenant, callers: ReadonlyMap<Role, Caller>): Promise<void> {
  const coordinator = seeder.database.unit(callers.get('care_coordinator')!)
  const existing = await coordinator.read(() => coordinator.db.careRecipient.count())
  if (existing > 0) return
  const membershipOf = (role: Role): string => {
    const { actor } = callers.get(role)!
    if (actor.kind !== 'member') throw new Error('A demo caller is a member.')
    return actor.membershipId
  }
  await coordinator.command((scope) => seedNetwork(seeder.contract.care, scope, plan, membershipOf))
}

async function seedNetwork(care: Care, scope: Scope, plan: DemoTenant, membershipOf: (role: Role) => string): Promise<void> {
  const nth = <T>(list: readonly T[], k: number): T => list[k % list.length]!
  let people = 0
  const person = () => {
    const k = people++
    return { givenName: nth(plan.givenNames, k), familyName: nth(plan.familyNames, k * 3 + Math.floor(k / plan.familyNames.length)) }
  }
  const phone = (k: number) => `${plan.phonePrefix}${String(100 + k)}`

  const recipients: string[] = []
  for (let k = 0; k < demoRecipients; k++) {
    const made = await care.createRecipient(scope, {
      ...person(),
      birthDate: `${1931 + ((k * 7) % 40)}-0${1 + (k % 9)}-1${k % 9}`,
      sex: k % 2 === 0 ? 'FEMALE' : 'MALE',
      mrn: `${plan.slug.toUpperCase()}-${1000 + k}`,
      phone: phone(k),
      address: `${nth(plan.streets, k)} ${k + 1}`,
      preferredLocale: plan.locale,
      areaGeohash5: plan.area,
    })
    recipients.push(made.partyId)
  }
  const party = async (kind: 'FAMILY' | 'CAREGIVER' | 'CLINICIAN' | 'ORG', k: number, membershipId?: string) => {
    const { givenName, familyName } = person()
    const made = await care.createParty(scope, { kind, name: `${givenName} ${familyName}`, phone: phone(50 + k), ...(membershipId ? { membershipId } : {}) })
    return made.id
  }

  // The demo's family member represents the first recipient; every other relative belongs to somebody, some to each other.
  const relatives: string[] = []
  for (let k = 0; k < demoRelatives; k++) {
    const id = await party('FAMILY', k, k === 0 ? membershipOf('family') : undefined)
    relatives.push(id)
    const isSecondRing = k >= 10
    await care.linkParty(scope, {
      fromPartyId: id,
      toPartyId: isSecondRing ? relatives[k - 10]! : nth(recipients, k),
      relation: k % 3 === 0 ? 'CHILD' : 'RELATIVE',
      capabilities: k === 0 ? ['VIEW', 'PHI', 'EDIT', 'MANAGE'] : ['VIEW'],
      legalGuardian: k === 0,
    })
  }
  // Clinicians and carers, the first of each a member; each looks after a few.
  for (let k = 0; k < demoHelpers; k++) {
    const clinician = k % 2 === 0
    const member = k === 0 ? membershipOf('clinician') : k === 1 ? membershipOf('caregiver') : undefined
    const id = await party(clinician ? 'CLINICIAN' : 'CAREGIVER', 20 + k, member)
    for (const offset of k < 2 ? [0, 1, 2] : [k % demoRecipients]) {
      await care.linkParty(scope, {
        fromPartyId: id,
        toPartyId: recipients[offset]!,
        relation: clinician ? 'PHYSICIAN' : 'CAREGIVER',
        capabilities: clinician ? ['VIEW', 'PHI', 'EDIT', 'MANAGE'] : ['VIEW', 'PHI', 'EDIT'],
      })
    }
  }
}
