/** Arguments that no schema tells: for each field that needs one, what its rightful caller would give. */
import { generateKeyPairSync } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { newId } from '../kernel/id.ts'
import type { Caller } from '../kernel/scope.ts'
import type { Identity } from '../modules/identity/contract.ts'
import type { Composed } from '../platform/compose.ts'
import { randomToken, sha256Hex } from '../platform/crypto/hash.ts'
import { encodeGlobalId } from '../platform/graphql/global-id.ts'
import type { BoundDatabase } from './bound-database.ts'
import { throwawayPassword, type ThrowawayTenant } from './throwaway-tenant.ts'

interface Ask {
  readonly tenant: ThrowawayTenant
  readonly caller: Caller
  readonly database: BoundDatabase
  readonly identity: Identity
}
type Arguments = Record<string, unknown>
type Supply = (ask: Ask) => Arguments | Promise<Arguments>

const soon = () => new Date(Date.now() + 3_600_000)
const anonymous = (ask: Ask): Caller => ({ ...ask.caller, actor: { kind: 'anonymous' }, permissions: new Set() })
const emailOf = ({ tenant, caller }: Ask) => tenant.emailOn(caller.plane ?? 'console')
const codeFor = (secret: string, secondsAhead = 0) =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + secondsAhead * 1000 })

/** A member who may sign in on the caller's plane; an anonymous caller stands for that plane's first member. */
const memberOf = ({ tenant, caller }: Ask): Caller =>
  caller.actor.kind === 'member'
    ? caller
    : (tenant.callers(caller.plane ?? 'console').find(({ actor }) => actor.kind === 'member') ?? caller)

function signIn(ask: Ask) {
  const { plane } = ask.caller
  if (plane === null || plane === 'integrator') throw new Error('Nobody signs in there.')
  const unit = ask.database.unit(anonymous(ask))
  return unit.read(() => ask.identity.signIn(unit.scope, { email: emailOf(ask), password: throwawayPassword, plane }))
}

async function enrol(ask: Ask): Promise<string> {
  const unit = ask.database.unit(memberOf(ask))
  return (await unit.read(() => ask.identity.enrolTotp(unit.scope, {}))).secret
}

async function confirm(ask: Ask): Promise<{ secret: string; recoveryCodes: readonly string[] }> {
  const secret = await enrol(ask)
  const unit = ask.database.unit(memberOf(ask))
  const { recoveryCodes } = await unit.read(() => ask.identity.confirmTotp(unit.scope, { code: codeFor(secret) }))
  return { secret, recoveryCodes }
}

async function oneTimeToken(ask: Ask, purpose: 'PASSWORD_RESET' | 'MEMBERSHIP_CHOICE'): Promise<string> {
  const token = randomToken()
  const { tenantId } = ask.tenant.plot
  const { actor } = memberOf(ask)
  if (actor.kind !== 'member') throw new Error("A token is some member's.")
  await ask.database.asOwner(tenantId, (tx) =>
    tx.oneTimeToken.create({
      data: { tenantId, identityId: actor.identityId, purpose, plane: ask.caller.plane, hash: sha256Hex(token), expiresAt: soon() },
    }),
  )
  return token
}

async function invitationToken(ask: Ask): Promise<string> {
  const token = randomToken()
  const { tenantId } = ask.tenant.plot
  const invitation = {
    email: `invited@${ask.tenant.slug}.invalid`,
    plane: 'consumer',
    role: 'family',
    state: 'SENT',
    expiresAt: soon(),
  } as const
  await ask.database.asOwner(tenantId, (tx) =>
    tx.invitation.create({ data: { ...invitation, tenantId, tokenHash: sha256Hex(`maristan-invitation|${token}`) } }),
  )
  return token
}

const newPassword = `another ${newId()}`

const supplies: Readonly<Record<string, Supply>> = {
  'mutation.signIn': (ask) => ({ input: { email: emailOf(ask), password: throwawayPassword } }),
  'mutation.refreshSession': async (ask) => ({ refreshToken: ((await signIn(ask)) as { refreshToken?: string }).refreshToken }),
  'mutation.changePassword': () => ({ input: { currentPassword: throwawayPassword, newPassword } }),
  'mutation.resetPassword': async (ask) => ({ token: await oneTimeToken(ask, 'PASSWORD_RESET'), newPassword }),
  'mutation.acceptInvitation': async (ask) => ({ token: await invitationToken(ask), password: newPassword }),
  'mutation.confirmTotp': async (ask) => ({ code: codeFor(await enrol(ask)) }),
  'mutation.regenerateRecoveryCodes': async (ask) => ({ code: codeFor((await confirm(ask)).secret, 30) }),
  'mutation.removeTotp': async (ask) => ({ password: throwawayPassword, code: (await confirm(ask)).recoveryCodes[0] }),
  'mutation.verifySecondFactor': async (ask) => {
    const { recoveryCodes } = await confirm(ask)
    const challenge = (await signIn(ask)) as { challengeToken?: string }
    return { input: { challengeToken: challenge.challengeToken, recoveryCode: recoveryCodes[0] } }
  },
  'mutation.chooseMembership': async (ask) => ({ input: { choiceToken: await oneTimeToken(ask, 'MEMBERSHIP_CHOICE') } }),
  // The key that wraps its keys already: the only one a proof may know.
  'mutation.useOwnKey': async (ask) => {
    const { tenant, database } = ask
    const { tenantId } = tenant.plot
    const row = await database.asOwner(tenantId, (tx) => tx.tenantKey.findFirst({ where: { tenantId, state: 'ACTIVE' } }))
    return { kmsKey: row?.kekId, code: codeFor((await confirm(ask)).secret, 30) }
  },
  'mutation.requestOffboarding': async (ask) => {
    // The tenant has one planted already, and one is all there is at a time.
    const { tenantId } = ask.tenant.plot
    await ask.database.asOwner(tenantId, (tx) => tx.offboarding.updateMany({ where: { tenantId, state: 'WAITING' }, data: { state: 'CANCELLED' } }))
    const exportKey = generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' })
    return { input: { reason: 'A proof of the walls', exportKey, code: codeFor((await confirm(ask)).secret, 30) } }
  },
  'mutation.placeLegalHold': () => ({ input: { basis: 'REGULATOR', reference: 'proof' } }),
  'mutation.openBreakGlass': async (ask) => ({
    input: {
      recipientId: encodeGlobalId('CareRecipient', ask.tenant.ids.get('CareRecipient')![0]!),
      reason: 'A proof of the walls',
      minutes: 5,
      code: codeFor((await confirm(ask)).secret, 30),
    },
  }),
  'mutation.setAuditStream': () => ({ input: { url: 'https://siem.proof.invalid/' } }),
  'query.scimRulesPreview': () => ({ rules: [] }),
  'mutation.setScimRoleRules': () => ({ rules: [] }),
  'mutation.createScimConnection': () => ({ name: `proof ${newId()}` }),
  'mutation.createScimToken': () => ({ name: 'proof' }),
  'mutation.setScimMassChangeAt': () => ({ massChangeAt: 10 }),
  'mutation.createApiToken': () => ({ input: { name: 'proof', permissions: ['tenant:read'] } }),
  'mutation.addSsoDomain': () => ({ domain: 'proof.invalid' }),
  'mutation.proveSsoDomain': ({ tenant }) => ({ domain: tenant.plot.rows.get('saml.domain')?.['domain'] }),
  'mutation.removeSsoDomain': ({ tenant }) => ({ domain: tenant.plot.rows.get('saml.domain')?.['domain'] }),
  'mutation.inviteMember': ({ tenant, caller }) => ({
    input: {
      email: 'newcomer@proof.invalid',
      role: caller.plane === 'seller' ? 'provider_manager' : 'family',
      ...(caller.plane === 'consumer' ? { recipientId: encodeGlobalId('CareRecipient', tenant.ids.get('CareRecipient')![0]!) } : {}),
    },
  }),
}

/** Fields whose supplied arguments hold a secret of one tenant's member: worth stealing. */
export const suppliedSecrets: ReadonlySet<string> = new Set([
  'mutation.signIn',
  'mutation.refreshSession',
  'mutation.resetPassword',
  'mutation.acceptInvitation',
  'mutation.verifySecondFactor',
  'mutation.chooseMembership',
])

const unsealed = 'Nothing that happens inside the proof is sealed into the chain: what is asked of it there is empty, whatever it is asked by.'

/** Places whose ids name no row of any table, each with its reason: there is nothing of another tenant to be had by them. */
export const exemptPlaces: Readonly<Record<string, string>> = {
  'mutation.exportAudit input.actorId on console': unsealed,
  'mutation.exportAudit input.after on console': unsealed,
  'mutation.exportAudit input.recipientId on console': unsealed,
  'mutation.verifyAuditChain after on console': unsealed,
  'mutation.inviteMember input.providerOrgId on console': 'Organisations have no table: the id is a name that the tenant gives.',
  'mutation.inviteMember input.providerOrgId on consumer': 'Family invites family, which belongs to no organisation.',
  'mutation.inviteMember input.providerOrgId on seller': 'A seller invites into its own organisation, whatever it names.',
  'mutation.inviteMember input.recipientId on seller': "A seller's people help no recipient: an own one is as absent as any.",
}

/** Routes that ask nobody who they are and hold nothing of any tenant, each with its reason. */
export const exemptRoutes: Readonly<Record<string, string>> = {
  'GET /.well-known/jwks.json': "The platform's public keys: the same for everybody.",
  'GET /healthz': 'Says that the process lives.',
  'GET /readyz': 'Says which parts of the whole server are not ready.',
  'GET /metrics': 'Counters of the whole server; no label names a tenant.',
  'GET /invite': 'An empty form under the name of the tenant whose host was asked for.',
  'GET /reset-password': 'An empty form under the name of the tenant whose host was asked for.',
}

/** What else a row may be called in a name: `actorId` is a membership's. */
export const otherNames: Readonly<Record<string, string>> = { actor: 'membership', member: 'membership', grantee: 'party' }

/** What a field is given beside ids; `field` is `query.name` or `mutation.name`. Nothing for most. */
export async function suppliedArguments(
  field: string,
  tenant: ThrowawayTenant,
  caller: Caller,
  database: BoundDatabase,
  house: Composed,
): Promise<Arguments> {
  const supply = supplies[field]
  return supply ? supply({ tenant, caller, database, identity: house.made['identity']!.contract as Identity }) : {}
}
