/** Emergency access in the graph: opened with a fresh second factor, read, given back. */
import { Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../../platform/graphql/command.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import { withoutNulls } from '../../../platform/graphql/input.ts'
import { sealedReader, type SealedRow } from '../../../platform/graphql/sealed.ts'
import { planesOf } from '../../access/contract.ts'
import { phiFields, type PhiField } from '../../care/contract.ts'
import { sealedValueUnreadable, subjectErased, type Vault } from '../../vault/contract.ts'
import { mostMinutes, type Emergency } from './contract.ts'
import type { EmergencyRepo } from './repo.ts'
import { grantPlace } from './service.ts'

interface Parts {
  readonly contract: Emergency
  readonly repo: EmergencyRepo
  readonly vault: Vault
  readonly clock: Clock
}
type GrantRow = SealedRow & { readonly recipientId: string }
type EmergencyRecordRow = Awaited<ReturnType<Emergency['record']>>

export function emergencyGraph(builder: Builder, { contract: emergency, repo, vault, clock }: Parts) {
  const access = { permission: 'phi:break_glass' } as const
  const subGraphs = [...planesOf('phi:break_glass')]

  const readGrant = sealedReader<GrantRow>({
    resource: 'BreakGlassGrant',
    subjectsOf: async (_scope, rows) => rows.map(({ recipientId }) => [recipientId]),
    // The policies showed the rows: one's own, or all of them to an officer.
    mayOpen: async (_, rows) => rows.map(() => true),
    async open(scope, rows) {
      const items = rows.map(({ id, recipientId, phi }) => ({ subjectId: recipientId, ...grantPlace(id), sealed: phi }))
      const { records, refusals } = await vault.open(scope, { items })
      return records.map((record, at): typeof record & object | Fault =>
        record ?? (refusals[at] === 'KEY_DESTROYED' ? subjectErased() : sealedValueUnreadable()))
    },
  })

  const Grant = builder.prismaNode('BreakGlassGrant', {
    description: 'One person may read one recipient\'s record, in an emergency, for an hour at most.',
    id: { resolve: (row) => row.id },
    findUnique: (id, context) => ({ tenantId_id: { tenantId: context.caller.tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'phi:break_glass' },
    subGraphs,
    fieldAccess: access,
    fields: (t) => ({
      recipientId: t.id({ select: { recipientId: true }, resolve: (row) => encodeGlobalId('CareRecipient', row.recipientId) }),
      memberId: t.id({ select: { membershipId: true }, resolve: (row) => encodeGlobalId('Membership', row.membershipId) }),
      reason: t.string({
        nullable: true,
        select: { id: true, recipientId: true, phi: true },
        resolve: async (row, _, context) => {
          const { reason } = await readGrant(context, row, ['reason'])
          return typeof reason === 'string' ? reason : null
        },
      }),
      createdAt: t.expose('createdAt', { type: 'DateTime' }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime' }),
      endedAt: t.expose('endedAt', { type: 'DateTime', nullable: true, description: 'Given back before its time.' }),
      isLive: t.boolean({
        select: { expiresAt: true, endedAt: true },
        resolve: ({ expiresAt, endedAt }) => endedAt === null && expiresAt.getTime() > clock.nowMs(),
      }),
      reviewItemId: t.id({ select: { reviewItemId: true }, resolve: (row) => encodeGlobalId('ReviewItem', row.reviewItemId) }),
    }),
  })

  const Record = builder.objectRef<EmergencyRecordRow>('EmergencyRecord').implement({
    description: 'What an emergency opens. Every reading of it is in the audit trail, and shown to the recipient.',
    subGraphs,
    fieldAccess: access,
    fields: (t) => ({
      recipientId: t.id({ resolve: ({ recipientId }) => encodeGlobalId('CareRecipient', recipientId) }),
      ...(Object.fromEntries(
        phiFields.map((name) => [name, t.string({ nullable: true, resolve: ({ fields }) => fields[name] ?? null })]),
      ) as Record<PhiField, ReturnType<typeof t.string>>),
    }),
  })

  builder.queryField('breakGlassGrants', (t) =>
    t.prismaConnection(
      {
        type: Grant,
        cursor: 'tenantId_id',
        access,
        subGraphs,
        description: 'Emergency accesses, the newest first: your own; a compliance officer sees all.',
        resolve: (query, _, __, { scope }) => repo.graphGrants(scope, query),
      },
      { subGraphs } as never,
      { subGraphs } as never,
    ),
  )
  builder.queryField('emergencyRecord', (t) =>
    t.field({
      type: Record,
      nullable: true,
      access,
      subGraphs,
      description: 'What your own live emergency access opens.',
      args: { grantId: t.arg.id({ required: true }) },
      resolve: (_, { grantId }, { scope }) => emergency.record(scope, { id: idArgument('BreakGlassGrant', grantId) }),
    }),
  )

  const OpenBreakGlassInput = builder.inputType('OpenBreakGlassInput', {
    subGraphs,
    fields: (t) => ({
      recipientId: t.id({ required: true }),
      reason: t.string({ required: true, description: 'A sentence. It is sealed, and read by whoever reviews this.' }),
      minutes: t.int({ required: true, description: `1 to ${mostMinutes}.` }),
      code: t.string({ description: 'A current code of your authenticator. Without it, a step-up sign-in of the last five minutes is used up.' }),
    }),
  })
  builder.mutationField('openBreakGlass', (t) =>
    t.prismaField({
      type: Grant,
      description: 'Opens a record outside your reach. Compliance officers are told, and review it.',
      access,
      errors: mayFail,
      args: { input: t.arg({ type: OpenBreakGlassInput, required: true }) },
      resolve: async (query, _, { input }, context) => {
        const { id } = await emergency.openAccess(context.scope, {
          ...withoutNulls(input),
          recipientId: idArgument('CareRecipient', input.recipientId),
        })
        return (await repo.graphGrant(context.scope, query, id))!
      },
    }),
  )
  builder.mutationField('endBreakGlass', (t) =>
    t.prismaField({
      type: Grant,
      description: 'Gives your emergency access back before its time.',
      access,
      errors: mayFail,
      args: { id: t.arg.id({ required: true }) },
      resolve: async (query, _, { id: globalId }, context) => {
        const id = idArgument('BreakGlassGrant', globalId)
        await inCommand(context, 'endBreakGlass', (scope) => emergency.endAccess(scope, { id }))
        return (await repo.graphGrant(context.scope, query, id))!
      },
    }),
  )

  return { BreakGlassGrant: Grant }
}

export type EmergencyGraph = ReturnType<typeof emergencyGraph>

declare module '../../../platform/module.ts' {
  interface Graphs {
    emergency: EmergencyGraph
  }
}
