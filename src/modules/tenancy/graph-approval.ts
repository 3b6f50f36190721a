/** The operator's approval in the graph: given, withdrawn and listed on the console alone. A program's token cannot reach it. */
import { need } from '../../platform/authorise.ts'
import type { Builder } from '../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../platform/graphql/command.ts'
import { idArgument } from '../../platform/graphql/id-argument.ts'
import type { Tenancy } from './contract.ts'
import type { TenancyRepo } from './repo.ts'

export function approvalGraph(builder: Builder, { contract, repo }: { contract: Tenancy; repo: TenancyRepo }) {
  const read = { permission: 'tenant:read' } as const
  const update = { permission: 'tenant:update' } as const
  const subGraphs = ['console' as const]

  const Approval = builder.prismaNode('OperatorApproval', {
    id: { resolve: ({ id }) => id },
    findUnique: (id, { caller: { tenantId } }) => ({ tenantId_id: { tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'tenant:read' },
    fieldAccess: read,
    subGraphs,
    description: 'The leave that the tenant gives the operator to let people in. Who gave and who withdrew it: `auditEvents`.',
    fields: (t) => ({
      reason: t.exposeString('reason'),
      grantedAt: t.expose('grantedAt', { type: 'DateTime' }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime' }),
      withdrawnAt: t.expose('withdrawnAt', { type: 'DateTime', nullable: true }),
    }),
  })

  builder.queryField('operatorApprovals', (t) =>
    t.prismaConnection(
      {
        type: Approval,
        cursor: 'tenantId_id',
        access: read,
        subGraphs,
        resolve: (query, _, __, { scope }) => {
          need(scope, 'tenant:read')
          return repo.listApprovals(scope, query)
        },
      },
      { subGraphs } as never,
      { subGraphs } as never,
    ),
  )

  const ApproveInput = builder.inputType('ApproveOperatorInput', {
    fields: (t) => ({
      reason: t.string({ required: true, description: 'Why, for those who read it later; at most 500 characters.' }),
      hours: t.int({ required: true, description: 'How long, from now: 1 to 72.' }),
    }),
  })
  builder.mutationField('approveOperator', (t) =>
    t.prismaField({
      type: Approval,
      access: update,
      subGraphs,
      errors: mayFail,
      args: { input: t.arg({ type: ApproveInput, required: true }) },
      resolve: async (query, _, { input }, context) => {
        const { id } = await inCommand(context, 'approveOperator', (scope) => contract.approveOperator(scope, input))
        return repo.showApproval(context.scope, query, id)
      },
    }),
  )
  builder.mutationField('withdrawOperatorApproval', (t) =>
    t.prismaField({
      type: Approval,
      access: update,
      subGraphs,
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: async (query, _, args, context) => {
        const wanted = { id: idArgument('OperatorApproval', args.id) }
        const work = 'withdrawOperatorApproval'
        const { id } = await inCommand(context, work, (scope) => contract.withdrawOperatorApproval(scope, wanted))
        return repo.showApproval(context.scope, query, id)
      },
    }),
  )
}
