/** Identity in the graph: signing in and out, and who I am. It decides nothing and reads no other member. */
import { signInPlanes } from '../../kernel/scope.ts'
import { faultClasses, type Builder } from '../../platform/graphql/builder.ts'
import { mayFail } from '../../platform/graphql/command.ts'
import type { Context } from '../../platform/graphql/context.ts'
import { encodeGlobalId } from '../../platform/graphql/global-id.ts'
import { withoutNulls } from '../../platform/graphql/input.ts'
import type { TenancyGraph } from '../tenancy/graph.ts'
import type { Identity, MembershipChoiceRequired, SecondFactorRequired, SignedIn } from './contract.ts'
import { identityNodes } from './graph-nodes.ts'
import { doneType, idBehind, viewerGraph } from './graph-viewer.ts'
import type { NodeRepo } from './repo-nodes.ts'
import type { SignInPlane } from './tokens/refresh.ts'

/** Nobody signs in on the integrator's plane. */
const subGraphs = [...signInPlanes]

const planeOf = ({ plane }: Context): SignInPlane => {
  if (plane === 'integrator') throw new Error('Signing in does not exist on the integrator plane.')
  return plane
}

export function identityGraph(builder: Builder, refs: { tenancy: TenancyGraph }, made: { contract: Identity; nodes: NodeRepo }) {
  const identity = made.contract
  const { Membership, IdentityNode, Status } = identityNodes(builder)

  const SignedInMembership = builder.objectRef<SignedIn['membership']>('SignedInMembership').implement({
    fieldAccess: 'public',
    subGraphs,
    fields: (t) => ({
      id: t.id({ resolve: ({ id }) => encodeGlobalId('Membership', id) }),
      role: t.exposeString('role'),
      plane: t.exposeString('plane'),
    }),
  })

  const SignedInRef = builder.objectRef<SignedIn>('SignedIn').implement({
    description: 'Signed in. A browser that asked for a cookie has it in the answer\'s Set-Cookie header, and gets no tokens.',
    fieldAccess: 'public',
    subGraphs,
    fields: (t) => ({
      accessToken: t.exposeString('accessToken', { nullable: true }),
      expiresInSeconds: t.exposeInt('expiresInSeconds'),
      refreshToken: t.exposeString('refreshToken', {
        nullable: true,
        description: 'Good once. Null for cookies, and where another request has just been given the next one.',
      }),
      deviceToken: t.exposeString('deviceToken', {
        nullable: true,
        description:
          'Keep it and hand it in with the next sign-in: it opens nothing, but others\' guessing does not slow this device down.',
      }),
      membership: t.field({ type: SignedInMembership, resolve: ({ membership }) => membership }),
    }),
  })

  const Challenge = builder.objectRef<SecondFactorRequired>('SecondFactorRequired').implement({
    fieldAccess: 'public',
    subGraphs,
    fields: (t) => ({ challengeToken: t.exposeString('challengeToken') }),
  })

  const Choice = builder.objectRef<MembershipChoiceRequired>('MembershipChoiceRequired').implement({
    fieldAccess: 'public',
    subGraphs,
    fields: (t) => ({
      choiceToken: t.exposeString('choiceToken'),
      memberships: t.field({ type: [SignedInMembership], resolve: ({ memberships }) => memberships }),
    }),
  })

  const SignInResult = builder.errorUnion('SignInResult', {
    types: [SignedInRef, Challenge, Choice, ...Object.values(faultClasses)],
    subGraphs,
    resolveType: (result: object) => {
      const { kind } = result as { kind: 'SIGNED_IN' | 'SECOND_FACTOR_REQUIRED' | 'MEMBERSHIP_CHOICE_REQUIRED' }
      return { SIGNED_IN: SignedInRef, SECOND_FACTOR_REQUIRED: Challenge, MEMBERSHIP_CHOICE_REQUIRED: Choice }[kind].name
    },
  } as never)

  /** The browser's part of the answer. */
  const handOver = <Result extends { kind: string }>(context: Context, result: Result): Result => {
    if ('setCookie' in result && typeof result.setCookie === 'string') context.answer.setCookie(result.setCookie)
    return result
  }

  const Transport = builder.enumType('SessionTransport', { values: ['BEARER', 'COOKIE'] as const })
  const Done = doneType(builder)

  const SignInInput = builder.inputType('SignInInput', {
    fields: (t) => ({
      email: t.string({ required: true }),
      password: t.string({ required: true }),
      transport: t.field({ type: Transport, defaultValue: 'BEARER' }),
      deviceToken: t.string(),
    }),
  })
  const SecondFactorInput = builder.inputType('VerifySecondFactorInput', {
    fields: (t) => ({
      challengeToken: t.string({ required: true }),
      code: t.string({ description: 'Six digits, or else give `recoveryCode`.' }),
      recoveryCode: t.string(),
      deviceToken: t.string(),
    }),
  })
  const ChooseInput = builder.inputType('ChooseMembershipInput', {
    fields: (t) => ({ choiceToken: t.string({ required: true }), membershipId: t.id({ required: true }), deviceToken: t.string() }),
  })

  builder.mutationField('signIn', (t) =>
    t.field({
      type: SignInResult,
      access: 'public',
      subGraphs,
      args: { input: t.arg({ type: SignInInput, required: true }) },
      resolve: async (_, { input }, context) =>
        handOver(context, await identity.signIn(context.scope, { ...withoutNulls(input), plane: planeOf(context) })) as never,
    }),
  )
  builder.mutationField('verifySecondFactor', (t) =>
    t.field({
      type: SignInResult,
      access: 'public',
      subGraphs,
      args: { input: t.arg({ type: SecondFactorInput, required: true }) },
      resolve: async (_, { input }, context) =>
        handOver(context, await identity.verifySecondFactor(context.scope, { ...withoutNulls(input), plane: planeOf(context) })) as never,
    }),
  )
  builder.mutationField('chooseMembership', (t) =>
    t.field({
      type: SignInResult,
      access: 'public',
      subGraphs,
      args: { input: t.arg({ type: ChooseInput, required: true }) },
      resolve: async (_, { input }, context) => {
        const given = { ...withoutNulls(input), membershipId: idBehind('Membership', String(input.membershipId)), plane: planeOf(context) }
        return handOver(context, await identity.chooseMembership(context.scope, given)) as never
      },
    }),
  )
  builder.mutationField('refreshSession', (t) =>
    t.field({
      type: SignInResult,
      access: 'public',
      subGraphs,
      args: { refreshToken: t.arg.string({ required: true }) },
      resolve: async (_, { refreshToken }, context) =>
        identity.refresh(context.scope, { refreshToken, plane: planeOf(context) }) as never,
    }),
  )
  builder.mutationField('signOut', (t) =>
    t.field({
      type: Done,
      access: 'public',
      subGraphs,
      errors: mayFail,
      resolve: async (_, __, context) => {
        const { forgetCookie } = await identity.signOut(context.scope, { plane: planeOf(context) })
        context.answer.setCookie(forgetCookie)
        return {}
      },
    }),
  )
  builder.mutationField('requestPasswordReset', (t) =>
    t.field({
      type: Done,
      description: 'Mails a link, if there is such an account. The answer is the same if not.',
      access: 'public',
      subGraphs,
      errors: mayFail,
      args: { email: t.arg.string({ required: true }) },
      resolve: (_, { email }, { scope }) => identity.requestPasswordReset(scope, { email }),
    }),
  )
  builder.mutationField('resetPassword', (t) =>
    t.field({
      type: Done,
      access: 'public',
      subGraphs,
      errors: mayFail,
      args: { token: t.arg.string({ required: true }), newPassword: t.arg.string({ required: true }) },
      resolve: (_, { token, newPassword }, { scope }) => identity.resetPassword(scope, { token, newPassword }),
    }),
  )

  const { Viewer } = viewerGraph(builder, { Locale: refs.tenancy.Locale, Membership, Done }, made)
  return { Viewer, Membership, Status, Identity: IdentityNode, Done }
}

export type IdentityGraph = ReturnType<typeof identityGraph>

declare module '../../platform/module.ts' {
  interface Graphs {
    identity: IdentityGraph
  }
}
