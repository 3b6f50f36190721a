/**
 * A throw-away tenant as the house itself makes one: by the contracts of its modules, with a member of every role, a care network and
 * real keys; then a synthetic row in every table that is still empty. It exists inside the proof's transaction only.
 */
import { newId } from '../kernel/id.ts'
import type { Caller, Plane } from '../kernel/scope.ts'
import { permissionsOf, permissions, planeOf, planesOf, roles, type Role } from '../modules/access/contract.ts'
import type { Care } from '../modules/care/contract.ts'
import type { Identity } from '../modules/identity/contract.ts'
import type { Tenancy } from '../modules/tenancy/contract.ts'
import type { Vault } from '../modules/vault/contract.ts'
import type { Composed } from '../platform/compose.ts'
import { authLogin } from '../platform/db/logins.ts'
import { Prisma } from '../platform/db/generated/client.ts'
import { encodeGlobalId } from '../platform/graphql/global-id.ts'
import type { BoundDatabase } from './bound-database.ts'
import { Plot, type Row } from './planting.ts'

/** What every member of a throw-away tenant signs in with; the tenant is never committed. */
export const throwawayPassword = `proof ${newId()}`

export interface ThrowawayTenant {
  readonly plot: Plot
  readonly slug: string
  /** The address of a member who signs in to this plane. */
  emailOn(plane: Plane): string
  /** An API token of the integrator plane. */
  readonly apiToken: string
  /** Everybody who can ask on a plane: its roles' members, an API token, and nobody. */
  callers(plane: Plane): readonly Caller[]
  /** Ids of the tenant's rows by Prisma model, oldest first: the same places in both throw-away tenants. */
  readonly ids: ReadonlyMap<string, readonly string[]>
  /** Texts that occur in this tenant's rows only, in every writing an answer may have; each with the id or text it stands for. */
  readonly marks: ReadonlyMap<string, string>
}

const caller = (tenantId: string, plane: Plane | null, actor: Caller['actor'], held: ReadonlySet<string>): Caller => ({
  tenantId,
  plane,
  actor,
  permissions: held,
  purpose: 'OPERATIONS',
  requestId: newId(),
  sourceAddress: '127.0.0.1',
  userAgent: 'maristan proof',
})

export async function makeThrowawayTenant(database: BoundDatabase, house: Composed, plot: Plot): Promise<ThrowawayTenant> {
  const contract = <Contract>(name: string) => house.made[name]!.contract as Contract
  const [tenancy, vault] = [contract<Tenancy>('tenancy'), contract<Vault>('vault')]
  const [identity, care] = [contract<Identity>('identity'), contract<Care>('care')]
  const { tenantId } = plot
  const slug = `x${tenantId.replaceAll('-', '').slice(-16)}`
  const emailOf = (role: Role) => `${role}@${slug}.invalid`
  const orgOf = new Map<Role, string>([['provider_manager', newId()]])
  const membershipOf = new Map<Role, string>()
  const secondOf = new Map<Role, string>()

  const operator = database.unit(caller(tenantId, null, { kind: 'operator', name: 'proof' }, new Set()))
  await operator.command(async (scope) => {
    await tenancy.provision(scope, { slug, legalName: `Proof ${slug}` })
    await vault.provisionTenant(scope, {})
    for (const role of roles) {
      const newcomer = { email: emailOf(role), password: throwawayPassword }
      const providerOrgId = orgOf.get(role)
      const made =
        role === 'tenant_admin'
          ? await identity.provisionAdmin(scope, newcomer)
          : await identity.operatorAddMember(scope, { ...newcomer, role, ...(providerOrgId ? { providerOrgId } : {}) })
      membershipOf.set(role, made.membershipId)
    }
    // A relative who is nobody's recipient yet, and a colleague in the seller's organisation.
    for (const role of ['family', 'provider_manager'] as const) {
      const newcomer = { email: `second-${emailOf(role)}`, password: throwawayPassword, role }
      const providerOrgId = orgOf.get(role)
      const { membershipId } = await identity.operatorAddMember(scope, { ...newcomer, ...(providerOrgId ? { providerOrgId } : {}) })
      secondOf.set(role, membershipId)
    }
  })
  const identities = await database.asOwner(tenantId, (tx) =>
    tx.membership.findMany({ where: { tenantId }, select: { id: true, identityId: true } }),
  )
  const member = (role: Role, sessionId = newId(), membershipId = membershipOf.get(role)!): Caller => {
    const identityId = identities.find(({ id }) => id === membershipId)!.identityId
    const actor = {
      kind: 'member',
      membershipId,
      identityId,
      role,
      sessionId,
      via: 'password',
      providerOrgId: orgOf.get(role) ?? null,
    } as const
    return caller(tenantId, planeOf(role), actor, permissionsOf(role))
  }

  // The database's now() is the moment the proof's transaction began: a link made after it would not be live in it.
  const validFrom = new Date(Date.now() - 3_600_000).toISOString()
  const coordinator = database.unit(member('care_coordinator'))
  await coordinator.command(async (scope) => {
    const recipients = [
      await care.createRecipient(scope, { givenName: slug, membershipId: membershipOf.get('family')! }),
      await care.createRecipient(scope, { givenName: slug }),
    ]
    const capabilities = ['VIEW', 'PHI', 'EDIT', 'MANAGE'] as const satisfies readonly string[]
    for (const [role, kind, relation] of [
      ['clinician', 'CLINICIAN', 'PHYSICIAN'],
      ['caregiver', 'CAREGIVER', 'CAREGIVER'],
    ] as const) {
      const party = await care.createParty(scope, { kind, name: slug, membershipId: membershipOf.get(role)! })
      for (const { id, partyId } of recipients) {
        await care.linkParty(scope, { fromPartyId: party.id, toPartyId: partyId, relation, capabilities: [...capabilities], validFrom })
        await care.grantConsent(scope, { recipientId: id, granteeId: party.id, purpose: 'TREATMENT', fieldSet: ['givenName'] })
      }
    }
    const seller = await care.createParty(scope, { kind: 'ORG', name: slug, membershipId: membershipOf.get('provider_manager')! })
    for (const { id, partyId } of recipients) {
      const disclosed = { recipientId: id, granteeId: seller.id }
      await care.grantConsent(scope, { ...disclosed, purpose: 'OPERATIONS', fieldSet: ['givenName'] })
      await care.openDisclosure(scope, { ...disclosed, fields: ['givenName'], expiresAt: new Date(Date.now() + 3_600_000).toISOString() })
      const relative = await care.createParty(scope, { kind: 'FAMILY', name: slug, membershipId: membershipOf.get('family')! })
      await care.linkParty(scope, {
        fromPartyId: relative.id,
        toPartyId: partyId,
        relation: 'CHILD',
        capabilities: [...capabilities],
        legalGuardian: true,
        validFrom,
      })
    }
  })
  const admin = database.unit(member('tenant_admin'))
  const makeToken = () =>
    admin.command((scope) => identity.createApiToken(scope, { name: slug, permissions: ['tenant:read', 'user:read'] }), authLogin)
  const token = await makeToken()
  await makeToken()
  // Two, so that a cursor has something behind it.
  for (const hours of [1, 2]) await admin.command((scope) => tenancy.approveOperator(scope, { reason: slug, hours }))

  const sessionOf = new Map<Role, string>()
  await plot.adopt()
  for (const role of roles) {
    const planted = await plot.plantNamed('identity.session', {
      membership_id: membershipOf.get(role)!,
      plane: planeOf(role),
      via: 'password',
    })
    if (planted) sessionOf.set(role, String(planted['id']))
    await plot.plantNamed('identity.session', { membership_id: membershipOf.get(role)!, plane: planeOf(role), via: 'password' })
    for (const state of ['CREATED', 'SENT']) {
      await plot.plantNamed('identity.invitation', {
        plane: 'consumer',
        role: 'family',
        state,
        invited_by: membershipOf.get(role)!,
        email: `${role}-${state.toLowerCase()}@${slug}.invalid`,
        provider_org_id: orgOf.get(role) ?? null,
        recipient_id: null,
      })
    }
  }
  await plot.adopt()
  await plot.fill()

  // Emergencies and their reviews, two of each so that a cursor has something behind it; the reasons open.
  const [recipientId] = (await idsOf(database, tenantId)).get('CareRecipient')!
  for (const role of ['compliance_officer', 'clinician'] as const) {
    for (const count of [1, 2]) {
      const id = newId()
      const items = [{ subjectId: recipientId!, model: 'BreakGlassGrant', field: 'phi', rowId: id, record: { reason: slug } }]
      const { sealed } = await coordinator.command(async (scope) => {
        scope.unit.record({ action: 'proof.sealed', resource: 'BreakGlassGrant', outcome: 'done' })
        return vault.seal(scope, { items })
      })
      await plot.plantNamed('emergency.break_glass_grant', {
        id, membership_id: membershipOf.get(role)!, recipient_id: recipientId!,
        phi: sealed[0]!,
        expires_at: new Date(Date.now() + count * 60_000),
        ended_at: null,
      })
      await plot.plantNamed('hitl.review_item', { requested_by: null, claimed_by: null, recipient_id: recipientId!, kind: role, subject_id: id })
    }
  }
  // A directory that has brought somebody; one without people, whose rules may be set, and one of its people who is nobody's member yet.
  const directory = { connection_id: plot.rows.get('scim.connection')!['id'], source: 'SCIM' }
  await plot.plantNamed('identity.directory_link', { ...directory, membership_id: membershipOf.get('clinician')! })
  for (const table of ['scim.connection', 'custody.legal_hold']) await plot.plantNamed(table, {})
  await plot.plantNamed('scim.user', { membership_id: null, standing: 'NO_ROLE' })

  const integration = caller(
    tenantId,
    'integrator',
    { kind: 'integration', tokenId: token.id, role: 'tenant_admin' },
    new Set(permissions.filter((permission) => planesOf(permission).includes('integrator'))),
  )
  const ids = await idsOf(database, tenantId)
  return {
    plot,
    slug,
    apiToken: token.token,
    emailOn: (plane) => emailOf(roles.find((role) => planeOf(role) === plane) ?? 'tenant_admin'),
    callers: (plane) => [
      ...roles.filter((role) => planeOf(role) === plane).map((role) => member(role, sessionOf.get(role))),
      ...[...secondOf].filter(([role]) => planeOf(role) === plane).map(([role, membershipId]) => member(role, newId(), membershipId)),
      ...(plane === 'integrator' ? [integration] : []),
      caller(tenantId, plane, { kind: 'anonymous' }, new Set()),
    ],
    ids,
    marks: marksOf([...plot.rows.values(), { slug }], ids),
  }
}

/** At most this many rows a model are tried as arguments. */
const idsAModel = 24

async function idsOf(database: BoundDatabase, tenantId: string): Promise<Map<string, string[]>> {
  const ids = new Map<string, string[]>()
  const withId = Object.values(Prisma.ModelName).filter((model) => {
    const fields = (Prisma as unknown as Record<string, Record<string, string>>)[`${model}ScalarFieldEnum`]
    return fields?.['id'] !== undefined && fields['tenantId'] !== undefined
  })
  await database.asOwner(tenantId, async (tx) => {
    for (const model of withId) {
      const delegate = Reflect.get(tx, model.charAt(0).toLowerCase() + model.slice(1)) as {
        findMany(query: object): Promise<{ id: string }[]>
      }
      const rows = await delegate.findMany({ where: { tenantId }, select: { id: true }, orderBy: { id: 'asc' }, take: idsAModel })
      ids.set(model, rows.map(({ id }) => id))
    }
  })
  return ids
}

/** Ids and made-up texts, long enough to be nobody else's. */
function marksOf(rows: readonly Row[], ids: ReadonlyMap<string, readonly string[]>): Map<string, string> {
  const marks = new Map<string, string>()
  for (const row of rows) {
    for (const value of Object.values(row)) {
      const mark = typeof value === 'string' && /(?:^|\W)(x[0-9a-f]{16})$|^([0-9a-f]{8}-[0-9a-f-]{27})$/.exec(value)
      if (mark) marks.set((mark[1] ?? mark[2])!, (mark[1] ?? mark[2])!)
    }
  }
  for (const [model, some] of ids) {
    for (const id of some) for (const written of [id, encodeGlobalId(model, id), encodeCursor(id)]) marks.set(written, id)
  }
  return marks
}

/** A row's cursor as the lists give it out. */
export const encodeCursor = (id: string): string => Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
