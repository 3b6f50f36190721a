/** The review queue in the graph. What reviewers wrote is opened by the one reader of sealed columns. */
import { notFound } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { inCommand, mayFail } from '../../../platform/graphql/command.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import { withoutNulls } from '../../../platform/graphql/input.ts'
import { sealedReader, type SealedRow } from '../../../platform/graphql/sealed.ts'
import { planesOf } from '../../access/contract.ts'
import { sealedValueUnreadable, subjectErased, type Vault } from '../../vault/contract.ts'
import type { Hitl } from './contract.ts'
import type { HitlRepo } from './repo.ts'
import { openStates, reviewMachine, risks, stateAt, verdicts } from './rules.ts'

interface Parts {
  readonly contract: Hitl
  readonly repo: HitlRepo
  readonly vault: Vault
  readonly clock: Clock
}
type DecisionRow = SealedRow & { readonly item: { readonly recipientId: string } }

export function hitlGraph(builder: Builder, { contract: hitl, repo, vault, clock }: Parts) {
  const reading = { permission: 'review:read' } as const
  const deciding = { permission: 'review:decide' } as const
  const subGraphs = [...planesOf('review:read')]
  const State = builder.enumType('ReviewState', { values: reviewMachine.states, subGraphs })
  const Risk = builder.enumType('ReviewRisk', { values: risks, subGraphs })
  const VerdictType = builder.enumType('ReviewVerdict', { values: verdicts, subGraphs })

  const readDecision = sealedReader<DecisionRow>({
    resource: 'ReviewDecision',
    subjectsOf: async (_scope, rows) => rows.map(({ item }) => [item.recipientId]),
    // Who sees the item sees what was said about it; the policies showed the rows.
    mayOpen: async (_, rows) => rows.map(() => true),
    async open(scope, rows) {
      const items = rows.map(({ id, phi, item }) => ({
        subjectId: item.recipientId,
        model: 'ReviewDecision',
        field: 'phi',
        rowId: id,
        sealed: phi,
      }))
      const { records, refusals } = await vault.open(scope, { items })
      return records.map((record, at) => record ?? (refusals[at] === 'KEY_DESTROYED' ? subjectErased() : sealedValueUnreadable()))
    },
  })
  const written = {
    nullable: true as const,
    select: { id: true, phi: true, item: { select: { recipientId: true } } } as const,
  }
  const textIn = (value: unknown): string | null => (typeof value === 'string' ? value : null)

  const Decision = builder.prismaNode('ReviewDecision', {
    description: "One reviewer's verdict.",
    id: { resolve: (row) => row.id },
    findUnique: (id, context) => ({ tenantId_id: { tenantId: context.caller.tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'review:read' },
    subGraphs,
    fieldAccess: reading,
    fields: (t) => ({
      reviewerId: t.id({ select: { reviewerId: true }, resolve: (row) => encodeGlobalId('Membership', row.reviewerId) }),
      verdict: t.expose('verdict', { type: VerdictType }),
      comment: t.string({
        ...written,
        resolve: async (row, _, context) => textIn((await readDecision(context, row, ['comment']))['comment']),
      }),
      edits: t.string({
        ...written,
        resolve: async (row, _, context) => textIn((await readDecision(context, row, ['edits']))['edits']),
      }),
      createdAt: t.expose('createdAt', { type: 'DateTime' }),
    }),
  })

  const Item = builder.prismaNode('ReviewItem', {
    description: 'Something that a person has to judge.',
    id: { resolve: (row) => row.id },
    findUnique: (id, context) => ({ tenantId_id: { tenantId: context.caller.tenantId, id } }),
    nullable: true,
    select: { id: true },
    extensions: { nodePermission: 'review:read' },
    subGraphs,
    fieldAccess: reading,
    fields: (t) => ({
      kind: t.exposeString('kind', { description: 'BREAK_GLASS, and what later modules bring.' }),
      subjectId: t.id({
        description: 'What is to be judged; its type is in the id.',
        select: { subjectType: true, subjectId: true },
        resolve: (row) => encodeGlobalId(row.subjectType, row.subjectId),
      }),
      recipientId: t.id({
        select: { recipientId: true },
        resolve: ({ recipientId }) => encodeGlobalId('CareRecipient', recipientId),
      }),
      risk: t.expose('risk', { type: Risk }),
      state: t.field({
        type: State,
        select: { state: true, claimExpiresAt: true },
        resolve: (row) => stateAt(row, clock.nowMs()),
      }),
      requestedBy: t.id({
        nullable: true,
        select: { requestedBy: true },
        resolve: ({ requestedBy }) => requestedBy && encodeGlobalId('Membership', requestedBy),
      }),
      claimedBy: t.id({
        nullable: true,
        select: { claimedBy: true, claimExpiresAt: true, state: true },
        resolve: (row) => (stateAt(row, clock.nowMs()) === 'CLAIMED' ? encodeGlobalId('Membership', row.claimedBy!) : null),
      }),
      claimExpiresAt: t.expose('claimExpiresAt', { type: 'DateTime', nullable: true }),
      slaAt: t.expose('slaAt', { type: 'DateTime', description: 'When it escalates.' }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: 'When it lapses; null: it has to be decided.' }),
      quorum: t.exposeInt('quorum', { description: 'How many different reviewers have to agree.' }),
      createdAt: t.expose('createdAt', { type: 'DateTime' }),
      decisions: t.relation('decisions', { query: { orderBy: { id: 'asc' }, take: 50 } }),
    }),
  })

  builder.queryField('reviewQueue', (t) =>
    t.prismaConnection(
      {
        type: Item,
        cursor: 'tenantId_id',
        access: reading,
        subGraphs,
        description: 'What waits for a person, the oldest first; or the items in the states asked for.',
        args: { states: t.arg({ type: [State] }) },
        resolve: (query, _, { states }, { scope }) => repo.graphItems(scope, query, states ?? openStates),
      },
      { subGraphs } as never,
      { subGraphs } as never,
    ),
  )
  builder.queryField('reviewItem', (t) =>
    t.prismaField({
      type: Item,
      nullable: true,
      access: reading,
      subGraphs,
      args: { id: t.arg.id({ required: true }) },
      resolve: async (query, _, { id }, { scope }) => {
        const item = await repo.graphItem(scope, query, idArgument('ReviewItem', id))
        if (!item) throw notFound()
        return item
      },
    }),
  )

  const byId = (name: 'claimReview' | 'releaseReview', description: string, method: 'claim' | 'release') =>
    builder.mutationField(name, (t) =>
      t.field({
        type: Item,
        description,
        access: deciding,
        errors: mayFail,
        args: { id: t.arg.id({ required: true }) },
        resolve: (_, { id }, context) => inCommand(context, name, (scope) => hitl[method](scope, { id: idArgument('ReviewItem', id) })),
      }),
    )
  byId('claimReview', 'Takes an item up for 15 minutes, or for 15 more.', 'claim')
  byId('releaseReview', 'Lets a claimed item go.', 'release')

  const DecideReviewInput = builder.inputType('DecideReviewInput', {
    subGraphs: [...planesOf('review:decide')],
    fields: (t) => ({
      id: t.id({ required: true }),
      verdict: t.field({ type: VerdictType, required: true }),
      comment: t.string({ description: 'Why; needed unless you approve.' }),
      edits: t.string({ description: 'For EDIT: the text as it should be.' }),
    }),
  })
  builder.mutationField('decideReview', (t) =>
    t.field({
      type: Item,
      description: 'Your verdict on what you have claimed.',
      access: deciding,
      errors: mayFail,
      args: { input: t.arg({ type: DecideReviewInput, required: true }) },
      resolve: (_, { input }, context) =>
        inCommand(context, 'decideReview', (scope) => hitl.decide(scope, { ...withoutNulls(input), id: idArgument('ReviewItem', input.id) })),
    }),
  )

  return { ReviewItem: Item, ReviewDecision: Decision }
}

export type HitlGraph = ReturnType<typeof hitlGraph>

declare module '../../../platform/module.ts' {
  interface Graphs {
    hitl: HitlGraph
  }
}
