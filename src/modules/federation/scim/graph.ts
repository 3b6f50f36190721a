/** SCIM in the graph, for the tenant's administrators on the console: connections, tokens, rules, receipts and the flight recorder. */
import type { Plane } from '../../../kernel/scope.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../../platform/graphql/command.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import { withoutNulls } from '../../../platform/graphql/input.ts'
import { authLogin } from '../../../platform/module.ts'
import type { Scim, ShownConnection, ShownReceipt, ShownToken } from './contract.ts'
import { recorderGraph } from './graph-recorder.ts'
import { rulesGraph } from './graph-rules.ts'

const manage = { permission: 'sso:manage' } as const
const manageTokens = { permission: 'token:manage' } as const
const subGraphs: Plane[] = ['console']
const connectionOf = (id: string | number) => idArgument('ScimConnection', id)

export function scimGraph(builder: Builder, scim: Scim): void {
  const Token = builder.objectRef<ShownToken>('ScimToken').implement({
    description: 'A bearer token of a directory. Its secret was shown once.',
    fieldAccess: manageTokens,
    subGraphs,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('ScimToken', id) }),
      name: t.exposeString('name'),
      createdAt: t.expose('createdAt', { type: 'DateTime' }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true }),
      lastUsedAt: t.expose('lastUsedAt', { type: 'DateTime', nullable: true }),
      revokedAt: t.expose('revokedAt', { type: 'DateTime', nullable: true }),
    }),
  })

  const { Rule } = rulesGraph(builder, scim, { manage, subGraphs })
  recorderGraph(builder, scim, { manage, subGraphs })

  const Connection = builder.objectRef<ShownConnection>('ScimConnection').implement({
    description: 'One directory of the tenant.',
    fieldAccess: manage,
    subGraphs,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('ScimConnection', id) }),
      name: t.exposeString('name'),
      massChangeAt: t.exposeInt('massChangeAt', { description: 'So many cuts within an hour are flagged, and done at once all the same.' }),
      flaggedAt: t.expose('flaggedAt', { type: 'DateTime', nullable: true, description: 'A mass change that nobody has acknowledged.' }),
      flaggedChanges: t.exposeInt('flaggedChanges'),
      createdAt: t.expose('createdAt', { type: 'DateTime' }),
      users: t.exposeInt('users'),
      groups: t.exposeInt('groups'),
      unsettled: t.exposeInt('unsettled', {
        description: 'People of a large change whose new role is still to come. What they were to lose is lost already.',
      }),
      tokens: t.field({ type: [Token], access: manageTokens, resolve: ({ tokens }) => tokens }),
      rules: t.field({ type: [Rule], description: 'In order: the first that matches decides.', resolve: ({ rules }) => rules }),
    }),
  })

  builder.queryField('scimConnections', (t) =>
    t.field({ type: [Connection], access: manage, subGraphs, resolve: (_, __, { scope }) => scim.connections(scope, {}) }),
  )

  const Receipt = builder.objectRef<ShownReceipt>('ScimReceipt').implement({
    description: 'What a deactivation, a deletion or a changed role cut, and when.',
    fieldAccess: manage,
    subGraphs,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('ScimReceipt', id) }),
      at: t.expose('at', { type: 'DateTime' }),
      userName: t.exposeString('userName'),
      cause: t.exposeString('cause', { description: 'DEACTIVATED, DELETED, ROLE_LOST or ROLE_CHANGED.' }),
      sessions: t.exposeInt('sessions', { description: 'Ended, with their refresh families and subscriptions.' }),
      invitations: t.exposeInt('invitations', { description: 'Taken back.' }),
      flaggedTokens: t.exposeInt('flaggedTokens', { description: 'API tokens the person made. They work on: check whether they should.' }),
      wasLastAdmin: t.exposeBoolean('wasLastAdmin', { description: 'Nobody administers the tenant since. The operator can help.' }),
    }),
  })
  builder.queryField('scimReceipts', (t) =>
    t.field({
      type: [Receipt],
      access: manage,
      subGraphs,
      args: { connectionId: t.arg.id({ required: true }), first: t.arg.int() },
      resolve: (_, { connectionId, first }, { scope }) =>
        scim.receipts(scope, { connectionId: connectionOf(connectionId), ...(first ? { first } : {}) }),
    }),
  )

  const Changed = builder.objectRef<{ id: string }>('ChangedScimConnection').implement({
    fieldAccess: manage,
    subGraphs,
    fields: (t) => ({ id: t.id({ resolve: ({ id }) => encodeGlobalId('ScimConnection', id) }) }),
  })
  builder.mutationField('createScimConnection', (t) =>
    t.field({
      type: Changed,
      access: manage,
      subGraphs,
      errors: mayFail,
      args: { name: t.arg.string({ required: true }), massChangeAt: t.arg.int() },
      resolve: (_, given, context) =>
        inCommand(context, 'createScimConnection', (scope) => scim.createConnection(scope, withoutNulls(given)), authLogin),
    }),
  )
  builder.mutationField('setScimMassChangeAt', (t) =>
    t.field({
      type: Changed,
      access: manage,
      subGraphs,
      errors: mayFail,
      args: { connectionId: t.arg.id({ required: true }), massChangeAt: t.arg.int({ required: true }) },
      resolve: (_, { connectionId, massChangeAt }, context) => {
        const wanted = { connectionId: connectionOf(connectionId), massChangeAt }
        return inCommand(context, 'setScimMassChangeAt', (scope) => scim.setMassChangeAt(scope, wanted), authLogin)
      },
    }),
  )
  builder.mutationField('acknowledgeScimMassChange', (t) =>
    t.field({
      type: Changed,
      access: manage,
      subGraphs,
      errors: mayFail,
      args: { connectionId: t.arg.id({ required: true }) },
      resolve: (_, args, context) => {
        const wanted = { connectionId: connectionOf(args.connectionId) }
        return inCommand(context, 'acknowledgeScimMassChange', (scope) => scim.acknowledgeMassChange(scope, wanted), authLogin)
      },
    }),
  )

  const Created = builder.objectRef<{ id: string; token: string }>('CreatedScimToken').implement({
    fieldAccess: manageTokens,
    subGraphs,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('ScimToken', id) }),
      token: t.exposeString('token', { description: 'Shown this once.' }),
    }),
  })
  builder.mutationField('createScimToken', (t) =>
    t.field({
      type: Created,
      access: manageTokens,
      subGraphs,
      errors: mayFail,
      args: { connectionId: t.arg.id({ required: true }), name: t.arg.string({ required: true }), expiresAt: t.arg({ type: 'DateTime' }) },
      resolve: (_, { connectionId, name, expiresAt }, context) => {
        const wanted = { connectionId: connectionOf(connectionId), name, ...(expiresAt ? { expiresAt: expiresAt.toISOString() } : {}) }
        return inCommand(context, 'createScimToken', (scope) => scim.createToken(scope, wanted), authLogin)
      },
    }),
  )
  builder.mutationField('rotateScimToken', (t) =>
    t.field({
      type: Created,
      description: 'A successor at once; the old token works on for the overlap.',
      access: manageTokens,
      subGraphs,
      errors: mayFail,
      args: {
        id: t.arg.id({ required: true }),
        overlapHours: t.arg.int({ description: '0 to 720; 24 unless given.' }),
        expiresAt: t.arg({ type: 'DateTime', description: 'Of the new token.' }),
      },
      resolve: (_, { id, overlapHours, expiresAt }, context) => {
        const overlap = overlapHours === null || overlapHours === undefined ? {} : { overlapHours }
        const wanted = { id: idArgument('ScimToken', id), ...overlap, ...(expiresAt ? { expiresAt: expiresAt.toISOString() } : {}) }
        return inCommand(context, 'rotateScimToken', (scope) => scim.rotateToken(scope, wanted), authLogin)
      },
    }),
  )
  const Revoked = builder.objectRef<{ id: string }>('RevokedScimToken').implement({
    fieldAccess: manageTokens,
    subGraphs,
    fields: (t) => ({ id: t.id({ resolve: ({ id }) => encodeGlobalId('ScimToken', id) }) }),
  })
  builder.mutationField('revokeScimToken', (t) =>
    t.field({
      type: Revoked,
      access: manageTokens,
      subGraphs,
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_, args, context) => {
        const wanted = { id: idArgument('ScimToken', args.id) }
        return inCommand(context, 'revokeScimToken', (scope) => scim.revokeToken(scope, wanted), authLogin)
      },
    }),
  )
}
