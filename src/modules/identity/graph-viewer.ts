/** Whoever is signed in: who they are, what they may do, and their sessions. Other modules add their fields to the viewer. */
import { notFound } from '../../kernel/fault.ts'
import { signInPlanes } from '../../kernel/scope.ts'
import type { Builder } from '../../platform/graphql/builder.ts'
import { mayFail } from '../../platform/graphql/command.ts'
import type { Context } from '../../platform/graphql/context.ts'
import { decodeGlobalId, encodeGlobalId } from '../../platform/graphql/global-id.ts'
import { withoutNulls } from '../../platform/graphql/input.ts'
import type { TenancyGraph } from '../tenancy/graph.ts'
import type { Identity, SessionInfo } from './contract.ts'
import type { IdentityNodes } from './graph-nodes.ts'
import type { NodeRepo } from './repo-nodes.ts'

/** What every field of the viewer starts from. */
export interface ViewerShape {
  readonly membershipId: string
  readonly identityId: string
  readonly email: string
  readonly locale: 'en' | 'ar'
}

/** The id behind a global id of this type. @throws NOT_FOUND for a malformed one or one of another type. */
export function idBehind(typename: string, globalId: string): string {
  const decoded = decodeGlobalId(globalId)
  if (decoded.typename !== typename) throw notFound()
  return decoded.id
}

/** `done`, the answer of a mutation that has nothing else to say. */
export function doneType(builder: Builder) {
  return builder.objectRef<object>('Done').implement({
    fieldAccess: 'public',
    fields: (t) => ({ done: t.boolean({ resolve: () => true }) }),
  })
}

export function viewerGraph(
  builder: Builder,
  refs: Pick<TenancyGraph, 'Locale'> & Pick<IdentityNodes, 'Membership'> & { readonly Done: ReturnType<typeof doneType> },
  { contract: identity, nodes }: { contract: Identity; nodes: NodeRepo },
) {
  const subGraphs = [...signInPlanes]

  const Session = builder.objectRef<SessionInfo>('Session').implement({
    description: 'One signed-in browser or device.',
    fieldAccess: 'authenticated',
    subGraphs,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('Session', id) }),
      plane: t.exposeString('plane'),
      via: t.exposeString('via', { description: 'How it was signed in.' }),
      createdAt: t.expose('createdAt', { type: 'DateTime' }),
      usedAt: t.expose('usedAt', { type: 'DateTime', description: 'Last use, to the nearest few minutes.' }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime' }),
      sourceAddress: t.exposeString('sourceAddress', { nullable: true }),
      userAgent: t.exposeString('userAgent', { nullable: true }),
      isCurrent: t.exposeBoolean('isCurrent'),
    }),
  })

  const Viewer = builder.objectRef<ViewerShape>('Viewer').implement({
    description: 'Whoever is signed in.',
    fieldAccess: 'authenticated',
    subGraphs,
    fields: (t) => ({
      membership: t.prismaField({
        type: refs.Membership,
        resolve: (query, { membershipId }, _, { scope }) => nodes.membership(scope, query, membershipId),
      }),
      email: t.exposeString('email'),
      locale: t.field({ type: refs.Locale, resolve: ({ locale }) => locale }),
      permissions: t.stringList({ resolve: (_, __, { caller }) => [...caller.permissions].sort() }),
      sessions: t.field({ type: [Session], resolve: (_, __, { scope }) => identity.sessions(scope, {}) }),
    }),
  })

  const viewer = {
    type: Viewer,
    access: 'authenticated',
    subGraphs,
    resolve: async (_: unknown, __: object, { scope }: Context): Promise<ViewerShape> => {
      const { membershipId, identityId, email, locale } = await identity.self(scope, {})
      if (membershipId === null || identityId === null || email === null || locale === null) throw notFound()
      return { membershipId, identityId, email, locale }
    },
  } as const
  builder.queryField('viewer', (t) => t.field(viewer))
  builder.subscriptionField('viewerChanges', (t) =>
    t.field({
      ...viewer,
      description: 'The viewer, and again when role or membership change. Ends, with the reason, when the session does.',
      subscribe: (_, __, { watch }) => watch([]),
    }),
  )

  const ChangePasswordInput = builder.inputType('ChangePasswordInput', {
    fields: (t) => ({
      currentPassword: t.string({ required: true }),
      newPassword: t.string({ required: true }),
      deviceToken: t.string(),
    }),
  })
  builder.mutationField('changePassword', (t) =>
    t.field({
      type: refs.Done,
      description: 'Ends the other sessions too, on every plane.',
      access: 'authenticated',
      subGraphs,
      errors: mayFail,
      args: { input: t.arg({ type: ChangePasswordInput, required: true }) },
      resolve: (_, { input }, { scope }) => identity.changePassword(scope, withoutNulls(input)),
    }),
  )
  builder.mutationField('revokeSession', (t) =>
    t.field({
      type: refs.Done,
      access: 'authenticated',
      subGraphs,
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_, { id }, { scope }) => identity.revokeSession(scope, { sessionId: idBehind('Session', String(id)) }),
    }),
  )
  const Revoked = builder.objectRef<{ count: number }>('RevokedSessions').implement({
    fieldAccess: 'authenticated',
    subGraphs,
    fields: (t) => ({ count: t.exposeInt('count') }),
  })
  builder.mutationField('revokeOtherSessions', (t) =>
    t.field({
      type: Revoked,
      access: 'authenticated',
      subGraphs,
      errors: mayFail,
      resolve: (_, __, { scope }) => identity.revokeOtherSessions(scope, {}),
    }),
  )

  return { Viewer }
}
