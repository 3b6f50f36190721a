/** SAML in the console's graph: connections as administrators see them, every step of setting one up, and what became of sign-ins. */
import type { Scope } from '../../../kernel/scope.ts'
import { authLogin } from '../../../platform/module.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../../platform/graphql/command.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import type { Saml } from './contract.ts'
import { access, samlTypes, subGraphs } from './graph-types.ts'

export function samlGraph(builder: Builder, saml: Saml) {
  const { Vendor, Connection, AttemptRef, Addresses, Secret, Done, RuleInput, ChangeInput } = samlTypes(builder, saml)

  builder.queryFields((t) => ({
    ssoConnections: t.field({ type: [Connection], access, subGraphs, resolve: (_, __, { scope }) => saml.connections(scope, {}) }),
    ssoAddresses: t.field({ type: Addresses, access, subGraphs, resolve: (_, __, { scope }) => saml.addresses(scope, {}) }),
    ssoAttempt: t.field({
      type: AttemptRef,
      access,
      subGraphs,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_, { id }, { scope }) => saml.attempt(scope, { id: idArgument('SamlAttempt', id) }),
    }),
  }))

  const key = (id: string | number) => ({ connectionId: idArgument('SsoConnection', id) })

  builder.mutationFields((t) => {
    const id = t.arg.id({ required: true })
    const text = t.arg.string({ required: true })
    return {
      createSsoConnection: t.field({
        type: Connection,
        access,
        subGraphs,
        errors: mayFail,
        args: { name: text, vendor: t.arg({ type: Vendor }) },
        resolve: (_, { name, vendor }, context) =>
          inCommand(context, 'createSsoConnection', (scope) => saml.create(scope, { name, vendor: vendor ?? 'generic' }), authLogin),
      }),
      changeSsoConnection: t.field({
        type: Connection,
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: id, input: t.arg({ type: ChangeInput, required: true }) },
        resolve: (_, { connectionId, input }, context) => {
          const { name, vendor, allowUnsolicited, jitAllowed, directoryId, ...nullable } = input
          const named = typeof directoryId === 'string' ? idArgument('ScimConnection', directoryId) : directoryId
          const directory = named === undefined ? {} : { directoryId: named }
          const given = Object.entries({ name, vendor, allowUnsolicited, jitAllowed }).filter(([, value]) => value !== null && value !== undefined)
          return inCommand(
            context,
            'changeSsoConnection',
            (scope) => saml.change(scope, { ...key(connectionId), ...nullable, ...directory, ...Object.fromEntries(given) }),
            authLogin,
          )
        },
      }),
      configureSsoConnection: t.field({
        type: Connection,
        description: 'Reads metadata: as text, or from an https address, from which it is read anew every day.',
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: id, metadata: t.arg.string(), metadataUrl: t.arg.string() },
        resolve: (_, { connectionId, metadata, metadataUrl }, context) =>
          inCommand(
            context,
            'configureSsoConnection',
            (scope) =>
              saml.configure(scope, { ...key(connectionId), ...(metadata ? { xml: metadata } : {}), ...(metadataUrl ? { url: metadataUrl } : {}) }),
            authLogin,
          ),
      }),
      setSsoRules: t.field({
        type: Connection,
        description: 'All rules anew, in order. Rules for tenant_admin and compliance_officer need a second factor in this session.',
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: id, rules: t.arg({ type: [RuleInput], required: true }) },
        resolve: (_, { connectionId, rules }, context) =>
          inCommand(context, 'setSsoRules', (scope) => saml.setRules(scope, { ...key(connectionId), rules }), authLogin),
      }),
      linkSsoMember: t.field({
        type: Done,
        description: 'Lets the connection sign in somebody who was a member before; `externalId` is the NameID, or the value of `idAttribute`.',
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: id, membershipId: id, externalId: text },
        resolve: async (_, { connectionId, membershipId, externalId }, context) => {
          const input = { ...key(connectionId), membershipId: idArgument('Membership', membershipId), externalId }
          await inCommand(context, 'linkSsoMember', (scope) => saml.linkMember(scope, input), authLogin)
          return {}
        },
      }),
      stageSsoCertificate: t.field({
        type: Connection,
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: id, pem: text },
        resolve: (_, { connectionId, pem }, context) =>
          inCommand(context, 'stageSsoCertificate', (scope) => saml.stageCertificate(scope, { ...key(connectionId), pem }), authLogin),
      }),
      createSsoSetupLink: t.field({
        type: Secret,
        description: 'For the tenant\'s IT; shown once, opens once, for one browser.',
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: id, hours: t.arg.int() },
        resolve: async (_, { connectionId, hours }, context) => {
          const input = { ...key(connectionId), hours: hours ?? 72 }
          const { url } = await inCommand(context, 'createSsoSetupLink', (scope) => saml.createSetupLink(scope, input), authLogin)
          return { value: url }
        },
      }),
      createSsoTestLink: t.field({
        type: Secret,
        description: 'For one test sign-in, by whoever opens it first within a day; shown once.',
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: id },
        resolve: async (_, { connectionId }, context) => {
          const { url } = await inCommand(context, 'createSsoTestLink', (scope) => saml.createTestLink(scope, key(connectionId)), authLogin)
          return { value: url }
        },
      }),
      makeSsoRecoveryCode: t.field({
        type: Secret,
        description: 'Shown once. Store it, then say so with confirmSsoRecoveryCode.',
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: id },
        resolve: async (_, { connectionId }, context) => {
          const { code } = await inCommand(context, 'makeSsoRecoveryCode', (scope) => saml.newRecovery(scope, key(connectionId)), authLogin)
          return { value: code }
        },
      }),
      confirmSsoRecoveryCode: t.field({
        type: Done,
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: id, code: text },
        resolve: async (_, { connectionId, code }, context) => {
          await inCommand(context, 'confirmSsoRecoveryCode', (scope) => saml.confirmRecovery(scope, { ...key(connectionId), code }), authLogin)
          return {}
        },
      }),
      rollSsoKeys: t.field({
        type: Done,
        description: 'Publishes successors of our own certificates now; they are used in 30 days.',
        access,
        subGraphs,
        errors: mayFail,
        resolve: async (_, __, { scope }) => {
          await saml.rollKeys(scope, {})
          return {}
        },
      }),
    }
  })

  const onDomain = { addSsoDomain: 'addDomain', proveSsoDomain: 'proveDomain', removeSsoDomain: 'removeDomain' } as const
  for (const [name, method] of Object.entries(onDomain)) {
    builder.mutationField(name, (t) =>
      t.field({
        type: Connection,
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: t.arg.id({ required: true }), domain: t.arg.string({ required: true }) },
        resolve: (_, { connectionId, domain }, context) =>
          inCommand(context, name, (scope: Scope) => saml[method](scope, { ...key(connectionId), domain }), authLogin),
      }),
    )
  }
  const moves = { activateSsoConnection: 'activate', disableSsoConnection: 'disable', enforceSsoConnection: 'enforce', relaxSsoConnection: 'relax' } as const
  for (const [name, method] of Object.entries(moves)) {
    builder.mutationField(name, (t) =>
      t.field({
        type: Connection,
        access,
        subGraphs,
        errors: mayFail,
        args: { connectionId: t.arg.id({ required: true }) },
        resolve: (_, { connectionId }, context) => inCommand(context, name, (scope: Scope) => saml[method](scope, key(connectionId)), authLogin),
      }),
    )
  }
}
