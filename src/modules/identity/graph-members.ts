/** Members and invitations in the graph. Every answer is read again on the caller's own login, whose policies narrow what is shown. */
import type { Clock } from '../../kernel/clock.ts'
import type { Scope } from '../../kernel/scope.ts'
import { authLogin } from '../../platform/module.ts'
import type { Builder } from '../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../platform/graphql/command.ts'
import { encodeGlobalId } from '../../platform/graphql/global-id.ts'
import { withoutNulls } from '../../platform/graphql/input.ts'
import { roles } from '../access/contract.ts'
import type { TenancyGraph } from '../tenancy/graph.ts'
import type { Members } from './contract-members.ts'
import type { IdentityNodes } from './graph-nodes.ts'
import { idBehind } from './graph-viewer.ts'
import { existing, reachOf } from './reach.ts'
import { invitationsWithin, membersWithin } from './repo-reach.ts'
import type { MembersRepo } from './repo-members.ts'
import { invitationMachine } from './rules.ts'
import { stateAt } from './service-invitations.ts'

export interface MembersMade {
  readonly contract: Members
  readonly members: MembersRepo
  readonly clock: Clock
}

/** Programs invite nobody, and no token makes another: these fields do not exist on the integrator's plane. */
const inviters = ['console', 'seller', 'consumer'] as const

const orgIdOf = (id: string | null): string | null => (id === null ? null : encodeGlobalId('ProviderOrg', id))

export function membersGraph(
  builder: Builder,
  refs: Pick<TenancyGraph, 'Locale'> & Pick<IdentityNodes, 'Membership' | 'Status'>,
  { contract, members: repo, clock }: MembersMade,
) {
  const { Locale, Membership, Status } = refs
  const Role = builder.enumType('Role', { values: roles })
  const InvitationState = builder.enumType('InvitationState', { values: invitationMachine.states })

  builder.prismaObjectFields(Membership, (t) => ({
    locale: t.field({
      type: Locale,
      access: { permission: 'user:read' },
      select: { identity: { select: { locale: true } } },
      resolve: ({ identity }) => (identity.locale === 'ar' ? 'ar' : 'en'),
    }),
    providerOrgId: t.id({
      nullable: true,
      access: { permission: 'user:read' },
      select: { providerOrgId: true },
      resolve: ({ providerOrgId }) => orgIdOf(providerOrgId),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', access: { permission: 'user:read' } }),
    version: t.exposeInt('version', { access: { permission: 'user:read' }, description: 'Hand it back with a change.' }),
  }))

  const invitation = { permission: 'user:invite' } as const
  const Invitation = builder.prismaNode('Invitation', {
    id: { resolve: ({ id }) => id },
    findUnique: (id, { caller: { tenantId } }) => ({ tenantId_id: { tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'user:invite' },
    fieldAccess: invitation,
    subGraphs: [...inviters],
    fields: (t) => ({
      email: t.exposeString('email'),
      role: t.exposeString('role'),
      plane: t.exposeString('plane'),
      state: t.field({
        type: InvitationState,
        select: { state: true, expiresAt: true },
        resolve: (row) => stateAt(row, clock.nowMs()),
      }),
      providerOrgId: t.id({ nullable: true, select: { providerOrgId: true }, resolve: ({ providerOrgId }) => orgIdOf(providerOrgId) }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime' }),
      createdAt: t.expose('createdAt', { type: 'DateTime' }),
    }),
  })

  builder.queryField('members', (t) =>
    t.prismaConnection({
      type: Membership,
      cursor: 'tenantId_id',
      access: { permission: 'user:read' },
      args: { role: t.arg({ type: Role }), status: t.arg({ type: Status }), plane: t.arg.string() },
      resolve: (query, _, { role, status, plane }, { scope }) =>
        repo.listMembers(scope, query, {
          AND: [
            membersWithin(reachOf(scope, 'user:read')),
            withoutNulls({ role: role ?? null, status: status ?? null, plane: plane ?? null }),
          ],
        }),
    }),
  )
  builder.queryField('member', (t) =>
    t.prismaField({
      type: Membership,
      nullable: true,
      access: { permission: 'user:read' },
      args: { id: t.arg.id({ required: true }) },
      resolve: async (query, _, { id }, { scope }) => {
        const [found] = await repo.listMembers(scope, query, {
          AND: [{ id: idBehind('Membership', String(id)) }, membersWithin(reachOf(scope, 'user:read'))],
        })
        return existing(found ?? null)
      },
    }),
  )
  builder.queryField('invitations', (t) =>
    t.prismaConnection(
      {
        type: Invitation,
        cursor: 'tenantId_id',
        access: invitation,
        subGraphs: [...inviters],
        resolve: (query, _, __, { scope }) => repo.listInvitations(scope, query, invitationsWithin(reachOf(scope, 'user:invite'))),
      },
      { subGraphs: [...inviters] } as never,
      { subGraphs: [...inviters] } as never,
    ),
  )

  const InviteInput = builder.inputType('InviteMemberInput', {
    fields: (t) => ({
      email: t.string({ required: true }),
      role: t.field({ type: Role, required: true }),
      locale: t.field({ type: Locale, description: 'Language of the letter and of the new account; the tenant\'s own without it.' }),
      recipientId: t.id({ description: 'Whom the person is to help; a family member names one.' }),
      providerOrgId: t.id({ description: 'Of a provider_manager.' }),
    }),
  })
  builder.mutationField('inviteMember', (t) =>
    t.prismaField({
      type: Invitation,
      access: invitation,
      subGraphs: [...inviters],
      errors: mayFail,
      args: { input: t.arg({ type: InviteInput, required: true }) },
      resolve: async (query, _, { input }, context) => {
        const { recipientId, providerOrgId, ...rest } = withoutNulls(input)
        const given = {
          ...rest,
          ...(recipientId === undefined ? {} : { recipientId: idBehind('CareRecipient', String(recipientId)) }),
          ...(providerOrgId === undefined ? {} : { providerOrgId: idBehind('ProviderOrg', String(providerOrgId)) }),
        }
        const { id } = await inCommand(context, 'inviteMember', (scope) => contract.inviteMember(scope, given), authLogin)
        return repo.showInvitation(context.scope, query, id)
      },
    }),
  )
  for (const name of ['resendInvitation', 'revokeInvitation'] as const) {
    builder.mutationField(name, (t) =>
      t.prismaField({
        type: Invitation,
        access: invitation,
        subGraphs: [...inviters],
        errors: mayFail,
        args: { id: t.arg.id({ required: true }) },
        resolve: async (query, _, args, context) => {
          const wanted = { id: idBehind('Invitation', String(args.id)) }
          const { id } = await inCommand(context, name, (scope) => contract[name](scope, wanted), authLogin)
          return repo.showInvitation(context.scope, query, id)
        },
      }),
    )
  }

  const UpdateInput = builder.inputType('UpdateMemberInput', {
    fields: (t) => ({
      id: t.id({ required: true }),
      version: t.int({ required: true }),
      locale: t.field({ type: Locale, required: true }),
    }),
  })
  builder.mutationField('updateMember', (t) =>
    t.prismaField({
      type: Membership,
      access: { permission: 'user:update' },
      errors: mayFail,
      args: { input: t.arg({ type: UpdateInput, required: true }) },
      resolve: async (query, _, { input }, context) => {
        const given = { ...input, id: idBehind('Membership', String(input.id)) }
        const { id } = await inCommand(context, 'updateMember', (scope) => contract.updateMember(scope, given), authLogin)
        return repo.showMember(context.scope, query, id)
      },
    }),
  )
  for (const name of ['deactivateMember', 'suspendMember', 'resumeMember'] as const) {
    builder.mutationField(name, (t) =>
      t.prismaField({
        type: Membership,
        access: { permission: 'user:deactivate' },
        errors: mayFail,
        args: { id: t.arg.id({ required: true }) },
        resolve: async (query, _, args, context) => {
          const wanted = { id: idBehind('Membership', String(args.id)) }
          const { id } = await inCommand(context, name, (scope: Scope) => contract[name](scope, wanted), authLogin)
          return repo.showMember(context.scope, query, id)
        },
      }),
    )
  }
  builder.mutationField('assignRole', (t) =>
    t.prismaField({
      type: Membership,
      access: { permission: 'role:assign' },
      errors: mayFail,
      args: { membershipId: t.arg.id({ required: true }), role: t.arg({ type: Role, required: true }) },
      resolve: async (query, _, args, context) => {
        const given = { membershipId: idBehind('Membership', String(args.membershipId)), role: args.role }
        const { id } = await inCommand(context, 'assignRole', (scope) => contract.assignRole(scope, given), authLogin)
        return repo.showMember(context.scope, query, id)
      },
    }),
  )

  return { Role, Invitation }
}
