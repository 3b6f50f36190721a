/** How people and programs get in, in the graph: an invitation's acceptance, second factors, API tokens. Secrets are shown once. */
import { signInPlanes, type Plane } from '../../kernel/scope.ts'
import { authLogin } from '../../platform/module.ts'
import type { Builder } from '../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../platform/graphql/command.ts'
import { encodeGlobalId } from '../../platform/graphql/global-id.ts'
import { withoutNulls } from '../../platform/graphql/input.ts'
import { reachOf } from './reach.ts'
import type { MembersMade } from './graph-members.ts'
import { idBehind, type doneType } from './graph-viewer.ts'
import type { Permission } from '../access/contract.ts'

export function accessGraph(
  builder: Builder,
  { Done }: { readonly Done: ReturnType<typeof doneType> },
  { contract, members: repo }: MembersMade,
) {
  const people = [...signInPlanes]

  const Accepted = builder.objectRef<{ membershipId: string; plane: string }>('AcceptedInvitation').implement({
    description: 'The membership that waits. Sign in on its plane.',
    fieldAccess: 'public',
    subGraphs: people,
    fields: (t) => ({
      membershipId: t.id({ resolve: ({ membershipId }) => encodeGlobalId('Membership', membershipId) }),
      plane: t.exposeString('plane'),
    }),
  })
  builder.mutationField('acceptInvitation', (t) =>
    t.field({
      type: Accepted,
      description: 'With the secret of the letter\'s link. Who has an account here gives its password; who has none chooses one.',
      access: 'public',
      subGraphs: people,
      errors: mayFail,
      args: { token: t.arg.string({ required: true }), password: t.arg.string({ required: true }) },
      resolve: (_, given, { scope }) => contract.acceptInvitation(scope, given),
    }),
  )

  const Enrolment = builder.objectRef<{ otpauthUri: string; secret: string }>('TotpEnrolment').implement({
    description: 'Shown once. In force when a code of it is confirmed; until then what was in force stays so.',
    fieldAccess: 'authenticated',
    subGraphs: people,
    fields: (t) => ({ otpauthUri: t.exposeString('otpauthUri'), secret: t.exposeString('secret') }),
  })
  const RecoveryCodes = builder.objectRef<{ recoveryCodes: string[] }>('RecoveryCodes').implement({
    description: 'Shown once, each good once.',
    fieldAccess: 'authenticated',
    subGraphs: people,
    fields: (t) => ({ recoveryCodes: t.exposeStringList('recoveryCodes') }),
  })
  builder.mutationField('enrolTotp', (t) =>
    t.field({
      type: Enrolment,
      access: 'authenticated',
      subGraphs: people,
      errors: mayFail,
      args: { password: t.arg.string(), code: t.arg.string() },
      resolve: (_, { password, code }, { scope }) => contract.enrolTotp(scope, withoutNulls({ password: password ?? null, code: code ?? null })),
    }),
  )
  for (const name of ['confirmTotp', 'regenerateRecoveryCodes'] as const) {
    builder.mutationField(name, (t) =>
      t.field({
        type: RecoveryCodes,
        access: 'authenticated',
        subGraphs: people,
        errors: mayFail,
        args: { code: t.arg.string({ required: true }) },
        resolve: (_, given, { scope }) => contract[name](scope, given),
      }),
    )
  }
  builder.mutationField('removeTotp', (t) =>
    t.field({
      type: Done,
      access: 'authenticated',
      subGraphs: people,
      errors: mayFail,
      args: { password: t.arg.string({ required: true }), code: t.arg.string({ required: true, description: 'A recovery code will do.' }) },
      resolve: (_, given, { scope }) => contract.removeTotp(scope, given),
    }),
  )

  const manage = { permission: 'token:manage' } as const
  /** A token that made tokens would outlive itself. */
  const managers: Plane[] = ['console']
  const ApiToken = builder.prismaNode('ApiToken', {
    id: { resolve: ({ id }) => id },
    findUnique: (id, { caller: { tenantId } }) => ({ tenantId_id: { tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'token:manage' },
    fieldAccess: manage,
    subGraphs: managers,
    fields: (t) => ({
      name: t.exposeString('name'),
      permissions: t.exposeStringList('permissions'),
      creatorLeft: t.boolean({
        description: 'Whoever made it is no member any more, or was cut by a directory. The token works on: check whether it should.',
        select: { flaggedAt: true, creator: { select: { status: true } } },
        resolve: ({ creator, flaggedAt }) => flaggedAt !== null || creator?.status === 'ENDED',
      }),
      flaggedAt: t.expose('flaggedAt', {
        type: 'DateTime',
        nullable: true,
        description: 'When a directory cut the access of whoever made it. Reactivation does not take it back.',
      }),
      createdAt: t.expose('createdAt', { type: 'DateTime' }),
      lastUsedAt: t.expose('lastUsedAt', { type: 'DateTime', nullable: true }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true }),
      revokedAt: t.expose('revokedAt', { type: 'DateTime', nullable: true }),
    }),
  })
  builder.queryField('apiTokens', (t) =>
    t.prismaConnection(
      {
        type: ApiToken,
        cursor: 'tenantId_id',
        access: manage,
        subGraphs: managers,
        resolve: (query, _, __, { scope }) => {
          reachOf(scope, 'token:manage')
          return repo.listTokens(scope, query)
        },
      },
      { subGraphs: managers } as never,
      { subGraphs: managers } as never,
    ),
  )
  const Created = builder.objectRef<{ id: string; token: string }>('CreatedApiToken').implement({
    fieldAccess: manage,
    subGraphs: managers,
    fields: (t) => ({
      token: t.exposeString('token', { description: 'Shown this once.' }),
      apiToken: t.prismaField({ type: ApiToken, resolve: (query, { id }, _, { scope }) => repo.showToken(scope, query, id) }),
    }),
  })
  const CreateInput = builder.inputType('CreateApiTokenInput', {
    fields: (t) => ({
      name: t.string({ required: true }),
      permissions: t.stringList({ required: true }),
      expiresAt: t.field({ type: 'DateTime' }),
    }),
  })
  builder.mutationField('createApiToken', (t) =>
    t.field({
      type: Created,
      access: manage,
      subGraphs: managers,
      errors: mayFail,
      args: { input: t.arg({ type: CreateInput, required: true }) },
      resolve: (_, { input: { name, permissions, expiresAt } }, context) => {
        const given = { name, permissions: permissions as Permission[], ...(expiresAt ? { expiresAt: expiresAt.toISOString() } : {}) }
        return inCommand(context, 'createApiToken', (scope) => contract.createApiToken(scope, given), authLogin)
      },
    }),
  )
  builder.mutationField('revokeApiToken', (t) =>
    t.prismaField({
      type: ApiToken,
      access: manage,
      subGraphs: managers,
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: async (query, _, args, context) => {
        const wanted = { id: idBehind('ApiToken', String(args.id)) }
        const { id } = await inCommand(context, 'revokeApiToken', (scope) => contract.revokeApiToken(scope, wanted), authLogin)
        return repo.showToken(context.scope, query, id)
      },
    }),
  )
  return { ApiToken }
}
