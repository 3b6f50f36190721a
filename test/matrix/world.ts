/**
 * The ground of the matrix tests: one tenant with a member of every role and, for each scoped one, records within and beyond its reach;
 * and a second tenant with the same kinds of records, which nobody of the first may reach. Made once, before anybody signs in.
 */
import { expect } from 'vitest'
import { newId } from '../../src/kernel/id.ts'
import type { Caller, Scope } from '../../src/kernel/scope.ts'
import { planeOf, roles, type Role } from '../../src/modules/access/contract.ts'
import type { Care } from '../../src/modules/care/contract.ts'
import type { Scim } from '../../src/modules/federation/scim/contract.ts'
import type { Identity } from '../../src/modules/identity/contract.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import { encodeGlobalId } from '../../src/platform/graphql/global-id.ts'
import { authLogin } from '../../src/platform/module.ts'
import { freshHouse, type Reply, type TestHouse, type TestTenant } from '../kit/house.ts'
import { subscribe } from '../kit/stream.ts'

export type Capability = 'VIEW' | 'PHI' | 'EDIT' | 'MANAGE'
export type Variables = Readonly<Record<string, unknown>>
/** What a root field answered. */
export interface Payload {
  readonly code?: string
  readonly edges?: readonly { readonly node: { readonly id: string; readonly subjectId?: string | null } }[]
  readonly [name: string]: unknown
}
export type Answer = Reply<Record<string, Payload | null>>

/** A recipient, by global ids. */
export interface Person {
  readonly id: string
  readonly partyId: string
}

export const gid = encodeGlobalId
export const rawId = (globalId: string): string => Buffer.from(globalId, 'base64url').toString().split(':')[1]!

/** Everything that is sealed of a recipient, as planted. */
export const planted = {
  givenName: 'أمل',
  familyName: 'Haddad',
  birthDate: '1941-03-27',
  sex: 'FEMALE',
  mrn: 'MRN-17',
  nationalId: 'N-4711',
  phone: '+961 1 234567',
  address: '12 Cedar Street',
} as const

export const everything: readonly Capability[] = ['VIEW', 'PHI', 'EDIT', 'MANAGE']

type LinkMore = { readonly legalGuardian?: boolean; readonly validFrom?: string; readonly validTo?: string }

/** What a tenant's coordinator and administrator plant, through the contracts; every id it answers is global. */
export function planter(house: TestHouse, tenant: TestTenant) {
  const care = house.composed.made['care']!.contract as Care
  const identity = house.composed.made['identity']!.contract as Identity
  const coordinator = tenant.member.care_coordinator.caller
  const command = <T>(caller: Caller, work: (scope: Scope) => Promise<T>, login?: typeof authLogin): Promise<T> =>
    house.database.unit({ ...caller, requestId: newId() }).command(work, login)
  return {
    async person(): Promise<Person> {
      const { id, partyId } = await command(coordinator, (scope) => care.createRecipient(scope, planted))
      return { id: gid('CareRecipient', id), partyId: gid('CareParty', partyId) }
    },
    async party(kind: 'FAMILY' | 'CAREGIVER' | 'CLINICIAN' | 'ORG', membershipId?: string): Promise<string> {
      const input = { kind, name: 'Somebody', phone: '01 234567', ...(membershipId ? { membershipId } : {}) }
      return gid('CareParty', (await command(coordinator, (scope) => care.createParty(scope, input))).id)
    },
    async link(from: string, to: string, capabilities: readonly Capability[], more: LinkMore = {}): Promise<string> {
      const ends = { fromPartyId: rawId(from), toPartyId: rawId(to) }
      const input = { ...ends, relation: 'OTHER' as const, capabilities: [...capabilities], ...more }
      return gid('CareLink', (await command(coordinator, (scope) => care.linkParty(scope, input))).id)
    },
    async consent(person: Person, grantee: string): Promise<string> {
      const between = { recipientId: rawId(person.id), granteeId: rawId(grantee) }
      const input = { ...between, purpose: 'TREATMENT' as const, fieldSet: ['phone' as const] }
      return gid('Consent', (await command(coordinator, (scope) => care.grantConsent(scope, input))).id)
    },
    async apiToken(): Promise<string> {
      const input = { name: 'A program', permissions: ['tenant:read' as const] }
      const made = await command(tenant.member.tenant_admin.caller, (scope) => identity.createApiToken(scope, input), authLogin)
      return gid('ApiToken', made.id)
    },
    /** A directory of the tenant with a token, a user who is nobody's member yet, and one recorded exchange. */
    async scim() {
      const scim = house.composed.made['scim']!.contract as Scim
      const plant = async (scope: Scope) => {
        const { id: connectionId } = await scim.createConnection(scope, { name: `Directory ${newId()}` })
        return scim.createToken(scope, { connectionId, name: 'token' })
      }
      const made = await command(tenant.member.tenant_admin.caller, plant, authLogin)
      const [user, exchange] = [newId(), newId()]
      await house.at.owner(
        `insert into scim."user" (tenant_id, id, connection_id, user_name, user_name_key, active, attributes, search)
         values ($1, $2, $3, 'planted', 'planted', true, '{"userName":"planted"}', '{"userName":"planted"}')`,
        [tenant.id, user, made.connectionId],
      )
      await house.at.owner(
        `insert into scim.exchange (tenant_id, id, connection_id, token_id, request_id, method, path, status, duration_ms, at)
         values ($1, $2, $3, $4, 'planted', 'GET', '/Users', 200, 1, now())`,
        [tenant.id, exchange, made.connectionId, made.id],
      )
      return {
        connection: gid('ScimConnection', made.connectionId),
        token: gid('ScimToken', made.id),
        user: gid('ScimUser', user),
        exchange: gid('ScimExchange', exchange),
      }
    },
    async invitation(inviter: Role, role: Role, more: { providerOrgId?: string; recipientId?: string } = {}): Promise<string> {
      const input = { email: `${newId()}@newcomer.test`, role, ...more }
      const { id } = await command(tenant.member[inviter].caller, (scope) => identity.inviteMember(scope, input), authLogin)
      // Letters of one invitation keep a pause between them: this one is old enough for the next.
      await house.at.owner(`update identity.invitation set expires_at = expires_at - interval '10 minutes' where id = $1`, [id])
      return gid('Invitation', id)
    },
  }
}

export type World = Awaited<ReturnType<typeof makeWorld>>

export async function makeWorld() {
  const house = await freshHouse()
  const [here, there] = [await house.tenant(), await house.tenant()]
  const [plant, plantThere] = [planter(house, here), planter(house, there)]

  const seller = here.member.provider_manager.caller.actor
  const ownOrg = (seller.kind === 'member' ? seller.providerOrgId : null)!
  const otherOrg = newId()
  const spares = await importSpares(house, here, { ownOrg, otherOrg })

  const mine = {
    clinician: await plant.party('CLINICIAN', here.member.clinician.membershipId),
    caregiver: await plant.party('CAREGIVER', here.member.caregiver.membershipId),
    family: await plant.party('FAMILY', here.member.family.membershipId),
  }
  /** A recipient to whom clinician and caregiver are linked with just these capabilities, and whose legal guardian is the family member. */
  const linked = async (capabilities: readonly Capability[]): Promise<Person> => {
    const person = await plant.person()
    for (const carer of [mine.clinician, mine.caregiver]) await plant.link(carer, person.partyId, capabilities)
    await plant.link(mine.family, person.partyId, ['VIEW'], { legalGuardian: true })
    return person
  }
  const without = (one: Capability) => linked(everything.filter((other) => other !== one))
  const within: Record<Capability, Person> = {
    VIEW: await linked(['VIEW']),
    PHI: await linked(['VIEW', 'PHI']),
    EDIT: await linked(['VIEW', 'EDIT']),
    MANAGE: await linked(['VIEW', 'MANAGE']),
  }
  const lacking = { PHI: await without('PHI'), EDIT: await without('EDIT'), MANAGE: await without('MANAGE') }

  // Nobody's: the carers are two hops away, the family member is a relative with every capability who represents nobody.
  const stranger = await plant.person()
  const between = await plant.party('CLINICIAN')
  for (const carer of [mine.clinician, mine.caregiver]) await plant.link(carer, between, everything)
  const strangerLink = await plant.link(between, stranger.partyId, everything)
  await plant.link(mine.family, stranger.partyId, everything)

  const foreign = await plantThere.person()
  const foreignParty = await plantThere.party('FAMILY')
  const world = {
    house,
    here,
    there,
    plant,
    ownOrg,
    otherOrg,
    mine,
    within,
    lacking,
    stranger,
    strangerLink,
    strangerConsent: await plant.consent(stranger, between),
    invitations: {
      byAdmin: await plant.invitation('tenant_admin', 'clinician'),
      ofOwnOrg: await plant.invitation('tenant_admin', 'provider_manager', { providerOrgId: ownOrg }),
      ofOtherOrg: await plant.invitation('tenant_admin', 'provider_manager', { providerOrgId: otherOrg }),
      byFamily: await plant.invitation('family', 'family', { recipientId: rawId(within.VIEW.id) }),
    },
    apiToken: await plant.apiToken(),
    scim: await plant.scim(),
    foreign: {
      ...foreign,
      party: foreignParty,
      link: await plantThere.link(foreignParty, foreign.partyId, everything),
      consent: await plantThere.consent(foreign, foreignParty),
      apiToken: await plantThere.apiToken(),
      scim: await plantThere.scim(),
      invitation: await plantThere.invitation('tenant_admin', 'clinician'),
    },
    /** A member of `here` for whom nobody else in these tests has any use. */
    spare(kind: 'clinician' | 'seller'): string {
      const id = spares[kind].pop()
      expect(id, `there is a spare ${kind} left`).toBeDefined()
      return gid('Membership', id!)
    },
    otherSeller: gid('Membership', spares.otherSeller[0]!),
    member: (role: Role, tenant = here): string => gid('Membership', tenant.member[role].membershipId),
  }

  const tokens = new Map<Role, string>()
  for (const role of roles) tokens.set(role, await house.signIn(here, role))
  return {
    ...world,
    /** One operation of a member of `here`; `host` names another tenant than the token's. */
    /** A subscription's answer is its first. */
    async ask(role: Role, document: string, variables: Variables = {}, host = here): Promise<Answer> {
      const asking = { plane: planeOf(role), bearer: tokens.get(role)!, tenant: host.slug }
      if (!document.startsWith('subscription')) return house.ask(asking, document, variables)
      const { status, headers, next, leave } = await subscribe<Record<string, Payload | null>>(house, asking, document, variables)
      const { data, errors } = (await next())!
      leave()
      return { status, headers, data, errors }
    },
    /** The audit rows that one answer left. */
    trail: (answer: { readonly headers: Headers }) =>
      house.at.owner<{ action: string; outcome: string; permission: string | null; actor_id: string }>(
        `select action, outcome, detail->>'permission' as permission, actor_id from audit.event where request_id = $1`,
        [answer.headers.get('x-request-id')],
      ),
    async versionOf(table: 'identity.membership' | 'care.recipient', globalId: string): Promise<number> {
      const [row] = await house.at.owner<{ version: number }>(`select version from ${table} where id = $1`, [rawId(globalId)])
      return row!.version
    },
  }
}

/** Members to change and to end, with a hash that is there already: hashing a password for each would take seconds. */
async function importSpares(house: TestHouse, tenant: TestTenant, orgs: { ownOrg: string; otherOrg: string }) {
  const identity = house.composed.made['identity']!.contract as Identity
  const [credential] = await house.at.owner<{ password_hash: string }>('select password_hash from identity.credential limit 1')
  const passwordHash = credential!.password_hash
  const add = (scope: Scope, role: Role, providerOrgId?: string) =>
    identity.importMember(scope, { email: `${newId()}@spare.test`, role, passwordHash, ...(providerOrgId ? { providerOrgId } : {}) })
  return house.database.unit(operatorCaller(tenant.id)).command(async (scope) => {
    const made = { clinician: [] as string[], seller: [] as string[], otherSeller: [] as string[] }
    for (let count = 0; count < 16; count++) made.clinician.push((await add(scope, 'clinician')).membershipId)
    for (let count = 0; count < 6; count++) made.seller.push((await add(scope, 'provider_manager', orgs.ownOrg)).membershipId)
    made.otherSeller.push((await add(scope, 'provider_manager', orgs.otherOrg)).membershipId)
    return made
  })
}
