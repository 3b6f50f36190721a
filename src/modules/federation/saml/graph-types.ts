/** What SAML's part of the console's graph is made of. */
import type { Builder } from '../../../platform/graphql/builder.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import type { Saml } from './contract.ts'
import { vendors, type Attempt, type ShownConnection } from './contract-administration.ts'
import { connectionMachine, mappableRoles, newcomerRoles } from './rules.ts'

export const access = { permission: 'sso:manage' } as const
export const subGraphs = ['console' as const]

export function samlTypes(builder: Builder, saml: Saml) {
  const State = builder.enumType('SsoState', { values: connectionMachine.states, subGraphs })
  const Vendor = builder.enumType('SsoVendor', { values: vendors, subGraphs })
  const Role = builder.enumType('SsoRole', { values: mappableRoles, subGraphs, description: 'What single sign-on can make of somebody.' })
  const NewcomerRole = builder.enumType('SsoNewcomerRole', { values: newcomerRoles, subGraphs })

  const Rule = builder.objectRef<ShownConnection['rules'][number]>('SsoRule').implement({
    description: 'An attribute with this value gives this role; the first rule that matches wins.',
    fieldAccess: access,
    subGraphs,
    fields: (t) => ({
      attribute: t.exposeString('attribute'),
      value: t.exposeString('value'),
      role: t.field({ type: Role, resolve: ({ role }) => role }),
    }),
  })
  const Domain = builder.objectRef<ShownConnection['domains'][number]>('SsoDomain').implement({
    fieldAccess: access,
    subGraphs,
    fields: (t) => ({
      domain: t.exposeString('domain'),
      challenge: t.exposeString('challenge', { description: 'Publish `_maristan-sso.<domain>` TXT "maristan-sso=<challenge>".' }),
      provenAt: t.field({ type: 'DateTime', nullable: true, resolve: ({ provenAt }) => provenAt }),
      provenBy: t.exposeString('provenBy', { nullable: true, description: 'DNS or OPERATOR.' }),
    }),
  })
  const Certificate = builder.objectRef<ShownConnection['certificates'][number]>('SsoCertificate').implement({
    fieldAccess: access,
    subGraphs,
    fields: (t) => ({
      fingerprint: t.exposeString('fingerprint', { description: 'SHA-256 of the certificate.' }),
      state: t.exposeString('state', { description: 'ACTIVE, STAGED (tried on every login), PINNED (staged, and a login has proven it) or RETIRED.' }),
      notBefore: t.field({ type: 'DateTime', resolve: ({ notBefore }) => notBefore }),
      notAfter: t.field({ type: 'DateTime', resolve: ({ notAfter }) => notAfter }),
      lastUsedAt: t.field({ type: 'DateTime', nullable: true, resolve: ({ lastUsedAt }) => lastUsedAt }),
    }),
  })
  const AttemptRef = builder.objectRef<Attempt>('SsoAttempt').implement({
    description: 'How one sign-in that came back ended. The person was told its id.',
    fieldAccess: access,
    subGraphs,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('SamlAttempt', id) }),
      number: t.exposeString('id', { description: 'As the person read it.' }),
      at: t.field({ type: 'DateTime', resolve: ({ at }) => at }),
      purpose: t.exposeString('purpose'),
      result: t.exposeString('result'),
      reason: t.exposeString('reason', { nullable: true }),
      sentenceEn: t.string({ nullable: true, resolve: ({ sentence }) => sentence?.en ?? null }),
      sentenceAr: t.string({ nullable: true, resolve: ({ sentence }) => sentence?.ar ?? null }),
      detail: t.exposeString('detail', { nullable: true }),
      role: t.exposeString('role', { nullable: true }),
      shown: t.string({ nullable: true, description: 'The assertion, redacted, as JSON.', resolve: ({ shown }) => (shown === null ? null : JSON.stringify(shown)) }),
    }),
  })
  const Connection = builder.objectRef<ShownConnection>('SsoConnection').implement({
    description: 'One identity provider of the tenant.',
    fieldAccess: access,
    subGraphs,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('SsoConnection', id) }),
      name: t.exposeString('name'),
      vendor: t.field({ type: Vendor, resolve: ({ vendor }) => vendor }),
      state: t.field({ type: State, resolve: ({ state }) => state }),
      isEnforced: t.exposeBoolean('isEnforced', { description: 'Passwords are off for its members.' }),
      entityId: t.exposeString('entityId', { nullable: true }),
      ssoUrl: t.exposeString('ssoUrl', { nullable: true }),
      metadataUrl: t.exposeString('metadataUrl', { nullable: true }),
      metadataReadAt: t.field({ type: 'DateTime', nullable: true, resolve: ({ metadataReadAt }) => metadataReadAt }),
      metadataProblem: t.exposeString('metadataProblem', { nullable: true, description: 'Why the last refresh changed nothing.' }),
      allowUnsolicited: t.exposeBoolean('allowUnsolicited'),
      jitAllowed: t.exposeBoolean('jitAllowed'),
      jitRole: t.exposeString('jitRole', { nullable: true }),
      emailAttribute: t.exposeString('emailAttribute', { nullable: true }),
      idAttribute: t.exposeString('idAttribute', { nullable: true }),
      directoryId: t.id({
        nullable: true,
        description: 'The directory whose people sign in here, found by the same immutable id, whatever their address.',
        resolve: ({ directoryId }) => (directoryId === null ? null : encodeGlobalId('ScimConnection', directoryId)),
      }),
      isDirectoryConfirmed: t.exposeBoolean('isDirectoryConfirmed', {
        description: 'An administrator with a second factor named it: its administrators and compliance officers come in by it too.',
      }),
      version: t.exposeInt('version', { description: 'Hand it back with a change.' }),
      rules: t.field({ type: [Rule], resolve: ({ rules }) => rules }),
      domains: t.field({ type: [Domain], resolve: ({ domains }) => domains }),
      certificates: t.field({ type: [Certificate], resolve: ({ certificates }) => certificates }),
      attempts: t.field({
        type: [AttemptRef],
        description: 'The last twenty.',
        resolve: ({ id }, _, { scope }) => saml.attempts(scope, { connectionId: id, first: 20 }),
      }),
    }),
  })
  const Addresses = builder.objectRef<Awaited<ReturnType<Saml['addresses']>>>('SsoAddresses').implement({
    description: 'What an identity provider is given.',
    fieldAccess: access,
    subGraphs,
    fields: (t) => ({
      entityId: t.exposeString('entityId'),
      metadataUrl: t.exposeString('metadataUrl'),
      acsUrl: t.exposeString('acsUrl'),
      loginUrl: t.exposeString('loginUrl', { description: 'With `?connection=<number>&test=1`: a test sign-in, for you and for the browser of the set-up.' }),
      logoutUrl: t.exposeString('logoutUrl'),
    }),
  })

  const Secret = builder.objectRef<{ value: string }>('SsoSecret').implement({
    description: 'Shown once.',
    fieldAccess: access,
    subGraphs,
    fields: (t) => ({ value: t.exposeString('value') }),
  })
  const Done = builder.objectRef<object>('SsoDone').implement({
    fieldAccess: access,
    subGraphs,
    fields: (t) => ({ done: t.boolean({ resolve: () => true }) }),
  })

  const RuleInput = builder.inputType('SsoRuleInput', {
    subGraphs,
    fields: (t) => ({
      attribute: t.string({ required: true }),
      value: t.string({ required: true }),
      role: t.field({ type: Role, required: true }),
    }),
  })
  const ChangeInput = builder.inputType('ChangeSsoConnectionInput', {
    subGraphs,
    fields: (t) => ({
      version: t.int({ required: true }),
      name: t.string(),
      vendor: t.field({ type: Vendor }),
      allowUnsolicited: t.boolean(),
      jitAllowed: t.boolean(),
      jitRole: t.field({ type: NewcomerRole, description: 'Null: newcomers whom no rule names are refused.' }),
      emailAttribute: t.string(),
      idAttribute: t.string(),
      directoryId: t.id({ description: 'A directory (SCIM connection) that has brought somebody. Null: none.' }),
    }),
  })

  return { Vendor, Connection, AttemptRef, Addresses, Secret, Done, RuleInput, ChangeInput }
}
