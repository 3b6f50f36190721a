/**
 * The demo: two synthetic tenants with a member of every role and a care network each, made once, and `demo.json` that says how to sign
 * in. Interrupted anywhere, the next start goes on. Demo mode listens on loopback only.
 */
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../kernel/id.ts'
import type { Caller, Plane } from '../kernel/scope.ts'
import { permissionsOf, planeOf, type Role } from '../modules/access/contract.ts'
import type { Care } from '../modules/care/contract.ts'
import type { Custody } from '../modules/governance/custody/contract.ts'
import type { Emergency } from '../modules/governance/emergency/contract.ts'
import type { Saml } from '../modules/federation/saml/contract.ts'
import type { Scim } from '../modules/federation/scim/contract.ts'
import type { Protocol } from '../modules/federation/scim/protocol.ts'
import type { Identity } from '../modules/identity/contract.ts'
import type { Tenancy } from '../modules/tenancy/contract.ts'
import type { Vault } from '../modules/vault/contract.ts'
import type { Composed } from '../platform/compose.ts'
import type { Config } from '../platform/config.ts'
import { hmac } from '../platform/crypto/hash.ts'
import type { Database } from '../platform/db/database.ts'
import type { Foundation } from '../platform/db/foundation.ts'
import { authLogin } from '../platform/module.ts'
import { demoGroups, demoRoles, demoTenants, type DemoTenant } from './demo-people.ts'
import { ensureCare, ensureConnection, ensureDisclosure, ensureEmergency, ensureGroups, ensureHold } from './demo-records.ts'
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

export interface Seeder {
  readonly database: Database
  readonly loginSecret: string
  readonly protocol: Protocol
  readonly contract: { identity: Identity; tenancy: Tenancy; vault: Vault; care: Care; custody: Custody; emergency: Emergency; saml: Saml; scim: Scim }
}

/** Makes what is missing of the demo, and writes `demo.json` for a server at `url`. */
export async function seedDemo(options: { config: Config; foundation: Foundation; house: Composed; url: string }): Promise<void> {
  const { config, foundation, house, url } = options
  const seeder: Seeder = {
    database: foundation.database,
    loginSecret: foundation.loginSecret,
    protocol: (house.made['scim'] as unknown as { readonly protocol: Protocol }).protocol,
    contract: {
      identity: house.made['identity']!.contract as Identity,
      tenancy: house.made['tenancy']!.contract as Tenancy,
      vault: house.made['vault']!.contract as Vault,
      care: house.made['care']!.contract as Care,
      custody: house.made['custody']!.contract as Custody,
      emergency: house.made['emergency']!.contract as Emergency,
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
    await ensureDisclosure(seeder, callers)
    await ensureConnection(seeder, callers.get('tenant_admin')!)
    await ensureHold(seeder, callers.get('compliance_officer')!)
    const clinician = members.find(({ role }) => role === 'clinician')!
    const known = before?.tenants.find((one) => one.slug === plan.slug && one.id === id)
    if (!known) await ensureEmergency(seeder, callers, clinician.password)
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

/** A directory with a token, its groups of usual names, and what they mean; safe to repeat, but for the token. */
async function makeScimToken(seeder: Seeder, tenantId: string, admin: Caller): Promise<string> {
  const { scim } = seeder.contract
  const made = await seeder.database
    .unit(operatorCaller(tenantId))
    .command((scope) => scim.operatorCreateToken(scope, { connection: 'Demo directory', name: 'demo' }))
  const rules = demoGroups.map(([value, role]) => ({ match: 'DISPLAY_NAME' as const, value, role }))
  await seeder.database.unit(admin).command((scope) => scim.setRules(scope, { connectionId: made.connectionId, rules }), authLogin)
  await ensureGroups(seeder, tenantId, made.connectionId)
  return made.token
}
