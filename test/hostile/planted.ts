/** Rows for the hostile tests, made by the modules' own contracts: everything a tenant may have, with spares to be changed. */
import type { Care } from '../../src/modules/care/contract.ts'
import { roles, tokenPermissions } from '../../src/modules/access/contract.ts'
import type { Identity } from '../../src/modules/identity/contract.ts'
import type { Tenancy } from '../../src/modules/tenancy/contract.ts'
import { newId } from '../../src/kernel/id.ts'
import type { Caller } from '../../src/kernel/scope.ts'
import { operatorCaller } from '../../src/operator/operator-scope.ts'
import { authLogin } from '../../src/platform/db/logins.ts'
import { encodeGlobalId } from '../../src/platform/graphql/global-id.ts'
import { plantMore } from './planted-more.ts'
import { password, type TestHouse, type TestTenant } from '../kit/house.ts'

/** Makes `count` recipients in one command. @returns their ids. */
export async function careRecipients(house: TestHouse, tenant: TestTenant, count: number): Promise<string[]> {
  const care = house.composed.made['care']!.contract as Care
  const ids: string[] = []
  await house.database.unit(tenant.member.care_coordinator.caller).command(async (scope) => {
    for (let at = 0; at < count; at++) ids.push((await care.createRecipient(scope, { givenName: `Recipient ${at}` })).id)
  })
  return ids
}

/** Where the rows behind each kind of global id are. */
const tables = {
  CareRecipient: 'care.recipient',
  CareParty: 'care.party',
  CareLink: 'care.edge',
  Consent: 'care.consent',
  DisclosureGrant: 'care.disclosure_grant',
  Membership: 'identity.membership',
  Identity: 'identity.identity',
  Session: 'identity.session',
  Invitation: 'identity.invitation',
  ApiToken: 'identity.api_token',
  AuditEvent: 'audit.event',
  ScimConnection: 'scim.connection',
  ScimToken: 'scim.token',
  ScimUser: 'scim."user"',
  ScimExchange: 'scim.exchange',
  SsoConnection: 'saml.connection',
  SamlAttempt: 'saml.attempt',
  ReviewItem: 'hitl.review_item',
  ReviewDecision: 'hitl.review_decision',
  BreakGlassGrant: 'emergency.break_glass_grant',
  OperatorApproval: 'tenancy.operator_approval',
  LegalHold: 'custody.legal_hold',
} as const

export interface Planted {
  /** Global ids by type, at most eight each; none of a membership or session that asks. */
  readonly ids: ReadonlyMap<string, readonly string[]>
  readonly apiToken: string
  /** Signs in with two memberships on the console. */
  readonly twofold: string
}

/** Fills a tenant whose members have not signed in yet: what signs in later is not among the ids. */
export async function plant(house: TestHouse, tenant: TestTenant): Promise<Planted> {
  const care = house.composed.made['care']!.contract as Care
  const identity = house.composed.made['identity']!.contract as Identity
  const twofold = `twofold@${tenant.slug}.test`
  const [{ org } = { org: newId() }] = await house.at.owner<{ org: string }>(
    'select provider_org_id as org from identity.membership where tenant_id = $1 and provider_org_id is not null',
    [tenant.id],
  )
  await house.database.unit(operatorCaller(tenant.id)).command(async (scope) => {
    for (const role of roles) {
      const given = { email: `spare-${role}@${tenant.slug}.test`, password, role }
      await identity.operatorAddMember(scope, { ...given, ...(role === 'provider_manager' ? { providerOrgId: org } : {}) })
    }
    for (const role of ['tenant_admin', 'care_coordinator'] as const) {
      await identity.operatorAddMember(scope, { email: twofold, password, role })
    }
  })
  const [spare] = await house.at.owner<{ id: string; person: string }>(
    `select id, identity_id as person from identity.membership where tenant_id = $1 and role = 'care_coordinator' and id <> $2 order by id`,
    [tenant.id, tenant.member.care_coordinator.membershipId],
  )
  const { caller } = tenant.member.care_coordinator
  const actor = { ...caller.actor, membershipId: spare!.id, identityId: spare!.person } as Caller['actor']
  const recipientId = await house.database.unit({ ...caller, actor }).command(async (scope) => {
    const recipients = [
      await care.createRecipient(scope, { givenName: 'Amal', membershipId: tenant.member.family.membershipId }),
      await care.createRecipient(scope, { givenName: 'Basma' }),
      await care.createRecipient(scope, { givenName: 'Dalal' }),
    ]
    for (const [role, kind, relation] of [
      ['clinician', 'CLINICIAN', 'PHYSICIAN'],
      ['caregiver', 'CAREGIVER', 'CAREGIVER'],
      ['family', 'FAMILY', 'CHILD'],
    ] as const) {
      const party = await care.createParty(scope, { kind, name: `The ${role}`, membershipId: tenant.member[role].membershipId })
      for (const { id, partyId } of recipients) {
        const capabilities = ['VIEW', 'PHI', 'EDIT', 'MANAGE'] as const
        const legalGuardian = role === 'family'
        await care.linkParty(scope, { fromPartyId: party.id, toPartyId: partyId, relation, capabilities: [...capabilities], legalGuardian })
        await care.grantConsent(scope, { recipientId: id, granteeId: party.id, purpose: 'TREATMENT', fieldSet: ['givenName'] })
      }
    }
    return recipients[0]!.id
  })
  await plantMore(house, tenant, recipientId)
  for (const hours of [1, 2]) {
    const tenancy = house.composed.made['tenancy']!.contract as Tenancy
    await house.database.unit(tenant.member.tenant_admin.caller).command((scope) => tenancy.approveOperator(scope, { reason: 'Moving in', hours }))
  }
  const invite = (by: 'tenant_admin' | 'family' | 'provider_manager', given: object) =>
    house.database.unit(tenant.member[by].caller).command(
      (scope) => identity.inviteMember(scope, { email: `guest-${newId()}@${tenant.slug}.test`, ...given } as never),
      authLogin,
    )
  for (let at = 0; at < 2; at++) {
    await invite('tenant_admin', { role: 'clinician' })
    await invite('family', { role: 'family', recipientId })
    await invite('provider_manager', { role: 'provider_manager', providerOrgId: org })
  }
  const admin = house.database.unit(tenant.member.tenant_admin.caller)
  const permissions = [...tokenPermissions('tenant_admin')]
  const newToken = () => admin.command((scope) => identity.createApiToken(scope, { name: 'Spare', permissions }), authLogin)
  for (const role of roles) for (let at = 0; at < 2; at++) await house.signIn(tenant, role)
  await newToken()
  const ids = new Map<string, readonly string[]>([['ProviderOrg', [encodeGlobalId('ProviderOrg', org)]]])
  const acting = roles.map((role) => tenant.member[role].membershipId)
  for (const [type, table] of Object.entries(tables)) {
    const rows = await house.at.owner<{ id: string }>(
      `select id from ${table} where tenant_id = $1 and not (id = any($2::uuid[])) order by id limit 24`,
      [tenant.id, acting],
    )
    if (rows.length === 0) throw new Error(`No ${type} was planted.`)
    ids.set(type, rows.map(({ id }) => encodeGlobalId(type, id)))
  }
  return { ids, apiToken: (await newToken()).token, twofold }
}
