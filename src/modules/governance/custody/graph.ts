/** Custody in the graph: legal holds, leaving and the tenant's own key. On the console alone; a program's token cannot reach it. */
import type { Plane } from '../../../kernel/scope.ts'
import { need } from '../../../platform/authorise.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../../platform/graphql/command.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { withoutNulls } from '../../../platform/graphql/input.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import type { VaultGraph } from '../../vault/graph.ts'
import { holdBases, offboardingStates, type Custody, type OffboardingView } from './contract.ts'
import type { CustodyRepo } from './repo.ts'

interface Parts {
  readonly contract: Custody
  readonly repo: CustodyRepo
}

export function custodyGraph(builder: Builder, { KeyStatus }: VaultGraph, { contract: custody, repo }: Parts): void {
  const subGraphs: Plane[] = ['console']
  const hold = { permission: 'audit:export' } as const
  const read = { permission: 'tenant:read' } as const
  const decide = { permission: 'tenant:update' } as const

  const Basis = builder.enumType('HoldBasis', { values: holdBases, subGraphs })
  const Hold = builder.prismaNode('LegalHold', {
    description: 'While it is in force, what it holds is neither erased nor offboarded. Who placed and who lifted it: `auditEvents`.',
    id: { resolve: ({ id }) => id },
    findUnique: (id, { caller: { tenantId } }) => ({ tenantId_id: { tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'audit:export' },
    fieldAccess: hold,
    subGraphs,
    fields: (t) => ({
      recipientId: t.id({
        nullable: true,
        description: 'Null: the whole organisation is held.',
        select: { recipientId: true },
        resolve: ({ recipientId }) => (recipientId === null ? null : encodeGlobalId('CareRecipient', recipientId)),
      }),
      basis: t.field({ type: Basis, select: { basis: true }, resolve: ({ basis }) => basis }),
      reference: t.exposeString('reference'),
      placedAt: t.expose('placedAt', { type: 'DateTime' }),
      liftedAt: t.expose('liftedAt', { type: 'DateTime', nullable: true }),
    }),
  })

  builder.queryField('legalHolds', (t) =>
    t.prismaConnection(
      {
        type: Hold,
        cursor: 'tenantId_id',
        access: hold,
        subGraphs,
        resolve: (query, _, __, { scope }) => {
          need(scope, 'audit:export')
          return repo.graphHolds(scope, query)
        },
      },
      { subGraphs } as never,
      { subGraphs } as never,
    ),
  )

  const PlaceInput = builder.inputType('PlaceLegalHoldInput', {
    subGraphs,
    fields: (t) => ({
      recipientId: t.id({ description: 'Left out: the whole organisation.' }),
      basis: t.field({ type: Basis, required: true }),
      reference: t.string({ required: true, description: 'A file number, at most 64 characters; no sentence and no name.' }),
    }),
  })
  builder.mutationField('placeLegalHold', (t) =>
    t.prismaField({
      type: Hold,
      access: hold,
      subGraphs,
      errors: mayFail,
      args: { input: t.arg({ type: PlaceInput, required: true }) },
      resolve: async (query, _, { input: { recipientId, basis, reference } }, context) => {
        const wanted = { recipientId: recipientId === null || recipientId === undefined ? null : idArgument('CareRecipient', recipientId), basis, reference }
        const { id } = await inCommand(context, 'placeLegalHold', (scope) => custody.placeHold(scope, wanted))
        return repo.graphHold(context.scope, query, id)
      },
    }),
  )
  builder.mutationField('liftLegalHold', (t) =>
    t.prismaField({
      type: Hold,
      access: hold,
      subGraphs,
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: async (query, _, args, context) => {
        const wanted = { id: idArgument('LegalHold', args.id) }
        const { id } = await inCommand(context, 'liftLegalHold', (scope) => custody.liftHold(scope, wanted))
        return repo.graphHold(context.scope, query, id)
      },
    }),
  )

  const State = builder.enumType('OffboardingState', { values: offboardingStates, subGraphs })
  const Offboarding = builder.objectRef<OffboardingView>('Offboarding').implement({
    description: 'The organisation leaves for good: asked for by an administrator, carried out by the operator after the waiting period.',
    subGraphs,
    fieldAccess: read,
    fields: (t) => ({
      state: t.field({ type: State, resolve: ({ state }) => state }),
      reason: t.exposeString('reason'),
      askedBy: t.id({ resolve: ({ askedBy }) => encodeGlobalId('Membership', askedBy) }),
      askedAt: t.field({ type: 'DateTime', resolve: ({ askedAt }) => new Date(askedAt) }),
      dueAt: t.field({ type: 'DateTime', description: 'Until then it waits, and can be cancelled here.', resolve: ({ dueAt }) => new Date(dueAt) }),
      held: t.boolean({ description: 'A legal hold is in force: nothing goes on before it is lifted.', resolve: ({ isHeld }) => isHeld }),
    }),
  })
  const current = async (scope: Parameters<Custody['offboarding']>[0]): Promise<OffboardingView | null> =>
    (await custody.offboarding(scope, {})).offboarding

  builder.queryField('offboarding', (t) =>
    t.field({ type: Offboarding, nullable: true, access: read, subGraphs, resolve: (_, __, { scope }) => current(scope) }),
  )

  const RequestInput = builder.inputType('RequestOffboardingInput', {
    subGraphs,
    fields: (t) => ({
      reason: t.string({ required: true, description: 'At most 500 characters.' }),
      exportKey: t.string({ required: true, description: 'A public X25519 key in PEM: the last export is sealed to it. Keep the private one.' }),
      code: t.string({ description: 'A current code of your authenticator. Without it, a step-up sign-in of the last five minutes is used up.' }),
    }),
  })
  builder.mutationField('requestOffboarding', (t) =>
    t.field({
      type: Offboarding,
      description: 'Asks for the organisation to leave. Everybody who can stop it is told.',
      access: decide,
      subGraphs,
      errors: mayFail,
      args: { input: t.arg({ type: RequestInput, required: true }) },
      resolve: async (_, { input }, { scope }) => {
        await custody.askOffboarding(scope, withoutNulls(input))
        return (await current(scope))!
      },
    }),
  )
  builder.mutationField('cancelOffboarding', (t) =>
    t.field({
      type: Offboarding,
      access: decide,
      subGraphs,
      errors: mayFail,
      resolve: async (_, __, context) => {
        await inCommand(context, 'cancelOffboarding', (scope) => custody.cancelOffboarding(scope, {}))
        return (await current(context.scope))!
      },
    }),
  )

  builder.mutationField('useOwnKey', (t) =>
    t.field({
      type: KeyStatus,
      description: 'Has the tenant\'s keys wrapped by a key of its own at the KMS. Nothing is changed unless that key proves itself.',
      access: decide,
      subGraphs,
      errors: mayFail,
      args: {
        kmsKey: t.arg.string({ required: true, description: 'Id or ARN. The building\'s own puts the tenant back on that one.' }),
        code: t.arg.string({ description: 'A current code of your authenticator. Without it, a step-up sign-in of the last five minutes is used up.' }),
      },
      resolve: (_, { kmsKey, code }, { scope }) => custody.useOwnKey(scope, { keyId: kmsKey, ...withoutNulls({ code }) }),
    }),
  )
}
